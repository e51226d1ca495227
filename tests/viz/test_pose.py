"""Bodies stand upright in pictures, and own layouts are drawn as the data has them."""

from __future__ import annotations

import numpy as np
import pytest

from asgcn_dgl.skeleton import SkeletonLayout, get_layout
from asgcn_dgl.viz import Exhibit, drawing_layout, guess_up

LAYOUT = get_layout("coco17")
SPINE = SkeletonLayout.from_bones(
    "spine", [("low", "high"), ("high", "side")], spine=("low", "high")
)
# Neither pose, spine nor mirror: the names of its limbs tell what is left and right.
DOG = SkeletonLayout.from_bones(
    "dog",
    [("withers", "head"), ("withers", "hip"), ("withers", "left_elbow"), ("withers", "right_elbow"),
     ("hip", "left_knee"), ("hip", "right_knee")],
    center="withers",
)  # fmt: skip
DOG_REST = np.array(
    [[2, 0, 2], [3, 0, 3], [0, 0, 2], [2, 1, 1], [2, -1, 1], [0, 1, 1], [0, -1, 1.0]]
)


def clip_of(layout, pose, frames=6, noise=0.0, seed=0, name="clip"):
    pose = np.asarray(pose, dtype=float)
    pos = np.broadcast_to(pose, (1, frames, *pose.shape)).copy()
    pos += noise * np.random.default_rng(seed).normal(size=pos.shape)
    return Exhibit(name, layout, pos, np.ones(pos.shape[:3], dtype=bool))


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("sign", [1, -1])
def test_up_is_found_whatever_the_axis(axis, sign):
    rng = np.random.default_rng(axis)
    pos = 0.2 * rng.normal(size=(1, 6, 17, 3)) + 5
    pos[..., axis] += sign * np.asarray(LAYOUT.pose)[:, 1]
    mask = rng.uniform(size=(1, 6, 17)) < 0.8
    pos[~mask] = 0
    found = guess_up([Exhibit("clip", LAYOUT, pos, mask)])
    assert found == ("" if sign > 0 else "-") + "xyz"[axis]


def test_up_without_anything_to_tell():
    nothing = Exhibit("x", LAYOUT, np.zeros((1, 1, 17, 3)), np.zeros((1, 1, 17), dtype=bool))
    assert guess_up([nothing]) == guess_up([]) == "y"


@pytest.mark.parametrize(("up", "axis", "sign"), [("y", 1, 1), ("z", 2, 1), ("-x", 0, -1)])
def test_a_spine_tells_up_before_anything_else(up, axis, sign):
    pose = np.zeros((3, 3))
    pose[1, axis] = sign
    pose[2] = 9.0
    assert guess_up([clip_of(SPINE, pose)]) == up
    assert guess_up([clip_of(SPINE, pose)], "-z") == "-z"


def test_bodies_without_a_spine_stand_over_the_ends_of_their_limbs():
    assert guess_up([clip_of(DOG, DOG_REST, noise=0.1)]) == "z"
    assert guess_up([clip_of(DOG, DOG_REST[:, [0, 2, 1]], noise=0.1)]) == "y"


def test_pictures_are_seen_as_they_were_taken():
    """In an image y points down; a mouse seen from above tells nothing of up."""
    mouse = SkeletonLayout.from_bones("mouse", [("neck", "nose"), ("neck", "tail")], spine=(2, 0))
    turns = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    body = np.array([0, 1, -1]) * np.exp(1j * turns)[:, None]
    pos = np.stack([body.real, body.imag], axis=-1)[None]
    assert guess_up([Exhibit("x", mouse, pos, np.ones((1, 12, 3), dtype=bool))]) == "-y"


def test_an_axis_that_the_recordings_do_not_have_is_named():
    with pytest.raises(ValueError, match="up must be one of y, -y, got 'z'"):
        guess_up([clip_of(LAYOUT, LAYOUT.pose)], "z")
    with pytest.raises(ValueError, match="up must be one of x, y, z, -x, -y, -z, got 'w'"):
        guess_up([clip_of(DOG, DOG_REST)], "w")


def test_own_layouts_are_drawn_in_the_mean_pose_of_the_data():
    rng = np.random.default_rng(0)
    clips = []
    for number, turn in enumerate(rng.uniform(0, 6, size=8)):  # dogs that face anywhere
        cos, sin = np.cos(turn), np.sin(turn)
        pose = DOG_REST @ np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]])
        clips.append(clip_of(DOG, pose, noise=0.05, seed=number))
    drawn = drawing_layout(DOG, clips, "z")
    assert drawn.bones == DOG.bones and drawn.has_pose and not DOG.has_pose
    height = drawn.pose[:, 1]
    legs = [DOG.index(name) for name in ("left_elbow", "right_elbow", "left_knee", "right_knee")]
    assert height[DOG.index("head")] == height.max()
    assert height[legs].max() < height[DOG.index("hip")]
    # Its length is seen from the side, as long as the dog is beside its height.
    along = abs(drawn.pose[DOG.index("head"), 0] - drawn.pose[DOG.index("hip"), 0])
    assert along / np.ptp(height) == pytest.approx(3 / 2, rel=0.25)
    assert drawing_layout(LAYOUT, clips, "z") is LAYOUT


def test_a_joint_that_was_never_seen_is_drawn_amid_its_neighbors():
    clip = clip_of(DOG, DOG_REST)
    clip.mask[:, :, DOG.index("hip")] = False
    pose = drawing_layout(DOG, [clip], "z").pose
    ends = [DOG.index(name) for name in ("withers", "left_knee", "right_knee")]
    assert pose[DOG.index("hip")] == pytest.approx(pose[ends].mean(axis=0), abs=1e-6)
