"""Whatever is wrong, the program says one line — the value, the cause, the next step — and exits with 2."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from program import TINY, Run


@pytest.fixture
def place(tmp_path: Path, parts: Path, bundle: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with everything that the commands below name."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(parts, "parts")
    shutil.copytree(bundle, "ok.cobnut")
    for name in (
        "empty",
        "no-layout",
        "many/a/train/good",
        "strange/train/good",
        "strange/train/crack",
        "hollow/train/good",
    ):
        Path(name).mkdir(parents=True)
    some = next((parts / "train" / "good").iterdir())
    shutil.copy(some, "no-layout/a.png")
    shutil.copy(some, "many/a/train/good/a.png")
    Path("few/train").mkdir(parents=True)
    Path("few/train/good").mkdir()
    for path in sorted((parts / "train" / "good").iterdir())[:5]:
        shutil.copy(path, "few/train/good")
    shutil.copytree(parts, "damaged")
    for path in sorted(Path("damaged/train/good").iterdir())[:3]:
        path.write_bytes(path.read_bytes()[:200])
    shutil.copytree(parts, "deep")
    for path in Path("deep/train/good").iterdir():
        Image.fromarray(np.full((64, 64), 70_000 + int(path.stem), np.int32)).save(path.with_suffix(".tif"))
        path.unlink()
    Path("a-file").write_text("not a folder")
    Path("no-columns.csv").write_text("file,class\n")
    Path("bad-label.csv").write_text("path,label\nparts/train/good/000.png,ok\n")
    Path("missing.csv").write_text("path,label\nnowhere.png,good\n")
    Path("binary.csv").write_bytes(bytes(range(128, 256)))
    Path("only-header.csv").write_text("path,label\n")
    Path("flat.toml").write_text("image = 5\n")
    Path("unknown-space.toml").write_text("training.epoch = [1, 2]\n")
    Path("size-space.toml").write_text("image.size = [96, 100]\n")
    rows = [f"parts/train/good/{index:03}.png,good,{'calibration' if index == 0 else ''}" for index in range(24)]
    Path("one-calibrates.csv").write_text("\n".join(["path,label,split", *rows]))
    Path("photos.run").mkdir()
    Path("photos.run/thesis.txt").write_text("years of work")
    Path("webapp").mkdir()
    Path("webapp/manifest.json").write_text("{}")
    Path("webapp/app.js").write_text("years of work")
    Path("broken.toml").write_text("[training\n")
    Path("unknown.toml").write_text("[training]\nspeed = 3\n")
    Path("type.toml").write_text('[training]\nlearning_rate = "fast"\n')
    Path("loss.toml").write_text("[training]\nepochs = 1\n[training.loss]\nhinge = 1.0\n")
    shutil.copytree(bundle, "altered.cobnut")
    manifest = Path("altered.cobnut/manifest.json")
    manifest.write_text(manifest.read_text().replace('"threshold": ', '"threshold": 1'))
    shutil.copytree(bundle, "gone.cobnut")
    Path("gone.cobnut/model.onnx").unlink()
    shutil.copytree(bundle, "cut.cobnut")
    Path("cut.cobnut/model.onnx").write_bytes(b"")
    Path("test-only.csv").write_text("path,label,split\nparts/train/good/000.png,good,test\n")
    return tmp_path


TRAIN = ["train", "--recipe", "cae", "--out", "new.cobnut"]
TUNE = ["tune", "--out", "tuning"]
STUDY = ["study", "--out", "night"]
COMMANDS: list[tuple[list[str], str]] = [
    # data sets
    (["data", "nowhere"], "nowhere: no such folder"),
    (["data", "empty"], "empty: not in MVTec layout, there is no folder train/good"),
    (["data", "no-layout"], "it holds 1 images: if they are all good parts, say --good no-layout"),
    (["data", "many"], "many: holds several data sets (a); name one, for example many/a"),
    (["data", "strange"], "holds crack, but only good parts may train"),
    (["data", "hollow"], "hollow: holds no image (looked for .bmp, .jpeg"),
    (["data", "a-file"], "a-file: no such folder"),
    (["data", "nowhere.csv"], "nowhere.csv: no such file"),
    (["data", "no-columns.csv"], "no-columns.csv: lacks the column label, path"),
    (["data", "bad-label.csv"], "bad-label.csv line 2: label 'ok' is not one of good, defective"),
    (["data", "missing.csv"], "missing.csv line 2: no such image"),
    (["data", "binary.csv"], "binary.csv: not a CSV file in UTF-8"),
    (["data", "only-header.csv"], "only-header.csv: holds no image"),
    (["data"], "name one data set"),
    (["data", "parts", "--good", "empty"], "name one data set"),
    (["data", "parts", "--defective", "empty"], "--defective empty: goes with --good DIR"),
    (["data", "--good", "nowhere"], "nowhere: no such folder"),
    (["data", "--good", "empty"], "empty: holds no image"),
    (["data", "--good", "no-layout", "--defective", "nowhere"], "nowhere: no such folder"),
    (["data", "--good", "no-layout", "--defective", "empty"], "empty: holds no image"),
    (["data", "--good", "no-layout", "--defective", "no-layout"], "stands below both --good and --defective"),
    (["data", "parts", "--picture", "empty"], "--picture empty: is a folder; name a file"),
    (["data", "parts", "--picture", "a-file/x.png"], "a-file is a file, not a folder"),
    # training
    ([*TRAIN, "nowhere"], "nowhere: no such folder"),
    ([*TRAIN, "test-only.csv"], "0 different good images to learn from: at least 20 are needed"),
    ([*TRAIN, "one-calibrates.csv"], "1 good images for calibration: at least 3 are needed"),
    ([*TRAIN, "parts", "--set", "split.test=0.95"], "good images are left for"),
    ([*TRAIN, "parts", "--set", "network.widths=[0, 0, 0]"], "network.widths"),
    ([*TRAIN, "parts", "--set", "network.hidden=100000000000"], "network.hidden"),
    ([*TRAIN, "parts", "--set", "training.learning_rate=1e30"], "training diverged: the validation loss of epoch"),
    ([*TRAIN, "parts", "--set", "training.learning_rate=inf"], "training.learning_rate"),
    ([*TRAIN, "parts", "--set", "training.loss.mse=-1"], "training.loss"),
    ([*TRAIN, "parts", "--recipe", "flat.toml"], "'image' is no group of options"),
    ([*TRAIN, "parts", "--resume"], "holds no training to go on with; train without --resume"),
    ([*TRAIN, "parts", "--out", "photos"], "photos.run: exists and is not the folder of a training"),
    ([*TRAIN, "parts", "--out", "webapp"], "webapp: exists and is not just a bundle"),
    ([*TRAIN, "few"], "5 different good images to learn from: at least 20 are needed"),
    ([*TRAIN, "damaged"], "not a whole image"),
    ([*TRAIN, "deep"], "holds 32-bit pixels up to 700"),
    ([*TRAIN, "parts", "--recipe", "cat"], "recipe 'cat': there is none; valid are cae"),
    ([*TRAIN, "parts", "--recipe", "nowhere.toml"], "recipe file nowhere.toml: there is none"),
    ([*TRAIN, "parts", "--recipe", "broken.toml"], "recipe file broken.toml: not valid TOML"),
    ([*TRAIN, "parts", "--recipe", "unknown.toml"], "there is no option 'training.speed'; valid are"),
    ([*TRAIN, "parts", "--recipe", "type.toml"], "training.learning_rate = 'fast': input should be a valid number"),
    ([*TRAIN, "parts", "--recipe", "loss.toml"], "training.loss.hinge: there is no such loss; valid are mse"),
    ([*TRAIN, "parts", "--set", "training.epoch=1"], "did you mean training.epochs"),
    ([*TRAIN, "parts", "--set", "epochs"], "write it as key=value"),
    ([*TRAIN, "parts", "--set", "training.epochs=-1"], "training.epochs = -1"),
    ([*TRAIN, "parts", "--set", "training=1"], "there is no option 'training'"),
    ([*TRAIN, "parts", "--set", "image.size=100"], "needs a multiple of 8"),
    ([*TRAIN, "parts", "--set", "image.aspect=2"], "image.aspect = 2: network dense needs a square; set it to 1"),
    ([*TRAIN, "parts", "--set", "image.aspect=9"], "image.aspect = 9: input should be less than or equal to 8"),
    ([*TRAIN, "parts", "--smallest-defect", "5"], "image.smallest_defect = 5: recipe cae works at the size that"),
    ([*TRAIN, "parts", "--set", "network.name=resnet"], "network.name = 'resnet'"),
    ([*TRAIN, "parts", "--set", "score.smoothing=2"], "score.smoothing = 2"),
    ([*TRAIN, "parts", "--set", "split.validation=0.6", "--set", "split.calibration=0.3"], "leaves under a fifth"),
    ([*TRAIN, "parts", "--out", "no-layout"], "no-layout: exists and is not just a bundle"),
    ([*TRAIN, "parts", "--out", "a-file"], "a-file: exists and is not just a bundle"),
    ([*TRAIN, "parts", "--out", "a-file/new.cobnut"], "a file stands where a folder is needed"),
    # tuning
    ([*TUNE, "nowhere"], "nowhere: no such folder"),
    ([*TUNE, "parts", "--recipe", "cat"], "recipe 'cat': there is none"),
    ([*TUNE, "parts", "--space", "nowhere.toml"], "space nowhere.toml: there is no such file"),
    ([*TUNE, "parts", "--space", "broken.toml"], "space broken.toml: not valid TOML"),
    ([*TUNE, "parts", "--space", "unknown-space.toml"], "there is no option 'training.epoch'; did you mean training.e"),
    ([*TUNE, "parts", "--space", "size-space.toml"], "image.size = 100: network feature needs a multiple of 32"),
    ([*TUNE, "parts", "--storage", "nosql://host"], "--storage nosql:…: cannot be opened"),
    ([*TUNE, "parts", "--weights", "nowhere"], "--weights nowhere: there is no such folder"),
    (["tune", "parts", "--out", "no-layout"], "no-layout: exists and is not the folder of a tuning"),
    (["tune", "parts", "--out", "a-file"], "a-file: a file stands where a folder is needed"),
    # bundles
    (["evaluate", "nowhere", "parts"], "nowhere: no such bundle; `cobnut train` makes one"),
    (["evaluate", "empty", "parts"], "empty: is not a bundle"),
    (["evaluate", "a-file", "parts"], "a-file: is not a bundle"),
    (["evaluate", "altered.cobnut", "parts"], "altered.cobnut/manifest.json: was altered after training"),
    (["evaluate", "gone.cobnut", "parts"], "gone.cobnut/model.onnx: is missing from the bundle"),
    (["evaluate", "cut.cobnut", "parts"], "cut.cobnut/model.onnx: is damaged or was altered"),
    (["evaluate", "ok.cobnut", "nowhere"], "nowhere: no such folder"),
    (["evaluate", "ok.cobnut", "few"], "there is no test image"),
    (["evaluate", "ok.cobnut", "parts", "--json", "empty"], "--json empty: is a folder; name a file"),
    (["evaluate", "ok.cobnut", "parts", "--report", "a-file/x.html"], "a-file is a file, not a folder"),
    # inspection
    (["inspect", "nowhere", "parts"], "nowhere: no such bundle"),
    (["inspect", "altered.cobnut", "parts"], "was altered after training"),
    (["inspect", "ok.cobnut", "nowhere.png"], "nowhere.png: no such file or folder"),
    (["inspect", "ok.cobnut", "empty"], "empty: holds no image"),
    (["inspect", "ok.cobnut", "parts", "--out", "rows.xlsx"], "cannot write .xlsx; use .csv, .jsonl, .parquet"),
    (["inspect", "ok.cobnut", "parts", "--out", "rows"], "cannot write a file without ending"),
    (["inspect", "ok.cobnut", "parts", "--out", "empty"], "--out empty: is a folder"),
    (
        ["inspect", "ok.cobnut", "parts", "--out", "rows.csv", "--maps", "a-file"],
        "a file stands where a folder is needed",
    ),
    # studies
    ([*STUDY], "name at least one data set, for example cobnut study photos/hazelnut"),
    ([*STUDY, "nowhere"], "nowhere: no such folder"),
    ([*STUDY, "few"], "few: holds no defective test image"),
    ([*STUDY, "parts", "parts"], "two data sets named parts; rename one of the folders"),
    ([*STUDY, "parts", "--recipes", "cae,cat"], "recipe 'cat': there is none; valid are cae"),
    ([*STUDY, "parts", "--recipes", "cae", "--recipes", "cae"], "cae and cae: two recipes named cae"),
    ([*STUDY, "parts", "--recipes", "loss.toml"], "training.loss.hinge: there is no such loss"),
    ([*STUDY, "parts", "--set", "training.epoch=1"], "did you mean training.epochs"),
    (["study", "parts", "--out", "a-file"], "a-file: a file stands where a folder is needed"),
    (["study", "parts", "--out", "a-file/new"], "a file stands where a folder is needed"),
    (["study", "parts", "--out", "no-layout"], "no-layout: exists and is not the folder of a study"),
    # the rest
    (["recipes", "cat"], "recipe 'cat': there is none"),
    (["parts", "--out", "parts"], "parts: is not an empty folder; name another"),
    (["demo", "--out", "a-file"], "a file stands where a folder is needed"),
    (["inspect", "ok.cobnut", "parts", "--maps", "parts/maps"], "lies among the images"),
    (["evaluate", "ok.cobnut", "parts", "--json", "x", "--report", "x"], "--json and --report both name x"),
    (["download", "kolektor", "x"], "kolektor: no such data set; valid is mvtec"),
    (["download", "mvtec"], "no category named"),
    (["download", "mvtec", "nut"], "nut: no such category of MVTec AD; name some of bottle"),
    (["download", "mvtec", "nut", "--all"], "name categories or say --all, not both"),
    (["download", "mvtec", "screw", "pill", "--sha256", "0"], "proves one archive"),
]


@pytest.mark.parametrize(("words", "told"), COMMANDS, ids=[" ".join(words) for words, _ in COMMANDS])
def test_a_mistake_is_told_in_one_line(place: Path, run: Callable[..., Run], words: list[str], told: str) -> None:
    before = sorted(place.rglob("*"))
    if words[0] == "train":
        words = [words[0], *(part for setting in TINY for part in ("--set", setting)), *words[1:]]
    done = run(*words)
    assert done.code == 2
    assert told in done.err
    assert done.err.strip().splitlines()[-1].startswith("error: ")
    assert "Traceback" not in done.err
    left = [path for path in sorted(place.rglob("*")) if path not in before and ".run" not in path.as_posix()]
    assert not left, "a refused command leaves nothing behind"


USAGE: list[tuple[list[str], str]] = [
    (["trian"], "No such command 'trian'"),
    (
        ["trian"],
        "valid are demo, train, evaluate, compare, inspect, batch, calibrate, replay, rollback, export, drift",
    ),
    (["train", "parts"], "Missing option '--out'"),
    (["train", "parts", "--out", "x", "--epochs", "3"], "No such option"),
    (
        ["train", "parts", "--out", "x", "--epochs", "3"],
        "valid are --out, --recipe, --effort, --good, --defective, --inspect-only",
    ),
    (["train", "parts", "--out", "x", "--seed", "-1"], "Invalid value for '--seed'"),
    (["study", "parts"], "Missing option '--out'"),
    (["study", "parts", "--out", "x", "--seeds", "0"], "Invalid value for '--seeds'"),
    (["evaluate"], "Missing argument 'BUNDLE'"),
    (["inspect", "ok.cobnut"], "Missing argument 'IMAGE|DIR'"),
    (["parts", "--out", "x", "--side", "8"], "Invalid value for '--side'"),
    (["download"], "Missing argument 'DATASET'"),
]


@pytest.mark.parametrize(("words", "told"), USAGE, ids=[f"{' '.join(words)}: {told}" for words, told in USAGE])
def test_a_wrong_option_is_told_in_one_line_too(run: Callable[..., Run], words: list[str], told: str) -> None:
    done = run(*words)
    assert done.code == 2
    assert told in done.err
    assert done.err.startswith("error: ")
    assert done.err.count("\n") == 1


def test_there_are_more_than_sixty_of_them() -> None:
    assert len(COMMANDS) > 60
