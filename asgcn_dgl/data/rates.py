"""Recordings of several frame rates, brought to one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from asgcn_dgl.data.clip import Clip
from asgcn_dgl.data.reader import Derived, Reader
from asgcn_dgl.data.transforms import resampled


def rate_of(clip: Clip) -> float:
    """Return the frames a second of a clip; 0 where they are not known."""
    return round(float(clip.meta.get("fps", 0)), 3)


@dataclass(frozen=True)
class AtRate:
    """Bring a clip to ``rate`` frames a second, by linear interpolation over time.

    A clip whose own rate (``fps`` of its ``meta``) is not known is unchanged. Missing joints are
    treated as by :class:`~asgcn_dgl.data.Resample`.
    """

    rate: float

    def __call__(self, clip: Clip, rng: np.random.Generator | None = None) -> Clip:
        own = rate_of(clip)
        if not own or abs(own - self.rate) < 1e-3:
            return clip
        step = own / self.rate
        place = np.arange(int((clip.num_frames - 1) / step + 1e-6) + 1) * step
        found = resampled(clip, place.clip(0, clip.num_frames - 1))
        return replace(found, meta={**clip.meta, "fps": self.rate})


@dataclass(frozen=True)
class Resampled(Derived):
    """The recordings of another reader at one frame rate; see :meth:`of`."""

    rate: float = 0.0

    @classmethod
    def of(cls, whole: Reader, rate: float) -> Resampled:
        """Bring the recordings of a reader to a rate, see :class:`AtRate`."""
        return cls._of(whole, range(len(whole)), rate=rate)

    def read(self, index: int) -> Clip:
        """Read one recording."""
        return AtRate(self.rate)(super().read(index))

    def stamp(self) -> object:
        """Return what changes when the recordings do."""
        return [self.rate, self.whole.stamp()]


def doubt_rates(rates: Iterable[float]) -> str:
    """Return a warning where recordings have several frame rates (0: not known), else ''."""
    found = Counter(rates)
    known = sorted(rate for rate in found if rate)
    if len(known) < 2 and not (known and found[0]):
        return ""
    counts = ", ".join(f"{rate:g}: {found[rate]}" for rate in known)
    if found[0]:
        counts += f", unknown: {found[0]}"
    return (
        f"frames a second differ ({counts} recordings), so that steps from frame to frame mean "
        f"different times; train with --clips.rate {known[0]:g}"
        + (", and give the rates (fps)" if found[0] else "")
    )
