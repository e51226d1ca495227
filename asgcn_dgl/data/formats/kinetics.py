"""Kinetics-Skeleton, the poses that ST-GCN's authors estimated with OpenPose (Yan et al., 2018).

A folder of one JSON file a clip::

    {"data": [{"frame_index": 1, "skeleton": [{"pose": [x, y, ...], "score": [...]}]}],
     "label": "juggling balls", "label_index": 150}

with 18 joints, x and y from 0 to 1, and beside the folder ``FOLDER_label.json``::

    {name: {"has_skeleton": true, "label": "juggling balls", "label_index": 150}}
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from asgcn_dgl.data import files as data_files
from asgcn_dgl.data.clip import Clip
from asgcn_dgl.data.files import check_choice, plain_name, shown
from asgcn_dgl.data.formats.estimates import check_options, estimated_clip
from asgcn_dgl.data.formats.estimators import Frames, followed
from asgcn_dgl.data.formats.folder import FolderReader
from asgcn_dgl.data.formats.table import class_list, is_label
from asgcn_dgl.data.persons import SelectBodies
from asgcn_dgl.data.reader import Format, Split
from asgcn_dgl.errors import InputError
from asgcn_dgl.skeleton import get_layout

#: Which bodies count, see :func:`read_kinetics`.
BODIES = ("best", "two_best", "all")

#: Bodies of a frame that ST-GCN looks at.
MAX_BODIES = 5

#: A clip of ten seconds takes less than a tenth of this.
MAX_CLIP_BYTES = 2**24
MAX_LABEL_BYTES = 2**26
MAX_FRAMES = 20_000

#: Frames a second, to which ST-GCN's authors brought the videos before they looked for poses.
FPS = 30.0

#: Places are 0.5 from the middle at most; an estimator may guess what lies just outside.
OUTSIDE = 2.0

PARTS = {"train": "kinetics_train", "test": "kinetics_val"}
_JOINTS = 18


class Known(NamedTuple):
    """What the file of labels says: class from 0 or -1, and whether any body was found."""

    label: int = -1
    has_skeleton: bool = True


def read_kinetics(
    path: str | Path,
    bodies: str = "best",
    *,
    min_score: float = 0.0,
    score: bool = True,
    known: Known | None = None,
) -> Clip:
    """Read one clip: x and y less 0.5, and the score; frames without a body are missing.

    ``bodies="best"``: the body (a place in the lists of frames) of the highest mean score over the
    clip, as AS-GCN takes it. ``"two_best"``: of the first five bodies of each frame the two of the
    highest scores, as ST-GCN takes them. ``"all"``: all. Joints are missing where the score is not
    above ``min_score``; ``score`` keeps it as the last coordinate. ``known`` must agree.
    """
    check_choice("bodies", bodies, BODIES)
    path = Path(path)
    known = Known() if known is None else known
    if not known.has_skeleton:
        raise InputError(f"{path}: has_skeleton is false: no body was found; leave the clip out")
    content = _parse(path, MAX_CLIP_BYTES)
    frames = content.get("data")
    if not isinstance(frames, list):
        raise InputError(f'{path}: no list "data" in it; give a clip of Kinetics-Skeleton')
    label = _label(path, content)
    if known.label >= 0 and label not in (-1, known.label):
        raise InputError(
            f'{path}: "label_index" is {label}, but the file of labels says {known.label}; copy '
            "both again from their source"
        )
    places, scores = _poses(path, frames, MAX_BODIES if bodies == "two_best" else None)
    if bodies == "two_best":
        places, scores = _two_best(places, scores)
    clip = estimated_clip(
        path.stem,
        get_layout("openpose18"),
        places,
        scores,
        min_score=min_score,
        label=max(label, known.label),
        meta={"path": str(path), "fps": FPS},
    )
    if bodies == "best":
        clip = SelectBodies(1, "confidence")(clip)
    if score:
        return clip
    return Clip(clip.name, clip.layout, clip.places, clip.mask, clip.label, clip.meta).check()


def _parse(path: Path, limit: int) -> dict[str, Any]:
    content = data_files.read_json(path, limit)
    if not isinstance(content, dict):
        raise InputError(f"{path}: is no JSON object; give a file of Kinetics-Skeleton")
    return content


def _label(path: Path, entry: Mapping[str, Any]) -> int:
    label = entry.get("label_index", -1)
    if not is_label(label):
        raise InputError(f'{path}: "label_index" is {shown(label)}, no class from 0; correct it')
    return label


def _poses(path: Path, entries: Sequence[Any], most: int | None) -> tuple[np.ndarray, np.ndarray]:
    """(M, T, V, 2) centered places and (M, T, V) scores, 0 where nothing was seen."""
    frames: Frames = {}
    for place, entry in enumerate(entries, start=1):
        number = entry.get("frame_index") if isinstance(entry, dict) else None
        found = entry.get("skeleton") if isinstance(entry, dict) else None
        if type(number) is not int or not isinstance(found, list):
            raise InputError(
                f'{path}, entry {place} of "data": no "frame_index" (a number) and "skeleton" (a '
                "list); copy the file again from its source"
            )
        if not 0 <= number < MAX_FRAMES:
            raise InputError(f"{path}, frame {number}: not from 0 to {MAX_FRAMES - 1}; correct it")
        if number in frames:
            raise InputError(f"{path}: duplicate frame {number}; remove one")
        frames[number] = [
            _body(f"{path}, frame {number}, body {body}", each)
            for body, each in enumerate(found[:most], start=1)
        ]
    bodies = {number: list(map(str, range(len(found)))) for number, found in frames.items()}
    poses = followed(str(path), frames, bodies)
    assert poses.confidence is not None
    return np.where(poses.confidence[..., None] == 0, 0, poses.places - 0.5), poses.confidence


def _body(place: str, entry: Any) -> np.ndarray:
    """(V, 3) places and scores of a body."""
    found = []
    for key, size in (("pose", 2 * _JOINTS), ("score", _JOINTS)):
        values = entry.get(key) if isinstance(entry, dict) else None
        if not isinstance(values, list) or len(values) != size:
            count = f"{len(values)} numbers" if isinstance(values, list) else "no list"
            raise InputError(
                f'{place}: "{key}" is {count}, where {size} numbers should be; give poses of '
                "OpenPose's 18 joints"
            )
        if not all(type(value) in (int, float) and abs(value) < 1e6 for value in values):
            raise InputError(f'{place}: "{key}" holds what is no finite number; correct it')
        found.append(np.array(values, dtype=np.float64).reshape(_JOINTS, -1))
    pose, sure = found
    if (np.abs(pose[sure[:, 0] > 0] - 0.5) > OUTSIDE).any():
        raise InputError(
            f'{place}: "pose" lies far outside of the picture, whose places are from 0 to 1; '
            "divide x by its width and y by its height"
        )
    return np.hstack(found)


def _two_best(places: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The two bodies of the highest summed score in each frame, the better first."""
    order = np.argsort(-scores.sum(axis=2), axis=0, kind="stable")[:2]  # (2, T)
    frames = np.arange(scores.shape[1])
    return places[order, frames], scores[order, frames]


def open_kinetics(
    root: str | Path, bodies: str = "best", min_score: float = 0.0, score: bool = True
) -> FolderReader:
    """Open the folder of ``kinetics_train`` and ``kinetics_val``, one folder of clips, or a clip.

    The labels ``kinetics_train_label.json``, ... are beside the folders; the split ``kinetics``
    needs both. To read a clip without a body, or one that is listed and not there, is an error, so
    that it is counted as dropped. Options as for :func:`read_kinetics`.
    """
    check_choice("bodies", bodies, BODIES)
    check_options(min_score, score)
    root = Path(root)
    layout = get_layout("openpose18")
    options = {"bodies": bodies, "min_score": min_score, "score": score}
    if root.is_file():
        return FolderReader((root.stem,), layout, (), {}, (root,), read_kinetics, options)
    parts = {part: root / name for part, name in PARTS.items() if (root / name).is_dir()}
    classes: dict[int, str] = {}
    found = {part: _folder(folder, classes) for part, folder in (parts or {"": root}).items()}
    files = [path for own in found.values() for path in own]
    known = [each for own in found.values() for each in own.values()]
    if not files:
        raise InputError(
            f"{root}: no clips (*.json) in it; give the folder that holds "
            f"{' and '.join(PARTS.values())}, or one of them"
        )
    shared = {each: {"known": each} for each in known}
    numbered = (
        classes.get(label, f"class {label}") for label in range(max(classes, default=-1) + 1)
    )
    return FolderReader(
        tuple(data_files.by_name([path.stem for path in files], files)),
        layout,
        class_list(root) or tuple(numbered),
        {"kinetics": Split.of(part for part, own in found.items() for _ in own)} if parts else {},
        tuple(files),
        read_kinetics,
        options,
        tuple(shared[each] for each in known),
        labels=tuple(each.label for each in known),
    )


def _folder(folder: Path, classes: dict[int, str]) -> dict[Path, Known]:
    """Return what is known of the clips of a folder by file; names of classes are added."""
    if not folder.is_dir():
        raise InputError(f"{folder}: is no folder; give the folder of Kinetics-Skeleton")
    table = folder.parent / f"{folder.resolve().name}_label.json"
    known: dict[str, Known] = {}
    for name, entry in (
        _parse(table, MAX_LABEL_BYTES) if data_files.is_there(table) else {}
    ).items():
        place = f"{table} ({name[:40]!r})"
        if "/" in plain_name(name, str(table)) or "\\" in name:
            raise InputError(f"{place}: a name that is a path; give names of files alone")
        if not isinstance(entry, dict) or not isinstance(entry.get("has_skeleton", True), bool):
            raise InputError(f"{place}: no has_skeleton, label and label_index; copy it again")
        label, text = _label(table, entry), entry.get("label")
        known[name] = Known(label, entry.get("has_skeleton", True))
        if label >= 0 and isinstance(text, str) and classes.setdefault(label, text) != text:
            raise InputError(
                f"{place}: class {label} is {text[:40]!r}, but {classes[label][:40]!r} elsewhere; "
                "correct one of them"
            )
    for path in folder.glob("*.json"):
        if data_files.is_recording(path) and not path.name.endswith("_label.json"):
            known.setdefault(plain_name(path.stem, str(path)), Known())
    return {folder / f"{name}.json": known[name] for name in sorted(known)}


def _recognizes(path: Path) -> bool:
    if path.is_dir():
        return any((path / name).is_dir() for name in PARTS.values())
    return path.suffix.lower() == ".json" and b'"frame_index"' in data_files.first_bytes(path)


_OPTIONS = ("bodies", "min_score", "score")
FORMAT = Format("kinetics", open_kinetics, _recognizes, "Kinetics-Skeleton", _OPTIONS)
