"""All numbers of an NTU text at once: operations on whole arrays in place of a loop over lines.

The numbers are exactly those of ``float``. Only text that is laid out as the sensor's software
writes it is understood: one space, or one line end, between fields. For any other text, right or
wrong, the answer is None, and the careful reader of :mod:`~asgcn_dgl.data.ntu` takes over.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

NUM_JOINTS = 25
BODY_FIELDS = 10
JOINT_FIELDS = 12

#: Lines of a body in a frame: its head, the number of joints, the joints.
BODY_LINES = 2 + NUM_JOINTS

_FIELDS = np.array([BODY_FIELDS, 1, *[JOINT_FIELDS] * NUM_JOINTS])
_NUMBER = re.compile(rb"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d{1,4})?")
_SPACE, _LINE, _RETURN, _DOT, _MINUS, _ZERO = (ord(character) for character in " \n\r.-0")
_TENS = 10.0 ** np.arange(9)


@dataclass(frozen=True)
class Bodies:
    """The n bodies of all frames, one after another.

    Attributes
    ----------
    num_frames
        T.
    frame
        (n,) frame of each, from 0.
    identity
        n identities, as they stand in the file.
    pos
        (n, V, 3) float64 positions.
    state
        (n, V) tracking states, 0 to 2.
    """

    num_frames: int
    frame: np.ndarray
    identity: list[str]
    pos: np.ndarray
    state: np.ndarray


@dataclass(frozen=True)
class _Fields:
    """Where the fields of a text are.

    Attributes
    ----------
    text
        The text; a line end follows its last field.
    codes
        Its bytes.
    end
        One past each field.
    begin
        First byte of each field.
    last
        The last field of each line.
    """

    text: bytes
    codes: np.ndarray
    begin: np.ndarray
    end: np.ndarray
    last: np.ndarray


def parse_bodies(data: bytes) -> Bodies | None:
    """Parse a file, or return None if it is not laid out in the usual way.

    Parameters
    ----------
    data
        The file.

    Returns
    -------
    Bodies or None
        None for every text that is wrong, too: errors are worded elsewhere.
    """
    found = _find_fields(data)
    blocks = None if found is None else _find_blocks(found)
    if found is None or blocks is None:
        return None
    num_frames, frame, head = blocks
    joint = found.last[head + 1][:, None] + np.arange(1, NUM_JOINTS * JOINT_FIELDS, JOINT_FIELDS)
    joint = joint.reshape(-1)  # the first field of each joint
    place = found.begin[joint + JOINT_FIELDS - 1]
    state = found.codes[place] - np.uint8(_ZERO)
    if state.max() > 2 or (found.end[joint + JOINT_FIELDS - 1] - place).max() > 1:
        return None
    pos = _floats(found, (joint[:, None] + np.arange(3)).reshape(-1))
    name = found.last[head - 1] + 1
    spans = zip(found.begin[name].tolist(), found.end[name].tolist(), strict=True)
    identity = [found.text[begin:end].decode() for begin, end in spans]
    if pos is None or not all(map(str.isdigit, identity)):
        return None
    return Bodies(
        num_frames,
        frame,
        identity,
        pos.reshape(-1, NUM_JOINTS, 3),
        state.reshape(-1, NUM_JOINTS),
    )


def _find_fields(data: bytes) -> _Fields | None:
    """Part a text at its spaces and line ends; None where a field is empty."""
    if not data.isascii():
        return None
    windows = data.find(b"\r", 0, 80) >= 0
    text = data.rstrip() + (b"\r\n" if windows else b"\n")
    codes = np.frombuffer(text, dtype=np.uint8)
    end = np.flatnonzero(codes <= _SPACE)
    kind = codes[end]
    if windows:  # \r ends the line, the \n that must follow is left out
        extra = kind == _LINE
        after = np.flatnonzero(kind == _RETURN) + 1
        if (
            not np.array_equal(after, np.flatnonzero(extra))
            or (end[after] - end[after - 1] > 1).any()
        ):
            return None
        end, kind = end[~extra], kind[~extra]
    last = np.flatnonzero(kind == (_RETURN if windows else _LINE))
    begin = np.empty_like(end)
    begin[0], begin[1:] = 0, end[:-1] + 1
    begin[last[:-1] + 1] += windows
    if len(last) + np.count_nonzero(kind == _SPACE) != len(end) or (end - begin).min() < 1:
        return None
    return _Fields(text, codes, begin, end, last)


def _find_blocks(found: _Fields) -> tuple[int, np.ndarray, np.ndarray] | None:
    """Number of frames, frame of each body, and line of its head; None if lines do not fit."""
    fields = np.diff(found.last, prepend=-1)
    head = np.flatnonzero(fields == BODY_FIELDS)
    if not len(head) or head[-1] + BODY_LINES > len(fields):
        return None
    block = head[:, None] + np.arange(BODY_LINES)
    if (fields[block] != _FIELDS).any():
        return None
    outside = np.ones(len(fields), dtype=bool)
    outside[block] = False
    outside = np.flatnonzero(outside)  # lines that count frames, or the bodies of a frame
    if len(outside) < 2 or outside[0] != 0 or (fields[outside] != 1).any():
        return None
    number = found.text[: found.end[0]]
    frames = outside[1:]
    place = found.last[frames]
    bodies = (found.codes[found.begin[place]] - np.uint8(_ZERO)).astype(np.int64)
    single = found.end[place] - found.begin[place] == 1
    if not number.isdigit() or int(number[:9]) != len(frames) or not (single & (bodies <= 9)).all():
        return None
    lines = np.cumsum(1 + BODY_LINES * bodies)
    fits = len(head) == bodies.sum() and lines[-1] + 1 == len(fields)
    if not fits or (frames[0] != 1) or (frames[1:] != lines[:-1] + 1).any():
        return None
    joints = found.last[head + 1]
    begin = found.begin[joints]
    digits = np.stack([found.codes[begin], found.codes[begin + 1]], axis=1)
    right = digits == np.frombuffer(b"%d" % NUM_JOINTS, dtype=np.uint8)
    if (found.end[joints] - begin != 2).any() or not right.all():
        return None
    return len(frames), np.repeat(np.arange(len(frames)), bodies), head


def _floats(found: _Fields, field: np.ndarray) -> np.ndarray | None:
    """Numbers of fields; None if one is no finite number.

    A number of one digit before the point and one to eight behind it, the usual form, is read from
    the eight bytes before its end: bytes to digits, digits to pairs, pairs to four, four to eight.
    A whole number below 2^53 divided by a power of ten is the nearest float64, as ``float`` finds.
    """
    begin, end, codes = found.begin[field], found.end[field], found.codes
    negative = codes[begin] == _MINUS
    whole = begin + negative
    length = end - whole - 2  # digits behind the point
    digit = codes[whole] - np.uint8(_ZERO)
    words = np.ndarray((len(codes) - 7,), "<u8", found.text, strides=(1,))
    ahead = (8 * (8 - length.clip(1, 8))).astype(np.uint64)  # bits of what stands before the digits
    eight = ((words[end - 8] ^ np.uint64(0x3030303030303030)) >> ahead) << ahead
    over = (eight | (eight + np.uint64(0x0606060606060606))) & np.uint64(0xF0F0F0F0F0F0F0F0)
    usual = (digit <= 9) & (codes[whole + 1] == _DOT) & (length >= 1) & (length <= 8) & (over == 0)
    eight = eight * np.uint64(10) + (eight >> np.uint64(8))
    pairs = np.uint64(0x000000FF000000FF)
    eight = (eight & pairs) * np.uint64(0x000F424000000064) + (
        (eight >> np.uint64(16)) & pairs
    ) * np.uint64(0x0000271000000001)
    tens = _TENS[length.clip(0, 8)]
    value = (digit * tens + (eight >> np.uint64(32)).astype(np.float64)) / tens
    np.negative(value, out=value, where=negative)
    for place in np.flatnonzero(~usual).tolist():
        text = found.text[begin[place] : end[place]]
        if not _NUMBER.fullmatch(text):
            return None
        value[place] = float(text)
    return value if np.isfinite(value).all() else None
