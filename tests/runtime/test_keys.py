"""Keys are for their owner alone, and one that was altered never passes for another."""

import shutil
import stat
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization as pem
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cobnut.errors import SignatureError
from cobnut.runtime.bundle import MANIFEST
from cobnut.runtime.inspect import Inspector
from cobnut.runtime.keys import fingerprint, make_keys, read_private_key, read_public_key
from cobnut.runtime.signatures import sign

Keys = tuple[Path, Path]


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return make_keys(tmp_path_factory.mktemp("keys") / "ours")


@pytest.fixture
def copy(bundle: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(bundle, tmp_path / "copy.cobnut"))


@settings(max_examples=50)
@given(place=st.floats(0, 1), change=st.integers(1, 255))
@example(place=0.3671875, change=1)  # Ed448 by its number, and too short for it
def test_a_private_key_with_any_byte_altered_never_signs_as_another(ours: Keys, place: float, change: int) -> None:
    content = bytearray(ours[0].read_bytes())
    whole = bytes(content)
    content[int(place * (len(content) - 1))] ^= change
    altered = ours[0].with_name("altered.key")
    altered.write_bytes(content)
    try:
        key = read_private_key(altered)
    except SignatureError as error:
        assert "\n" not in str(error)
    else:
        written = key.private_bytes(pem.Encoding.PEM, pem.PrivateFormat.PKCS8, pem.NoEncryption())
        public = key.public_key().public_bytes_raw().hex()
        assert (public == read_public_key(ours[1])) == (written == whole)


def test_a_private_key_is_for_its_owner_alone_and_never_overwritten(tmp_path: Path) -> None:
    private, public = make_keys(tmp_path / "line.4")
    assert (private.name, public.name) == ("line.4.key", "line.4.pub")
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    for left in (private, public):
        before = left.read_bytes()
        with pytest.raises(SignatureError, match="keys are never overwritten"):
            make_keys(tmp_path / "line.4.key")
        assert left.read_bytes() == before
    private.unlink()
    with pytest.raises(SignatureError, match=r"line.4.pub: stands there already"):
        make_keys(tmp_path / "line.4")
    assert not private.exists()


def test_a_passphrase_opens_its_key_and_no_other_does(tmp_path: Path, copy: Path) -> None:
    private, public = make_keys(tmp_path / "ours", "open sesame")
    for typed, message in ((None, "is encrypted; type its passphrase"), ("sesame", "the passphrase does not open it")):
        with pytest.raises(SignatureError, match=message):
            sign(copy, private, passphrase=typed)
    sign(copy, private, passphrase="open sesame")
    assert Inspector(copy, require_signature=[public])
    plain, _ = make_keys(tmp_path / "plain", "")
    assert sign(copy, plain, passphrase="not needed").version == 1


def test_keys_that_are_none_are_refused_in_one_line(tmp_path: Path, copy: Path, ours: Keys) -> None:
    other = generate_private_key(SECP256R1())
    kinds = tmp_path / "kind.key", tmp_path / "kind.pub"
    kinds[0].write_bytes(other.private_bytes(pem.Encoding.PEM, pem.PrivateFormat.PKCS8, pem.NoEncryption()))
    public = other.public_key()
    kinds[1].write_bytes(public.public_bytes(pem.Encoding.PEM, pem.PublicFormat.SubjectPublicKeyInfo))
    for path, message in ((ours[1], "is no private key"), (kinds[0], "another kind"), (tmp_path, "no such key")):
        with pytest.raises(SignatureError, match=message):
            read_private_key(path)
    for path, message in ((ours[0], "is a private key"), (kinds[1], "another kind"), (copy / MANIFEST, "no public")):
        with pytest.raises(SignatureError, match=message):
            read_public_key(path)


def test_a_key_that_went_through_windows_is_the_same_key(ours: Keys, tmp_path: Path) -> None:
    (tmp_path / "windows.pub").write_bytes(ours[1].read_bytes().replace(b"\n", b"\r\n"))
    assert read_public_key(tmp_path / "windows.pub") == read_public_key(ours[1])


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl here")
def test_openssl_reads_our_keys_and_we_read_its_own(copy: Path, tmp_path: Path, ours: Keys) -> None:
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", tmp_path / "a.key"], check=True)
    subprocess.run(["openssl", "pkey", "-in", tmp_path / "a.key", "-pubout", "-out", tmp_path / "a.pub"], check=True)
    sign(copy, tmp_path / "a.key")
    assert Inspector(copy, require_signature=[tmp_path / "a.pub"])
    told = subprocess.run(["openssl", "pkey", "-in", ours[0], "-pubout"], check=True, capture_output=True).stdout
    assert told == ours[1].read_bytes()
    assert len(fingerprint(read_public_key(ours[1]))) == 32
