"""`cobnut export` shows what the new form is worth, and says in one line what is wrong."""

from collections.abc import Callable
from pathlib import Path

from program import Run


def test_export_writes_a_bundle_that_inspect_takes(
    run: Callable[..., Run], bundle: Path, parts: Path, tmp_path: Path
) -> None:
    out = tmp_path / "small.cobnut"
    done = run("export", bundle, parts / "train", "--to", "float16", "--out", out)
    assert done.code == 0, done.err
    assert "AUROC of synthetic defects" in done.out
    assert f"next       cobnut inspect {out} IMAGES" in done.out
    assert run("inspect", out, parts / "test" / "good").code == 0


def test_a_form_that_there_is_not_lists_the_valid_ones(
    run: Callable[..., Run], bundle: Path, parts: Path, tmp_path: Path
) -> None:
    done = run("export", bundle, parts / "train", "--to", "int4", "--out", tmp_path / "small.cobnut")
    assert done.code == 2
    assert done.err == "error: --to int4: there is no such form; valid are float16, int8, openvino\n"


def test_the_test_images_alone_do_not_do(run: Callable[..., Run], bundle: Path, parts: Path, tmp_path: Path) -> None:
    done = run("export", bundle, parts / "test", "--to", "float16", "--out", tmp_path / "small.cobnut")
    assert done.code == 2
    assert "name the folder that it was trained on" in done.err
    assert not list(tmp_path.iterdir())
