"""UTKinect-Action3D: text of 20 joints a line, spans of actions in a file of labels.

``joints_sSS_eEE.txt`` is a video of ten actions: a frame number, then 20 x 3 coordinates in meters
a line. ``actionLabel.txt`` gives for each video the first and last frame number of each action.
``tr_te_splits.mat`` holds ten splits of the ten subjects into halves (Vemulapalli et al., CVPR
2014); the set is of Xia et al., CVPRW 2012.
"""

from __future__ import annotations

import logging
import math
import re
import struct
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from asgcn_dgl.data import files as data_files
from asgcn_dgl.data.clip import Clip
from asgcn_dgl.data.files import check_choice, first_bytes, read_lines, read_numbers
from asgcn_dgl.data.formats.folder import CLASS_NAMES, FolderReader
from asgcn_dgl.data.reader import UNKNOWN, Format, Split
from asgcn_dgl.errors import InputError
from asgcn_dgl.files import in_short
from asgcn_dgl.skeleton import get_layout

logger = logging.getLogger(__name__)

#: The ten actions, in the order of the labels.
ACTIONS = CLASS_NAMES["utkinect"]

LABELS = "actionLabel.txt"
SPLITS = "tr_te_splits.mat"
NUM_JOINTS = 20

#: Distance of frame numbers that come without a gap.
FRAME_STEP = 2

_VIDEO = re.compile(r"s(\d\d)_e(\d\d)")


class Span(NamedTuple):
    """An action in a video: both frame numbers are included; ``line`` is that of the labels."""

    video: str
    action: str
    first: int
    last: int
    line: int

    @property
    def name(self) -> str:
        """Name of the recording."""
        return f"{self.video}_{self.action}"


def read_spans(path: str | Path, nan_spans: str = "drop") -> list[Span]:
    """Read the spans in ``actionLabel.txt``, in the order of the file.

    The frames of ``carry`` in ``s10_e02`` are NaN: ``nan_spans="drop"`` leaves it out, with a
    warning (the published results are on the 199 others); ``"between"`` takes what lies between its
    neighbors.
    """
    check_choice("nan_spans", nan_spans, ("drop", "between"))
    spans: list[Span] = []
    seen: set[str] = set()
    video = ""
    for number, text in enumerate(read_lines(path), start=1):
        fields = text.split()
        if not fields:
            continue
        place = f"{path}, line {number}"
        if len(fields) == 1 and _VIDEO.fullmatch(fields[0]):
            key = video = fields[0]
        else:
            spans.append(_span(place, video, fields, number))
            key = spans[-1].name
        if key in seen:
            raise InputError(f"{place}: duplicate {key}; remove one")
        seen.add(key)
    if nan_spans == "between":
        return [_between(path, spans, at) for at in range(len(spans))]
    for span in spans:
        if span.first < 0:
            logger.warning(
                "%s, line %d: no frames (NaN) of %s; it is left out (option nan_spans=between "
                "takes what lies between its neighbors)",
                *(path, span.line, span.name),
            )
    return [span for span in spans if span.first >= 0]


def _span(place: str, video: str, fields: list[str], line: int) -> Span:
    action = fields[0].removesuffix(":")
    if not video or len(fields) != 3 or action not in ACTIONS:
        raise InputError(
            f"{place}: {' '.join(fields)[:40]!r} where a video (s01_e01) or a span of one (walk: "
            f"252 390) should be, of the actions {', '.join(ACTIONS)}; copy {LABELS} again"
        )
    if fields[1] == fields[2] == "NaN":
        return Span(video, action, -1, -1, line)
    if not all(re.fullmatch(r"[0-9]{1,9}", text) for text in fields[1:]):
        raise InputError(f"{place}: {' '.join(fields[1:])[:40]!r} are not two frame numbers")
    first, last = int(fields[1]), int(fields[2])
    if last < first:
        raise InputError(f"{place}: the span ends at {last}, before it begins at {first}")
    return Span(video, action, first, last, line)


def _between(path: str | Path, spans: list[Span], at: int) -> Span:
    """Return a span; one without frames with those between its neighbors."""
    span = spans[at]
    if span.first >= 0:
        return span
    before, after = (spans[at - 1], spans[at + 1]) if 0 < at < len(spans) - 1 else (span, span)
    fits = before.video == after.video == span.video and 0 <= before.last < after.first - 1
    if not fits:
        raise InputError(
            f"{path}, line {span.line}: no frames lie between the actions around {span.name}; use "
            "nan_spans=drop"
        )
    return span._replace(first=before.last + 1, last=after.first - 1)


def read_video(path: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """Read (T,) frame numbers, never falling, and (T, 20, 3) positions in meters."""
    lines = read_lines(path)
    values = read_numbers(path, lines, 1 + 3 * NUM_JOINTS)
    number = values[:, 0]
    wrong = (number != np.floor(number)) | (number < 0) | (number > 10**9)
    wrong[1:] |= np.diff(number) < 0
    if wrong.any():
        line = int(wrong.argmax()) + 1
        raise InputError(
            f"{path}, line {line}: {number[line - 1]:g} is no frame number that follows those "
            "before it; the file is damaged, copy it again from its source"
        )
    return number.astype(np.int64), values[:, 1:].reshape(-1, NUM_JOINTS, 3)


def read_span(path: str | Path, span: Span | None = None, gaps: str = "keep") -> Clip:
    """Read one action of a video as a clip of one body, or all of it if ``span`` is None.

    Frame numbers rise by 2 where no frame is lost, mostly by 4, and repeat where two poses fell
    into one frame. ``gaps="keep"``: all poses in turn, as published recipes have them.
    ``"interpolate"``: poses at every second number, linearly; repeated numbers give their mean.
    """
    check_choice("gaps", gaps, ("keep", "interpolate"))
    path = Path(path)
    number, pos = read_video(path)
    if span is not None:
        inside = (number >= span.first) & (number <= span.last)
        if not inside.any():
            raise InputError(
                f"{path}: no frame from {span.first} to {span.last}, where {LABELS}, line "
                f"{span.line}, has {span.action}; copy both again from their source"
            )
        number, pos = number[inside], pos[inside]
    mask = (pos != 0).any(axis=-1)
    if gaps == "interpolate":
        pos, mask = _regular(path, number, pos, mask)
    return Clip.from_positions(
        _name(path, span),
        get_layout("kinectv1_20"),
        pos[None],
        mask[None],
        _label(span),
        {"path": str(path) if span is None else f"{path} ({span.action})", **_numbers(path)},
    )


def _name(path: Path, span: Span | None) -> str:
    return path.stem if span is None else span.name


def _label(span: Span | None) -> int:
    return -1 if span is None else ACTIONS.index(span.action)


def _numbers(path: Path) -> dict[str, int]:
    match = _VIDEO.search(path.stem)
    return {"subject": int(match[1]), "replication": int(match[2])} if match else {}


def _regular(
    path: Path, number: np.ndarray, pos: np.ndarray, mask: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return poses at every second number; a joint is seen where those it is made of were."""
    count = int(number[-1] - number[0]) // FRAME_STEP + 1
    if count > 100 * len(number) + 1000:
        raise InputError(
            f"{path}: {len(number)} frames numbered from {number[0]} to {number[-1]}: too few to "
            "interpolate between; use gaps=keep"
        )
    known, place, times = np.unique(number, return_inverse=True, return_counts=True)
    values = np.zeros((len(known), NUM_JOINTS * 4))  # places and mask: 1 where all poses have it
    np.add.at(values, place, np.concatenate([pos, mask[..., None]], axis=2).reshape(len(pos), -1))
    at = number[0] + FRAME_STEP * np.arange(count)
    found = [np.interp(at, known, column / times) for column in values.T]
    regular = np.stack(found, axis=1).reshape(count, NUM_JOINTS, 4)
    return regular[..., :3], regular[..., 3] > 1 - 1e-9


def open_utkinect(root: str | Path, nan_spans: str = "drop", gaps: str = "keep") -> FolderReader:
    """Open the folder of UTKinect-Action3D, its folder ``joints``, or one video.

    Of one video each action is a recording where ``actionLabel.txt`` lies beside it. The splits are
    ``five_1`` to ``five_10`` where ``tr_te_splits.mat`` is found, and ``sequence_s01_e01``, ...:
    that video tests. Options: see :func:`read_spans` and :func:`read_span`.
    """
    check_choice("gaps", gaps, ("keep", "interpolate"))
    root = Path(root)
    if root.is_file():
        labels = root.parent / LABELS
        spans = read_spans(labels, nan_spans) if labels.is_file() else []
        own = [span for span in spans if span.video == root.stem.removeprefix("joints_")]
        return _reader(own or [None], [root] * max(1, len(own)), {}, gaps)
    folder = next((each for each in (root, root / "joints") if (each / LABELS).is_file()), None)
    if folder is None:
        raise InputError(
            f"{root}: no {LABELS} in it or its folder 'joints'; give UTKinect-Action3D's folder"
        )
    spans = read_spans(folder / LABELS, nan_spans)
    if not spans:
        raise InputError(f"{folder / LABELS}: no action in it; copy it again from its source")
    files = [folder / f"joints_{span.video}.txt" for span in spans]
    for path in files:
        if not path.is_file():
            raise InputError(
                f"{folder}: no {path.name}, which {LABELS} speaks of; copy it from the set's source"
            )
    for path in sorted(folder.glob("joints_*.txt")):
        if path not in files:
            raise InputError(f"{path}: {LABELS} has no action of it; move it out of the folder")
    splits = _halves(root, folder, spans)
    for video in dict.fromkeys(span.video for span in spans):  # one video is left out at a time
        parts = ("test" if span.video == video else "train" for span in spans)
        splits[f"sequence_{video}"] = Split.of(parts)
    return _reader(spans, files, splits, gaps)


def _reader(
    spans: Sequence[Span | None], files: Sequence[Path], splits: Mapping[str, Split], gaps: str
) -> FolderReader:
    return FolderReader(
        tuple(_name(path, span) for path, span in zip(files, spans, strict=True)),
        get_layout("kinectv1_20"),
        ACTIONS,
        splits,
        tuple(files),
        read_span,
        {"gaps": gaps},
        tuple({"span": span} for span in spans),
        labels=tuple(map(_label, spans)),
        numbers=tuple(UNKNOWN._replace(**_numbers(path)) for path in files),
    )


def _halves(root: Path, folder: Path, spans: list[Span]) -> dict[str, Split]:
    """Read the ten splits of five subjects each."""
    places = [each / SPLITS for each in (root, folder, folder.parent)]
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        logger.warning(
            "no %s in or beside %s: the splits five_1, ... are not there", SPLITS, folder
        )
        return {}
    found = {}
    for number, (train, test) in enumerate(zip(*read_splits(path), strict=True), start=1):
        part = dict.fromkeys(train.tolist(), "train") | dict.fromkeys(test.tolist(), "test")
        found[f"five_{number}"] = Split.of(part.get(int(span.video[1:3])) for span in spans)
    return found


def read_splits(path: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """Read the subjects that train and those that test from ``tr_te_splits.mat``, (10, 5) each."""
    names = ("tr_subjects", "te_subjects")
    found = read_mat(path, names)
    train, test = (found.get(name, np.empty((0, 0))) for name in names)
    whole = train.shape == test.shape == (10, 5)
    if not whole or (np.sort(np.hstack([train, test])) != np.arange(1, 11)).any():
        raise InputError(
            f"{path}: not tr_subjects and te_subjects, ten times five of the subjects 1 to 10, no "
            "subject in both; copy it again from its source"
        )
    return train.astype(np.int64), test.astype(np.int64)


# MATLAB's files -----------------------------------------------------------------------------------

# scipy's reader ends the process at some damaged files, and allocates what a file announces. This
# one reads full real matrices only. The format is MathWorks' "MAT-File Format" (level 5): a head of
# 128 bytes, then elements of a tag (type, bytes) and data, padded to 8 bytes; a matrix is one
# of elements: flags, dimensions, name, values by columns.

HEAD = 128
MATRIX, COMPRESSED = 14, 15

#: numpy's types of the types of elements.
NUMBERS = {
    **{1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4"},
    **{6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"},
}

#: Classes of full matrices of numbers: double, single, int8 to uint64.
CLASSES = range(6, 16)
COMPLEX = 0x0800


def read_mat(path: str | Path, names: Collection[str], limit: int = 2**16) -> dict[str, np.ndarray]:
    """Read real matrices by name, if they are there, from a ``.mat`` file of level 5.

    The file, and each of its elements unpacked, may have ``limit`` bytes.
    """
    data_files.check_size(path, limit)
    data = data_files.read_bytes(path)
    try:
        order = {b"IM": "<", b"MI": ">"}[data[126:128]]
        if struct.unpack(f"{order}H", data[124:126])[0] != 0x0100:
            raise ValueError("a version other than level 5")
        found: dict[str, np.ndarray] = {}
        for kind, content in _elements(data[HEAD:], order):
            if kind == COMPRESSED:
                unpacked = zlib.decompressobj().decompress(content, limit)
                (kind, content), *_ = _elements(unpacked, order)
            if kind == MATRIX:
                name, matrix = _matrix(content, order)
                if name in names and matrix is not None:
                    found[name] = matrix
        return found
    except (KeyError, ValueError, struct.error, zlib.error) as error:
        raise InputError(
            f"{path}: not a MAT-file of level 5, or damaged ({in_short(error)}); copy it again"
        ) from error


def _elements(data: bytes, order: str) -> Iterator[tuple[int, bytes]]:
    """Yield type and content of each element."""
    at = 0
    while at < len(data):
        kind, size = struct.unpack_from(f"{order}II", data, at)
        start = at + 8
        if kind >> 16:  # a small element: its size and its content are in the tag
            kind, size, start = kind & 0xFFFF, kind >> 16, at + 4
            at += 8
            if size > 4:
                raise ValueError(f"a small element of {size} bytes")
        else:
            at = start + size + (-size % 8 if kind != COMPRESSED else 0)
        if start + size > len(data):
            raise ValueError(f"an element of {size} bytes where {len(data) - start} are left")
        yield kind, data[start : start + size]


def _matrix(data: bytes, order: str) -> tuple[str, np.ndarray | None]:
    """Return name and values of a matrix; None for what is no full matrix of real numbers."""
    parts = [part for part, _ in zip(_elements(data, order), range(4), strict=False)]
    if len(parts) < 4:
        return "", None
    (_, flags), (_, dims), (_, name), (kind, values) = parts
    word = struct.unpack_from(f"{order}I", flags)[0]
    if (word & 0xFF) not in CLASSES or word & COMPLEX or kind not in NUMBERS:
        return "", None
    shape = np.frombuffer(dims, dtype=f"{order}i4").tolist()
    array = np.frombuffer(values, dtype=f"{order}{NUMBERS[kind]}")
    if len(shape) < 2 or min(shape) < 0 or math.prod(shape) != array.size:
        raise ValueError(f"{array.size} numbers in a matrix of {shape}")
    return name.decode("latin-1"), array.reshape(shape, order="F")


def _recognizes(path: Path) -> bool:
    if path.is_dir():
        return any((each / LABELS).is_file() for each in (path, path / "joints"))
    if path.suffix.lower() != ".txt":
        return False
    return len(first_bytes(path).split(b"\n", 1)[0].split()) == 1 + 3 * NUM_JOINTS


FORMAT = Format("utkinect", open_utkinect, _recognizes, "UTKinect", ("gaps", "nan_spans"))
