"""The any-graph engine: sums messages by DGL, correct on every heterograph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from asgcn_dgl._dgl import dgl
from asgcn_dgl.ops.plan import ActionalPlan, Relation, StructuralPlan


def structural_sum(
    plan: StructuralPlan, feat: Tensor, weight: Tensor, mask: Tensor | None
) -> Tensor:
    """Sum over relations of (mask * operator) @ feat @ weight, on any graph.

    Parameters
    ----------
    plan
        Structure of the graph.
    feat
        (N, F, D).
    weight
        (R, D, O).
    mask
        Flat mask table, or None.

    Returns
    -------
    Tensor
        (N, F, O).
    """
    num_nodes, frames, _ = feat.shape
    out = feat.new_zeros(num_nodes, frames, weight.shape[-1])
    for number, relation in enumerate(plan.relations):
        if relation.src.numel() == 0:
            continue
        coefficient = relation_values(relation, feat, mask).repeat(plan.num_units)
        senders, receivers = _ends(plan, number, "senders"), _ends(plan, number, "receivers")
        block = _block(plan, number)
        message = feat.index_select(0, senders)
        if relation.kind == "receive":
            message = _aggregate(block, message, coefficient) @ weight[number]
        else:
            message = _aggregate(block, message @ weight[number], coefficient)
        out = out.index_add(0, receivers, message)
    return out


def actional_sum(
    plan: ActionalPlan,
    feat: Tensor,
    weight: Tensor,
    links: Sequence[Tensor],
    loops: Tensor | None,
) -> Tensor:
    """Sum over actional types of links @ feat @ weight, on any graph.

    Parameters
    ----------
    plan
        Structure of the graph.
    feat
        (N, F, D).
    weight
        (C, D, O).
    links
        For each type the (E,) strengths of its edges.
    loops
        (N, C) strengths of each joint's link to itself, or None.

    Returns
    -------
    Tensor
        (N, F, O).
    """
    num_nodes = feat.shape[0]
    total = torch.zeros((), dtype=feat.dtype, device=feat.device)
    for number in range(len(plan.edges)):
        sent = feat @ weight[number]
        message = _aggregate(_graph(plan, number, num_nodes), sent, links[number])
        if loops is not None:
            message = message + loops[:, number].view(-1, 1, 1) * sent
        total = total + message
    return total


def relation_values(relation: Relation, feat: Tensor, mask: Tensor | None) -> Tensor:
    """Operator entries of a relation times their masks, in the features' type."""
    values = relation.weight.to(feat.dtype)
    if mask is None or relation.mask_index is None:
        return values
    return values * mask.to(feat.dtype)[relation.mask_index]


def _aggregate(graph: Any, message: Tensor, coefficient: Tensor) -> Tensor:
    return dgl.ops.u_mul_e_sum(graph, message, coefficient.view(-1, 1, 1))


@torch.inference_mode(False)
def _ends(plan: StructuralPlan, number: int, side: str) -> Tensor:
    """All joints of a regular batch that send (or receive), not the first unit's alone."""
    key = (side, number)
    if key not in plan.store:
        joints = getattr(plan.relations[number], side)[0]
        shift = torch.arange(plan.num_units, device=joints.device).unsqueeze(1) * plan.num_joints
        plan.store[key] = (joints + shift).flatten()
    return plan.store[key]


@torch.inference_mode(False)
def _graph(plan: ActionalPlan, number: int, num_nodes: int) -> Any:
    """Graph of one actional type."""
    key = ("graph", number)
    if key not in plan.store:
        src, dst = plan.edges[number]
        plan.store[key] = dgl.graph((src, dst), num_nodes=num_nodes, device=src.device)
    return plan.store[key]


@torch.inference_mode(False)
def _block(plan: StructuralPlan, number: int) -> Any:
    """Bipartite graph from the joints that send to those that receive."""
    key = ("block", number)
    if key not in plan.store:
        relation = plan.relations[number]
        (senders, src), (receivers, dst) = relation.senders, relation.receivers
        units = torch.arange(plan.num_units, device=src.device).unsqueeze(1)
        src = (src + units * len(senders)).flatten()
        dst = (dst + units * len(receivers)).flatten()
        sizes = {
            "sender": plan.num_units * len(senders),
            "receiver": plan.num_units * len(receivers),
        }
        plan.store[key] = dgl.heterograph({("sender", "to", "receiver"): (src, dst)}, sizes)
    return plan.store[key]
