"""The AS-GCN block."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from asgcn_dgl.nn.agconv import EdgeWeight
from asgcn_dgl.nn.asgconv import ASGConv
from asgcn_dgl.nn.attention import PooledAttention
from asgcn_dgl.nn.dropout import Dropout
from asgcn_dgl.nn.multibranch import MultiBranchTemporalConv
from asgcn_dgl.nn.norm import MaskedBatchNorm
from asgcn_dgl.nn.temporal import TemporalConv
from asgcn_dgl.ops.frames import zero_missing

TEMPORALS = ("single", "branches", "four_branches")
#: Options of the temporal convolutions in branches: ST-GCN++'s and CTR-GCN's.
BRANCHES: dict[str, dict[str, Any]] = {
    "branches": {},
    "four_branches": {"dilations": (1, 2), "mix": False},
}


class ASGCNBlock(nn.Module):
    """Actional-structural block (Fig. 5): ASGC, BN, ReLU, T-CN, BN, dropout, residual, ReLU.

    Parameters
    ----------
    in_feats, out_feats
        D and O.
    kernel_size, stride, padding
        Of the temporal convolution.
    dropout
        Probability of dropping a feature after the second norm.
    residual
        Add the input: as it is where shapes agree, else through a 1x1 convolution and norm.
    plain
        End after the temporal convolution: no norm, dropout, residual or ReLU (the last block of
        the prediction head).
    conv
        Options of :class:`ASGConv` by name.
    temporal
        ``"single"``, the paper's :class:`TemporalConv`, or a :class:`MultiBranchTemporalConv` of
        the same kernel: ``"branches"`` (six, then mixed) or ``"four_branches"`` (dilations 1 and 2,
        a maximum and a 1x1, not mixed).
    attention
        What a :class:`PooledAttention` before the residual weighs; None for no attention.
    conv_residual
        Add the input to the normalized result of the graph convolution, before its ReLU: as it is
        where widths agree, else through a linear map and norm (PYSKL's residual).

    Examples
    --------
    >>> import torch
    >>> from asgcn_dgl.nn import ASGCNBlock
    >>> from asgcn_dgl.skeleton import GraphBuilder, get_layout
    >>> graph = GraphBuilder(max_hop=2, num_actional=0).structure(get_layout("coco17"))
    >>> block = ASGCNBlock(3, 8, stride=2, conv={"max_hop": 2, "num_actional": 0})
    >>> block(graph, torch.randn(17, 30, 3)).shape
    torch.Size([17, 15, 8])
    """

    def __init__(
        self,
        in_feats: int,
        out_feats: int,
        kernel_size: int = 7,
        stride: int = 1,
        padding: int | None = None,
        *,
        dropout: float = 0.0,
        residual: bool = True,
        plain: bool = False,
        conv: Mapping[str, Any] | None = None,
        temporal: str = "single",
        attention: str | None = None,
        conv_residual: bool = False,
    ) -> None:
        super().__init__()
        if temporal not in TEMPORALS:
            raise ValueError(f"temporal must be one of {TEMPORALS}, got {temporal!r}")
        if temporal != "single" and (plain or padding not in (None, (kernel_size - 1) // 2)):
            raise ValueError("temporal must be 'single' in a block that is plain or cuts frames")
        if kernel_size % 2 == 0:
            raise ValueError(f"kernel_size must be odd in a block, got {kernel_size}")
        if padding is not None and not 0 <= padding <= (kernel_size - 1) // 2:
            raise ValueError(
                f"padding must be from 0 to {(kernel_size - 1) // 2} for kernel {kernel_size}, "
                f"got {padding}"
            )
        self.spatial = ASGConv(in_feats, out_feats, **(conv or {}))
        self.spatial_norm = MaskedBatchNorm(out_feats)
        self.conv_residual = conv_residual
        self.conv_shortcut: nn.Linear | None = None
        self.conv_shortcut_norm: MaskedBatchNorm | None = None
        if conv_residual and in_feats != out_feats:
            self.conv_shortcut = nn.Linear(in_feats, out_feats, bias=False)
            self.conv_shortcut_norm = MaskedBatchNorm(out_feats)
        self.temporal: TemporalConv | MultiBranchTemporalConv
        if temporal in BRANCHES:
            self.temporal = MultiBranchTemporalConv(
                out_feats, out_feats, kernel_size, stride, **BRANCHES[temporal]
            )
        else:
            self.temporal = TemporalConv(
                out_feats, out_feats, kernel_size, stride, padding, bias=plain
            )
        self.temporal_norm = None if plain else MaskedBatchNorm(out_feats)
        self.dropout = Dropout(dropout)
        self.attention = None if attention is None else PooledAttention(out_feats, attention)
        self.residual = residual and not plain
        # Frames lost before the first output's center: the residual is cut to match.
        self.crop = (kernel_size - 1) // 2 - self.temporal.padding
        self.shortcut: nn.Linear | None = None
        self.shortcut_norm: MaskedBatchNorm | None = None
        if self.residual and (in_feats != out_feats or stride != 1 or self.crop):
            self.shortcut = nn.Linear(in_feats, out_feats, bias=False)
            self.shortcut_norm = MaskedBatchNorm(out_feats)

    def reset_parameters(self) -> None:
        """Draw all weights."""
        self.spatial.reset_parameters()
        self.temporal.reset_parameters()
        shortcut = (
            *(self.shortcut, self.shortcut_norm),
            *(self.conv_shortcut, self.conv_shortcut_norm),
        )
        for module in (self.spatial_norm, self.temporal_norm, self.attention, *shortcut):
            if module is not None:
                module.reset_parameters()

    def forward(
        self,
        graph: Any,
        feat: Tensor,
        edge_weight: EdgeWeight | None = None,
        mask: Tensor | None = None,
    ) -> Tensor:
        """Transform (N, T, D) to (N, T', O), or (N, D) of one frame; 0 outside of :meth:`out_mask`.

        ``edge_weight`` is as :class:`ASGConv` takes it.
        """
        if feat.dim() == 2:
            here = None if mask is None else mask.unsqueeze(1)
            return self.forward(graph, feat.unsqueeze(1), edge_weight, here).squeeze(1)
        hidden = self.spatial(graph, feat, edge_weight)
        hidden = self.spatial_norm(hidden, mask)
        if self.conv_residual:
            hidden = hidden + self._conv_shortcut(feat, mask)
        hidden = F.relu(hidden, inplace=True)
        later = self.out_mask(mask)
        out = self._over_time(graph, zero_missing(hidden, mask), mask, later)
        if self.temporal_norm is None:
            return out
        out = self.dropout(out)
        if self.attention is not None:
            out = self.attention(graph, out, later)
        if self.residual:
            out = _added(out, self._shortcut(feat, out.shape[1], later))
        return F.relu(out, inplace=True)

    def _over_time(
        self, graph: Any, hidden: Tensor, mask: Tensor | None, later: Tensor | None
    ) -> Tensor:
        """Return temporal convolution and norm, which evaluation joins to one convolution."""
        norm = self.temporal_norm
        if isinstance(self.temporal, MultiBranchTemporalConv):
            out = self.temporal(graph, hidden, mask)
        elif norm is not None and norm.is_steady:
            return zero_missing(self.temporal(graph, hidden, norm), later)
        else:
            out = self.temporal(graph, hidden)
        return zero_missing(out, later) if norm is None else norm(out, later)

    def out_mask(self, mask: Tensor | None) -> Tensor | None:
        """Return where the output exists, (N, T') bool.

        A frame exists where the center of its window did; where the convolution shortens the clip,
        where the end of its window did, so that a clip gives as many frames in a padded batch as
        alone. The first always exists if anything in its window does.
        """
        if mask is None:
            return None
        frames = self._out_frames(mask.shape[1])
        if not self.crop:
            return self._align(mask, frames)
        reach, stride = 2 * self.crop, self.temporal.stride
        later = mask[:, reach : reach + (frames - 1) * stride + 1 : stride].clone()
        later[:, 0] |= mask[:, : reach + 1].any(dim=1)
        return later

    def _out_frames(self, frames: int) -> int:
        conv = self.temporal
        return (frames + 2 * conv.padding - conv.kernel_size) // conv.stride + 1

    def _align(self, feat: Tensor, frames: int) -> Tensor:
        """Return the input frames at the centers of the output's windows."""
        stride = self.temporal.stride
        if stride == 1 and not self.crop:
            return feat
        return feat[:, self.crop : self.crop + (frames - 1) * stride + 1 : stride].contiguous()

    def _conv_shortcut(self, feat: Tensor, mask: Tensor | None) -> Tensor:
        if self.conv_shortcut is None or self.conv_shortcut_norm is None:
            return zero_missing(feat, mask)
        out: Tensor = self.conv_shortcut_norm(self.conv_shortcut(feat), mask)
        return out

    def _shortcut(self, feat: Tensor, frames: int, mask: Tensor | None) -> Tensor:
        aligned = self._align(feat, frames)
        if self.shortcut is None or self.shortcut_norm is None:
            return zero_missing(aligned, mask)
        if not self.shortcut_norm.is_steady:
            return self.shortcut_norm(self.shortcut(aligned), mask)
        weight, bias = self.shortcut_norm.joined(self.shortcut.weight)
        return zero_missing(F.linear(aligned, weight, bias), mask)


def _added(out: Tensor, feat: Tensor) -> Tensor:
    """Return the sum, in the memory of the first where precision allows it."""
    return out.add_(feat) if out.dtype == feat.dtype else out + feat


def pad_frames(feat: Tensor, missing: int) -> Tensor:
    """Append so many zero frames to (N, T, ...)."""
    return torch.cat([feat, feat.new_zeros(feat.shape[0], missing, *feat.shape[2:])], dim=1)
