"""A trial belongs to one worker; one whose worker is dead is taken up, here by its lock, elsewhere by its silence."""

import time
from pathlib import Path

import pytest

from cobnut.recipe import Recipe
from cobnut.records import Sample
from cobnut.study.claims import DEAD_AFTER_SECONDS, claim
from cobnut.study.ledger import quiet
from searching import open_search, small_task


def test_a_trial_is_claimed_once_and_again_when_its_worker_is_gone(
    samples: list[Sample], tiny_recipe: Recipe, tmp_path: Path
) -> None:
    task = small_task(samples, tiny_recipe)
    with open_search(tmp_path / "out", task) as ledger, quiet():
        with claim(ledger, task.space, 2, 0) as first, claim(ledger, task.space, 2, 0) as second:
            assert first is not None
            assert second is not None
            assert (first.trial.number, second.trial.number) == (0, 1)
            settings = second.trial.params
            with claim(ledger, task.space, 2, 0) as third:
                assert third is None
        with claim(ledger, task.space, 2, 0), claim(ledger, task.space, 2, 0) as again:
            assert again is not None
            assert (again.trial.number, again.trial.params) == (1, settings)


@pytest.mark.parametrize("is_at_home", [True, False])
@pytest.mark.parametrize(("silence", "is_taken"), [(10.0, False), (DEAD_AFTER_SECONDS + 10, True)])
def test_a_worker_elsewhere_is_given_up_when_it_is_silent(
    samples: list[Sample], tiny_recipe: Recipe, tmp_path: Path, silence: float, is_taken: bool, is_at_home: bool
) -> None:
    task = small_task(samples, tiny_recipe)
    storage = f"sqlite:///{tmp_path / 'shared.db'}"
    with (
        open_search(tmp_path / "elsewhere", task, storage) as ledger,
        quiet(),
        claim(ledger, task.space, 1, 0) as claimed,
    ):
        assert claimed is not None
        claimed.trial.set_user_attr("sign_of_life", time.time() - silence)
        if not is_at_home:  # it has just begun
            claimed.trial.set_user_attr("home", None)
    with open_search(tmp_path / "here", task, storage) as ledger, quiet(), claim(ledger, task.space, 1, 0) as found:
        assert (found is not None) == is_taken
