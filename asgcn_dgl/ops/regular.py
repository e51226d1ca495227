"""The regular-batch engine: matrix products only, for batches that repeat one unit.

The units (bodies) are gone over in tiles that stay in the cache. Backward keeps the input and the
operators, and makes the rest again; of wide layers it keeps the transformed rows too, which cost
more to make than to store.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from asgcn_dgl.ops.actional import LinkTile
from asgcn_dgl.ops.plan import StructuralPlan, complete_edges
from asgcn_dgl.ops.structural import (
    Layout,
    StructuralGrads,
    StructuralOperators,
    StructuralTile,
    layout_of,
)
from asgcn_dgl.ops.tiles import Tile, Workspace, as_gradient, gradient_total, tiles

KEEP_ROWS = 128 * 128  # D times O from which on the transformed rows are kept for backward
NUM_TENSORS = 6  # of StructuralOperators and LinkOperators


class LinkOperators(NamedTuple):
    """A-links of a batch of units.

    Attributes
    ----------
    links
        (B, C, V, V), ``[b, c, i, j]`` weighs the message from joint j to joint i.
    weight
        (C, D, O).
    """

    links: Tensor
    weight: Tensor


def relational_conv(
    feat: Tensor,
    plan: StructuralPlan | None = None,
    structural: StructuralOperators | None = None,
    actional: LinkOperators | None = None,
) -> Tensor:
    """Apply S-links and A-links to the features of B equal units.

    Parameters
    ----------
    feat
        (B, V, F, D).
    plan, structural
        Regular plan and the operators made from it; None for A-links alone.
    actional
        A-links; None for S-links alone.

    Returns
    -------
    Tensor
        (B, V, F, O).
    """
    layout = None if plan is None or structural is None else layout_of(plan)
    first = (None,) * 4 if structural is None else structural
    second = (None,) * 2 if actional is None else (actional.links.contiguous(), actional.weight)
    return _RelationalConv.apply(feat.contiguous(), layout, *first, *second)


def dense_links(edge_weight: Tensor, num_units: int, num_joints: int) -> Tensor:
    """A-links of complete units as matrices, zero diagonal.

    Parameters
    ----------
    edge_weight
        (E, C), receiver-major, E = B V (V - 1).
    num_units, num_joints
        B and V.

    Returns
    -------
    Tensor
        (B, C, V, V), ``[b, c, i, j]`` weighs the message from joint j to joint i.
    """
    receiver, sender = complete_edges(num_joints, edge_weight.device)
    types = edge_weight.shape[1]
    links = edge_weight.new_zeros(num_units, num_joints * num_joints, types)
    values = edge_weight.view(num_units, -1, types)
    links = links.index_copy(1, receiver * num_joints + sender, values)
    return links.view(num_units, num_joints, num_joints, types).permute(0, 3, 1, 2)


class _RelationalConv(torch.autograd.Function):
    """Both halves in one pass over tiles.

    Tensors: values, diagonal, send and receive of :class:`StructuralOperators`, then links and
    weight of :class:`LinkOperators`; None where there is none.
    """

    @staticmethod
    def forward(ctx: Any, feat: Tensor, layout: Layout | None, *tensors: Tensor | None) -> Tensor:
        ctx.layout = layout
        structural, actional = _halves(layout, tensors)
        out_feats = next(t.shape[-1] for t in (*tensors[1:4], tensors[5]) if t is not None)
        out = feat.new_empty(*feat.shape[:3], out_feats)
        work = Workspace(feat)
        keeps = ctx.needs_input_grad[2] and feat.shape[-1] * out_feats >= KEEP_ROWS
        kept = []
        for tile in _tiles(feat):
            here = tile.of(out)
            if layout is not None and structural is not None:
                own = Workspace(feat) if keeps else work
                kept.append(StructuralTile(feat, layout, structural, tile, work).forward(here, own))
            else:
                here.zero_()
            if actional is not None:
                LinkTile(feat, actional.links, tile, work).forward(actional.weight, here)
        ctx.save_for_backward(feat, *tensors, *(kept if keeps else ()))
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        feat, *saved = ctx.saved_tensors
        tensors, kept = saved[:NUM_TENSORS], saved[NUM_TENSORS:]
        layout = ctx.layout
        structural, actional = _halves(layout, tensors)
        needs = ctx.needs_input_grad
        grad_feat = torch.empty_like(feat) if needs[0] else None
        grads = [
            gradient_total(tensor) if tensor is not None and need else None
            for tensor, need in zip(tensors, needs[2:], strict=True)
        ]
        work = Workspace(feat)
        for number, tile in enumerate(_tiles(feat)):
            here = None if grad_feat is None else tile.of(grad_feat)
            if layout is not None and structural is not None:
                StructuralTile(feat, layout, structural, tile, work).backward(
                    tile.of(grad), here, StructuralGrads(*grads[:4]), kept[number] if kept else None
                )
            elif here is not None:
                here.zero_()
            if actional is not None:
                LinkTile(feat, actional.links, tile, work).backward(
                    actional.weight, tile.of(grad), here, *grads[4:]
                )
        done = (
            None if total is None or tensor is None else as_gradient(total, tensor)
            for total, tensor in zip(grads, tensors, strict=True)
        )
        return (grad_feat, None, *done)


def _halves(
    layout: Layout | None, tensors: Any
) -> tuple[StructuralOperators | None, LinkOperators | None]:
    return (
        None if layout is None else StructuralOperators(*tensors[:4]),
        None if tensors[4] is None else LinkOperators(*tensors[4:]),
    )


def _tiles(feat: Tensor) -> list[Tile]:
    units, joints, frames, _ = feat.shape
    return tiles(units, joints, frames, feat.device)
