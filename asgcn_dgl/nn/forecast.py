"""Block of a forecaster: maps joints and coefficients of one motion."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from asgcn_dgl.nn.agconv import EdgeWeight
from asgcn_dgl.nn.asgconv import ASGConv
from asgcn_dgl.ops.frames import zero_missing


class ForecastBlock(nn.Module):
    r"""Residual block over the coefficients of a motion.

    .. math::

        H' &= H + \mathrm{drop}(\sigma(\mathrm{ASGC}(\mathrm{norm}_1(H)))) \\
        H'' &= H' + \mathrm{drop}(\sigma(\mathrm{norm}_2(H') W + b))

    The convolution mixes joints and their features; the linear map, the features of each joint,
    which are made of its coefficients over time. Layer norms do not depend on the batch.

    Parameters
    ----------
    hidden_feats
        Features of a joint.
    dropout
        Dropout of each half.
    conv
        Options of :class:`ASGConv` by name.

    Examples
    --------
    >>> import torch
    >>> from asgcn_dgl.skeleton import GraphBuilder, get_layout
    >>> graph = GraphBuilder(max_hop=1, num_actional=0).structure(get_layout("coco17"))
    >>> block = ForecastBlock(8, conv={"max_hop": 1, "num_actional": 0})
    >>> block(graph, torch.randn(17, 8)).shape
    torch.Size([17, 8])
    """

    def __init__(
        self, hidden_feats: int, dropout: float = 0.0, conv: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__()
        self.conv_norm = nn.LayerNorm(hidden_feats)
        self.conv = ASGConv(hidden_feats, hidden_feats, **(conv or {}))
        self.norm = nn.LayerNorm(hidden_feats)
        self.linear = nn.Linear(hidden_feats, hidden_feats)
        self.activation = nn.GELU()
        self.dropout = nn.Dropout(dropout)

    def reset_parameters(self) -> None:
        """Draw all weights anew."""
        for module in (self.conv_norm, self.conv, self.norm, self.linear):
            module.reset_parameters()

    def forward(
        self,
        graph: Any,
        feat: Tensor,
        edge_weight: EdgeWeight | None = None,
        mask: Tensor | None = None,
    ) -> Tensor:
        """Compute the block.

        Parameters
        ----------
        graph
            :class:`~asgcn_dgl.skeleton.SkeletonBatch` of N joints, or DGL heterograph.
        feat
            (N, H), zeros for joints that do not exist.
        edge_weight
            A-links as :class:`ASGConv` takes them, or None.
        mask
            (N,) bool, the joints that exist; None for all.

        Returns
        -------
        Tensor
            (N, H), zeros for joints that do not exist.
        """
        sent = zero_missing(self.conv_norm(feat), mask)
        mixed = self.activation(self.conv(graph, sent, edge_weight))
        feat = feat + self.dropout(mixed)
        mapped = self.activation(self.linear(self.norm(feat)))
        return zero_missing(feat + self.dropout(mapped), mask)
