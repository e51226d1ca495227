"""A kinematic body with the 25 joints of Kinect v2, moved by rotations about its joints.

Axes are those of the Kinect camera: x to the right of a person who faces the camera, y up, z away
from the camera. Such a person looks along -z.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from asgcn_dgl.data.rotations import axis_to_matrix as rotation

Array = NDArray[np.float64]

NUM_JOINTS = 25
SPINE_BASE, SPINE_MID, NECK, HEAD, SPINE_SHOULDER = 0, 1, 2, 3, 20
# One entry for each side: 0 is the right side, 1 the left one.
SHOULDER, ELBOW, WRIST, HAND, TIP, THUMB = (8, 4), (9, 5), (10, 6), (11, 7), (23, 21), (24, 22)
HIP, KNEE, ANKLE, FOOT = (16, 12), (17, 13), (18, 14), (19, 15)
SIDE = (1.0, -1.0)  # sign of x on the right and on the left

PARENTS = (-1, 0, 20, 2, 20, 4, 5, 6, 20, 8, 9, 10, 0, 12, 13, 14, 0, 16, 17, 18, 1, 7, 7, 11, 11)
"""Parent of each joint, -1 for the root (the base of the spine)."""

_ORDER = (1, 20, 2, 3, *range(4, 20), 21, 22, 23, 24)  # parents before children


def unit(vector: Array) -> Array:
    """Vectors of length one along the last axis; a zero vector stays zero."""
    length = np.sqrt((vector * vector).sum(axis=-1, keepdims=True))
    return vector / np.maximum(length, 1e-9)


def apply(matrix: Array, vector: ArrayLike) -> Array:
    """Matrices ``(..., 3, 3)`` times vectors ``(..., 3)``."""
    return (matrix * np.asarray(vector)[..., None, :]).sum(axis=-1)


def frame_along(down: Array, forward: Array) -> Array:
    """Orientation whose -y axis runs along `down` and whose -z axis leans towards `forward`."""
    y = -unit(down)
    x = unit(np.cross(forward, y))
    return np.stack([x, y, np.cross(x, y)], axis=-1)


@dataclass(frozen=True)
class Body:
    """Bone vectors of one person of ``height`` meters.

    ``legs``, ``arms`` and ``shoulders`` are factors of the average leg length, arm length and
    shoulder width.
    """

    height: float = 1.7
    legs: float = 1.0
    arms: float = 1.0
    shoulders: float = 1.0
    offsets: Array = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        offsets = np.zeros((NUM_JOINTS, 3))
        # Fractions of the stature, in the frame of the segment that ends at the joint.
        offsets[SPINE_MID] = 0, 0.165, 0
        offsets[SPINE_SHOULDER] = 0, 0.130, 0
        offsets[NECK] = 0, 0.040, 0.0
        offsets[HEAD] = 0, 0.078, -0.015
        for k in (0, 1):
            offsets[SHOULDER[k]] = SIDE[k] * 0.098 * self.shoulders, -0.022, 0
            offsets[ELBOW[k]] = 0, -0.165 * self.arms, 0
            offsets[WRIST[k]] = 0, -0.145 * self.arms, 0
            offsets[HAND[k]] = 0, -0.044 * self.arms, 0
            offsets[TIP[k]] = 0, -0.044 * self.arms, 0
            offsets[THUMB[k]] = -SIDE[k] * 0.012, -0.016 * self.arms, -0.018
            offsets[HIP[k]] = SIDE[k] * 0.046, -0.012, 0
            offsets[KNEE[k]] = 0, -0.238 * self.legs, 0
            offsets[ANKLE[k]] = 0, -0.228 * self.legs, 0
            offsets[FOOT[k]] = 0, -0.038, -0.062
        object.__setattr__(self, "offsets", offsets * self.height)

    def length(self, joint: int) -> float:
        """Length in meters of the bone that ends at a joint."""
        return float(np.sqrt((self.offsets[joint] ** 2).sum()))

    @property
    def arm(self) -> float:
        """Length in meters from shoulder to wrist."""
        return self.length(ELBOW[0]) + self.length(WRIST[0])

    @property
    def leg(self) -> float:
        """Length in meters from hip to ankle."""
        return self.length(KNEE[0]) + self.length(ANKLE[0])

    @property
    def ankle_height(self) -> float:
        """Height in meters of the ankle over the floor when the foot stands on it."""
        return -float(self.offsets[FOOT[0]][1])


def place_joints(body: Body, root: Array, turns: Array) -> Array:
    """Return positions ``(T, 25, 3)``: a joint is its parent plus the turned bone vector.

    ``root`` ``(T, 3)`` is the base of the spine, ``turns`` ``(25, T, 3, 3)`` the orientation of the
    bone that ends at each joint.
    """
    bones = (turns @ body.offsets[:, None, :, None])[..., 0]  # (V, T, 3)
    points = np.empty_like(bones)
    points[0] = root
    for joint in _ORDER:
        points[joint] = points[PARENTS[joint]] + bones[joint]
    return points.transpose(1, 0, 2)


def two_bone_reach(
    start: Array, target: Array, upper: float, lower: float, pole: Array
) -> tuple[Array, Array]:
    """Return unit vectors ``(T, 3)`` along both bones of a limb from ``start`` to ``target``.

    Its bones are ``upper`` and ``lower`` meters long; the middle joint leans towards the directions
    ``pole`` ``(T, 3)``. A target out of range is reached as closely as the bones allow.
    """
    line = target - start
    dist = np.sqrt((line * line).sum(axis=-1, keepdims=True))
    along = unit(line)
    dist = np.clip(dist, abs(upper - lower) + 0.25 * min(upper, lower), 0.995 * (upper + lower))
    aside = unit(pole - (pole * along).sum(axis=-1, keepdims=True) * along)
    cosine = (upper**2 + dist**2 - lower**2) / (2 * upper * dist)
    sine = np.sqrt(np.maximum(1 - cosine**2, 0.0))
    first = cosine * along + sine * aside
    return first, unit(dist * along - upper * first)


class Figure:
    """A body over time: an action sets its feet, then its trunk, then its hands.

    Limbs reach for points (`two_bone_reach`), the trunk is turned by angles, and `positions` walks
    the tree of bones, so that bone lengths never change.

    The person of ``body`` stands at ``place`` ``(x, z)`` on the floor, in meters, for T ``frames``,
    and is turned to the left by ``heading`` radians, 0 looking along -z; ``stance`` is half the
    distance between the feet.
    """

    def __init__(
        self,
        body: Body,
        frames: int,
        place: tuple[float, float] = (0.0, 0.0),
        heading: float = 0.0,
        stance: float = 0.1,
    ) -> None:
        self.body = body
        self.frames = frames
        self.floor = np.array([place[0], 0.0, place[1]])
        self.facing = rotation(1, heading)  # (3, 3)
        self.feet = np.empty((2, frames, 3))  # targets of the ankles
        for k in (0, 1):
            local = (SIDE[k] * stance, body.ankle_height, 0.02 * body.height)
            self.feet[k] = self.floor + self.facing @ np.array(local)
        self.toes = np.zeros((2, frames))  # pitch of the feet, positive lifts the toes
        self.hands = np.zeros((2, frames, 3))  # targets of the wrists
        self.elbows = np.empty((2, frames, 3))  # directions of the elbows
        self.root = np.zeros((frames, 3))
        self.turns = np.empty((NUM_JOINTS, frames, 3, 3))
        self.points = np.zeros((frames, NUM_JOINTS, 3))

    def _local(self, right: ArrayLike, up: ArrayLike, forward: ArrayLike) -> Array:
        """Return vectors ``(T, 3)`` of parts along three axes, ``(T,)`` each or one number."""
        local = np.zeros((self.frames, 3))
        local[:, 0], local[:, 1], local[:, 2] = right, up, -np.asarray(forward)
        return local

    def move_foot(self, side: int, right: ArrayLike, up: ArrayLike, forward: ArrayLike) -> None:
        """Move one ankle by meters along the person's own axes, ``(T,)`` each or one number."""
        self.feet[side] += self._local(right, up, forward) @ self.facing.T

    def set_trunk(
        self,
        *,
        right: ArrayLike = 0.0,
        up: ArrayLike = 0.0,
        forward: ArrayLike = 0.0,
        jump: ArrayLike = 0.0,
        bend: ArrayLike = 0.0,
        lean: ArrayLike = 0.0,
        twist: ArrayLike = 0.0,
        nod: ArrayLike = 0.0,
        look: ArrayLike = 0.0,
    ) -> None:
        """Place the pelvis and turn the spine; every argument is ``(T,)`` or one number.

        ``right``, ``up`` and ``forward`` are meters by which the pelvis moves, within what the
        standing legs allow, ``jump`` those by which it rises off the ground. The trunk bends
        forward, leans to the right and twists to the left, the head nods forward and looks to the
        left by radians.
        """
        angles = np.broadcast_arrays(bend, lean, twist, nod, look, np.zeros(self.frames))
        bend, lean, twist, nod, look, _ = angles
        # A bend begins in the hips and goes on along the spine.
        pelvis = self.facing @ rotation(0, -0.35 * bend) @ rotation(1, 0.25 * twist)
        lower = pelvis @ rotation(1, 0.3 * twist) @ rotation(2, -0.5 * lean)
        lower = lower @ rotation(0, -0.3 * bend)
        chest = lower @ rotation(1, 0.45 * twist) @ rotation(2, -0.5 * lean)
        chest = chest @ rotation(0, -0.35 * bend)
        neck = chest @ rotation(0, -0.3 * nod)
        head = neck @ rotation(1, look) @ rotation(0, -0.7 * nod)
        self.turns[:] = chest
        self.turns[[SPINE_BASE, *HIP]] = pelvis
        self.turns[[SPINE_MID, NECK, HEAD]] = lower, neck, head
        self._place_root(right, up, forward)
        self.root[:, 1] += np.asarray(jump)
        self.points = place_joints(self.body, self.root, self.turns)
        for k in (0, 1):
            # Elbows point down, outwards and back unless the action says otherwise.
            self.elbows[k] = apply(chest, (SIDE[k] * 0.45, -0.8, 0.55))

    def _place_root(self, right: ArrayLike, up: ArrayLike, forward: ArrayLike) -> None:
        self.root[:] = self.floor + self._local(right, 0.0, forward) @ self.facing.T
        # Standing upright is the highest, even while both feet are lifted.
        height = np.full(self.frames, self.body.ankle_height + 1.02 * self.body.leg)
        for k in (0, 1):
            hip = apply(self.turns[SPINE_BASE], self.body.offsets[HIP[k]])
            flat = (self.root + hip - self.feet[k])[:, [0, 2]]
            room = (0.993 * self.body.leg) ** 2 - (flat * flat).sum(axis=-1)
            limit = self.feet[k][:, 1] + np.sqrt(np.maximum(room, 0.01)) - hip[:, 1]
            # A lifted foot does not hold the pelvis down.
            limit += 6.0 * np.maximum(self.feet[k][:, 1] - self.body.ankle_height, 0.0)
            height = np.minimum(height, limit)
        self.root[:, 1] = height + np.minimum(up, 0.0)

    def reach(self, side: int, out: ArrayLike, up: ArrayLike, forward: ArrayLike) -> Array:
        """Points ``(T, 3)`` given from the shoulder in arm lengths along the axes of the chest."""
        local = self._local(SIDE[side] * np.asarray(out), up, forward)
        along = apply(self.turns[SPINE_SHOULDER], local)
        return self.points[:, SHOULDER[side]] + self.body.arm * along

    def near(self, joint: int, right: ArrayLike, up: ArrayLike, forward: ArrayLike) -> Array:
        """Points ``(T, 3)`` given from a joint of the trunk in meters along its own axes."""
        local = self._local(right, up, forward)
        return self.points[:, joint] + apply(self.turns[joint], local)

    def move_hand(self, side: int, target: Array, weight: ArrayLike = 1.0) -> None:
        """Draw one wrist from where it is to a target, all the way where the weight is 1."""
        share = np.asarray(weight, dtype=np.float64)[..., None]
        self.hands[side] += share * (target - self.hands[side])

    def point_elbow(self, side: int, out: float, up: float, forward: float, weight: Array) -> None:
        """Draw the direction of one elbow towards one given along the axes of the chest."""
        target = apply(self.turns[SPINE_SHOULDER], (SIDE[side] * out, up, -forward))
        self.elbows[side] += weight[:, None] * (target - self.elbows[side])

    def positions(self) -> Array:
        """Solve the limbs and return all joints, ``(T, 25, 3)`` in meters."""
        ahead = self.facing @ np.array([0.0, 0.0, -1.0])
        for k in (0, 1):
            lengths = self.body.length(ELBOW[k]), self.body.length(WRIST[k])
            shoulder = self.points[:, SHOULDER[k]]
            upper, lower = two_bone_reach(shoulder, self.hands[k], *lengths, self.elbows[k])
            self.turns[ELBOW[k]] = frame_along(upper, -self.elbows[k])
            self.turns[[WRIST[k], HAND[k], TIP[k], THUMB[k]]] = frame_along(lower, -self.elbows[k])
            # Knees point forward and a little outwards, upwards when the leg is raised.
            lengths = self.body.length(KNEE[k]), self.body.length(ANKLE[k])
            hip = self.points[:, HIP[k]]
            pole = ahead + 0.12 * SIDE[k] * self.facing[:, 0] + np.array([0.0, 0.15, 0.0])
            upper, lower = two_bone_reach(hip, self.feet[k], *lengths, pole)
            self.turns[KNEE[k]] = frame_along(upper, pole)
            self.turns[ANKLE[k]] = frame_along(lower, pole)
            self.turns[FOOT[k]] = self.facing @ rotation(0, self.toes[k])
        return place_joints(self.body, self.root, self.turns)
