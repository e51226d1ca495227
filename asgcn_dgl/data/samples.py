"""From an aligned clip to what a model sees of it; numpy alone."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from asgcn_dgl.data.clip import Clip
from asgcn_dgl.data.streams import to_stream
from asgcn_dgl.data.transforms import Transform, frame_sampler

__all__ = ["Seen", "last_pose", "make_sampler", "observe"]


class Seen(NamedTuple):
    """What a model sees of a clip.

    Attributes
    ----------
    feat
        (M, T, V, D) features of the stream, 0 where missing.
    mask
        (M, T, V) True where a feature exists.
    last
        (M, V, D) last observed position of each joint, whatever the stream.
    """

    feat: np.ndarray
    mask: np.ndarray
    last: np.ndarray


def observe(
    clip: Clip, missing: Transform, stream: str, choose: Transform, rng: np.random.Generator
) -> Seen:
    """Fill in what is missing, turn positions into a stream and choose frames."""
    last, _ = last_pose(clip)
    seen = choose(to_stream(missing(clip, rng), stream), rng)
    return Seen(seen.pos, seen.mask, last)


def last_pose(clip: Clip) -> tuple[np.ndarray, np.ndarray]:
    """Last seen position of each joint.

    Returns
    -------
    last
        (M, V, d) positions, 0 for a joint that was never seen.
    known
        (M, V) bool, True for a joint that was.
    """
    known: np.ndarray = np.asarray(clip.mask.any(axis=1))
    frame = clip.num_frames - 1 - np.argmax(clip.mask[:, ::-1], axis=1)  # (M, V)
    last = np.take_along_axis(clip.pos, frame[:, None, :, None], axis=1)[:, 0]
    return np.where(known[..., None], last, np.float32(0)), known


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
