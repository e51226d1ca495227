"""The any-graph engine: sums messages by DGL, correct on every heterograph."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from asgcn_dgl._dgl import dgl
from asgcn_dgl.ops.plan import ActionalPlan, Relation, StructuralPlan
from asgcn_dgl.ops.tiles import TILE_ROWS, add_product, as_gradient, gradient_total


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
    wiring = _wiring(plan)
    values = [
        relation_values(plan.relations[number], feat, mask).repeat(plan.num_units)
        for number in (*wiring.sent, *wiring.mixed)
    ]
    return _StructuralSum.apply(wiring, feat, weight, torch.cat(values))


class _StructuralSum(torch.autograd.Function):
    """All structural relations, a few frames at a time.

    Every relation is a few rows that go through its weight: the features of its senders, or what
    its receivers take. One message passing brings all rows to the joints. Backward keeps the
    features and the operators only, and makes the rows again.
    """

    @staticmethod
    def forward(ctx: Any, wiring: _Wiring, feat: Tensor, weight: Tensor, values: Tensor) -> Tensor:
        ctx.wiring = wiring
        ctx.save_for_backward(feat, weight, values)
        out = feat.new_empty(*feat.shape[:2], weight.shape[-1])
        for frames in _frame_tiles(feat):
            x = feat[:, frames].contiguous()
            rows = wiring.table(x, weight, values)
            out[:, frames] = _aggregate(wiring.out, rows, wiring.out_values(values))
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        feat, weight, values = ctx.saved_tensors
        wiring: _Wiring = ctx.wiring
        d_feat = torch.empty_like(feat)
        d_weight, d_values = gradient_total(weight), gradient_total(values)
        for frames in _frame_tiles(feat):
            x, g = feat[:, frames].contiguous(), grad[:, frames].contiguous()
            arrived = _aggregate(wiring.out_back, g, wiring.out_values(values))
            back = x.new_empty(len(arrived), *x.shape[1:])
            for number, own, source in wiring.relations(x, values):
                add_product(d_weight[number], source.flatten(0, 1), arrived[own].flatten(0, 1))
                torch.mm(
                    arrived[own].flatten(0, 1),
                    weight[number].t(),
                    out=back[own].view(-1, x.shape[-1]),
                )
            if ctx.needs_input_grad[1]:
                d_feat[:, frames] = _aggregate(wiring.back, back, wiring.back_values(values))
            if ctx.needs_input_grad[3]:
                wiring.add_dots(x, g, weight, back, d_values)
        return (
            None,
            d_feat if ctx.needs_input_grad[1] else None,
            as_gradient(d_weight, weight) if ctx.needs_input_grad[2] else None,
            as_gradient(d_values, values) if ctx.needs_input_grad[3] else None,
        )


@dataclass(frozen=True)
class _Wiring:
    """How rows and joints are joined, for all relations at once.

    Attributes
    ----------
    sent, mixed
        Numbers of the relations that transform what joints send, and what joints take.
    sent_edges
        For each of ``sent`` its place among the edges of all, and the graph from its rows, counted
        from 0, to the joints.
    senders
        For each of ``sent`` the joints that send, None for all joints in order.
    rows
        For each relation its rows in the table, those of ``sent`` first.
    out, out_back
        Graph from the rows to the joints, and the way back; its edges are those of ``sent``, then
        one from each row of ``mixed``.
    mix
        Graph from the joints to the rows of ``mixed``, counted from 0.
    back
        Graph from the rows to the joints that their gradient goes to: one edge from each row of
        ``sent``, then those of ``mixed``.
    """

    sent: tuple[int, ...]
    mixed: tuple[int, ...]
    sent_edges: Mapping[int, tuple[slice, Any]]
    senders: tuple[Tensor | None, ...]
    rows: tuple[slice, ...]
    out: Any
    out_back: Any
    mix: Any
    back: Any

    @property
    def num_sent(self) -> int:
        """Rows of ``sent``."""
        return self.rows[len(self.sent) - 1].stop if self.sent else 0

    def parted(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Operator entries of ``sent`` and of ``mixed``."""
        edges = self.out.num_edges() - (self.out.num_nodes("row") - self.num_sent)
        return values[:edges], values[edges:]

    def out_values(self, values: Tensor) -> Tensor:
        """What the edges of ``out`` are weighted by."""
        own = self.parted(values)[0]
        return torch.cat([own, own.new_ones(self.out.num_edges() - len(own))])

    def back_values(self, values: Tensor) -> Tensor:
        """What the edges of ``back`` are weighted by."""
        own = self.parted(values)[1]
        return torch.cat([own.new_ones(self.back.num_edges() - len(own)), own])

    def relations(self, x: Tensor, values: Tensor) -> Iterator[tuple[int, slice, Tensor]]:
        """For each relation its number, its rows and what goes through its weight."""
        for number, own, senders in zip(self.sent, self.rows, self.senders, strict=False):
            yield number, own, x if senders is None else x.index_select(0, senders)
        if self.mixed:
            taken = _aggregate(self.mix, x, self.parted(values)[1])
            for number, own in zip(self.mixed, self.rows[len(self.sent) :], strict=True):
                yield number, own, taken[own.start - self.num_sent : own.stop - self.num_sent]

    def table(self, x: Tensor, weight: Tensor, values: Tensor) -> Tensor:
        """All rows after their weights, (P, F, O)."""
        table = x.new_empty(self.rows[-1].stop, x.shape[1], weight.shape[-1])
        for number, own, source in self.relations(x, values):
            here = table[own].view(-1, weight.shape[-1])
            torch.mm(source.flatten(0, 1), weight[number], out=here)
        return table

    def add_dots(
        self, x: Tensor, grad: Tensor, weight: Tensor, back: Tensor, total: Tensor
    ) -> None:
        """Add to the gradient of the operator entries."""
        sent, mixed = self.parted(total)
        for number, senders in zip(self.sent, self.senders, strict=True):
            source = x if senders is None else x.index_select(0, senders)
            edges, graph = self.sent_edges[number]
            sent[edges] += dgl.ops.u_dot_v(graph, source @ weight[number], grad).sum(dim=(1, 2))
        if self.mixed:
            mixed += dgl.ops.u_dot_v(self.mix, x, back[self.num_sent :]).sum(dim=(1, 2))


def _frame_tiles(feat: Tensor) -> list[slice]:
    """Slices of the frames of (N, F, D) whose rows fit the cache; elsewhere all at once."""
    joints, frames, _ = feat.shape
    size = frames if feat.device.type != "cpu" else max(1, min(frames, TILE_ROWS // joints))
    return [slice(begin, min(begin + size, frames)) for begin in range(0, frames, size)]


@torch.inference_mode(False)
def _wiring(plan: StructuralPlan) -> _Wiring:
    """Derive the wiring of a plan, kept on it."""
    if "wiring" not in plan.store:
        plan.store["wiring"] = _wire(plan)
    return plan.store["wiring"]


def _wire(plan: StructuralPlan) -> _Wiring:
    chosen: dict[bool, list[int]] = {True: [], False: []}  # whether it transforms what is sent
    for number, relation in enumerate(plan.relations):
        if relation.src.numel():
            chosen[relation.kind != "receive"].append(number)
    joints = plan.num_units * plan.num_joints
    everywhere = torch.arange(joints, device=plan.relations[0].src.device)
    rows: list[slice] = []
    senders: list[Tensor | None] = []
    sent_edges: dict[int, tuple[slice, Any]] = {}
    out: list[tuple[Tensor, Tensor]] = []
    back: list[tuple[Tensor, Tensor]] = []
    mix: list[tuple[Tensor, Tensor]] = []
    first = edge = 0
    for number in chosen[True]:
        relation = plan.relations[number]
        ends, place = _in_all_units(plan, *relation.senders)
        dst = _in_all_units(plan, relation.dst, relation.dst)[0]
        sent_edges[number] = (
            slice(edge, edge + len(dst)),
            _bipartite("row", "joint", place, dst, len(ends), joints),
        )
        edge += len(dst)
        out.append((place + first, dst))
        back.append((torch.arange(len(ends), device=ends.device) + first, ends))
        senders.append(None if torch.equal(ends, everywhere) else ends)
        rows.append(slice(first, first + len(ends)))
        first += len(ends)
    num_sent = first
    for number in chosen[False]:
        relation = plan.relations[number]
        ends, place = _in_all_units(plan, *relation.receivers)
        src = _in_all_units(plan, relation.src, relation.src)[0]
        out.append((torch.arange(len(ends), device=ends.device) + first, ends))
        back.append((place + first, src))
        mix.append((src, place + first - num_sent))
        rows.append(slice(first, first + len(ends)))
        first += len(ends)
    out_edges, back_edges = _joined(out), _joined(back)
    return _Wiring(
        tuple(chosen[True]),
        tuple(chosen[False]),
        sent_edges,
        tuple(senders),
        tuple(rows),
        _bipartite("row", "joint", *out_edges, first, joints),
        _bipartite("joint", "row", out_edges[1], out_edges[0], joints, first),
        _bipartite("joint", "row", *_joined(mix), joints, first - num_sent) if mix else None,
        _bipartite("row", "joint", *back_edges, first, joints),
    )


def _joined(edges: Sequence[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    src, dst = zip(*edges, strict=True)
    return torch.cat(src), torch.cat(dst)


def _in_all_units(plan: StructuralPlan, ends: Tensor, place: Tensor) -> tuple[Tensor, Tensor]:
    """Joints at one side of a relation and each edge's place among them, in all units."""
    units = torch.arange(plan.num_units, device=ends.device).unsqueeze(1)
    return (ends + units * plan.num_joints).flatten(), (place + units * len(ends)).flatten()


def _bipartite(
    source: str, target: str, src: Tensor, dst: Tensor, num_src: int, num_dst: int
) -> Any:
    return dgl.heterograph({(source, "to", target): (src, dst)}, {source: num_src, target: num_dst})


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
def _graph(plan: ActionalPlan, number: int, num_nodes: int) -> Any:
    """Graph of one actional type."""
    key = ("graph", number)
    if key not in plan.store:
        src, dst = plan.edges[number]
        plan.store[key] = dgl.graph((src, dst), num_nodes=num_nodes, device=src.device)
    return plan.store[key]
