"""The convolution on a CPU: a product for each linked pair of joints."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

LINK_TILE = 2**19  # numbers of the features of bodies that are mixed at a time


@dataclass(frozen=True, eq=False)
class Entries:
    """Linked pairs of joints of one layout.

    ``single``: receiver, sender and relation of each pair that one relation joins; ``slots``: their
    entries in the layout's template; ``merged``: receiver and sender where several relations join.
    """

    single: tuple[tuple[int, int, int], ...]
    slots: np.ndarray
    merged: tuple[tuple[int, int], ...]


class BlockConv(torch.autograd.Function):
    """Sum over linked pairs of x_j times the matrix of the pair, plus each body's A-links.

    ``x`` (V, B, F, D), the features of one layout, joints first. A pair of ``entries.single`` has
    the matrix ``values[e] * weight[r]``, one of ``entries.merged`` has ``merged[e]`` (D, O).
    ``links`` (B, C, V, V) differ from body to body: joints are mixed by them, then transformed by
    ``link_weight`` (C, D, O). Backward keeps the arguments only. Sums over products in 16 bits are
    kept in 32.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        entries: Entries,
        values: Tensor,
        weight: Tensor | None,
        merged: Tensor | None,
        links: Tensor | None,
        link_weight: Tensor | None,
    ) -> Tensor:
        """Return (V, B, F, O)."""
        ctx.entries = entries
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
        if merged is not None:
            for (i, j), matrix in zip(entries.merged, merged.unbind(0), strict=True):
                _add_product(receivers[i], senders[j], matrix)
        if weight is not None:
            matrices = weight.unbind(0)
            for (i, j, r), value in zip(entries.single, values.tolist(), strict=True):
                _add_product(receivers[i], senders[j], matrices[r], value)
        return y.to(x.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of the arguments."""
        x, values, weight, merged, links, link_weight = ctx.saved_tensors
        entries: Entries = ctx.entries
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
            for e, (i, j) in enumerate(entries.merged):
                torch.mm(senders[j].t(), received[i], out=d_merged[e])
                if sent is not None:
                    _add_product(sent[j], received[i], back[e])
        if weight is not None:
            d_weight = torch.zeros_like(weight, dtype=_sum_dtype(x))
            numbers, back = values.tolist(), weight.transpose(1, 2).unbind(0)
            flat, total = weight.flatten(1).unbind(0), d_weight.unbind(0)
            product = x.new_empty(weight.shape[1:])
            dots = []
            for (i, j, r), value in zip(entries.single, numbers, strict=True):
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
