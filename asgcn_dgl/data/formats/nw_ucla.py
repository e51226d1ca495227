"""Reader of Northwestern-UCLA Multiview Action 3D: one JSON file a sequence, 20 joints in meters.

``aAA_sSS_eEE_vVV.json`` holds ``{"file_name", "skeletons": T x 20 x 3, "label": 1..10}``.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from asgcn_dgl.data.clip import Clip, RecordingName
from asgcn_dgl.data.files import first_bytes, read_json
from asgcn_dgl.data.formats.folder import CLASS_NAMES, FolderReader, Protocol, PublishedSet
from asgcn_dgl.data.reader import Format
from asgcn_dgl.errors import InputError
from asgcn_dgl.skeleton import get_layout

#: Action number in the file name of each class, in the order of the labels 1..10 (Wang et al., CVPR
#: 2014).
ACTION_NUMBERS = (1, 2, 3, 4, 5, 6, 8, 9, 11, 12)

NUM_JOINTS = 20


def parse_nw_ucla_name(name: str | Path) -> RecordingName:
    """Read action, subject, repetition and view (the camera) from ``aAA_sSS_eEE_vVV.json``.

    Examples
    --------
    >>> parse_nw_ucla_name("a08_s02_e01_v03.json")
    RecordingName(action=8, subject=2, camera=3, setup=0, replication=1)
    """
    return NW_UCLA.parse(name)


def read_nw_ucla(path: str | Path) -> Clip:
    """Read one sequence: one body, T frames, 20 joints, meters; lost joints are masked.

    The label must agree with the set's name; under another name the label of the content counts, or
    none. InputError for what is no such JSON, wrong counts of joints or coordinates, numbers that
    are not finite, no frame, or a wrong label.
    """
    path = Path(path)
    content = read_json(path)
    if not isinstance(content, dict) or "skeletons" not in content:
        raise InputError(
            f'{path}: no entry "skeletons"; give a sequence of NW-UCLA with the entries '
            "file_name, skeletons and label"
        )
    frames, label = content["skeletons"], content.get("label")
    if not isinstance(frames, list) or not frames:
        raise InputError(f'{path}: "skeletons" holds no frame; remove the file from the data')
    try:
        pos = np.asarray(frames, dtype=np.float64)
    except (ValueError, TypeError, OverflowError):
        pos = np.empty(0)
    if pos.shape[1:] != (NUM_JOINTS, 3):
        raise InputError(f"{path}, {_fault(frames)}")
    if label is not None and (type(label) is not int or not 1 <= label <= 10):
        raise InputError(f'{path}: "label" is {label!r}, out of the range 1..10; correct it')
    expected, meta = NW_UCLA.facts(path)
    if label and expected >= 0 and label != expected + 1:
        raise InputError(
            f'{path}: "label" is {label} but the name says {expected + 1} '
            f"(a{meta['action']:02d}); one of them is wrong: copy the file again from its source"
        )
    label = max(expected, (label or 0) - 1)
    return Clip.from_positions(path.stem, get_layout("kinectv1_20"), pos[None], None, label, meta)


def _fault(frames: list[Any]) -> str:
    """Say which frame is not 20 joints of 3 numbers, and how; slow, so only where one is."""
    for number, frame in enumerate(frames, start=1):
        if not isinstance(frame, list) or len(frame) != NUM_JOINTS:
            count = f"{len(frame)} joints" if isinstance(frame, list) else "no list of joints"
            return (
                f"frame {number}: {count} where NW-UCLA has {NUM_JOINTS}; the file is of another "
                "data set or damaged"
            )
        for index, joint in enumerate(frame, start=1):
            place = f"frame {number}, joint {index}"
            if not isinstance(joint, list) or len(joint) != 3:
                return f"{place}: not 3 coordinates; the file is damaged"
            for value in joint:
                if not isinstance(value, int | float):
                    return f"{place}: {str(value)[:20]!r} is not a number; the file is damaged"
    return "skeletons: not a list of frames of 20 joints of 3 numbers; the file is damaged"


NW_UCLA = PublishedSet(
    "nw_ucla",
    "kinectv1_20",
    CLASS_NAMES["nw_ucla"],
    protocols={"xview": Protocol("camera", frozenset((1, 2)))},
    pattern="a??_s??_e??_v??.json",
    read=read_nw_ucla,
    stem=re.compile(
        rf"a(?P<action>{'|'.join(f'{number:02d}' for number in ACTION_NUMBERS)})"
        r"_s(?P<subject>\d\d)_e(?P<replication>\d\d)_v(?P<camera>\d\d)"
    ),
    form=f"aAA_sSS_eEE_vVV.json with an action of {ACTION_NUMBERS}",
    label=lambda name: ACTION_NUMBERS.index(name.action),
    counts={1484: {"xview": (1020, 464)}},
)


def _open(root: str | Path, drop: str | Path | None = None) -> FolderReader:
    return NW_UCLA.open(root, drop)


def _recognizes(path: Path) -> bool:
    if path.is_dir():
        return NW_UCLA.is_in(path)
    text = first_bytes(path)
    return text.lstrip().startswith(b"{") and b'"skeletons"' in text


FORMAT = Format("nw_ucla", _open, _recognizes, "NW-UCLA")
