"""The reader of NTU's text that this field's projects share: a line, a field, a float at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TextIO

import numpy as np
import numpy.typing as npt

BODY_KEYS = [
    *("bodyID", "clipedEdges", "handLeftConfidence", "handLeftState", "handRightConfidence"),
    *("handRightState", "isRestricted", "leanX", "leanY", "trackingState"),
]
JOINT_KEYS = [
    *("x", "y", "z", "depthX", "depthY", "colorX", "colorY"),
    *("orientationW", "orientationX", "orientationY", "orientationZ", "trackingState"),
]
NUM_JOINTS, TRACKED = 25, 4


def _numbers(file: TextIO, keys: list[str]) -> dict[str, float]:
    return {key: float(field) for key, field in zip(keys, file.readline().split(), strict=False)}


def read_frames(path: Path) -> list[list[dict[str, Any]]]:
    """Bodies of each frame, as records of fields."""
    frames = []
    with path.open(encoding="ascii") as file:
        for _ in range(int(file.readline())):
            bodies = []
            for _ in range(int(file.readline())):
                body: dict[str, Any] = _numbers(file, BODY_KEYS)
                body["joints"] = [_numbers(file, JOINT_KEYS) for _ in range(int(file.readline()))]
                bodies.append(body)
            frames.append(bodies)
    return frames


def read_fields(path: Path, max_bodies: int = 2) -> npt.NDArray[np.float64]:
    """(M, T, V, 3) positions of the bodies that move most; bodies by their place in the frame."""
    frames = read_frames(path)
    pos = np.zeros((TRACKED, len(frames), NUM_JOINTS, 3))
    for time, bodies in enumerate(frames):
        for number, body in enumerate(bodies[:TRACKED]):
            for place, joint in enumerate(body["joints"]):
                pos[number, time, place] = [joint["x"], joint["y"], joint["z"]]
    spread = [_spread(body) for body in pos]
    return pos[np.argsort(spread)[::-1][:max_bodies]]


def _spread(body: npt.NDArray[np.float64]) -> float:
    there = body[body.sum(axis=(1, 2)) != 0]
    return sum(float(there[..., axis].std()) for axis in range(3)) if len(there) else 0.0
