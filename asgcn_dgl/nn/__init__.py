"""Layers, one operation and one equation each; all take ``(graph, feat, ...)``."""

from __future__ import annotations

from asgcn_dgl.nn.agconv import AGConv
from asgcn_dgl.nn.aim import AIM, AIMLoss, aim_loss
from asgcn_dgl.nn.asgconv import ASGConv
from asgcn_dgl.nn.attention import PooledAttention
from asgcn_dgl.nn.block import ASGCNBlock
from asgcn_dgl.nn.decoder import AIMDecoder
from asgcn_dgl.nn.encoder import AIMEncoder, Links
from asgcn_dgl.nn.forecast import ForecastBlock, ForecastHead, ForecastNet
from asgcn_dgl.nn.heads import PredictionHead, RecognitionHead
from asgcn_dgl.nn.masks import EdgeMasks
from asgcn_dgl.nn.multibranch import MultiBranchTemporalConv
from asgcn_dgl.nn.norm import InputNorm, MaskedBatchNorm
from asgcn_dgl.nn.offsets import StructuralOffsets
from asgcn_dgl.nn.sgconv import SGConv
from asgcn_dgl.nn.streams import StreamFeatures
from asgcn_dgl.nn.sync import sync_norms
from asgcn_dgl.nn.temporal import TemporalConv

__all__ = [
    "AIM",
    "AGConv",
    "AIMDecoder",
    "AIMEncoder",
    "AIMLoss",
    "ASGCNBlock",
    "ASGConv",
    "EdgeMasks",
    "ForecastBlock",
    "ForecastHead",
    "ForecastNet",
    "InputNorm",
    "Links",
    "MaskedBatchNorm",
    "MultiBranchTemporalConv",
    "PooledAttention",
    "PredictionHead",
    "RecognitionHead",
    "SGConv",
    "StreamFeatures",
    "StructuralOffsets",
    "TemporalConv",
    "aim_loss",
    "sync_norms",
]
