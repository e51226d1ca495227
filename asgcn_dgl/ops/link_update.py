"""One link update of the encoder: all that happens on the pairs, a body or two at a time.

Pair features of a whole batch do not fit the cache, and a dozen operations pass over them. Here
every tile of them goes through all operations at once. The batch norm that follows is left to the
caller, who puts its gain and shift into the weights that come next; only its sums are made here.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from asgcn_dgl.ops.dropout import BITS, keep_words, kept_scale, zero_dropped
from asgcn_dgl.ops.factored import moderate
from asgcn_dgl.ops.tiles import Workspace, unit_tiles

LINK_BYTES = 1280 * 1024  # pair features of one tile on a CPU; elsewhere one tile is the batch
LOG2_E = math.log2(math.e)


class LinkUpdate(NamedTuple):
    """What a link update gives.

    Attributes
    ----------
    link
        (E, O) links before the batch norm, receiver-major, senders ascending.
    pooled
        (N, O) means over the senders of each joint.
    mean, var
        (O,) over all links; the variance is the biased one.
    """

    link: Tensor
    pooled: Tensor
    mean: Tensor
    var: Tensor


def link_update(
    near: Tensor,
    far: Tensor,
    weight: Tensor,
    bias: Tensor,
    link: Tensor | None = None,
    link_weight: Tensor | None = None,
    dropout: float = 0.0,
) -> LinkUpdate:
    r"""Two-layer perceptron of both joints of a pair, and of the link before.

    .. math::

        q_{ij} = \mathrm{ELU}\left( W\, \mathrm{dropout}(\mathrm{ELU}(
            r_i + s_j + W_q q'_{ij})) + b \right)

    Parameters
    ----------
    near, far
        (B, V, H), what the first layer makes of receivers (r) and senders (s); V >= 2.
    weight, bias
        (O, H) and (O,) of the second layer.
    link, link_weight
        (E, P) links before and (H, P), or None.
    dropout
        Probability that a hidden feature is dropped; the others are scaled up.

    Returns
    -------
    LinkUpdate
        Links and their sums.
    """
    parts = _LinkUpdate.apply(near, far, weight, bias, link, link_weight, dropout)
    return LinkUpdate(*parts)


class _LinkUpdate(torch.autograd.Function):
    """Kept for backward are both activations and one bit for each dropped feature."""

    @staticmethod
    def forward(
        ctx: Any,
        near: Tensor,
        far: Tensor,
        weight: Tensor,
        bias: Tensor,
        link: Tensor | None,
        link_weight: Tensor | None,
        dropout: float,
    ) -> tuple[Tensor, ...]:
        units, joints, feats = near.shape
        shape = (units, joints * (joints - 1), feats)
        active = near.new_empty(shape)
        out = near.new_empty(*shape[:2], len(weight))
        pooled = near.new_empty(units, joints, len(weight))
        scaled = (
            (weight * kept_scale(dropout)).t().contiguous()
        )  # scaling up is left to the weights
        pairs = _Pairs(near, far, link is None)
        tiles = unit_tiles(active, LINK_BYTES)
        words = [keep_words(active[tile], dropout) for tile in tiles]
        means = near.new_empty(len(tiles), len(weight))
        squares = torch.empty_like(means)
        links = None if link is None else link.view(*shape[:2], -1)
        bits = _bits_buffer(active, words)
        for number, tile in enumerate(tiles):
            hidden, made = active[tile], out[tile].flatten(0, 1)
            pairs.make(tile, hidden, links, link_weight)
            zero_dropped(hidden, words[number], bits)
            torch.mm(hidden.flatten(0, 1), scaled, out=made)
            spread = pairs.work.take("spread", *made.shape)
            _elu_(made.add_(bias), spread)
            torch.mean(made.view(-1, joints, joints - 1, len(weight)), dim=2, out=pooled[tile])
            torch.mean(pooled[tile], dim=(0, 1), out=means[number])
            torch.sub(made, means[number], out=spread).square_()
            torch.sum(spread, dim=0, out=squares[number])
        counts = near.new_tensor([[len(active[tile])] for tile in tiles]) * shape[1]
        mean = (means * counts).sum(dim=0) / counts.sum()
        squares += counts * (means - mean).square()
        var = squares.sum(dim=0) / counts.sum()
        ctx.dropout, ctx.tiles, ctx.words = dropout, tiles, words
        ctx.save_for_backward(active, out, scaled, mean, link, link_weight)
        ctx.set_materialize_grads(False)
        return out.flatten(0, 1), pooled.flatten(0, 1), mean, var

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any,
        d_out: Tensor | None,
        d_pooled: Tensor | None,
        d_mean: Tensor | None,
        d_var: Tensor | None,
    ) -> tuple[Tensor | None, ...]:
        active, out, scaled, mean, link, link_weight = ctx.saved_tensors
        units, number, feats = active.shape
        width = out.shape[-1]
        rows = units * number
        joints = _joints_of(number)
        # The gradient of a link is d_out + slope * link + a row of its receiver.
        slope = None if d_var is None else 2.0 / rows * d_var
        shift = out.new_zeros(units, joints, width)
        if d_pooled is not None:
            shift += d_pooled.view(shift.shape) / (joints - 1)
        if d_mean is not None:
            shift += d_mean / rows
        if slope is not None:
            shift -= slope * mean
        d_out = torch.zeros_like(out) if d_out is None else d_out.reshape(out.shape)
        d_near, d_far = active.new_empty(2, units, joints, feats)
        d_weight, d_bias = torch.zeros_like(scaled), out.new_zeros(width)
        d_link = None if link is None else torch.empty_like(link).view(units, number, -1)
        d_link_weight = None if link_weight is None else torch.zeros_like(link_weight)
        links = None if link is None else link.view(units, number, -1)
        work, square = Workspace(active), Workspace(active)
        bits = _bits_buffer(active, ctx.words)
        for tile, words in zip(ctx.tiles, ctx.words, strict=True):
            hidden, made = active[tile].flatten(0, 1), out[tile]
            back = work.take("back", *made.shape)
            if slope is None:
                back.copy_(d_out[tile])
            else:
                torch.addcmul(d_out[tile], made, slope, out=back)
            back.view(-1, joints, joints - 1, width).add_(shift[tile].unsqueeze(2))
            _elu_backward_(back, made)
            back = back.flatten(0, 1)
            d_bias += back.sum(dim=0)
            d_weight.addmm_(hidden.t(), back)
            inner = torch.mm(back, scaled.t(), out=work.take("inner", *hidden.shape))
            _elu_backward_(inner, hidden)
            zero_dropped(inner, words, bits)
            fan = inner.view(-1, joints, joints - 1, feats)
            torch.sum(fan, dim=2, out=d_near[tile])
            first = "block" not in square.buffers
            block = square.take("block", len(fan), joints, joints, feats)
            if first:
                block.zero_()  # the diagonal stays so
            without_diagonal(block).copy_(inner.view(-1, joints - 1, joints, feats))
            torch.sum(block, dim=1, out=d_far[tile])
            if links is not None and d_link is not None and d_link_weight is not None:
                d_link_weight.addmm_(inner.t(), links[tile].flatten(0, 1))
                torch.mm(inner, link_weight, out=d_link[tile].flatten(0, 1))
        return (
            d_near,
            d_far,
            d_weight.t() * kept_scale(ctx.dropout),
            d_bias,
            None if d_link is None else d_link.flatten(0, 1),
            d_link_weight,
            None,
        )


class _Pairs:
    """Hidden layer of the pairs of some bodies.

    Without a link before, ELU's exponential is a product of two that are made at the joints, see
    :mod:`~asgcn_dgl.ops.factored`.
    """

    def __init__(self, near: Tensor, far: Tensor, alone: bool) -> None:
        self.near, self.far = near, far
        self.work = Workspace(near)
        self.exp: tuple[Tensor, Tensor] | None = None
        if alone and moderate(near, far):
            self.exp = (near.exp(), far.exp())

    def make(
        self, tile: slice, out: Tensor, links: Tensor | None, link_weight: Tensor | None
    ) -> None:
        """Fill (b, V (V - 1), H)."""
        near, far = self.near[tile], self.far[tile]
        units, joints, feats = near.shape
        block = self.work.take("block", units, joints, joints, feats)
        torch.add(near.unsqueeze(2), far.unsqueeze(1), out=block)
        flat = out.view(units, joints - 1, joints, feats)
        if self.exp is not None:
            power = self.work.take("power", *block.shape)
            first, second = (part[tile] for part in self.exp)
            torch.mul(first.unsqueeze(2), second.unsqueeze(1), out=power)
            power.clamp_(max=1.0).sub_(1.0)
            torch.maximum(without_diagonal(block), without_diagonal(power), out=flat)
            return
        flat.copy_(without_diagonal(block))
        if links is not None and link_weight is not None:
            out.flatten(0, 1).addmm_(links[tile].flatten(0, 1), link_weight.t())
        _elu_(out.flatten(0, 1), self.work.take("power", units * joints * (joints - 1), feats))


def _elu_(feat: Tensor, spare: Tensor) -> None:
    """ELU in place: max(z, exp(min(z, 0)) - 1), on a CPU twice as fast as torch's own.

    torch's powers of two take a third of the time of its powers of e. ``spare`` is a buffer of the
    same shape.
    """
    if feat.device.type != "cpu":
        F.elu_(feat)
        return
    torch.clamp(feat, max=0.0, out=spare).mul_(LOG2_E).exp2_().sub_(1.0)
    torch.maximum(feat, spare, out=feat)


def _bits_buffer(feat: Tensor, words: list[Tensor | None]) -> Tensor | None:
    """Room for the bits of the largest tile."""
    most = max((len(word) for word in words if word is not None), default=0)
    return feat.new_empty(BITS * most, dtype=torch.int32) if most else None


def _elu_backward_(grad: Tensor, result: Tensor) -> None:
    """Multiply a gradient by ELU's derivative, from ELU's result."""
    torch.ops.aten.elu_backward(grad, 1.0, 1.0, 1.0, True, result, grad_input=grad)


def without_diagonal(block: Tensor) -> Tensor:
    """View of (b, V, V, ...) without its diagonal: (b, V - 1, V, ...), in the order of its rows.

    Places 1 to V^2 - 1 of the flattened block, cut into V - 1 rows of V + 1, end in the next
    diagonal place each.
    """
    units, joints, _, *feats = block.shape
    flat = block.view(units, joints * joints, *feats)[:, 1:]
    return flat.unflatten(1, (joints - 1, joints + 1))[:, :, :-1]


def _joints_of(pairs: int) -> int:
    """V of V (V - 1) ordered pairs."""
    joints = 2
    while joints * (joints - 1) < pairs:
        joints += 1
    return joints
