"""How the field measures pose prediction: joints, windows, and published figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

#: Milliseconds after the last observed frame.
HORIZONS = (80, 160, 320, 400, 560, 1000)

SEED = 1234567890  # of the published choice of eight windows
SOURCE = 50  # frames before the first that is forecast, of any model, in that choice


@dataclass(frozen=True)
class Protocol:
    """What a set's published figures are measured on.

    ``joints`` is the number of joints of the set, ``modeled`` the layout of those that are
    forecast, ``copies`` how many joints lie on a modeled one, itself included, where that is not 1:
    published code gives them its forecast, and joints that are fixed to the root have no error.
    ``reading`` and ``test_reading`` are options of the reader for recordings to learn from and to
    test on. The choice of eight windows begins at frame ``first`` and leaves ``span`` frames free
    at the end. ``published`` has MPJPE in mm by model and action at ``published_at`` milliseconds,
    from ``source``.
    """

    joints: int
    modeled: str
    copies: Mapping[str, int] = field(default_factory=dict)
    reading: Mapping[str, Any] = field(default_factory=dict)
    test_reading: Mapping[str, Any] = field(default_factory=dict)
    span: int = 75
    first: int = 0
    published: Mapping[str, Mapping[str, Sequence[float]]] = field(default_factory=dict)
    published_at: tuple[int, ...] = ()
    source: str = ""

    def weights(self, joints: Sequence[str]) -> np.ndarray:
        """Return the weight of each joint in two means over all joints of the set, (2, V).

        The first takes all joints that are not modeled from the recording, without error. The
        second is that of published code, see ``copies``.
        """
        copies = [self.copies.get(joint, 1) for joint in joints]
        return np.array([np.ones(len(joints)), copies]) / self.joints

    def eight(self, lengths: Sequence[int], past: int) -> list[list[int]] | None:
        """Return the first frames of the eight windows of an action that published code draws.

        ``lengths`` are the frames of its recordings at the rate of the protocol; as many windows
        are drawn of each. None where one is too short, or a model observes more than 50 frames
        (``past``).
        """
        if past > SOURCE or any(length - self.span <= self.first for length in lengths):
            return None
        random = np.random.RandomState(SEED)
        chosen: list[list[int]] = [[] for _ in lengths]
        for _ in range(8 // len(lengths)):
            for number, length in enumerate(lengths):
                at = int(random.randint(self.first, length - self.span))
                chosen[number].append(at + SOURCE - past)
        return chosen


def horizon_frames(frames: int, rate: float) -> dict[int, int]:
    """Return the frame that lies at each of :data:`HORIZONS`, counted from 1.

    Examples
    --------
    >>> horizon_frames(25, 25.0)
    {80: 2, 160: 4, 320: 8, 400: 10, 560: 14, 1000: 25}
    >>> horizon_frames(10, 30.0)
    {80: 2, 160: 5, 320: 10}
    """
    at = {time: round(time * rate / 1000) for time in HORIZONS}
    return {time: frame for time, frame in at.items() if 1 <= frame <= frames}


def _by_action(text: str) -> dict[str, dict[str, list[float]]]:
    """Read a table: an action, then the figures of each model."""
    models = ("DMGNN", "LTD", "MSR-GCN")
    found: dict[str, dict[str, list[float]]] = {name: {} for name in models}
    for line in text.strip().splitlines():
        action, *values = line.split()
        numbers = [float(value) for value in values]
        size = len(numbers) // len(models)
        for place, name in enumerate(models):
            found[name][action] = numbers[place * size : (place + 1) * size]
    return found


_CMU = _by_action(
    """
    basketball 15.6 28.7 59.0 73.1 138.6  11.7 21.3 41.0 50.8 98.0  10.3 18.9 37.7 47.0 87.0
    jumping 32.0 54.3 96.7 119.9 224.6  17.2 32.4 60.1 72.6 127.4  15.0 28.7 55.9 69.1 124.8
    running 17.4 26.8 38.3 40.1 46.4  14.5 24.2 37.4 41.1 51.7  12.8 20.4 30.6 34.4 48.0
    soccer 14.9 25.3 52.2 65.4 111.9  13.3 24.0 43.8 53.2 108.3  10.9 19.5 37.1 46.4 99.3
    walking 9.6 15.5 26.0 30.4 67.0  6.6 10.7 17.4 20.4 34.4  6.3 10.3 17.6 21.1 39.7
    """
)

#: Sets that pose prediction is measured on, by the name of their format.
PROTOCOLS: dict[str, Protocol] = {
    "cmu": Protocol(
        38,
        "cmu25",
        copies={"spine1": 4, "left_hand": 3, "right_hand": 3},
        reading={"root_motion": "none"},
        test_reading={"root_motion": "none", "rest_pose": "keep"},
        published=_CMU,
        published_at=(80, 160, 320, 400, 1000),
        source="Dang et al., MSR-GCN, ICCV 2021: all windows, all 106 files of the set",
    ),
    "h36m": Protocol(
        32,
        "h36m22",
        copies={
            "neck": 3,
            **{f"{side}_{name}": 2 for side in ("left", "right") for name in ("hand", "wrist_end")},
        },
        reading={"root_motion": "none"},
        test_reading={"root_motion": "none"},
        span=150,
        first=16,
    ),
}
