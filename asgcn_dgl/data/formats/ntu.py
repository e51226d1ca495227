"""NTU RGB+D 60 and 120, raw ``.skeleton`` text (Shahroudy et al., CVPR 2016; Liu et al., 2019).

A file is a number of frames, then for each frame the number of bodies, then for each body a line
of ten fields that begins with its identity, the number of joints, and for each joint a line of
twelve numbers: x y z in meters, depth x y, color x y, a quaternion, and the tracking state
(0 not tracked, 1 inferred, 2 tracked).
"""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from asgcn_dgl.data.clip import Clip, RecordingName, nonzero
from asgcn_dgl.data.files import decoded, first_bytes, read_bytes
from asgcn_dgl.data.formats.folder import FolderReader, Protocol, PublishedSet, read_names
from asgcn_dgl.data.persons import DropNoise, JoinTracks, SelectBodies
from asgcn_dgl.data.reader import Format
from asgcn_dgl.errors import InputError
from asgcn_dgl.skeleton import get_layout

#: The 120 actions, as the set's authors list them (repository ``shahroudy/NTURGB-D``, README; two
#: slips corrected: "put on glasses", "quiet"). The first 60 are those of NTU RGB+D 60.
CLASS_NAMES = tuple(
    resources.files("asgcn_dgl.data.formats").joinpath("ntu_classes.txt").read_text().splitlines()
)

NUM_JOINTS = 25
BODY_FIELDS = 10
JOINT_FIELDS = 12

#: Frames, over all tracks, of the longest recording that is read: what memory allows.
MAX_PLACES = 1_000_000

#: Columns of a joint line that are read: x, y, z, tracking state.
_COLUMNS = (0, 1, 2, 11)

_NUMBER = re.compile(
    r"[-+]?((\d+\.?\d*|\.\d+)(e[-+]?\d+)?|nan|inf|infinity)", re.IGNORECASE | re.ASCII
)
_NAME = re.compile(
    r"S(?P<setup>(?!000)\d{3})C(?P<camera>(?!000)\d{3})P(?P<subject>(?!000)\d{3})"
    r"R(?P<replication>(?!000)\d{3})A(?P<action>(?!000)\d{3})"
)

_AGAIN = "the file is truncated or damaged, copy it again from its source"


def parse_ntu_name(name: str | Path) -> RecordingName:
    """Read set-up, camera, subject, repetition and action from a file name.

    Raise InputError unless it has the form ``SsssCcccPpppRrrrAaaa`` with numbers from 1.

    Examples
    --------
    >>> parse_ntu_name("S001C003P008R002A058.skeleton")
    RecordingName(action=58, subject=8, camera=3, setup=1, replication=2)
    """
    return NTU120.parse(name)


def read_ntu(
    path: str | Path,
    max_bodies: int | None = 2,
    min_state: int = 1,
    *,
    select: str = "energy",
    noise: str | Sequence[str] = (),
    join: bool = False,
) -> Clip:
    """Read one recording.

    Parameters
    ----------
    path
        ``.skeleton`` file. Its label is the action number of its name less one; a file that is
        named otherwise has no label.
    max_bodies
        M, bodies to keep, best first; None for all.
    min_state
        Joints of a lower tracking state are missing: 1 leaves out what was not tracked, 2 what
        was inferred too, 0 nothing.
    select
        Which bodies are best: one of ``BODY_RULES``.
    noise
        Rules of :class:`~asgcn_dgl.data.persons.DropNoise` by which bodies are left out, any of
        ``"length"``, ``"spread"`` and ``"motion"``; none of them by default, as in ST-GCN's
        preparation. CTR-GCN's has the first two.
    join
        Join tracks of one person under several identities, see
        :class:`~asgcn_dgl.data.persons.JoinTracks`.

    Returns
    -------
    Clip
        Up to M bodies over all frames, 25 joints, meters. Bodies are identified by their
        identity in the file; where one is not there its joints are masked.

    Raises
    ------
    InputError
        If the file cannot be read, is truncated or garbled, holds infinite coordinates, a
        wrong number of joints, no frame or no body. The message names the line.
    ValueError
        If an option is out of range.
    """
    steps = ntu_steps(max_bodies, min_state, select, noise, join)
    path = Path(path)
    pos, seen = _tracks(_Text(path), min_state)
    label, meta = NTU120.facts(path)
    meta["tracks"] = len(pos)
    clip = Clip(path.stem, get_layout("ntu25"), pos, seen, label, meta).check()
    for step in steps:
        clip = step(clip)
    return clip


def ntu_steps(
    max_bodies: int | None, min_state: int, select: str, noise: str | Sequence[str], join: bool
) -> list[DropNoise | JoinTracks | SelectBodies]:
    """Return the steps for the bodies of a recording, in order; ValueError for a wrong option."""
    if min_state not in (0, 1, 2):
        raise ValueError(f"min_state must be 0, 1 or 2, got {min_state}")
    rules = (noise,) if isinstance(noise, str) else tuple(noise)
    return [
        *([JoinTracks()] if join else []),
        DropNoise(rules),
        SelectBodies(max_bodies, select),
    ]


def read_sample_names(path: str | Path) -> frozenset[str]:
    """Read each ``SsssCcccPpppRrrrAaaa`` in a text file, such as a list of missing skeletons."""
    return read_names(path, _NAME)


class _Text:
    """Lines of a file, taken one after another; errors name one of them, counted from 1."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.at = 0  # the line that was taken last
        self.lines = decoded(path, read_bytes(path)).rstrip().split("\n")

    def error(self, text: str, line: int | None = None) -> InputError:
        return InputError(f"{self.path}, line {self.at if line is None else line}: {text}")

    def take(self, what: str, lines: int = 1) -> str:
        self.at += lines
        if self.at > len(self.lines):
            raise self.error(f"the file ends where {what} should follow; {_AGAIN}", len(self.lines))
        return self.lines[self.at - 1]

    def count(self, what: str) -> int:
        text = self.take(what).strip()
        if not text.isdecimal() or len(text) > 9:
            raise self.error(f"{text[:40]!r} instead of {what}; {_AGAIN}")
        return int(text)


def _walk(text: _Text) -> tuple[int, list[tuple[int, str, int]]]:
    """Count the frames; find frame, identity and first joint line of each body."""
    num_frames = text.count("the number of frames")
    if not num_frames:
        raise text.error("the recording has no frame; remove the file from the data")
    found: list[tuple[int, str, int]] = []
    for frame in range(num_frames):
        place = f"frame {frame + 1} of {num_frames}"
        for _ in range(text.count(f"the number of bodies of {place}")):
            fields = text.take(f"a body of {place}").split()
            if len(fields) != BODY_FIELDS or not fields[0].isdigit():
                raise text.error(
                    f"{' '.join(fields)[:40]!r} instead of the {BODY_FIELDS} fields of a body of "
                    f"{place}; {_AGAIN}"
                )
            joints = text.count(f"the number of joints of a body of {place}")
            if joints != NUM_JOINTS:
                raise text.error(
                    f"{joints} joints where NTU RGB+D has {NUM_JOINTS}; the file is of another "
                    "data set or damaged"
                )
            found.append((frame, fields[0], text.at + 1))
            text.take(f"joint lines of {place}", NUM_JOINTS)
    if text.at < len(text.lines):
        text.at += 1
        raise text.error(f"more lines after the last of its {num_frames} frames; {_AGAIN}")
    if not found:
        raise text.error(
            f"no body in any of the {num_frames} frames; remove the file or list it among the "
            "samples to drop",
            1,
        )
    return num_frames, found


def _numbers(text: _Text, starts: list[int]) -> np.ndarray:
    """Return x, y, z and tracking state (n, V, 4) of n bodies whose joints start at given lines."""
    rows = [
        row.replace("\r", " ")  # line ends that were made Windows' twice
        for start in starts
        for row in text.lines[start - 1 : start - 1 + NUM_JOINTS]
    ]
    try:
        values = np.loadtxt(rows, usecols=_COLUMNS, comments=None, ndmin=2)
        if len(values) != len(rows):
            raise ValueError("blank lines, which are passed over")
    except ValueError as error:
        raise _row_error(text, starts, rows) from error
    wrong = np.isinf(values).any(axis=1) | ~np.isin(values[:, 3], (0, 1, 2))
    if wrong.any():
        row = int(wrong.argmax())
        fields = rows[row].split()
        fault = f"tracking state {fields[11]} is not 0, 1 or 2; {_AGAIN}"
        if np.isinf(values[row, :3]).any():
            fault = (
                f"coordinates {' '.join(fields[:3])} are not finite; repair the file, remove it, "
                "or list it among the samples to drop"
            )
        raise text.error(fault, _line(starts, row))
    return values.reshape(len(starts), NUM_JOINTS, len(_COLUMNS))


def _line(starts: list[int], row: int) -> int:
    return starts[row // NUM_JOINTS] + row % NUM_JOINTS


def _row_error(text: _Text, starts: list[int], rows: list[str]) -> InputError:
    """Find the joint line that cannot be read; slow, so only once it is known that one is bad."""
    for index, row in enumerate(rows):
        fields = row.split()
        faults = [f"{len(fields)} numbers where a joint has {JOINT_FIELDS}"]
        if len(fields) == JOINT_FIELDS:
            wrong = [fields[at] for at in _COLUMNS if not _NUMBER.fullmatch(fields[at])]
            faults = [f"{field[:40]!r} is not a number" for field in wrong]
        if faults:
            return text.error(f"{faults[0]}; {_AGAIN}", _line(starts, index))
    return text.error(f"its joints, or those of a later body, are not numbers; {_AGAIN}", starts[0])


def _tracks(text: _Text, min_state: int) -> tuple[np.ndarray, np.ndarray]:
    """Return positions (tracks, T, V, 3) and mask, a track for each identity.

    An identity that occurs twice in a frame makes a track for each, so that nothing is lost.
    """
    num_frames, bodies = _walk(text)
    frames = [frame for frame, _, _ in bodies]
    values = _numbers(text, [start for _, _, start in bodies])
    number: dict[tuple[str, int], int] = {}
    times: Counter[tuple[str, int]] = Counter()
    track = []
    for frame, identity, _ in bodies:
        track.append(number.setdefault((identity, times[identity, frame]), len(number)))
        times[identity, frame] += 1
    if len(number) * num_frames > MAX_PLACES:
        raise InputError(
            f"{text.path}: {len(number)} bodies of different identity in {num_frames} frames are "
            f"more than a sensor reports; {_AGAIN}"
        )
    shape = (len(number), num_frames, NUM_JOINTS)
    pos = np.zeros((*shape, 3), dtype=np.float32)
    mask = np.zeros(shape, dtype=bool)
    with np.errstate(over="ignore"):  # a number beyond float32 becomes infinite, which is refused
        found = values[..., :3].astype(np.float32)
    # The sensor reports a joint that it lost as its own origin.
    seen = nonzero(found) & ~np.isnan(found).any(axis=-1)
    if min_state:
        seen &= values[..., 3] >= min_state
    found[~seen] = 0
    pos[track, frames], mask[track, frames] = found, seen
    return pos, mask


# The sets ----------------------------------------------------------------------------------------

#: Training subjects of NTU RGB+D 60, cross-subject.
NTU60_SUBJECTS = frozenset(
    (1, 2, 4, 5, 8, 9, 13, 14, 15, 16, 17, 18, 19, 25, 27, 28, 31, 34, 35, 38)
)

#: Training subjects of NTU RGB+D 120, cross-subject: those of the 60 and 33 more.
NTU120_SUBJECTS = NTU60_SUBJECTS.union(
    (45, 46, 47, 49, 50, *range(52, 60), 70, 74, 78, *range(80, 87), 89, *range(91, 96)),
    (97, 98, 100, 103),
)

#: Names under which the published lists of recordings with missing skeletons come.
NTU60_MISSING = "NTU_RGBD_samples_with_missing_skeletons.txt"
NTU120_MISSING = "NTU_RGBD120_samples_with_missing_skeletons.txt"
_OLDER_LIST = "samples_with_missing_skeletons.txt"


def _ntu_set(name: str, class_names: tuple[str, ...], **others: Any) -> PublishedSet:
    return PublishedSet(
        name,
        "ntu25",
        class_names,
        pattern="*.skeleton",
        read=read_ntu,
        stem=_NAME,
        form="SsssCcccPpppRrrrAaaa with numbers from 001",
        label=lambda name: name.action - 1,
        **others,
    )


NTU60 = _ntu_set(
    "ntu60",
    CLASS_NAMES[:60],
    protocols={
        "xsub": Protocol("subject", NTU60_SUBJECTS),
        "xview": Protocol("camera", frozenset((2, 3))),
    },
    max_setup=17,
    missing_lists=(NTU60_MISSING, NTU120_MISSING, _OLDER_LIST),
    counts={
        56_880: {"xsub": (40_320, 16_560), "xview": (37_920, 18_960)},
        56_578: {"xsub": (40_091, 16_487), "xview": (37_646, 18_932)},  # without the 302
    },
)

NTU120 = _ntu_set(
    "ntu120",
    CLASS_NAMES,
    protocols={
        "xsub": Protocol("subject", NTU120_SUBJECTS),
        "xset": Protocol("setup", frozenset(range(2, 33, 2))),
    },
    missing_lists=(NTU120_MISSING, _OLDER_LIST),  # the 302 of the 60 are among its 535
    counts={
        114_480: {},
        113_945: {"xsub": (63_026, 50_919), "xset": (54_468, 59_477)},  # without the 535
    },
)


def _set(name: str) -> PublishedSet:
    """Return a set by name, a generated one too."""
    for known in (NTU60, NTU120):
        if known.name == name:
            return known
    from asgcn_dgl.data import synthetic

    return _ntu_set(
        name,
        tuple(action[0] for action in synthetic.SETS[name]),
        protocols={
            "xsub": Protocol("subject", frozenset(synthetic.TRAIN_SUBJECTS)),
            "xview": Protocol("camera", frozenset(synthetic.TRAIN_CAMERAS)),
        },
    )


def _open(
    name: str,
    root: str | Path,
    drop: str | Path | None = None,
    *,
    max_bodies: int | None = 2,
    min_state: int = 1,
    select: str = "energy",
    noise: str | Sequence[str] = (),
    join: bool = False,
) -> FolderReader:
    """Open a set of NTU RGB+D's files; options as for :func:`read_ntu`."""
    try:
        rules = [noise] if isinstance(noise, str) else list(noise)
        ntu_steps(max_bodies, min_state, select, rules, join)
    except (TypeError, ValueError) as error:
        raise InputError(f"options of {name}: {error}") from error
    options = {"max_bodies": max_bodies, "min_state": min_state, "select": select, "join": join}
    return _set(name).open(root, drop, noise=rules, **options)


def _set_of_folder(root: Path) -> str:
    """Name of the set that a folder holds; empty where it holds none."""
    first = next(root.rglob("*.skeleton"), None)
    if first is None:
        return ""
    manifest = root / "synthetic.json"
    if manifest.is_file():
        return "coordinated" if b'"coordinated"' in manifest.read_bytes() else "synthetic"
    names = [match for path in root.rglob("*.skeleton") if (match := _NAME.fullmatch(path.stem))]
    return "ntu120" if any(int(name[1]) > 17 or int(name[5]) > 60 for name in names) else "ntu60"


def _recognizes(name: str, path: Path) -> bool:
    if path.is_dir():
        return _set_of_folder(path) == name
    if path.suffix.lower() == ".skeleton":
        return name == "ntu120"  # its labels are those of all 120 classes
    if path.suffix.lower() in (".json", ".csv", ".npz", ".npy", ".pkl", ".parquet"):
        return False
    line = first_bytes(path).lstrip().split(b"\n", 1)[0].strip()
    return name == "ntu120" and line.isdigit()


FORMATS = tuple(
    Format(
        name,
        functools.partial(_open, name),
        functools.partial(_recognizes, name),
        "NTU",
        ("max_bodies", "min_state", "select", "noise", "join"),
        family="ntu",
    )
    for name in ("ntu60", "ntu120", "synthetic", "coordinated")
)
