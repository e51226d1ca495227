"""Actional-structural graph convolutions for skeletons (AS-GCN, Li et al., CVPR 2019) on DGL.

The parts, from the one that imports nothing to the one that imports all: ``skeleton`` (what a body
is and its graph), ``ops`` (how messages are summed), ``nn`` (layers), ``models``, ``data``,
``metrics``, ``training``, ``live``, ``experiments``, ``viz`` and ``cli``. The names below are
imported when they are first asked for; none of them needs an extra.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

# DGL asks for a backend, prints, and writes a file in the user's home unless this is set first.
os.environ.setdefault("DGLBACKEND", "pytorch")

from asgcn_dgl.lazy import on_demand  # after the line above

if TYPE_CHECKING:
    from asgcn_dgl.data import Clip, SkeletonDataset, collate, open_data
    from asgcn_dgl.errors import InputError
    from asgcn_dgl.live import Recognizer
    from asgcn_dgl.models import ASGCN, STGCN, ASGCNConfig
    from asgcn_dgl.skeleton import GraphBuilder, SkeletonLayout, get_layout
    from asgcn_dgl.training import load_model, predict_clip
else:
    __getattr__, __dir__ = on_demand(
        __name__,
        {
            "data": ("Clip", "SkeletonDataset", "collate", "open_data"),
            "errors": ("InputError",),
            "live": ("Recognizer",),
            "models": ("ASGCN", "STGCN", "ASGCNConfig"),
            "skeleton": ("GraphBuilder", "SkeletonLayout", "get_layout"),
            "training": ("load_model", "predict_clip"),
        },
    )

__version__ = "0.1.0"

__all__ = [
    "ASGCN",
    "STGCN",
    "ASGCNConfig",
    "Clip",
    "GraphBuilder",
    "InputError",
    "Recognizer",
    "SkeletonDataset",
    "SkeletonLayout",
    "collate",
    "get_layout",
    "load_model",
    "open_data",
    "predict_clip",
]
