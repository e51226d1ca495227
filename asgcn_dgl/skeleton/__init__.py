"""What a body is, and its graph: layouts, structural links, DGL heterographs.

Graphs and operators, and with them torch, DGL and scipy, are imported when they are asked for: a
layout needs numpy alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from asgcn_dgl.lazy import on_demand
from asgcn_dgl.skeleton.layouts import (
    SkeletonLayout,
    get_layout,
    layout_names,
    register_layout,
)

if TYPE_CHECKING:
    from asgcn_dgl.skeleton.batch import GraphBuilder, SkeletonBatch, actional_etypes
    from asgcn_dgl.skeleton.links import (
        PARTITIONS,
        partition_matrices,
        structural_etypes,
        structural_operators,
    )
else:
    __getattr__, __dir__ = on_demand(
        __name__,
        {
            "batch": ("GraphBuilder", "SkeletonBatch", "actional_etypes"),
            "links": (
                "PARTITIONS",
                "partition_matrices",
                "structural_etypes",
                "structural_operators",
            ),
        },
    )

__all__ = [
    "PARTITIONS",
    "GraphBuilder",
    "SkeletonBatch",
    "SkeletonLayout",
    "actional_etypes",
    "get_layout",
    "layout_names",
    "partition_matrices",
    "register_layout",
    "structural_etypes",
    "structural_operators",
]
