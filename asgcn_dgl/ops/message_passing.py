"""The convolution on any DGL heterograph: messages are summed by DGL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from asgcn_dgl._dgl import dgl
from asgcn_dgl.ops.conv import Actional, LinkMatrices, Structural, expanded, of_structure
from asgcn_dgl.ops.runtime import widened
from asgcn_dgl.skeleton.batch import SkeletonBatch
from asgcn_dgl.skeleton.graph import check_etypes


def message_passing_conv(
    graph: Any, rows: Tensor, structural: Structural | None, actional: Actional | None
) -> Tensor:
    """Sum of the structural and the actional convolution, (N, F, D) to (N, F, O)."""
    if isinstance(graph, SkeletonBatch):
        if graph.joints_first:
            graph = graph.in_graph_order()
            out = message_passing_conv(graph, graph.rows_in_graph_order(rows), structural, actional)
            return graph.rows_joints_first(out)
        graph = graph.graph
    if rows.shape[1] == 0:  # DGL refuses features of no numbers
        halves = [half for half in (structural, actional) if half is not None]
        return rows.new_zeros(*rows.shape[:2], halves[0].weight.shape[-1])
    wide = widened(rows)
    total = None
    if structural is not None:
        check_etypes(structural.etypes, graph.etypes)
        total = _structural_sum(graph, wide, expanded(structural))
    if actional is not None:
        check_etypes(actional.etypes, graph.etypes)
        links = _actional_sum(graph, wide, expanded(actional))
        total = links if total is None else total + links
    assert total is not None
    return total.to(rows.dtype)


def _structural_sum(graph: Any, rows: Tensor, structural: Structural) -> Tensor:
    weight = structural.weight.to(rows.dtype)
    bias = None if structural.bias is None else structural.bias.to(rows.dtype)
    sent = rows.new_zeros(*rows.shape[:2], weight.shape[-1])
    for number, etype in enumerate(structural.etypes):
        edges = graph[etype]
        message = rows @ weight[number]
        if bias is not None:
            message = message + bias[number]
        value = _edge_values(graph, etype, edges, structural).to(rows.dtype)
        sent = sent + _aggregate(edges, message, value)
    if structural.offsets is not None:
        for place, offset in _by_structure(graph, structural.offsets, "offsets"):
            number, joints, _ = offset.shape
            bodies = rows[place].unflatten(0, (-1, joints))  # (b, V, F, D)
            mapped = torch.einsum("bvfd,rdo->rbvfo", bodies, weight[:number])
            if bias is not None:
                mapped = mapped + bias[:number, None, None, None]
            part = torch.einsum("rij,rbjfo->bifo", offset.to(rows.dtype), mapped)
            sent = sent.index_add(0, place, part.flatten(0, 1))
    return sent


def _actional_sum(graph: Any, rows: Tensor, actional: Actional) -> Tensor:
    links = actional.links
    links = links.weight if isinstance(links, LinkMatrices) else links
    each = links.unbind(1) if isinstance(links, Tensor) else links
    weight = actional.weight.to(rows.dtype)
    total = rows.new_zeros(*rows.shape[:2], weight.shape[-1])
    for number, (etype, strength) in enumerate(zip(actional.etypes, each, strict=True)):
        edges = graph[etype]
        message = rows @ weight[number]
        if actional.bias is not None:
            message = message + actional.bias[number].to(rows.dtype)
        strength = strength.to(rows.dtype)
        if actional.norm == "none":
            total = total + _aggregate(edges, message, strength)
            continue
        loop = 1.0 if actional.norm == "self_loop" else 0.0
        _, receiver = edges.edges(order="eid")
        degree = strength.new_full((len(rows),), loop).index_add(0, receiver, strength)
        degree = torch.where(degree == 0, torch.ones_like(degree), degree)
        total = total + _aggregate(edges, message, strength / degree[receiver])
        if loop:
            total = total + message / degree.view(-1, 1, 1)
    return total * actional.factor


def _aggregate(edges: Any, message: Tensor, value: Tensor) -> Tensor:
    return dgl.ops.u_mul_e_sum(edges, message, value.view(-1, 1, 1))


def _edge_values(graph: Any, etype: str, edges: Any, structural: Structural) -> Tensor:
    """Operator entries, or a mean over senders where edges carry no weight, times masks."""
    _, receiver = edges.edges(order="eid")
    value = edges.edata.get("weight")
    if value is None:
        value = 1.0 / edges.in_degrees().clamp(min=1).to(structural.weight.dtype)[receiver]
    if structural.masks is None:
        return value
    slot = edges.edata.get("slot")
    if slot is None or "structure" not in graph.ndata:
        raise ValueError(
            "edge masks need ndata['structure'] and edge data 'slot' on the graph: build it with "
            "GraphBuilder, or construct the layer with layouts=None (no masks)"
        )
    keys = graph.ndata["structure"][receiver]
    _check_known(keys, structural.masks, "masks")
    for key, mask in structural.masks.items():
        own = keys == key
        index = torch.where(own, slot, torch.zeros_like(slot))
        value = torch.where(own, value * mask[index].to(value.dtype), value)
    return value


def _by_structure(
    graph: Any, table: dict[int, Tensor] | Any, what: str
) -> Sequence[tuple[Tensor, Tensor]]:
    """Nodes of each structure and what the table holds for it."""
    if "structure" not in graph.ndata:
        raise ValueError(f"{what} need ndata['structure'] on the graph: build it with GraphBuilder")
    keys = graph.ndata["structure"]
    _check_known(keys, table, what)
    found = [((keys == key).nonzero().squeeze(1), value) for key, value in table.items()]
    return [(place, value) for place, value in found if len(place)]


def _check_known(keys: Tensor, table: Any, what: str) -> None:
    for key in torch.unique(keys).tolist():
        of_structure(table, key, what)
