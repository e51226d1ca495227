"""DGL heterographs of batches of skeletons.

Node type ``joint``; one edge type for each structural relation (``centripetal_2`` ...) and each
actional type (``actional_1`` ...). Nodes go by clip, body, joint.

Data on the graph
-----------------
``ndata["joint"]``
    (N,) index of the joint in its layout.
``ndata["structure"]``
    (N,) key of the structural operators of the joint's body: layers that learn edge masks for
    several layouts look up theirs by it.
``edges[r].data["weight"]``
    (E_r,) operator entry of a structural edge.
``edges[r].data["slot"]``
    (E_r,) number of that entry among all entries of the layout, over all relations.

Actional edges carry no data: each body (or clip) is a complete directed graph without loops,
receiver-major: all senders j != i of receiver 0, then of receiver 1, ...
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from asgcn_dgl.skeleton.batch import SkeletonBatch, ranges

if TYPE_CHECKING:
    from dgl import DGLGraph

NODE_TYPE = "joint"


def dgl_installed() -> bool:
    """Tell whether DGL is installed; it is not imported."""
    return find_spec("dgl") is not None


def structure_of(graph: Any) -> SkeletonBatch | None:
    """Return the structure of a graph; None for one without, or one that was changed."""
    if isinstance(graph, SkeletonBatch):
        return graph
    origin = getattr(graph, "_skeleton_origin", None)
    return origin.structure if origin is not None and origin.holds(graph) else None


def num_edges(graph: Any, etype: str) -> int | None:
    """Return the A-links of one type in a structure or a DGL heterograph, None if it has none."""
    if isinstance(graph, SkeletonBatch):
        return graph.num_pairs if etype in graph.builder.actional_etypes else None
    return int(graph.num_edges(etype)) if etype in graph.etypes else None


def check_etypes(wanted: Sequence[str], there: Sequence[str]) -> None:
    """Raise ValueError if a graph lacks an edge type that a layer needs."""
    missing = [etype for etype in wanted if etype not in there]
    if missing:
        raise ValueError(
            f"graph has no edge type {missing[0]!r} that this layer needs; it has "
            f"{sorted(there)}: build it with GraphBuilder and the layer's max_hop, "
            "construction and num_actional, or name the layer's etypes"
        )


def check_structures(graph: Any, sizes: Mapping[int, int], across_bodies: bool | None) -> None:
    """Raise ValueError for a batch of other skeletons than a model was made for.

    ``sizes`` has the joints of a body for each structure key that the model knows;
    ``across_bodies`` is None where there are no A-links.
    """
    remedy = "build it with the model's graph_builder, for one of the model's layouts"
    structure = structure_of(graph)
    if structure is not None:
        keys = [part.template.key for part in structure.parts]
        expected, edges = 0, 0
        if across_bodies is not None and structure.builder.across_bodies != across_bodies:
            raise ValueError(
                f"the graph's A-links have across_bodies={structure.builder.across_bodies}, the "
                f"model's {across_bodies}: {remedy}"
            )
    elif "structure" not in graph.ndata or "joint" not in graph.ndata:
        raise ValueError(f"the graph carries no ndata['structure'] and ndata['joint']: {remedy}")
    else:
        found, counts = torch.unique(graph.ndata["structure"], return_counts=True)
        keys = found.tolist()
        clips = graph.batch_num_nodes()
        expected = int((clips * (clips - 1)).sum())
        if not across_bodies:
            pairs = zip(keys, counts.tolist(), strict=True)
            expected = sum(count * (sizes.get(key, 1) - 1) for key, count in pairs)
        edges = num_edges(graph, "actional_1") or 0
    if any(key not in sizes for key in keys):
        raise ValueError(f"the graph holds a skeleton that the model was not made for: {remedy}")
    if across_bodies is not None and edges != expected:
        raise ValueError(
            f"the graph has {edges} A-links of type 1, the model expects {expected}: {remedy}"
        )


@torch.inference_mode(False)
def to_dgl(structure: SkeletonBatch) -> DGLGraph:
    """Return the DGL heterograph of a structure; it shares no memory with any other graph."""
    from asgcn_dgl._dgl import dgl

    if structure.num_bodies is None or structure.which is None:
        raise ValueError("a structure made by GraphBuilder.uniform has no DGL graph")
    if structure.joints_first:
        raise ValueError("only a structure in the graph's order has a DGL graph")
    builder = structure.builder
    num_bodies = np.asarray(structure.num_bodies)
    kind = np.repeat(np.asarray(structure.which), num_bodies)  # (bodies,)
    joints = np.asarray([layout.num_joints for layout in structure.layouts])
    clip_joints = num_bodies * joints[np.asarray(structure.which)]
    first_body = np.cumsum(num_bodies) - num_bodies
    body_start = np.cumsum(joints[kind]) - joints[kind]
    templates = [part.template for part in structure.parts]
    data: dict[tuple[str, str, str], tuple[Tensor, Tensor]] = {}
    columns: dict[str, tuple[Tensor, Tensor]] = {}
    batch_edges: dict[tuple[str, str, str], Tensor] = {}
    dtype = torch.get_default_dtype()
    for number, etype in enumerate(builder.structural_etypes):
        rows = [slice(*template.bounds[number : number + 2]) for template in templates]
        chosen = [(templates[k], rows[k]) for k in kind]
        per_body = np.asarray([row.stop - row.start for _, row in chosen])
        shift = np.repeat(body_start, per_body)
        src = np.concatenate([template.src[row] for template, row in chosen]) + shift
        dst = np.concatenate([template.dst[row] for template, row in chosen]) + shift
        weight = np.concatenate([template.weight[row] for template, row in chosen])
        slot = np.concatenate([np.arange(row.start, row.stop) for _, row in chosen])
        name = (NODE_TYPE, etype, NODE_TYPE)
        data[name] = (torch.from_numpy(src), torch.from_numpy(dst))
        columns[etype] = (torch.from_numpy(weight).to(dtype), torch.from_numpy(slot))
        batch_edges[name] = torch.from_numpy(np.add.reduceat(per_body, first_body))
    if builder.num_actional:
        size = clip_joints if builder.across_bodies else joints[kind]
        ends = structure.pair_nodes()
        per_unit = size * (size - 1)
        per_clip = per_unit if builder.across_bodies else np.add.reduceat(per_unit, first_body)
        for etype in builder.actional_etypes:
            name = (NODE_TYPE, etype, NODE_TYPE)
            data[name] = ends
            batch_edges[name] = torch.from_numpy(per_clip)
    graph = dgl.heterograph(data, num_nodes_dict={NODE_TYPE: int(clip_joints.sum())})
    graph.set_batch_num_nodes(torch.from_numpy(clip_joints))
    graph.set_batch_num_edges(batch_edges)
    graph.ndata["joint"] = torch.from_numpy(ranges(joints[kind]))
    keys = np.asarray([template.key for template in templates])
    graph.ndata["structure"] = torch.from_numpy(np.repeat(keys[kind], joints[kind]))
    for etype, (weight_column, slot_column) in columns.items():
        graph.edges[etype].data["weight"] = weight_column
        graph.edges[etype].data["slot"] = slot_column
    graph = graph.to(structure.device)
    graph._skeleton_origin = _Origin.of(graph, structure)
    return graph


@dataclass(frozen=True, eq=False)
class _Origin:
    """The structure a graph was made of, and how to tell that it still is that.

    Copies of a graph share DGL's ``index`` of the edges, changed graphs have another; ``columns``
    are node and edge data with the count of their changes in place.
    """

    structure: SkeletonBatch
    index: Any
    columns: tuple[tuple[Tensor, int], ...]

    @classmethod
    def of(cls, graph: Any, structure: SkeletonBatch) -> _Origin:
        columns = tuple((column, column._version) for column in _columns(graph, structure))
        return cls(structure, graph._graph, columns)

    def holds(self, graph: Any) -> bool:
        """Tell whether the graph has the edges, operators and keys that it was made with."""
        if graph._graph is not self.index:
            return False
        found = _columns(graph, self.structure)
        return all(
            column is own and own._version == version
            for column, (own, version) in zip(found, self.columns, strict=True)
        )


def _columns(graph: Any, structure: SkeletonBatch) -> list[Any]:
    nodes = [graph.ndata.get(name) for name in ("joint", "structure")]
    edges = [
        graph.edges[etype].data.get(name)
        for etype in structure.builder.structural_etypes
        for name in ("weight", "slot")
    ]
    return nodes + edges
