"""Reader of MSR-Action3D: one text file a sequence, 20 joints of Kinect v1 in meters.

``aAA_sSS_eEE_skeleton3D.txt`` has 20 lines a frame, ``x y z confidence``, in an order of its own.
The confidence is 0 for the spine and both centers nearly always, whatever they do: it is no mask.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from asgcn_dgl.data.clip import Clip, RecordingName
from asgcn_dgl.data.files import check_choice, first_bytes, is_there, read_lines
from asgcn_dgl.data.formats.folder import (
    CLASS_NAMES,
    FolderReader,
    Protocol,
    PublishedSet,
    read_names,
)
from asgcn_dgl.data.reader import Format
from asgcn_dgl.errors import InputError
from asgcn_dgl.skeleton import get_layout

#: Names of the classes, actions 1 to 20 (Li, Zhang, Liu, CVPR workshops 2010).
NAMES = CLASS_NAMES["msr_action3d"]

#: Actions of the three subsets in which the set's authors recognize them.
SUBSETS = {
    "AS1": (2, 3, 5, 6, 10, 13, 18, 20),
    "AS2": (1, 4, 7, 8, 9, 11, 12, 14),
    "AS3": (6, 14, 15, 16, 17, 18, 19, 20),
}

#: Joints in the order of the files.
JOINTS = (
    *("right_shoulder", "left_shoulder", "shoulder_center", "spine", "right_hip", "left_hip"),
    *("hip_center", "right_elbow", "left_elbow", "right_wrist", "left_wrist", "right_hand"),
    *("left_hand", "right_knee", "left_knee", "right_ankle", "left_ankle", "right_foot"),
    *("left_foot", "head"),
)

#: The list of the sequences that are usual (Wang et al., CVPR 2012).
USED = "files_used_in_cvpr12_paper.txt"


def read_msr_action3d(path: str | Path, subset: str | None = None) -> Clip:
    """Read one sequence as a clip of one body in the order of ``kinectv1_20``.

    Frames in which nobody was found are missing. Under another name than the set's the class is
    unknown; ``subset`` counts classes within one of ``SUBSETS``.
    """
    path = Path(path)
    rows = [line.split() for line in read_lines(path) if line.strip()]
    try:
        values = np.array(rows, dtype=np.float64).reshape(len(rows), 4)
    except ValueError:
        number, row = next(
            ((n, row) for n, row in enumerate(rows, start=1) if not _is_row(row)), (1, [])
        )
        raise InputError(
            f"{path}, line {number}: {' '.join(row)[:60]!r}, where x, y, z and a confidence should "
            "be; copy the file again from its source"
        ) from None
    if len(values) % len(JOINTS):
        raise InputError(
            f"{path}: {len(values)} lines, which are not {len(JOINTS)} for each frame; copy the "
            "file again from its source"
        )
    layout = get_layout("kinectv1_20")
    order = [JOINTS.index(joint) for joint in layout.joints]
    pos = values[:, :3].reshape(1, -1, len(JOINTS), 3)[:, :, order]
    chosen = _set(subset)
    label, meta = chosen.facts(path)
    return Clip.from_positions(chosen.name_of(path), layout, pos, label=label, meta=meta)


def _is_row(row: list[str]) -> bool:
    try:
        return len([float(text) for text in row]) == 4
    except ValueError:
        return False


MSR_ACTION3D = PublishedSet(
    "msr_action3d",
    "kinectv1_20",
    NAMES,
    protocols={"xsub": Protocol("subject", frozenset((1, 3, 5, 7, 9)))},
    pattern="a??_s??_e??_skeleton3D.txt",
    read=read_msr_action3d,
    stem=re.compile(r"a(?P<action>0[1-9]|1\d|20)_s(?P<subject>\d\d)_e(?P<replication>\d\d)"),
    form=f"aAA_sSS_eEE_skeleton3D.txt with an action from 1 to {len(NAMES)}",
    label=lambda name: name.action - 1,
    ending="_skeleton3D",
    counts={557: {"xsub": (284, 273)}, 567: {}},
)


def _set(subset: str | None) -> PublishedSet:
    """Return the set, or one of its subsets, whose classes are numbered within it."""
    if subset is None:
        return MSR_ACTION3D
    actions = SUBSETS[subset]
    return replace(
        MSR_ACTION3D,
        class_names=tuple(NAMES[action - 1] for action in actions),
        label=lambda name: actions.index(name.action) if name.action in actions else -1,
    )


def open_msr_action3d(
    root: str | Path, subset: str | None = None, used: bool = True
) -> FolderReader:
    """Open the set's folder, or one file.

    ``subset``: the eight classes of ``"AS1"``, ``"AS2"`` or ``"AS3"`` alone, else all twenty.
    ``used``: only the sequences listed in ``files_used_in_cvpr12_paper.txt``, where that lies in
    the folder.
    """
    if subset is not None:
        check_choice("subset", subset, SUBSETS)
    if not isinstance(used, bool):
        raise InputError(f"used must be true or false, got {used!r}")
    usual = Path(root) / USED
    listed = read_names(usual, MSR_ACTION3D.stem) if used and is_there(usual) else None
    chosen = _set(subset)

    def keep(name: str, number: RecordingName) -> bool:
        return chosen.label(number) >= 0 and (listed is None or name in listed)

    only = subset or (USED if listed else "")
    return replace(chosen, part=only, keep=keep).open(root, subset=subset)


def _recognizes(path: Path) -> bool:
    if path.is_dir():
        return MSR_ACTION3D.is_in(path)
    if path.suffix.lower() != ".txt":
        return False
    first = first_bytes(path).split(b"\n", 1)[0].split()
    return len(first) == 4 and b"," not in b"".join(first)


FORMAT = Format("msr_action3d", open_msr_action3d, _recognizes, "MSR-Action3D", ("subset",))
