"""Features on A-link edges: pairs of joints, sums over senders, Gumbel softmax."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from asgcn_dgl.ops.dropout import keep_words, kept_scale, zero_dropped
from asgcn_dgl.ops.factored import factored_pairs, fits
from asgcn_dgl.ops.link_update import without_diagonal
from asgcn_dgl.ops.plan import ActionalPlan
from asgcn_dgl.ops.regular import dense_links
from asgcn_dgl.ops.tiles import unit_tiles

PAIR_BYTES = 4 * 2**20  # pair features of one tile on a CPU; elsewhere one tile is the batch


def pair_sum(plan: ActionalPlan, receiver: Tensor, sender: Tensor) -> Tensor:
    """Add a feature of the receiving and one of the sending joint on every edge.

    With ``receiver = p W1`` and ``sender = p W2`` this is the linear map of the concatenation
    ``p_i ⊕ p_j`` without ever building it.

    Parameters
    ----------
    plan
        Actional plan; the edges of its first type are used.
    receiver, sender
        (N, ..., H).

    Returns
    -------
    Tensor
        (E, ..., H).
    """
    src, dst = plan.edges[0]
    if not plan.regular or plan.num_joints < 2:
        return receiver.index_select(0, dst) + sender.index_select(0, src)
    units, joints = plan.num_units, plan.num_joints
    near = receiver.view(units, joints, 1, *receiver.shape[1:])
    far = sender.view(units, 1, joints, *sender.shape[1:])
    return off_diagonal(near + far).flatten(0, 2)


def off_diagonal(pairs: Tensor) -> Tensor:
    """Drop the diagonal of (B, V, V, ...): (B, V, V - 1, ...), senders ascending."""
    units, joints = pairs.shape[:2]
    return without_diagonal(pairs.contiguous()).reshape(units, joints, joints - 1, *pairs.shape[3:])


def pair_activation(
    plan: ActionalPlan,
    receiver: Tensor,
    sender: Tensor,
    link: Tensor | None = None,
    dropout: float = 0.0,
) -> Tensor:
    """ELU and dropout of the sum of what receiver, sender and link give an edge.

    Parameters
    ----------
    plan
        Actional plan; the edges of its first type are used.
    receiver, sender
        (N, H).
    link
        (E, H), or None.
    dropout
        Probability that a feature of an edge is dropped; the others are scaled up.

    Returns
    -------
    Tensor
        (E, H).
    """
    if not plan.regular or plan.num_joints < 2:
        pair = pair_sum(plan, receiver, sender)
        return _ELUDropout.apply(pair if link is None else pair + link, dropout)
    shape = (plan.num_units, plan.num_joints, receiver.shape[-1])
    near, far = receiver.view(shape), sender.view(shape)
    return _PairActivation.apply(near, far, link, dropout)


def _elu_dropout_(pair: Tensor, dropout: float) -> Tensor:
    """ELU and dropout in place."""
    F.elu_(pair)
    if dropout > 0:
        zero_dropped(pair, keep_words(pair, dropout))
        pair.mul_(kept_scale(dropout))
    return pair


def _elu_dropout_slope(out: Tensor, dropout: float) -> Tensor:
    """Derivative of :func:`_elu_dropout_` from its result, which alone is kept for backward.

    With the scale s of what is kept it is s where the result y is positive and y + s where it is
    negative; a result of zero was dropped.
    """
    scale = kept_scale(dropout)
    slope = out.clamp(max=0.0).add_(scale)
    return slope.mul_(out != 0) if dropout > 0 else slope


def elu_dropout(feat: Tensor, dropout: float) -> Tensor:
    """ELU, then dropout that scales up what it keeps."""
    return _ELUDropout.apply(feat, dropout) if dropout > 0 else F.elu(feat)


class _ELUDropout(torch.autograd.Function):
    """ELU and dropout that keep their result alone."""

    @staticmethod
    def forward(ctx: Any, pair: Tensor, dropout: float) -> Tensor:
        ctx.dropout = dropout
        out = _elu_dropout_(pair.clone(), dropout)
        ctx.save_for_backward(out)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (out,) = ctx.saved_tensors
        return _elu_dropout_slope(out, ctx.dropout).mul_(grad), None


class _PairActivation(torch.autograd.Function):
    """Sums over all ordered pairs of a body, activated; a few bodies at a time."""

    @staticmethod
    def forward(ctx: Any, near: Tensor, far: Tensor, link: Tensor | None, dropout: float) -> Tensor:
        units, joints, feats = near.shape
        out = near.new_empty(units, joints, joints - 1, feats)
        links = None if link is None else link.view(out.shape)
        for chosen in unit_tiles(out, PAIR_BYTES):
            pair = near[chosen].unsqueeze(2) + far[chosen].unsqueeze(1)
            part = out[chosen]
            part.view(-1, joints - 1, joints, feats).copy_(without_diagonal(pair))
            if links is not None:
                part += links[chosen]
            _elu_dropout_(part, dropout)
        ctx.dropout, ctx.linked = dropout, link is not None
        ctx.save_for_backward(out)
        return out.flatten(0, 2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor | None, None]:
        (out,) = ctx.saved_tensors
        units, joints, _, feats = out.shape
        grad = grad.reshape(out.shape)
        d_near, d_far = out.new_empty(2, units, joints, feats)
        d_link = torch.empty_like(out) if ctx.linked else None
        for chosen in unit_tiles(out, PAIR_BYTES):
            back = _elu_dropout_slope(out[chosen], ctx.dropout).mul_(grad[chosen])
            torch.sum(back, dim=2, out=d_near[chosen])
            block = back.new_zeros(len(back), joints, joints, feats)
            without_diagonal(block).copy_(back.view(-1, joints - 1, joints, feats))
            torch.sum(block, dim=1, out=d_far[chosen])
            if d_link is not None:
                d_link[chosen] = back
        return d_near, d_far, None if d_link is None else d_link.flatten(0, 2), None


def reduce_edges(plan: ActionalPlan, feat: Tensor, num_nodes: int, how: str) -> Tensor:
    """Mean or maximum over the senders of every receiver, 0 where a joint has none.

    Parameters
    ----------
    plan
        Actional plan; the edges of its first type are used.
    feat
        (E, ...).
    num_nodes
        N.
    how
        ``"mean"`` or ``"max"``.

    Returns
    -------
    Tensor
        (N, ...).
    """
    if plan.regular and plan.num_joints > 1:
        fan = feat.view(num_nodes, plan.num_joints - 1, *feat.shape[1:])
        return fan.sum(dim=1) / fan.shape[1] if how == "mean" else fan.amax(dim=1)
    _, dst = plan.edges[0]
    out = feat.new_zeros(num_nodes, *feat.shape[1:])
    if how == "mean":
        degree = torch.bincount(dst, minlength=num_nodes).clamp(min=1).to(feat.dtype)
        return out.index_add(0, dst, feat) / degree.view(-1, *(1,) * (feat.dim() - 1))
    index = dst.view(-1, *(1,) * (feat.dim() - 1)).expand_as(feat)
    return out.scatter_reduce(0, index, feat, "amax", include_self=False)


def weighted_pairs(
    plan: ActionalPlan, receiver: Tensor, sender: Tensor, edge_weight: Tensor
) -> Tensor:
    """For every joint i, type c: sum over j of A_ij,c ELU(receiver_i + sender_j).

    Parameters
    ----------
    plan
        Actional plan.
    receiver, sender
        (N, C, F).
    edge_weight
        (E, C).

    Returns
    -------
    Tensor
        (N, C, F).
    """
    edge_weight = edge_weight.to(receiver.dtype)
    if plan.regular and plan.num_joints > 1:
        shape = (plan.num_units, plan.num_joints, *receiver.shape[1:])
        units, joints = shape[:2]
        links = dense_links(edge_weight, units, joints)  # (B, C, V, V)
        near = receiver.view(shape).transpose(1, 2)
        far = sender.view(shape).transpose(1, 2)
        with torch.autocast(receiver.device.type, enabled=False):
            out = _dense_pairs(near, far, links)  # (B, C, V, F)
        return out.transpose(1, 2).reshape(receiver.shape)
    src, dst = plan.edges[0]
    pair = F.elu(receiver.index_select(0, dst) + sender.index_select(0, src))
    return torch.zeros_like(receiver).index_add(0, dst, pair * edge_weight.unsqueeze(-1))


def _dense_pairs(near: Tensor, far: Tensor, links: Tensor) -> Tensor:
    """Weighted sums of complete units, the way that suits them."""
    if not fits(near, far):
        out: Tensor = _WeightedPairs.apply(near, far, links)
        return out
    if near.element_size() >= 4:
        return factored_pairs(near, far, links)
    return factored_pairs(near.float(), far.float(), links.float()).to(near.dtype)


class _WeightedPairs(torch.autograd.Function):
    """Pairs are made tile by tile and made again in backward: none is kept."""

    @staticmethod
    def forward(ctx: Any, near: Tensor, far: Tensor, links: Tensor) -> Tensor:
        near, far, links = near.contiguous(), far.contiguous(), links.contiguous()
        ctx.save_for_backward(near, far, links)
        out = torch.empty_like(near)
        for units, rows in _pair_tiles(near):
            pair = F.elu(near[units, :, rows].unsqueeze(3) + far[units].unsqueeze(2))
            row = links[units, :, rows].unsqueeze(3)  # (b, C, I, 1, V)
            out[units, :, rows] = (row @ pair).squeeze(3)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        near, far, links = ctx.saved_tensors
        grad = grad.contiguous()
        d_near = torch.empty_like(near)
        d_far = torch.zeros_like(far)
        d_links = torch.empty_like(links)
        for units, rows in _pair_tiles(near):
            pair = near[units, :, rows].unsqueeze(3) + far[units].unsqueeze(2)
            F.elu_(pair)  # (b, C, I, V, F)
            part = grad[units, :, rows].unsqueeze(3)  # (b, C, I, 1, F)
            d_links[units, :, rows] = (pair @ part.transpose(3, 4)).squeeze(4)
            slope = pair.clamp_(max=0.0).add_(1.0)  # ELU' = 1 for z > 0, ELU + 1 below
            slope.mul_(part).mul_(links[units, :, rows].unsqueeze(4))
            d_near[units, :, rows] = slope.sum(dim=3)
            d_far[units] += slope.sum(dim=2)
        return d_near, d_far, d_links


def _pair_tiles(near: Tensor) -> list[tuple[slice, slice]]:
    """Slices of units and of receivers whose pairs fit the cache together."""
    units, types, joints, feats = near.shape
    if near.device.type != "cpu":
        return [(slice(0, units), slice(0, joints))]
    row = max(types * joints * feats * near.element_size(), 1)
    rows = max(1, min(joints, PAIR_BYTES // row))
    bodies = max(1, min(units, PAIR_BYTES // (row * joints)))
    return [
        (slice(u, min(u + bodies, units)), slice(r, min(r + rows, joints)))
        for u in range(0, units, bodies)
        for r in range(0, joints, rows)
    ]


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
