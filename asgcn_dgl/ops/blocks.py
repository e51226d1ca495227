"""S-links on a CPU: a product for each linked pair of joints, or relation by relation."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from asgcn_dgl.skeleton.batch import GraphBuilder
from asgcn_dgl.skeleton.layouts import SkeletonLayout

LINK_TILE = 2**19  # numbers of the features of bodies that are mixed at a time


_memory = threading.local()


@dataclass(frozen=True, eq=False)
class Sparse:
    """A sparse matrix whose entries are operator entries by their ``slot``, the last of them 1.

    ``column`` and ``bounds`` say where they are, row by row, ``place`` where in the flat matrix.
    """

    shape: tuple[int, int]
    column: Tensor
    bounds: Tensor
    slot: Tensor
    place: Tensor

    @classmethod
    def of(cls, entries: Sequence[tuple[int, int, int]], shape: tuple[int, int]) -> Sparse:
        """Make a matrix of entries (row, column, slot)."""
        row, column, slot = np.asarray(sorted(entries), dtype=np.int64).reshape(-1, 3).T
        bounds = np.searchsorted(row, np.arange(shape[0] + 1))
        arrays = (column, bounds, slot, row * shape[1] + column)
        return cls(shape, *(torch.from_numpy(np.ascontiguousarray(each)) for each in arrays))

    def dense(self, value: Tensor) -> Tensor:
        """Return the matrix of operator entries (S + 1,)."""
        flat = value.new_zeros(self.shape[0] * self.shape[1])
        return flat.scatter(0, self.place, value[self.slot]).view(self.shape)

    def times(self, matrix: Tensor, feat: Tensor) -> Tensor:
        """Multiply features (columns, F) by the dense matrix or by its entries alone."""
        if matrix.dim() == 2:
            return matrix @ feat
        sums: Tensor = torch.embedding_bag(
            feat, self.column, self.bounds, False, 0, False, matrix, True
        )[0]
        return sums


@dataclass(frozen=True, eq=False)
class Plan:
    """How a CPU goes over the links of a layout.

    Attributes
    ----------
    single, slots
        Receiver, sender and relation of the pairs that one relation joins, and their entries.
    several, share
        Receiver and sender of the others, and how much of each relation each has (pairs, R).
    used
        Relations of the others.
    senders, receivers
        Their joints; None where they are all joints in order.
    rows
        Relation, begin and end of the rows that are transformed by its weight.
    take, give
        How rows are made of joints (rows, V), and joints of transformed rows (V, rows).
    """

    single: tuple[tuple[int, int, int], ...]
    slots: Tensor
    several: tuple[tuple[int, int], ...]
    share: Sparse
    used: list[int]
    senders: Tensor | None
    receivers: Tensor | None
    rows: tuple[tuple[int, int, int], ...]
    take: Sparse
    give: Sparse


@lru_cache(maxsize=256)
@torch.inference_mode(False)  # a plan made in inference must serve training too
def plan_of(builder: GraphBuilder, layout: SkeletonLayout, relations: tuple[int, ...]) -> Plan:
    """Split the entries of some relations: pairs that several relations join are merged."""
    template, joints = builder.template(layout), layout.num_joints
    number = {relation: k for k, relation in enumerate(relations)}
    pairs: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for slot, relation in enumerate(template.relation.tolist()):
        if relation in number:
            pair = (int(template.dst[slot]), int(template.src[slot]))
            pairs.setdefault(pair, []).append((number[relation], slot))
    single = [(*pair, *found[0]) for pair, found in pairs.items() if len(found) == 1]
    single.sort(key=lambda entry: (entry[2], entry[0]))
    several = {pair: found for pair, found in pairs.items() if len(found) > 1}
    share = [(k, *one) for k, found in enumerate(several.values()) for one in found]
    one, total = len(template.relation), 0
    rows: list[tuple[int, int, int]] = []
    take: list[tuple[int, int, int]] = []
    give: list[tuple[int, int, int]] = []
    for relation in sorted({r for _, _, r, _ in single}):
        own = [(i, j, slot) for i, j, r, slot in single if r == relation]
        receivers, senders = sorted({i for i, *_ in own}), sorted({j for _, j, _ in own})
        mix = len(receivers) <= len(senders)  # mix first, or transform first
        place = {joint: total + k for k, joint in enumerate(receivers if mix else senders)}
        if mix:
            take += [(place[i], j, slot) for i, j, slot in own]
            give += [(joint, row, one) for joint, row in place.items()]
        else:
            take += [(row, joint, one) for joint, row in place.items()]
            give += [(i, place[j], slot) for i, j, slot in own]
        rows.append((relation, total, total + len(place)))
        total += len(place)
    whole = list(several) == [(joint, joint) for joint in range(joints)]
    receivers_of, senders_of = (
        None if whole else torch.tensor([pair[k] for pair in several]) for k in (0, 1)
    )
    return Plan(
        tuple((i, j, relation) for i, j, relation, _ in single),
        torch.tensor([slot for *_, slot in single], dtype=torch.long),
        tuple(several),
        Sparse.of(share, (len(several), len(relations))),
        sorted({relation for _, relation, _ in share}),
        senders_of,
        receivers_of,
        tuple(rows),
        Sparse.of(take, (total, joints)),
        Sparse.of(give, (joints, total)),
    )


def pair_operators(plan: Plan, value: Tensor, weight: Tensor) -> tuple[Tensor, ...]:
    """Values of single entries, and matrices (pairs, D, O) of merged pairs."""
    return value[plan.slots], _merged(plan, value, weight)


def relation_operators(plan: Plan, value: Tensor, weight: Tensor) -> tuple[Tensor, ...]:
    """Matrices of merged pairs, and what rows take and joints are given: entries, or matrices."""
    value = torch.cat([value, value.new_ones(1)])
    take, give = (
        each.dense(value) if torch.is_grad_enabled() else value[each.slot]
        for each in (plan.take, plan.give)
    )
    return _merged(plan, value, weight), take, give


def _merged(plan: Plan, value: Tensor, weight: Tensor) -> Tensor:
    share = plan.share.dense(value)
    if len(plan.used) < len(weight):
        share, weight = share[:, plan.used], weight[plan.used]
    return (share.to(weight.dtype) @ weight.flatten(1)).view(-1, *weight.shape[1:])


def _reused(like: Tensor, rows: int, feats: int) -> Tensor:
    """Return memory of this thread, to be overwritten; new memory costs as much as a product."""
    held: Tensor | None = getattr(_memory, "held", None)
    if held is None or held.dtype != like.dtype or len(held) < rows * feats:
        with torch.inference_mode(False):
            held = _memory.held = torch.empty(rows * feats, dtype=like.dtype)
    return held[: rows * feats].view(rows, feats)


def by_relation(
    x: Tensor, plan: Plan, weight: Tensor, merged: Tensor, take: Tensor, give: Tensor
) -> Tensor:
    """Relation by relation, transforming the side with fewer joints; autograd differentiates it."""
    joints, frames, out_feats = x.shape[0], x.shape[1] * x.shape[2], weight.shape[-1]
    if plan.rows:
        part, matrices = plan.take.times(take, x.flatten(1)), weight.unbind(0)
        sizes = [frames * (end - begin) for _, begin, end in plan.rows]
        own = [matrices[relation] for relation, _, _ in plan.rows]
        pieces = part.view(-1, x.shape[-1]).split(sizes)
        if torch.is_grad_enabled():
            sent = torch.cat([piece @ each for piece, each in zip(pieces, own, strict=True)])
            sent = sent.view(len(part), -1)
        else:
            sent = _reused(x, len(part), frames * out_feats)
            places = sent.view(-1, out_feats).split(sizes)
            for piece, each, place in zip(pieces, own, places, strict=True):
                torch.mm(piece, each, out=place)
        total = plan.give.times(give, sent)
    else:
        total = x.new_zeros(joints, frames * out_feats)
    if plan.several:
        feat = x.flatten(1, 2)
        if plan.senders is None or plan.receivers is None:
            total = total.view(joints, frames, out_feats)
            grads = torch.is_grad_enabled()
            total = total.baddbmm(feat, merged) if grads else total.baddbmm_(feat, merged)
        else:
            found = torch.bmm(feat[plan.senders], merged).flatten(1)
            total = total.index_add(0, plan.receivers, found)
    return total.view(*x.shape[:-1], out_feats)


class BlockConv(torch.autograd.Function):
    """Sum over linked pairs of x_j times the matrix of the pair, plus each body's A-links.

    ``x`` (V, B, F, D), the features of one layout, joints first. A pair of ``plan.single`` has
    the matrix ``values[e] * weight[r]``, one of ``plan.several`` has ``merged[e]`` (D, O).
    ``links`` (B, C, V, V) differ from body to body: joints are mixed by them, then transformed by
    ``link_weight`` (C, D, O). Backward keeps the arguments only. Sums over products in 16 bits are
    kept in 32.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        plan: Plan | None,
        values: Tensor,
        weight: Tensor | None,
        merged: Tensor | None,
        links: Tensor | None,
        link_weight: Tensor | None,
    ) -> Tensor:
        """Return (V, B, F, O)."""
        ctx.plan = plan
        ctx.save_for_backward(x, values, weight, merged, links, link_weight)
        x = x.contiguous()
        out_feats = (weight if weight is not None else link_weight).shape[-1]  # type: ignore[union-attr]
        shape = (*x.shape[:-1], out_feats)
        if links is None or link_weight is None:
            y = x.new_zeros(shape, dtype=_sum_dtype(x))
        else:
            y = x.new_empty(shape, dtype=_sum_dtype(x))
            _forward_links(x, links, link_weight, y)
        senders, receivers = _joints(x), _joints(y)
        if plan is not None and merged is not None:
            for (i, j), matrix in zip(plan.several, merged.unbind(0), strict=True):
                _add_product(receivers[i], senders[j], matrix)
        if plan is not None and weight is not None:
            matrices = weight.unbind(0)
            for (i, j, r), value in zip(plan.single, values.tolist(), strict=True):
                _add_product(receivers[i], senders[j], matrices[r], value)
        return y.to(x.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of the arguments."""
        x, values, weight, merged, links, link_weight = ctx.saved_tensors
        plan: Plan = ctx.plan
        x, grad = x.contiguous(), grad.contiguous()
        need_x = ctx.needs_input_grad[0]
        d_links = d_link_weight = d_merged = d_weight = d_values = None
        if links is None:
            d_x = torch.zeros_like(x, dtype=_sum_dtype(x)) if need_x else None
        else:
            d_x = torch.empty_like(x, dtype=_sum_dtype(x)) if need_x else None
            d_links, d_link_weight = _backward_links(x, grad, links, link_weight, d_x)
        senders, received = _joints(x), _joints(grad)
        sent = None if d_x is None else _joints(d_x)
        if merged is not None:
            d_merged = torch.empty_like(merged)
            back = merged.transpose(1, 2).unbind(0)
            for e, (i, j) in enumerate(plan.several):
                torch.mm(senders[j].t(), received[i], out=d_merged[e])
                if sent is not None:
                    _add_product(sent[j], received[i], back[e])
        if weight is not None:
            d_weight = torch.zeros_like(weight, dtype=_sum_dtype(x))
            numbers, back = values.tolist(), weight.transpose(1, 2).unbind(0)
            flat, total = weight.flatten(1).unbind(0), d_weight.unbind(0)
            product = x.new_empty(weight.shape[1:])
            dots = []
            for (i, j, r), value in zip(plan.single, numbers, strict=True):
                torch.mm(senders[j].t(), received[i], out=product)
                total[r].add_(product, alpha=value)
                if ctx.needs_input_grad[2]:
                    dots.append(torch.dot(product.view(-1), flat[r]))
                if sent is not None:
                    _add_product(sent[j], received[i], back[r], value)
            d_weight = d_weight.to(weight.dtype)
            d_values = torch.stack(dots).to(values.dtype) if dots else torch.zeros_like(values)
        d_x = None if d_x is None else d_x.to(x.dtype)
        return d_x, None, d_values, d_weight, d_merged, d_links, d_link_weight


def _forward_links(x: Tensor, links: Tensor, weight: Tensor, y: Tensor) -> None:
    """Write the sum over types of (links @ x) @ weight into y, a few bodies at a time."""
    for bodies in _tiles(x):
        own = x[:, bodies].transpose(0, 1).flatten(2)  # (b, V, F D)
        rows = own.shape[0] * own.shape[1] * x.shape[2]
        total = y.new_zeros(rows, weight.shape[-1])
        for c in range(len(weight)):
            mixed = torch.bmm(links[bodies, c], own).view(rows, x.shape[-1])
            _add_product(total, mixed, weight[c])
        y[:, bodies] = total.view(*own.shape[:2], *y.shape[2:]).transpose(0, 1)


def _backward_links(
    x: Tensor, grad: Tensor, links: Tensor, weight: Tensor, d_x: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Return the gradients of links and weights, and write that of x into ``d_x``."""
    d_links = torch.empty_like(links)
    d_weight = torch.zeros_like(weight, dtype=_sum_dtype(x))
    back = weight.transpose(1, 2)
    for bodies in _tiles(x):
        own = x[:, bodies].transpose(0, 1).flatten(2)  # (b, V, F D)
        rows = grad[:, bodies].transpose(0, 1).flatten(0, 2)  # (b V F, O)
        total = None if d_x is None else own.new_zeros(own.shape, dtype=d_x.dtype)
        for c in range(len(weight)):
            mixed = torch.bmm(links[bodies, c], own).view(len(rows), x.shape[-1])
            _add_product(d_weight[c], mixed.t(), rows)
            d_mixed = torch.mm(rows, back[c]).view(own.shape)
            d_links[bodies, c] = torch.bmm(d_mixed, own.transpose(1, 2))
            if total is not None:
                total += torch.bmm(links[bodies, c].transpose(1, 2), d_mixed)
        if d_x is not None and total is not None:
            d_x[:, bodies] = total.view(*own.shape[:2], *x.shape[2:]).transpose(0, 1)
    return d_links, d_weight.to(weight.dtype)


def _tiles(x: Tensor) -> Iterator[slice]:
    """Slices of bodies whose features fit the cache together."""
    joints, bodies, frames, feats = x.shape
    step = max(1, LINK_TILE // max(joints * frames * feats, 1))
    return (slice(begin, begin + step) for begin in range(0, bodies, step))


def _joints(x: Tensor) -> tuple[Tensor, ...]:
    """Return the (B F, D) rows of each joint of (V, B, F, D)."""
    return x.flatten(1, 2).unbind(0)


def _sum_dtype(x: Tensor) -> torch.dtype:
    return torch.float32 if x.dtype in (torch.bfloat16, torch.float16) else x.dtype


def _add_product(total: Tensor, left: Tensor, right: Tensor, factor: float = 1.0) -> None:
    """Add a product to a total that may be of a wider type."""
    if total.dtype == left.dtype:
        total.addmm_(left, right, alpha=factor)
    else:
        total.add_(torch.mm(left, right), alpha=factor)
