"""The structure of a batch of skeletons, carried from the clip to the kernel.

A :class:`GraphBuilder` holds the options of the links. It makes a :class:`SkeletonBatch`, which
needs torch alone and moves to any device, or the DGL heterograph of one
(:mod:`asgcn_dgl.skeleton.graph`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from asgcn_dgl.skeleton.layouts import SkeletonLayout, get_layout
from asgcn_dgl.skeleton.links import structural_etypes, structural_operators

if TYPE_CHECKING:
    from dgl import DGLGraph


def actional_etypes(num_actional: int) -> tuple[str, ...]:
    """Return the names of the actional edge types 1..C (type 0, the ghost, has no edges).

    Examples
    --------
    >>> actional_etypes(2)
    ('actional_1', 'actional_2')
    """
    return tuple(f"actional_{index}" for index in range(1, num_actional + 1))


@dataclass(frozen=True, eq=False)
class Template:
    """Structural edges of one body, relation after relation.

    ``src``, ``dst`` and ``weight`` (S,) are the operator entries, relation r those from
    ``bounds[r]`` to ``bounds[r + 1]``. ``key`` is equal for equal structures only.
    """

    src: np.ndarray
    dst: np.ndarray
    weight: np.ndarray
    bounds: np.ndarray
    key: int

    @cached_property
    def relation(self) -> np.ndarray:
        """(S,) relation of each entry."""
        return np.repeat(np.arange(len(self.bounds) - 1), np.diff(self.bounds))


@dataclass(frozen=True)
class GraphBuilder:
    """Options of the links, and the batches that have them (Sec. 4).

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
    norm
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
    >>> structure = builder.structure(get_layout("ntu25"), [1, 2])
    >>> structure.num_nodes(), structure.num_pairs, structure.batch_size
    (75, 1800, 2)
    """

    max_hop: int = 4
    num_actional: int = 3
    construction: str = "power"
    truncated: bool = False
    norm: str = "transition"
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
        """Return the structural edges of one body of a layout, cached."""
        return _template(self, layout)

    def structure(
        self,
        layouts: SkeletonLayout | str | Sequence[SkeletonLayout | str],
        num_bodies: Sequence[int] = (1,),
        *,
        device: torch.device | str | None = None,
    ) -> SkeletonBatch:
        """Return the structure of a batch of B clips.

        ``layouts`` is one layout (or name) for all clips or one for each; ``num_bodies`` (B,) the
        bodies that exist in each clip, at least 1; ``device`` defaults to torch's.
        """
        kinds, which, counts = _clips(layouts, num_bodies)
        made = _structure(self, kinds, which, counts)
        return made.to(torch.get_default_device() if device is None else device)

    def uniform(
        self,
        layout: SkeletonLayout | str,
        num_clips: int,
        bodies_per_clip: int = 1,
        *,
        like: Tensor,
    ) -> SkeletonBatch:
        """Return the structure of equal clips, by tensor operations only (exported programs).

        ``num_clips`` may be symbolic; ``like`` is any tensor on the wanted device.
        """
        layout = get_layout(layout)
        joints, bodies = layout.num_joints, num_clips * bodies_per_clip
        clips = torch.arange(num_clips, device=like.device).repeat_interleave(bodies_per_clip)
        part = _part(self, layout, bodies, like.device)
        pairs: tuple[PairGroup, ...] = ()
        if self.num_actional and self.across_bodies:
            size = bodies_per_clip * joints
            body = torch.arange(bodies, device=like.device).view(num_clips, bodies_per_clip, 1)
            place = torch.arange(joints, device=like.device) * bodies + body
            pairs = (PairGroup(num_clips, size, places=place.flatten()),)
        elif self.num_actional:
            pairs = (PairGroup(bodies, joints),)
        return SkeletonBatch(
            self,
            (layout,),
            None,
            num_clips,
            clip=clips.repeat_interleave(joints),
            joint=torch.arange(joints, device=like.device).repeat(bodies),
            parts=(part,),
            pairs=pairs,
        )

    def clip(
        self,
        layout: SkeletonLayout | str,
        num_bodies: int = 1,
        *,
        device: torch.device | str | None = None,
    ) -> DGLGraph:
        """Return the DGL heterograph of one clip; ``dgl.batch`` of such equals :meth:`batch`.

        Nodes go by body and joint. ImportError where DGL is not installed.
        """
        return self.batch(layout, [num_bodies], device=device)

    def batch(
        self,
        layouts: SkeletonLayout | str | Sequence[SkeletonLayout | str],
        num_bodies: Sequence[int],
        *,
        device: torch.device | str | None = None,
    ) -> DGLGraph:
        """Return the batched DGL heterograph of B clips; arguments as of :meth:`structure`.

        Nothing of it is shared with any other graph. ImportError where DGL is not installed.
        """
        return self.structure(layouts, num_bodies, device=device).graph


@dataclass(frozen=True, eq=False)
class Part:
    """Bodies of one layout: operator entries (S,) and their places in a flat (R, V, V) array."""

    layout: SkeletonLayout
    template: Template
    bodies: int
    entry: Tensor
    place: Tensor


@dataclass(frozen=True, eq=False)
class PairGroup:
    """Units of equal size whose joints are joined by A-links, all with all.

    A unit is a body, or a clip where A-links go from person to person. Its ordered pairs are
    receiver-major: all senders j != i of receiver 0, then of receiver 1, ... ``rows`` is the node
    of each joint, unit by unit, in the graph's order, ``edges`` the position of each pair among
    those of the batch; both are None where the group is the whole batch. ``places`` is as ``rows``
    in the order "joints first"; None where a unit is a body.
    """

    units: int
    joints: int
    rows: Tensor | None = None
    edges: Tensor | None = None
    places: Tensor | None = None


class SkeletonBatch:
    """Structure of a batch: layouts, bodies, and what follows from them.

    Layers and heads take it in the place of a DGL graph. It needs torch alone, can be pickled, and
    moves to any device. It is immutable: do not change its tensors in place.

    The nodes are the joints of the bodies that exist. In the graph's order they go by clip, body,
    joint. With ``joints_first`` they go by layout, joint, body: the bodies of one joint are next to
    each other, which is the order that the convolution computes in.

    Attributes
    ----------
    builder
        Options of the links.
    layouts
        The distinct layouts.
    num_bodies
        (B,) bodies of each clip; None where they are not known as numbers (exported programs).
    batch_size
        B, the clips.
    clip
        (N,) clip of each node, in the order of this structure.
    joint
        (N,) index of each node in its layout.
    parts
        Bodies of each layout.
    pairs
        Units that A-links join, those of one layout (or clips of one size) together; empty without
        actional types.
    which
        (B,) layout of each clip, an index into ``layouts``.
    order
        (N,) node in the graph's order of each node "joints first"; None for a single layout.
    joints_first
        Order of the nodes.

    Examples
    --------
    >>> import torch
    >>> from asgcn_dgl.nn import SGConv
    >>> from asgcn_dgl.skeleton import GraphBuilder
    >>> structure = GraphBuilder(max_hop=2, num_actional=0).structure("coco17", [1, 2])
    >>> SGConv(3, 8, max_hop=2)(structure, torch.randn(51, 20, 3)).shape
    torch.Size([51, 20, 8])
    """

    # A plain class: trainers convert the fields of dataclasses, and this is no data.
    def __init__(
        self,
        builder: GraphBuilder,
        layouts: tuple[SkeletonLayout, ...],
        num_bodies: tuple[int, ...] | None,
        batch_size: int,
        *,
        clip: Tensor,
        joint: Tensor,
        parts: tuple[Part, ...],
        pairs: tuple[PairGroup, ...],
        which: tuple[int, ...] | None = None,
        order: Tensor | None = None,
        joints_first: bool = False,
    ) -> None:
        self.builder, self.layouts = builder, layouts
        self.num_bodies, self.batch_size, self.which = num_bodies, batch_size, which
        self.clip, self.joint, self.order = clip, joint, order
        self.parts, self.pairs = parts, pairs
        self.joints_first = joints_first

    def num_nodes(self) -> int:
        """Return N, the joints of all bodies."""
        return self.clip.shape[0]

    @property
    def num_pairs(self) -> int:
        """E, the ordered pairs that A-links join (edges of ``actional_1``)."""
        return sum(group.units * group.joints * (group.joints - 1) for group in self.pairs)

    def num_edges(self, etype: str) -> int:
        """Return the number of edges of one type, as the DGL graph has them."""
        if etype in self.builder.actional_etypes:
            return self.num_pairs
        names = self.builder.structural_etypes
        if etype not in names:
            raise ValueError(
                f"etype must be one of {(*names, *self.builder.actional_etypes)}, got {etype!r}"
            )
        number = names.index(etype)
        return sum(part.bodies * int(np.diff(part.template.bounds)[number]) for part in self.parts)

    def pair_nodes(self) -> tuple[Tensor, Tensor]:
        """Return sending and receiving node of each ordered pair, (E,), in the graph's order."""
        ends = torch.zeros(2, self.num_pairs, dtype=torch.long, device=self.device)
        for group in self.pairs:
            number = torch.arange(group.units * group.joints, device=self.device)
            rows = (number if group.rows is None else group.rows).view(group.units, group.joints)
            apart = ~torch.eye(group.joints, dtype=torch.bool, device=self.device)
            receiver, sender = apart.nonzero().unbind(1)
            found = torch.stack([rows[:, sender].flatten(), rows[:, receiver].flatten()])
            ends = found if group.edges is None else ends.index_copy(1, group.edges, found)
        return ends[0], ends[1]

    @property
    def device(self) -> torch.device:
        """Device of the tensors."""
        return self.clip.device

    @cached_property
    def graph(self) -> DGLGraph:
        """The DGL heterograph, made on first use; ImportError where DGL is not installed."""
        from asgcn_dgl.skeleton.graph import to_dgl

        return to_dgl(self)

    def to(self, device: torch.device | str, non_blocking: bool = False) -> SkeletonBatch:
        """Return the structure on a device."""
        if self.device == torch.device(device):
            return self
        return self._map(lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> SkeletonBatch:
        """Return the structure with its tensors in pinned memory."""
        return self._map(lambda tensor: tensor.pin_memory())

    def with_joints_first(self) -> SkeletonBatch:
        """Return the same structure whose nodes go by layout, joint, body."""
        if self.joints_first:
            return self
        return self._replaced(
            clip=self.rows_joints_first(self.clip),
            joint=self.rows_joints_first(self.joint),
            joints_first=True,
        )

    def in_graph_order(self) -> SkeletonBatch:
        """Return the same structure whose nodes go by clip, body, joint."""
        if not self.joints_first:
            return self
        return self._replaced(
            clip=self.rows_in_graph_order(self.clip),
            joint=self.rows_in_graph_order(self.joint),
            joints_first=False,
        )

    def with_bodies(self, count: int) -> tuple[SkeletonBatch, Tensor | None, Tensor | None]:
        """Return the structure of the same clips with ``count`` bodies each, in the graph's order.

        Also its nodes (N,) and ordered pairs (E,) that are those of this one, both None where all
        clips have so many bodies. Those that a clip lacks follow its own; none may have more.
        """
        if self.joints_first:
            raise ValueError("the structure must be in the graph's order, got joints first")
        if self.num_bodies is None or self.which is None:
            if sum(part.bodies for part in self.parts) != self.batch_size * count:
                raise ValueError(f"num_bodies must be {count} in each clip of equal ones")
            return self, None, None
        if max(self.num_bodies) > count:
            raise ValueError(
                f"num_bodies must be at most {count} in each clip, got {max(self.num_bodies)}"
            )
        if min(self.num_bodies) == count:
            return self, None, None
        layouts = [self.layouts[number] for number in self.which]
        whole = self.builder.structure(layouts, [count] * len(layouts), device=self.device)
        keep = np.concatenate([np.arange(count) < own for own in self.num_bodies])
        joints = np.repeat([layout.num_joints for layout in layouts], count)
        nodes, pairs = (
            torch.from_numpy(np.flatnonzero(np.repeat(keep, size))).to(self.device)
            for size in (joints, joints * (joints - 1))
        )
        return whole, nodes, pairs

    def rows_joints_first(self, rows: Tensor) -> Tensor:
        """Bring (N, ...) from the graph's order to the order "joints first"."""
        if self.order is not None:
            return rows.index_select(0, self.order)
        part = self.parts[0]
        shaped = rows.view(part.bodies, part.layout.num_joints, *rows.shape[1:])
        return shaped.transpose(0, 1).reshape(rows.shape)

    def rows_in_graph_order(self, rows: Tensor) -> Tensor:
        """Bring (N, ...) from the order "joints first" to the graph's order."""
        if self.order is not None:
            return torch.empty_like(rows).index_copy(0, self.order, rows)
        part = self.parts[0]
        shaped = rows.view(part.layout.num_joints, part.bodies, *rows.shape[1:])
        return shaped.transpose(0, 1).reshape(rows.shape)

    def blocks(self, rows: Tensor) -> list[Tensor]:
        """Split (N, ...), joints first, into (V, bodies, ...) for each layout."""
        sizes = [part.layout.num_joints * part.bodies for part in self.parts]
        split = [rows] if len(self.parts) == 1 else list(rows.split(sizes))
        return [
            block.view(part.layout.num_joints, part.bodies, *rows.shape[1:])
            for part, block in zip(self.parts, split, strict=True)
        ]

    def at_joints(self, rows: Tensor, joints: Callable[[Part], Tensor]) -> Tensor:
        """Return for each node the row (N, ...) of another joint of its body.

        ``joints`` returns (V,) which one that is for each joint of a layout.
        """
        blocks = self.blocks(rows if self.joints_first else self.rows_joints_first(rows))
        moved = torch.cat(
            [
                block.index_select(0, joints(part)).flatten(0, 1)
                for part, block in zip(self.parts, blocks, strict=True)
            ]
        )
        return moved if self.joints_first else self.rows_in_graph_order(moved)

    def _map(self, change: Callable[[Tensor], Tensor]) -> SkeletonBatch:
        def changed(value: Any) -> Any:
            if isinstance(value, Tensor):
                return change(value)
            if isinstance(value, tuple):
                return tuple(changed(each) for each in value)
            if isinstance(value, Part):
                return replace(value, entry=change(value.entry), place=change(value.place))
            if isinstance(value, PairGroup):
                names = ("rows", "edges", "places")
                return replace(value, **{name: changed(getattr(value, name)) for name in names})
            return value

        names = ("clip", "joint", "parts", "pairs", "order")
        return self._replaced(**{name: changed(getattr(self, name)) for name in names})

    def _replaced(self, **changes: Any) -> SkeletonBatch:
        return SkeletonBatch(**{**self.__getstate__(), **changes})

    def __getstate__(self) -> dict[str, Any]:
        """Leave the DGL graph behind: it is made again when asked for."""
        return {name: value for name, value in self.__dict__.items() if name != "graph"}

    def __repr__(self) -> str:
        """Say the options, layouts and bodies."""
        names = [layout.name for layout in self.layouts]
        return (
            f"SkeletonBatch({self.builder}, layouts={names}, num_bodies={self.num_bodies}, "
            f"device={str(self.device)!r}, joints_first={self.joints_first})"
        )


def _clips(
    layouts: SkeletonLayout | str | Sequence[SkeletonLayout | str], num_bodies: Sequence[int]
) -> tuple[tuple[SkeletonLayout, ...], tuple[int, ...], tuple[int, ...]]:
    """Return distinct layouts, the layout of each clip, the bodies of each clip."""
    if isinstance(num_bodies, int):
        raise ValueError(f"num_bodies must be a sequence, one number a clip, got {num_bodies}")
    counts = tuple(int(count) for count in num_bodies)
    if not counts or min(counts) < 1:
        raise ValueError(f"num_bodies must hold at least one number >= 1, got {list(counts)}")
    if isinstance(layouts, SkeletonLayout | str):
        return (get_layout(layouts),), (0,) * len(counts), counts
    if len(layouts) != len(counts):
        raise ValueError(
            f"layouts must be one layout or one a clip: got {len(layouts)} layouts for "
            f"{len(counts)} clips"
        )
    each = [get_layout(layout) for layout in layouts]
    kinds = tuple(dict.fromkeys(each))
    place = {layout: index for index, layout in enumerate(kinds)}
    return kinds, tuple(place[layout] for layout in each), counts


@torch.inference_mode(False)  # a structure made in inference must serve training too
def _structure(
    builder: GraphBuilder,
    kinds: tuple[SkeletonLayout, ...],
    which: tuple[int, ...],
    counts: tuple[int, ...],
) -> SkeletonBatch:
    clip = np.repeat(np.arange(len(counts)), counts)  # (bodies,)
    kind = np.asarray(which)[clip]
    joints = np.asarray([layout.num_joints for layout in kinds])[kind]
    start = np.cumsum(joints) - joints  # first node of each body
    parts, order = [], []
    for number, layout in enumerate(kinds):
        own = start[kind == number]
        parts.append(_part(builder, layout, len(own), "cpu"))
        order.append((np.arange(layout.num_joints)[:, None] + own).ravel())
    joints_first = np.concatenate(order)
    single = len(kinds) == 1
    pairs: tuple[PairGroup, ...] = ()
    if builder.num_actional and builder.across_bodies:
        size = np.bincount(clip, weights=joints).astype(np.int64)
        pairs = _pair_groups(size, size, np.argsort(joints_first))
    elif builder.num_actional:
        pairs = _pair_groups(kind, joints, None)
    return SkeletonBatch(
        builder,
        kinds,
        counts,
        len(counts),
        clip=torch.from_numpy(np.repeat(clip, joints)),
        joint=torch.from_numpy(ranges(joints)),
        parts=tuple(parts),
        pairs=pairs,
        which=which,
        order=None if single else torch.from_numpy(joints_first),
    )


def _part(
    builder: GraphBuilder, layout: SkeletonLayout, bodies: int, device: torch.device | str
) -> Part:
    template = builder.template(layout)
    joints = layout.num_joints
    place = (template.relation * joints + template.dst) * joints + template.src
    entry = torch.tensor(template.weight, dtype=torch.get_default_dtype(), device=device)
    return Part(layout, template, bodies, entry, torch.tensor(place, device=device))


def _pair_groups(
    kind: np.ndarray, size: np.ndarray, inverse: np.ndarray | None
) -> tuple[PairGroup, ...]:
    """Group units of a kind; ``inverse`` gives the "joints first" place of each node."""
    start = np.cumsum(size) - size
    fan = size * (size - 1)
    edge_start = np.cumsum(fan) - fan
    groups = []
    kinds = np.unique(kind)
    for each in kinds:
        chosen = kind == each
        joints = int(size[chosen][0])
        rows = (start[chosen][:, None] + np.arange(joints)).ravel()
        edges = (edge_start[chosen][:, None] + np.arange(joints * (joints - 1))).ravel()
        whole = len(kinds) == 1
        groups.append(
            PairGroup(
                int(chosen.sum()),
                joints,
                None if whole else torch.from_numpy(rows),
                None if whole else torch.from_numpy(edges),
                None if inverse is None else torch.from_numpy(inverse[rows]),
            )
        )
    return tuple(groups)


@lru_cache(maxsize=256)
def _template(builder: GraphBuilder, layout: SkeletonLayout) -> Template:
    operators = structural_operators(
        layout,
        builder.max_hop,
        builder.construction,
        truncated=builder.truncated,
        norm=builder.norm,
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


def ranges(lengths: np.ndarray) -> np.ndarray:
    """Concatenate arange(n) for each n."""
    ends = np.cumsum(lengths)
    return np.arange(int(ends[-1])) - np.repeat(ends - lengths, lengths)
