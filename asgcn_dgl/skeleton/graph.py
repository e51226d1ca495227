"""Skeletons as DGL heterographs, single or in batches made from cached templates.

Node type ``joint``; one edge type for each structural relation (``centripetal_2`` ...) and each
actional type (``actional_1`` ...). Nodes stand in the order clip, body, joint.

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

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch

from asgcn_dgl._dgl import dgl
from asgcn_dgl.skeleton.layouts import SkeletonLayout, get_layout
from asgcn_dgl.skeleton.links import structural_etypes, structural_operators

NODE_TYPE = "joint"


def actional_etypes(num_actional: int) -> tuple[str, ...]:
    """Names of the actional edge types 1..C (type 0, the ghost, has no edges).

    Examples
    --------
    >>> actional_etypes(2)
    ('actional_1', 'actional_2')
    """
    return tuple(f"actional_{index}" for index in range(1, num_actional + 1))


@dataclass(frozen=True)
class Template:
    """One body's structural edges, all relations after one another.

    Attributes
    ----------
    src, dst
        (S,) sending and receiving joint of each entry of each relation.
    weight
        (S,) operator entries.
    bounds
        (R + 1,) where each relation begins and ends.
    key
        Number that names the operators, equal for equal structures only.
    """

    src: np.ndarray
    dst: np.ndarray
    weight: np.ndarray
    bounds: np.ndarray
    key: int


@dataclass(frozen=True)
class GraphBuilder:
    """Builds the heterographs of clips (Sec. 4, the actional-structural graph).

    Parameters
    ----------
    max_hop
        L, the largest hop of the structural links.
    num_actional
        C, the number of actional types; 0 for structural links only.
    construction
        ``"power"`` or ``"distance"``, see :func:`~asgcn_dgl.skeleton.structural_operators`.
    truncated
        See :func:`~asgcn_dgl.skeleton.structural_operators`.
    normalization
        ``"transition"`` (AS-GCN) or ``"symmetric"`` (ST-GCN).
    across_bodies
        Let A-links join all joints of a clip, person to person, instead of each body's own.

    Raises
    ------
    ValueError
        For an option out of range.

    Examples
    --------
    >>> from asgcn_dgl.skeleton import GraphBuilder, get_layout
    >>> builder = GraphBuilder(max_hop=1, num_actional=1)
    >>> graph = builder.batch(get_layout("ntu25"), [1, 2])
    >>> graph.num_nodes(), graph.num_edges("actional_1"), graph.batch_num_nodes().tolist()
    (75, 1800, [25, 50])
    """

    max_hop: int = 4
    num_actional: int = 3
    construction: str = "power"
    truncated: bool = False
    normalization: str = "transition"
    across_bodies: bool = False

    def __post_init__(self) -> None:
        structural_etypes(self.max_hop, self.construction)
        if int(self.num_actional) != self.num_actional or self.num_actional < 0:
            raise ValueError(f"num_actional must be a whole number >= 0, got {self.num_actional!r}")

    @property
    def structural_etypes(self) -> tuple[str, ...]:
        """Names of the structural edge types."""
        return structural_etypes(self.max_hop, self.construction)

    @property
    def actional_etypes(self) -> tuple[str, ...]:
        """Names of the actional edge types."""
        return actional_etypes(self.num_actional)

    def template(self, layout: SkeletonLayout) -> Template:
        """Structural edges of one body of a layout, cached."""
        return _template(self, layout)

    def clip(self, layout: SkeletonLayout | str, num_bodies: int = 1) -> dgl.DGLGraph:
        """Graph of one clip.

        Parameters
        ----------
        layout
            Skeleton of V joints.
        num_bodies
            M, the bodies that exist in the clip, at least 1.

        Returns
        -------
        DGLGraph
            M * V nodes; ``dgl.batch`` of such graphs equals :meth:`batch`.

        Raises
        ------
        ValueError
            If ``num_bodies`` is below 1.
        """
        return self.batch(layout, [num_bodies])

    def batch(
        self,
        layouts: SkeletonLayout | str | Sequence[SkeletonLayout | str],
        num_bodies: Sequence[int],
    ) -> dgl.DGLGraph:
        """Batched graph of B clips, in one go.

        Parameters
        ----------
        layouts
            One layout for all clips, or one for each; a supplied one may be given by its name.
        num_bodies
            (B,) bodies that exist in each clip, each at least 1.

        Returns
        -------
        DGLGraph
            Batched graph with a node for each joint of each body. It shares its structure with a
            cached one, but what is put into its ``ndata`` or ``edata`` stays its own.

        Raises
        ------
        ValueError
            If the batch is empty, a number of bodies is below 1, or the lengths differ.
        """
        if isinstance(num_bodies, int):
            raise ValueError(f"num_bodies must be a sequence, one number a clip, got {num_bodies}")
        counts = tuple(int(count) for count in num_bodies)
        if isinstance(layouts, str):
            layouts = get_layout(layouts)
        if not counts or min(counts) < 1:
            raise ValueError(f"num_bodies must hold at least one number >= 1, got {list(counts)}")
        if isinstance(layouts, SkeletonLayout):
            kinds: tuple[SkeletonLayout, ...] = (layouts,)
            which = (0,) * len(counts)
        else:
            if len(layouts) != len(counts):
                raise ValueError(
                    f"layouts must be one layout or one a clip: got {len(layouts)} layouts for "
                    f"{len(counts)} clips"
                )
            each = [get_layout(layout) for layout in layouts]
            kinds = tuple(dict.fromkeys(each))
            place = {layout: index for index, layout in enumerate(kinds)}
            which = tuple(place[layout] for layout in each)
        return _batch(self, kinds, which, counts, torch.get_default_dtype()).local_var()


@lru_cache(maxsize=256)
def _template(builder: GraphBuilder, layout: SkeletonLayout) -> Template:
    operators = structural_operators(
        layout,
        builder.max_hop,
        builder.construction,
        truncated=builder.truncated,
        normalization=builder.normalization,
    )
    entries = [matrix.tocoo() for matrix in operators.values()]
    dst = np.concatenate([entry.row for entry in entries]).astype(np.int64)
    src = np.concatenate([entry.col for entry in entries]).astype(np.int64)
    weight = np.concatenate([entry.data for entry in entries])
    bounds = np.cumsum([0, *(entry.nnz for entry in entries)])
    digest = hashlib.blake2b(digest_size=8)
    digest.update(repr((layout.num_joints, tuple(operators))).encode())
    for array in (src, dst, bounds, weight):
        digest.update(array.tobytes())
    key = int.from_bytes(digest.digest(), "little") >> 1  # fits a signed 64-bit number
    return Template(src, dst, weight, bounds, key)


@lru_cache(maxsize=64)
@torch.inference_mode(False)  # what is cached must serve training too
def _batch(
    builder: GraphBuilder,
    kinds: tuple[SkeletonLayout, ...],
    which: tuple[int, ...],
    counts: tuple[int, ...],
    dtype: torch.dtype,
) -> dgl.DGLGraph:
    """Assemble the batched graph; ``which`` names the layout among ``kinds`` of each clip."""
    num_bodies = np.asarray(counts)
    kind = np.repeat(np.asarray(which), num_bodies)  # (bodies,)
    joints = np.asarray([layout.num_joints for layout in kinds])
    clip_joints = num_bodies * joints[np.asarray(which)]
    body_start = np.concatenate([[0], np.cumsum(joints[kind])[:-1]])
    templates = [builder.template(layout) for layout in kinds]
    data: dict[tuple[str, str, str], tuple[torch.Tensor, torch.Tensor]] = {}
    columns: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}
    batch_edges: dict[tuple[str, str, str], torch.Tensor] = {}
    for number, etype in enumerate(builder.structural_etypes):
        src, dst, weight, slot, edges = _tile(templates, number, kind, body_start)
        name = (NODE_TYPE, etype, NODE_TYPE)
        data[name] = (torch.from_numpy(src), torch.from_numpy(dst))
        columns[etype] = (torch.from_numpy(weight).to(dtype), torch.from_numpy(slot))
        batch_edges[name] = torch.from_numpy(np.add.reduceat(edges, _starts(num_bodies)))
    if builder.num_actional:
        size = clip_joints if builder.across_bodies else joints[kind]
        pair = tuple(torch.from_numpy(array) for array in _complete(size))
        per_unit = size * (size - 1)
        per_clip = (
            per_unit if builder.across_bodies else np.add.reduceat(per_unit, _starts(num_bodies))
        )
        for etype in builder.actional_etypes:
            name = (NODE_TYPE, etype, NODE_TYPE)
            data[name] = (pair[0], pair[1])
            batch_edges[name] = torch.from_numpy(per_clip)
    graph = dgl.heterograph(data, num_nodes_dict={NODE_TYPE: int(clip_joints.sum())})
    graph.set_batch_num_nodes(torch.from_numpy(clip_joints))
    graph.set_batch_num_edges(batch_edges)
    graph.ndata["joint"] = torch.from_numpy(_ranges(joints[kind]))
    keys = np.asarray([template.key for template in templates])
    graph.ndata["structure"] = torch.from_numpy(np.repeat(keys[kind], joints[kind]))
    for etype, (weight_column, slot_column) in columns.items():
        graph.edges[etype].data["weight"] = weight_column
        graph.edges[etype].data["slot"] = slot_column
    return graph


def _tile(
    templates: Sequence[Template], number: int, kind: np.ndarray, body_start: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Repeat one relation of each body's template: src, dst, weight, slot and edges of a body."""
    low = np.asarray([template.bounds[number] for template in templates])
    high = np.asarray([template.bounds[number + 1] for template in templates])
    length = high - low
    shelf = np.concatenate([[0], np.cumsum(length)[:-1]])  # where each template begins below
    rows = [slice(begin, end) for begin, end in zip(low, high, strict=True)]
    pieces = list(zip(templates, rows, strict=True))
    src = np.concatenate([template.src[row] for template, row in pieces])
    dst = np.concatenate([template.dst[row] for template, row in pieces])
    weight = np.concatenate([template.weight[row] for template, row in pieces])
    slot = np.concatenate([np.arange(row.start, row.stop) for row in rows])
    edges = length[kind]
    take = np.repeat(shelf[kind], edges) + _ranges(edges)
    shift = np.repeat(body_start, edges)
    return src[take] + shift, dst[take] + shift, weight[take], slot[take], edges


def _complete(size: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Senders and receivers of complete directed graphs of the given sizes, receiver-major."""
    edges = size * (size - 1)
    within = _ranges(edges)
    fan = np.repeat(np.maximum(size - 1, 1), edges)
    receiver = within // fan
    sender = within % fan
    sender += sender >= receiver
    start = np.repeat(np.concatenate([[0], np.cumsum(size)[:-1]]), edges)
    return sender + start, receiver + start


def _ranges(lengths: np.ndarray) -> np.ndarray:
    """Concatenate arange(n) for each n."""
    ends = np.cumsum(lengths)
    return np.arange(int(ends[-1])) - np.repeat(ends - lengths, lengths)


def _starts(num_bodies: np.ndarray) -> np.ndarray:
    """Index of the first body of each clip."""
    return np.concatenate([[0], np.cumsum(num_bodies)[:-1]])
