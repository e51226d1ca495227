"""What pose estimators write: OpenPose, AlphaPose, DeepLabCut, and tables of a row a frame.

A reader makes :class:`Poses` of one recording; all else is common: the layout, ``clips.csv`` beside
the files, scores and what is missing. Places are in the files' unit, pixels mostly.
"""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from asgcn_dgl.data import files as data_files
from asgcn_dgl.data.clip import Clip, lacks_center
from asgcn_dgl.data.files import check_memory, read_json, shown
from asgcn_dgl.data.formats.estimates import FLAT, check_options, choose_layout, estimated_clip
from asgcn_dgl.data.formats.folder import FolderReader
from asgcn_dgl.data.formats.layout_file import GivenLayout, find_layouts, has_layout
from asgcn_dgl.data.formats.spreadsheet import Dialect, first_row, read_cells, to_numbers
from asgcn_dgl.data.formats.table import TABLE, known_facts, tabled
from asgcn_dgl.data.reader import Format
from asgcn_dgl.errors import InputError
from asgcn_dgl.skeleton import SkeletonLayout

#: Frames for which a body that is lost keeps its identity, at its last place.
KEPT = 15

Found = dict[str, tuple[Path, ...]]
Frames = dict[int, list[np.ndarray]]
Persons = dict[int, list[str]]


class Poses(NamedTuple):
    """One recording: places (M, T, V, d), confidence (M, T, V), names of joints if it says them."""

    places: np.ndarray
    confidence: np.ndarray | None
    joints: tuple[str, ...] = ()


class Kind(NamedTuple):
    """How an estimator writes: glob ``pattern`` of its files, of which ``is_one`` recognizes one.

    ``load`` reads a recording, ``group`` returns names and files of those in a folder.
    """

    name: str
    title: str
    pattern: str
    is_one: Callable[[Path], bool]
    load: Callable[[Sequence[Path]], Poses]
    group: Callable[[Path, Sequence[Path]], Found]

    def recognizes(self, path: Path) -> bool:
        """Tell whether a folder holds such files, or a file is one."""
        if path.is_dir():
            return any(map(self._recognizes_file, path.rglob(self.pattern)))
        return self._recognizes_file(path)

    def _recognizes_file(self, path: Path) -> bool:
        alike = path.suffix.lower() == Path(self.pattern).suffix
        return alike and data_files.is_recording(path) and self.is_one(path)


def open_estimates(
    kind: Kind,
    root: str | Path,
    layout: GivenLayout = None,
    min_score: float = 0.0,
    score: bool = True,
    labels: str = "table",
) -> FolderReader:
    """Look at what an estimator wrote: a folder, one file, or the folder of one recording.

    The layout is ``layout``, ``layout.yaml`` in the folder, or the usual one of so many joints;
    tables need one with their names of joints. The page "Converters" has more.
    """
    check_options(min_score, score)
    root = Path(root)
    folder = root if root.is_dir() else root.parent
    files = data_files.find_files(root, kind.pattern, f"{kind.title}'s {kind.pattern}")
    found = kind.group(folder, list(filter(kind.recognizes, files)))
    if not found:
        raise InputError(f"{root}: no file of {kind.title} in it; check the folder")
    for name, each in found.items():
        data_files.plain_name(name, str(each[0]))
    chosen = _layout(folder, found, kind.load, layout)
    read_file = functools.partial(_read, load=kind.load, layout=chosen)
    table = known_facts(root, tuple(found), labels)
    return tabled(found, chosen, table, read_file, min_score=min_score, keep_score=score)


def _read(
    files: Sequence[Path],
    *,
    load: Callable[[Sequence[Path]], Poses],
    layout: SkeletonLayout,
    meta: Mapping[str, Any],
    **options: Any,
) -> Clip:
    """Read one recording; joints that the layout does not have are left out."""
    place = str(files[0] if len(files) == 1 else files[0].parent)
    places, score, joints = load(files)
    if joints:
        wanted = layout.joints
        if lacks_center(layout, len(wanted) - 1) and wanted[-1] not in joints:
            wanted = wanted[:-1]
        absent = [joint for joint in wanted if joint not in joints]
        if absent:
            raise InputError(
                f"{place}: no {absent[0]!r} of layout {layout.name!r} among its joints "
                f"({', '.join(joints[:8])}, ...); name joints as the file does"
            )
        order = [joints.index(joint) for joint in wanted]
        places, score = places[:, :, order], None if score is None else score[..., order]
    options["meta"] = {"path": place, **meta}
    return estimated_clip(layout=layout, places=places, score=score, **options)


def _one_each(folder: Path, files: Sequence[Path]) -> Found:
    """Recordings of a file each: called like it, or like its folder where all are called alike."""
    names = [path.relative_to(folder).with_suffix("").as_posix() for path in files]
    if len(files) > 1 and len({path.name for path in files}) == 1:
        names = [path.parent.relative_to(folder).as_posix() for path in files]
    names = [name.rpartition("DLC")[0].rstrip("_") or name for name in names]
    return {name: (path,) for name, path in data_files.by_name(names, files).items()}


def _layout(
    folder: Path, found: Found, load: Callable[[Sequence[Path]], Poses], given: GivenLayout
) -> SkeletonLayout:
    """Layout that is given, or that lies there, or the usual one of so many joints."""
    faults: list[InputError] = []
    for files in found.values():
        try:
            poses = load(files)
        except InputError as error:
            faults.append(error)
            continue
        if not poses.joints:
            return choose_layout(str(files[0]), folder, poses.places.shape[2], FLAT, given)
        if given is None and not has_layout(folder):
            names = ", ".join(poses.joints)
            raise InputError(
                f"{folder}: no layout.yaml in it, and the table does not say the bones; write one "
                f"with 'joints: [{names}]' and 'bones: [[{', '.join(poses.joints[:2])}], ...]'"
            )
        layouts = find_layouts(folder, given)
        known = set(poses.joints)
        return next((each for each in layouts if len(known & set(each.joints)) > 1), layouts[0])
    raise faults[0]


# OpenPose ----------------------------------------------------------------------------------------

_FRAME = re.compile(r"(.*?)[_-]?(\d+)(?:_keypoints)?")


def _by_video(folder: Path, files: Sequence[Path]) -> Found:
    """Recordings of a file a frame: those of a folder that are called alike but for the number."""
    groups: dict[tuple[Path, str], list[Path]] = {}
    for path in files:
        match = _FRAME.fullmatch(path.stem)
        groups.setdefault((path.parent, match[1] if match else ""), []).append(path)
    videos = Counter(parent for parent, _ in groups)
    found = {}
    for (parent, video), frames in groups.items():
        name = place = parent.relative_to(folder).as_posix()
        if place == ".":
            name = video or parent.resolve().name
        elif videos[parent] > 1:
            name = f"{place}/{video}"
        found[name] = tuple(frames)
    return found


def _openpose(files: Sequence[Path]) -> Poses:
    frames: Frames = {}
    for path in files:
        match = _FRAME.fullmatch(path.stem)
        people = read_json(path)
        people = people.get("people") if isinstance(people, dict) else None
        if match is None or not isinstance(people, list):
            raise InputError(f"{path}: no list 'people' or no frame's number; give OpenPose's file")
        poses = (_person(f"{path}, person {n}", each) for n, each in enumerate(people, start=1))
        frames[int(match[2])] = [pose for pose in poses if pose is not None]
    return followed(str(files[0].parent), frames)


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


def followed(
    place: str, frames: Frames, known: Persons | None = None, scored: bool = True
) -> Poses:
    """Poses of the detections of each frame, by identity where each has one, else followed."""
    shapes = {pose.shape for poses in frames.values() for pose in poses}
    if len(shapes) != 1:
        what = "bodies of several numbers of joints" if shapes else "no body in any frame"
        raise InputError(f"{place}: {what}; leave the recording out")
    (joints, size), first, count = *shapes, min(frames), max(frames) - min(frames) + 1
    persons = known or {}
    if known is None or any(len(set(each)) < len(each) for each in known.values()):
        persons = _follow(frames, scored)
    everyone = dict.fromkeys(who for each in persons.values() for who in each)
    bodies = {who: body for body, who in enumerate(everyone)}
    size_of_all = 8 * len(bodies) * count * joints * size
    check_memory(place, size_of_all, f"{len(bodies)} bodies over frames {first} to {max(frames)}")
    poses = np.full((len(bodies), count, joints, size), 0.0 if scored else np.nan)
    for frame, found in frames.items():
        for who, pose in zip(persons[frame], found, strict=True):
            poses[bodies[who], frame - first] = pose
    return Poses(poses[..., :-1], poses[..., -1]) if scored else Poses(poses, None)


def _follow(frames: Frames, scored: bool) -> Persons:
    """Tell which detections are the same body: those whose boxes overlap most over time."""
    from scipy.optimize import linear_sum_assignment

    persons: Persons = {}
    boxes: dict[str, tuple[int, np.ndarray]] = {}  # of each body its last frame and box
    count = 0
    for frame in sorted(frames):
        boxes = {who: each for who, each in boxes.items() if frame - each[0] <= KEPT}
        found = [_box(pose, scored) for pose in frames[frame]]
        last, chosen = list(boxes), [""] * len(found)
        overlaps = np.array([[_overlap(box, boxes[who][1]) for who in last] for box in found])
        overlaps = overlaps.reshape(len(found), len(last))
        for row, column in np.transpose(linear_sum_assignment(-overlaps)).tolist():
            if overlaps[row, column] > 0:
                chosen[row] = last[column]
        for number, box in enumerate(found):
            if not box.size:
                chosen[number] = "nobody"
                continue
            if not chosen[number]:
                chosen[number], count = str(count), count + 1
            boxes[chosen[number]] = (frame, box)
        persons[frame] = chosen
    return persons


def _box(pose: np.ndarray, scored: bool) -> np.ndarray:
    """Box of the joints that were seen, and half its size about it, for those who move fast."""
    seen = ~np.isnan(pose).any(axis=1) & (pose[:, -1] > 0 if scored else True)
    if not seen.any():
        return np.zeros((2, 0))
    low, high = pose[seen, :2].min(axis=0), pose[seen, :2].max(axis=0)
    return np.stack([low - (high - low) / 2, high + (high - low) / 2])


def _overlap(one: np.ndarray, other: np.ndarray) -> float:
    """Share of two boxes that both cover."""
    if one.shape != other.shape:
        return 0.0
    both = np.prod(np.maximum(np.minimum(one[1], other[1]) - np.maximum(one[0], other[0]), 0))
    either = np.prod(one[1] - one[0]) + np.prod(other[1] - other[0]) - both
    return float(both / either) if either > 0 else 0.0


# AlphaPose ---------------------------------------------------------------------------------------

#: Results by image, in the formats "cmu" and "open".
_BY_IMAGE = re.compile(rb'\s*\{\s*"[^"]*"\s*:\s*\{\s*"version"[^\[\]{}]*"(?:bodies|people)"')


def _is_alphapose(path: Path) -> bool:
    with path.open("rb") as file:
        start = file.read(4096)
    # Nobody in any image: an empty list, to be counted as lost.
    return b'"image_id"' in start or _BY_IMAGE.match(start) is not None or start.strip() == b"[]"


def _alphapose(files: Sequence[Path]) -> Poses:
    (path,) = files
    frames: Frames = {}
    known: Persons = {}
    for number, (image, keypoints, person) in enumerate(_persons(path, read_json(path)), start=1):
        place = f"{path}, entry {number}"
        match = _FRAME.fullmatch(Path(str(image)).stem)
        if match is None:
            raise InputError(
                f"{place}: 'image_id' {shown(image)!r} does not end in the number of a frame; "
                "rename the images"
            )
        pose = _joints(f"{place}: 'keypoints'", keypoints, 3)
        frames.setdefault(int(match[2]), []).append(pose)
        known.setdefault(int(match[2]), []).append(str(person))
    nameless = any("None" in each for each in known.values())
    return followed(str(path), frames, None if nameless else known)


def _persons(path: Path, content: Any) -> Iterator[tuple[Any, Any, Any]]:
    """Image, keypoints and identity of each person, in AlphaPose's format, CMU's or OpenPose's."""
    if isinstance(content, dict):
        for image, found in content.items():
            persons = found.get("people", found.get("bodies")) if isinstance(found, dict) else None
            if not isinstance(persons, list):
                raise InputError(
                    f"{path}: no list of persons of image {shown(image)!r}; correct it"
                )
            for each in persons:
                joints = each if isinstance(each, dict) else {}
                yield image, joints.get("pose_keypoints_2d", joints.get("joints")), None
        return
    for number, entry in enumerate(content if isinstance(content, list) else [None], start=1):
        if not isinstance(entry, dict) or not {"image_id", "keypoints"} <= set(entry):
            raise InputError(
                f"{path}, entry {number}: no 'image_id' and 'keypoints'; give AlphaPose's results"
            )
        yield entry["image_id"], entry["keypoints"], entry.get("idx")


# Tables ------------------------------------------------------------------------------------------

#: Numbers of a joint, and what programs call them.
_AXES = ("x", "y", "z", "score")
_SCORES = ("score", "likelihood", "confidence", "visibility", "conf", "prob")

#: Columns of a joint in a wide table: its name, then which of its numbers.
_CELL = re.compile(rf"(.+?)[._ -]?(x|y|z|{'|'.join(_SCORES)})", re.IGNORECASE)

#: Columns of whole rows, in lower letters: frames, and who a row shows.
_FRAMES = ("frame", "frame_idx", "frame_index", "frame_id", "frame_number", "fnum", "frame_num")
_BODIES = ("track", "track_id", "individual", "animal", "person", "person_id", "body", "id")

#: For each animal that a row shows the columns of each joint.
Columns = dict[str, dict[str, dict[str, int]]]


def _axis(name: str) -> str:
    name = name.lower()
    return "score" if name in _SCORES else name


def _is_deeplabcut(path: Path) -> bool:
    with path.open("rb") as file:
        return b"bodyparts" in file.read(2**18)


def _deeplabcut(files: Sequence[Path]) -> Poses:
    (path,) = files
    rows, dialect = read_cells(path)
    heads = {row[0].lower(): (place, row) for place, (_, row) in enumerate(rows[:4], start=1)}
    if not {"bodyparts", "coords"} <= set(heads):
        raise InputError(f"{path}: no rows 'bodyparts' and 'coords'; give DeepLabCut's table")
    begin, axes = heads["coords"]
    animals = heads.get("individuals", (0, [""] * len(axes)))[1]
    columns: Columns = {}
    cells = zip(animals, heads["bodyparts"][1], axes, strict=False)
    for number, (animal, joint, axis) in enumerate(cells):
        if number and _axis(axis) in _AXES:
            columns.setdefault(animal, {}).setdefault(joint, {})[_axis(axis)] = number
    return _poses_of_table(path, rows[begin:], dialect, columns)


def _joint_columns(head: Sequence[str]) -> dict[str, dict[str, int]]:
    """Columns of each joint of a wide table: x, y, and where there are any z and score."""
    joints: dict[str, dict[str, int]] = {}
    for number, name in enumerate(head):
        match = _CELL.fullmatch(name)
        if match and name.lower() != "instance.score":
            joints.setdefault(match[1], {})[_axis(match[2])] = number
    return {joint: columns for joint, columns in joints.items() if {"x", "y"} <= set(columns)}


def _is_wide(path: Path) -> bool:
    return path.name != TABLE and len(_joint_columns(first_row(path))) > 1


def _wide(files: Sequence[Path]) -> Poses:
    (path,) = files
    ((_, head), *rows), dialect = read_cells(path)
    lower = [name.lower() for name in head]
    frame, body = (
        next((lower.index(name) for name in names if name in lower), None)
        for names in (_FRAMES, _BODIES)
    )
    return _poses_of_table(path, rows, dialect, {"": _joint_columns(head)}, frame, body)


def _poses_of_table(
    path: Path,
    rows: Sequence[tuple[int, list[str]]],
    dialect: Dialect,
    columns: Columns,
    frame: int | None = None,
    body: int | None = None,
) -> Poses:
    """Poses of rows; ``frame`` and ``body`` are the columns that number frames and name bodies."""
    every = [each for joints in columns.values() for each in joints.values()]
    numbered = sorted(n for each in every for n in each.values())
    numbered += [] if frame is None else [frame]
    width = max((len(row) for _, row in rows), default=0)
    if not rows or not numbered or max(numbered) >= width:
        raise InputError(f"{path}: no row of numbers for all of its columns; leave the file out")
    cells = np.array([row + [""] * (width - len(row)) for _, row in rows], dtype=object)
    values = np.full((len(rows), width + 1), np.nan)  # the last column: what a body has not
    values[:, numbered], wrong = to_numbers(cells[:, numbered], dialect)
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        raise InputError(
            f"{path}, line {rows[row][0]}: {cells[row, numbered[column]][:40]!r} where a number "
            "should be; correct the row"
        )
    when = np.arange(len(rows)) if frame is None else values[:, frame]
    if not (np.abs(when) < 1e9).all() or (when != np.round(when)).any():
        raise InputError(f"{path}: a frame's number is no whole number; correct it")
    axes = [axis for axis in _AXES if all(axis in each for each in every)]
    joints = tuple(dict.fromkeys(joint for each in columns.values() for joint in each))
    frames: Frames = {}
    known: Persons = {}
    for animal, of_joint in columns.items():
        places = [of_joint.get(joint, {}).get(axis, width) for joint in joints for axis in axes]
        found = values[:, places].reshape(len(rows), len(joints), len(axes))
        for number, at in enumerate(when.astype(int).tolist()):
            frames.setdefault(at, []).append(found[number])
            known.setdefault(at, []).append(animal if body is None else cells[number, body])
    return followed(str(path), frames, known, "score" in axes)._replace(joints=joints)


#: The last are tables of a row a frame with columns such as ``nose_x``, ``nose_y``, ``nose_score``.
KINDS = (
    Kind(
        "openpose",
        "OpenPose",
        "*_keypoints.json",
        lambda path: path.name.endswith("_keypoints.json"),
        _openpose,
        _by_video,
    ),
    Kind("alphapose", "AlphaPose", "*.json", _is_alphapose, _alphapose, _one_each),
    Kind("deeplabcut", "DeepLabCut", "*.csv", _is_deeplabcut, _deeplabcut, _one_each),
    Kind("wide", "wide tables", "*.csv", _is_wide, _wide, _one_each),
)

FORMATS = tuple(
    Format(
        kind.name,
        functools.partial(open_estimates, kind),
        kind.recognizes,
        kind.title,
        ("min_score", "score"),
    )
    for kind in KINDS
)
