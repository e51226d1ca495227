"""Blocks and heads put together as in the paper's figures.

The options (:class:`ASGCNConfig`) need no torch: models are imported when they are asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from asgcn_dgl.lazy import on_demand
from asgcn_dgl.models.config import PRESETS, ASGCNConfig
from asgcn_dgl.models.pretrained import Pretrained

if TYPE_CHECKING:
    from asgcn_dgl.models.asgcn import ASGCN, ASGCNOutput
    from asgcn_dgl.models.exporting import ClipProgram, Exported, write_onnx, write_program
    from asgcn_dgl.models.forecaster import Forecaster, ForecastOutput
    from asgcn_dgl.models.importing import import_weights
    from asgcn_dgl.models.stgcn import STGCN
else:
    __getattr__, __dir__ = on_demand(
        __name__,
        {
            "asgcn": ("ASGCN", "ASGCNOutput"),
            "exporting": ("ClipProgram", "Exported", "write_onnx", "write_program"),
            "forecaster": ("ForecastOutput", "Forecaster"),
            "importing": ("import_weights",),
            "stgcn": ("STGCN",),
        },
    )

__all__ = [
    "ASGCN",
    "PRESETS",
    "STGCN",
    "ASGCNConfig",
    "ASGCNOutput",
    "ClipProgram",
    "Exported",
    "ForecastOutput",
    "Forecaster",
    "Pretrained",
    "import_weights",
    "write_onnx",
    "write_program",
]
