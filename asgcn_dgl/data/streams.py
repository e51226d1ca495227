"""Input streams that are trained one by one and fused: joints, bones, and their motions."""

from __future__ import annotations

import numpy as np

from asgcn_dgl.data.clip import Clip

#: Names of the streams: the usual four, in the order of their fusion weights 2 : 2 : 1 : 1, and two
#: more, with which the field counts six.
STREAMS = ("joint", "bone", "joint_motion", "bone_motion", "long_bone", "long_bone_motion")


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
        this one, 0 in the last frame. Where a clip carries
        scores, a bone's is the mean of its two ends', a motion's that of its two frames' (Duan et
        al., PYSKL, 2022).

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
    if stream not in STREAMS:
        raise ValueError(f"stream must be one of {', '.join(STREAMS)}, got {stream!r}")
    if "bone" in stream:
        clip = bones(clip, steps=2 if stream.startswith("long") else 1)
    if stream.endswith("motion"):
        clip = motion(clip)
    return clip


def bones(clip: Clip, steps: int = 1) -> Clip:
    """Each joint minus the one so many steps toward the center; 0 at the center joint."""
    up = np.array([joint if up < 0 else up for joint, up in enumerate(clip.layout.parents)])
    parent = np.arange(len(up))
    for _ in range(steps):
        parent = up[parent]
    pos = _difference(clip, clip.pos, clip.pos[:, :, parent])
    return clip.with_pos(pos, clip.mask & clip.mask[:, :, parent])


def motion(clip: Clip) -> Clip:
    """Next frame minus this one; 0 in the last frame."""
    following = np.append(np.arange(1, clip.num_frames), clip.num_frames - 1)
    pos = _difference(clip, clip.pos[:, following], clip.pos)
    return clip.with_pos(pos, clip.mask & clip.mask[:, following])


def _difference(clip: Clip, end: np.ndarray, begin: np.ndarray) -> np.ndarray:
    """End minus beginning; a score is no place, and becomes the mean of the two."""
    pos = end - begin
    if clip.scored:
        pos[..., -1] = (end[..., -1] + begin[..., -1]) / 2
    return pos
