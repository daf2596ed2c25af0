"""What the autoencoder of features sees while it learns."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cobnut.training.feature_rebuilding import mirror, paste_blocks


@given(most=st.integers(0, 6), side=st.integers(2, 12), seed=st.integers(0, 1000))
def test_outside_the_mask_nothing_is_pasted(most: int, side: int, seed: int) -> None:
    torch.manual_seed(seed)
    features = torch.randn(3, 2, side, side)
    spoilt, mask = paste_blocks(features, most)
    torch.testing.assert_close(spoilt * (1 - mask), features * (1 - mask))
    assert set(mask.unique().tolist()) <= {0.0, 1.0}
    assert most or not mask.any()


def test_what_is_pasted_comes_from_the_features_of_the_batch() -> None:
    torch.manual_seed(0)
    features = torch.arange(4.0).view(4, 1, 1, 1).expand(4, 1, 16, 16)
    spoilt, mask = paste_blocks(features, 4)
    assert mask.any()
    assert set(spoilt.unique().tolist()) <= {0.0, 1.0, 2.0, 3.0}


@pytest.mark.parametrize("seed", range(4))
def test_mirrored_twice_the_same_way_is_as_before(seed: int) -> None:
    features = torch.randn(2, 3, 4, 5)
    torch.manual_seed(seed)
    once = mirror(features)
    torch.manual_seed(seed)
    torch.testing.assert_close(mirror(once), features)
