"""Stateless operations of the layers."""

from __future__ import annotations

from asgcn_dgl.ops.conv import (
    Actional,
    LinkMatrices,
    Structural,
    link_matrices,
    relational_conv,
    use_engine,
)

__all__ = [
    "Actional",
    "LinkMatrices",
    "Structural",
    "link_matrices",
    "relational_conv",
    "use_engine",
]
