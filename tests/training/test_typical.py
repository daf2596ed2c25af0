"""What error is usual where."""

import torch

from cobnut.training.typical import SIDE, typical_error


def test_places_that_are_never_rebuilt_well_count_less_and_no_place_is_divided_by_nothing() -> None:
    maps = torch.zeros(5, 16, 16)
    maps[:, :, :8] = 0.5
    typical = typical_error(maps)
    assert typical.shape == (16, 16)
    assert (typical > 0).all()
    assert typical[8, 2] > 4 * typical[8, 13]
    shown = maps / typical
    assert shown[0, 8, 2] < 1.001
    assert shown[0, :, 8 + SIDE :].max() == 0


def test_what_is_unusual_in_one_image_stands_out_where_little_is_usual() -> None:
    maps = torch.full((20, 16, 16), 0.1)
    maps[:, :, :4] = 1.0
    typical = typical_error(maps)
    spot = torch.full((1, 16, 16), 0.1)
    spot[0, 8, 12] = 0.6  # less than what the left side always shows
    shown = spot / typical
    assert shown.flatten().argmax() == 8 * 16 + 12
