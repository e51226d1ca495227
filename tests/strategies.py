"""Random skeletons and the tools that several tests share."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
import torch
from hypothesis import strategies as st

from asgcn_dgl.skeleton import SkeletonLayout, layout_names
from asgcn_dgl.skeleton.graph import dgl_installed

SUPPLIED = sorted(layout_names())

needs_dgl = pytest.mark.skipif(not dgl_installed(), reason="DGL is not installed")

#: All ways to compute a convolution.
ENGINES = (
    "pairs",
    "relations",
    "mixed",
    "product",
    pytest.param("message_passing", marks=needs_dgl),
)


@st.composite
def trees(draw, min_joints=1, max_joints=9):
    """A random tree with a random centre."""
    size = draw(st.integers(min_joints, max_joints))
    bones = [(draw(st.integers(0, joint - 1)), joint) for joint in range(1, size)]
    center = draw(st.integers(0, size - 1))
    return SkeletonLayout.from_bones("tree", bones, center=center, num_joints=size)


def chain(size, name="chain", center=0):
    return SkeletonLayout.from_bones(
        name, [(i, i + 1) for i in range(size - 1)], center=center, num_joints=size
    )


@contextmanager
def float64():
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)
