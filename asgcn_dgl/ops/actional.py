"""A-links in the regular-batch engine: one dense block for each unit and type.

For few joints and many frames a product with the links is short and wide, which runs slowly. So
the frames are cut into pieces, and the products of all pieces run side by side. What arrives at
the joints then goes through the weight in one product of the whole tile.
"""

from __future__ import annotations

import torch
from torch import Tensor

from asgcn_dgl.ops.tiles import Pieces, Tile, Workspace, add_product


class LinkTile:
    """Links and features of one tile.

    Parameters
    ----------
    feat
        (B, V, F, D) of the whole batch.
    links
        (B, C, V, V).
    tile
        Which units and frames.
    work
        Buffers.
    """

    def __init__(self, feat: Tensor, links: Tensor, tile: Tile, work: Workspace) -> None:
        self.links, self.work, self.tile = links[tile.units], work, tile
        here = tile.of(feat)
        self.units, self.joints, frames, self.feats = here.shape
        self.pieces = Pieces.of(frames, self.feats, feat.device)
        self.x = self._cut(here, "link_x")

    def forward(self, weight: Tensor, out: Tensor) -> None:
        """Add what comes along the links, through weights (C, D, O), to (b, V, F, O)."""
        total = self._take("link_out", weight.shape[-1])
        rows = total.view(-1, weight.shape[-1])
        for number, each in enumerate(weight):
            taken = self._taken(number).view(-1, self.feats)
            torch.addmm(rows, taken, each, beta=float(number > 0), out=rows)
        self.pieces.add_back(total, out)

    def backward(
        self,
        weight: Tensor,
        grad: Tensor,
        grad_feat: Tensor | None,
        grad_links: Tensor | None,
        grad_weight: Tensor | None,
    ) -> None:
        """Add to the gradients of features (b, V, F, D), links and weights (C, O, D)."""
        g = self._cut(grad, "link_g")
        rows = g.view(-1, weight.shape[-1])
        back = self._take("link_dx", self.feats) if grad_feat is not None else None
        for number, each in enumerate(weight):
            if grad_weight is not None:
                taken = self._taken(number).view(-1, self.feats)
                add_product(grad_weight[number], taken, rows)
            if back is None and grad_links is None:
                continue
            sent = self._take("link_taken", self.feats)
            torch.mm(rows, each.t(), out=sent.view(-1, self.feats))
            flat = self._flat(sent)
            if back is not None:
                mixed = self._flat(back)
                here = self._spread(number).transpose(1, 2)
                torch.baddbmm(mixed, here, flat, beta=float(number > 0), out=mixed)
            if grad_links is not None:
                part = torch.bmm(flat, self._flat(self.x).transpose(1, 2))
                part = part.view(self.units, -1, self.joints, self.joints).sum(dim=1)
                grad_links[self.tile.units, number] += part
        if grad_feat is not None and back is not None:
            self.pieces.add_back(back, grad_feat)

    def _taken(self, number: int) -> Tensor:
        """What each joint takes along the links of a type, (b k, V, f D)."""
        out = self._flat(self._take("link_taken", self.feats))
        return torch.bmm(self._spread(number), self._flat(self.x), out=out)

    def _spread(self, number: int) -> Tensor:
        """Links of a type, repeated for every piece, (b k, V, V)."""
        size = (self.units, self.pieces.number, self.joints, self.joints)
        return self.links[:, number].unsqueeze(1).expand(size).reshape(-1, *size[2:])

    def _cut(self, feat: Tensor, name: str) -> Tensor:
        return self.pieces.cut(feat, self._take(name, feat.shape[-1]))

    def _take(self, name: str, feats: int) -> Tensor:
        """Buffer for pieces, (b, k, V, f, feats)."""
        number, length = self.pieces
        return self.work.take(name, self.units, number, self.joints, length, feats)

    def _flat(self, pieces: Tensor) -> Tensor:
        """(b, k, V, f, D) as (b k, V, f D)."""
        return pieces.view(-1, self.joints, pieces.shape[-2] * pieces.shape[-1])
