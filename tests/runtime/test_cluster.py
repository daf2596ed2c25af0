"""Nodes of a cluster compute by the same software, or are refused."""

import pytest

from cobnut.errors import CobnutError
from cobnut.runtime.cluster import check_node, software


def test_a_node_with_the_same_software_is_taken() -> None:
    check_node(software())


@pytest.mark.parametrize("name", ["Cobnut", "onnxruntime", "NumPy", "Pillow"])
def test_a_node_with_another_version_of_anything_that_computes_is_refused(name: str) -> None:
    other = ", ".join(each if not each.startswith(name) else f"{name} 0.0.1" for each in software().split(", "))
    with pytest.raises(CobnutError, match=f"has Cobnut .*, not .*{name} 0.0.1.*; install the same on all"):
        check_node(other)
