"""Attention over frames and joints."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from asgcn_dgl.nn.sgconv import check_sizes
from asgcn_dgl.ops.frames import clip_index, zero_missing
from asgcn_dgl.ops.runtime import widened

ATTENTIONS = ("frames", "joints", "both")


class PooledAttention(nn.Module):
    r"""Weigh frames, joints or both by what is pooled over the other (squeeze and excite).

    .. math::

        y_{i,t} = x_{i,t} \circ 2 \sigma\left( W_J\, g(\bar x_{i,\cdot}) \right)
            \circ 2 \sigma\left( W_T\, g(\bar x_{\cdot,t}) \right), \qquad g(u) = \mathrm{ReLU}(W u)

    where :math:`\bar x_{i,\cdot}` is the mean of joint i over the frames that exist,
    :math:`\bar x_{\cdot,t}` the mean of frame t over the joints of all bodies of the clip that
    exist, and the result has as many features as x. It begins as the identity:
    :math:`W_J = W_T = 0`. Without one of the two its factor is 1.

    After Hu et al., *Squeeze-and-Excitation Networks*, CVPR 2018; over joints and frames of
    skeletons Song et al., *EfficientGCN*, TPAMI 2022.

    Parameters
    ----------
    feats
        D.
    over
        ``"frames"``, ``"joints"`` or ``"both"``.
    reduction
        D over the features of g, rounded down; g has at least one.

    Examples
    --------
    >>> import torch
    >>> from asgcn_dgl.nn import PooledAttention
    >>> from asgcn_dgl.skeleton import GraphBuilder, get_layout
    >>> graph = GraphBuilder(max_hop=1).structure(get_layout("coco17"), [1, 2])
    >>> feat = torch.randn(51, 20, 8)
    >>> bool((PooledAttention(8)(graph, feat) == feat).all())
    True
    """

    def __init__(self, feats: int, over: str = "both", reduction: int = 4) -> None:
        super().__init__()
        check_sizes(feats=feats, reduction=reduction)
        if over not in ATTENTIONS:
            raise ValueError(f"over must be one of {ATTENTIONS}, got {over!r}")
        self.feats, self.over = feats, over
        hidden = max(feats // reduction, 1)
        self.squeeze = nn.Linear(feats, hidden)
        self.joints = None if over == "frames" else nn.Linear(hidden, feats)
        self.frames = None if over == "joints" else nn.Linear(hidden, feats)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Kaiming weights in g; all else zero, which weighs everything alike."""
        nn.init.kaiming_normal_(self.squeeze.weight, nonlinearity="relu")
        nn.init.zeros_(self.squeeze.bias)
        for last in (self.joints, self.frames):
            if last is not None:
                nn.init.zeros_(last.weight)
                nn.init.zeros_(last.bias)

    def forward(self, graph: Any, feat: Tensor, mask: Tensor | None = None) -> Tensor:
        """Weigh features (N, T, D); missing ones become 0."""
        out = zero_missing(feat, mask)
        # Hundreds of frames cannot be counted in half precision.
        feat = widened(out)
        here = feat.new_ones(feat.shape[:2]) if mask is None else mask.to(feat.dtype)
        if self.joints is not None:
            mean = feat.sum(dim=1) / here.sum(dim=1).clamp(min=1).unsqueeze(-1)  # (N, D)
            out = out * self._gate(self.joints, mean).unsqueeze(1).to(out.dtype)
        if self.frames is not None:
            clip = clip_index(graph)
            total = feat.new_zeros(graph.batch_size, *feat.shape[1:]).index_add(0, clip, feat)
            count = here.new_zeros(graph.batch_size, feat.shape[1]).index_add(0, clip, here)
            mean = total / count.clamp(min=1).unsqueeze(-1)  # (B, T, D)
            out = out * self._gate(self.frames, mean)[clip].to(out.dtype)
        return out

    def _gate(self, last: nn.Linear, mean: Tensor) -> Tensor:
        mean = mean.to(self.squeeze.weight.dtype)
        return 2 * torch.sigmoid(last(F.relu(self.squeeze(mean))))

    def extra_repr(self) -> str:
        """Say the options."""
        return f"{self.feats}, over={self.over!r}"
