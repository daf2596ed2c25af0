"""A trial belongs to one worker; one whose worker is dead is taken up, here by its lock, elsewhere by its silence."""

import time
from pathlib import Path

import pytest

from cobnut.recipe import Recipe
from cobnut.records import Sample
from cobnut.study.claims import BORN_WITHIN_SECONDS, DEAD_AFTER_SECONDS, claim
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


def test_a_trial_that_was_killed_at_birth_is_taken_up_at_once_where_no_one_else_can_be(
    samples: list[Sample], tiny_recipe: Recipe, tmp_path: Path
) -> None:
    task = small_task(samples, tiny_recipe)
    with open_search(tmp_path / "out", task) as ledger, quiet():
        ledger.study.ask()  # and dead before it could say where
        with claim(ledger, task.space, 1, 0) as found:
            assert found is not None
            assert found.trial.number == 0


def test_on_a_shared_storage_a_minute_is_waited_for_one_killed_at_birth(
    samples: list[Sample], tiny_recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = small_task(samples, tiny_recipe)
    with open_search(tmp_path / "out", task, f"sqlite:///{tmp_path / 'shared.db'}") as ledger, quiet():
        ledger.study.ask()
        with claim(ledger, task.space, 1, 0) as found:
            assert found is None
        later = time.time() + BORN_WITHIN_SECONDS + 1
        monkeypatch.setattr("cobnut.study.claims.time.time", lambda: later)
        with claim(ledger, task.space, 1, 0) as found:
            assert found is not None


def test_a_dead_worker_of_another_folder_is_known_by_its_lock_where_that_can_be_seen(
    samples: list[Sample], tiny_recipe: Recipe, tmp_path: Path
) -> None:
    task = small_task(samples, tiny_recipe)
    storage = f"sqlite:///{tmp_path / 'shared.db'}"
    with open_search(tmp_path / "there", task, storage) as there, open_search(tmp_path / "here", task, storage) as here:
        with quiet(), claim(there, task.space, 1, 0), claim(here, task.space, 1, 0) as found:
            assert found is None, "its worker lives"
        with quiet(), claim(here, task.space, 1, 0) as found, claim(there, task.space, 1, 0) as again:
            assert found is not None
            assert again is None, "what was taken up is not taken back"


@pytest.mark.parametrize("is_at_home", [True, False])
@pytest.mark.parametrize(("silence", "is_taken"), [(10.0, False), (DEAD_AFTER_SECONDS + 10, True)])
def test_a_worker_whose_folder_cannot_be_seen_is_given_up_when_it_is_silent(
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
    (tmp_path / "elsewhere").rename(tmp_path / "gone")
    with open_search(tmp_path / "here", task, storage) as ledger, quiet(), claim(ledger, task.space, 1, 0) as found:
        assert (found is not None) == is_taken
