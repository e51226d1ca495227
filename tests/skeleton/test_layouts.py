"""Skeleton layouts: the supplied ones, users' own, rules, round trips, the registry."""

from __future__ import annotations

import copy
import json
import pickle

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgcn_dgl.skeleton import SkeletonLayout, get_layout, layout_names, register_layout

SIZES = {
    "ntu25": 25,
    "ntu25_pyskl": 25,
    "openpose18": 18,
    "coco17": 17,
    "kinectv1_20": 20,
    "openni15": 15,
    "h36m32": 32,
    "cmu38": 38,
    "cmu25": 25,
    "h36m22": 22,
    "hand21": 21,
    "mediapipe33": 33,
    "openpose25": 25,
    "smpl24": 24,
    "smpl22": 22,
    "h36m17": 17,
    "mpii16": 16,
    "halpe26": 26,
    "wholebody133": 133,
}
BODIES = sorted(set(SIZES) - {"hand21"})
CENTERS = {
    "ntu25": "spine_shoulder",
    "ntu25_pyskl": "spine_shoulder",
    "openpose18": "neck",
    "coco17": "nose",
    "kinectv1_20": "shoulder_center",
    "openni15": "spine_mid",
    "h36m32": "hips",
    "cmu38": "hips",
    "cmu25": "spine",
    "h36m22": "spine1",
    "hand21": "wrist",
    "mediapipe33": "nose",
    "openpose25": "neck",
    "smpl24": "pelvis",
    "smpl22": "pelvis",
    "h36m17": "hip",
    "mpii16": "thorax",
    "halpe26": "neck",
    "wholebody133": "nose",
}


@pytest.fixture(params=sorted(SIZES))
def supplied(request):
    return get_layout(request.param)


@st.composite
def layouts(draw, max_joints=12, max_loops=3):
    """Random connected layouts: a shuffled tree, and up to a few bones that close loops."""
    size = draw(st.integers(1, max_joints))
    order = draw(st.permutations(range(size)))
    bones = {
        tuple(sorted((order[child], order[draw(st.integers(0, child - 1))])))
        for child in range(1, size)
    }
    for _ in range(draw(st.integers(0, max_loops)) if size > 2 else 0):
        a, b = draw(st.lists(st.integers(0, size - 1), min_size=2, max_size=2, unique=True))
        bones.add((min(a, b), max(a, b)))
    center = draw(st.none() | st.integers(0, size - 1))
    return SkeletonLayout.from_bones("random", bones, num_joints=size, center=center)


# -- values: cases worked by hand -------------------------------------------------------------


@pytest.fixture
def figure():
    """A chest with a head, two hands and a foot."""
    return SkeletonLayout.from_bones(
        "figure",
        [("head", "chest"), ("chest", "left_hand"), ("right_hand", "chest"), ("chest", "foot")],
        mirror=[("left_hand", "right_hand")],
        parts={"arms": ["right_hand", "left_hand"]},
        spine=("foot", "chest"),
        shoulders=("right_hand", "left_hand"),
    )


def test_values_of_a_small_figure(figure):
    assert figure.joints == ("head", "chest", "left_hand", "right_hand", "foot")
    assert figure.bones == ((0, 1), (1, 2), (1, 3), (1, 4))
    assert figure.center == 1
    assert figure.parents.tolist() == [1, -1, 1, 1, 1]
    assert figure.depth.tolist() == [1, 0, 1, 1, 1]
    assert figure.distances.tolist() == [
        [0, 1, 2, 2, 2],
        [1, 0, 1, 1, 1],
        [2, 1, 0, 2, 2],
        [2, 1, 2, 0, 2],
        [2, 1, 2, 2, 0],
    ]
    assert figure.mirror == ((2, 3),)
    assert figure.mirror_index.tolist() == [0, 1, 3, 2, 4]
    assert dict(figure.parts) == {"arms": (2, 3)}
    assert (figure.spine, figure.shoulders) == ((4, 1), (3, 2))
    # Four columns of width 1/2: right hand, head, foot, left hand; the chest above their middle.
    np.testing.assert_allclose(
        figure.pose, [[-0.25, -1], [0, 1], [0.75, -1], [-0.75, -1], [0.25, -1]]
    )


def test_loops_are_allowed_and_the_lowest_parent_wins():
    square = SkeletonLayout.from_bones("square", [(0, 1), (1, 2), (2, 3), (3, 0)], center=2)
    assert square.parents.tolist() == [1, 2, -1, 2]
    assert square.depth.tolist() == [2, 1, 0, 1]


def test_one_joint():
    dot = SkeletonLayout.from_bones("dot", [], joints=["only"])
    assert (dot.num_joints, dot.bones, dot.center) == (1, (), 0)
    assert dot.parents.tolist() == [-1]
    assert dot.distances.tolist() == [[0]]
    assert dot.pose.tolist() == [[0, 0]]


@pytest.mark.parametrize(
    ("bones", "center"),
    [
        ([(0, 1), (1, 2)], 1),
        ([(0, 1)], 0),  # a tie: the lower index
        ([(0, 1), (1, 2), (2, 3)], 1),
        ([(0, 1), (1, 2), (2, 3), (2, 4)], 2),  # 1 and 2 are as far from the ends: the lesser sum
        ([(0, 1), (1, 2), (2, 0)], 0),
    ],
)
def test_default_center_is_the_graph_center(bones, center):
    assert SkeletonLayout.from_bones("any", bones).center == center


# -- structure: supplied layouts --------------------------------------------------------------


def test_supplied_names():
    assert set(SIZES) <= set(layout_names())
    assert list(layout_names()) == sorted(layout_names())


def test_supplied_structure(supplied):
    assert supplied.num_joints == SIZES[supplied.name]
    assert supplied.joints[supplied.center] == CENTERS[supplied.name]
    graph = supplied.to_networkx()
    assert nx.is_tree(graph)
    assert len(supplied.bones) == supplied.num_joints - 1
    hops = dict(nx.all_pairs_shortest_path_length(graph))
    joints = range(supplied.num_joints)
    assert supplied.distances.tolist() == [[hops[a][b] for b in joints] for a in joints]


def test_supplied_parts_cover_each_joint_once_and_hang_together(supplied):
    assert sorted(sum(supplied.parts.values(), ())) == list(range(supplied.num_joints))
    graph = supplied.to_networkx()
    for joints in supplied.parts.values():
        assert nx.is_connected(graph.subgraph(joints))


def test_mirror_is_an_automorphism(supplied):
    swap = supplied.mirror_index
    assert swap[swap].tolist() == list(range(supplied.num_joints))
    assert swap[supplied.center] == supplied.center
    mirrored = {tuple(sorted((int(swap[a]), int(swap[b])))) for a, b in supplied.bones}
    assert mirrored == set(supplied.bones)
    assert (supplied.distances[np.ix_(swap, swap)] == supplied.distances).all()


@pytest.mark.parametrize("name", BODIES)
def test_sides_of_bodies(name):
    layout = get_layout(name)
    sided = [joint for joint in layout.joints if joint.startswith(("left_", "right_"))]
    assert len(sided) == 2 * len(layout.mirror)
    for left, right in layout.mirror:
        assert layout.joints[left].startswith("left_")
        assert layout.joints[right] == layout.joints[left].replace("left_", "right_")
    for part, joints in layout.parts.items():
        if part.startswith(("left_", "right_")):
            side = part.split("_")[0]
            assert all(layout.joints[joint].startswith(side) for joint in joints)
    right, left = layout.shoulders
    assert (left, right) in layout.mirror
    if layout.spine is not None:
        assert all(layout.mirror_index[joint] == joint for joint in layout.spine)


@pytest.mark.parametrize("name", BODIES)
def test_poses_of_bodies_face_the_viewer(name):
    layout = get_layout(name)
    pose = layout.pose
    # Mirrored about the vertical, the left of the body at the right of the viewer.
    np.testing.assert_array_equal(pose[layout.mirror_index], pose * [-1, 1])
    assert all(pose[left, 0] > 0 for left, _ in layout.mirror)
    head, arm, leg = (pose[list(layout.parts[p]), 1] for p in ("head", "left_arm", "left_leg"))
    assert head.min() > arm.max() > leg.max()
    assert leg.min() == pose[:, 1].min()
    if layout.spine is not None:
        lower, upper = layout.spine
        assert pose[lower, 1] < pose[upper, 1]


def _cross(p, q, r, s):
    """Tell whether the segments pq and rs cross."""

    def side(a, b, c):
        return np.sign((b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]))

    return side(p, q, r) * side(p, q, s) < 0 and side(r, s, p) * side(r, s, q) < 0


def _has_crossing(pose, bones):
    """Tell whether any two bones that share no joint cross in a drawing."""
    return any(
        _cross(pose[a], pose[b], pose[c], pose[d])
        for index, (a, b) in enumerate(bones)
        for c, d in bones[:index]
        if not {a, b} & {c, d}
    )


def test_supplied_poses_have_no_crossed_bones_and_no_joint_on_another(supplied):
    bones, least = supplied.bones, 0.05
    if supplied.name == "wholebody133":  # the shoulders hang on the nose, behind mouth and jaw
        bones = [bone for bone in bones if supplied.joints[bone[1]][-9:] != "_shoulder"]
        least = 0.015  # points of a face lie close
    assert not _has_crossing(supplied.pose, bones)
    gap = np.linalg.norm(supplied.pose[:, None] - supplied.pose[None], axis=-1)
    assert gap[~np.eye(supplied.num_joints, dtype=bool)].min() > least
    assert np.ptp(supplied.pose[:, 1]) == pytest.approx(2, abs=0.25)


@pytest.mark.parametrize(
    ("name", "base", "published"),
    [
        (  # counted from 1, as the data set's paper and ST-GCN do
            "ntu25",
            1,
            """1-2 2-21 3-21 4-3 5-21 6-5 7-6 8-7 9-21 10-9 11-10 12-11 13-1 14-13 15-14 16-15
            17-1 18-17 19-18 20-19 22-23 23-8 24-25 25-12""",
        ),
        (
            "ntu25_pyskl",
            1,
            """1-2 2-21 3-21 4-3 5-21 6-5 7-6 8-7 9-21 10-9 11-10 12-11 13-1 14-13 15-14 16-15
            17-1 18-17 19-18 20-19 22-8 23-8 24-12 25-12""",
        ),
        (
            "openpose18",
            0,
            "4-3 3-2 7-6 6-5 13-12 12-11 10-9 9-8 11-5 8-2 5-1 2-1 0-1 15-0 14-0 17-15 16-14",
        ),
        (
            "coco17",
            0,
            "15-13 13-11 16-14 14-12 11-5 12-6 9-7 7-5 10-8 8-6 5-0 6-0 1-0 3-1 2-0 4-2",
        ),
        (
            "kinectv1_20",
            1,
            """1-2 2-3 4-3 5-3 6-5 7-6 8-7 9-3 10-9 11-10 12-11 13-1 14-13 15-14 16-15 17-1 18-17
            19-18 20-19""",
        ),
        (
            "mpii16",
            0,
            "0-1 1-2 2-6 6-3 3-4 4-5 6-7 7-8 8-9 8-12 12-11 11-10 8-13 13-14 14-15",
        ),
        (  # and the nose on the head
            "halpe26",
            0,
            """0-1 0-2 1-3 2-4 5-18 6-18 5-7 7-9 6-8 8-10 17-18 18-19 19-11 19-12 11-13 12-14 13-15
            14-16 20-24 21-25 23-25 22-24 15-24 16-25 0-17""",
        ),
        (
            "openpose25",
            0,
            """1-8 1-2 1-5 2-3 3-4 5-6 6-7 8-9 9-10 10-11 8-12 12-13 13-14 1-0 0-15 15-17 0-16
            16-18 14-19 19-20 14-21 11-22 22-23 11-24""",
        ),
    ],
)
def test_bones_are_the_published_ones(name, base, published):
    pairs = [sorted(int(end) - base for end in bone.split("-")) for bone in published.split()]
    assert get_layout(name).bones == tuple(sorted(map(tuple, pairs)))


@pytest.mark.parametrize(
    ("name", "parents"),
    [
        (
            "h36m32",
            "-1 0 1 2 3 4 0 6 7 8 9 0 11 12 13 14 12 16 17 18 19 20 19 22 12 24 25 26 27 28 27 30",
        ),
        (
            "cmu38",
            """-1 0 1 2 3 4 5 0 7 8 9 10 11 0 13 14 15 16 17 18 15 20 21 22 23 24 25 23 27 15 29 30
            31 32 33 34 32 36""",
        ),
        ("h36m17", "-1 0 1 2 0 4 5 0 7 8 9 8 11 12 8 14 15"),
        ("smpl22", "-1 0 0 0 1 2 3 4 5 6 7 8 9 9 9 12 13 14 16 17 18 19"),
        ("smpl24", "-1 0 0 0 1 2 3 4 5 6 7 8 9 9 9 12 13 14 16 17 18 19 20 21"),
    ],
)
def test_motion_capture_parents_are_the_kinematic_ones(name, parents):
    assert get_layout(name).parents.tolist() == [int(parent) for parent in parents.split()]


@pytest.mark.parametrize(
    ("name", "whole", "left_out"),
    [
        ("cmu25", "cmu38", [0, 1, 2, 7, 8, 13, 16, 20, 24, 27, 29, 33, 36]),
        ("h36m22", "h36m32", [0, 1, 6, 11, 16, 20, 23, 24, 28, 31]),
    ],
)
def test_modeled_joints_are_those_of_published_code(name, whole, left_out):
    """What hung on a joint that is left out hangs on the next inward, or on the center."""
    part, layout = get_layout(name), get_layout(whole)
    kept = [joint for n, joint in enumerate(layout.joints) if n not in left_out]
    assert list(part.joints) == kept
    for joint, parent in zip(part.joints, part.parents, strict=True):
        inward = layout.parents[layout.index(joint)]
        while inward in left_out:
            inward = layout.parents[inward]
        expected = layout.joints[inward] if inward >= 0 else part.joints[part.center]
        assert joint == part.joints[part.center] or part.joints[parent] == expected


def test_mediapipe_bones_are_its_own_but_for_the_face():
    """Its connections without those that close loops; the mouth and the shoulders on the nose."""
    drawn = """0-1 1-2 2-3 3-7 0-4 4-5 5-6 6-8 11-13 13-15 15-17 15-19 15-21 12-14 14-16 16-18 16-20
    16-22 11-23 12-24 23-25 25-27 27-29 27-31 24-26 26-28 28-30 28-32"""
    pairs = {tuple(int(end) for end in bone.split("-")) for bone in drawn.split()}
    assert set(get_layout("mediapipe33").bones) == pairs | {(0, 9), (0, 10), (0, 11), (0, 12)}


def test_whole_body_is_coco_feet_face_and_hands():
    whole, coco, hand = (get_layout(name) for name in ("wholebody133", "coco17", "hand21"))
    assert whole.joints[:17] == coco.joints
    assert tuple(bone for bone in whole.bones if bone[1] < 17) == coco.bones
    assert whole.joints[17:23] == tuple(
        f"{side}_{toe}" for side in ("left", "right") for toe in ("big_toe", "small_toe", "heel")
    )
    for side, first in (("left", 91), ("right", 112)):
        assert whole.joints[first] == f"{side}_hand_wrist"
        assert whole.parents[first] == whole.index(f"{side}_wrist")
        inside = [(a - first, b - first) for a, b in whole.bones if first <= a and b < first + 21]
        assert tuple(inside) == hand.bones
    # The face's mirror pairs as published, counted from the face's first point.
    published = """0-16 1-15 2-14 3-13 4-12 5-11 6-10 7-9 17-26 18-25 19-24 20-23 21-22 31-35 32-34
    36-45 37-44 38-43 39-42 40-47 41-46 48-54 49-53 50-52 55-59 56-58 60-64 61-63 65-67"""
    pairs = {frozenset(int(end) + 23 for end in pair.split("-")) for pair in published.split()}
    assert {frozenset(p) for p in whole.mirror if 23 <= p[0] < 91} == pairs


# -- structure: any layout --------------------------------------------------------------------


@given(layouts())
def test_random_layouts(layout):
    graph = layout.to_networkx()
    joints = range(layout.num_joints)
    hops = dict(nx.all_pairs_shortest_path_length(graph))
    assert layout.distances.tolist() == [[hops[a][b] for b in joints] for a in joints]
    assert layout.depth.tolist() == layout.distances[layout.center].tolist()

    parents = layout.parents
    assert parents[layout.center] == -1
    tree = nx.empty_graph(joints)
    for joint in set(joints) - {layout.center}:
        assert graph.has_edge(joint, int(parents[joint]))
        assert layout.depth[parents[joint]] == layout.depth[joint] - 1
        tree.add_edge(joint, int(parents[joint]))
    assert nx.is_tree(tree)


@given(layouts())
def test_random_drawings(layout):
    assert layout.pose.shape == (layout.num_joints, 2)
    assert np.abs(layout.pose).max() <= 1
    assert len(set(map(tuple, layout.pose.tolist()))) == layout.num_joints
    tree = [(joint, int(p)) for joint, p in enumerate(layout.parents) if p >= 0]
    assert not _has_crossing(layout.pose, tree)


@given(layouts())
def test_default_center_is_in_the_center_of_networkx(layout):
    default = SkeletonLayout.from_bones("random", layout.bones, num_joints=layout.num_joints)
    assert default.center in nx.center(default.to_networkx())


@given(layouts())
def test_random_round_trips(layout):
    again = SkeletonLayout.from_dict(json.loads(json.dumps(layout.to_dict())))
    assert again == layout
    assert hash(again) == hash(layout)
    assert SkeletonLayout.from_networkx(layout.to_networkx(), center=layout.center) == layout


def test_drawing_of_a_mirrored_tree_is_mirrored():
    bones = [("hip", "left_leg"), ("hip", "right_leg")]
    for side in ("left", "right"):
        bones += [(f"{side}_leg", f"{side}_toe"), (f"{side}_leg", f"{side}_heel")]
    mirror = [(f"left_{joint}", f"right_{joint}") for joint in ("leg", "toe", "heel")]
    layout = SkeletonLayout.from_bones("legs", bones, center="hip", mirror=mirror)
    np.testing.assert_allclose(layout.pose[layout.mirror_index], layout.pose * [-1, 1])
    assert all(layout.pose[left, 0] > 0 for left, _ in layout.mirror)


# -- making: names, networkx, a virtual centre ------------------------------------------------


def test_bones_by_name_and_by_index_agree():
    names = ["a", "b", "c"]
    by_name = SkeletonLayout.from_bones("abc", [("a", "b"), ("c", "b")], joints=names, center="b")
    by_index = SkeletonLayout.from_bones("abc", np.array([[1, 0], [1, 2]]), joints=names, center=1)
    direct = SkeletonLayout("abc", tuple(names), ((2, 1), (0, 1)), 1)
    assert by_name == by_index == direct
    assert by_index.bones == ((0, 1), (1, 2))
    assert all(type(end) is int for bone in by_index.bones for end in bone)


def test_from_networkx_keeps_nodes_names_and_positions():
    graph = nx.DiGraph(name="cat")
    graph.add_node("tail", pos=(2.0, 0.5))
    graph.add_node("paw", pos=(1.0, -1.0))
    graph.add_node("head", pos=(-1.0, 1.0), name="big head")
    graph.add_edges_from([("tail", "head"), ("head", "tail"), ("head", "paw")])
    cat = SkeletonLayout.from_networkx(
        graph, center="head", mirror=[("tail", "paw")], parts={"all": graph}, spine=("tail", "head")
    )
    assert (cat.name, cat.joints, cat.center) == ("cat", ("tail", "paw", "big head"), 2)
    assert cat.bones == ((0, 2), (1, 2))
    assert cat.pose.tolist() == [[2.0, 0.5], [1.0, -1.0], [-1.0, 1.0]]
    assert (cat.mirror, dict(cat.parts), cat.spine) == (((0, 1),), {"all": (0, 1, 2)}, (0, 2))


def test_from_networkx_takes_whole_numbers_in_order():
    graph = nx.MultiGraph([(9, 5), (5, 7), (7, 5)])
    layout = SkeletonLayout.from_networkx(graph, center=7, name="gaps")
    assert layout.joints == ("joint_5", "joint_7", "joint_9")
    assert layout.bones == ((0, 1), (0, 2))
    assert layout.center == 1


def test_from_networkx_reads_supplied_layouts_back(supplied):
    again = SkeletonLayout.from_networkx(supplied.to_networkx())
    assert (again.name, again.joints, again.bones) == (
        supplied.name,
        supplied.joints,
        supplied.bones,
    )
    np.testing.assert_array_equal(again.pose, supplied.pose)


def test_virtual_center_joins_the_parts():
    hands = [(0, 1), (1, 2), (3, 4), (4, 5)]
    pose = [[-3, 0], [-2, 0], [-1, 0], [1, 2], [2, 2], [3, 2]]
    layout = SkeletonLayout.from_bones("hands", hands, virtual_center="between", pose=pose)
    assert layout.joints[layout.center] == "between"
    assert layout.center == 6
    assert layout.bones == ((0, 1), (1, 2), (1, 6), (3, 4), (4, 5), (4, 6))
    assert layout.pose[6].tolist() == [0, 1]


def test_virtual_center_takes_lone_joints():
    layout = SkeletonLayout.from_bones("marks", [], num_joints=3, virtual_center="body")
    assert layout.bones == ((0, 3), (1, 3), (2, 3))


# -- rules ------------------------------------------------------------------------------------

GOOD = {
    "name": "abcd",
    "joints": ("a", "b", "c", "d"),
    "bones": ((0, 1), (1, 2), (2, 3)),
    "center": 1,
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": ""}, "name must be a string that is not empty, got ''"),
        ({"name": None}, "name must be a string that is not empty, got None"),
        ({"joints": ()}, "joints must have at least one name, got none"),
        ({"joints": "abcd"}, "joints must be a sequence of names, got the string 'abcd'"),
        ({"joints": ("a", "b", "a", "d")}, "joints must have different names, got 'a' twice"),
        ({"joints": ("a", "b", "", "d")}, "joints must be strings that are not empty, got ''"),
        ({"joints": ("a", "b", 3, "d")}, "joints must be strings that are not empty, got 3"),
        ({"bones": ((0, 1), (1, 4))}, "bones must lie in 0..3, got 4"),
        ({"bones": ((0, 1), (1, -1))}, "bones must lie in 0..3, got -1"),
        ({"bones": ((0, 1.5),)}, "bones must be the index of a joint, got 1.5"),
        ({"bones": ((0, 1, 2),)}, r"bones must be given as pairs of joints, got \(0, 1, 2\)"),
        ({"bones": (0, 1)}, "bones must be given as pairs of joints, got 0"),
        ({"bones": ((0, 1), (2, 2))}, r"bones must join two joints, got \(2, 2\)"),
        ({"bones": ((0, 1), (1, 2), (1, 0))}, r"bones must be given once .* got \(0, 1\) twice"),
        ({"bones": ((0, 1), (2, 3))}, r"2 parts: \{a, b\}; \{c, d\}\. .*virtual_center="),
        ({"center": 4}, "center must lie in 0..3, got 4"),
        ({"center": "a"}, "center must be the index of a joint, got 'a'"),
        ({"mirror": ((0, 0),)}, r"mirror must pair two different joints, got \(0, 0\)"),
        ({"mirror": ((0, 3), (3, 1))}, r"mirror must name each joint once .* got \(3, 1\) too"),
        ({"mirror": ((0, 9),)}, "mirror must lie in 0..3, got 9"),
        ({"parts": [0, 1]}, r"parts must map names to joints, got \[0, 1\]"),
        ({"parts": {"": [0]}}, "parts must be named by strings that are not empty, got ''"),
        ({"parts": {"leg": [0, 4]}}, r"parts\['leg'\] must lie in 0..3, got 4"),
        ({"parts": {"leg": [0, 0]}}, r"parts\['leg'\] must have joints, each once; got \(0, 0\)"),
        ({"parts": {"leg": []}}, r"parts\['leg'\] must have joints, each once; got \(\)"),
        ({"pose": [[0, 0]] * 3}, r"pose must have a row .* the 4 joints, got shape \(3, 2\)"),
        ({"pose": [[0, 0]] * 3 + [[0, np.nan]]}, "pose must be finite, got .* at 'd'"),
        ({"spine": (0, 0)}, r"spine must run between two different joints, got \(0, 0\)"),
        ({"shoulders": (0, 7)}, "shoulders must lie in 0..3, got 7"),
    ],
)
def test_constructor_names_argument_rule_and_value(change, message):
    SkeletonLayout(**GOOD)
    with pytest.raises(ValueError, match=message):
        SkeletonLayout(**{**GOOD, **change})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"bones": [("elbow", "hand")], "center": "hnad"}, "center .* got 'hnad' .*mean 'hand'"),
        ({"bones": [("a", 1)]}, "bones must be all names or all indices unless joints is given"),
        ({"bones": [("a", "b")], "num_joints": 3}, "num_joints must be 2 as bones has it, got 3"),
        ({"bones": [(0, 1)], "joints": "ab"}, "joints must be a sequence of names"),
        (
            {"bones": [(0, 1)], "joints": ["a", "b"], "num_joints": 3},
            "num_joints must be 2 as joints has it, got 3",
        ),
        ({"bones": []}, "joints or num_joints must be given where there are no bones"),
        ({"bones": [], "num_joints": 0}, "num_joints must be at least 1, got 0"),
        ({"bones": [(0, 1)], "num_joints": 3}, r"2 parts: \{joint_0, joint_1\}; \{joint_2\}"),
        ({"bones": [(0, 0)]}, r"bones must join two joints, got \(0, 0\)"),
        ({"bones": [(0, 1), (0, 1)]}, r"bones must be given once .* got \(0, 1\) twice"),
        ({"bones": [(-1, 0)]}, "bones must lie in .*, got -1"),
        ({"bones": [(0, 1, 2)]}, r"bones must be given as pairs of joints, got \(0, 1, 2\)"),
        ({"bones": [3]}, "bones must be given as pairs of joints, got 3"),
        ({"bones": ["ab"]}, "bones must be given as pairs of joints, got 'ab'"),
        (
            {"bones": [(0, 1)], "center": 0, "virtual_center": "v"},
            "center and virtual_center exclude each other, got 0 and 'v'",
        ),
        (
            {"bones": [("a", "b")], "virtual_center": "a"},
            "virtual_center must be a new name, got the joint 'a'",
        ),
        ({"bones": [(0, 1)], "mirror": [(0,)]}, r"mirror must be given as pairs .* got \(0,\)"),
        ({"bones": [(0, 1)], "pose": [[0, 0]]}, "pose must have a row"),
    ],
)
def test_from_bones_names_argument_rule_and_value(arguments, message):
    with pytest.raises(ValueError, match=message):
        SkeletonLayout.from_bones("wrong", **arguments)


def test_many_loose_joints_are_listed_in_short():
    bones = [(joint, joint + 1) for joint in range(10)]
    with pytest.raises(ValueError, match=r"2 parts: \{joint_0, .* and 3 more\}; \{joint_11\}"):
        SkeletonLayout.from_bones("long", bones, num_joints=12)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"center": "z"}, "center must be a node of the graph, got 'z'"),
        ({"mirror": [("a", "z")]}, "mirror must be a node of the graph, got 'z'"),
        ({"parts": {"leg": ["z"]}}, "parts must be a node of the graph, got 'z'"),
        ({"spine": ("a", "z")}, "spine must be a node of the graph, got 'z'"),
    ],
)
def test_from_networkx_names_unknown_nodes(arguments, message):
    with pytest.raises(ValueError, match=message):
        SkeletonLayout.from_networkx(nx.Graph([("a", "b")]), **arguments)


def test_from_networkx_refuses_loops_at_a_node_and_emptiness():
    with pytest.raises(ValueError, match="bones must join two joints"):
        SkeletonLayout.from_networkx(nx.Graph([(0, 1), (1, 1)]))
    with pytest.raises(ValueError, match="joints must have at least one name"):
        SkeletonLayout.from_networkx(nx.Graph())


def test_from_dict_names_unknown_and_missing_facts():
    with pytest.raises(ValueError, match=r"facts must be among name, .*; got color"):
        SkeletonLayout.from_dict({**GOOD, "color": "red"})
    with pytest.raises(ValueError, match="facts must have name, joints, bones, center; got no cen"):
        SkeletonLayout.from_dict({key: GOOD[key] for key in ("name", "joints", "bones")})


# -- contract ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "travel",
    [
        copy.copy,
        copy.deepcopy,
        lambda layout: pickle.loads(pickle.dumps(layout)),
        lambda layout: SkeletonLayout.from_dict(json.loads(json.dumps(layout.to_dict()))),
    ],
    ids=["copy", "deepcopy", "pickle", "json"],
)
def test_round_trips(supplied, travel):
    again = travel(supplied)
    assert again == supplied
    assert hash(again) == hash(supplied)
    assert again.to_dict() == supplied.to_dict()
    assert {supplied: 1}[again] == 1


@pytest.mark.parametrize(
    "change",
    [
        {"name": "other"},
        {"joints": ("a", "b", "c", "e")},
        {"bones": ((0, 1), (1, 2), (1, 3))},
        {"center": 2},
        {"mirror": ((0, 3),)},
        {"parts": {"leg": (0,)}},
        {"pose": [[0, 0], [0, 1], [0, 2], [0, 3]]},
        {"spine": (0, 1)},
        {"shoulders": (0, 1)},
    ],
)
def test_equality_is_by_all_of_the_content(change):
    base = SkeletonLayout(**GOOD, pose=[[0, 0], [0, 1], [0, 2], [0, 4]])
    assert SkeletonLayout(**{**base.to_dict(), **change}) != base
    assert base != "abcd"


def test_layouts_are_frozen(supplied):
    with pytest.raises(AttributeError):
        supplied.center = 0
    with pytest.raises(TypeError):
        supplied.parts["more"] = (0,)
    with pytest.raises(ValueError, match="read-only"):
        supplied.pose[0] = 0


def test_derived_arrays_are_yours_to_change(supplied):
    names = ("distances", "depth", "parents", "mirror_index")
    for name in names:
        before = getattr(supplied, name)
        assert before.dtype == np.int64
        getattr(supplied, name)[:] = 77
        np.testing.assert_array_equal(getattr(supplied, name), before)


def test_arguments_are_left_as_they_were():
    pose = np.array([[0.0, 0], [0, 1], [0, 2], [0, 3]])
    parts = {"leg": [1, 0]}
    layout = SkeletonLayout(**GOOD, pose=pose, parts=parts)
    pose[:] = 5
    parts["leg"].append(3)
    assert layout.pose.max() == 3
    assert layout.parts["leg"] == (0, 1)


def test_repr(figure):
    assert repr(figure) == (
        "SkeletonLayout('figure', 5 joints, 4 bones, center='chest', 1 mirror pairs, parts=arms)"
    )


def test_index(figure):
    assert figure.index("foot") == figure.index(4) == 4
    with pytest.raises(ValueError, match=r"joint must name .* got 'haed' \(did you mean 'head'"):
        figure.index("haed")
    with pytest.raises(ValueError, match=r"joint must lie in 0..4, got 5"):
        figure.index(5)


# -- registry ---------------------------------------------------------------------------------


@pytest.fixture
def registry(monkeypatch):
    """A registry that forgets what the test puts into it."""
    from asgcn_dgl.skeleton import layouts as module

    monkeypatch.setattr(module, "_REGISTRY", dict(module._REGISTRY))


@pytest.mark.usefixtures("registry")
def test_registry_keeps_names_apart():
    first = SkeletonLayout.from_bones("test_tail", [(0, 1)])
    second = SkeletonLayout.from_bones("test_tail", [(0, 1), (1, 2)])
    assert register_layout(first) is first
    assert "test_tail" in layout_names()
    assert get_layout("test_tail") is first
    register_layout(copy.deepcopy(first))
    with pytest.raises(ValueError, match="layout must have a name that is free, got 'test_tail'"):
        register_layout(second)
    register_layout(second, replace=True)
    assert get_layout("test_tail") is second


def test_get_layout_hands_layouts_back(figure):
    assert get_layout(figure) is figure


@pytest.mark.parametrize(
    ("name", "hint"),
    [("ntu", "did you mean 'ntu25'"), ("COCO17", "did you mean 'coco17'"), (25, "got 25")],
)
def test_get_layout_lists_names(name, hint):
    with pytest.raises(ValueError, match=r"name must be one of .*coco17, .*") as error:
        get_layout(name)
    assert hint in str(error.value)
