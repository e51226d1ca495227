"""Forecasts in coefficients over time: the block, the net of blocks, and a prediction head."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from asgcn_dgl.nn.agconv import EdgeWeight
from asgcn_dgl.nn.asgconv import ASGConv
from asgcn_dgl.nn.dropout import Dropout
from asgcn_dgl.nn.sgconv import check_sizes
from asgcn_dgl.ops.dct import dct_matrix
from asgcn_dgl.ops.frames import frame_mean, last_frames, zero_missing


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
        self.dropout = Dropout(dropout)

    def reset_parameters(self) -> None:
        """Draw new weights."""
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


class ForecastNet(nn.Module):
    r"""Residual blocks that change the coefficients of a motion over time.

    The observed frames, followed by the last one repeated, are taken relative to the last pose and
    transformed by a discrete cosine transform D over time. Blocks change the coefficients of all
    joints together; the inverse transform of the sum is the forecast:

    .. math::

        C &= D (X_{1..P}, x_P, \dots, x_P) - D x_P \\
        \hat X &= x_P + D^\top (C + f(C, x_P, Z))

    where Z are further features of the joints, if there are any.

    Parameters
    ----------
    pose_feats
        d, coordinates of a joint.
    past_frames, future_frames
        P and T'.
    hidden_feats
        Width of the blocks.
    num_blocks
        Blocks.
    coefficients
        Lowest coefficients that are seen and changed; None for all P + T'.
    more_feats
        Features Z of a joint.
    unit
        Length that is 1 inside.
    dropout
        Dropout of the blocks.
    conv
        Options of :class:`ASGConv` by name.

    Raises
    ------
    ValueError
        If a size is out of range.
    """

    transform: Tensor

    def __init__(
        self,
        pose_feats: int,
        past_frames: int,
        future_frames: int,
        *,
        hidden_feats: int,
        num_blocks: int,
        coefficients: int | None = None,
        more_feats: int = 0,
        unit: float = 0.1,
        dropout: float = 0.0,
        conv: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        check_sizes(pose_feats=pose_feats, past_frames=past_frames, future_frames=future_frames)
        self.pose_feats, self.past_frames, self.unit = pose_feats, past_frames, unit
        matrix = dct_matrix(past_frames + future_frames, coefficients)
        self.register_buffer("transform", matrix.to(torch.get_default_dtype()), persistent=False)
        size = len(matrix) * pose_feats
        self.first = ASGConv(size + pose_feats + more_feats, hidden_feats, **(conv or {}))
        self.blocks = nn.ModuleList(
            ForecastBlock(hidden_feats, dropout, conv) for _ in range(num_blocks)
        )
        self.norm = nn.LayerNorm(hidden_feats)
        self.last = ASGConv(hidden_feats, size, **(conv or {}))
        self.last.start_near_zero()  # the last pose repeated

    def reset_parameters(self) -> None:
        """Draw new weights."""
        for part in (self.first, *self.blocks, self.norm, self.last):
            part.reset_parameters()
        self.last.start_near_zero()

    def extend(
        self,
        graph: Any,
        past: Tensor,
        edge_weight: EdgeWeight | None = None,
        mask: Tensor | None = None,
        more: Tensor | None = None,
    ) -> Tensor:
        """Forecast T' frames from P.

        Parameters
        ----------
        graph
            :class:`~asgcn_dgl.skeleton.SkeletonBatch` of N joints, or DGL heterograph.
        past
            (N, P, d) observed poses without gaps.
        edge_weight
            A-links as :class:`ASGConv` takes them, or None.
        mask
            (N,) bool, the joints that exist; None for all.
        more
            (N, Z) further features, or None.

        Returns
        -------
        Tensor
            (N, T', d).
        """
        last = past[:, -1]
        coefficients = self._coefficients(past, last)
        parts = [coefficients, last / self.unit, *([] if more is None else [more])]
        feat = zero_missing(torch.cat(parts, dim=1), mask)
        hidden = zero_missing(self.first(graph, feat, edge_weight), mask)
        for block in self.blocks:
            hidden = block(graph, hidden, edge_weight, mask)
        change = self.last(graph, zero_missing(self.norm(hidden), mask), edge_weight)
        return last.unsqueeze(1) + self._motion(coefficients + change)

    def _coefficients(self, past: Tensor, last: Tensor) -> Tensor:
        """Coefficients of the observed motion relative to the last pose, (N, d K)."""
        motion = (past - last.unsqueeze(1)) / self.unit
        # The repeated last pose is zero here: the transform of the observed frames is all.
        matrix = self.transform[:, : self.past_frames].to(past.dtype)
        with torch.autocast(past.device.type, enabled=False):
            return (motion.transpose(1, 2) @ matrix.t()).flatten(1)

    def _motion(self, coefficients: Tensor) -> Tensor:
        """Future motion relative to the last pose, (N, T', d)."""
        matrix = self.transform[:, self.past_frames :].to(coefficients.dtype)
        with torch.autocast(matrix.device.type, enabled=False):
            change = coefficients.unflatten(1, (self.pose_feats, -1)) @ matrix
        return change.transpose(1, 2) * self.unit


class ForecastHead(ForecastNet):
    """Prediction head in coefficients: the last frames as recorded, beside the backbone's features.

    The head of the paper is given the last pose alone, and features that were averaged over frames
    that lie apart as the length of the clip has it: how fast a joint moves at the end is not in
    them. This one sees the last P frames, and the mean of the features over time.

    Parameters
    ----------
    in_feats
        Features of the backbone.
    pose_feats, past_frames, future_frames
        d, P and T'.
    **options
        Further options of :class:`ForecastNet`.

    Examples
    --------
    >>> import torch
    >>> from asgcn_dgl.skeleton import GraphBuilder, get_layout
    >>> graph = GraphBuilder(max_hop=1, num_actional=0).structure(get_layout("coco17"))
    >>> conv = {"max_hop": 1, "num_actional": 0}
    >>> head = ForecastHead(8, 2, 5, 10, hidden_feats=16, num_blocks=2, conv=conv)
    >>> head(graph, torch.randn(17, 32, 8), torch.randn(17, 5, 2)).shape
    torch.Size([17, 10, 2])
    """

    def __init__(
        self, in_feats: int, pose_feats: int, past_frames: int, future_frames: int, **options: Any
    ) -> None:
        super().__init__(pose_feats, past_frames, future_frames, more_feats=in_feats, **options)

    def forward(
        self,
        graph: Any,
        feat: Tensor,
        recent: Tensor,
        edge_weight: EdgeWeight | None = None,
        mask: Tensor | None = None,
    ) -> Tensor:
        """Predict the frames that follow.

        Parameters
        ----------
        graph
            :class:`~asgcn_dgl.skeleton.SkeletonBatch` of N joints, or DGL heterograph.
        feat
            (N, T, D) features of the backbone.
        recent
            (N, P, d) last observed poses, or (N, d), the last one alone.
        edge_weight
            A-links as :class:`ASGConv` takes them, or None.
        mask
            (N, T) bool, or None.

        Returns
        -------
        Tensor
            (N, T', d) positions.
        """
        recent = recent.unsqueeze(1) if recent.dim() == 2 else recent
        recent = last_frames(recent, self.past_frames)
        here = None if mask is None else mask.any(dim=1)
        mean = frame_mean(feat, mask)
        return self.extend(graph, recent, edge_weight, here, mean)
