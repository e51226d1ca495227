"""What a Kinect sees of a performance: one viewpoint, noise, guessed joints, lost persons."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from asgcn_dgl.data.synthetic.body import NUM_JOINTS, Array, apply, rotation

LOST, INFERRED, TRACKED = 0, 1, 2  # Kinect's tracking states

# Degrees by which the cameras stand to the side: one oblique on each hand, one in front.
CAMERA_ANGLES = {1: -45.0, 2: 0.0, 3: 45.0}

# (distance, height, downward tilt) of the cameras: meters, meters, degrees. The set-up changes
# from subject to subject, as in NTU RGB+D.
SETUPS = ((3.0, 1.2, 3.0), (3.4, 0.9, 0.0), (2.8, 1.5, 8.0), (3.2, 0.7, -4.0))

# Joints that the sensor loses together: hands, arms, feet, legs, the head.
_GROUPS = (
    *((6, 7, 21, 22), (10, 11, 23, 24), (5, 6, 7, 21, 22), (9, 10, 11, 23, 24)),
    *((14, 15), (18, 19), (13, 14, 15), (17, 18, 19), (2, 3)),
)

# Extremities are seen less well than the trunk.
_NOISE = np.ones(NUM_JOINTS)
_NOISE[[6, 10, 14, 18]] = 1.4
_NOISE[[7, 11, 15, 19, 21, 22, 23, 24]] = 2.0


@dataclass(frozen=True)
class Recording:
    """What the sensor reports: ``joints`` ``(M, T, 25, 3)`` in camera coordinates, meters.

    They are zero where a joint is lost. ``state`` ``(M, T, 25)`` are tracking states, ``body_id``
    ``(M, T)`` identifies each body, 0 in frames where it is not seen.
    """

    joints: Array
    state: NDArray[np.int64]
    body_id: NDArray[np.int64]


def to_camera(world: Array, camera: int, setup: int, rng: np.random.Generator) -> Array:
    """Turn world coordinates ``(..., 3)`` (floor at y = 0) into those of a camera, in meters."""
    distance, height, tilt = SETUPS[setup % len(SETUPS)]
    angle = np.deg2rad(CAMERA_ANGLES[camera] + rng.normal(0.0, 4.0))
    place = np.array([0.0, -height, distance]) + rng.normal(0.0, (0.1, 0.03, 0.1))
    # The camera turns about itself: its tilt comes after the move to its place.
    seen = apply(rotation(1, angle), world) + place
    return apply(rotation(0, np.deg2rad(-tilt)), seen)


def _add_noise(joints: Array, noise: float, rng: np.random.Generator) -> Array:
    """Noise that grows with the square of depth, half of it lingering over a few frames."""
    white = rng.standard_normal((2, *joints.shape))
    slow = (white[0] + np.roll(white[0], 1, 1) + np.roll(white[0], 2, 1)) / np.sqrt(3.0)
    depth = joints[..., 2:] / 3.0
    return joints + noise * np.sqrt(0.5) * (slow + white[1]) * _NOISE[:, None] * depth**2


def _span(frames: int, longest: int, rng: np.random.Generator) -> slice:
    length = int(rng.integers(3, longest + 1))
    start = int(rng.integers(0, frames - length + 1))
    return slice(start, start + length)


def _lose_joints(
    joints: Array, state: NDArray[np.int64], losses: float, rng: np.random.Generator
) -> None:
    """Guess groups of joints (state 1, shifted and jittery) or lose them (state 0) for a while."""
    bodies, frames = state.shape[:2]
    for body in range(bodies):
        for _ in range(int(rng.poisson(1.6 * losses))):
            group = list(_GROUPS[int(rng.integers(len(_GROUPS)))])
            when = _span(frames, 24, rng)
            some, level = joints[body, when], state[body, when]  # views
            if rng.random() < 0.3:
                some[:, group], level[:, group] = 0.0, LOST
                continue
            shift = rng.normal(0.0, 0.04, (1, len(group), 3))
            jitter = rng.normal(0.0, 0.025, (len(some), len(group), 3))
            known = level[:, group] != LOST
            some[:, group] += (shift + jitter) * known[..., None]
            level[:, group] = np.where(known, INFERRED, LOST)


def _lose_bodies(
    bodies: int, frames: int, losses: float, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Identifiers over time, 0 in gaps; after some gaps a person gets a new identifier."""
    first = 72057594037927936 + int(rng.integers(1000, 30000))  # Kinect counts on from 2**56
    ids = np.empty((bodies, frames), dtype=np.int64)
    for body in range(bodies):
        ids[body] = first + body
        if rng.random() < 0.2 * losses:
            when = _span(frames, 10, rng)
            if rng.random() < 0.25:
                ids[body, when.stop :] = first + bodies + body
            ids[body, when] = 0
    return ids


def record(
    world: Array,
    camera: int,
    setup: int,
    rng: np.random.Generator,
    *,
    noise: float = 0.01,
    losses: float = 1.0,
) -> Recording:
    """Record a performance of joints ``(M, T, 25, 3)`` in meters, the floor at y = 0.

    ``camera`` is 1, 2 or 3, see `CAMERA_ANGLES`, ``setup`` an index into `SETUPS` (it wraps round).
    ``noise`` is the standard deviation in meters of a trunk joint three meters away; ``losses`` how
    often joints and bodies are lost, relative to the usual, 0 for never.
    """
    joints = to_camera(world, camera, setup, rng)
    joints = joints[rng.permutation(len(joints))]  # the sensor does not know who acts
    joints = _add_noise(joints, noise, rng)
    state = np.full(joints.shape[:3], TRACKED, dtype=np.int64)
    _lose_joints(joints, state, losses, rng)
    ids = _lose_bodies(joints.shape[0], joints.shape[1], losses, rng)
    return Recording(joints, state, ids)
