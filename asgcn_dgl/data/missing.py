"""What becomes of joints that were not seen: left out, filled in, dropped by frames, or zero."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from asgcn_dgl.data.clip import Clip

#: Names of the policies, see :class:`HandleMissing`.
MISSING = ("mask", "interpolate", "drop", "zero")


@dataclass(frozen=True)
class HandleMissing:
    """Treat missing joints by a policy; what stays missing stays masked.

    A dataset applies it to what is observed, never across the line to the future: to fill a gap
    from frames that are to be predicted would give them away.

    Parameters
    ----------
    policy
        ``"mask"``: nothing is done; networks leave missing joints out. ``"interpolate"``: a joint
        that is missing for a while moves evenly from where it was last seen to where it is seen
        next, and does not move before the first and after the last time; one that is never seen
        stays missing. ``"drop"``: frames that miss too many joints are left out. ``"zero"``:
        missing joints of a body that is seen at all count as seen at the origin, as in published
        implementations.
    max_gap
        Longest gap, in frames, that ``"interpolate"`` fills; None for any.
    max_missing
        Share of the joints of all bodies above which ``"drop"`` leaves a frame out; joints that are
        never seen do not count. The fullest frames stay, if all would go.

    Examples
    --------
    >>> import numpy as np
    >>> from asgcn_dgl.skeleton import SkeletonLayout
    >>> layout = SkeletonLayout.from_bones("pair", [(0, 1)], center=0)
    >>> pos = np.array([[[[2.0], [1.0]], [[0.0], [1.0]], [[6.0], [1.0]]]])  # M = 1, T = 3, d = 1
    >>> clip = Clip.from_positions("demo", layout, pos)
    >>> HandleMissing("interpolate")(clip).pos[0, :, 0, 0].tolist()
    [2.0, 4.0, 6.0]
    >>> HandleMissing("drop", max_missing=0.4)(clip).num_frames
    2
    """

    policy: str = "mask"
    max_gap: int | None = None
    max_missing: float = 0.5

    def __post_init__(self) -> None:
        if self.policy not in MISSING:
            raise ValueError(f"missing must be one of {', '.join(MISSING)}, got {self.policy!r}")
        if self.max_gap is not None and self.max_gap < 1:
            raise ValueError(f"max_gap must be at least 1 or None, got {self.max_gap}")
        if not 0 <= self.max_missing <= 1:
            raise ValueError(f"max_missing must be within 0..1, got {self.max_missing}")

    def __call__(self, clip: Clip, rng: np.random.Generator | None = None) -> Clip:
        """Apply."""
        if self.policy == "mask" or clip.mask.all():
            return clip
        if self.policy == "interpolate":
            return _interpolated(clip, self.max_gap)
        if self.policy == "drop":
            return self._dropped(clip)
        bodies = clip.mask.any(axis=(1, 2), keepdims=True)
        return clip.with_pos(clip.pos, np.broadcast_to(bodies, clip.mask.shape).copy())

    def _dropped(self, clip: Clip) -> Clip:
        ever = clip.mask.any(axis=1, keepdims=True)  # (M, 1, V)
        missing = (ever & ~clip.mask).sum(axis=(0, 2))
        limit = max(self.max_missing * ever.sum(), missing.min())
        keep = missing <= limit
        return clip if keep.all() else clip.frames(np.flatnonzero(keep))


def _interpolated(clip: Clip, max_gap: int | None) -> Clip:
    """Fill each joint's gaps between the frames around them that saw it."""
    frames = clip.num_frames
    time = np.arange(frames)[:, None]  # (T, 1), against (M, T, V)
    before = np.maximum.accumulate(np.where(clip.mask, time, -1), axis=1)
    after = np.where(clip.mask, time, frames)[:, ::-1]
    after = np.minimum.accumulate(after, axis=1)[:, ::-1]
    fill = ~clip.mask & clip.mask.any(axis=1, keepdims=True)
    if max_gap is not None:
        fill &= after - before - 1 <= max_gap
    first = np.where(before < 0, after, before).clip(0, frames - 1)
    second = np.where(after == frames, before, after).clip(0, frames - 1)
    share = (time - first) / np.maximum(second - first, 1)
    ends = [np.take_along_axis(clip.pos, place[..., None], axis=1) for place in (first, second)]
    share = share.astype(np.float32)[..., None]
    pos = np.where(fill[..., None], ends[0] + share * (ends[1] - ends[0]), clip.pos)
    return clip.with_pos(pos, clip.mask | fill)
