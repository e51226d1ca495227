"""BVH, the text of motion capture: a hierarchy of joints, then a line of channels a frame.

Grammar (Biovision; Meredith and Maddock, 2001)::

    HIERARCHY ROOT name { OFFSET x y z  CHANNELS n names...  JOINT name {...}  End Site {...} }
    MOTION  Frames: n  Frame Time: seconds  then n lines of numbers

A joint turns by its rotation channels from the left to the right, ``R = R1 @ R2 @ R3``, degrees.
"""

from __future__ import annotations

import functools
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from asgcn_dgl.data import files as data_files
from asgcn_dgl.data.clip import Clip
from asgcn_dgl.data.files import check_memory, plain_name, read_lines, read_numbers
from asgcn_dgl.data.formats.folder import FolderReader
from asgcn_dgl.data.formats.table import known_facts, path_names, tabled
from asgcn_dgl.data.reader import Format
from asgcn_dgl.data.rotations import axis_to_matrix, forward_kinematics
from asgcn_dgl.errors import InputError
from asgcn_dgl.skeleton import SkeletonLayout

logger = logging.getLogger(__name__)

CHANNELS = {
    f"{axis}{kind}".lower(): (kind, number)
    for kind in ("position", "rotation")
    for number, axis in enumerate("XYZ")
}

#: What text is in that is not Unicode: letters matter in names alone.
_ENCODING = "cp1252"

#: More joints than any skeleton has: the file is no motion capture.
MAX_JOINTS = 1000

_SIDE = (
    re.compile(r"(?i)(?:^|(?<=[_.: -]))(left|right)"),  # LeftArm, mixamorig:LeftArm, left_arm
    re.compile(r"(?i)(left|right)(?=_end$|$)"),  # ArmLeft
    re.compile(r"^([lr])(?=[A-Z_.])"),  # lShldr, l_arm
    re.compile(r"^([LR])(?=[A-Z][a-z]|[_.])"),  # LArm, L_arm
    re.compile(r"(?i)(?<=[_.])([lr])(?=_end$|$)"),  # arm_l
)
_OTHER = {"left": "right", "right": "left", "l": "r", "r": "l"}


@dataclass(frozen=True)
class Hierarchy:
    """The head of a BVH file: V joints, their parents (-1 for the root, the first), bones (V, 3).

    The end of a chain is called ``PARENT_end``. ``channels`` has joint, ``"position"`` or
    ``"rotation"``, and axis of each number of a frame.
    """

    joints: tuple[str, ...]
    parents: tuple[int, ...]
    offsets: np.ndarray
    channels: tuple[tuple[int, str, int], ...]

    def layout(self, name: str = "bvh") -> SkeletonLayout:
        """Make a layout: its centre is the root, its mirror pairs follow from names.

        A pair is of two names that differ in left and right (or l and r), in subtrees that mirror
        one another.
        """
        bones = [(parent, joint) for joint, parent in enumerate(self.parents) if parent >= 0]
        return SkeletonLayout.from_bones(
            name, bones, joints=self.joints, center=0, mirror=self._mirror()
        )

    def _mirror(self) -> list[tuple[int, int]]:
        place = {joint: number for number, joint in enumerate(self.joints)}
        twin = list(range(len(self.joints)))
        for number, (name, parent) in enumerate(zip(self.joints, self.parents, strict=True)):
            other = place.get(_mirrored(name), number)
            named = _mirrored(self.joints[other]) == name
            if named and parent >= 0 and twin[parent] == self.parents[other]:
                twin[number] = other
        return [
            (joint, twin[joint])
            for joint, name in enumerate(self.joints)
            if twin[joint] != joint and (side := _side(name)) and side[1][0] in "lL"
        ]


def _side(name: str) -> re.Match[str] | None:
    return next(filter(None, (pattern.search(name) for pattern in _SIDE)), None)


def _mirrored(name: str) -> str:
    """The name with left and right exchanged, in the same letters' case."""
    match = _side(name)
    if match is None:
        return name
    word, other = match[1], _OTHER[match[1].lower()]
    if word.isupper():
        other = other.upper()
    elif word[0].isupper():
        other = other.capitalize()
    return name[: match.start(1)] + other + name[match.end(1) :]


class _Words:
    """Words of the head: ``next`` is still to be taken, ``line`` that of the one before it."""

    def __init__(self, path: Path, lines: list[str]) -> None:
        self.path = path
        self.line = 1
        self._words = (
            (number, word)
            for number, line in enumerate(lines, start=1)
            for word in line.replace("{", " { ").replace("}", " } ").split()
        )
        self._at, self.next = next(self._words, (1, ""))

    def take(self, wanted: str = "") -> str:
        """Take the next word, which has to be this one."""
        word, self.line = self.next, self._at
        if not word or (wanted and word.upper() != wanted):
            raise self.error(f"{word[:40]!r} instead of {wanted or 'a word'}")
        self._at, self.next = next(self._words, (self.line, ""))
        return word

    def number(self) -> float:
        """Take a finite number."""
        word = self.take()
        try:
            value = float(word.replace(",", "."))
        except ValueError:
            value = np.nan
        if not np.isfinite(value):
            raise self.error(f"{word[:40]!r} instead of a number")
        return value

    def name(self) -> str:
        """Take a name, of one word or several, up to the brace."""
        words = [self.take()]
        while self.next not in ("{", "") and len(words) < 10:
            words.append(self.take())
        return plain_name(" ".join(words), f"{self.path}, line {self.line}")

    def error(self, text: str) -> InputError:
        return InputError(f"{self.path}, line {self.line}: {text}; export the file again as BVH")


def read_hierarchy(path: str | Path) -> Hierarchy:
    """Read the head of a BVH file."""
    return _head(Path(path), read_lines(path, _ENCODING))[0]


def _head(path: Path, lines: list[str]) -> tuple[Hierarchy, int]:
    """Read the hierarchy; also return the line of MOTION."""
    words = _Words(path, lines)
    words.take("HIERARCHY")
    joints: list[str] = []  # empty: an end, named when all others are known
    parents: list[int] = []
    offsets: list[tuple[float, float, float]] = []
    channels: list[tuple[int, str, int]] = []
    stack: list[int] = []
    words.take("ROOT")
    kind = "ROOT"
    while True:
        name = "" if kind == "END" else words.name()
        if name and name in joints:
            raise words.error(f"a second joint {name!r}; give joints different names")
        if len(joints) == MAX_JOINTS:
            raise words.error(f"more than {MAX_JOINTS} joints")
        parents.append(stack[-1] if stack else -1)
        stack.append(len(joints))
        joints.append(name)
        words.take("{")
        channels += _channels(words, stack[-1]) if name else []
        words.take("OFFSET")
        offsets.append((words.number(), words.number(), words.number()))
        channels += _channels(words, stack[-1]) if name else []
        while stack and words.next == "}":
            words.take()
            stack.pop()
        if not stack:
            break
        kind = words.take().upper()
        if kind == "END":
            words.take("SITE")
        elif kind != "JOINT":
            raise words.error(f"{kind[:40]!r} instead of JOINT, End Site or }}")
        if not joints[stack[-1]]:
            raise words.error("a joint in an End Site")
    if words.next.upper() == "ROOT":
        words.take()
        raise words.error("a second ROOT; write each skeleton to a file of its own")
    words.take("MOTION")
    if not channels:
        raise words.error("no joint has channels: nothing can move")
    for end in (number for number, name in enumerate(joints) if not name):
        joints[end] = _end_name(joints, parents[end])
    return Hierarchy(tuple(joints), tuple(parents), np.array(offsets), tuple(channels)), words.line


def _end_name(joints: list[str], parent: int) -> str:
    """Name the end of a chain after its parent; further ends of one joint are numbered."""
    name = f"{joints[parent]}_end"
    numbered = (f"{name}{number}" for number in range(2, MAX_JOINTS))
    return name if name not in joints else next(each for each in numbered if each not in joints)


def _channels(words: _Words, joint: int) -> list[tuple[int, str, int]]:
    """Take the channels of a joint, if they are next."""
    if words.next.upper() != "CHANNELS":
        return []
    words.take()
    count = words.number()
    if count not in range(7):
        raise words.error(f"{count:g} channels where a joint has at most 6")
    found: list[tuple[int, str, int]] = []
    for _ in range(int(count)):
        word = words.take()
        if word.lower() not in CHANNELS:
            raise words.error(f"{word[:40]!r} instead of a channel such as Xrotation")
        kind, axis = CHANNELS[word.lower()]
        if (joint, kind, axis) in found:
            raise words.error(f"channel {word} twice")
        found.append((joint, kind, axis))
    return found


def read_bvh(
    path: str | Path,
    layout: SkeletonLayout | None = None,
    *,
    scale: float = 1.0,
    step: int = 1,
    positions: str = "replace",
    name: str | None = None,
    label: int = -1,
    meta: Mapping[str, Any] | None = None,
) -> Clip:
    """Read a recording.

    Parameters
    ----------
    path
        ``.bvh`` file.
    layout
        Layout that the file has to fit; None: the file's own.
    scale
        Metres of the file's unit, such as 0.01 where it is written in centimetres.
    step
        Keep every step-th frame.
    positions
        Meaning of a joint's position channels. ``"replace"``: they replace its
        offset. ``"add"``: they are added to it; programs differ. The two agree where the root's
        offset is zero and only the root has such channels.
    name, label, meta
        Of the clip; the name is by default the file's.

    Returns
    -------
    Clip
        One body, all joints seen, the ends of chains too.

    Raises
    ------
    InputError
        If the file cannot be read or does not fit the layout; the message names the line.
    """
    _check(scale, step, positions)
    path = Path(path)
    lines = read_lines(path, _ENCODING)
    hierarchy, line = _head(path, lines)
    layout = hierarchy.layout() if layout is None else _fitting(path, hierarchy, layout)
    seconds, values = _motion(path, lines, line, hierarchy)
    values = values[::step]
    frames, joints = len(values), len(hierarchy.joints)
    check_memory(path, frames * joints * 9 * 8, f"{frames} frames of {joints} joints")
    pos = scale * _positions(hierarchy, values, positions)
    return Clip.from_positions(
        path.stem if name is None else name,
        layout,
        pos[None],
        np.ones((1, *pos.shape[:2]), dtype=bool),
        label,
        {"path": str(path), "fps": 1 / (seconds * step), **(meta or {})},
    )


def _check(scale: float, step: int, positions: str) -> None:
    if isinstance(scale, bool) or not isinstance(scale, int | float) or not 0 < scale < 1e6:
        raise InputError(f"scale must be a number above 0, got {scale!r}")
    data_files.check_step(step)
    data_files.check_choice("positions", positions, ("replace", "add"))


def _fitting(path: Path, hierarchy: Hierarchy, layout: SkeletonLayout) -> SkeletonLayout:
    bones = {(parent, joint) for joint, parent in enumerate(hierarchy.parents) if parent >= 0}
    if layout.joints != hierarchy.joints or set(layout.bones) != bones:
        other = next(
            (name for name in hierarchy.joints if name not in layout.joints),
            "the same joints with other bones or in another order",
        )
        raise InputError(
            f"{path}: its skeleton ({len(hierarchy.joints)} joints, among them {other}) is not "
            f"{layout.name!r} of the other files; prepare the files of each skeleton separately"
        )
    return layout


def _motion(
    path: Path, lines: list[str], line: int, hierarchy: Hierarchy
) -> tuple[float, np.ndarray]:
    """Seconds of a frame, and (T, channels) numbers."""
    found = [(n, text.strip()) for n, text in enumerate(lines[line - 1 :], line) if text.strip()]
    head, numbers = found[1:3], found[3:]  # after MOTION itself
    head += [(len(lines), "")] * (2 - len(head))
    (place, count), (below, step) = head
    frames = _value(path, place, count, r"Frames\s*:?\s*(\d{1,9})", "Frames: 100")
    seconds = _value(path, below, step, r"Frame\s+Time\s*:?\s*(\S+)", "Frame Time: 0.01")
    rows = [text if "." in text else text.replace(",", ".") for _, text in numbers]
    if not rows:
        raise InputError(f"{path}, line {place}: no line of numbers follows; export it again")
    if len(rows) != frames:
        logger.warning(
            "%s, line %d: %d frames announced, %d lines follow; the first %d are read",
            *(path, place, frames, len(rows), min(frames, len(rows))),
        )
        rows = rows[: int(frames)]
    return seconds, read_numbers(path, rows, len(hierarchy.channels), numbers[0][0])


def _value(path: Path, line: int, text: str, pattern: str, usual: str) -> float:
    match = re.fullmatch(pattern, text, re.IGNORECASE)
    try:
        value = float(match[1].replace(",", ".")) if match else -1.0
    except ValueError:
        value = -1.0
    if not 0 < value < 1e9:
        raise InputError(
            f"{path}, line {line}: {text[:40]!r} instead of a line such as {usual!r}; the file is "
            "damaged: export it again"
        )
    return value


def _positions(hierarchy: Hierarchy, values: np.ndarray, positions: str) -> np.ndarray:
    """(T, V, 3) positions, units of the file."""
    frames, joints = len(values), len(hierarchy.joints)
    rotation = np.broadcast_to(np.eye(3), (frames, joints, 3, 3)).copy()
    offset = np.broadcast_to(hierarchy.offsets, (frames, joints, 3)).copy()
    for (joint, kind, axis), value in zip(hierarchy.channels, values.T, strict=True):
        if kind == "rotation":
            turn = axis_to_matrix(axis, np.radians(value))
            rotation[:, joint] = rotation[:, joint] @ turn
        elif positions == "replace":
            offset[:, joint, axis] = value
        else:
            offset[:, joint, axis] += value
    with np.errstate(over="ignore", invalid="ignore"):  # the clip refuses what is not finite
        return forward_kinematics(rotation, offset, hierarchy.parents)


def open_bvh(
    root: str | Path,
    scale: float = 1.0,
    step: int = 1,
    positions: str = "replace",
    labels: str = "table",
) -> FolderReader:
    """Look at a folder of BVH files of one skeleton, or one file; the page "BVH" has the options.

    The layout is that of the first file.
    """
    _check(scale, step, positions)
    root = Path(root)
    files = data_files.find_files(root, "*.[bB][vV][hH]", "BVH files")
    names = path_names(root if root.is_dir() else root.parent, files)
    layout = read_hierarchy(files[0]).layout()
    return tabled(
        data_files.by_name(names, files),
        layout,
        known_facts(root, names, labels),
        functools.partial(read_bvh, layout=layout),
        scale=scale,
        step=step,
        positions=positions,
    )


def _recognizes(path: Path) -> bool:
    if path.is_dir():
        return next(path.rglob("*.[bB][vV][hH]"), None) is not None
    return path.suffix.lower() == ".bvh"


FORMAT = Format("bvh", open_bvh, _recognizes, "BVH", ("scale", "step", "positions"))
