"""Blocks and heads put together as in the paper's figures."""

from __future__ import annotations

from asgcn_dgl.models.asgcn import ASGCN, ASGCNOutput
from asgcn_dgl.models.stgcn import STGCN

__all__ = ["ASGCN", "STGCN", "ASGCNOutput"]
