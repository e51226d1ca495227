"""Skeleton layouts: which joints a body has, which bones join them, and where its center is.

Supplied layouts come by name from :func:`get_layout`; your own, made from a list of bones
(:meth:`SkeletonLayout.from_bones`) or a networkx graph (:meth:`SkeletonLayout.from_networkx`),
works wherever a supplied one does.
"""

from __future__ import annotations

import operator
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from asgcn_dgl.errors import did_you_mean
from asgcn_dgl.skeleton.catalog import SUPPLIED

if TYPE_CHECKING:  # a layout alone needs numpy alone
    import networkx as nx

Pair = tuple[int, int]
JointRef = int | str


@dataclass(frozen=True, eq=False, repr=False)
class SkeletonLayout:
    """Joints, bones and center of a body (Sec. 3, the skeleton graph G(V, E)).

    Layouts are immutable, equal and hashed by content, and travel through pickle, ``deepcopy``
    and JSON (:meth:`to_dict`). Bones may close loops. Use :meth:`from_bones` to give joints by
    name or to leave the center to the library.

    Parameters
    ----------
    name
        What the layout is called, lower case by custom.
    joints
        Names of the V joints, in the order of the data.
    bones
        Pairs of joints; direction and order carry no meaning and are not kept.
    center
        The joint that the partitions and :attr:`parents` look to.
    mirror
        (left, right) pairs of joints. Joints that are in no pair mirror onto themselves.
    parts
        Joints of each body part, by the part's name.
    pose
        (V, 2) drawing position of each joint, x to the right and y up as the viewer sees it, of
        a body that faces the viewer (its left is at positive x); about 2 units high. Left out or
        empty: the layout is drawn as a tree that hangs from its center.
    spine
        (lower, upper) joints of the axis that alignment turns upright.
    shoulders
        (right, left) joints of the axis that alignment turns sideways.

    Raises
    ------
    ValueError
        If an argument breaks a rule: a joint twice, a bone that is out of range, twice or from a
        joint to itself, mirror pairs that share a joint, bones that leave joints unconnected ...

    Examples
    --------
    >>> layout = SkeletonLayout("arm", ("shoulder", "elbow", "hand"), ((0, 1), (1, 2)), center=0)
    >>> layout
    SkeletonLayout('arm', 3 joints, 2 bones, center='shoulder')
    >>> layout.parents
    array([-1,  0,  1])
    >>> layout.distances[0]
    array([0, 1, 2])
    """

    name: str
    joints: tuple[str, ...]
    bones: tuple[Pair, ...]
    center: int
    mirror: tuple[Pair, ...] = ()
    parts: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    pose: np.ndarray = field(default_factory=lambda: np.empty((0, 2)))
    spine: Pair | None = None
    shoulders: Pair | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise ValueError(f"name must be a string that is not empty, got {self.name!r}")
        joints = _check_joints(self.joints)
        count = len(joints)
        values = {
            "joints": joints,
            "bones": _check_bones(self.bones, joints),
            "center": _index(self.center, count, "center"),
            "mirror": _check_mirror(self.mirror, count),
            "parts": _check_parts(self.parts, count),
            "spine": _check_axis(self.spine, count, "spine"),
            "shoulders": _check_axis(self.shoulders, count, "shoulders"),
        }
        for key, value in values.items():
            object.__setattr__(self, key, value)
        # Last: without a pose the drawing asks for the bones.
        object.__setattr__(self, "pose", self._check_pose(self.pose))

    # -- making -----------------------------------------------------------------------------

    @classmethod
    def from_bones(
        cls,
        name: str,
        bones: Iterable[Sequence[JointRef]],
        *,
        joints: Sequence[str] | None = None,
        center: JointRef | None = None,
        num_joints: int | None = None,
        virtual_center: str | None = None,
        mirror: Iterable[Sequence[JointRef]] = (),
        parts: Mapping[str, Iterable[JointRef]] | None = None,
        pose: ArrayLike | None = None,
        spine: Sequence[JointRef] | None = None,
        shoulders: Sequence[JointRef] | None = None,
    ) -> SkeletonLayout:
        """Make a layout from pairs of joints; joints are given by index or by name everywhere.

        Parameters
        ----------
        name, mirror, parts, pose, spine, shoulders
            See the class.
        bones
            Pairs of joints.
        joints
            Joint names in the order of the data. Default: where bones are given by name, the names
            in the order in which they first appear, else ``joint_0``, ``joint_1`` ...
        center
            The center joint. Default: the graph center, that is the joint whose farthest joint is
            nearest; among several the one of least total distance, then of lowest index.
        num_joints
            V, where it does not follow from ``joints`` or ``bones``.
        virtual_center
            Name of an extra joint to add, as the last one, that joins each connected part's own
            center and becomes the center of the layout. It makes one skeleton of bones that do not
            connect all joints. Clips need a column for it, masked if nothing was recorded.

        Examples
        --------
        >>> from asgcn_dgl.skeleton import SkeletonLayout
        >>> SkeletonLayout.from_bones("arm", [("shoulder", "elbow"), ("elbow", "hand")])
        SkeletonLayout('arm', 3 joints, 2 bones, center='elbow')
        >>> SkeletonLayout.from_bones("pair", [(0, 1), (2, 3)], virtual_center="middle")
        SkeletonLayout('pair', 5 joints, 4 bones, center='middle')
        """
        raw = [_pair(bone, "bones") for bone in bones]
        names = _joint_names(raw, joints, num_joints)

        def resolve(refs: Iterable[JointRef], argument: str) -> tuple[int, ...]:
            return tuple(_resolve(ref, names, argument) for ref in refs)

        pairs = _check_bones([resolve(bone, "bones") for bone in raw], names, connected=False)
        points = None if pose is None else np.asarray(pose, dtype=np.float64)
        if virtual_center is not None:
            if center is not None:
                raise ValueError(
                    "center and virtual_center exclude each other, "
                    f"got {center!r} and {virtual_center!r}"
                )
            names, pairs, points = _add_center(names, pairs, points, virtual_center)
            middle = len(names) - 1
        elif center is not None:
            middle = _resolve(center, names, "center")
        else:
            middle = _graph_center(_distances(pairs, len(names)), range(len(names)))
        return cls(
            name=name,
            joints=names,
            bones=pairs,
            center=middle,
            mirror=tuple(_pair(resolve(pair, "mirror"), "mirror") for pair in mirror),
            parts={part: resolve(refs, f"parts[{part!r}]") for part, refs in (parts or {}).items()},
            pose=np.empty((0, 2)) if points is None else points,
            spine=None if spine is None else _pair(resolve(spine, "spine"), "spine"),
            shoulders=(
                None if shoulders is None else _pair(resolve(shoulders, "shoulders"), "shoulders")
            ),
        )

    @classmethod
    def from_networkx(
        cls,
        graph: nx.Graph,
        *,
        name: str | None = None,
        center: Hashable | None = None,
        **facts: Any,
    ) -> SkeletonLayout:
        """Make a layout from a networkx graph; direction and parallel edges are dropped.

        Joints are in the order of the nodes, ascending where all are whole numbers. A joint's name
        is its node's ``name`` attribute, else the node as text (``joint_3`` for the number 3). If
        all nodes have a two-dimensional ``pos``, that is the pose. ``name`` is by default the
        graph's, else ``"custom"``; ``center`` is a node; ``facts`` are further arguments of
        :meth:`from_bones`, joints being nodes.

        Examples
        --------
        >>> import networkx as nx
        >>> from asgcn_dgl.skeleton import SkeletonLayout
        >>> SkeletonLayout.from_networkx(nx.star_graph(4), name="star")
        SkeletonLayout('star', 5 joints, 4 bones, center='joint_0')
        """
        nodes = list(graph.nodes)
        if all(isinstance(node, int | np.integer) for node in nodes):
            nodes.sort()
        number = {node: index for index, node in enumerate(nodes)}

        def resolve(refs: Iterable[Hashable], argument: str) -> list[int]:
            return [_node(ref, number, argument) for ref in refs]

        for key in ("mirror", "spine", "shoulders", "parts"):
            value = facts.get(key)
            if value is None:
                continue
            if key == "mirror":
                facts[key] = [resolve(pair, key) for pair in value]
            elif key == "parts":
                facts[key] = {part: resolve(refs, key) for part, refs in value.items()}
            else:
                facts[key] = resolve(value, key)
        attributes = graph.nodes(data=True)
        if "pose" not in facts and nodes and all(np.size(a.get("pos")) == 2 for _, a in attributes):
            facts["pose"] = [np.ravel(graph.nodes[node]["pos"]) for node in nodes]
        edges = dict.fromkeys((number[a], number[b]) for a, b in graph.to_undirected().edges())
        return cls.from_bones(
            name if name is not None else (graph.name or "custom"),
            list(edges),
            joints=facts.pop("joints", None) or [_node_name(graph, node) for node in nodes],
            center=None if center is None else _node(center, number, "center"),
            **facts,
        )

    @classmethod
    def from_dict(cls, facts: Mapping[str, Any]) -> SkeletonLayout:
        """Make a layout from what :meth:`to_dict` returns."""
        known = [item.name for item in fields(cls)]
        unknown = sorted(set(facts) - set(known))
        if unknown:
            raise ValueError(f"facts must be among {', '.join(known)}; got {', '.join(unknown)}")
        missing = [key for key in known[:4] if key not in facts]
        if missing:
            raise ValueError(f"facts must have {', '.join(known[:4])}; got no {', '.join(missing)}")
        return cls(**facts)

    def to_dict(self) -> dict[str, Any]:
        """Return the layout as plain lists, numbers and strings, fit for JSON and YAML.

        Examples
        --------
        >>> from asgcn_dgl.skeleton import SkeletonLayout, get_layout
        >>> layout = get_layout("hand21")
        >>> SkeletonLayout.from_dict(layout.to_dict()) == layout
        True
        """
        return {
            "name": self.name,
            "joints": list(self.joints),
            "bones": [list(bone) for bone in self.bones],
            "center": self.center,
            "mirror": [list(pair) for pair in self.mirror],
            "parts": {part: list(joints) for part, joints in self.parts.items()},
            "pose": self.pose.tolist(),
            "spine": None if self.spine is None else list(self.spine),
            "shoulders": None if self.shoulders is None else list(self.shoulders),
        }

    def to_networkx(self) -> nx.Graph:
        """Return a new graph, nodes 0..V-1 with ``name`` and ``pos``, edges the bones."""
        import networkx as nx

        graph = nx.Graph(name=self.name)
        for index, (joint, point) in enumerate(zip(self.joints, self.pose.tolist(), strict=True)):
            graph.add_node(index, name=joint, pos=tuple(point))
        graph.add_edges_from(self.bones)
        return graph

    # -- asking -----------------------------------------------------------------------------

    @property
    def num_joints(self) -> int:
        """V, the number of joints."""
        return len(self.joints)

    @property
    def has_pose(self) -> bool:
        """Whether the pose was given, rather than laid out as a tree."""
        return not np.array_equal(self.pose, _draw_tree(self.parents, self.depth, self.mirror))

    @property
    def distances(self) -> np.ndarray:
        """(V, V) hops between each two joints; a new int64 array."""
        return self._hops.copy()

    @property
    def depth(self) -> np.ndarray:
        """(V,) hops from each joint to the center; a new int64 array."""
        return self._hops[self.center].copy()

    @property
    def parents(self) -> np.ndarray:
        """(V,) next joint towards the center, -1 at the center; a new int64 array.

        In a layout with loops a joint may have several such neighbors: the lowest index wins.
        """
        depth = self._hops[self.center]
        parents = np.full(self.num_joints, self.num_joints, dtype=np.int64)
        for a, b in self.bones:
            if depth[a] != depth[b]:
                near, far = (a, b) if depth[a] < depth[b] else (b, a)
                parents[far] = min(parents[far], near)
        parents[self.center] = -1
        return parents

    @property
    def mirror_index(self) -> np.ndarray:
        """(V,) the joint that each one swaps with in a mirror; a new int64 array.

        ``pos[..., layout.mirror_index, :]`` with the sideways coordinate negated is the mirrored
        body.
        """
        swap = np.arange(self.num_joints, dtype=np.int64)
        for left, right in self.mirror:
            swap[left], swap[right] = right, left
        return swap

    def index(self, joint: JointRef) -> int:
        """Return the index of a joint, given its name or its index, which is checked.

        Examples
        --------
        >>> from asgcn_dgl.skeleton import get_layout
        >>> get_layout("ntu25").index("spine_shoulder")
        20
        """
        return _resolve(joint, self.joints, "joint")

    # -- Distances, equality and printing -----------------------------------------------------

    @cached_property
    def _hops(self) -> np.ndarray:
        return _distances(self.bones, self.num_joints)

    @cached_property
    def _key(self) -> tuple[Any, ...]:
        return (
            self.name,
            self.joints,
            self.bones,
            self.center,
            self.mirror,
            tuple(sorted(self.parts.items())),
            tuple(map(tuple, self.pose.tolist())),
            self.spine,
            self.shoulders,
        )

    @cached_property
    def _hash(self) -> int:
        return hash(self._key)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SkeletonLayout):
            return NotImplemented
        return self is other or self._key == other._key

    def __hash__(self) -> int:
        return self._hash

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self).from_dict, (self.to_dict(),)

    def __repr__(self) -> str:
        facts = [
            repr(self.name),
            f"{self.num_joints} joints",
            f"{len(self.bones)} bones",
            f"center={self.joints[self.center]!r}",
        ]
        if self.mirror:
            facts.append(f"{len(self.mirror)} mirror pairs")
        if self.parts:
            facts.append(f"parts={'/'.join(self.parts)}")
        return f"{type(self).__name__}({', '.join(facts)})"

    def _check_pose(self, pose: ArrayLike) -> np.ndarray:
        points = np.array(pose, dtype=np.float64)
        if points.size == 0:
            points = _draw_tree(self.parents, self.depth, self.mirror)
        if points.shape != (self.num_joints, 2):
            raise ValueError(
                f"pose must have a row (x, y) for each of the {self.num_joints} joints, "
                f"got shape {points.shape}"
            )
        if not np.isfinite(points).all():
            bad = self.joints[int(np.argmin(np.isfinite(points).all(axis=1)))]
            raise ValueError(f"pose must be finite, got {points[self.index(bad)]} at {bad!r}")
        points += 0.0  # -0.0 becomes 0.0, so that equal layouts also look equal
        points.flags.writeable = False
        return points


# -- the rules of the constructor -----------------------------------------------------------


def _index(value: Any, num_joints: int, argument: str) -> int:
    """Check that a value is the index of a joint."""
    try:
        index = operator.index(value)
    except TypeError:
        raise ValueError(f"{argument} must be the index of a joint, got {value!r}") from None
    if not 0 <= index < num_joints:
        raise ValueError(f"{argument} must lie in 0..{num_joints - 1}, got {index}")
    return index


def _pair(value: Any, argument: str) -> tuple[Any, Any]:
    """Check that a value has two entries."""
    pair = tuple(value) if isinstance(value, Iterable) and not isinstance(value, str) else None
    if pair is None or len(pair) != 2:
        raise ValueError(f"{argument} must be given as pairs of joints, got {value!r}")
    return pair


def _check_joints(joints: Iterable[str]) -> tuple[str, ...]:
    """Check the joints' names."""
    if isinstance(joints, str):
        raise ValueError(f"joints must be a sequence of names, got the string {joints!r}")
    names = tuple(joints)
    if not names:
        raise ValueError("joints must have at least one name, got none")
    seen = set()
    for joint in names:
        if not isinstance(joint, str) or not joint:
            raise ValueError(f"joints must be strings that are not empty, got {joint!r}")
        if joint in seen:
            raise ValueError(f"joints must have different names, got {joint!r} twice")
        seen.add(joint)
    return tuple(str(joint) for joint in names)


def _check_bones(
    bones: Iterable[Any], joints: tuple[str, ...], connected: bool = True
) -> tuple[Pair, ...]:
    """Check the bones and put them in one order, each with the lower index first."""
    pairs = set()
    for bone in bones:
        a, b = (_index(joint, len(joints), "bones") for joint in _pair(bone, "bones"))
        if a == b:
            raise ValueError(f"bones must join two joints, got ({a}, {b})")
        pair = (min(a, b), max(a, b))
        if pair in pairs:
            raise ValueError(f"bones must be given once each, in one direction; got {pair} twice")
        pairs.add(pair)
    ordered = tuple(sorted(pairs))
    if connected:
        groups = _components(ordered, len(joints))
        if len(groups) > 1:
            shown = "; ".join(_shorten([joints[joint] for joint in group]) for group in groups)
            raise ValueError(
                f"bones must connect all joints, got {len(groups)} parts: {shown}. Add the missing "
                "bones, or have the parts joined by a joint of their own with "
                'SkeletonLayout.from_bones(..., virtual_center="its name")'
            )
    return ordered


def _shorten(names: list[str], limit: int = 8) -> str:
    """List names in braces, the first few of many."""
    more = f", and {len(names) - limit} more" if len(names) > limit else ""
    return "{" + ", ".join(names[:limit]) + more + "}"


def _check_mirror(mirror: Iterable[Any], num_joints: int) -> tuple[Pair, ...]:
    """Check that no joint is in two mirror pairs, and order the pairs."""
    pairs = []
    seen: set[int] = set()
    for item in mirror:
        left, right = (_index(joint, num_joints, "mirror") for joint in _pair(item, "mirror"))
        if left == right:
            raise ValueError(f"mirror must pair two different joints, got ({left}, {right})")
        if seen & {left, right}:
            raise ValueError(f"mirror must name each joint once at most, got ({left}, {right}) too")
        seen |= {left, right}
        pairs.append((left, right))
    return tuple(sorted(pairs))


def _check_parts(parts: Any, num_joints: int) -> Mapping[str, tuple[int, ...]]:
    """Check the joints of each body part, and freeze the mapping."""
    if not isinstance(parts, Mapping):
        raise ValueError(f"parts must map names to joints, got {parts!r}")
    checked = {}
    for part, joints in parts.items():
        if not isinstance(part, str) or not part:
            raise ValueError(f"parts must be named by strings that are not empty, got {part!r}")
        argument = f"parts[{part!r}]"
        members = tuple(sorted(_index(joint, num_joints, argument) for joint in joints))
        if not members or len(set(members)) < len(members):
            raise ValueError(f"{argument} must have joints, each once; got {members}")
        checked[part] = members
    return MappingProxyType(checked)


def _check_axis(axis: Any, num_joints: int, argument: str) -> Pair | None:
    """Check that an axis, if given, runs between two different joints."""
    if axis is None:
        return None
    start, end = (_index(joint, num_joints, argument) for joint in _pair(axis, argument))
    if start == end:
        raise ValueError(f"{argument} must run between two different joints, got ({start}, {end})")
    return start, end


# -- joints by name -------------------------------------------------------------------------


def _resolve(ref: Any, joints: Sequence[str], argument: str) -> int:
    """Turn a joint's name or index into its index."""
    if not isinstance(ref, str):
        return _index(ref, len(joints), argument)
    if ref not in joints:
        raise ValueError(
            f"{argument} must name a joint of the layout, got {ref!r}{did_you_mean(ref, joints)}"
        )
    return joints.index(ref)


def _joint_names(
    bones: Sequence[tuple[Any, ...]], joints: Sequence[str] | None, num_joints: int | None
) -> tuple[str, ...]:
    """Return the joint names as given, or as the bones or the count imply them."""
    if joints is not None:
        names = _check_joints(joints)
        if num_joints is not None and num_joints != len(names):
            raise ValueError(f"num_joints must be {len(names)} as joints has it, got {num_joints}")
        return names
    ends = [end for bone in bones for end in bone]
    named = [end for end in ends if isinstance(end, str)]
    if named:
        if len(named) < len(ends):
            raise ValueError("bones must be all names or all indices unless joints is given")
        names = tuple(dict.fromkeys(named))
        if num_joints is not None and num_joints != len(names):
            raise ValueError(f"num_joints must be {len(names)} as bones has it, got {num_joints}")
        return names
    if num_joints is None:
        if not ends:
            raise ValueError("joints or num_joints must be given where there are no bones")
        num_joints = 1 + max(_index(end, 1 << 31, "bones") for end in ends)
    elif num_joints < 1:
        raise ValueError(f"num_joints must be at least 1, got {num_joints}")
    return tuple(f"joint_{index}" for index in range(num_joints))


def _node(ref: Any, number: Mapping[Hashable, int], argument: str) -> int:
    """Turn a node of a networkx graph into the index of its joint."""
    if ref not in number:
        raise ValueError(f"{argument} must be a node of the graph, got {ref!r}")
    return number[ref]


def _node_name(graph: nx.Graph, node: Hashable) -> str:
    """Return the name of the joint of a networkx node."""
    default = f"joint_{node}" if isinstance(node, int | np.integer) else str(node)
    return str(graph.nodes[node].get("name", default))


# -- graph theory ---------------------------------------------------------------------------


def _distances(bones: Sequence[Pair], num_joints: int) -> np.ndarray:
    """(V, V) hops, V where there is no path."""
    near: list[list[int]] = [[] for _ in range(num_joints)]
    for a, b in bones:
        near[a].append(b)
        near[b].append(a)
    hops = np.full((num_joints, num_joints), num_joints, dtype=np.int64)
    for start in range(num_joints):
        found = {start: 0}
        reached = [start]  # grows as it is gone through: breadth first
        for joint in reached:
            for other in near[joint]:
                if other not in found:
                    found[other] = found[joint] + 1
                    reached.append(other)
        hops[start, reached] = list(found.values())
    return hops


def _components(bones: Sequence[Pair], num_joints: int) -> list[list[int]]:
    """Joints of each connected part, in the order of their lowest joints."""
    connected = _distances(bones, num_joints) < num_joints
    groups = {tuple(np.flatnonzero(row).tolist()) for row in connected}
    return sorted(list(group) for group in groups)


def _graph_center(hops: np.ndarray, group: Iterable[int]) -> int:
    """Joint of least eccentricity in a group; ties go to the least sum, then the lowest index."""
    members = list(group)
    inside = hops[np.ix_(members, members)]
    return min(zip(inside.max(axis=1), inside.sum(axis=1), members, strict=True))[2]


def _add_center(
    joints: tuple[str, ...], bones: tuple[Pair, ...], pose: np.ndarray | None, name: str
) -> tuple[tuple[str, ...], tuple[Pair, ...], np.ndarray | None]:
    """Add a joint that joins the centers of all connected parts."""
    if name in joints:
        raise ValueError(f"virtual_center must be a new name, got the joint {name!r}")
    hops = _distances(bones, len(joints))
    hubs = [_graph_center(hops, group) for group in _components(bones, len(joints))]
    if pose is not None and pose.shape == (len(joints), 2):
        pose = np.vstack([pose, pose[hubs].mean(axis=0)])
    return (*joints, name), (*bones, *((hub, len(joints)) for hub in hubs)), pose


def _draw_tree(parents: np.ndarray, depth: np.ndarray, mirror: Sequence[Pair]) -> np.ndarray:
    """Place each joint below its parent, above its own leaves, in a square of side 2.

    Every leaf has its own column, so no bone of the tree crosses another. Left joints go to the
    right, where the viewer of a facing body sees them.
    """
    count = len(parents)
    # A right limb's children are in the reverse order of its left twin's: its mirror image.
    rank = {joint: (0, joint) for joint in range(count)}
    for left, right in mirror:
        rank[left], rank[right] = (1, left), (-1, -left)
    children: list[list[int]] = [[] for _ in range(count)]
    for joint in sorted(range(count), key=rank.__getitem__):
        if parents[joint] >= 0:
            children[parents[joint]].append(joint)
    downward = np.argsort(depth, kind="stable")
    leaves = np.ones(count)
    for joint in downward[::-1]:
        leaves[joint] = max(1, sum(leaves[child] for child in children[joint]))
    first = np.zeros(count)
    for joint in downward:
        column = first[joint]
        for child in children[joint]:
            first[child] = column
            column += leaves[child]
    x = (2 * first + leaves) / leaves.max() - 1
    y = 1 - 2 * depth / depth.max() if depth.max() else np.zeros(count)
    return np.stack([x, y], axis=1)


# -- the registry ---------------------------------------------------------------------------

_REGISTRY: dict[str, SkeletonLayout] = {}


def register_layout(layout: SkeletonLayout, *, replace: bool = False) -> SkeletonLayout:
    """Register a layout under its name for :func:`get_layout` and configurations; return it.

    ValueError if another layout has that name, unless ``replace`` is true.

    Examples
    --------
    >>> from asgcn_dgl.skeleton import SkeletonLayout, get_layout, register_layout
    >>> tail = SkeletonLayout.from_bones("tail", [(0, 1), (1, 2)], center=0)
    >>> register_layout(tail) is get_layout("tail")
    True
    """
    known = _REGISTRY.get(layout.name)
    if known is not None and known != layout and not replace:
        raise ValueError(
            f"layout must have a name that is free, got {layout.name!r}, which is {known!r}; "
            "choose another name or pass replace=True"
        )
    _REGISTRY[layout.name] = layout
    return layout


def get_layout(name: str | SkeletonLayout) -> SkeletonLayout:
    """Return the layout of a name; a layout is returned as it is.

    Examples
    --------
    >>> from asgcn_dgl.skeleton import get_layout
    >>> get_layout("ntu25")
    SkeletonLayout('ntu25', 25 joints, 24 bones, center='spine_shoulder', 10 mirror pairs,
        parts=torso/head/left_arm/right_arm/left_leg/right_leg)
    """
    if isinstance(name, SkeletonLayout):
        return name
    if name not in _REGISTRY:
        raise ValueError(
            f"name must be one of {', '.join(layout_names())}; got {name!r}"
            f"{did_you_mean(str(name), _REGISTRY)}. Layouts of your own are made known by "
            "register_layout"
        )
    return _REGISTRY[name]


def layout_names() -> tuple[str, ...]:
    """Return the names of all known layouts, sorted.

    Examples
    --------
    >>> from asgcn_dgl.skeleton import layout_names
    >>> {"ntu25", "coco17", "hand21"} <= set(layout_names())
    True
    """
    return tuple(sorted(_REGISTRY))


for _facts in SUPPLIED:
    register_layout(SkeletonLayout.from_bones(**_facts))
