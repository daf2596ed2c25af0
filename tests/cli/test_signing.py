"""`cobnut keys`, `sign` and `verify` as a user meets them, and a line that runs only what is signed."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from cobnut.data.sample_parts import write_sample_parts
from program import Run


@pytest.fixture
def place(bundle: Path, parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a bundle, the parts, and two pairs of keys."""
    from cobnut.runtime.keys import make_keys

    monkeypatch.chdir(tmp_path)
    shutil.copytree(bundle, "a.cobnut")
    Path("parts").symlink_to(parts)
    for name in ("ours", "theirs"):
        make_keys(Path(name))
    return tmp_path


@pytest.mark.usefixtures("place")
def test_keys_sign_and_verify_in_a_row(run: Callable[..., Run]) -> None:
    made = run("keys", "quality")
    assert made.code == 0, made.err
    assert "private  quality.key  (not encrypted; keep it to yourself)" in made.out
    mark = made.out.partition("fingerprint ")[2][:32]
    signed = run("sign", "a.cobnut", "--key", "quality.key", "--comment", "released for [line 4]")
    assert signed.code == 0, signed.err
    assert f"signed   version 1 of a.cobnut by {mark} «released for [line 4]», 20" in signed.out
    told = run("verify", "a.cobnut", "--key", "theirs.pub", "--key", "quality.pub")
    assert told.code == 0, told.err
    lines = told.out.splitlines()
    assert lines[0] == "whole    version 1, format 3, 2 files"
    assert lines[1].startswith(f"signed   by {mark} «released for [line 4]», 20")
    assert lines[1].endswith("by the signer's clock")
    assert lines[2:] == [f"vouched  {mark} is a key that you named"]


@pytest.mark.usefixtures("place")
def test_without_a_key_nobody_vouches(run: Callable[..., Run]) -> None:
    done = run("verify", "a.cobnut")
    assert (done.code, done.out) == (0, "whole    version 1, format 3, 2 files\n")
    assert done.err == "nobody vouches for these files: name a key that you trust, --key NAME.pub\n"
    assert run("sign", "a.cobnut", "--key", "ours.key").code == 0
    assert "nobody vouches" in run("verify", "a.cobnut").err


def alter(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        ("unsigned", "a.cobnut: version 1 is not signed; `cobnut sign a.cobnut --key NAME.key` signs it"),
        ("unknown", "not by ours.pub"),
        ("model", "a.cobnut/model.onnx: is damaged or was altered"),
        ("manifest", "a.cobnut/manifest.json: "),
        ("signature", "a.cobnut/signatures/0001-"),
        ("key", "ours.pub: is no public key, or is damaged"),
        ("no key", "ours.pub: no such key"),
        ("private", "ours.pub: is a private key, which stays with its owner"),
    ],
)
def test_what_is_not_well_is_one_line_and_exit_code_2(
    run: Callable[..., Run], place: Path, harm: str, message: str
) -> None:
    if harm != "unsigned":
        assert run("sign", "a.cobnut", "--key", "theirs.key" if harm == "unknown" else "ours.key").code == 0
    if harm in ("model", "manifest"):
        alter(place / "a.cobnut" / {"model": "model.onnx", "manifest": "manifest.json"}[harm])
    elif harm == "signature":
        alter(next((place / "a.cobnut" / "signatures").iterdir()))
    elif harm == "key":
        Path("ours.pub").write_text(Path("ours.pub").read_text().replace("\n-----END", "\n\n-----END"))
    elif harm == "no key":
        Path("ours.pub").unlink()
    elif harm == "private":
        shutil.copy("ours.key", "ours.pub")
    for words in (["verify", "a.cobnut", "--key"], ["inspect", "a.cobnut", "parts/test", "--require-signature"]):
        done = run(*words, "ours.pub")
        assert (done.code, done.out) == (2, "")
        assert message in done.err
        assert len(done.err.splitlines()) == 1


def test_a_line_runs_only_what_one_of_its_keys_has_signed(
    run: Callable[..., Run], place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh = write_sample_parts(place / "fresh", good=24, test_good=1, defective=1, side=64, seed=7) / "train" / "good"
    monkeypatch.setenv("COBNUT_REQUIRE_SIGNATURE", os.pathsep.join(["theirs.pub", "ours.pub"]))
    judging = (
        ["inspect", "a.cobnut", "parts/test"],
        ["evaluate", "a.cobnut", "parts"],
        ["replay", "a.cobnut@1", "a.cobnut", "parts/test"],
        ["calibrate", "a.cobnut", fresh, "--alpha", 0.1],
    )
    for words in judging:
        done = run(*words)
        assert (done.code, done.out) == (2, "")
        assert "version 1 is not signed" in done.err or words[0] == "replay"
    assert run("sign", "a.cobnut", "--key", "ours.key").code == 0
    for words in judging[:2] + judging[3:]:
        done = run(*words)
        assert done.code == 0, done.err
    assert "version 2 is not signed yet; `cobnut sign a.cobnut --key NAME.key` signs it" in done.err
    assert "version 2 is not signed" in run(*judging[2]).err
    assert "version 2 is not signed" in run(*judging[0]).err
    assert run("sign", "a.cobnut@2", "--key", "ours.key").code == 0
    for words in judging[:3]:
        done = run(*words)
        assert done.code == 0, done.err
    assert run("verify", "a.cobnut@1", "--key", "ours.pub").out.startswith("whole    version 1")
    assert run("rollback", "a.cobnut").code == 0
    assert run(*judging[0]).code == 0


@pytest.mark.usefixtures("place")
def test_who_compares_watches_or_converts_a_bundle_may_ask_for_its_signature(run: Callable[..., Run]) -> None:
    using = (
        ["compare", "a.cobnut", "a.cobnut@1", "parts"],
        ["drift", "a.cobnut", "no-line.jsonl"],
        ["export", "a.cobnut@1", "parts/train", "--to", "float16", "--out", "small.cobnut"],
    )
    for words in using:
        assert "version 1 is not signed" in run(*words, "--require-signature", "ours.pub").err
    assert run("sign", "a.cobnut", "--key", "ours.key").code == 0
    for words in using:
        done = run(*words, "--require-signature", "ours.pub")
        if words[0] == "drift":
            assert "no-line.jsonl: no such log" in done.err
        else:
            assert done.code == 0, done.err


@pytest.mark.usefixtures("place")
def test_a_passphrase_comes_from_the_terminal_or_the_environment(
    run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = run("keys", "quality", "--passphrase")
    assert refused.code == 2
    assert "nobody is there to type one; set COBNUT_KEY_PASSPHRASE instead" in refused.err
    monkeypatch.setattr("cobnut.cli.signing._is_attended", lambda: True)
    typed = iter(["a", "b", "sesame", "sesame", "sesame", "wrong"])
    monkeypatch.setattr("getpass.getpass", lambda prompt: next(typed))
    assert "not the same twice; nothing was written" in run("keys", "quality", "--passphrase").err
    assert "opened by the passphrase" in run("keys", "quality", "--passphrase").out
    assert run("sign", "a.cobnut", "--key", "quality.key").code == 0
    assert "the passphrase does not open it" in run("sign", "a.cobnut", "--key", "quality.key").err
    monkeypatch.setattr("cobnut.cli.signing._is_attended", lambda: False)
    assert "is encrypted; type its passphrase, or give it as" in run("sign", "a.cobnut", "--key", "quality.key").err
    monkeypatch.setenv("COBNUT_KEY_PASSPHRASE", "sesame")
    assert run("sign", "a.cobnut", "--key", "quality.key").code == 0


@pytest.mark.usefixtures("place")
def test_keys_are_never_overwritten(run: Callable[..., Run]) -> None:
    done = run("keys", "ours")
    assert done.code == 2
    assert done.err == "error: ours.key: stands there already, and keys are never overwritten; choose another name\n"
