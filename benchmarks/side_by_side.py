"""The tables of `against_anomalib.py`: figures of each detector, and by how much one is better than the other."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

from machine import machine_line, markdown_table

Row = dict[str, Any]
HEADS = (
    *("data", "detector", "deployed as"),
    *("image AUROC", "false alarms", "misses"),
    *("training, s", "an image, ms", "p99", "of the processor, ms"),
    *("memory training, MB", "inspecting, MB", "deployed, MB", "import, s", "first verdict after, s"),
)
RATIO_HEADS = (
    *("data", "of", "to", "ms an image", "by the processor", "training", "by the processor"),
    *("deployed bytes", "installed bytes", "AUROC, ours − theirs"),
)
TARGETS = {"inspection": 10.0, "training": 5.0, "deployed": 10.0, "installed": 10.0}


def summarise(rows: Sequence[Row]) -> list[Row]:
    """One row each data, detector and way to deploy it."""
    fits = {(row["data"], row["detector"]): row for row in rows if row["phase"] == "fit"}
    ways = dict.fromkeys((row["data"], row["detector"], row["way"]) for row in rows if row["phase"] == "inspect")
    order = {key: place for place, key in enumerate(fits)}
    return [
        _row(fits[way[:2]], [r for r in rows if _key(r) == way]) for way in sorted(ways, key=lambda w: order[w[:2]])
    ]


def _row(fitted: Row, inspected: Sequence[Row]) -> Row:
    judged = next(row for row in inspected if row["round"] == 0)
    rounds = {row["round"]: row for row in inspected if row["round"]}
    truth, labels = np.array(judged["truth"]), np.array(judged["labels"])
    times = np.concatenate([row["ms"] for row in rounds.values()])
    export = fitted["exports"][judged["way"]]
    median = {
        name: float(np.median([row[name] for row in rounds.values()]))
        for name in ("import_seconds", "first_verdict_seconds", "memory_mb")
    }
    return {
        "data": fitted["data"],
        "detector": fitted["detector"],
        "way": judged["way"],
        "size": fitted.get("size", [256, 256]),
        "auroc": float(roc_auc_score(truth, judged["scores"])),
        # before it is exported, by scores that are not yet brought into 0 to 1
        "auroc_in_training": float(roc_auc_score(truth, fitted["scores"])) if "scores" in fitted else None,
        "false_alarms": [int((labels & ~truth).sum()), int((~truth).sum())],
        "misses": [int((~labels & truth).sum()), int(truth.sum())],
        "seconds": fitted["seconds"],
        "processor_seconds": fitted["processor_seconds"],
        "ms": float(np.median(times)),
        "ms_p99": float(np.percentile(times, 99)),
        "processor_ms": float(np.median(np.concatenate([row["processor_ms"] for row in rounds.values()]))),
        "ms_by_round": {number: float(np.median(row["ms"])) for number, row in rounds.items()},
        "processor_ms_by_round": {number: float(np.median(row["processor_ms"])) for number, row in rounds.items()},
        "training_mb": fitted["memory_mb"],
        "bytes": export["bytes"],
        "bytes_with_weights": export.get("bytes_with_weights"),
        **median,
    }


def best_ways(rows: Sequence[Row]) -> dict[tuple[str, str], Row]:
    """Of each detector the quickest way to deploy it, with the bytes of its smallest that ranks as well."""
    found: dict[tuple[str, str], Row] = {}
    for row in rows:
        key = (row["data"], row["detector"])
        others = [other for other in rows if (other["data"], other["detector"]) == key]
        quickest = min(others, key=lambda other: other["processor_ms"])
        good = [other for other in others if other["auroc"] >= max(each["auroc"] for each in others) - 0.005]
        smallest = min(good, key=lambda other: other["bytes"])
        found[key] = {**quickest, "bytes": smallest["bytes"], "auroc": max(each["auroc"] for each in others)}
        found[key]["auroc"] = max(found[key]["auroc"], quickest["auroc_in_training"] or 0)
    return found


def ratios(rows: Sequence[Row], installed: dict[str, int]) -> list[Row]:
    """How many times better ours is than each of anomalib's; of times also the lowest and the highest of the rounds."""
    best = list(best_ways(rows).values())
    pairs = [(theirs, ours) for theirs in best for ours in best if theirs["data"] == ours["data"]]
    return [
        {
            "data": theirs["data"],
            "of": theirs["detector"],
            "to": ours["detector"],
            "inspection": _by_round(theirs, ours, "ms"),
            "inspection_processor": _by_round(theirs, ours, "processor_ms"),
            "training": theirs["seconds"] / ours["seconds"],
            "training_processor": theirs["processor_seconds"] / ours["processor_seconds"],
            "deployed": theirs["bytes"] / ours["bytes"],
            "installed": installed["anomalib"] / installed["cobnut base"],
            "auroc": ours["auroc"] - theirs["auroc"],
        }
        for theirs, ours in pairs
        if _is_ours(ours) and not _is_ours(theirs)
    ]


def _is_ours(row: Row) -> bool:
    return str(row["detector"]).startswith("Cobnut")


def describe(figures: Row) -> str:
    """Everything as Markdown."""
    rows = summarise(figures["rows"])
    installed = figures["installed_bytes"]
    packages = {
        whose: ", ".join(f"{name} {version}" for name, version in found.items())
        for whose, found in figures["versions"].items()
    }
    return "\n".join(
        [
            "# Against anomalib, on the same encoder and the same images\n",
            f"Measured by `benchmarks/against_anomalib.py` on {machine_line(figures['machine'])}; "
            f"{figures['threads']} thread(s) each. anomalib's environment: {packages['anomalib']}; "
            f"ours: {packages['cobnut base']}.\n",
            markdown_table(HEADS, [_cells(row) for row in rows], words=3),
            _notes(),
            "## How many times less\n",
            markdown_table(
                RATIO_HEADS,
                [_ratio_cells(row) for row in ratios(rows, installed)],
                words=3,
            ),
            f"Aimed at: {', '.join(f'{name} ≥ {least:g}' for name, least in TARGETS.items())}, AUROC not lower.\n",
            "## What the runtime takes on disk\n",
            markdown_table(["environment", "MB"], [[name, f"{size / 1e6:.0f}"] for name, size in installed.items()]),
        ]
    )


def _notes() -> str:
    return """\
All see `tf_efficientnet_lite0` with the same weights: PatchCore at strides 8 and 16, PaDiM at 4, 8 and 16 with 100
channels, the strides that anomalib takes of a ResNet; all at 256 × 256 pixels, but «Cobnut» at the size that it
takes by default. AUROC is scikit-learn's on what the deployed model answers; in brackets that of anomalib's model
in training, whose scores are not yet cut to 0…1 and whose images are shrunk with antialiasing. anomalib's threshold
is the one of highest F1 on the **test images themselves**, its default for MVTec AD, so its false alarms and misses
flatter; ours is set by good calibration images and has seen no test image. anomalib's training seconds leave that
validation and the export out; ours hold calibration and the proved export. An image's milliseconds go from file to
verdict, one at a time, by the tool's own inferencer. Memory is the most that the process had, anomalib's without
its validation, which takes more. What Cobnut deploys is the bundle without the weights for going on training, which
the second number holds. The ratios take of each of anomalib's detectors the quickest way to deploy it, the bytes of
its smallest that ranks as well (to 0.005), and its highest AUROC.

EfficientAD is not here: its teacher's weights and the Imagenette images that it trains with come from the web alone.
"""


def _cells(row: Row) -> list[str]:
    auroc = f"{row['auroc']:.3f}" + (f" ({row['auroc_in_training']:.3f})" if row["auroc_in_training"] else "")
    size = f"{row['bytes'] / 1e6:.1f}" + (
        f" ({row['bytes_with_weights'] / 1e6:.1f})" if row["bytes_with_weights"] else ""
    )
    height, width = row["size"]
    return [
        row["data"],
        f"{row['detector']} ({height} × {width})",
        row["way"],
        auroc,
        "{} of {}".format(*row["false_alarms"]),
        "{} of {}".format(*row["misses"]),
        f"{row['seconds']:.0f}",
        f"{row['ms']:.1f}",
        f"{row['ms_p99']:.1f}",
        f"{row['processor_ms']:.1f}",
        f"{row['training_mb']:.0f}",
        f"{row['memory_mb']:.0f}",
        size,
        f"{row['import_seconds']:.2f}",
        f"{row['first_verdict_seconds']:.2f}",
    ]


def _ratio_cells(row: Row) -> list[str]:
    return [
        row["data"],
        row["of"],
        row["to"],
        *("{:.1f} ({:.1f}–{:.1f})".format(*row[name]) for name in ("inspection", "inspection_processor")),
        *(f"{row[name]:.1f}" for name in ("training", "training_processor", "deployed", "installed")),
        f"{row['auroc']:+.3f}",
    ]


def _by_round(theirs: Row, ours: Row, name: str) -> list[float]:
    """The median ratio over the rounds, the lowest and the highest."""
    a, b = theirs[f"{name}_by_round"], ours[f"{name}_by_round"]
    each = [a[number] / b[number] for number in a if number in b]
    return [float(np.median(each)), min(each), max(each)]


def _key(row: Row) -> tuple[str, str, str] | None:
    return (row["data"], row["detector"], row["way"]) if row["phase"] == "inspect" else None
