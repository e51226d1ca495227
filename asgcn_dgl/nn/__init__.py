"""Layers, one operation and one equation each.

All take ``(graph, feat, ...)``. ``graph`` is a :class:`~asgcn_dgl.skeleton.SkeletonBatch` of B
clips with N joints, or a DGL heterograph with the layer's edge types; it is not changed. ``feat``
is (N, T, D), ``mask`` (N, T) bool, True where a joint exists (None: everywhere). ``edge_weight``
holds the strengths of the A-links, (E, C): a row for each ordered pair of joints, the edges of
``actional_1``. ``reset_parameters()`` draws all weights. Wrong sizes, options and shapes raise
ValueError.
"""

from __future__ import annotations

from asgcn_dgl.nn.agconv import AGConv
from asgcn_dgl.nn.aim import AIM, AIMLoss, aim_loss
from asgcn_dgl.nn.asgconv import ASGConv
from asgcn_dgl.nn.attention import PooledAttention
from asgcn_dgl.nn.block import ASGCNBlock
from asgcn_dgl.nn.decoder import AIMDecoder
from asgcn_dgl.nn.encoder import AIMEncoder, Links
from asgcn_dgl.nn.forecast import ForecastBlock, ForecastHead, ForecastNet
from asgcn_dgl.nn.heads import NarrowPredictionHead, PredictionHead, RecognitionHead
from asgcn_dgl.nn.masks import EdgeMasks
from asgcn_dgl.nn.multibranch import MultiBranchTemporalConv
from asgcn_dgl.nn.norm import InputNorm, MaskedBatchNorm
from asgcn_dgl.nn.offsets import StructuralOffsets
from asgcn_dgl.nn.readout import MeanReadout
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
    "MeanReadout",
    "MultiBranchTemporalConv",
    "NarrowPredictionHead",
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
