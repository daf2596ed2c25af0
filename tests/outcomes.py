"""Finished cells of a study built by hand, without training."""

from pathlib import Path

import numpy as np
from PIL import Image

from cobnut.evaluation.answers import Answers
from cobnut.evaluation.metrics import Confusion
from cobnut.evaluation.outcome import JudgedImage, Outcome
from cobnut.pictures import grid, save_picture
from cobnut.recipe import parse_recipe
from cobnut.runtime.bundle import Epoch

TYPES = ("cut", "hole", "good")


def make_outcome(
    root: Path, recipe: str = "cae", skill: float = 1.0, seed: int = 0, category: str = "parts", count: int = 12
) -> Outcome:
    """An outcome over ``count`` images of each class, drawn below ``root``; ``skill`` parts good from defective."""
    random = np.random.default_rng([seed, len(recipe)])
    images = []
    for number in range(len(TYPES) * count):
        defect_type = TYPES[number % len(TYPES)]
        is_defective = defect_type != "good"
        path, mask = _draw(root, number, is_defective)
        score = float(np.random.default_rng(number).normal() + 0.3 * random.normal() + skill * is_defective)
        images.append(
            JudgedImage(
                content=f"{number:064x}", path=path, mask_path=mask, defect_type=defect_type,
                is_defective=is_defective, score=score, is_rejected=score > skill / 2,
            )
        )  # fmt: skip
    return Outcome(
        category=category,
        recipe=parse_recipe({"name": recipe, "about": f"about {recipe}", "seed": seed}, source="the test"),
        data="d",
        bundle=root / f"{recipe}.cobnut",
        threshold=max(skill / 2, 0.01),
        figures=_figures(images),
        intervals={},
        images=images,
        unreadable=[],
        history=[
            Epoch(
                epoch=n, train_loss=1 / n, val_loss=1.1 / n, train_mse=0.01, val_mse=0.02, learning_rate=0.1, seconds=2
            )
            for n in range(1, 6)
        ],
        best_epoch=4,
        parameters=1_234_567,
        train_seconds=75.0 + seed,
        ms_per_image=4.5,
        versions={"cobnut": "0.1.0"},
    )


def leave_pictures(outcome: Outcome) -> None:
    """Pictures as a training leaves them beside its bundle."""
    row = [np.full((16, 16, 3), 40 * n, np.uint8) for n in range(5)]
    for epoch in (1, 3, 5):
        name = f"{outcome.bundle.name}.run"
        save_picture(grid([row, row]), outcome.bundle.with_name(name) / "reconstructions" / f"epoch-{epoch:04}.png")


def _figures(images: list[JudgedImage]) -> dict[str, float | None]:
    truth = np.array([each.is_defective for each in images])
    called = np.array([each.is_rejected for each in images])
    answers = Answers(np.array([[each.score for each in images]]), called[None], truth)
    confusion = Confusion.of(truth, called)
    names = ("accuracy", "f1", "precision", "recall", "false_alarm_rate", "miss_rate")
    rates: dict[str, float | None] = {name: getattr(confusion, name) for name in names}
    return rates | {"image_auroc": float(answers.wins().mean()), "pro": 0.5, "pixel_auroc": None, "pixel_ap": None}


def _draw(root: Path, number: int, is_defective: bool) -> tuple[Path, Path | None]:
    path, mask = root / "images" / f"{number:03}.png", root / "masks" / f"{number:03}.png"
    if not path.exists():
        for each in (path, mask):
            each.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (24, 20), (90, 120, 60)).save(path)
        marked = Image.new("L", (24, 20))
        marked.paste(255, (5, 5, 15, 12))
        marked.save(mask)
    return path, mask if is_defective else None
