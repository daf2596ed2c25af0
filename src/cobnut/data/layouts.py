"""The three ways in which a data set may lie on disk, read into one list of samples."""

import csv
from collections.abc import Iterator
from pathlib import Path, PurePath
from typing import cast, get_args

from cobnut.errors import DataError
from cobnut.records import Label, Sample, Split

RUN_NOTE = "run.json"  # what `training/train.py` leaves in the folder of a run
IMAGE_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"}


def read_dataset(data: Path | None = None, good: Path | None = None, defective: Path | None = None) -> list[Sample]:
    """Read an MVTec folder or a CSV manifest (``data``), or a folder of ``good`` images and one of ``defective``.

    Good images come back with split ``train`` unless the data set puts them elsewhere; :mod:`cobnut.data.split` deals
    out the rest. Raises :class:`DataError` with the way to mend it.
    """
    if (data is None) == (good is None):
        raise DataError("name one data set: a folder in MVTec layout, a CSV manifest, or --good DIR [--defective DIR]")
    if data is None:
        assert good is not None
        return _read_pair(good, defective)
    if defective is not None:
        raise DataError(f"--defective {defective}: goes with --good DIR, not with a data set ({data})")
    if data.suffix.lower() == ".csv":
        return _read_csv(data)
    return _read_mvtec(data)


def image_files(folder: Path) -> list[Path]:
    """The photographs below ``folder`` by suffix, sorted: no hidden files, no masks, no pictures of a training run."""
    own = {note.parent for note in folder.rglob(f"*.run/{RUN_NOTE}")}
    return sorted(
        path
        for path in folder.rglob("*")
        if is_photograph(path.relative_to(folder)) and path.is_file() and own.isdisjoint(path.parents)
    )


def is_photograph(path: PurePath) -> bool:
    """Whether a path below the folder that was named is a photograph's: by its suffix, not hidden, and no mask."""
    is_left_out = any(part.startswith(".") or part == "ground_truth" for part in path.parts)
    return path.suffix.lower() in IMAGE_SUFFIXES and not is_left_out


def _read_mvtec(root: Path) -> list[Sample]:
    if not root.is_dir():
        raise DataError(f"{root}: no such folder; name a folder in MVTec layout, a CSV manifest, or --good DIR")
    if not (root / "train" / "good").is_dir() and not (root / "test").is_dir():
        raise DataError(_why_not_mvtec(root))
    strangers = [folder.name for folder in _folders(root / "train") if folder.name != "good"]
    if strangers:
        raise DataError(
            f"{root / 'train'}: holds {', '.join(strangers)}, but only good parts may train; move them to test"
        )
    samples = [Sample(path, "train", "good") for path in image_files(root / "train" / "good")]
    for folder in _folders(root / "test"):
        samples += _read_class(root, folder)
    return _require_any(samples, root)


def _read_class(root: Path, folder: Path) -> Iterator[Sample]:
    for path in image_files(folder):
        if folder.name == "good":
            yield Sample(path, "test", "good")
        else:
            yield Sample(path, "test", "defective", folder.name, _find_mask(root / "ground_truth" / folder.name, path))


def _find_mask(folder: Path, image: Path) -> Path | None:
    candidates = (folder / f"{image.stem}{ending}" for ending in ("_mask.png", ".png", "_mask.bmp", ".bmp"))
    return next((path for path in candidates if path.is_file()), None)


def _read_pair(good: Path, defective: Path | None) -> list[Sample]:
    for folder in filter(None, (good, defective)):
        if not folder.is_dir():
            raise DataError(f"{folder}: no such folder")
    samples = [Sample(path, "train", "good") for path in image_files(good)]
    if defective is not None:
        paths = image_files(defective)
        if not paths:
            _require_any([], defective)
        if shared := set(paths) & {sample.path for sample in samples}:
            raise DataError(f"{min(shared)}: stands below both --good and --defective; part the two folders")
        samples += [Sample(path, "test", "defective", _type_in(defective, path)) for path in paths]
    return _require_any(samples, good)


def _type_in(folder: Path, path: Path) -> str:
    first = path.relative_to(folder).parts[0]
    if first == "good":
        raise DataError(
            f"{folder / first}: a folder of good parts among defective ones; move it to --good, or rename it"
        )
    return first if first != path.name else "defective"


def _read_csv(manifest: Path) -> list[Sample]:
    if not manifest.is_file():
        raise DataError(f"{manifest}: no such file")
    try:
        text = manifest.read_text(encoding="utf-8-sig")
        delimiter = max(",;\t", key=text.partition("\n")[0].count)
        header, *rows = list(csv.reader(text.splitlines(), delimiter=delimiter)) or [[]]
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{manifest}: not a CSV file in UTF-8 ({error}); save it as «CSV UTF-8»") from None
    columns = [name.strip().lower() for name in header]
    if missing := {"path", "label"} - set(columns):
        raise DataError(
            f"{manifest}: lacks the column {', '.join(sorted(missing))}; "
            "it needs path and label, and may have split, defect_type and mask"
        )
    samples = [
        _sample_of_row(manifest, number, dict(zip(columns, map(str.strip, row), strict=False)))
        for number, row in enumerate(rows, start=2)
        if row
    ]
    return _require_any(samples, manifest)


def _sample_of_row(manifest: Path, number: int, cells: dict[str, str]) -> Sample:
    place = f"{manifest} line {number}"
    label = cells.get("label", "").lower()
    if label not in get_args(Label):
        raise DataError(f"{place}: label {label!r} is not one of {', '.join(get_args(Label))}")
    split = cells.get("split") or ("train" if label == "good" else "test")
    if split not in get_args(Split):
        raise DataError(f"{place}: split {split!r} is not one of {', '.join(get_args(Split))}")
    if label == "defective" and split != "test":
        raise DataError(f"{place}: a defective image in {split}; only good ones may stand there: set its split to test")
    path, mask = manifest.parent / cells.get("path", ""), cells.get("mask", "")
    if not path.is_file():
        raise DataError(f"{place}: no such image: {path}")
    mask_path = manifest.parent / mask if mask else None
    if mask_path is not None and not mask_path.is_file():
        raise DataError(f"{place}: no such mask: {mask_path}; leave the cell empty when there is none")
    defect_type = "good" if label == "good" else cells.get("defect_type") or "defective"
    if label == "defective" and defect_type == "good":
        raise DataError(f"{place}: defect_type 'good' on a defective image; name the defect or leave the cell empty")
    return Sample(path, cast(Split, split), cast(Label, label), defect_type, mask_path)


def _require_any(samples: list[Sample], place: Path) -> list[Sample]:
    if not samples:
        raise DataError(f"{place}: holds no image (looked for {', '.join(sorted(IMAGE_SUFFIXES))})")
    return samples


def _why_not_mvtec(root: Path) -> str:
    inside = [folder.name for folder in _folders(root) if (folder / "train" / "good").is_dir()]
    if inside:
        return f"{root}: holds several data sets ({', '.join(inside)}); name one, for example {root / inside[0]}"
    images = len(image_files(root))
    hint = f"; it holds {images} images: if they are all good parts, say --good {root}" if images else ""
    return f"{root}: not in MVTec layout, there is no folder train/good{hint}"


def _folders(root: Path) -> list[Path]:
    if not root.is_dir():
        return []
    return sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
