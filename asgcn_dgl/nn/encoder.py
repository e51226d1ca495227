"""Encoder of the A-link inference module."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from asgcn_dgl.nn.mlp import MLP
from asgcn_dgl.nn.sgconv import check_sizes
from asgcn_dgl.ops.frames import as_mask, frame_mean, sample_frames, zero_missing
from asgcn_dgl.ops.pairs import REDUCTIONS, Pairs, gumbel_softmax, pairs_of


class Links(NamedTuple):
    """A-links of a batch: strengths (E, C), and logits (E, C + 1) of which type 0 is the ghost."""

    weight: Tensor
    logits: Tensor

    @property
    def prob(self) -> Tensor:
        """Noise-free probabilities π, (E, C + 1), without temperature."""
        return torch.softmax(self.logits, dim=-1)


class AIMEncoder(nn.Module):
    r"""Infer actional links from a motion (Sec. 4.1, Eq. 2 and 3).

    .. math::

        Q_{ij}^{(k+1)} &= f_e^{(k)}\left( f_v^{(k)}(p_i^{(k)})
            \oplus f_v^{(k)}(p_j^{(k)}) \right) \\
        p_i^{(k+1)} &= F\left( Q_{i:}^{(k+1)} \right) \oplus p_i^{(k)} \\
        A_{ij,:} &= \mathrm{softmax}\left( (Q_{ij} + r) / \tau \right)

    where :math:`p_i^{(0)}` is the vector of joint i's features over the frames that are seen,
    :math:`f_v, f_e` are two-layer perceptrons, F the mean or maximum over j, and r is Gumbel noise
    in training and 0 in evaluation. From the second link update on, :math:`f_e` also sees the link
    before (a skip). A last linear map gives C + 1 logits; type 0 is the ghost link.

    Parameters
    ----------
    in_feats
        D, features of a joint in a frame.
    num_actional
        C.
    num_frames
        Frames that are seen, picked evenly over the clip.
    hidden_feats
        Width of the perceptrons.
    num_updates
        K, the link updates.
    reduce
        F: ``"mean"`` or ``"max"``.
    dropout
        Dropout inside the perceptrons.
    tau
        τ, the temperature.
    hard
        One-hot samples with straight-through gradients.
    ghost
        Whether there is a ghost type; without it (P0 = 0) its probability is 0.
    motion
        Infer links from how joints move together, not from where they are: each joint's place is
        taken relative to its mean over the frames, and the products of what two joints do are
        features of their link too, which a sum of both does not hold. False is the paper's.
    etype
        Name of the edge type that holds the ordered pairs, if the graphs are not the builder's.

    Examples
    --------
    >>> import torch
    >>> from asgcn_dgl.nn import AIMEncoder
    >>> from asgcn_dgl.skeleton import GraphBuilder, get_layout
    >>> graph = GraphBuilder(num_actional=2).structure(get_layout("coco17"))
    >>> encoder = AIMEncoder(2, num_actional=2, num_frames=20).eval()
    >>> links = encoder(graph, torch.randn(17, 64, 2))
    >>> links.weight.shape, links.prob.shape
    (torch.Size([272, 2]), torch.Size([272, 3]))
    """

    def __init__(
        self,
        in_feats: int,
        num_actional: int = 3,
        *,
        num_frames: int = 50,
        hidden_feats: int = 128,
        num_updates: int = 2,
        reduce: str = "mean",
        dropout: float = 0.5,
        tau: float = 0.5,
        hard: bool = False,
        ghost: bool = True,
        motion: bool = False,
        etype: str = "actional_1",
    ) -> None:
        super().__init__()
        check_sizes(
            in_feats=in_feats,
            num_actional=num_actional,
            num_frames=num_frames,
            hidden_feats=hidden_feats,
            num_updates=num_updates,
        )
        if reduce not in REDUCTIONS:
            raise ValueError(f"reduce must be 'mean' or 'max', got {reduce!r}")
        if not tau > 0:
            raise ValueError(f"tau must be positive, got {tau!r}")
        self.in_feats, self.num_actional, self.num_frames = in_feats, num_actional, num_frames
        self.reduce, self.tau, self.hard, self.ghost = reduce, tau, hard, ghost
        self.motion, self.etype = motion, etype
        width = in_feats * num_frames
        self.joint_maps = nn.ModuleList()
        self.link_maps = nn.ModuleList()
        self.products = nn.ModuleList()
        for update in range(num_updates):
            self.joint_maps.append(
                MLP(width, hidden_feats, hidden_feats, dropout=dropout, batch_norm=True)
            )
            parts = 2 if update == 0 else 3
            self.link_maps.append(
                MLP(
                    parts * hidden_feats,
                    hidden_feats,
                    hidden_feats,
                    dropout=dropout,
                    batch_norm=True,
                )
            )
            if motion:
                self.products.append(nn.Linear(hidden_feats, hidden_feats, bias=False))
            width += hidden_feats
        self.out = nn.Linear(hidden_feats, num_actional + 1)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all weights."""
        for module in (*self.joint_maps, *self.link_maps):
            module.reset_parameters()
        for product in self.products:
            assert isinstance(product, nn.Linear)
            nn.init.normal_(product.weight, std=1.0 / math.sqrt(product.in_features))
        nn.init.xavier_normal_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(
        self,
        graph: Any,
        feat: Tensor,
        mask: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Links:
        """Infer the A-links of positions (N, T, D); ``generator`` makes the noise in training.

        In evaluation the same clip always gives the same links.
        """
        logits = self.infer(graph, feat, mask)
        types = gumbel_softmax(
            logits, self.tau, noise=self.training, hard=self.hard, generator=generator
        )
        return Links(types[:, 1:].to(self.out.weight.dtype), logits)

    def infer(self, graph: Any, feat: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return logits (E, C + 1) of every ordered pair, the ghost first."""
        if feat.dim() != 3 or feat.shape[0] != graph.num_nodes() or feat.shape[2] != self.in_feats:
            raise ValueError(
                f"feat must be (joints, frames, {self.in_feats}) with {graph.num_nodes()} joints, "
                f"got shape {tuple(feat.shape)}"
            )
        pairs = pairs_of(graph, self.etype)
        seen, there = sample_frames(graph, feat, self.num_frames, as_mask(mask, feat))
        if self.motion:
            seen = zero_missing(seen - frame_mean(seen, there).unsqueeze(1), there)
        joint = seen.flatten(1)  # (N, num_frames D)
        link: Tensor | None = None
        for update, (joint_map, link_map) in enumerate(
            zip(self.joint_maps, self.link_maps, strict=True)
        ):
            assert isinstance(link_map, MLP)
            if link is not None:
                joint = torch.cat([pairs.reduce(link, self.reduce), joint], dim=1)
            embedded = joint_map(joint)
            hidden = _first_map(pairs, link_map.first, embedded, link)
            if self.motion:
                hidden = hidden + self.products[update](pairs.product(embedded))
            link = link_map.finish(hidden)
        assert link is not None
        logits = self.out(link)
        if self.ghost:
            return logits
        return torch.cat([torch.full_like(logits[:, :1], -torch.inf), logits[:, 1:]], dim=1)

    def extra_repr(self) -> str:
        """Say the options."""
        return (
            f"{self.in_feats}, num_actional={self.num_actional}, num_frames={self.num_frames}, "
            f"reduce={self.reduce!r}, tau={self.tau}, hard={self.hard}, ghost={self.ghost}, "
            f"motion={self.motion}"
        )


def _first_map(pairs: Pairs, first: nn.Linear, joint: Tensor, link: Tensor | None) -> Tensor:
    """Apply a first layer without concatenation: W (u ⊕ v ⊕ q) = W1 u + W2 v + W3 q, (E, H)."""
    width = joint.shape[1]
    receiver = nn.functional.linear(joint, first.weight[:, :width], first.bias)
    sender = nn.functional.linear(joint, first.weight[:, width : 2 * width])
    hidden = pairs.sum(receiver, sender)
    if link is None:
        return hidden
    return hidden + nn.functional.linear(link, first.weight[:, 2 * width :])
