"""What formats of other projects share: scores of joints, absent bodies, names of NTU RGB+D."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from asgcn_dgl.data.clip import Clip, RecordingName
from asgcn_dgl.data.formats.layout_file import find_layout
from asgcn_dgl.data.formats.source import Split
from asgcn_dgl.data.formats.table import class_list
from asgcn_dgl.data.ntu import parse_ntu_name
from asgcn_dgl.data.sets import SkeletonSet, get_set
from asgcn_dgl.errors import InputError
from asgcn_dgl.skeleton import SkeletonLayout, get_layout

__all__ = [
    "Joints",
    "SetFacts",
    "check_options",
    "estimated_clip",
    "name_facts",
    "ntu_set",
    "set_facts",
]

logger = logging.getLogger(__name__)


def estimated_clip(
    name: str,
    layout: SkeletonLayout,
    places: np.ndarray,
    score: np.ndarray | None = None,
    *,
    seen: np.ndarray | None = None,
    min_score: float = 0.0,
    keep_score: bool = True,
    label: int = -1,
    meta: Mapping[str, Any] | None = None,
) -> Clip:
    """Make a clip of places and scores.

    Parameters
    ----------
    name, layout, label, meta
        Of the clip.
    places
        (M, T, V, d) coordinates.
    score
        (M, T, V) scores; None: joints at the exact origin are missing.
    seen
        (M, T, V) which joints were seen, where there are no scores and the origin does not tell.
    min_score
        Joints whose score is not above this, or is NaN, are missing.
    keep_score
        The score is the last coordinate of each joint.

    Returns
    -------
    Clip
        Without bodies that are never seen; of nothing but such, the first stays.

    Raises
    ------
    InputError
        As :class:`~asgcn_dgl.data.Clip`.
    """
    if score is not None:
        mask = score > min_score
    else:
        mask = (places != 0).any(axis=-1) if seen is None else seen
    present = mask.any(axis=(1, 2))
    if present.any() and not present.all():
        places, mask = places[present], mask[present]
        score = None if score is None else score[present]
    scored = score is not None and keep_score
    if scored:
        places = np.concatenate([places, np.asarray(score)[..., None]], axis=-1)
    return Clip.from_positions(name, layout, places, mask, label, meta, scored)


def check_options(min_score: Any, score: Any) -> None:
    """Refuse a threshold that is no number, and a ``score`` that is neither true nor false."""
    number = isinstance(min_score, int | float) and not isinstance(min_score, bool)
    if not number or min_score != min_score:
        raise InputError(f"min_score must be a number, got {min_score!r}")
    if not isinstance(score, bool):
        raise InputError(f"score must be true or false, got {score!r}")


def ntu_set(names: Sequence[str]) -> SkeletonSet | None:
    """Return NTU RGB+D 60 or 120, whichever the recordings are of; None if their names say neither.

    Parameters
    ----------
    names
        Of all recordings.
    """
    try:
        numbers = [parse_ntu_name(name) for name in names]
    except InputError:
        return None
    small = all(number.setup <= 17 and number.action <= 60 for number in numbers)
    return get_set("ntu60" if small else "ntu120")


def name_facts(place: str, name: str, label: int) -> dict[str, int]:
    """Return what a name in NTU RGB+D's form says; nothing for another.

    Parameters
    ----------
    place
        File and recording, for the message.
    name
        Of the recording.
    label
        Its class; -1 if unknown.

    Raises
    ------
    InputError
        If the name is of another class.
    """
    numbers = _numbers(name)
    if numbers is None:
        return {}
    if label not in (-1, numbers.action - 1):
        raise InputError(
            f"{place}: label {label} where the name says {numbers.action - 1} "
            f"(A{numbers.action:03d}); names and labels are out of step, make the file again"
        )
    return numbers._asdict()


class Joints(NamedTuple):
    """How the layout of a set is found.

    Attributes
    ----------
    number
        V.
    known
        Names of layouts that are usual, by number of joints.
    asked
        Name of a supplied layout, or a layout file, that was asked for; None: none.
    """

    number: int
    known: Mapping[int, str]
    asked: str | None = None


class SetFacts(NamedTuple):
    """What a set is.

    Attributes
    ----------
    layout
        Of all bodies.
    class_names
        By label; empty where they are not known.
    """

    layout: SkeletonLayout
    class_names: tuple[str, ...]


def set_facts(
    place: str,
    folder: Path,
    chosen: SkeletonSet | None,
    splits: Mapping[str, Split],
    joints: Joints,
) -> SetFacts:
    """Find the layout and the classes of a set, and compare its splits with published ones.

    Parameters
    ----------
    place
        File or folder, for messages.
    folder
        Where ``classes.txt`` and layout files are looked for.
    chosen
        The set of NTU RGB+D that the recordings are of; None: another.
    splits
        By name. A recording in another part than the protocol of that name has it in is warned of:
        figures of such a split compare with none.
    joints
        How the layout is found.

    Raises
    ------
    InputError
        If the set is whole and its parts have not the published sizes, or no layout fits.
    """
    _check_splits(place, chosen, splits)
    asked = None if joints.asked is None else find_layout(folder, joints.asked)
    layout = _chosen_layout(place, joints, asked)
    names = class_list(folder) or (chosen.class_names if chosen is not None else ())
    return SetFacts(layout, names)


def _check_splits(place: str, chosen: SkeletonSet | None, splits: Mapping[str, Split]) -> None:
    for name, split in splits.items():
        if chosen is None or name not in chosen.protocols:
            continue
        chosen.check_counts(name, len(split.train), len(split.test))
        trains = chosen.protocols[name].trains
        parts = ((split.train, False), (split.test, True))
        named = [(each, _numbers(each), test) for members, test in parts for each in members]
        wrong = [each for each, numbers, test in named if numbers and trains(numbers) == test]
        if wrong:
            logger.warning(
                "%s: %d recordings, such as %s, are in another part of %s than the protocol of "
                "that name has them in; figures cannot be compared with published ones",
                place,
                len(wrong),
                wrong[0],
                name,
            )


def _numbers(name: str) -> RecordingName | None:
    """What a name says; None where it is not in NTU RGB+D's form."""
    try:
        return parse_ntu_name(name)
    except InputError:
        return None


def _chosen_layout(place: str, joints: Joints, layout: SkeletonLayout | None) -> SkeletonLayout:
    """Return the layout that was asked for, or the known one of so many joints."""
    if layout is not None:
        if layout.num_joints != joints.number:
            raise InputError(
                f"{place}: {joints.number} joints where layout {layout.name!r} has "
                f"{layout.num_joints}; give the layout that the poses were estimated with"
            )
        return layout
    if joints.number not in joints.known:
        raise InputError(
            f"{place}: {joints.number} joints, which no layout that is usual here has; name one by "
            "the option layout"
        )
    return get_layout(joints.known[joints.number])
