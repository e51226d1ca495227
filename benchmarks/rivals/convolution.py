"""The convolution as published implementations compute it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from asgcn_dgl.nn import ASGConv
from asgcn_dgl.skeleton import GraphBuilder, SkeletonLayout, structural_operators


class DenseASGC(nn.Module):
    """A 1x1 convolution to (relations x O) channels in (B, D, T, V) layout, then einsum.

    The einsum takes the dense adjacency of every relation; the A-links are done the same way.

    Parameters
    ----------
    layout
        Skeleton of V joints.
    in_feats, out_feats
        D and O.
    builder
        Gives L and C.
    actional_weight
        λ.
    """

    operators: Tensor

    def __init__(
        self,
        layout: SkeletonLayout,
        in_feats: int,
        out_feats: int,
        builder: GraphBuilder,
        actional_weight: float = 0.5,
    ) -> None:
        super().__init__()
        found = structural_operators(
            layout,
            builder.max_hop,
            builder.construction,
            truncated=builder.truncated,
            norm=builder.norm,
        )
        dense = torch.stack([torch.from_numpy(m.toarray()) for m in found.values()]).float()
        self.register_buffer("operators", dense)  # (R, V, V)
        self.mask = nn.Parameter(torch.ones_like(dense))
        self.structural = nn.Conv2d(in_feats, len(dense) * out_feats, 1, bias=False)
        types = builder.num_actional
        self.actional = nn.Conv2d(in_feats, types * out_feats, 1, bias=False) if types else None
        self.out_feats, self.actional_weight = out_feats, actional_weight

    @torch.no_grad()
    def take_weights(self, conv: ASGConv) -> DenseASGC:
        """Copy the weights of a convolution whose edge masks are all one."""
        pairs = [(self.structural, conv.structural)]
        if self.actional is not None and conv.actional is not None:
            pairs.append((self.actional, conv.actional))
        for here, there in pairs:
            weight = there.weight  # (R, D, O)
            here.weight.copy_(weight.transpose(1, 2).reshape(here.weight.shape))
        return self

    def forward(self, feat: Tensor, links: Tensor | None = None) -> Tensor:
        """Convolve (B, D, T, V) with links (B, C, V, V) into (B, O, T, V)."""
        batch, _, frames, joints = feat.shape
        sent = self.structural(feat).view(batch, -1, self.out_feats, frames, joints)
        out = torch.einsum("brotv,rwv->botw", sent, self.operators * self.mask)
        if self.actional is None or links is None:
            return out
        degree = links.sum(dim=-1, keepdim=True)
        links = links / torch.where(degree == 0, torch.ones_like(degree), degree)
        sent = self.actional(feat).view(batch, -1, self.out_feats, frames, joints)
        return out + self.actional_weight * torch.einsum("bcotv,bcwv->botw", sent, links)
