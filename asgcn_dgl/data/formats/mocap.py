"""Motion capture as exponential maps: the subsets of CMU and Human3.6M for pose prediction.

A file is one recording, a line a frame, numbers parted by commas: the translation of the root,
then three numbers of each joint, the exponential map of its rotation relative to its parent
(Fragkiadaki et al., ICCV 2015; Li et al., CVPR 2018). Positions follow by forward kinematics with
one skeleton for all subjects.
"""

from __future__ import annotations

import functools
import json
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from asgcn_dgl.data import files as data_files
from asgcn_dgl.data.clip import Clip
from asgcn_dgl.data.files import by_name, check_choice, find_files
from asgcn_dgl.data.formats.folder import CLASS_NAMES, FolderReader
from asgcn_dgl.data.formats.table import NUMBERS, ClipTable, tabled
from asgcn_dgl.data.reader import Format, Split
from asgcn_dgl.data.rotations import expmap_to_matrix, forward_kinematics
from asgcn_dgl.errors import InputError
from asgcn_dgl.skeleton import SkeletonLayout, get_layout

logger = logging.getLogger(__name__)

#: Frames a second of both sets.
FPS = 50.0

#: A larger exponential map is no angle in radians.
LARGEST = 4 * np.pi

#: What can be kept of the root: all, its orientation, or nothing (as published protocols do).
ROOTS = ("keep", "turn", "none")

#: What becomes of the angles: positions by forward kinematics, or exponential maps as they are.
FORMS = ("positions", "angles")

#: A first frame that turns fewer joints is a pose for calibration. In CMU's it turns 7.
FEW_JOINTS = 10


#: Bone of each joint, mm: facts that the field's code uses for all subjects (LearnTrajDep, Mao et
#: al., ICCV 2019); parents are those of the layouts.
_OFFSETS = json.loads(resources.files("asgcn_dgl.data.formats").joinpath("bones.json").read_text())


@dataclass(frozen=True)
class Recorder:
    """How a set records: ``unit`` mm of the root's translation by 1, and how its files are called.

    ``path`` is the pattern of a path without its suffix, ``form`` says it in words.
    """

    name: str
    layout_name: str
    unit: float
    path: str
    form: str

    @property
    def layout(self) -> SkeletonLayout:
        """Layout of V joints."""
        return get_layout(self.layout_name)

    @property
    def offsets(self) -> list[list[float]]:
        """(V, 3) bones, mm."""
        return _OFFSETS[self.layout_name]

    @property
    def actions(self) -> tuple[str, ...]:
        """Names of the actions, by label."""
        return CLASS_NAMES[self.name]

    @property
    def columns(self) -> int:
        """Numbers of a frame, 3 + 3 V."""
        return 3 + 3 * len(self.offsets)


#: CMU. One unit of the translation is 70 mm, as in the bones' offsets; then the feet that carry a
#: walker do not slide. (Bodies come out a quarter larger than life, as in all published errors.)
_CMU_PATH = r"(?P<part>\w+)/(?P<action>\w+?)(?P<extra>_extra)?/(?P=action)_(?P<replication>\d{1,4})"
CMU = Recorder("cmu", "cmu38", 70.0, _CMU_PATH, "train/ACTION/ACTION_N.txt")

_H36M_PATH = r"S(?P<subject>\d{1,2})/(?P<action>[a-z]+)_(?P<replication>\d)"
H36M = Recorder("h36m", "h36m32", 1.0, _H36M_PATH, "S1/ACTION_N.txt")


def read_angles(path: str | Path, recorder: Recorder) -> np.ndarray:
    """Read (T, 3 + 3 V) float64: the root's translation in the set's unit, then radians."""
    lines = data_files.read_lines(path)
    values = data_files.read_numbers(path, lines, recorder.columns, delimiter=",")
    large = np.abs(values[:, 3:]) > LARGEST
    if large.any():
        row, column = (int(place) for place in np.argwhere(large)[0])
        raise InputError(
            f"{path}, line {row + 1}, column {column + 4}: {values[row, column + 3]:g} is no "
            "exponential map in radians; give the set's files of exponential maps"
        )
    return values


def angles_to_positions(
    values: np.ndarray, recorder: Recorder, root_motion: str = "keep"
) -> np.ndarray:
    """Return positions (T, V, 3) in meters of the numbers of :func:`read_angles`.

    ``root_motion="keep"``: the root moves and turns as recorded; ``"turn"``: it only turns;
    ``"none"``: neither, as in published protocols of pose prediction.
    """
    frames, joints = len(values), len(recorder.offsets)
    expmap = values[:, 3:].reshape(frames, joints, 3).copy()
    offset = np.broadcast_to(np.array(recorder.offsets), expmap.shape).copy()
    if root_motion == "keep":
        offset[:, 0] = values[:, :3] * recorder.unit
    if root_motion == "none":
        expmap[:, 0] = 0
    # The sets turn rows, x @ R.
    rotation = expmap_to_matrix(expmap).swapaxes(-1, -2)
    return forward_kinematics(rotation, offset / 1000, recorder.layout.parents)


def read_mocap(
    path: str | Path,
    recorder: Recorder,
    *,
    step: int = 1,
    root_motion: str = "keep",
    rest_pose: str = "drop",
    form: str = "positions",
    name: str | None = None,
    label: int = -1,
    meta: Mapping[str, Any] | None = None,
) -> Clip:
    """Read a recording as a clip of one body, all joints seen, meters.

    ``step`` keeps every step-th frame: 2 makes 25 frames a second of 50. ``root_motion`` as in
    :func:`angles_to_positions`. Every CMU file begins with a pose of calibration, which
    ``rest_pose="drop"`` removes and ``"keep"`` keeps, as the published code does.
    ``form="angles"`` puts the exponential map of a joint, in radians, in the place of its position;
    that of the root is 0 with ``root_motion="none"``.
    """
    _check(step, root_motion, rest_pose, form)
    values = read_angles(path, recorder)
    if rest_pose == "drop" and len(values) > 1 and np.count_nonzero(values[0, 3:]) < FEW_JOINTS:
        values = values[1:]
    values = values[::step]
    joints = len(recorder.offsets)
    data_files.check_memory(
        path, len(values) * joints * 9 * 8, f"{len(values)} frames of {joints} joints"
    )
    if form == "angles":
        pos = values[:, 3:].reshape(len(values), joints, 3)
        if root_motion == "none":
            pos[:, 0] = 0
    else:
        pos = angles_to_positions(values, recorder, root_motion)
    return Clip.from_positions(
        Path(path).stem if name is None else name,
        recorder.layout,
        pos[None],
        np.ones((1, *pos.shape[:2]), dtype=bool),
        label,
        {"path": str(path), "fps": FPS / step, **(meta or {})},
    )


def _check(step: int, root_motion: str, rest_pose: str, form: str) -> None:
    data_files.check_step(step)
    check_choice("root_motion", root_motion, ROOTS)
    check_choice("rest_pose", rest_pose, ("drop", "keep"))
    check_choice("form", form, FORMS)


def open_cmu(
    root: str | Path,
    step: int = 1,
    root_motion: str = "keep",
    rest_pose: str = "drop",
    extra: bool = False,
    form: str = "positions",
) -> FolderReader:
    """Open CMU's folder ``{train,test}/ACTION/ACTION_N.txt`` or one file; the split is ``folders``.

    ``extra`` adds the walking of ``walking_extra``, which the protocol of eight actions does not
    have; other options as for :func:`read_mocap`.
    """
    options = {"root_motion": root_motion, "rest_pose": rest_pose, "form": form}
    _check(step, **options)
    root = Path(root)
    if root.is_file():
        return _reader(CMU, {root.stem: root}, [{}], {}, step=step, **options)
    files: dict[Path, dict[str, str]] = {}
    left_out = 0
    for part in ("train", "test"):
        for path in find_files(root / part, "*.txt", f"the set's {part} recordings of CMU"):
            known = _facts(CMU, path, f"{part}/{path.parent.name}/{path.stem}")
            if known["extra"] and not extra:
                left_out += 1
            else:
                files[path] = known
    if left_out:
        logger.warning(
            "%s: %d files of walking_extra are left out (option extra=true takes them)",
            *(root, left_out),
        )
    names = [f"{each['part']}{each['extra'] or ''}_{path.stem}" for path, each in files.items()]
    splits = {"folders": Split.of(each["part"] for each in files.values())}
    found = by_name(names, list(files))
    return _reader(CMU, found, list(files.values()), splits, step=step, **options)


def open_h36m(
    root: str | Path, step: int = 1, root_motion: str = "keep", form: str = "positions"
) -> FolderReader:
    """Open Human3.6M's folder ``S*/ACTION_N.txt`` or one file; options as :func:`read_mocap`.

    Splits: in ``s5`` subject 5 tests, in ``s11`` subject 11, with which published code chooses; in
    both subjects 1, 6, 7, 8 and 9 train.
    """
    options = {"root_motion": root_motion, "rest_pose": "keep", "form": form}
    _check(step, **options)
    root = Path(root)
    if root.is_file():
        return _reader(H36M, {root.stem: root}, [{}], {}, step=step, **options)
    files = find_files(root, "S*/*.txt", "the set's subjects S1, S5, ... of Human3.6M")
    facts = [_facts(H36M, path, f"{path.parent.name}/{path.stem}") for path in files]
    subjects = [int(known["subject"]) for known in facts]
    splits = {}
    for tests in (5, 11):
        part = {**dict.fromkeys((1, 6, 7, 8, 9), "train"), tests: "test"}
        splits[f"s{tests}"] = Split.of(part.get(subject) for subject in subjects)
    names = [f"S{subject}_{path.stem}" for subject, path in zip(subjects, files, strict=True)]
    return _reader(H36M, by_name(names, files), facts, splits, step=step, **options)


def _facts(recorder: Recorder, path: Path, place: str) -> dict[str, str]:
    """Return what the path of a recording says."""
    match = re.fullmatch(recorder.path, place)
    if match is None or match["action"] not in recorder.actions:
        raise InputError(
            f"{path}: not of the form {recorder.form} with an action of "
            f"{', '.join(recorder.actions)}; move it out of the folder"
        )
    return match.groupdict()


def _reader(
    recorder: Recorder,
    files: Mapping[str, Path],
    facts: Sequence[Mapping[str, str]],
    splits: Mapping[str, Split],
    **options: Any,
) -> FolderReader:
    """Make a reader of files by name, of which action and numbers may be known."""
    known = dict(zip(files, facts, strict=True))
    table = ClipTable(
        recorder.actions,
        {n: recorder.actions.index(each["action"]) for n, each in known.items() if each},
        {n: {k: int(each[k]) for k in NUMBERS if k in each} for n, each in known.items()},
        splits,
    )
    read_file = functools.partial(read_mocap, recorder=recorder)
    return tabled(files, recorder.layout, table, read_file, **options)


def _recognizes(recorder: Recorder, path: Path) -> bool:
    if path.is_dir():
        pattern = "S*/*.txt" if recorder is H36M else "train/*/*.txt"
        path = next(path.glob(pattern), path)
    if path.suffix.lower() != ".txt":
        return False
    return data_files.first_bytes(path).split(b"\n", 1)[0].count(b",") == recorder.columns - 1


FORMATS = tuple(
    Format(recorder.name, open_it, functools.partial(_recognizes, recorder), "motion capture", own)
    for recorder, open_it, own in (
        (CMU, open_cmu, ("step", "root_motion", "rest_pose", "form")),
        (H36M, open_h36m, ("step", "root_motion", "form")),
    )
)
