"""Recognition head and future pose prediction head."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from asgcn_dgl.nn.agconv import EdgeWeight
from asgcn_dgl.nn.asgconv import ASGConv
from asgcn_dgl.nn.block import ASGCNBlock, pad_frames
from asgcn_dgl.nn.dropout import Dropout
from asgcn_dgl.nn.norm import MaskedBatchNorm
from asgcn_dgl.nn.sgconv import check_sizes
from asgcn_dgl.nn.temporal import TemporalConv
from asgcn_dgl.ops.frames import clip_mean, frame_mean, last_frame, zero_missing

SHRINK = ((7, 2, 3), (7, 2, 3), (7, 2, 3), (3, 2, 1), (5, 1, 0))  # kernel, stride, padding
LAST_KERNEL = SHRINK[-1][0]
#: Of the published code.
PUBLISHED_SHRINK = ((9, 1, 4), (9, 2, 4), (9, 2, 4), (9, 2, 4), (3, 2, 1), (5, 1, 0))
OFFSET_STD = 1e-3  # spread of the weights that make the offsets, to begin with


class RecognitionHead(nn.Module):
    """Mean over the joints, frames and bodies that exist, then linear (Sec. 4.4).

    Parameters
    ----------
    in_feats
        D.
    num_classes
        K.

    Examples
    --------
    >>> import torch
    >>> from asgcn_dgl.nn import RecognitionHead
    >>> from asgcn_dgl.skeleton import GraphBuilder, get_layout
    >>> graph = GraphBuilder().structure(get_layout("coco17"), [1, 3])
    >>> RecognitionHead(8, 5)(graph, torch.randn(68, 10, 8)).shape
    torch.Size([2, 5])
    """

    def __init__(self, in_feats: int, num_classes: int) -> None:
        super().__init__()
        check_sizes(in_feats=in_feats, num_classes=num_classes)
        self.linear = nn.Linear(in_feats, num_classes)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Small normal weights, zero bias."""
        nn.init.normal_(self.linear.weight, std=(2.0 / self.linear.out_features) ** 0.5 / 10)
        nn.init.zeros_(self.linear.bias)

    def forward(self, graph: Any, feat: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return class logits (B, K) of features (N, T, D)."""
        return self.linear(clip_mean(graph, feat, mask))


class PredictionHead(nn.Module):
    """Future poses from the backbone's features (Fig. 7, Eq. 6).

    Five blocks shrink time to one frame (shorter clips are padded, what remains of longer ones is
    averaged); then blocks of one frame take in the last observed pose again and again; the result
    is what is added to it.

    Parameters
    ----------
    in_feats
        Features of the backbone.
    pose_feats
        d, coordinates of a joint.
    future_frames
        T', frames to predict.
    hidden_feats
        Width of the five blocks.
    narrow_feats
        Widths of the blocks that follow, before the last.
    dropout
        Dropout in all blocks but the last.
    conv
        Options of :class:`ASGConv` by name.
    published
        Make the head of the published code: six blocks shrink time, the last without residual, and
        no narrow ones follow. The number that is added to coordinate c of frame t is coordinate
        (c T' + t) mod d of the last pose, as trained weights expect it.

    Examples
    --------
    >>> import torch
    >>> from asgcn_dgl.nn import PredictionHead
    >>> from asgcn_dgl.skeleton import GraphBuilder, get_layout
    >>> graph = GraphBuilder(max_hop=1, num_actional=0).structure(get_layout("coco17"))
    >>> head = PredictionHead(8, 2, 10, conv={"max_hop": 1, "num_actional": 0})
    >>> head(graph, torch.randn(17, 75, 8), torch.randn(17, 2)).shape
    torch.Size([17, 10, 2])
    """

    def __init__(
        self,
        in_feats: int,
        pose_feats: int = 3,
        future_frames: int = 10,
        *,
        hidden_feats: int = 128,
        narrow_feats: Sequence[int] = (64, 32),
        dropout: float = 0.0,
        conv: Mapping[str, Any] | None = None,
        published: bool = False,
    ) -> None:
        super().__init__()
        check_sizes(pose_feats=pose_feats, future_frames=future_frames)
        self.pose_feats, self.future_frames = pose_feats, future_frames
        self.published = published
        shapes = PUBLISHED_SHRINK if published else SHRINK
        widths = [in_feats] + [hidden_feats] * len(shapes)
        self.shrink = nn.ModuleList(
            ASGCNBlock(
                *(before, after, *shape),
                dropout=dropout,
                residual=not published or shape[2] > 0,
                conv=conv,
            )
            for before, after, shape in zip(widths[:-1], widths[1:], shapes, strict=True)
        )
        widths = [hidden_feats, *(() if published else narrow_feats)]
        self.narrow = nn.ModuleList(
            ASGCNBlock(before + pose_feats, after, 1, dropout=dropout, residual=False, conv=conv)
            for before, after in pairwise(widths)
        )
        self.last = ASGCNBlock(
            widths[-1] + pose_feats, future_frames * pose_feats, 1, plain=True, conv=conv
        )
        self._start_at_rest()

    def reset_parameters(self) -> None:
        """Draw all weights."""
        for block in (*self.shrink, *self.narrow, self.last):
            block.reset_parameters()
        self._start_at_rest()

    def _start_at_rest(self) -> None:
        """Start with offsets near zero: repeating the last pose is hard to beat."""
        assert isinstance(self.last.temporal, TemporalConv)
        nn.init.normal_(self.last.temporal.weight, std=OFFSET_STD)

    def forward(
        self,
        graph: Any,
        feat: Tensor,
        last: Tensor,
        edge_weight: EdgeWeight | None = None,
        mask: Tensor | None = None,
    ) -> Tensor:
        """Return the positions that follow, (N, T', d), of the last observed pose (N, d).

        ``feat`` is (N, T, D), or (N, D) of one frame; ``edge_weight`` is as :class:`ASGConv` takes
        it.
        """
        if feat.dim() == 2:
            feat, mask = feat.unsqueeze(1), None if mask is None else mask.unsqueeze(1)
        hidden, mask = self._shrink(graph, feat, edge_weight, mask)
        for block in (*self.narrow, self.last):
            hidden = block(graph, torch.cat([hidden, last.unsqueeze(1)], dim=-1), edge_weight, mask)
        offset = hidden.view(hidden.shape[0], self.future_frames, self.pose_feats)
        if not self.published:
            return last.unsqueeze(1) + offset
        frames, coords = (
            torch.arange(n, device=last.device) for n in (self.future_frames, self.pose_feats)
        )
        taken = (coords * self.future_frames + frames.unsqueeze(1)) % self.pose_feats  # (T', d)
        return last[:, taken] + offset

    def _shrink(
        self,
        graph: Any,
        feat: Tensor,
        edge_weight: EdgeWeight | None,
        mask: Tensor | None,
    ) -> tuple[Tensor, Tensor | None]:
        """Return features of one frame, (N, 1, H), and which joints exist, (N, 1)."""
        exists = None if mask is None else mask.any(dim=1, keepdim=True)
        for block in self.shrink:
            assert isinstance(block, ASGCNBlock)
            # A program for any number of frames appends masked ones to all: the result is the same.
            dynamic = torch.compiler.is_compiling()
            if block.temporal.padding == 0 and (dynamic or feat.shape[1] < LAST_KERNEL):
                mask = feat.new_ones(feat.shape[:2], dtype=torch.bool) if mask is None else mask
                missing = LAST_KERNEL - (1 if dynamic else feat.shape[1])
                feat, mask = pad_frames(feat, missing), pad_frames(mask, missing)
            feat = block(graph, feat, edge_weight, mask)
            mask = block.out_mask(mask)
        if mask is None:
            return feat.mean(dim=1, keepdim=True), None
        return frame_mean(feat, mask).unsqueeze(1), exists


class NarrowPredictionHead(nn.Module):
    r"""Future poses by two graph convolutions, on one frame of features.

    .. math::

        \hat X_{T + t} = x_T + \mathrm{ASGC}\left(
            \mathrm{ReLU}\, \mathrm{BN}\, \mathrm{ASGC}(\bar h \oplus h_T \oplus x_T)
            \oplus x_T \right)_t

    where :math:`\bar h` is the mean of the backbone's features over the frames that exist,
    :math:`h_T` those of the last one, and :math:`x_T` the last observed pose. It does what
    :class:`PredictionHead` does, without the five blocks that shrink time.

    Parameters
    ----------
    in_feats
        Features of the backbone, D.
    pose_feats
        d, coordinates of a joint.
    future_frames
        T', frames to predict.
    hidden_feats
        Features between the two convolutions.
    dropout
        Dropout there.
    conv
        Options of :class:`ASGConv` by name.

    Examples
    --------
    >>> import torch
    >>> from asgcn_dgl.nn import NarrowPredictionHead
    >>> from asgcn_dgl.skeleton import GraphBuilder, get_layout
    >>> graph = GraphBuilder(max_hop=1, num_actional=0).structure(get_layout("coco17"))
    >>> head = NarrowPredictionHead(8, 2, 10, conv={"max_hop": 1, "num_actional": 0})
    >>> head(graph, torch.randn(17, 75, 8), torch.randn(17, 2)).shape
    torch.Size([17, 10, 2])
    """

    def __init__(
        self,
        in_feats: int,
        pose_feats: int = 3,
        future_frames: int = 10,
        *,
        hidden_feats: int = 64,
        dropout: float = 0.0,
        conv: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        check_sizes(pose_feats=pose_feats, future_frames=future_frames, hidden_feats=hidden_feats)
        self.pose_feats, self.future_frames = pose_feats, future_frames
        self.first = ASGConv(2 * in_feats + pose_feats, hidden_feats, **(conv or {}))
        self.norm = MaskedBatchNorm(hidden_feats)
        self.dropout = Dropout(dropout)
        self.last = ASGConv(hidden_feats + pose_feats, future_frames * pose_feats, **(conv or {}))
        self.last.start_near_zero(OFFSET_STD)

    def reset_parameters(self) -> None:
        """Draw new weights."""
        for layer in (self.first, self.norm, self.last):
            layer.reset_parameters()
        self.last.start_near_zero(OFFSET_STD)

    def forward(
        self,
        graph: Any,
        feat: Tensor,
        last: Tensor,
        edge_weight: EdgeWeight | None = None,
        mask: Tensor | None = None,
    ) -> Tensor:
        """Predict the frames that follow; arguments and result as of :class:`PredictionHead`."""
        if feat.dim() == 2:
            feat, mask = feat.unsqueeze(1), None if mask is None else mask.unsqueeze(1)
        mean, exists = frame_mean(feat, mask), None if mask is None else mask.any(dim=1)
        end = zero_missing(last_frame(feat, mask), exists)
        hidden = self.first(graph, torch.cat([mean, end, last.to(mean.dtype)], dim=-1), edge_weight)
        hidden = self.dropout(F.relu(self.norm(hidden, exists)))
        offset = self.last(graph, torch.cat([hidden, last.to(hidden.dtype)], dim=-1), edge_weight)
        return last.unsqueeze(1) + offset.view(-1, self.future_frames, self.pose_feats)
