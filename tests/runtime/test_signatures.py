"""Whoever signed a bundle vouches for every byte that a verdict depends on, version by version."""

import hashlib
import json
import os
import shutil
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization as pem
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st

from cobnut.data.sample_parts import write_sample_parts
from cobnut.errors import BundleError, CobnutError, SignatureError
from cobnut.records import Sample
from cobnut.runtime.bundle import MANIFEST, MODEL, SIGNATURES, is_only_a_bundle, read_contents, read_manifest
from cobnut.runtime.inspect import Inspector
from cobnut.runtime.keys import make_keys, read_public_key
from cobnut.runtime.signatures import check_signed, read_signatures, sign
from cobnut.runtime.versions import calibrate, defective_scores, roll_back
from cobnut.training.train import train

PROMISED = {"method": "conformal", "alpha": 0.1}
Keys = tuple[Path, Path]


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return make_keys(tmp_path_factory.mktemp("keys") / "ours")


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return make_keys(tmp_path_factory.mktemp("keys") / "theirs")


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = write_sample_parts(tmp_path_factory.mktemp("fresh"), good=24, test_good=1, defective=1, side=64, seed=7)
    return sorted((folder / "train" / "good").iterdir())


@pytest.fixture
def copy(bundle: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(bundle, tmp_path / "copy.cobnut"))


@pytest.fixture(scope="module")
def signed(bundle: Path, tmp_path_factory: pytest.TempPathFactory, ours: Keys) -> Path:
    place = Path(shutil.copytree(bundle, tmp_path_factory.mktemp("signed") / "signed.cobnut"))
    sign(place, ours[0], "released for line 4")
    return place


def signature_file(bundle: Path) -> Path:
    return next((bundle / SIGNATURES).iterdir())


def test_what_a_key_signed_is_loaded_and_nothing_else(copy: Path, ours: Keys, theirs: Keys) -> None:
    with pytest.raises(SignatureError, match=r"version 1 is not signed; `cobnut sign .* --key NAME.key` signs it$"):
        Inspector(copy, require_signature=[ours[1]])
    made = sign(copy, ours[0], "released «for» line 4")
    assert Inspector(copy, require_signature=[theirs[1], str(ours[1])]).manifest == read_manifest(copy)
    assert read_signatures(copy, read_contents(copy)) == ([made], [])
    with pytest.raises(SignatureError, match=f"signed by {made.fingerprint}, not by {theirs[1]}"):
        Inspector(copy, require_signature=[theirs[1]])
    with pytest.raises(SignatureError, match="no key to check it by"):
        Inspector(copy, require_signature=[])


def test_several_may_sign_and_signing_again_replaces_ones_own(copy: Path, ours: Keys, theirs: Keys) -> None:
    for key, comment in ((ours, "first"), (theirs, ""), (ours, "second")):
        sign(copy, key[0], comment)
    assert sorted(each.comment for each in read_signatures(copy, read_contents(copy))[0]) == ["", "second"]
    for key in (ours, theirs):
        assert check_signed(copy, read_contents(copy), [key[1]]).signer == read_public_key(key[1])


def test_another_program_agrees_that_the_signature_holds(signed: Path, ours: Keys) -> None:
    told = json.loads(signature_file(signed).read_text())
    signature = bytes.fromhex(told.pop("signature"))
    key = pem.load_pem_public_key(ours[1].read_bytes())
    assert isinstance(key, Ed25519PublicKey)
    key.verify(signature, b"cobnut bundle signature\n" + json.dumps(told, sort_keys=True).encode())
    assert told["manifest"] == hashlib.sha256((signed / MANIFEST).read_bytes()).hexdigest()


@settings(max_examples=150)
@given(name=st.sampled_from([MANIFEST, MODEL, SIGNATURES]), place=st.floats(0, 1), change=st.integers(1, 255))
def test_a_signed_bundle_with_any_byte_altered_is_refused_in_one_line(
    signed: Path, ours: Keys, name: str, place: float, change: int
) -> None:
    path = signature_file(signed) if name == SIGNATURES else signed / name
    whole = path.read_bytes()
    altered = bytearray(whole)
    altered[int(place * (len(whole) - 1))] ^= change
    path.write_bytes(altered)
    try:
        with pytest.raises(BundleError) as error:
            Inspector(signed, require_signature=[ours[1]])
    finally:
        path.write_bytes(whole)
    assert "\n" not in str(error.value)


@settings(max_examples=100)
@given(place=st.floats(0, 1), change=st.integers(1, 255))
def test_a_public_key_with_any_byte_altered_is_refused_or_another_one(
    signed: Path, ours: Keys, place: float, change: int
) -> None:
    content = bytearray(ours[1].read_bytes())
    content[int(place * (len(content) - 1))] ^= change
    altered = signed.parent / "altered.pub"
    altered.write_bytes(content)
    with pytest.raises(BundleError) as error:
        Inspector(signed, require_signature=[altered])
    assert "\n" not in str(error.value)


def test_a_manifest_that_says_the_same_in_other_bytes_was_not_signed(copy: Path, ours: Keys) -> None:
    sign(copy, ours[0])
    (copy / MANIFEST).write_text((copy / MANIFEST).read_text() + "\n")
    assert Inspector(copy).manifest.version == 1
    with pytest.raises(SignatureError, match="signs another manifest than that of version 1"):
        Inspector(copy, require_signature=[ours[1]])


def test_a_signature_says_only_what_was_signed(copy: Path, ours: Keys) -> None:
    sign(copy, ours[0], "released for line 4")
    path = signature_file(copy)
    path.write_text(path.read_text().replace("line 4", "line 5"))
    held, broken = read_signatures(copy, read_contents(copy))
    assert (held, [str(error) for error in broken]) == (
        [],
        [f"{path}: the signature is broken; fetch it again from whoever signed"],
    )


def test_a_broken_signature_of_somebody_else_takes_nothing_from_ours(copy: Path, ours: Keys, theirs: Keys) -> None:
    sign(copy, theirs[0])
    signature_file(copy).write_text("{}")
    sign(copy, ours[0])
    assert Inspector(copy, require_signature=[ours[1]]).manifest.version == 1
    with pytest.raises(SignatureError, match="is damaged"):
        Inspector(copy, require_signature=[theirs[1]])


def test_a_program_asks_the_environment_for_keys_unless_it_is_told_otherwise(
    copy: Path, ours: Keys, theirs: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COBNUT_REQUIRE_SIGNATURE", f"{theirs[1]}{os.pathsep}{ours[1]}")
    with pytest.raises(SignatureError, match="is not signed"):
        Inspector(copy)
    assert Inspector(copy, require_signature=False).manifest.version == 1
    sign(copy, ours[0])
    assert Inspector(copy).manifest.version == 1
    with pytest.raises(SignatureError, match="is signed by"):
        Inspector(copy, require_signature=[theirs[1]])


def test_a_signature_belongs_to_its_version_and_holds_again_after_a_rollback(
    copy: Path, fresh: list[Path], ours: Keys
) -> None:
    sign(copy, ours[0], "first")
    calibrate(copy, fresh, PROMISED, require_signature=[ours[1]])
    with pytest.raises(SignatureError, match=r"version 2 is not signed; .* `cobnut rollback .* --to 1`$"):
        Inspector(copy, require_signature=[ours[1]])
    for refused in (
        lambda: calibrate(copy, fresh, PROMISED, require_signature=[ours[1]]),
        lambda: defective_scores(copy, fresh, [], require_signature=[ours[1]]),
    ):
        with pytest.raises(SignatureError):
            refused()
    assert Inspector(copy, version=1, require_signature=[ours[1]]).manifest.version == 1
    sign(copy, ours[0], "second")
    assert Inspector(copy, require_signature=[ours[1]]).manifest.version == 2
    roll_back(copy)
    assert Inspector(copy, require_signature=[ours[1]]).manifest.version == 1
    roll_back(copy, 2)
    assert check_signed(copy, read_contents(copy), [ours[1]]).comment == "second"


def test_a_signature_of_one_version_passes_for_no_other(copy: Path, fresh: list[Path], ours: Keys) -> None:
    sign(copy, ours[0])
    calibrate(copy, fresh, PROMISED)
    first = signature_file(copy)
    first.rename(first.with_name(first.name.replace("0001", "0002")))
    with pytest.raises(SignatureError, match="signs another manifest than that of version 2"):
        Inspector(copy, require_signature=[ours[1]])


def test_a_version_is_kept_to_the_byte_whoever_wrote_it(copy: Path, fresh: list[Path], ours: Keys) -> None:
    content = json.loads((copy / MANIFEST).read_text(encoding="utf-8"))
    for later in ("digest", "seen"):  # as a bundle of before there were hashes of pixels
        content.pop(later)
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    (copy / MANIFEST).write_text(json.dumps({**content, "digest": digest}), encoding="utf-8")
    sign(copy, ours[0])
    calibrate(copy, fresh, PROMISED)
    roll_back(copy)
    assert Inspector(copy, require_signature=[ours[1]]).manifest.version == 1


def test_a_signed_bundle_may_be_trained_over_and_is_unsigned_then(
    copy: Path, samples: list[Sample], ours: Keys
) -> None:
    sign(copy, ours[0])
    assert is_only_a_bundle(copy)
    assert sorted(read_manifest(copy).files) == ["model.onnx", "model.safetensors"]
    train(samples, read_manifest(copy).recipe, copy, loggers=())
    assert not (copy / SIGNATURES).exists()


def test_a_damaged_bundle_is_not_signed(copy: Path, ours: Keys) -> None:
    (copy / MODEL).write_bytes(b"")
    with pytest.raises(BundleError, match="is damaged or was altered"):
        sign(copy, ours[0])
    assert not (copy / SIGNATURES).exists()


@pytest.mark.parametrize("comment", ["two\nlines", "\x1b[31mred", "x" * 201])
def test_a_comment_that_could_fool_a_terminal_is_refused(copy: Path, ours: Keys, comment: str) -> None:
    with pytest.raises(SignatureError, match="a comment is one line of at most 200 printable characters"):
        sign(copy, ours[0], comment)


def test_without_the_package_one_line_names_the_extra(
    signed: Path, ours: Keys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert Inspector(signed).manifest.version == 1  # who asks for no signature needs no package
    for needs in (
        lambda: make_keys(tmp_path / "a"),
        lambda: sign(signed, ours[0]),
        lambda: Inspector(signed, require_signature=[ours[1]]),
        lambda: read_signatures(signed, read_contents(signed)),
    ):
        with pytest.raises(CobnutError, match=r"needs the package cryptography.*pip install 'cobnut\[sign\]'") as error:
            needs()
        assert "\n" not in str(error.value)


def test_what_is_swapped_after_the_check_is_not_used(copy: Path, parts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import cobnut.runtime.inspect as module

    image = next((parts / "test" / "good").iterdir())
    expected = Inspector(copy).inspect(image).score
    opened = module.open_session

    def swapping(*arguments: object) -> object:
        (copy / MODEL).write_bytes(b"another model")
        return opened(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "open_session", swapping)
    assert Inspector(copy).inspect(image).score == expected
