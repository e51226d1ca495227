"""Poses in separate files, as PYSKL keeps those of Kinetics-400.

The annotations name for each video a file (``raw_file``) and the frame of each of N bodies
(``frame_inds``, from 0). That file is a pickle of many videos::

    {frame_dir: {"keypoint": (N, V, 3) of x, y and score}}

Bodies have no identity over time: those of a frame are in no order.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np

from asgcn_dgl.data.files import check_memory, plain_file, shown
from asgcn_dgl.data.formats.unpickle import PickledArray, read_pickle
from asgcn_dgl.errors import InputError

#: Bodies of a frame that are kept unless an option says otherwise, as ST-GCN keeps them.
BODIES = 2

#: Files whose contents are kept in memory.
AT_HAND = 4

#: Names of folders, and of the file, that are looked at.
MAX_PARTS = 8


class PoseFile(NamedTuple):
    """Where the poses of a video are: the file, or None, and the annotation's name for it.

    ``frame_of`` (N,) is the frame of each body, of ``frames`` T from 0.
    """

    path: Path | None
    raw_file: str
    frames: int
    frame_of: PickledArray

    def load(self, place: str, name: str, bodies: int | None) -> tuple[np.ndarray, np.ndarray]:
        """Read (M, T, V, 2) pixels and (M, T, V) scores, 0 where a frame has fewer bodies.

        ``bodies`` of each frame are kept, those of the highest summed scores first; None: all.
        ``place`` names file and recording in messages, ``name`` is the recording's.
        """
        if self.path is None:
            raise InputError(
                f"{place}: its poses are in {self.raw_file!r}, which is not in the annotations' "
                "folder; unpack PYSKL's kpfiles there"
            )
        found = pose_of(self.path, name)
        frame_of = self.frame_of.array
        wrong = (frame_of < 0) | (frame_of >= self.frames)
        if wrong.any():
            raise InputError(
                f"{place}: frame {frame_of[wrong][0]} of 'frame_inds' is not one of its "
                f"{self.frames} frames (from 0); correct it"
            )
        if len(frame_of) != found.shape[0]:
            raise InputError(
                f"{place}: 'frame_inds' names frames of {len(frame_of)} bodies, but {self.path} "
                f"has {found.shape[0]}; get both from the same source"
            )
        frame_of = frame_of.astype(np.int64)
        poses = found.array.astype(np.float64)
        order = np.lexsort((-poses[..., 2].sum(axis=1), frame_of))
        poses, frame_of = poses[order], frame_of[order]
        rank = np.arange(len(frame_of)) - np.searchsorted(frame_of, frame_of)
        kept = slice(None) if bodies is None else rank < bodies
        poses, frame_of, rank = poses[kept], frame_of[kept], rank[kept]
        shape = (int(rank.max(initial=0)) + 1, self.frames, found.shape[1])
        check_memory(place, 24 * int(np.prod(shape)), f"{shape[0]} bodies over {shape[1]} frames")
        pos, score = np.zeros((*shape, 2)), np.zeros(shape)
        pos[rank, frame_of], score[rank, frame_of] = poses[..., :2], poses[..., 2]
        return pos, score


def pose_file(
    place: str, folder: Path, entry: dict[Any, Any], known: dict[str, Path | None]
) -> PoseFile:
    """Check what an annotation says of its poses.

    ``folder`` is that of the annotations; ``known`` caches the files by their names in annotations.
    """
    raw_file, frames = entry.get("raw_file"), entry.get("total_frames")
    if not isinstance(raw_file, str) or not raw_file:
        raise InputError(
            f"{place}: 'raw_file' is {shown(raw_file)!r}, where the name of a file should be; "
            "correct it"
        )
    if isinstance(frames, bool) or not isinstance(frames, int) or frames < 1:
        raise InputError(
            f"{place}: 'total_frames' is {shown(frames)}, no number from 1; correct it"
        )
    check_memory(place, 24 * frames, "a clip")
    frame_of = entry.get("frame_inds")
    if isinstance(frame_of, list | tuple) and all(
        type(each) is int and abs(each) < 2**31 for each in frame_of
    ):
        frame_of = PickledArray(np.array(frame_of, dtype=np.int64))
    if (
        not isinstance(frame_of, PickledArray)
        or len(frame_of.shape) != 1
        or frame_of.kind not in "iu"
    ):
        raise InputError(
            f"{place}: 'frame_inds' is no list of whole numbers, one a body; correct it"
        )
    if raw_file not in known:
        known[raw_file] = find_pose_file(folder, raw_file)
    return PoseFile(known[raw_file], shown(raw_file), frames, frame_of)


def find_pose_file(folder: Path, raw_file: str) -> Path | None:
    """Find a file that annotations in a folder name, in the folder and below it alone.

    Annotations name files by their place on the computer on which they were made: of
    ``data/k400/kpfiles/a.pkl`` as much of the end is taken as leads to a file.
    """
    parts = PurePosixPath(raw_file.replace("\\", "/")).parts
    if ".." in parts:
        parts = parts[len(parts) - parts[::-1].index("..") :]
    parts = tuple(part for part in parts if part.strip("/") and ":" not in part)[-MAX_PARTS:]
    tails = [PurePosixPath(*parts[first:]) for first in range(len(parts))]
    for tail in [*tails, *(PurePosixPath("kpfiles", *tail.parts) for tail in tails[-1:])]:
        try:
            if (folder / tail).is_file():
                return folder / tail
        except (OSError, ValueError):  # a name that no file can have
            return None
    return None


def pose_of(path: Path, name: str) -> PickledArray:
    """Return the poses of a video in a file of many."""
    found_file = plain_file(path)
    content = _content(path, found_file.st_size, found_file.st_mtime_ns)
    if name not in content:
        raise InputError(
            f"{path}: no poses of {name!r} in it, of which the annotations say so; get both from "
            "the same source"
        )
    found = content[name]
    if (
        not isinstance(found, PickledArray)
        or len(found.shape) != 3
        or found.shape[2] != 3
        or found.kind not in "iuf"
    ):
        raise InputError(
            f"{path} ({name}): 'keypoint' is {getattr(found, 'shape', 'no array')}, where numbers "
            "of (bodies of all frames, joints, 3) should be; correct it"
        )
    return found


@functools.lru_cache(maxsize=AT_HAND)
def _content(path: Path, size: int, written: int) -> dict[str, Any]:
    """Return what a file holds for each video, cached for the videos that follow."""
    content = read_pickle(path)
    if not isinstance(content, dict):
        raise InputError(
            f"{path}: is no dict of poses by the names of videos; give a file of PYSKL's kpfiles"
        )
    return {
        name: entry.get("keypoint") if isinstance(entry, dict) else entry
        for name, entry in content.items()
        if isinstance(name, str)
    }


def joints_of(place: Path, files: Mapping[str, PoseFile]) -> int:
    """Return the number of joints of the first video whose poses are there."""
    tried: dict[Path | None, InputError] = {}
    for name, held in files.items():
        if held.path is None or held.path in tried:
            continue
        try:
            return pose_of(held.path, name).shape[1]
        except InputError as error:
            tried[held.path] = error
    for error in tried.values():
        raise error
    raw_file = next(iter(files.values())).raw_file
    raise InputError(
        f"{place}: the poses are in {raw_file!r} and other files, none of which is in the "
        "annotations' folder; unpack PYSKL's kpfiles there"
    )
