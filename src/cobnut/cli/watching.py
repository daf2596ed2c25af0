"""How a bar follows one training among several, in a study or in a search."""

from typing import TYPE_CHECKING

from rich.progress import Progress

if TYPE_CHECKING:
    from cobnut.options import TrainingOptions
    from cobnut.records import Split
    from cobnut.training.train import Listeners


def training_listeners(bar: Progress, name: str, training: "TrainingOptions") -> "Listeners":
    """Show the epochs of the training called ``name``, out of as many as its images allow, and then its stages."""
    from cobnut.training.train import Listeners

    task, epochs = bar.task_ids[0], training.epochs

    def on_split(counts: "dict[Split, int]") -> None:
        nonlocal epochs
        epochs = training.epochs_for(counts["train"])

    return Listeners(
        on_split=on_split,
        on_features=lambda done, total: bar.update(
            task, description=f"{name}: computing features", completed=done, total=total
        ),
        on_epoch=lambda epoch, best_epoch: bar.update(
            task,
            description=f"{name}: training",
            completed=epoch.epoch,
            total=epochs,
            remark=f"validation {epoch.val_loss:.5f}  best epoch {best_epoch}",
        ),
        on_stage=lambda stage: bar.update(task, description=f"{name}: {stage}", total=None, remark=""),
    )
