"""What the engines need to know of a graph, read once from its structure and cached.

A batch is *regular* when it is one unit (say, a body) over and over: then the operators of the
first unit stand for all. Anything else is one unit as large as the whole graph; where it is made
of a few kinds of units (say, bodies of two layouts), each kind is a regular *part*.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

MAX_UNIT_JOINTS = 1024  # larger units would make dense (joints, joints) operators
MAX_PARTS = 8  # of more kinds of units, the any-graph engine is as good


@dataclass(frozen=True)
class Relation:
    """Edges of one structural relation inside a unit.

    Attributes
    ----------
    src, dst
        (E,) sending and receiving joint.
    weight
        (E,) operator entries.
    mask_index
        (E,) place of each entry in the layer's mask table, or None.
    kind
        ``"diagonal"`` (each joint sends to itself), ``"send"`` (fewer joints send than receive:
        transform, then aggregate) or ``"receive"`` (aggregate, then transform).
    """

    src: Tensor
    dst: Tensor
    weight: Tensor
    mask_index: Tensor | None
    kind: str

    @cached_property
    def senders(self) -> tuple[Tensor, Tensor]:
        """Joints that send, and for each edge its sender's place among them."""
        return torch.unique(self.src, return_inverse=True)

    @cached_property
    def receivers(self) -> tuple[Tensor, Tensor]:
        """Joints that receive, and for each edge its receiver's place among them."""
        return torch.unique(self.dst, return_inverse=True)


@dataclass(frozen=True)
class StructuralPlan:
    """Structural relations of a batch of equal units, or of one irregular unit.

    Attributes
    ----------
    num_units, num_joints
        B units of V joints each.
    regular
        Whether dense operators of one unit may stand for the batch.
    relations
        One entry for each edge type asked for, in that order.
    kinds
        Regular parts that an irregular batch is made of; empty where it is not.
    store
        What engines derive from the plan and keep.
    """

    num_units: int
    num_joints: int
    regular: bool
    relations: tuple[Relation, ...]
    kinds: tuple[Part, ...] = ()
    store: dict[Hashable, Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def parts(self) -> tuple[Part, ...]:
        """Regular parts: the batch itself where it is regular, none where there are none."""
        return (Part(self),) if self.regular else self.kinds


@dataclass(frozen=True)
class ActionalPlan:
    """Actional relations: complete graphs of equal units, or any edges.

    Attributes
    ----------
    num_units, num_joints
        B units of V joints each (one unit of all nodes where irregular).
    regular
        Whether every type is the complete graph of each unit, receiver-major.
    edges
        (src, dst), each (E,), for each type.
    kinds
        Regular parts that an irregular batch is made of; empty where it is not.
    store
        What engines derive from the plan and keep.
    """

    num_units: int
    num_joints: int
    regular: bool
    edges: tuple[tuple[Tensor, Tensor], ...]
    kinds: tuple[Part, ...] = ()
    store: dict[Hashable, Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def parts(self) -> tuple[Part, ...]:
        """Regular parts: the batch itself where it is regular, none where there are none."""
        return (Part(self),) if self.regular else self.kinds


@dataclass(frozen=True)
class Part:
    """Units of one kind in a batch.

    Attributes
    ----------
    plan
        Regular plan of these units alone.
    nodes
        (n,) their nodes in the batch, unit after unit; None for all.
    edges
        (E,) the actional edges among them, in the order of the plan; None for all.
    """

    plan: StructuralPlan | ActionalPlan
    nodes: Tensor | None = None
    edges: Tensor | None = None


def structural_plan(
    graph: Any, etypes: Sequence[str], mask_offsets: Mapping[int, int] | None = None
) -> StructuralPlan:
    """Plan of the structural edge types of a graph.

    Parameters
    ----------
    graph
        DGL heterograph; edges of type r may carry ``weight`` (E_r,), else rows are averaged.
    etypes
        Edge types, in the order of the layer's weights.
    mask_offsets
        Where each structure's masks begin in the layer's mask table, by structure key; None for a
        layer without masks.

    Raises
    ------
    ValueError
        If an edge type is missing, or masks are asked for and the graph does not carry what finds
        them, or carries a structure that the layer has no masks for.
    """
    weights = tuple(_edge_data(graph, etype, "weight") for etype in etypes)
    if any(weight is not None and weight.requires_grad for weight in weights):
        # Learnable weights: every edge needs its own gradient, whatever its value is now.
        return _read_structural(graph, etypes, weights, mask_offsets, may_repeat=False)
    offsets = None if mask_offsets is None else tuple(mask_offsets.items())

    def read() -> StructuralPlan:
        own = tuple(None if weight is None else _outside_inference(weight) for weight in weights)
        return _read_structural(graph, etypes, own, mask_offsets)

    marks = tuple((weight, _version(weight)) for weight in weights)
    return _cached(graph, ("structural", tuple(etypes), offsets), marks, read)


def actional_plan(graph: Any, etypes: Sequence[str]) -> ActionalPlan:
    """Plan of the actional edge types of a graph.

    Raises
    ------
    ValueError
        If an edge type is missing.
    """
    key = ("actional", tuple(etypes))
    return _cached(graph, key, (), lambda: _read_actional(graph, etypes))


Marks = tuple[tuple[Tensor | None, int], ...]
_PLANS: dict[int, tuple[weakref.ref[Any], dict[Hashable, tuple[Marks, Any]]]] = {}


def _cached(graph: Any, key: Hashable, marks: Marks, read: Callable[[], Any]) -> Any:
    """Keep what is read as long as the graph's structure lives and the marked tensors stay.

    Copies of a graph share its structure. What is kept must serve training too, so it is never
    read in inference mode.
    """
    structure = graph._graph
    entry = _PLANS.get(id(structure))
    if entry is None or entry[0]() is not structure:
        number = id(structure)
        entry = (weakref.ref(structure, lambda _: _PLANS.pop(number, None)), {})
        _PLANS[number] = entry
    kept = entry[1].get(key)
    if kept is None or not _same(kept[0], marks):
        with torch.inference_mode(False), torch.no_grad():
            kept = (marks, read())
        entry[1][key] = kept
    return kept[1]


def _same(left: Marks, right: Marks) -> bool:
    return len(left) == len(right) and all(
        a is b and n == m for (a, n), (b, m) in zip(left, right, strict=True)
    )


def _version(tensor: Tensor | None) -> int:
    """Count of changes in place; inference tensors do not keep one."""
    return 0 if tensor is None or tensor.is_inference() else tensor._version


def _outside_inference(tensor: Tensor) -> Tensor:
    return tensor.clone() if tensor.is_inference() else tensor


def check_structures(graph: Any, sizes: Mapping[int, int], across_bodies: bool | None) -> None:
    """Refuse a graph of other skeletons than a model was made for.

    Parameters
    ----------
    graph
        DGL heterograph.
    sizes
        Joints of a body for each structure key that the model knows.
    across_bodies
        Whether A-links go from person to person; None where there are none.

    Raises
    ------
    ValueError
        If the graph holds another structure, or A-links of the other kind.
    """
    key = ("structures", tuple(sizes), across_bodies)
    message = _cached(graph, key, (), lambda: _wrong_structure(graph, sizes, across_bodies))
    if message:
        raise ValueError(message)


def _wrong_structure(graph: Any, sizes: Mapping[int, int], across_bodies: bool | None) -> str:
    keys = graph.ndata.get("structure")
    remedy = "build it with the model's graph_builder, for one of the model's layouts"
    if keys is None or "joint" not in graph.ndata:
        return f"the graph carries no ndata['structure'] and ndata['joint']: {remedy}"
    found, counts = torch.unique(keys, return_counts=True)
    if any(key not in sizes for key in found.tolist()):
        return f"the graph holds a skeleton that the model was not made for: {remedy}"
    if across_bodies is None:
        return ""
    if across_bodies:
        clips = graph.batch_num_nodes()
        expected = int((clips * (clips - 1)).sum())
    else:
        pairs = zip(found.tolist(), counts.tolist(), strict=True)
        expected = sum(count * (sizes[key] - 1) for key, count in pairs)
    edges = graph.num_edges("actional_1") if "actional_1" in graph.etypes else 0
    if edges != expected:
        return f"the graph has {edges} A-links of type 1, the model expects {expected}: {remedy}"
    return ""


def _edge_data(graph: Any, etype: str, name: str) -> Tensor | None:
    try:
        return graph.edges[etype].data.get(name)
    except Exception as error:
        if type(error).__name__ != "DGLError":
            raise
        raise ValueError(
            f"graph has no edge type {etype!r} that this layer needs; it has "
            f"{sorted(graph.etypes)}: build it with GraphBuilder and the layer's max_hop, "
            "construction and num_actional, or name the layer's etypes"
        ) from error


def _read_structural(
    graph: Any,
    etypes: Sequence[str],
    weights: Sequence[Tensor | None],
    mask_offsets: Mapping[int, int] | None,
    may_repeat: bool = True,
) -> StructuralPlan:
    num_nodes = graph.num_nodes()
    edges = [graph.edges(etype=etype, order="eid") for etype in etypes]
    filled = [
        weight if weight is not None else _mean_weight(dst, num_nodes)
        for weight, (_, dst) in zip(weights, edges, strict=True)
    ]
    masks: list[Tensor | None] = [None] * len(etypes)
    if mask_offsets is not None:
        masks = list(_mask_indices(graph, etypes, edges, mask_offsets))
    joints = _unit_size(graph) if may_repeat else 0
    columns = [
        [src, dst, weight] + ([] if mask is None else [mask])
        for (src, dst), weight, mask in zip(edges, filled, masks, strict=True)
    ]
    if joints:
        plan = _repeated(columns, num_nodes // joints, joints)
        if plan is not None:
            return plan
    kinds = _structural_kinds(graph, columns) if may_repeat else ()
    return StructuralPlan(1, num_nodes, False, _relations(columns, 1), kinds)


def _repeated(
    columns: Sequence[Sequence[Tensor]], units: int, joints: int
) -> StructuralPlan | None:
    """Regular plan of equal units, None where they differ."""
    if not all(_repeats(column, units, joints) for column in columns):
        return None
    return StructuralPlan(units, joints, True, _relations(columns, units))


def _relations(columns: Sequence[Sequence[Tensor]], units: int) -> tuple[Relation, ...]:
    """Relations of the first of so many units."""
    relations = []
    for column in columns:
        per_unit = len(column[0]) // units
        src, dst, weight, *mask = (tensor[:per_unit] for tensor in column)
        index = mask[0] if mask else None
        relations.append(Relation(src, dst, weight, index, _kind(src, dst)))
    return tuple(relations)


def _structural_kinds(graph: Any, columns: Sequence[Sequence[Tensor]]) -> tuple[Part, ...]:
    """Parts of equal bodies, or of equal clips; empty where units of a kind differ."""
    key = graph.ndata.get("structure")
    for starts, sizes in _unit_bounds(graph):
        kinds = sizes if key is None else torch.stack([sizes, key[starts]], dim=1)
        parts, seen = [], 0
        for nodes, place, joints in _by_kind(starts, sizes, kinds, graph.num_nodes()):
            own = [_restricted(column, place) for column in columns]
            if any(column is None for column in own):
                break
            found = [column for column in own if column is not None]
            plan = _repeated(found, len(nodes) // joints, joints)
            if plan is None:
                break
            seen += len(nodes)
            parts.append(Part(plan, nodes))
        if parts and seen == graph.num_nodes():
            return tuple(parts)
    return ()


def _unit_bounds(graph: Any) -> list[tuple[Tensor, Tensor]]:
    """First nodes and sizes of the units that a batch may be made of: bodies, then clips."""
    bounds = []
    joint, sizes = graph.ndata.get("joint"), graph.batch_num_nodes()
    if joint is not None and len(joint) and int(joint[0]) == 0:
        starts = (joint == 0).nonzero().squeeze(1)
        ends = torch.cat([starts[1:], starts.new_tensor([len(joint)])])
        bounds.append((starts, ends - starts))
    if len(sizes) and int(sizes.min()) > 0:
        bounds.append((sizes.cumsum(0) - sizes, sizes))
    return bounds


def _by_kind(
    starts: Tensor, sizes: Tensor, kinds: Tensor, num_nodes: int
) -> Iterator[tuple[Tensor, Tensor, int]]:
    """Nodes of each kind of unit, each node's place among them (-1: none), joints of a unit."""
    found, which = torch.unique(kinds, dim=0, return_inverse=True)
    if len(found) > MAX_PARTS:
        return
    for number in range(len(found)):
        chosen = (which == number).nonzero().squeeze(1)
        joints = int(sizes[chosen[0]])
        if joints > MAX_UNIT_JOINTS:
            return
        within = torch.arange(joints, device=starts.device)
        nodes = (starts[chosen].unsqueeze(1) + within).flatten()
        place = torch.full((num_nodes,), -1, device=starts.device)
        place[nodes] = torch.arange(len(nodes), device=starts.device)
        yield nodes, place, joints


def _restricted(column: Sequence[Tensor], place: Tensor) -> list[Tensor] | None:
    """Edges that end in some nodes, renumbered; None where one begins outside."""
    src, dst, *values = column
    here = place[dst] >= 0
    src, dst = place[src[here]], place[dst[here]]
    if bool((src < 0).any()):
        return None
    return [src, dst, *(value[here] for value in values)]


def _kind(src: Tensor, dst: Tensor) -> str:
    if torch.equal(src, dst):
        return "diagonal"
    return "send" if len(torch.unique(src)) < len(torch.unique(dst)) else "receive"


def _mean_weight(dst: Tensor, num_nodes: int) -> Tensor:
    degree = torch.bincount(dst, minlength=num_nodes)
    return (1.0 / degree[dst]).to(torch.get_default_dtype())


def _mask_indices(
    graph: Any,
    etypes: Sequence[str],
    edges: Sequence[tuple[Tensor, Tensor]],
    mask_offsets: Mapping[int, int],
) -> list[Tensor]:
    key = graph.ndata.get("structure")
    slots = [_edge_data(graph, etype, "slot") for etype in etypes]
    if key is None or any(slot is None for slot in slots):
        raise ValueError(
            "edge masks need ndata['structure'] and edge data 'slot' on the graph: build it with "
            "GraphBuilder, or construct the layer with layouts=None (no masks)"
        )
    found, inverse = torch.unique(key, return_inverse=True)
    unknown = [number for number in found.tolist() if number not in mask_offsets]
    if unknown:
        raise ValueError(
            f"the graph holds a structure (key {unknown[0]}) that is none of the layer's "
            f"{len(mask_offsets)} layouts: construct the layer with that layout too, and with the "
            "graph builder's max_hop, construction and normalization"
        )
    start = torch.tensor([mask_offsets[number] for number in found.tolist()], device=key.device)
    offset = start[inverse]  # (N,)
    return [
        slot + offset[dst] for slot, (_, dst) in zip(slots, edges, strict=True) if slot is not None
    ]


def _unit_size(graph: Any) -> int:
    """Joints of a unit that the whole batch may repeat, 0 if there is no candidate."""
    num_nodes = graph.num_nodes()
    joint = graph.ndata.get("joint")
    if joint is not None and num_nodes:
        size = int(joint.max()) + 1
        pattern = torch.arange(num_nodes, device=joint.device) % size
        if num_nodes % size == 0 and torch.equal(joint, pattern):
            return size if size <= MAX_UNIT_JOINTS else 0
        return 0
    sizes = graph.batch_num_nodes()
    size = int(sizes[0]) if len(sizes) else 0
    equal = bool(size) and bool((sizes == size).all())
    return size if equal and size <= MAX_UNIT_JOINTS else 0


def _repeats(column: Sequence[Tensor], units: int, joints: int) -> bool:
    """Whether (src, dst, *values) of all units equal the first unit's, shifted by whole units."""
    src, dst, *values = column
    if len(src) % units:
        return False
    shift = torch.arange(units, device=src.device).unsqueeze(1) * joints
    src, dst = src.view(units, -1) - shift, dst.view(units, -1) - shift
    if src.numel() and (bool((src < 0).any()) or bool((src >= joints).any())):
        return False
    tiles = [src, dst, *(value.view(units, -1) for value in values)]
    return all(bool((tile == tile[:1]).all()) for tile in tiles)


def _read_actional(graph: Any, etypes: Sequence[str]) -> ActionalPlan:
    for etype in etypes:
        _edge_data(graph, etype, "weight")  # a missing edge type is refused here, by name
    edges = tuple(graph.edges(etype=etype, order="eid") for etype in etypes)
    num_nodes = graph.num_nodes()
    for joints in _actional_units(graph):
        if all(_is_complete(src, dst, num_nodes, joints) for src, dst in edges):
            return ActionalPlan(num_nodes // joints, joints, True, edges)
    return ActionalPlan(1, num_nodes, False, edges, _actional_kinds(graph, edges))


def _actional_kinds(graph: Any, edges: Sequence[tuple[Tensor, Tensor]]) -> tuple[Part, ...]:
    """Parts of complete bodies, or of complete clips, of equal size; empty where any is not."""
    num_nodes = graph.num_nodes()
    for starts, sizes in _unit_bounds(graph):
        parts, seen = [], 0
        for nodes, place, joints in _by_kind(starts, sizes, sizes, num_nodes):
            chosen = [(place[dst] >= 0).nonzero().squeeze(1) for _, dst in edges]
            own = tuple(
                (place[src[here]], place[dst[here]])
                for (src, dst), here in zip(edges, chosen, strict=True)
            )
            complete = all(_is_complete(src, dst, len(nodes), joints) for src, dst in own)
            if not complete or not all(torch.equal(here, chosen[0]) for here in chosen):
                break
            seen += len(nodes)
            plan = ActionalPlan(len(nodes) // joints, joints, True, own)
            parts.append(Part(plan, nodes, chosen[0]))
        if parts and seen == num_nodes:
            return tuple(parts)
    return ()


def _actional_units(graph: Any) -> list[int]:
    """Candidate unit sizes: a body, and a whole clip where links go from person to person."""
    sizes = graph.batch_num_nodes()
    clip = int(sizes[0]) if len(sizes) and bool((sizes == sizes[0]).all()) else 0
    candidates = dict.fromkeys((_unit_size(graph), clip))
    return [size for size in candidates if 0 < size <= MAX_UNIT_JOINTS]


def _is_complete(src: Tensor, dst: Tensor, num_nodes: int, joints: int) -> bool:
    units = num_nodes // joints
    if num_nodes % joints or len(src) != units * joints * (joints - 1):
        return False
    receiver, sender = complete_edges(joints, src.device)
    shift = torch.arange(units, device=src.device).unsqueeze(1) * joints
    return torch.equal(dst, (receiver + shift).flatten()) and torch.equal(
        src, (sender + shift).flatten()
    )


def complete_edges(joints: int, device: torch.device | str = "cpu") -> tuple[Tensor, Tensor]:
    """Receivers and senders of the complete directed graph, receiver-major, without loops."""
    place = torch.arange(joints * (joints - 1), device=device)
    fan = max(joints - 1, 1)
    receiver, sender = place // fan, place % fan
    return receiver, sender + (sender >= receiver).long()
