"""What pose estimators write: folders of OpenPose, JSON of AlphaPose, tables of DeepLabCut.

A reader makes :class:`Poses` of one recording; all else is common: the layout, ``clips.csv`` beside
the files, scores and what is missing. Places are in the files' unit, pixels mostly.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from asgcn_dgl.data.clip import Clip, lacks_center
from asgcn_dgl.data.files import (
    check_memory,
    check_names,
    find_files,
    is_recording,
    plain_name,
    read_json,
    shown,
    stamp_files,
)
from asgcn_dgl.data.formats.estimates import check_options, choose_layout, estimated_clip
from asgcn_dgl.data.formats.layout_file import GivenLayout, find_layouts, has_layout
from asgcn_dgl.data.formats.spreadsheet import read_cells, to_numbers
from asgcn_dgl.data.formats.table import ClipTable, find_table
from asgcn_dgl.data.reader import Format, Reader
from asgcn_dgl.errors import InputError
from asgcn_dgl.skeleton import SkeletonLayout

__all__ = ["FORMATS", "EstimatorReader", "Poses", "open_alphapose", "open_deeplabcut",
           "open_openpose"]  # fmt: skip

_USUAL = {16: "mpii16", 17: "coco17", 18: "openpose18", 25: "openpose25", 26: "halpe26",
          133: "wholebody133"}  # fmt: skip

#: Frames for which a body that is lost keeps its identity.
KEPT = 15


class Poses(NamedTuple):
    """The poses of one recording.

    Attributes
    ----------
    places
        (M, T, V, d).
    score
        (M, T, V); None where there are none.
    joints
        Names of the V joints; empty where the file does not say them.
    """

    places: np.ndarray
    score: np.ndarray | None
    joints: tuple[str, ...] = ()


@dataclass(frozen=True)
class EstimatorReader(Reader):
    """Recordings of a pose estimator.

    Attributes
    ----------
    files
        Those of each recording.
    load
        Reader of a recording's files.
    table
        What ``clips.csv`` says.
    min_score, score
        See :func:`open_openpose`.
    """

    files: tuple[tuple[Path, ...], ...] = ()
    load: Callable[[Sequence[Path]], Poses] | None = None
    table: ClipTable = field(default_factory=ClipTable)
    min_score: float = 0.0
    score: bool = True

    def read(self, index: int) -> Clip:
        """Read one recording."""
        assert self.load is not None
        name, files = self.names[index], self.files[index]
        place = str(files[0] if len(files) == 1 else files[0].parent)
        poses = self.load(files)
        label, facts = self.table.facts(name)
        if poses.joints:
            poses = _ordered(place, poses, self.layout)
        return estimated_clip(
            name,
            self.layout,
            poses.places,
            poses.score,
            min_score=self.min_score,
            keep_score=self.score,
            label=label,
            meta={"path": place, **facts},
        )

    def stamp(self) -> object:
        """Options, table, sizes and times of all files."""
        files = [path for each in self.files for path in each]
        return [self.min_score, self.score, self.table.stamp(), stamp_files(files)]


def _ordered(place: str, poses: Poses, layout: SkeletonLayout) -> Poses:
    """Poses in the order of a layout's joints; others are left out."""
    wanted = layout.joints
    if lacks_center(layout, len(wanted) - 1) and wanted[-1] not in poses.joints:
        wanted = wanted[:-1]
    absent = [joint for joint in wanted if joint not in poses.joints]
    if absent:
        raise InputError(
            f"{place}: no {absent[0]!r} of layout {layout.name!r} among its joints "
            f"({', '.join(poses.joints[:8])}, ...); name joints as the file does"
        )
    order = [poses.joints.index(joint) for joint in wanted]
    score = None if poses.score is None else poses.score[..., order]
    return Poses(poses.places[:, :, order], score, wanted)


def _open(
    root: Path,
    found: dict[str, tuple[Path, ...]],
    load: Callable[[Sequence[Path]], Poses],
    layout: GivenLayout,
    min_score: float,
    score: bool,
) -> EstimatorReader:
    """Make the reader of the recordings that were found, by name."""
    check_options(min_score, score)
    names = [plain_name(name, str(files[0])) for name, files in found.items()]
    folder = root if root.is_dir() else root.parent
    table = find_table(folder, names) if root.is_dir() else None
    table = ClipTable() if table is None else table
    return EstimatorReader(
        tuple(names),
        _layout(folder, found, load, layout),
        table.class_names,
        table.splits,
        tuple(found.values()),
        load,
        table,
        min_score,
        score,
        labels=table.labels_of(names),
        numbers=table.numbers_of(names),
    )


def _layout(
    folder: Path,
    found: dict[str, tuple[Path, ...]],
    load: Callable[[Sequence[Path]], Poses],
    given: GivenLayout,
) -> SkeletonLayout:
    """Layout that is given, or that lies there, or the usual one of so many joints."""
    first: InputError | None = None
    for files in found.values():
        try:
            poses = load(files)
        except InputError as error:
            first = first or error
            continue
        if not poses.joints:
            return choose_layout(str(files[0]), folder, poses.places.shape[2], _USUAL, given)
        if given is None and not has_layout(folder):
            names = ", ".join(poses.joints)
            raise InputError(
                f"{folder}: no layout.yaml in it, and the table does not say the bones; write one "
                f"with 'joints: [{names}]' and 'bones: [[{', '.join(poses.joints[:2])}], ...]'"
            )
        layouts = find_layouts(folder, given)
        known = set(poses.joints)
        return next((each for each in layouts if len(known & set(each.joints)) > 1), layouts[0])
    raise first or InputError(f"{folder}: no recording in it; check the folder")


# OpenPose ----------------------------------------------------------------------------------------

_OPENPOSE = "*_keypoints.json"
_FRAME = re.compile(r"(.*?)[_-]?(\d+)")


def open_openpose(
    root: str | Path, layout: GivenLayout = None, min_score: float = 0.0, score: bool = True
) -> EstimatorReader:
    """Look at what OpenPose wrote with ``--write_json``: a file ``*_keypoints.json`` a frame.

    Parameters
    ----------
    root
        Folder of one recording, or of many, at any depth: files of one folder that are called alike
        but for the number of the frame are one. Or one such file. ``clips.csv`` in the folder says
        labels and splits, see :func:`~asgcn_dgl.data.formats.table.find_table`.
    layout
        Name of a supplied layout, or a layout file. Left out: ``layout.yaml`` in the folder, else
        the usual one of so many joints (25: BODY_25, 18: COCO).
    min_score
        Joints whose score is not above this are missing.
    score
        The score is the last coordinate of each joint.

    Returns
    -------
    EstimatorReader
        A recording is called by its folder below the root, and by what its files are called where
        several share a folder. Identities are kept over time by overlap, since the files have
        none; what ``person_id`` says is not asked, as it is always -1.

    Raises
    ------
    InputError
        If there is no such file, or the first recording cannot be used.
    """
    root = Path(root)
    folder = root if root.is_dir() else root.parent
    groups: dict[tuple[Path, str], list[Path]] = {}
    for path in find_files(root, _OPENPOSE, "OpenPose's *_keypoints.json"):
        groups.setdefault((path.parent, _video(path)), []).append(path)
    alone = {parent for parent, _ in groups}
    found = {}
    for (parent, video), files in groups.items():
        place = parent.relative_to(folder).as_posix()
        shared = len(alone) < len(groups) and sum(other == parent for other, _ in groups) > 1
        name = video or parent.resolve().name if place == "." else place
        found[f"{place}/{video}" if shared and place != "." else name] = tuple(files)
    return _open(root, found, _openpose, layout, min_score, score)


def _video(path: Path) -> str:
    match = _FRAME.fullmatch(path.name.removesuffix("_keypoints.json"))
    return match[1] if match else ""


def _openpose(files: Sequence[Path]) -> Poses:
    frames: dict[int, list[np.ndarray]] = {}
    for path in files:
        match = _FRAME.fullmatch(path.name.removesuffix("_keypoints.json"))
        people = read_json(path)
        people = people.get("people") if isinstance(people, dict) else None
        if match is None or not isinstance(people, list):
            raise InputError(
                f"{path}: no list 'people', or no frame's number; give OpenPose's files"
            )
        frames[int(match[2])] = [
            pose for number, each in enumerate(people, start=1)
            if (pose := _person(f"{path}, person {number}", each)) is not None
        ]  # fmt: skip
    return _followed(str(files[0].parent), frames)


def _person(place: str, entry: Any) -> np.ndarray | None:
    """(V, 3 or 4) joints; None where none was found."""
    if not isinstance(entry, dict):
        raise InputError(f"{place}: no object; give OpenPose's files")
    for key, size in (("pose_keypoints_2d", 3), ("pose_keypoints", 3), ("pose_keypoints_3d", 4)):
        if entry.get(key):
            return _joints(f"{place}: {key!r}", entry[key], size)
    return None


def _joints(place: str, values: Any, size: int) -> np.ndarray:
    try:
        joints = np.array(values, dtype=np.float64).reshape(-1, size)
    except (ValueError, TypeError, OverflowError):
        joints = np.zeros((0, size))
    if not joints.size:
        raise InputError(f"{place} is not {size} numbers for each joint; correct it")
    return joints


Frames = dict[int, list[np.ndarray]]


def _followed(place: str, frames: Frames, known: dict[int, list[str]] | None = None) -> Poses:
    """Poses of the detections of each frame: by identity where it is known, else followed."""
    shapes = {pose.shape for poses in frames.values() for pose in poses}
    if len(shapes) != 1:
        what = "bodies of several numbers of joints" if shapes else "no body in any frame"
        raise InputError(f"{place}: {what}; leave the recording out")
    (joints, size), first, count = *shapes, min(frames), max(frames) - min(frames) + 1
    persons = _follow(frames) if known is None else known
    everyone = dict.fromkeys(who for each in persons.values() for who in each)
    bodies = {who: body for body, who in enumerate(everyone)}
    size_of_all = 8 * len(bodies) * count * joints * size
    check_memory(place, size_of_all, f"{len(bodies)} bodies over frames {first} to {max(frames)}")
    poses = np.zeros((len(bodies), count, joints, size))
    for frame, found in frames.items():
        for who, pose in zip(persons[frame], found, strict=True):
            poses[bodies[who], frame - first] = pose
    return Poses(poses[..., :-1], poses[..., -1])


def _follow(frames: Frames) -> dict[int, list[str]]:
    """Tell which detections are the same body: those whose boxes overlap most from frame to frame.

    A body that is lost keeps its identity for :data:`KEPT` frames, at its last place.
    """
    from scipy.optimize import linear_sum_assignment

    persons: dict[int, list[str]] = {}
    boxes: dict[str, tuple[int, np.ndarray]] = {}  # of each body its last frame and box
    count = 0
    for frame in sorted(frames):
        boxes = {who: each for who, each in boxes.items() if frame - each[0] <= KEPT}
        found = [_box(pose) for pose in frames[frame]]
        last, chosen = list(boxes), [""] * len(found)
        overlaps = np.array([[_overlap(box, boxes[who][1]) for who in last] for box in found])
        overlaps = overlaps.reshape(len(found), len(last))
        for row, column in np.transpose(linear_sum_assignment(-overlaps)).tolist():
            if overlaps[row, column] > 0:
                chosen[row] = last[column]
        for number, box in enumerate(found):
            if not chosen[number]:
                chosen[number], count = str(count), count + 1
            boxes[chosen[number]] = (frame, box)
        persons[frame] = chosen
    return persons


def _box(pose: np.ndarray) -> np.ndarray:
    """Box of the joints that were seen, and half its size about it, for those who move fast."""
    places = pose[pose[:, -1] > 0, :-1]
    if not len(places):
        return np.zeros((2, 1))
    low, high = places.min(axis=0), places.max(axis=0)
    return np.stack([low - (high - low) / 2, high + (high - low) / 2])


def _overlap(one: np.ndarray, other: np.ndarray) -> float:
    """Share of two boxes that both cover."""
    if one.shape != other.shape:
        return 0.0
    both = np.prod(np.maximum(np.minimum(one[1], other[1]) - np.maximum(one[0], other[0]), 0))
    either = np.prod(one[1] - one[0]) + np.prod(other[1] - other[0]) - both
    return float(both / either) if either > 0 else 0.0


# AlphaPose ---------------------------------------------------------------------------------------


def open_alphapose(
    root: str | Path, layout: GivenLayout = None, min_score: float = 0.0, score: bool = True
) -> EstimatorReader:
    """Look at AlphaPose's results: a JSON file a recording, a list of persons in images.

    Parameters
    ----------
    root
        Folder of ``.json`` files, at any depth, or one file; ``clips.csv`` as for
        :func:`open_openpose`.
    layout, min_score, score
        As for :func:`open_openpose` (26 joints: Halpe's, 17: COCO's).

    Returns
    -------
    EstimatorReader
        Persons are told apart by ``idx`` where each of an image has another, else followed by
        overlap; frames are the numbers at the end of ``image_id``.

    Raises
    ------
    InputError
        If there is no such file, or the first cannot be used.
    """
    root = Path(root)
    folder = root if root.is_dir() else root.parent
    files = [
        path for path in find_files(root, "*.json", "AlphaPose's *.json") if _is_alphapose(path)
    ]
    if not files:
        raise InputError(f"{root}: no JSON of AlphaPose in it, a list with 'image_id'; check it")
    names = [path.relative_to(folder).with_suffix("").as_posix() for path in files]
    if len({path.name for path in files}) == 1 and len(files) > 1:  # VIDEO/alphapose-results.json
        names = [path.parent.relative_to(folder).as_posix() for path in files]
    check_names(names, files)
    found = {name: (path,) for name, path in zip(names, files, strict=True)}
    return _open(root, found, _alphapose, layout, min_score, score)


def _is_alphapose(path: Path) -> bool:
    with path.open("rb") as file:
        return is_recording(path) and b'"image_id"' in file.read(4096)


def _alphapose(files: Sequence[Path]) -> Poses:
    (path,) = files
    entries = read_json(path)
    frames: Frames = {}
    known: dict[int, list[str]] = {}
    for number, entry in enumerate(entries if isinstance(entries, list) else [None], start=1):
        place = f"{path}, entry {number}"
        if not isinstance(entry, dict) or not {"image_id", "keypoints"} <= set(entry):
            raise InputError(f"{place}: no 'image_id' and 'keypoints'; give AlphaPose's results")
        match = _FRAME.fullmatch(Path(str(entry["image_id"])).stem)
        if match is None:
            raise InputError(
                f"{place}: 'image_id' {shown(entry['image_id'])!r} does not end in the number of a "
                "frame; rename the images"
            )
        frames.setdefault(int(match[2]), []).append(
            _joints(f"{place}: 'keypoints'", entry["keypoints"], 3)
        )
        known.setdefault(int(match[2]), []).append(str(entry.get("idx")))
    tracked = all(len(set(each)) == len(each) and "None" not in each for each in known.values())
    return _followed(str(path), frames, known if tracked else None)


# DeepLabCut --------------------------------------------------------------------------------------

_COORDINATES = ("x", "y", "z", "likelihood")


def open_deeplabcut(
    root: str | Path, layout: GivenLayout = None, min_score: float = 0.0, score: bool = True
) -> EstimatorReader:
    """Look at DeepLabCut's tables: a CSV file a recording, of one animal or of several.

    Parameters
    ----------
    root
        Folder of ``.csv`` files, at any depth, or one file; ``clips.csv`` as for
        :func:`open_openpose`.
    layout
        Layout file, or the name of a supplied layout; left out: ``layout.yaml`` in the folder. Its
        joints are called like the body parts, in any order; body parts that it has not are left
        out.
    min_score, score
        As for :func:`open_openpose`; the score is the likelihood.

    Returns
    -------
    EstimatorReader
        A recording is called like its video: its file without ``DLC`` and what follows.

    Raises
    ------
    InputError
        If there is no such file, no layout, or the first recording cannot be used.
    """
    root = Path(root)
    folder = root if root.is_dir() else root.parent
    files = find_files(root, "*.csv", "DeepLabCut's *.csv")
    files = [path for path in files if _is_deeplabcut(path)]
    if not files:
        raise InputError(f"{root}: no table of DeepLabCut in it, with a row 'bodyparts'; check it")
    names = [path.relative_to(folder).with_suffix("").as_posix() for path in files]
    names = [name.rpartition("DLC")[0].rstrip("_") or name for name in names]
    check_names(names, files)
    found = {name: (path,) for name, path in zip(names, files, strict=True)}
    return _open(root, found, _deeplabcut, layout, min_score, score)


def _is_deeplabcut(path: Path) -> bool:
    if not is_recording(path) or path.suffix.lower() != ".csv":
        return False
    with path.open("rb") as file:
        return b"bodyparts" in file.read(2**18)


def _deeplabcut(files: Sequence[Path]) -> Poses:
    (path,) = files
    rows, dialect = read_cells(path)
    names = {row[0].lower(): place for place, (_, row) in enumerate(rows[:4])}
    if not {"bodyparts", "coords"} <= set(names) or len(rows) <= names["coords"] + 1:
        raise InputError(f"{path}: no rows 'bodyparts', 'coords' and then of numbers; give a table "
                         "as DeepLabCut writes it")  # fmt: skip
    width = len(rows[names["coords"]][1])
    heads = {name: rows[place][1] for name, place in names.items()}
    columns = [n for n in range(1, width) if heads["coords"][n].lower() in _COORDINATES]
    animals = heads.get("individuals", [""] * width)
    cells = np.array(
        [(row + [""] * width)[:width] for _, row in rows[names["coords"] + 1 :]], object
    )
    values, wrong = to_numbers(cells[:, columns], dialect)
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        raise InputError(
            f"{path}, line {rows[names['coords'] + 1 + row][0]}: "
            f"{cells[row, columns[column]][:40]!r} where a number should be; correct the row"
        )
    joints = tuple(dict.fromkeys(heads["bodyparts"][n] for n in columns))
    bodies = tuple(dict.fromkeys(animals[n] for n in columns))
    axes = [each for each in _COORDINATES if each in {heads["coords"][n].lower() for n in columns}]
    poses = np.full((len(bodies), len(values), len(joints), len(axes)), np.nan)
    for number, n in enumerate(columns):
        body, joint = bodies.index(animals[n]), joints.index(heads["bodyparts"][n])
        poses[body, :, joint, axes.index(heads["coords"][n].lower())] = values[:, number]
    scored = axes[-1] == "likelihood"
    return Poses(poses[..., : len(axes) - scored], poses[..., -1] if scored else None, joints)


# Formats -----------------------------------------------------------------------------------------


def _recognizes_openpose(path: Path) -> bool:
    if path.is_dir():
        return next(path.rglob(_OPENPOSE), None) is not None
    return path.name.endswith("_keypoints.json")


def _recognizes_alphapose(path: Path) -> bool:
    files = path.rglob("*.json") if path.is_dir() else [path]
    return any(each.suffix.lower() == ".json" and _is_alphapose(each) for each in files)


def _recognizes_deeplabcut(path: Path) -> bool:
    return any(map(_is_deeplabcut, path.rglob("*.csv") if path.is_dir() else [path]))


FORMATS = (
    Format("openpose", open_openpose, _recognizes_openpose, "OpenPose", ("min_score", "score")),
    Format("alphapose", open_alphapose, _recognizes_alphapose, "AlphaPose", ("min_score", "score")),
    Format(
        "deeplabcut", open_deeplabcut, _recognizes_deeplabcut, "DeepLabCut", ("min_score", "score")
    ),
)
