"""All ordered pairs of joints that A-links join: features of pairs, sums over senders."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from asgcn_dgl.skeleton.batch import PairGroup
from asgcn_dgl.skeleton.graph import structure_of

REDUCTIONS = ("mean", "max")
PAIR_TILE = 2**18  # numbers of the pair features that are made at a time on a CPU


class Pairs(ABC):
    """Ordered pairs (receiver i, sender j) of a batch of N joints, E in all."""

    @abstractmethod
    def sum(self, receiver: Tensor, sender: Tensor) -> Tensor:
        """Add a feature of the receiver and one of the sender, (N, ...) each: (E, ...)."""

    @abstractmethod
    def reduce(self, feat: Tensor, how: str) -> Tensor:
        """Mean or maximum of (E, ...) over the senders of each joint, (N, ...); 0 without any."""

    @abstractmethod
    def average(self, receiver: Tensor, sender: Tensor, edge_weight: Tensor) -> Tensor:
        """Mean over senders j of A_ij,c ELU(receiver_i + sender_j).

        Parameters
        ----------
        receiver, sender
            (N, C, F).
        edge_weight
            (E, C) strengths A.

        Returns
        -------
        Tensor
            (N, C, F).
        """


def pairs_of(graph: Any, etype: str = "actional_1") -> Pairs:
    """Return the pairs of a batch.

    Parameters
    ----------
    graph
        :class:`~asgcn_dgl.skeleton.SkeletonBatch` in the graph's order, or DGL heterograph.
    etype
        Edge type of a DGL heterograph that holds them.

    Raises
    ------
    ValueError
        If the batch has no such pairs.
    """
    structure = structure_of(graph)
    if structure is not None and etype in structure.builder.actional_etypes:
        return CompletePairs(structure.num_nodes(), structure.num_pairs, structure.pairs)
    there = graph.etypes if structure is None else structure.builder.actional_etypes
    if etype not in there:
        raise ValueError(
            f"graph has no edge type {etype!r} that this layer needs; it has {sorted(there)}: "
            "build it with GraphBuilder and the layer's num_actional, or name the layer's etype"
        )
    src, dst = graph.edges(etype=etype, order="eid")
    return EdgePairs(graph.num_nodes(), src, dst)


@dataclass(frozen=True)
class CompletePairs(Pairs):
    """Units that are complete: the pairs of a unit are receiver-major, without loops."""

    num_nodes: int
    num_pairs: int
    groups: tuple[PairGroup, ...]

    def sum(self, receiver: Tensor, sender: Tensor) -> Tensor:
        parts = []
        for group in self.groups:
            near, far = _units(group, receiver), _units(group, sender)
            parts.append(_off_diagonal(near.unsqueeze(2) + far.unsqueeze(1)).flatten(0, 2))
        return self._placed(parts, [group.edges for group in self.groups], self.num_pairs)

    def reduce(self, feat: Tensor, how: str) -> Tensor:
        parts = []
        for group in self.groups:
            own = feat if group.edges is None else feat.index_select(0, group.edges)
            if group.joints == 1:
                parts.append(feat.new_zeros(group.units, *feat.shape[1:]))
                continue
            fan = own.view(group.units * group.joints, group.joints - 1, *feat.shape[1:])
            parts.append(fan.mean(dim=1) if how == "mean" else fan.amax(dim=1))
        return self._placed(parts, [group.rows for group in self.groups], self.num_nodes)

    def average(self, receiver: Tensor, sender: Tensor, edge_weight: Tensor) -> Tensor:
        parts = []
        for group in self.groups:
            links = dense_links(group, edge_weight) / max(group.joints - 1, 1)
            near = _units(group, receiver).transpose(1, 2)  # (units, C, J, F)
            far = _units(group, sender).transpose(1, 2)
            total = _weighted_sum(near, far, links.to(near.dtype))
            parts.append(total.transpose(1, 2).flatten(0, 1))
        return self._placed(parts, [group.rows for group in self.groups], self.num_nodes)

    @staticmethod
    def _placed(parts: list[Tensor], places: list[Tensor | None], total: int) -> Tensor:
        """Put what the groups give where it belongs."""
        if places[0] is None:
            return parts[0]
        out = parts[0].new_zeros(total, *parts[0].shape[1:])
        for part, place in zip(parts, places, strict=True):
            assert place is not None
            out = out.index_copy(0, place, part)
        return out


@dataclass(frozen=True)
class EdgePairs(Pairs):
    """Pairs as the edges of any graph."""

    num_nodes: int
    src: Tensor
    dst: Tensor

    def sum(self, receiver: Tensor, sender: Tensor) -> Tensor:
        return receiver.index_select(0, self.dst) + sender.index_select(0, self.src)

    def reduce(self, feat: Tensor, how: str) -> Tensor:
        out = feat.new_zeros(self.num_nodes, *feat.shape[1:])
        if how == "mean":
            return self._mean(out.index_add(0, self.dst, feat))
        index = self.dst.view(-1, *(1,) * (feat.dim() - 1)).expand_as(feat)
        return out.scatter_reduce(0, index, feat, "amax", include_self=False)

    def average(self, receiver: Tensor, sender: Tensor, edge_weight: Tensor) -> Tensor:
        active = F.elu(self.sum(receiver, sender)) * edge_weight.unsqueeze(-1).to(receiver.dtype)
        return self._mean(torch.zeros_like(receiver).index_add(0, self.dst, active))

    def _mean(self, total: Tensor) -> Tensor:
        ones = torch.ones_like(self.dst, dtype=total.dtype)
        degree = ones.new_zeros(self.num_nodes).index_add(0, self.dst, ones).clamp(min=1)
        return total / degree.view(-1, *(1,) * (total.dim() - 1))


def dense_links(group: PairGroup, weight: Tensor) -> Tensor:
    """Return strengths (E, C) of the pairs as matrices (units, C, J, J), zero on the diagonal."""
    units, joints, types = group.units, group.joints, weight.shape[1]
    if joints == 1:
        return weight.new_zeros(units, types, 1, 1)
    own = weight if group.edges is None else weight.index_select(0, group.edges)
    rows = own.view(units, joints - 1, joints, types).permute(0, 3, 1, 2)
    # With the first number of a matrix left out, every (J + 1)-th of the others is diagonal.
    padded = F.pad(F.pad(rows, (0, 1)).flatten(2), (1, 0))
    return padded.view(units, types, joints, joints)


def gumbel_softmax(
    logits: Tensor,
    tau: float,
    *,
    noise: bool,
    hard: bool = False,
    generator: torch.Generator | None = None,
) -> Tensor:
    r"""Sample link types (Eq. 3): softmax((logits + r) / tau), r ~ Gumbel(0, 1).

    Parameters
    ----------
    logits
        (E, C + 1).
    tau
        Temperature τ.
    noise
        Whether to add r; without it the same logits always give the same answer.
    hard
        Straight-through: one-hot forward, soft gradient.
    generator
        Source of the noise; None for torch's global one.

    Returns
    -------
    Tensor
        (E, C + 1), rows sum to 1.
    """
    if noise:
        uniform = torch.empty_like(logits).exponential_(generator=generator)
        logits = logits - uniform.log()  # -log Exp(1) is Gumbel(0, 1)
    soft = torch.softmax(logits / tau, dim=-1)
    if not hard:
        return soft
    one_hot = torch.zeros_like(soft).scatter_(-1, soft.argmax(dim=-1, keepdim=True), 1.0)
    return one_hot + (soft - soft.detach())  # in this order the sum is exactly one-hot


def _units(group: PairGroup, rows: Tensor) -> Tensor:
    """Rows (N, ...) of a group as (units, J, ...)."""
    own = rows if group.rows is None else rows.index_select(0, group.rows)
    return own.view(group.units, group.joints, *rows.shape[1:])


def _off_diagonal(pairs: Tensor) -> Tensor:
    """Drop the diagonal of (units, J, J, ...): (units, J, J - 1, ...), senders ascending."""
    units, joints, _, *rest = pairs.shape
    if joints == 1:
        return pairs.new_zeros(units, 1, 0, *rest)
    rows = pairs.flatten(1, 2)[:, 1:].unflatten(1, (joints - 1, joints + 1))[:, :, :-1]
    return rows.reshape(units, joints, joints - 1, *rest)


class _WeightedSum(torch.autograd.Function):
    """Sum over j of A_ij ELU(near_i + far_j): (U, J, F), (U, J, F) and (U, J, J) to (U, J, F).

    The pairs are made tile by tile, and again in backward: none is kept.
    """

    @staticmethod
    def forward(ctx: Any, near: Tensor, far: Tensor, links: Tensor) -> Tensor:
        ctx.save_for_backward(near, far, links)
        out = torch.empty_like(near)
        for units, rows in _tiles(near):
            pair = F.elu_(near[units, rows].unsqueeze(2) + far[units].unsqueeze(1))
            out[units, rows] = (links[units, rows].unsqueeze(2) @ pair).squeeze(2)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        near, far, links = ctx.saved_tensors
        d_near, d_far, d_links = torch.empty_like(near), torch.zeros_like(far), links.clone()
        for units, rows in _tiles(near):
            pair = F.elu_(near[units, rows].unsqueeze(2) + far[units].unsqueeze(1))
            part = grad[units, rows].unsqueeze(2)  # (u, i, 1, F)
            d_links[units, rows] = (pair @ part.transpose(2, 3)).squeeze(3)
            slope = pair.clamp_(max=0.0).add_(1.0)  # of ELU: 1 above 0, ELU + 1 below
            slope.mul_(part).mul_(links[units, rows].unsqueeze(3))
            d_near[units, rows] = slope.sum(dim=2)
            d_far[units] += slope.sum(dim=1)
        return d_near, d_far, d_links


def _tiles(near: Tensor) -> Iterator[tuple[slice, slice]]:
    """Slices of units and of receivers whose pairs fit the cache together."""
    units, joints, feats = near.shape
    row = max(joints * feats, 1)
    rows = max(1, min(joints, PAIR_TILE // row))
    bodies = max(1, PAIR_TILE // (row * joints))
    for u in range(0, units, bodies):
        for i in range(0, joints, rows):
            yield slice(u, u + bodies), slice(i, i + rows)


def _weighted_sum(near: Tensor, far: Tensor, links: Tensor) -> Tensor:
    """The same for (units, C, J, F), by plain operations where a program is traced."""
    if near.device.type == "cpu" and not torch.compiler.is_compiling():
        flat = [each.flatten(0, 1) for each in (near, far, links)]
        out: Tensor = _WeightedSum.apply(*flat)
        return out.view(near.shape)
    active = F.elu(near.unsqueeze(-2) + far.unsqueeze(-3))  # (units, C, J, J, F)
    return (links.unsqueeze(-2) @ active).squeeze(-2)
