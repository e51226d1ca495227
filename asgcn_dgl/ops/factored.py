r"""Weighted sums over pairs of joints whose exponentials are made at the joints.

A message is :math:`\mathrm{ELU}(r_i + s_j)`, r from the receiver and s from the sender. The
exponential is monotone, so that both branches of ELU part into a joint's own values and one
comparison on the pair:

.. math::

    \mathrm{ELU}(r_i + s_j) = r_i - 1 + \max(s_j, -r_i) + e^{r_i} \min(e^{s_j}, e^{-r_i})

An exponential takes ten times as long as a comparison, and there are V - 1 times as many pairs as
joints. The last term is also the derivative of ELU, so that backward needs no exponential either.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from asgcn_dgl.ops.threads import spread

Place = tuple[int | slice, ...]

PIECE = 80_000  # features of all senders of one receiver that are gone over together
LEAST = 8_192  # below this many, calls cost more than exponentials
LARGEST = 32.0  # of |r| and |s|: products of exponentials neither overflow nor lose digits


def fits(near: Tensor, far: Tensor) -> bool:
    """Whether :func:`factored_pairs` is right for these features, and faster.

    Parameters
    ----------
    near, far
        (B, C, V, F), what receivers and senders give.
    """
    return near.shape[2] * near.shape[3] >= LEAST and moderate(near, far)


def moderate(near: Tensor, far: Tensor) -> bool:
    """Whether exponentials of these features on a CPU may be multiplied; no where one is NaN.

    A program that is traced has no values to look at yet: no.
    """
    if near.device.type != "cpu" or torch.compiler.is_compiling():
        return False
    return all(bool(feat.detach().abs().amax() <= LARGEST) for feat in (near, far))


def factored_pairs(near: Tensor, far: Tensor, links: Tensor) -> Tensor:
    """Sum over j of links_ij ELU(near_i + far_j).

    Parameters
    ----------
    near, far
        (B, C, V, F), single precision or better, of the size that :func:`fits` asks for.
    links
        (B, C, V, V), ``[b, c, i, j]`` weighs the message from joint j to joint i.

    Returns
    -------
    Tensor
        (B, C, V, F).
    """
    out: Tensor = _FactoredPairs.apply(near, far, links)
    return out


class _FactoredPairs(torch.autograd.Function):
    """Receiver by receiver, all its senders at once; kept are sums alone.

    Results lie in memory as ``near`` does, whatever the order of its axes.
    """

    @staticmethod
    def forward(ctx: Any, near: Tensor, far: Tensor, links: Tensor) -> Tensor:
        out, slopes = torch.empty_like(near), torch.empty_like(near)

        def work(places: Sequence[Place]) -> None:
            for place in places:
                here = near[place]
                pair = _Pair(here, far[place])
                total = torch.empty_like(pair.both)
                for receiver, weight, row in zip(
                    pair.receivers(), links[place[:2]].unbind(0), total.unbind(0), strict=True
                ):
                    pair.make(*receiver)
                    torch.mv(pair.both.t(), weight, out=row)
                linear, slope = total.chunk(2, dim=1)
                slope *= here.exp()
                slopes[place] = slope
                strength = links[place[:2]].sum(dim=1, keepdim=True)
                out[place] = linear.add_(slope).addcmul_(here - 1.0, strength)

        spread(work, _pieces(near))
        ctx.save_for_backward(near, far, links, slopes)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        near, far, links, slopes = ctx.saved_tensors
        d_far, d_links = torch.empty_like(far), torch.zeros_like(links)
        pieces = _pieces(near)
        sums = links.new_empty(len(pieces), *links.shape[2:])

        def work(numbered: Sequence[tuple[int, Place]]) -> None:
            for number, place in numbered:
                here, there = near[place], grad[place]
                pair = _Pair(here, far[place])
                scaled = here.exp().mul_(there)
                gradient = torch.cat([there, scaled], dim=1)
                total, rows = torch.zeros_like(here), sums[number]
                for receiver, weight, both, low, row in zip(
                    pair.receivers(),
                    links[place[:2]].unsqueeze(2).unbind(0),
                    gradient.unbind(0),
                    scaled.unbind(0),
                    rows.unbind(0),
                    strict=True,
                ):
                    pair.make(*receiver)
                    torch.mv(pair.both, both, out=row)
                    total.addcmul_(pair.low.mul_(low), weight)
                d_far[place] = total
                rows += torch.linalg.vecdot(here - 1.0, there).unsqueeze(1)

        spread(work, list(enumerate(pieces)))
        for place, rows in zip(pieces, sums, strict=True):
            d_links[place[:2]] += rows
        return slopes.mul(grad), d_far, d_links


class _Pair:
    """What the senders of one receiver give it, made anew for each receiver.

    Attributes
    ----------
    both
        (V, 2 F): max(s_j, -r_i), then min(exp(s_j), exp(-r_i)).
    low
        The second half of it.
    """

    def __init__(self, near: Tensor, far: Tensor) -> None:
        self.far, self.exp = far.contiguous(), far.exp().contiguous()
        self.limit = near.neg().contiguous()
        self.both = near.new_empty(near.shape[0], 2 * near.shape[1])
        self.high, self.low = self.both.chunk(2, dim=1)

    def receivers(self) -> zip[tuple[Tensor, Tensor]]:
        """Arguments of :meth:`make` for each receiver."""
        return zip(self.limit.unbind(0), self.limit.exp().unbind(0), strict=True)

    def make(self, limit: Tensor, exp_limit: Tensor) -> None:
        """Fill :attr:`both` for the receiver of -r and exp(-r)."""
        torch.maximum(self.far, limit, out=self.high)
        torch.minimum(self.exp, exp_limit, out=self.low)


def _pieces(near: Tensor) -> list[Place]:
    """Indices of unit, type, joints and features: of one unit and type, what fits the cache."""
    units, types, joints, feats = near.shape
    number = -(-feats * joints // PIECE)
    length = -(-feats // number)
    return [
        (unit, kind, slice(None), slice(begin, min(begin + length, feats)))
        for unit in range(units)
        for kind in range(types)
        for begin in range(0, feats, length)
    ]
