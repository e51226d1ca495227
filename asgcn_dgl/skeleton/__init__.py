"""What a body is, and its graph: layouts, structural links, DGL heterographs."""

from __future__ import annotations

from asgcn_dgl.skeleton.graph import GraphBuilder, actional_etypes
from asgcn_dgl.skeleton.layouts import (
    SkeletonLayout,
    get_layout,
    layout_names,
    register_layout,
)
from asgcn_dgl.skeleton.links import (
    PARTITIONS,
    partition_matrices,
    structural_etypes,
    structural_operators,
)

__all__ = [
    "PARTITIONS",
    "GraphBuilder",
    "SkeletonLayout",
    "actional_etypes",
    "get_layout",
    "layout_names",
    "partition_matrices",
    "register_layout",
    "structural_etypes",
    "structural_operators",
]
