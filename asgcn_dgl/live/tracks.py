"""Who is who from one frame to the next, where the pose estimator does not say."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass
class _Track:
    """A person: where their joints were last seen, when, and how fast they moved."""

    pos: np.ndarray  # (V, d), 0 where never seen
    seen: np.ndarray  # (V,) bool
    time: float
    speed: np.ndarray  # (d,) of the body's middle


class Tracker:
    """Give bodies the identities of those that they overlap with.

    A body goes to the track whose joints, moved on at the speed that they had, lie nearest to its
    own; nearest pairs are joined first. A body farther than ``reach`` from all tracks is a new one.

    Parameters
    ----------
    reach
        Largest mean distance of joints from where they were expected, in sizes of the body (the
        diagonal of the box about its joints).
    max_lost
        How long a track waits for its person, in the unit of the times.

    Examples
    --------
    >>> import numpy as np
    >>> tracker = Tracker()
    >>> left, right = np.random.default_rng(0).normal(size=(2, 5, 2)) + [[[0, 0]], [[9, 0]]]
    >>> seen = np.ones((2, 5), dtype=bool)
    >>> tracker.update(np.stack([left, right]), seen, 0)
    [0, 1]
    >>> tracker.update(np.stack([right + 0.1, left + 0.1]), seen, 1)
    [1, 0]
    """

    def __init__(self, reach: float = 0.5, max_lost: float = 30.0) -> None:
        if not reach > 0 or not max_lost >= 0:
            raise ValueError(
                f"reach must be positive and max_lost at least 0, got {reach} and {max_lost}"
            )
        self.reach, self.max_lost = reach, max_lost
        self._tracks: dict[int, _Track] = {}
        self._next = 0

    def update(self, pos: np.ndarray, seen: np.ndarray, time: float) -> list[int]:
        """Return the identity of each body of a frame.

        Parameters
        ----------
        pos
            (M, V, d) positions.
        seen
            (M, V) True where a joint was seen; a body of which none was is a new one.
        time
            Of the frame, not before that of the last one.
        """
        self._tracks = {
            key: each for key, each in self._tracks.items() if time - each.time <= self.max_lost
        }
        keys = list(self._tracks)
        costs = np.full((len(pos), len(keys)), np.inf)
        for column, key in enumerate(keys):
            for body in range(len(pos)):
                costs[body, column] = self._cost(self._tracks[key], pos[body], seen[body], time)
        found: dict[int, int] = {}
        while costs.size and costs.min() <= self.reach:
            body, column = (int(each) for each in np.unravel_index(costs.argmin(), costs.shape))
            found[body] = keys[column]
            costs[body], costs[:, column] = np.inf, np.inf
        for body in range(len(pos)):
            if body not in found:
                found[body] = self._next
                self._next += 1
            self._move(found[body], pos[body], seen[body], time)
        return [found[body] for body in range(len(pos))]

    def _cost(self, track: _Track, pos: np.ndarray, seen: np.ndarray, time: float) -> float:
        both = track.seen & seen
        if not both.any():
            return np.inf
        # A speed says little about the far future.
        ahead = track.speed * min(time - track.time, self.max_lost / 4)
        size = float(np.linalg.norm(np.ptp(pos[both], axis=0)))
        size = max(size, float(np.linalg.norm(np.ptp(track.pos[both], axis=0))))
        move = np.linalg.norm(pos[both] - track.pos[both] - ahead, axis=1).mean()
        return float(move / size) if size > 0 else np.inf

    def _move(self, key: int, pos: np.ndarray, seen: np.ndarray, time: float) -> None:
        before = self._tracks.get(key)
        speed = np.zeros(pos.shape[1])
        if before is not None and time > before.time:
            both = before.seen & seen
            if both.any():
                step = (pos[both] - before.pos[both]).mean(axis=0) / (time - before.time)
                speed = (before.speed + step) / 2
            pos = np.where(seen[:, None], pos, before.pos)
            seen = seen | before.seen
        if seen.any():
            self._tracks[key] = _Track(pos, seen, time, speed)
