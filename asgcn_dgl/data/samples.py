"""From an aligned clip to what a model sees of it; numpy alone."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from asgcn_dgl.data.clip import Clip
from asgcn_dgl.data.streams import to_stream
from asgcn_dgl.data.transforms import Transform, frame_sampler


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
    last, _ = last_pose(clip)
    seen = choose(to_stream(missing(clip, rng), stream), rng)
    return Seen(seen.pos, seen.mask, last, recent_poses(clip, past_frames))


def last_pose(clip: Clip) -> tuple[np.ndarray, np.ndarray]:
    """Return the last seen position of each joint (M, V, d), else 0, and where there is one."""
    known: np.ndarray = np.asarray(clip.mask.any(axis=1))
    frame = clip.num_frames - 1 - np.argmax(clip.mask[:, ::-1], axis=1)  # (M, V)
    last = np.take_along_axis(clip.pos, frame[:, None, :, None], axis=1)[:, 0]
    return np.where(known[..., None], last, np.float32(0)), known


def recent_poses(clip: Clip, frames: int) -> np.ndarray:
    """Return the last positions of each joint without gaps, (M, P, V, d).

    A joint that is missing is where it was last, or where it appears first; a clip of fewer frames
    begins with its first repeated. A joint that was never seen is 0.
    """
    seen = np.asarray(clip.mask.any(axis=1, keepdims=True))
    time = np.where(clip.mask, np.arange(clip.num_frames)[:, None], -1)
    place = np.maximum.accumulate(time, axis=1)  # (M, T, V)
    place = np.where(place < 0, np.argmax(clip.mask, axis=1)[:, None], place)
    held = np.take_along_axis(clip.pos, place[..., None], axis=1)
    held = np.where(seen[..., None], held, np.float32(0))
    if frames == 0:
        return held[:, :0]
    short = max(0, frames - clip.num_frames)
    return np.concatenate([np.repeat(held[:, :1], short, axis=1), held[:, -frames:]], axis=1)


def make_sampler(
    sampling: str | Transform,
    num_frames: int | None,
    training: bool,
    keep_end: bool = False,
    place: float = 0.5,
) -> Transform:
    """Make the choice of frames; None keeps a clip's own. See ``frame_sampler``."""
    if not isinstance(sampling, str):
        return sampling
    # Made in any case, so that bad names are refused.
    sampler = frame_sampler(sampling, num_frames or 1, training, keep_end, place)
    return sampler if num_frames is not None else _unchanged


def _unchanged(clip: Clip, rng: np.random.Generator) -> Clip:
    return clip
