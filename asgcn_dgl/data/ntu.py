"""Reader of NTU RGB+D's raw ``.skeleton`` text (Shahroudy et al., CVPR 2016; Liu et al., 2019).

A file is a number of frames, then for each frame the number of bodies, then for each body a line
of ten fields that begins with its identity, the number of joints, and for each joint a line of
twelve numbers: x y z in metres, depth x y, colour x y, a quaternion, and the tracking state
(0 not tracked, 1 inferred, 2 tracked).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from asgcn_dgl.data.clip import Clip, RecordingName, read_bytes
from asgcn_dgl.errors import InputError
from asgcn_dgl.skeleton import get_layout

NUM_JOINTS = 25
BODY_FIELDS = 10
JOINT_FIELDS = 12

#: Columns of a joint line that are read: x, y, z, tracking state.
_COLUMNS = (0, 1, 2, 11)

_NAME = re.compile(r"S(\d{3})C(\d{3})P(\d{3})R(\d{3})A(\d{3})")

_AGAIN = "the file is truncated or damaged, copy it again from its source"


def parse_ntu_name(name: str | Path) -> RecordingName:
    """Read set-up, camera, subject, repetition and action from a file name.

    Parameters
    ----------
    name
        File name or path, with or without its extension.

    Returns
    -------
    RecordingName
        The numbers as they stand in the name.

    Raises
    ------
    InputError
        If the name is not of the form ``SsssCcccPpppRrrrAaaa``, or a number in it is 0.

    Examples
    --------
    >>> parse_ntu_name("S001C003P008R002A058.skeleton")
    RecordingName(action=58, subject=8, camera=3, setup=1, replication=2)
    """
    match = _NAME.fullmatch(Path(name).stem)
    numbers = [int(part) for part in match.groups()] if match else [0]
    if 0 in numbers:
        raise InputError(
            f"{name}: the name is not of the form SsssCcccPpppRrrrAaaa with numbers from 001; "
            "rename the file as the data set has it, or move it out of the folder"
        )
    setup, camera, subject, replication, action = numbers
    return RecordingName(action, subject, camera, setup, replication)


def read_ntu(path: str | Path, max_bodies: int = 2, min_state: int = 1) -> Clip:
    """Read one recording.

    Parameters
    ----------
    path
        ``.skeleton`` file. Its label is the action number of its name less one; a file that is
        named otherwise has no label.
    max_bodies
        M, bodies to keep: those that move most, by :func:`energy`, most energetic first.
    min_state
        Joints of a lower tracking state are missing: 1 leaves out what was not tracked, 2 what
        was inferred too, 0 nothing.

    Returns
    -------
    Clip
        Up to M bodies over all frames, 25 joints, metres. Bodies are told apart by their
        identity in the file; where one is not there its joints are masked.

    Raises
    ------
    InputError
        If the file cannot be read, is truncated or garbled, holds NaN or infinite coordinates, a
        wrong number of joints, no frame or no body. The message names the line.
    ValueError
        If ``max_bodies`` is below 1.
    """
    if max_bodies < 1:
        raise ValueError(f"max_bodies must be at least 1, got {max_bodies}")
    path = Path(path)
    text = _Text(path)
    num_frames, blocks = _walk(text)
    values = _numbers(text, [block.line for block in blocks])
    pos, seen = _tracks(num_frames, blocks, values, min_state)
    order = np.argsort([-energy(*body) for body in zip(pos, seen, strict=True)], kind="stable")
    keep = [body for body in order.tolist() if seen[body].any()][:max_bodies] or [0]
    meta: dict[str, Any] = {"path": str(path), "tracks": len(pos)}
    label = -1
    if _NAME.fullmatch(path.stem):
        name = parse_ntu_name(path)
        label = name.action - 1
        meta.update(name._asdict())
    layout = get_layout("ntu25")
    return Clip.from_positions(path.stem, layout, pos[keep], seen[keep], label, meta)


def energy(pos: np.ndarray, mask: np.ndarray) -> float:
    """Measure how much a body moves: the standard deviations of its coordinates, summed.

    Taken over all joints and frames in which the body is there, as the published preparations of
    the set do; tables and chairs that the sensor took for bodies hardly move.

    Parameters
    ----------
    pos
        (T, V, d) positions.
    mask
        (T, V) True where a joint was seen.

    Returns
    -------
    float
        In the unit of the positions; 0 for a body that was never seen.

    Examples
    --------
    >>> import numpy as np
    >>> pos = np.array([[[0.0, 1.0]], [[2.0, 1.0]], [[9.0, 9.0]]])  # T = 3, V = 1, d = 2
    >>> energy(pos, np.array([[True], [True], [False]]))
    1.0
    """
    return float(pos[mask].std(axis=0).sum()) if mask.any() else 0.0


def read_sample_names(path: str | Path) -> frozenset[str]:
    """Read a list of recordings, such as the published lists of those with missing skeletons.

    Parameters
    ----------
    path
        Text file of one name ``SsssCcccPpppRrrrAaaa`` a line; blank lines are passed over.

    Returns
    -------
    frozenset of str
        The names.

    Raises
    ------
    InputError
        If the file cannot be read or a line is no such name.
    """
    names = set()
    for number, line in enumerate(_Text(Path(path)).lines, start=1):
        name = line.strip().removesuffix(".skeleton")
        if name and not _NAME.fullmatch(name):
            raise InputError(
                f"{path}, line {number}: {name[:40]!r} is no name of the form "
                "SsssCcccPpppRrrrAaaa; give a list of one name a line"
            )
        names.add(name)
    return frozenset(names - {""})


@dataclass(frozen=True)
class _Block:
    """The joint lines of one body in one frame."""

    frame: int
    identity: str
    line: int  # of the first joint, counted from 1


class _Text:
    """Lines of a file, with errors that name one of them. Lines are counted from 1."""

    def __init__(self, path: Path) -> None:
        self.path = path
        data = read_bytes(path)
        try:
            self.lines = data.decode("ascii").rstrip().split("\n")
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            raise self.error(line, f"not plain text; {_AGAIN}") from error

    def error(self, line: int, text: str) -> InputError:
        return InputError(f"{self.path}, line {line}: {text}")

    def line(self, line: int, what: str) -> str:
        if line > len(self.lines):
            raise self.error(len(self.lines), f"the file ends where {what} should follow; {_AGAIN}")
        return self.lines[line - 1]

    def count(self, line: int, what: str) -> int:
        text = self.line(line, what).strip()
        if not text.isdigit() or len(text) > 9:
            raise self.error(line, f"{text[:40]!r} where {what} should stand; {_AGAIN}")
        return int(text)


def _walk(text: _Text) -> tuple[int, list[_Block]]:
    """Find where each body of each frame stands, without reading its joints."""
    num_frames = text.count(1, "the number of frames")
    if not num_frames:
        raise text.error(1, "the recording has no frame; remove the file from the data")
    blocks: list[_Block] = []
    at = 2
    for frame in range(num_frames):
        place = f"frame {frame + 1} of {num_frames}"
        bodies = text.count(at, f"the number of bodies of {place}")
        at += 1
        for _ in range(bodies):
            blocks.append(_Block(frame, _identity(text, at, place), at + 2))
            at += 2 + NUM_JOINTS
    if at <= len(text.lines):
        raise text.error(
            at, f"the file goes on after the last of its {num_frames} frames; {_AGAIN}"
        )
    if not blocks:
        raise text.error(
            1,
            f"no body in any of the {num_frames} frames; remove the file or list it among the "
            "samples to drop",
        )
    return num_frames, blocks


def _identity(text: _Text, at: int, place: str) -> str:
    """Check the head of a body and that its joint lines are there; return its identity."""
    fields = text.line(at, f"a body of {place}").split()
    if len(fields) != BODY_FIELDS or not fields[0].isdigit():
        raise text.error(
            at,
            f"{' '.join(fields)[:40]!r} where the {BODY_FIELDS} fields of a body of {place} should "
            f"stand; {_AGAIN}",
        )
    joints = text.count(at + 1, f"the number of joints of a body of {place}")
    if joints != NUM_JOINTS:
        raise text.error(
            at + 1,
            f"{joints} joints where NTU RGB+D has {NUM_JOINTS}; the file is of another data set "
            "or damaged",
        )
    text.line(at + 1 + NUM_JOINTS, f"joint lines of {place}")
    return fields[0]


def _numbers(text: _Text, starts: list[int]) -> np.ndarray:
    """(n, V, 4) x, y, z and tracking state of n bodies whose joints start at the given lines."""
    rows = [row for start in starts for row in text.lines[start - 1 : start - 1 + NUM_JOINTS]]
    try:
        values = np.loadtxt(rows, usecols=_COLUMNS, comments=None, ndmin=2)
    except ValueError as error:
        raise _row_error(text, starts, rows) from error
    if len(values) != len(rows):  # blank lines are passed over
        raise _row_error(text, starts, rows)
    wrong = ~np.isfinite(values).all(axis=1) | ~np.isin(values[:, 3], (0, 1, 2))
    if wrong.any():
        row = int(wrong.argmax())
        raise text.error(_line(starts, row), _row_fault(rows[row], values[row]))
    return values.reshape(len(starts), NUM_JOINTS, len(_COLUMNS))


def _line(starts: list[int], row: int) -> int:
    return starts[row // NUM_JOINTS] + row % NUM_JOINTS


def _row_error(text: _Text, starts: list[int], rows: list[str]) -> InputError:
    """Find the joint line that cannot be read; slow, so only once it is known that one is bad."""
    for index, row in enumerate(rows):
        fields = row.split()
        if len(fields) != JOINT_FIELDS:
            fault = f"{len(fields)} numbers where a joint has {JOINT_FIELDS}; {_AGAIN}"
            return text.error(_line(starts, index), fault)
        for column in _COLUMNS:
            if not re.fullmatch(r"[-+.\deE]+|[-+]?(nan|inf|infinity)", fields[column], re.I):
                fault = f"{fields[column][:40]!r} is not a number; {_AGAIN}"
                return text.error(_line(starts, index), fault)
    return InputError(f"{text.path}: a joint line holds no numbers; {_AGAIN}")


def _row_fault(row: str, values: np.ndarray) -> str:
    if not np.isfinite(values[:3]).all():
        return (
            f"coordinates {' '.join(row.split()[:3])} are not finite; repair the file, remove it, "
            "or list it among the samples to drop"
        )
    return f"tracking state {row.split()[11]} is not 0, 1 or 2; {_AGAIN}"


def _tracks(
    num_frames: int, blocks: list[_Block], values: np.ndarray, min_state: int
) -> tuple[np.ndarray, np.ndarray]:
    """(bodies, T, V, 3) positions and (bodies, T, V) mask, one track for each identity.

    An identity that stands twice in a frame makes a track for each, so that nothing is lost.
    """
    number: dict[tuple[str, int], int] = {}
    times: dict[tuple[str, int], int] = {}
    track = []
    for block in blocks:
        at = (block.identity, block.frame)
        times[at] = times.get(at, -1) + 1
        track.append(number.setdefault((block.identity, times[at]), len(number)))
    frame = [block.frame for block in blocks]
    pos = np.zeros((len(number), num_frames, NUM_JOINTS, 3))
    mask = np.zeros(pos.shape[:3], dtype=bool)
    pos[track, frame] = values[..., :3]
    # The sensor reports a joint that it lost as its own origin.
    mask[track, frame] = (values[..., 3] >= min_state) & (values[..., :3] != 0).any(axis=-1)
    return pos, mask
