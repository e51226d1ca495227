"""The forms of a convolution: functions of tensors, (V, B, F, D) to (V, B, F, O), joints first.

Structural links are the same for all bodies: pair by pair and relation by relation are for a CPU,
``product`` and ``mixed`` for any device. A-links differ from body to body.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from asgcn_dgl.ops.runtime import HALF, eager_on_cpu, widened
from asgcn_dgl.skeleton.plan import Plan, Sums

#: Rows of a joint (bodies times frames) below which a CPU goes relation by relation.
FEW_ROWS = 128
LINK_TILE = 2**19  # numbers of the features of bodies that are mixed at a time

_memory = threading.local()


def weighted_sums(sums: Sums, value: Tensor, rows: Tensor) -> Tensor:
    """Return sums (K, F) of rows, each of its terms times a value."""
    made = torch.embedding_bag(rows, sums.row, sums.bounds, False, 0, False, value, True)
    found: Tensor = made[0]
    return found


def pair_matrices(sums: Sums, value: Tensor, weight: Tensor) -> Tensor:
    """Return matrices (pairs, D, O) of pairs from operator entries and weights (R, D, O)."""
    wide = widened(weight)
    found = weighted_sums(sums, value[sums.slot].to(wide.dtype), wide.flatten(1))
    return found.to(weight.dtype).view(-1, *weight.shape[1:])


def relation_operators(plan: Plan, value: Tensor, weight: Tensor) -> tuple[Tensor, ...]:
    """Return matrices of the pairs that several relations join, and the values of the sums."""
    value = torch.cat([value, value.new_ones(1)])
    matrices = pair_matrices(plan.several, value, weight)
    return matrices, value[plan.take.slot], value[plan.give.slot]


def by_relation(
    x: Tensor, plan: Plan, weight: Tensor, several: Tensor, take: Tensor, give: Tensor
) -> Tensor:
    """Convolve (V, B, F, D) to (V, B, F, O) relation by relation; autograd differentiates it."""
    joints, frames, out_feats = x.shape[0], x.shape[1] * x.shape[2], weight.shape[-1]
    if plan.rows:
        rows = weighted_sums(plan.take, take, x.flatten(1)).view(-1, x.shape[-1])
        sizes = [frames * (end - begin) for _, begin, end in plan.rows]
        matrices = weight.unbind(0)
        own = [matrices[relation] for relation, _, _ in plan.rows]
        if torch.is_grad_enabled():
            products = zip(rows.split(sizes), own, strict=True)
            sent = torch.cat([each @ matrix for each, matrix in products])
        else:
            sent = _reused(x, len(rows), out_feats)
            for each, matrix, out in zip(rows.split(sizes), own, sent.split(sizes), strict=True):
                torch.mm(each, matrix, out=out)
        total = weighted_sums(plan.give, give, sent.view(plan.rows[-1][2], -1))
    else:
        total = x.new_zeros(joints, frames * out_feats)
    total, feat = total.view(joints, frames, out_feats), x.flatten(1, 2)
    if plan.ends is None:
        add = total.baddbmm if torch.is_grad_enabled() else total.baddbmm_
        total = add(feat, several)
    elif len(several):
        receivers, senders = plan.ends
        total = total.index_add(0, receivers, torch.bmm(feat[senders], several))
    return total.view(*x.shape[:-1], out_feats)


def _reused(like: Tensor, rows: int, feats: int) -> Tensor:
    """Return memory of this thread, to be overwritten; new memory costs as much as a product."""
    held: Tensor | None = getattr(_memory, "held", None)
    if held is None or held.dtype != like.dtype or len(held) < rows * feats:
        with torch.inference_mode(False):
            held = _memory.held = torch.empty(rows * feats, dtype=like.dtype, device=like.device)
    return held[: rows * feats].view(rows, feats)


def product(x: Tensor, operators: Tensor, weight: Tensor) -> Tensor:
    """Merge all relations (R, V, V) and weights (R, D, O) into one matrix (V D, V O)."""
    joints, bodies, frames, feats = x.shape
    matrix = torch.einsum("rij,rdo->jdio", operators, weight)
    rows = x.permute(1, 2, 0, 3).reshape(bodies * frames, joints * feats)
    out = rows @ matrix.reshape(joints * feats, -1)
    return out.view(bodies, frames, joints, weight.shape[-1]).permute(2, 0, 1, 3).contiguous()


def mixed(x: Tensor, operators: Tensor, weight: Tensor) -> Tensor:
    """Mix joints by each relation (R, V, V), then transform by (R, D, O)."""
    relations, joints, _ = operators.shape
    rows = operators.transpose(0, 1).reshape(joints * relations, joints) @ x.flatten(1)
    rows = rows.view(joints, relations, -1, x.shape[-1]).transpose(1, 2)  # (V, B F, R, D)
    out = rows.flatten(0, 1).flatten(1) @ weight.flatten(0, 1)
    return out.view(*x.shape[:-1], weight.shape[-1])


class PairConv(torch.autograd.Function):
    """Add x_j times the matrix of the pair to ``total`` (V, B, F, O), for each linked pair.

    ``matrices`` are (pairs, D, O), ``pairs`` receiver and sender of each. ``total`` has the type of
    x and may be overwritten. Sums over products in 16 bits are kept in 32.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, matrices: Tensor, pairs: tuple[tuple[int, int], ...], total: Tensor
    ) -> Tensor:
        """Return (V, B, F, O)."""
        ctx.pairs = pairs
        ctx.save_for_backward(x, matrices)
        # Autograd forbids to change a view in place here.
        y = total.to(_sum_dtype(x), copy=total._is_view()).contiguous()
        if y is total:
            ctx.mark_dirty(total)
        senders, receivers = _joints(x), _joints(y)
        for (i, j), matrix in zip(pairs, matrices.unbind(0), strict=True):
            _add_product(receivers[i], senders[j], matrix)
        return y.to(x.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of the arguments."""
        x, matrices = ctx.saved_tensors
        d_x, d_matrices = x.new_zeros(x.shape, dtype=_sum_dtype(x)), torch.empty_like(matrices)
        senders, sent, received = _joints(x), _joints(d_x), _joints(grad)
        need_x = ctx.needs_input_grad[0]
        back = zip(ctx.pairs, matrices.transpose(1, 2).unbind(0), d_matrices.unbind(0), strict=True)
        for (i, j), matrix, d_matrix in back:
            torch.mm(senders[j].t(), received[i], out=d_matrix)
            if need_x:
                _add_product(sent[j], received[i], matrix)
        return d_x.to(x.dtype) if need_x else None, d_matrices, None, grad


def along_links(x: Tensor, links: Tensor, weight: Tensor) -> Tensor:
    """Mix joints by each body's own links (B, C, V, V), then transform by (C, D, O)."""
    joints, bodies, frames, feats = x.shape
    eager = eager_on_cpu(x)
    if eager and len(weight) > 1 and bodies * frames >= FEW_ROWS:
        return LinkConv.apply(x, links, weight)
    own = x.transpose(0, 1).flatten(2)  # (B, V, F D)
    found = torch.bmm(links.flatten(1, 2), own).view(bodies, len(weight), joints * frames, feats)
    if eager and x.dtype not in HALF:
        rows = found.transpose(0, 1).flatten(1, 2).unbind(0)  # (B V F, D) of each type
        (first, matrix), *others = zip(rows, weight.unbind(0), strict=True)
        out = first @ matrix
        for each, matrix in others:
            out.addmm_(each, matrix)
    else:  # one product, which sums over types in 32 bits
        out = found.transpose(1, 2).flatten(0, 1).flatten(1) @ weight.flatten(0, 1)
    return out.view(bodies, joints, frames, weight.shape[-1]).transpose(0, 1)


class LinkConv(torch.autograd.Function):
    """Convolve (V, B, F, D) to (V, B, F, O) along the A-links of each body.

    ``links`` (B, C, V, V) mix the joints, then ``weight`` (C, D, O) transforms them; a few bodies
    at a time, and again in backward. Sums over products in 16 bits are kept in 32.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, links: Tensor, weight: Tensor) -> Tensor:
        """Return (V, B, F, O)."""
        ctx.save_for_backward(x, links, weight)
        y = x.new_empty((*x.shape[:-1], weight.shape[-1]))
        for bodies in _tiles(x):
            own = x[:, bodies].transpose(0, 1).flatten(2)  # (b, V, F D)
            rows = own.numel() // x.shape[-1]
            total = y.new_zeros(rows, weight.shape[-1], dtype=_sum_dtype(x))
            for c in range(len(weight)):
                seen = torch.bmm(links[bodies, c], own).view(rows, -1)
                _add_product(total, seen, weight[c])
            y[:, bodies] = total.view(*own.shape[:2], *y.shape[2:]).transpose(0, 1)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, ...]:
        """Return the gradients of the arguments."""
        x, links, weight = ctx.saved_tensors
        d_x, d_links = torch.empty_like(x), torch.empty_like(links)
        d_weight = torch.zeros_like(weight, dtype=_sum_dtype(x))
        back = weight.transpose(1, 2)
        for bodies in _tiles(x):
            own = x[:, bodies].transpose(0, 1).flatten(2)  # (b, V, F D)
            rows = grad[:, bodies].transpose(0, 1).flatten(0, 2)  # (b V F, O)
            total = torch.zeros_like(own, dtype=_sum_dtype(x))
            for c in range(len(weight)):
                seen = torch.bmm(links[bodies, c], own).view(len(rows), -1)
                _add_product(d_weight[c], seen.t(), rows)
                d_seen = torch.mm(rows, back[c]).view(own.shape)
                d_links[bodies, c] = torch.bmm(d_seen, own.transpose(1, 2))
                if ctx.needs_input_grad[0]:
                    total += torch.bmm(links[bodies, c].transpose(1, 2), d_seen)
            d_x[:, bodies] = total.view(*own.shape[:2], *x.shape[2:]).transpose(0, 1)
        return d_x, d_links, d_weight.to(weight.dtype)


def _tiles(x: Tensor) -> Iterator[slice]:
    """Slices of bodies whose features fit the cache together."""
    joints, bodies, frames, feats = x.shape
    step = max(1, LINK_TILE // max(joints * frames * feats, 1))
    return (slice(begin, begin + step) for begin in range(0, bodies, step))


def _joints(x: Tensor) -> tuple[Tensor, ...]:
    """Return the (B F, D) rows of each joint of (V, B, F, D)."""
    return x.flatten(1, 2).unbind(0)


def _sum_dtype(x: Tensor) -> torch.dtype:
    return torch.float32 if x.dtype in HALF else x.dtype


def _add_product(total: Tensor, left: Tensor, right: Tensor) -> None:
    """Add a product to a total that may be of a wider type."""
    if total.dtype == left.dtype:
        total.addmm_(left, right)
    else:
        total += torch.mm(left, right)
