"""What a killed comparison goes on with."""

from pathlib import Path

import pytest

from against_anomalib import Kept


def test_goes_on_with_rows_that_were_finished(tmp_path: Path) -> None:
    Kept(tmp_path, "code", "processor").add({"data": "bottle", "round": 1})
    assert Kept(tmp_path, "code", "processor").find(data="bottle", round=1)


@pytest.mark.parametrize("now", [("other code", "processor"), ("code", "other processor")])
def test_leaves_rows_of_other_code_and_other_machines_out(tmp_path: Path, now: tuple[str, str]) -> None:
    Kept(tmp_path, "code", "processor").add({"data": "bottle", "round": 1})
    assert not Kept(tmp_path, *now).rows
