"""Annotation pickles, the format in which PYSKL and MMAction2 publish skeletons.

One file is a set::

    {"split": {name: [frame_dir, ...]},
     "annotations": [{"frame_dir", "label", "total_frames", "keypoint": (M, T, V, C),
                      "keypoint_score": (M, T, V) where C is 2, "img_shape": (height, width)}]}

Older files are the list alone. Those of Kinetics-400 have in the place of ``keypoint`` a file
(``raw_file``) and the frame of each of N bodies (``frame_inds``, from 0). That file is a pickle of
many videos, ``{frame_dir: {"keypoint": (N, V, 3) of x, y and score}}``. Bodies have no identity
over time there: those of a frame are in no order.
"""

from __future__ import annotations

import functools
import logging
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np

from asgcn_dgl.data import files as data_files
from asgcn_dgl.data.clip import Clip, seen_joints
from asgcn_dgl.data.files import check_memory, is_recording, plain_name, shown
from asgcn_dgl.data.formats import estimates
from asgcn_dgl.data.formats.layout_file import GivenLayout
from asgcn_dgl.data.formats.table import MAX_CLASSES, is_label, named_tests
from asgcn_dgl.data.formats.unpickle import PickledArray, read_pickle
from asgcn_dgl.data.reader import Format, Split
from asgcn_dgl.errors import InputError
from asgcn_dgl.files import plain_file

logger = logging.getLogger(__name__)

#: What becomes of pixels, see :func:`open_annotations`.
NORMALIZATIONS = ("centred", "pyskl", "height", "none")

#: Layouts by number of joints, of poses in space.
_SPACE = {25: "ntu25", 20: "kinectv1_20"}

#: Names in all lists of splits; NTU RGB+D 120 has half a million.
MAX_MEMBERS = 2**23

#: Bodies of a frame that are kept unless an option says otherwise, as ST-GCN keeps them.
BODIES = 2

#: Files of poses whose contents are kept in memory.
AT_HAND = 4

#: Names of folders, and of the file of poses, that are looked at.
MAX_PARTS = 8

_PART = re.compile(r"(?:(.*?)_?)(train|val|test)(?:_?(.*))")


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
        """
        if self.path is None:
            raise InputError(
                f"{place}: its poses are in {self.raw_file!r}, which is not in the annotations' "
                "folder; unpack PYSKL's kpfiles there"
            )
        found = _pose_of(self.path, name)
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


class Annotation(NamedTuple):
    """One recording: its ``frame_dir``, class (-1: none), poses and scores, and picture's size.

    ``pos`` is (M, T, V, C), ``score`` (M, T, V) or None, ``size`` height and width. A ``fault``
    says why the recording cannot be used; ``pos`` is None then.
    """

    name: str
    label: int = -1
    pos: PickledArray | PoseFile | None = None
    score: PickledArray | None = None
    size: tuple[float, float] | None = None
    fault: str = ""


@dataclass(frozen=True)
class AnnotationReader(estimates.EstimatesReader):
    """The recordings of a file."""

    path: Path = Path()
    annotations: tuple[Annotation, ...] = ()
    normalize: str = "centred"
    bodies: int | None = BODIES

    @np.errstate(over="ignore", invalid="ignore")  # what is not finite is refused by the clip
    def read(self, index: int) -> Clip:
        """Read one recording."""
        found = self.annotations[index]
        if found.fault:
            raise InputError(found.fault)
        place = f"{self.path} ({found.name})"
        pos, score = self._poses(place, found)
        seen = None  # found before anything is moved or scaled
        if score is None:
            seen = seen_joints(pos, self.layout)
        else:  # what is missing may hold anything
            pos = np.where((score > self.min_score)[..., None], pos, 0)
        if pos.shape[-1] == 2:
            pos = self._places(place, pos, found.size)
        return self.clip(index, place, pos, score, seen)

    def _poses(self, place: str, found: Annotation) -> tuple[np.ndarray, np.ndarray | None]:
        """Return positions as in the file, and scores where there are any."""
        if isinstance(found.pos, PoseFile):
            return found.pos.load(place, found.name, self.bodies)
        assert found.pos is not None
        pos, score = self.parted(place, found.pos.array.astype(np.float64))
        if found.score is not None:
            score = found.score.array.astype(np.float64)
        if score is not None:
            score = estimates.trusted_scores(place, self.layout, pos, score)
        return pos, score

    def _places(self, place: str, pos: np.ndarray, size: tuple[float, float] | None) -> np.ndarray:
        """Return pixels as the option ``normalize`` says."""
        if self.normalize == "none":
            return pos
        if size is None:
            raise InputError(f"{place}: no img_shape to divide by; add it, or give normalize=none")
        height, width = size
        if self.normalize == "height":
            return (pos - np.array([width, height]) / 2) / height
        centred = pos / np.array([width, height]) - 0.5
        return 2 * centred if self.normalize == "pyskl" else centred

    def stamp(self) -> object:
        """Options, sizes and times of the files."""
        held = [each.pos.path for each in self.annotations if isinstance(each.pos, PoseFile)]
        paths = [self.path, *dict.fromkeys(path for path in held if path is not None)]
        options = [self.normalize, self.min_score, self.score, self.bodies, self.flat]
        return [*options, data_files.stamp_files(paths)]

    def __reduce__(self) -> Any:
        # A worker process reads the file itself; to send it all poses would take longer.
        third = "score" if self.flat else "depth"
        options = (self.normalize, self.min_score, self.score, None, third)
        facts = {"bodies": self.bodies, "origin": self.origin, "place": str(self.path)}
        return _open_again, (facts, self.path, (self.layout,), *options)


def _open_again(facts: Mapping[str, Any], *options: Any) -> AnnotationReader:
    return replace(open_annotations(*options), **facts)


def open_annotations(
    root: str | Path,
    layout: GivenLayout = None,
    normalize: str = "centred",
    min_score: float = 0.0,
    score: bool = True,
    bodies: int | None = None,
    third: str = "auto",
) -> AnnotationReader:
    """Open an annotation pickle, or a folder that holds one.

    The page "Annotations" has the options. ``xsub_train`` and ``xsub_val`` make the split ``xsub``,
    ``train1`` and ``test1`` the split ``split1``, ``train`` and ``val`` the split ``split``. Names
    of classes are from ``classes.txt`` beside the file.
    """
    data_files.check_choice("normalize", normalize, NORMALIZATIONS)
    estimates.check_options(min_score, score, third)
    root = Path(root)
    # Files of poses may lie in folders below.
    direct = [path for path in sorted(root.glob("*.pkl")) if is_recording(path)]
    found = direct or data_files.find_files(root, "*.pkl", "an annotation pickle")
    path = estimates.only_one(root, found, "*.pkl")
    content = read_pickle(path)
    lists: Any = {}
    if isinstance(content, dict) and "annotations" in content:
        lists, content = content.get("split") or {}, content["annotations"]
    entries = content if isinstance(content, list | tuple) else []
    if not any(isinstance(each, dict) for each in entries) or not isinstance(lists, dict):
        raise InputError(
            f"{path}: no annotations in it; give a pickle of a dict with 'split' (a dict of lists) "
            "and 'annotations' (a list), as PYSKL and MMAction2 publish them"
        )
    apart: dict[str, Path | None] = {}
    annotations = [_annotation(path, number, each, apart) for number, each in enumerate(entries)]
    if bodies is not None and not apart:
        raise InputError(
            f"{path}: the option bodies is for sets whose poses are in files of their own; choose "
            "bodies in training, by clips.max_bodies and clips.body_rule"
        )
    if bodies is not None and (type(bodies) is not int or bodies < 1):
        raise InputError(f"bodies must be a whole number from 1, got {bodies!r}")
    joints, dims = _joints(path, annotations)
    annotations = _comparable(path, annotations, joints, dims)
    if all(each.fault for each in annotations):
        raise InputError(annotations[0].fault)
    names = [each.name for each in annotations]
    good = [each for each in annotations if not each.fault]
    facts = estimates.described(
        str(path),
        path.parent,
        names,
        [each.label for each in annotations],
        _splits(path, lists, names),
        joints,
        estimates.FLAT if dims == 2 else _SPACE,
        layout,
        third,
        None if dims == 2 else _thirds(path, good, third),
    )
    return AnnotationReader(
        **facts,
        min_score=min_score,
        score=score,
        path=path,
        annotations=tuple(annotations),
        normalize=normalize,
        bodies=BODIES if bodies is None else bodies,
    )


def _thirds(path: Path, good: Sequence[Annotation], third: str) -> np.ndarray | None:
    """Return the third coordinates of some recordings; None where scores are beside them."""
    if any(each.score is not None for each in good):
        if third == "score":
            raise InputError(
                f"{path}: 'keypoint_score' beside three coordinates: the third is a depth; leave "
                "--options.third out"
            )
        return None
    few = good[:: max(1, len(good) // estimates.LOOKED_AT)]
    held = [each.pos.array for each in few if isinstance(each.pos, PickledArray)]
    return np.concatenate([array[..., 2].ravel().astype(np.float64) for array in held])


def _joints(path: Path, annotations: Sequence[Annotation]) -> tuple[int, int]:
    """Return the number of joints and of coordinates of most annotations."""
    good = [each for each in annotations if not each.fault]
    if not good:
        raise InputError(annotations[0].fault)
    arrays = [(each.name, each.pos) for each in good if isinstance(each.pos, PickledArray)]
    apart = {each.name: each.pos for each in good if isinstance(each.pos, PoseFile)}
    if arrays and apart:
        raise InputError(
            f"{path}: the poses of {arrays[0][0]} are in it, those of {next(iter(apart))} in "
            "another file; split the file"
        )
    if apart:
        return _joints_of(path, apart), 2
    (joints, dims), _ = Counter(pos.shape[2:] for _, pos in arrays).most_common(1)[0]
    return joints, dims


def _comparable(
    path: Path, annotations: Sequence[Annotation], joints: int, dims: int
) -> list[Annotation]:
    """Make faults of repeated names, under other names, and of what has not so many joints."""
    times: Counter[str] = Counter()
    found = []
    for each in annotations:
        name, fault = each.name, each.fault
        times[name] += 1
        if times[name] > 1:
            fault = fault or f"{path}: duplicate name {name!r}; keep one of the two"
            name = f"{name} ({times[name]})"
        if isinstance(each.pos, PickledArray) and each.pos.shape[2:] != (joints, dims):
            fault = fault or (
                f"{path} ({name}): {each.pos.shape[2]} joints of {each.pos.shape[3]} coordinates, "
                f"where others have {joints} of {dims}; split the file"
            )
        found.append(each._replace(name=name, fault=fault))
    return found


def _annotation(path: Path, number: int, entry: Any, known: dict[str, Path | None]) -> Annotation:
    """Check one entry; a fault is kept for the time it is read."""
    place, name = f"{path}, annotation {number + 1}", f"annotation {number + 1}"
    try:
        if not isinstance(entry, dict):
            raise InputError(f"{place}: is no dict; copy the file again from its source")
        given = entry.get("frame_dir", entry.get("filename"))
        if not isinstance(given, str):
            raise InputError(f"{place}: no 'frame_dir', the recording's name; add it")
        name = plain_name(given, place)
        return _checked(f"{path} ({name})", path.parent, name, entry, known)
    except InputError as error:
        return Annotation(name, fault=str(error))


def _checked(
    place: str, folder: Path, name: str, entry: dict[Any, Any], known: dict[str, Path | None]
) -> Annotation:
    """Check one entry; files of poses that were looked up are added to ``known``."""
    label = entry.get("label", -1)
    if not is_label(label):
        raise InputError(
            f"{place}: 'label' is no class number from 0 to {MAX_CLASSES - 1}; correct it"
        )
    size = _size(place, entry.get("img_shape"))
    if entry.get("keypoint") is None and "raw_file" in entry:
        return Annotation(name, label, _pose_file(place, folder, entry, known), None, size)
    pos = PickledArray.of(entry.get("keypoint"))
    if pos is None or len(pos.shape) not in (3, 4) or pos.shape[-1] not in (2, 3):
        found = "no array" if pos is None else pos.shape
        raise InputError(
            f"{place}: 'keypoint' is {found}, where an array of (bodies, frames, joints, 2 or 3) "
            "should be; correct it"
        )
    if len(pos.shape) == 3:
        pos = PickledArray(pos.array[None])
    check_memory(place, 8 * math.prod(pos.shape), "a clip")
    estimates.check_bodies(place, pos.shape)
    frames = entry.get("total_frames", pos.shape[1])
    if frames != pos.shape[1]:
        raise InputError(
            f"{place}: 'total_frames' is {shown(frames)}, but 'keypoint' has {pos.shape[1]} "
            "frames; correct one of them"
        )
    score = entry.get("keypoint_score")
    score = None if score is None else PickledArray.of(score) or PickledArray()
    if score is not None and score.shape in (pos.shape[1:3], (*pos.shape[:3], 1)):
        score = PickledArray(score.array.reshape(pos.shape[:3]))
    if score is not None and score.shape != pos.shape[:3]:
        found = score.shape if score.array.size else "no array"
        raise InputError(
            f"{place}: 'keypoint_score' is {found}, not {pos.shape[:3]} as keypoint has; correct it"
        )
    for array in (pos, score):
        if array is not None and array.kind not in "iuf":
            raise InputError(f"{place}: an array of {array.array.dtype}, which is no number")
    return Annotation(name, label, pos, score, size)


def _size(place: str, size: Any) -> tuple[float, float] | None:
    if size is None:
        return None
    size = _listed(size)
    whole = isinstance(size, tuple | list) and len(size) in (2, 3)
    if not whole or not all(isinstance(each, int | float) and 0 < each < 1e6 for each in size[:2]):
        raise InputError(f"{place}: 'img_shape' is no (height, width) above 0; correct it")
    return float(size[0]), float(size[1])


def _listed(value: Any) -> Any:
    """Return the list of what an array or a set holds."""
    if isinstance(value, PickledArray):
        return value.array.tolist()
    return list(value) if isinstance(value, set | frozenset) else value


def _splits(path: Path, lists: Mapping[Any, Any], names: Sequence[str]) -> dict[str, Split]:
    """Combine the lists to splits of what trains and what tests."""
    lists = {key: _listed(members) for key, members in lists.items()}
    total = sum(len(each) for each in lists.values() if isinstance(each, list | tuple))
    if total > MAX_MEMBERS:
        raise InputError(f"{path}: {total} names in lists of splits; {MAX_MEMBERS} are read")
    parts: dict[str, dict[str, Sequence[str]]] = {}
    known = frozenset(names)
    for key, members in lists.items():
        match = _PART.fullmatch(key) if isinstance(key, str) else None
        place = f"{path}: the split {shown(key)!r}"
        if match is None or not isinstance(members, list | tuple):
            raise InputError(f"{place} is no list that is called by train, val or test; correct it")
        if not all(isinstance(member, str) for member in members):
            raise InputError(f"{place} holds what is no name; correct it")
        if len(set(members)) < len(members):
            raise InputError(f"{place} holds a name twice; remove one")
        absent = [member for member in members if member not in known]
        if absent:
            logger.warning(
                "%s: no annotation of %d recordings of the split %s, such as %s",
                *(path, len(absent), key, absent[0][:60]),
            )
        stem = "_".join(part for part in (match[1], match[3]) if part) or "split"
        stem = plain_name(f"split{stem}" if stem.isdigit() else stem, str(path))
        if match[2] in parts.setdefault(stem, {}):
            raise InputError(f"{path}: two lists of the split {stem!r} for {match[2]}; rename one")
        parts[stem][match[2]] = members
    found = {}
    for stem, of_part in parts.items():
        for name, part in named_tests(stem, of_part).items():
            train, test = of_part.get("train", ()), of_part.get(part, ())
            both = known.intersection(train).intersection(test)
            if both:
                raise InputError(
                    f"{path}: {min(both)!r} both trains and tests in the split {name!r}; correct it"
                )
            found[name] = Split.of_names(names, train, test)
    return found


# Poses in separate files --------------------------------------------------------------------------


def _pose_file(
    place: str, folder: Path, entry: dict[Any, Any], known: dict[str, Path | None]
) -> PoseFile:
    """Check what an annotation says of its poses; ``known`` caches files by their names in it."""
    raw_file, frames = entry.get("raw_file"), entry.get("total_frames")
    if not isinstance(raw_file, str) or not raw_file:
        raise InputError(f"{place}: 'raw_file' is {shown(raw_file)!r}, no file's name; correct it")
    if isinstance(frames, bool) or not isinstance(frames, int) or frames < 1:
        raise InputError(f"{place}: 'total_frames' is {shown(frames)}, not 1 or more; correct it")
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
        raise InputError(f"{place}: 'frame_inds' is no list of whole numbers of bodies; correct it")
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


def _pose_of(path: Path, name: str) -> PickledArray:
    """Return the poses of a video in a file of many."""
    found_file = plain_file(path)
    content = _content(path, found_file.st_size, found_file.st_mtime_ns)
    if name not in content:
        raise InputError(
            f"{path}: no poses of {name!r} in it; get it and the annotations from the same source"
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


def _joints_of(place: Path, files: Mapping[str, PoseFile]) -> int:
    """Return the number of joints of the first video whose poses are there."""
    tried: dict[Path | None, InputError] = {}
    for name, held in files.items():
        if held.path is None or held.path in tried:
            continue
        try:
            return _pose_of(held.path, name).shape[1]
        except InputError as error:
            tried[held.path] = error
    for fault in tried.values():
        raise fault
    raw_file = next(iter(files.values())).raw_file
    raise InputError(
        f"{place}: the poses are in {raw_file!r} and other files, none of which is in the "
        "annotations' folder; unpack PYSKL's kpfiles there"
    )


def _recognizes(path: Path) -> bool:
    if path.is_dir():
        arrays = any(path.glob("*.npy"))
        return not arrays and any(map(is_recording, path.glob("*.pkl")))
    return path.suffix.lower() in (".pkl", ".pickle")


FORMAT = Format(
    "annotations",
    open_annotations,
    _recognizes,
    "annotation",
    ("normalize", "min_score", "score", "bodies", "third"),
)
