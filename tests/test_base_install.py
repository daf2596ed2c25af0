"""A line PC installs `cobnut` alone: there, bundles give the verdicts that they gave where they were trained.

The environment is a real one, of the packages that the base install names and what those need, and nothing else.
"""

import csv
import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import Distribution, distribution
from importlib.util import cache_from_source
from pathlib import Path

import numpy as np
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from cobnut.data.layouts import image_files, read_dataset
from cobnut.evaluation.evaluate import evaluate
from cobnut.recipe import read_recipe
from cobnut.runtime.inspect import Inspector
from cobnut.training.train import train
from program import TINY_FEATURE

pytestmark = pytest.mark.long
ROOT = Path(__file__).parents[1]
LEFT_OUT = (
    *("torch", "timm", "lightning", "onnx", "safetensors", "scipy", "sklearn", "pyarrow", "matplotlib", "jinja2"),
    *("openvino", "cryptography", "ray", "fsspec"),
)
CLOSE = 1e-6


@dataclass(frozen=True)
class Base:
    """The Python of an environment that holds the base install."""

    python: Path

    def run(self, *words: object, code: int = 0) -> subprocess.CompletedProcess[str]:
        """Run Python there as somebody who has nothing else would."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        command = [str(word) for word in (self.python, *words)]
        place = self.python.parents[2]
        done = subprocess.run(command, env=environment, cwd=place, capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stderr
        return done


def closure(requirements: Sequence[str]) -> list[Distribution]:
    """The distributions that these requirements bring, as they are installed here."""
    found: dict[str, Distribution] = {}
    waiting = [(Requirement(text), "") for text in requirements]
    while waiting:
        requirement, extra = waiting.pop()
        name = canonicalize_name(requirement.name)
        if name in found or (requirement.marker and not requirement.marker.evaluate({"extra": extra})):
            continue
        found[name] = distribution(name)
        waiting += [
            (Requirement(text), each) for text in found[name].requires or () for each in requirement.extras or [""]
        ]
    return list(found.values())


def link(each: Distribution, site: Path) -> None:
    """Put a distribution's files, and what Python has compiled of them, where they would be installed."""
    assert each.files
    for file in each.files:
        source = Path(str(each.locate_file(file)))
        if ".." in file.parts or "__pycache__" in file.parts or not source.is_file():
            continue
        places = {source: site / file}
        if source.suffix == ".py" and (compiled := Path(cache_from_source(str(source)))).is_file():
            places[compiled] = (site / file).parent / "__pycache__" / compiled.name
        for here, there in places.items():
            there.parent.mkdir(parents=True, exist_ok=True)
            there.symlink_to(here)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Base:
    place = tmp_path_factory.mktemp("base") / "line"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", place], check=True)
    site = next(place.glob("lib/python*/site-packages"))
    assert list(site.iterdir()) == []
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for each in closure(project["dependencies"]):
        link(each, site)
    (site / "cobnut").symlink_to(ROOT / "src" / "cobnut")
    return Base(place / "bin" / "python")


def test_nothing_of_the_training_is_there(base: Base) -> None:
    code = f"import sys; from importlib.util import find_spec; print([n for n in {LEFT_OUT!r} if find_spec(n)])"
    assert base.run("-c", code).stdout == "[]\n"
    assert "cobnut inspect" in base.run("-m", "cobnut", "inspect", "--help").stdout


def test_it_takes_less_than_250_megabytes(base: Base) -> None:
    site = next(base.python.parents[1].glob("lib/python*/site-packages"))
    assert sum(path.stat().st_size for path in site.rglob("*") if path.is_file()) < 250e6


def test_the_command_line_gives_the_verdicts_that_the_full_environment_gives(
    base: Base, bundle: Path, parts: Path, tmp_path: Path
) -> None:
    base.run("-m", "cobnut", "inspect", bundle, parts / "test", "--out", tmp_path / "rows.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    paths = image_files(parts / "test")
    assert [row["path"] for row in rows] == [str(path) for path in paths]
    inspector = Inspector(bundle)
    for row, verdict in zip(rows, inspector.inspect_files(paths), strict=True):
        assert not isinstance(verdict, Exception)
        assert row["score"] == pytest.approx(verdict.score, rel=CLOSE)
        for name in ("threshold", "is_defective", "p_value", "brightness", "sharpness"):
            assert row[name] == getattr(verdict, name)


def test_a_program_gets_the_verdicts_that_the_full_environment_gives(base: Base, bundle: Path, parts: Path) -> None:
    code = (
        "import json, sys\n"
        "from cobnut import Inspector\n"
        "inspector = Inspector(sys.argv[1])\n"
        "verdicts = [inspector.inspect(path) for path in sys.argv[2:]]\n"
        "print(json.dumps([[v.score, v.is_defective, v.p_value, v.anomaly_map.tolist()] for v in verdicts]))\n"
    )
    paths = image_files(parts / "test")
    told = json.loads(base.run("-c", code, bundle, *paths).stdout)
    inspector = Inspector(bundle)
    for path, (score, is_defective, p_value, values) in zip(paths, told, strict=True):
        verdict = inspector.inspect(path)
        assert (is_defective, p_value) == (verdict.is_defective, verdict.p_value)
        assert score == pytest.approx(verdict.score, rel=CLOSE)
        np.testing.assert_allclose(values, verdict.anomaly_map, rtol=CLOSE, atol=CLOSE)


@pytest.mark.parametrize(
    ("words", "extra"),
    [
        (["train", "PARTS", "--out", "NEW"], "train"),
        (["demo", "--out", "NEW"], "train"),
        (["export", "BUNDLE", "PARTS", "--to", "float16", "--out", "NEW"], "train"),
        (["study", "PARTS", "--out", "NEW"], "train"),
        (["tune", "PARTS", "--out", "NEW"], "tune"),
        (["evaluate", "BUNDLE", "PARTS"], "report"),
        (["calibrate", "BUNDLE", "PARTS", "--defective", "PARTS"], "report"),
        (["audit", "PARTS", "--report", "NEW"], "report"),
        (["drift", "BUNDLE", "LOG", "--report", "NEW"], "report"),
        (["inspect", "BUNDLE", "PARTS", "--out", "NEW.parquet"], "parquet"),
        (["inspect", "BUNDLE", "PARTS", "--require-signature", "BUNDLE/manifest.json"], "sign"),
        (["keys", "NEW"], "sign"),
    ],
)
def test_a_command_that_needs_more_says_in_one_line_what_to_install(
    base: Base, bundle: Path, parts: Path, tmp_path: Path, words: list[str], extra: str
) -> None:
    for name, place in (("PARTS", parts), ("BUNDLE", bundle), ("NEW", tmp_path / "new")):
        words = [word.replace(name, str(place)) for word in words]
    done = base.run("-m", "cobnut", *words, code=2)
    assert done.stdout == ""
    assert done.stderr.endswith(f"which is not installed: pip install 'cobnut[{extra}]'\n")
    assert len(done.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_what_needs_no_more_works_and_a_batch_gives_the_verdicts_of_the_full_environment(
    base: Base, bundle: Path, parts: Path, tmp_path: Path
) -> None:
    for words in (
        ["recipes"],
        ["data", parts],
        ["verify", bundle],
        ["rollback", bundle, "--list"],
        ["compare", bundle, bundle, parts],
        ["replay", bundle, bundle, parts / "test"],
        ["inspect", bundle, parts / "test", "--log", tmp_path / "log.jsonl", "--maps", tmp_path / "maps"],
        ["drift", bundle, tmp_path / "log.jsonl"],
        ["batch", bundle, parts / "test", "--out", tmp_path / "many"],
    ):
        base.run("-m", "cobnut", *words)
    inspector = Inspector(bundle)
    with (tmp_path / "many" / "verdicts.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(list((parts / "test").rglob("*.png")))
    for row in rows:
        verdict = inspector.inspect(row["path"])
        assert float(row["score"]) == pytest.approx(verdict.score, rel=1e-6)
        assert row["is_defective"] == str(verdict.is_defective)


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_real_bottles_get_the_verdicts_of_their_evaluation(base: Base, real_data: Path, tmp_path: Path) -> None:
    every = read_dataset(real_data / "mvtec" / "bottle")
    samples = [each for place, each in enumerate(every) if each.split == "test" or place % 5 == 0]
    train(samples, read_recipe("feature", TINY_FEATURE), tmp_path / "bottle.cobnut", loggers=())
    evaluation = evaluate(Inspector(tmp_path / "bottle.cobnut"), samples, "bottle")
    judged = {str(each.sample.path): each for each in evaluation.judged}
    base.run("-m", "cobnut", "inspect", tmp_path / "bottle.cobnut", *judged, "--out", tmp_path / "rows.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    assert [row["path"] for row in rows] == list(judged)
    assert len(rows) > 80
    for row in rows:
        assert row["score"] == pytest.approx(judged[row["path"]].score, rel=CLOSE)
        assert row["is_defective"] == judged[row["path"]].is_rejected
