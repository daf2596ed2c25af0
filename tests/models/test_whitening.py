"""Whitened features have no correlation and one scale, and tell their former scale."""

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from torch import Tensor

from cobnut.models.whitening import FLOOR, Whitening


@pytest.fixture(scope="module")
def features() -> Tensor:
    """Correlated channels of very different scales, (4, 5, 16, 16)."""
    generator = torch.Generator().manual_seed(0)
    mixing = torch.randn(5, 5, generator=generator) * torch.tensor([0.1, 1.0, 3.0, 10.0, 100.0])[:, None]
    return torch.einsum("ij,njhw->nihw", mixing, torch.randn(4, 5, 16, 16, generator=generator)) + 7


def learned(features: Tensor, components: int) -> Whitening:
    whitening = Whitening(features.shape[1], components)
    whitening.learn(features.split(2))
    return whitening


def test_what_it_gives_has_mean_0_and_no_correlation(features: Tensor) -> None:
    rows = learned(features, 5)(features).movedim(1, -1).reshape(-1, 5)
    torch.testing.assert_close(rows.mean(0), torch.zeros(5), atol=1e-3, rtol=0)
    covariance = torch.cov(rows.T)
    torch.testing.assert_close(covariance - torch.diag(covariance.diagonal()), torch.zeros(5, 5), atol=1e-2, rtol=0)
    assert (covariance.diagonal() < 1.01).all()


def test_its_directions_are_the_principal_components_of_the_standardised_channels(features: Tensor) -> None:
    rows = features.movedim(1, -1).reshape(-1, 5).double().numpy()
    pca = PCA(3).fit((rows - rows.mean(0)) / rows.std(0))
    whitening = learned(features, 3)
    np.testing.assert_allclose(whitening.spread.square() - FLOOR, pca.explained_variance_, rtol=1e-2)
    ours = (whitening(features).movedim(1, -1).reshape(-1, 3) * whitening.spread).numpy()
    theirs = pca.transform((rows - rows.mean(0)) / rows.std(0))
    np.testing.assert_allclose(abs((ours * theirs).sum(0)), (theirs**2).sum(0), rtol=1e-2)


def test_a_channel_that_never_changes_does_no_harm() -> None:
    features = torch.cat([torch.randn(2, 2, 8, 8), torch.full((2, 1, 8, 8), 5.0)], dim=1)
    assert torch.isfinite(learned(features, 3)(features)).all()


def test_a_channel_that_was_still_is_not_blown_up_when_it_moves_a_little() -> None:
    features = torch.cat([torch.randn(2, 2, 8, 8), torch.full((2, 1, 8, 8), 5.0)], dim=1)
    whitening = learned(features, 3)
    moved = features + torch.tensor([0.0, 0.0, 0.1])[:, None, None]
    assert (whitening(moved) - whitening(features)).abs().max() < 150


def test_until_it_has_learned_it_hands_the_first_channels_on(features: Tensor) -> None:
    torch.testing.assert_close(Whitening(5, 2)(features), features[:, :2])
