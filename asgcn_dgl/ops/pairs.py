"""All ordered pairs of joints that A-links join: features of pairs, sums over senders."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from asgcn_dgl.ops.runtime import widened
from asgcn_dgl.skeleton.batch import PairGroup
from asgcn_dgl.skeleton.graph import check_etypes, structure_of

REDUCTIONS = ("mean", "max")
PAIR_TILE = 2**18  # numbers of the pair features that are made at a time on a CPU
PAIR_LIMIT = 2**26  # and elsewhere, or where they are made by plain operations
LOG2_E = math.log2(math.e)


@dataclass(frozen=True)
class EdgePairs:
    """Ordered pairs (receiver i, sender j) of a batch of N joints: the E edges of any graph."""

    num_nodes: int
    src: Tensor
    dst: Tensor

    def sum(self, receiver: Tensor, sender: Tensor) -> Tensor:
        """Add a feature of the receiver and one of the sender, (N, ...) each: (E, ...)."""
        return receiver.index_select(0, self.dst) + sender.index_select(0, self.src)

    def product(self, feat: Tensor) -> Tensor:
        """Multiply the features (N, ...) of receiver and sender: (E, ...)."""
        return feat.index_select(0, self.dst) * feat.index_select(0, self.src)

    def reduce(self, feat: Tensor, how: str) -> Tensor:
        """Mean or maximum of (E, ...) over the senders of each joint, (N, ...); 0 without any."""
        out = feat.new_zeros(self.num_nodes, *feat.shape[1:])
        if how == "mean":
            return self._mean(out.index_add(0, self.dst, feat))
        index = self.dst.view(-1, *(1,) * (feat.dim() - 1)).expand_as(feat)
        return out.scatter_reduce(0, index, feat, "amax", include_self=False)

    def average(self, receiver: Tensor, sender: Tensor, edge_weight: Tensor) -> Tensor:
        """Return the mean over senders j of A_ij,c ELU(receiver_i + sender_j), (C, N, F).

        ``receiver`` and ``sender`` are (C, N, F), the strengths A (E, C).
        """
        size = len(receiver) * len(self.src)
        parts = [
            recomputed(self._weighted_sum, near, far, edge_weight)
            for near, far in in_pieces(receiver, sender, dim=2, size=size)
        ]
        return self._mean(torch.cat(parts, dim=2).transpose(0, 1)).transpose(0, 1)

    def mix(self, sender: Tensor, edge_weight: Tensor) -> Tensor:
        """Return the sum over senders j of A_ij,c sender_j, (C, N, F)."""
        sent = sender.index_select(1, self.src) * edge_weight.t().unsqueeze(2).to(sender.dtype)
        return torch.zeros_like(sender).index_add(1, self.dst, sent)

    def _weighted_sum(self, receiver: Tensor, sender: Tensor, edge_weight: Tensor) -> Tensor:
        active = F.elu(receiver.index_select(1, self.dst) + sender.index_select(1, self.src))
        active = active * edge_weight.t().unsqueeze(2).to(active.dtype)
        return torch.zeros_like(receiver).index_add(1, self.dst, active)

    def _mean(self, total: Tensor) -> Tensor:
        ones = torch.ones_like(self.dst, dtype=total.dtype)
        degree = ones.new_zeros(self.num_nodes).index_add(0, self.dst, ones).clamp(min=1)
        return total / degree.view(-1, *(1,) * (total.dim() - 1))


@dataclass(frozen=True)
class CompletePairs:
    """The same for units that are complete: pairs are receiver-major, without loops."""

    num_nodes: int
    num_pairs: int
    groups: tuple[PairGroup, ...]

    def sum(self, receiver: Tensor, sender: Tensor) -> Tensor:
        """See :meth:`EdgePairs.sum`."""
        return self._joined(torch.add, receiver, sender)

    def product(self, feat: Tensor) -> Tensor:
        """See :meth:`EdgePairs.product`."""
        return self._joined(torch.mul, feat, feat)

    def _joined(
        self, join: Callable[[Tensor, Tensor], Tensor], receiver: Tensor, sender: Tensor
    ) -> Tensor:
        parts = []
        for group in self.groups:
            near, far = _units(group, receiver), _units(group, sender)
            parts.append(_off_diagonal(join(near.unsqueeze(2), far.unsqueeze(1))).flatten(0, 2))
        return self._placed(parts, [group.edges for group in self.groups], self.num_pairs)

    def reduce(self, feat: Tensor, how: str) -> Tensor:
        """See :meth:`EdgePairs.reduce`."""
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
        """See :meth:`EdgePairs.average`."""
        parts = []
        for group in self.groups:
            links = dense_links(group, edge_weight).transpose(0, 1) / max(group.joints - 1, 1)
            near, far = _units(group, receiver, dim=1), _units(group, sender, dim=1)
            parts.append(_weighted_sum(near, far, links).flatten(1, 2))
        rows = [group.rows for group in self.groups]
        return self._placed(parts, rows, self.num_nodes, dim=1)

    def mix(self, sender: Tensor, edge_weight: Tensor) -> Tensor:
        """See :meth:`EdgePairs.mix`."""
        parts = []
        for group in self.groups:
            links = dense_links(group, edge_weight).transpose(0, 1)
            far = _units(group, sender, dim=1)
            parts.append((links.to(far.dtype) @ far).flatten(1, 2))
        return self._placed(parts, [group.rows for group in self.groups], self.num_nodes, dim=1)

    @staticmethod
    def _placed(
        parts: list[Tensor], places: list[Tensor | None], total: int, dim: int = 0
    ) -> Tensor:
        """Put what the groups give where it belongs."""
        if places[0] is None:
            return parts[0]
        shape = list(parts[0].shape)
        shape[dim] = total
        out = parts[0].new_zeros(shape)
        for part, place in zip(parts, places, strict=True):
            assert place is not None
            out = out.index_copy(dim, place, part)
        return out


Pairs = CompletePairs | EdgePairs


def pairs_of(graph: Any, etype: str = "actional_1") -> Pairs:
    """Return the pairs of a batch in the graph's order; of DGL graphs the edges of ``etype``."""
    structure = structure_of(graph)
    if structure is not None and etype in structure.builder.actional_etypes:
        return CompletePairs(structure.num_nodes(), structure.num_pairs, structure.pairs)
    there = graph.etypes if structure is None else structure.builder.actional_etypes
    check_etypes([etype], there)
    src, dst = graph.edges(etype=etype, order="eid")
    return EdgePairs(graph.num_nodes(), src.long(), dst.long())


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
    """Sample link types (Eq. 3): softmax((logits + r) / tau), r ~ Gumbel(0, 1), (E, C + 1).

    Without ``noise`` r is 0. ``hard`` is straight-through: one-hot forward, soft gradient. The
    result has 32 bits at least.
    """
    logits = widened(logits)
    if noise:
        uniform = torch.empty_like(logits).exponential_(generator=generator)
        logits = logits - uniform.log()  # -log Exp(1) is Gumbel(0, 1)
    soft = torch.softmax(logits / tau, dim=-1)
    if not hard:
        return soft
    one_hot = torch.zeros_like(soft).scatter_(-1, soft.argmax(dim=-1, keepdim=True), 1.0)
    return one_hot + (soft - soft.detach())  # in this order the sum is exactly one-hot


def _units(group: PairGroup, rows: Tensor, dim: int = 0) -> Tensor:
    """Split the axis N of a group's rows into units and joints."""
    own = rows if group.rows is None else rows.index_select(dim, group.rows)
    return own.unflatten(dim, (group.units, group.joints))


def _off_diagonal(pairs: Tensor) -> Tensor:
    """Drop the diagonal of (units, J, J, ...): (units, J, J - 1, ...), senders ascending."""
    units, joints, _, *rest = pairs.shape
    if joints == 1:
        return pairs.new_zeros(units, 1, 0, *rest)
    rows = pairs.flatten(1, 2)[:, 1:].unflatten(1, (joints - 1, joints + 1))[:, :, :-1]
    return rows.reshape(units, joints, joints - 1, *rest)


def _weighted_sum(near: Tensor, far: Tensor, links: Tensor) -> Tensor:
    """Return the sum over j of A_ij ELU(near_i + far_j), in 32 bits for inputs in 16."""
    dtype = near.dtype
    near, far = widened(near), widened(far)
    links = links.to(near.dtype)
    with _no_autocast(near.device.type):
        if torch.compiler.is_compiling():  # it joins the operations itself
            active = F.elu(near.unsqueeze(-2) + far.unsqueeze(-3))  # (C, units, J, J, F)
            return (links.unsqueeze(-2) @ active).squeeze(-2).to(dtype)
        flat = [each.flatten(0, 1) for each in (near, far, links)]
        out: Tensor = _WeightedSum.apply(*flat)
        return out.view(near.shape).to(dtype)


def _no_autocast(device: str) -> AbstractContextManager[Any]:
    """Leave products of 32 bits in 32 bits."""
    if not torch.amp.is_autocast_available(device):
        return nullcontext()
    return torch.autocast(device, enabled=False)


class _WeightedSum(torch.autograd.Function):
    """Sum over j of A_ij ELU(near_i + far_j): (U, J, F), (U, J, F) and (U, J, J) to (U, J, F).

    The pairs are made tile by tile, and again in backward: none is kept.
    """

    @staticmethod
    def forward(ctx: Any, near: Tensor, far: Tensor, links: Tensor) -> Tensor:
        ctx.save_for_backward(near, far, links)
        out = torch.empty_like(near)
        for units, rows in _tiles(near):
            pair = _elu(near[units, rows].unsqueeze(2) + far[units].unsqueeze(1))  # (u, i, J, F)
            out[units, rows] = (links[units, rows].unsqueeze(2) @ pair).squeeze(2)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        near, far, links = ctx.saved_tensors
        d_near, d_far, d_links = torch.empty_like(near), torch.zeros_like(far), links.clone()
        for units, rows in _tiles(near):
            pair = _elu(near[units, rows].unsqueeze(2) + far[units].unsqueeze(1))
            part, strength = grad[units, rows].unsqueeze(2), links[units, rows]  # (u, i, 1, F)
            d_links[units, rows] = (pair @ part.transpose(2, 3)).squeeze(3)
            slope = pair.clamp_(max=0.0).add_(1.0)  # of ELU: 1 above 0, ELU + 1 below
            slope.mul_(part).mul_(strength.unsqueeze(3))
            d_near[units, rows] = slope.sum(dim=2)
            d_far[units] += slope.sum(dim=1)
        return d_near, d_far, d_links


def _elu(feat: Tensor) -> Tensor:
    """ELU of what may be overwritten; on a CPU powers of 2 take a fourth of torch's time."""
    if feat.device.type != "cpu":
        return F.elu_(feat)
    low = feat.clamp(max=0.0).mul_(LOG2_E).exp2_().sub_(1.0)
    return torch.maximum(feat, low, out=low)


def _tiles(near: Tensor) -> Iterator[tuple[slice, slice]]:
    """Slices of units and of receivers whose pairs fit the cache together."""
    units, joints, feats = near.shape
    limit, row = PAIR_TILE if near.device.type == "cpu" else PAIR_LIMIT, max(joints * feats, 1)
    rows = max(1, min(joints, limit // row))
    bodies = max(1, limit // (row * joints))
    for u in range(0, units, bodies):
        for i in range(0, joints, rows):
            yield slice(u, u + bodies), slice(i, i + rows)


def in_pieces(
    receiver: Tensor, sender: Tensor, *, dim: int, size: int
) -> list[tuple[Tensor, Tensor]]:
    """Split features of joints along an axis, at one place of which the pairs have ``size``."""
    if torch.compiler.is_compiling():
        return [(receiver, sender)]
    step = max(1, PAIR_LIMIT // 16 // max(size, 1))
    return list(zip(receiver.split(step, dim), sender.split(step, dim), strict=True))


def recomputed(work: Callable[..., Tensor], *tensors: Tensor) -> Tensor:
    """Call ``work``, and again in backward instead of keeping what it makes."""
    if torch.compiler.is_compiling():
        return work(*tensors)
    out: Tensor = checkpoint(work, *tensors, use_reentrant=False, preserve_rng_state=False)
    return out
