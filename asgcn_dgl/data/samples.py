"""From an aligned clip to what a model sees of it: missing joints, streams, frames; numpy alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from asgcn_dgl.data.clip import Clip
from asgcn_dgl.data.files import check_choice, need
from asgcn_dgl.data.transforms import Transform

#: Names of the policies, see :class:`HandleMissing`.
MISSING = ("mask", "interpolate", "drop", "zero")

#: Names of the streams: the usual four, in the order of their fusion weights 2 : 2 : 1 : 1, and two
#: more, with which the field counts six.
STREAMS = ("joint", "bone", "joint_motion", "bone_motion", "long_bone", "long_bone_motion")


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
        check_choice("missing", self.policy, MISSING)
        good = self.max_gap is None or self.max_gap >= 1
        need(good, f"max_gap must be at least 1 or None, got {self.max_gap}")
        good = 0 <= self.max_missing <= 1
        need(good, f"max_missing must be within 0..1, got {self.max_missing}")

    def __call__(self, clip: Clip, rng: np.random.Generator | None = None) -> Clip:
        if self.policy == "mask" or clip.mask.all():
            return clip
        if self.policy == "interpolate":
            return _interpolated(clip, self.max_gap)
        if self.policy == "zero":
            bodies = clip.mask.any(axis=(1, 2), keepdims=True)
            return clip.with_pos(clip.pos, np.broadcast_to(bodies, clip.mask.shape).copy())
        ever = clip.mask.any(axis=1, keepdims=True)  # (M, 1, V)
        missing = (ever & ~clip.mask).sum(axis=(0, 2))
        keep = missing <= max(self.max_missing * ever.sum(), missing.min())
        return clip if keep.all() else clip.frames(np.flatnonzero(keep))


def _last_seen(mask: np.ndarray) -> np.ndarray:
    """Return for (M, T, V) the frame up to then in which the joint was seen last, -1 if never."""
    frames = np.where(mask, np.arange(mask.shape[1])[:, None], -1)
    return np.maximum.accumulate(frames, axis=1)


def _interpolated(clip: Clip, max_gap: int | None) -> Clip:
    """Fill each joint's gaps between the frames around them that saw it."""
    frames = clip.num_frames
    time = np.arange(frames)[:, None]  # (T, 1), against (M, T, V)
    before = _last_seen(clip.mask)
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


# Streams ------------------------------------------------------------------------------------------


def to_stream(clip: Clip, stream: str) -> Clip:
    """Turn positions into the features of a stream (spec of the streams: Shi et al., CVPR 2019).

    Parameters
    ----------
    clip
        (M, T, V, d) positions.
    stream
        ``"joint"``: the positions as they are. ``"bone"``: each joint minus its parent, the
        neighbor toward the layout's center; 0 at the center. ``"long_bone"``: each joint minus its
        parent's parent, the center being its own parent (Chi et al., InfoGCN, CVPR 2022, with
        k = 2). ``"joint_motion"``, ``"bone_motion"``, ``"long_bone_motion"``: the next frame minus
        this one, 0 in the last frame. Where a clip carries scores, a bone's is the mean of its two
        ends', a motion's that of its two frames' (Duan et al., PYSKL, 2022).

    Returns
    -------
    Clip
        Same shapes. A bone is missing where one of its ends is; a motion is missing where one of
        its two frames is (the last frame counts with its own).

    Raises
    ------
    ValueError
        For a stream of another name.

    Examples
    --------
    >>> import numpy as np
    >>> from asgcn_dgl.skeleton import SkeletonLayout
    >>> layout = SkeletonLayout.from_bones("pair", [(0, 1)], center=0)
    >>> pos = np.array([[[[1.0], [3.0]], [[1.0], [4.0]]]])  # one body, two frames, d = 1
    >>> clip = Clip.from_positions("demo", layout, pos)
    >>> to_stream(clip, "bone").pos[0, :, :, 0].tolist()
    [[0.0, 2.0], [0.0, 3.0]]
    >>> to_stream(clip, "bone_motion").pos[0, :, :, 0].tolist()
    [[0.0, 1.0], [0.0, 0.0]]
    """
    check_choice("stream", stream, STREAMS)
    if "bone" in stream:
        up = np.array([joint if up < 0 else up for joint, up in enumerate(clip.layout.parents)])
        parent = up[up] if stream.startswith("long") else up
        ends = replace(clip, pos=clip.pos[:, :, parent], mask=clip.mask[:, :, parent])
        clip = _difference(clip, ends)
    if stream.endswith("motion"):
        following = np.append(np.arange(1, clip.num_frames), clip.num_frames - 1)
        clip = _difference(clip.frames(following), clip)
    return clip


def _difference(end: Clip, begin: Clip) -> Clip:
    """End minus beginning; a score is no place, and becomes the mean of the two."""
    pos = end.pos - begin.pos
    if end.scored:
        pos[..., -1] = (end.pos[..., -1] + begin.pos[..., -1]) / 2
    return end.with_pos(pos, end.mask & begin.mask)


# Samples ------------------------------------------------------------------------------------------


class Seen(NamedTuple):
    """What a model sees of a clip: features and mask (M, T, V), 0 where missing, and the last pose.

    ``last`` (M, V, D) is the last observed position of each joint, whatever the stream, and
    ``recent`` (M, P, V, D) the last P ones, see :func:`recent_poses`.
    """

    feat: np.ndarray
    mask: np.ndarray
    last: np.ndarray
    recent: np.ndarray


def observe(
    clip: Clip,
    missing: Transform,
    stream: str,
    choose: Transform,
    rng: np.random.Generator,
    past_frames: int = 0,
) -> Seen:
    """Fill in what is missing, turn positions into a stream and choose frames."""
    recent = recent_poses(clip, max(past_frames, 1))
    seen = choose(to_stream(missing(clip, rng), stream), rng)
    return Seen(seen.pos, seen.mask, recent[:, -1], recent[:, recent.shape[1] - past_frames :])


def recent_poses(clip: Clip, frames: int) -> np.ndarray:
    """Return the last P >= 1 positions of each joint without gaps, (M, P, V, d).

    A joint that is missing is where it was last, or where it appears first; a clip of fewer frames
    begins with its first repeated. A joint that was never seen is 0.
    """
    place = _last_seen(clip.mask)[:, -frames:]
    place = np.where(place < 0, np.argmax(clip.mask, axis=1)[:, None], place)
    held = np.take_along_axis(clip.pos, place[..., None], axis=1)
    seen = np.asarray(clip.mask.any(axis=1, keepdims=True))
    held = np.where(seen[..., None], held, np.float32(0))
    short = max(0, frames - clip.num_frames)
    return np.concatenate([np.repeat(held[:, :1], short, axis=1), held], axis=1)
