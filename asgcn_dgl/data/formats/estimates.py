"""What formats of other projects share: scores of joints, absent bodies, names of NTU RGB+D."""

from __future__ import annotations

import functools
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from asgcn_dgl.data.clip import Clip, RecordingName, lacks_center, nonzero, seen_joints
from asgcn_dgl.data.files import check_choice
from asgcn_dgl.data.formats.folder import PublishedSet
from asgcn_dgl.data.formats.layout_file import GivenLayout, find_layouts, fitting, has_layout
from asgcn_dgl.data.formats.ntu import NTU60, NTU120
from asgcn_dgl.data.formats.table import class_list
from asgcn_dgl.data.reader import UNKNOWN, Reader, Split
from asgcn_dgl.errors import InputError
from asgcn_dgl.skeleton import SkeletonLayout, get_layout

logger = logging.getLogger(__name__)

#: More bodies than this, and than frames, are frames.
MANY_BODIES = 8

#: What the third of three channels can be; ``auto``: as the layout says.
THIRDS = ("auto", "depth", "score")

#: Clips that are looked at to find out what the third channel is.
LOOKED_AT = 16

#: Layouts of estimators on pictures, whose third channel is a score, by number of joints.
FLAT = {
    **{16: "mpii16", 17: "coco17", 18: "openpose18", 25: "openpose25"},
    **{26: "halpe26", 133: "wholebody133"},
}

#: Layouts of poses in space.
_IN_SPACE = (
    *("cmu38", "h36m17", "h36m32", "kinectv1_20", "ntu25", "ntu25_pyskl", "smpl22", "smpl24"),
)


@dataclass(frozen=True)
class EstimatesReader(Reader):
    """Recordings of another project's files; ``flat``: the third channel is a score."""

    min_score: float = 0.0
    score: bool = True
    flat: bool = False

    def clip(
        self,
        index: int,
        place: str,
        pos: np.ndarray,
        score: np.ndarray | None,
        seen: np.ndarray | None = None,
    ) -> Clip:
        """Make the clip of a recording; see :func:`estimated_clip`."""
        name, label = self.names[index], self.labels[index]
        return estimated_clip(
            name,
            self.layout,
            pos,
            score,
            seen=seen,
            min_score=self.min_score,
            keep_score=self.score and pos.shape[-1] == 2,
            label=label,
            meta={"path": place, **_name_facts(place, name, label)},
        )

    def parted(self, place: str, pos: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Return places and, where the third channel is one, the score."""
        if not self.flat:
            return pos, None
        _check_scores(place, pos[..., 2])
        return pos[..., :2], pos[..., 2]


def described(
    place: str,
    folder: Path,
    names: Sequence[str],
    labels: Sequence[int],
    splits: Mapping[str, Split],
    joints: int,
    usual: Mapping[int, str],
    layout: GivenLayout,
    third: str,
    thirds: np.ndarray | None,
    chosen: PublishedSet | None = None,
    certain: bool = False,
) -> dict[str, Any]:
    """Return what every :class:`EstimatesReader` is made of, by name of the field.

    ``usual`` has layouts by number of joints, ``thirds`` the third channel of some clips (None: it
    is no score). ``chosen`` is the set where names do not say it; ``certain``: of known joints.
    """
    numbers = tuple(NTU120.number(name) or UNKNOWN for name in names)
    chosen = chosen or _ntu_set(numbers)
    if chosen is not None:
        _check_splits(place, names, numbers, chosen, splits)
    found = choose_layout(place, folder, joints, usual, layout)
    guessed = not (certain or layout or chosen or has_layout(folder))
    return {
        "names": tuple(names),
        "layout": found,
        "class_names": class_list(folder) or (chosen.class_names if chosen else ()),
        "splits": splits,
        "labels": tuple(labels),
        "numbers": numbers,
        "flat": thirds is not None and _is_score(place, third, found, thirds, guessed),
    }


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
    """Make a clip of places (M, T, V, d) and scores (M, T, V), without bodies that are never seen.

    A joint is missing where a coordinate is NaN, where the score is NaN or not above ``min_score``,
    and where ``seen`` (M, T, V) is False. Without scores and ``seen``,
    :func:`~asgcn_dgl.data.clip.seen_joints` decides. ``keep_score`` makes the score the last
    coordinate of each joint.
    """
    known = ~np.isnan(places).any(axis=-1)
    if score is not None:
        score = trusted_scores(str((meta or {}).get("path", name)), layout, places, score)
        seen = (score > min_score) & (True if seen is None else seen)
    if not known.all():
        places = np.where(known[..., None], places, 0)
    mask = known & (seen_joints(places, layout) if seen is None else seen)
    present = mask.any(axis=(1, 2))
    if score is not None and not present.any() and (known & (score > 0)).any():
        best = float(score[known].max())
        raise InputError(
            f"{(meta or {}).get('path', name)}: no joint has a score above {min_score:g}, the best "
            f"has {best:.3g}; give a lower --options.min_score, or leave the recording out"
        )
    if present.any() and not present.all():
        places, mask = places[present], mask[present]
        score = None if score is None else score[present]
    scored = score is not None and keep_score
    if scored:
        places = np.concatenate([places, np.asarray(score)[..., None]], axis=-1)
    return Clip.from_positions(name, layout, places, mask, label, meta, scored)


def trusted_scores(
    place: str, layout: SkeletonLayout, places: np.ndarray, score: np.ndarray
) -> np.ndarray:
    """Return scores, 1 for joints whose places are given, though their scores are 0 throughout.

    Some sensors never rate some joints. They are warned of, and count where their places are given:
    in most frames that show the body, and not always the same.
    """
    shown: np.ndarray = np.any(score > 0, axis=2)
    given: np.ndarray = nonzero(places) & ~np.isnan(places).any(axis=-1)  # (M, T, V)
    unrated = [
        joint
        for joint in np.flatnonzero((score == 0).all(axis=(0, 1))).tolist()
        if 2 * (here := given[..., joint] & shown).sum() > shown.sum() > 0
        and np.ptp(places[here, joint], axis=0).any()
    ]
    if not unrated:
        return score
    _tell_unrated(place.split(" (")[0], tuple(layout.joints[joint] for joint in unrated))
    seen = given & shown[..., None] & np.isin(np.arange(score.shape[2]), unrated)
    return np.where(seen, 1.0, score)


@functools.lru_cache(maxsize=64)
def _tell_unrated(place: str, joints: tuple[str, ...]) -> None:
    """Warn once of joints without scores."""
    logger.warning(
        "%s: the score of %s is 0 in all frames, though places are given: taken as seen",
        place,
        ", ".join(joints),
    )


def check_options(min_score: Any, score: Any, third: Any = "auto") -> None:
    """Refuse a threshold that is no number, and other options that are none of their values."""
    check_choice("third", third, THIRDS)
    number = isinstance(min_score, int | float) and not isinstance(min_score, bool)
    if not number or min_score != min_score:
        raise InputError(f"min_score must be a number, got {min_score!r}")
    if not isinstance(score, bool):
        raise InputError(f"score must be true or false, got {score!r}")


def _is_score(
    place: str, third: str, layout: SkeletonLayout, values: np.ndarray, guessed: bool
) -> bool:
    """Tell whether the third channel is a score, or a depth.

    The option ``third`` decides, else a supplied layout unless it was ``guessed`` from the number
    of joints, else the ``values`` of some clips; InputError if they contradict it or do not decide.
    """
    values = values[np.isfinite(values)]
    unit = ((values > 0) & (values < 1)).any() and ((values >= 0) & (values <= 1)).all()
    if third == "auto" and layout.name not in FLAT.values():
        if not unit or (layout.name in _IN_SPACE and not guessed):
            return False
        raise InputError(
            f"{place}: the third channel is from 0 to 1, a score or a depth; say which by "
            "--options.third score (or depth)" + (", or by --options.layout" if guessed else "")
        )
    if third == "depth":
        return False
    _check_scores(place, values)
    return True


def check_bodies(place: str | Path, shape: Sequence[int]) -> None:
    """Refuse an array (M, T, ...) of many bodies over fewer frames: its axes were exchanged."""
    bodies, frames = shape[:2]
    if bodies > MANY_BODIES and bodies > frames:
        raise InputError(
            f"{place}: {tuple(shape)} would be {bodies} bodies over {frames} frames; if the first "
            "axis is of frames, exchange the two, or give an own set --options.axes TMVC"
        )


def only_one(root: Path, found: Sequence[Path], pattern: str) -> Path:
    """Return the only file that was found."""
    if len(found) > 1:
        raise InputError(f"{root}: {len(found)} files {pattern} in it; give one of them as --root")
    return found[0]


def _check_scores(place: str, values: np.ndarray) -> None:
    """Refuse scores below 0."""
    if (values < 0).any():
        raise InputError(
            f"{place}: the third channel is {values[values < 0][0]:.4g}, which is no score; if it "
            "is a depth, say --options.third depth, or give the layout by --options.layout"
        )


def _ntu_set(numbers: Sequence[RecordingName]) -> PublishedSet | None:
    """Return NTU RGB+D 60 or 120, whichever the recordings are of; None where names say neither."""
    if UNKNOWN in numbers:
        return None
    return NTU60 if all(each.setup <= 17 and each.action <= 60 for each in numbers) else NTU120


def _name_facts(place: str, name: str, label: int) -> dict[str, int]:
    """Return what a name in NTU RGB+D's form says, if it has it; InputError for another class."""
    number = NTU120.number(name)
    if number is None:
        return {}
    if label not in (-1, number.action - 1):
        raise InputError(
            f"{place}: label {label} where the name says {number.action - 1} "
            f"(A{number.action:03d}); names and labels are out of step, make the file again"
        )
    return number._asdict()


def _check_splits(
    place: str,
    names: Sequence[str],
    numbers: Sequence[RecordingName],
    chosen: PublishedSet,
    splits: Mapping[str, Split],
) -> None:
    """Refuse a whole set with other sizes than the published ones, and warn of other parts."""
    for name in (each for each in chosen.protocols if each in splits):
        split, protocol = splits[name], chosen.protocols[name]
        chosen.check_counts(name, split)
        wrong = [
            names[index]
            for members, test in ((split.train, False), (split.test, True))
            for index in members
            if numbers[index] != UNKNOWN and protocol.trains(numbers[index]) == test
        ]
        if wrong:
            logger.warning(
                "%s: %d recordings, such as %s, are in another part of %s than the protocol of "
                "that name has them in; figures cannot be compared with published ones",
                *(place, len(wrong), wrong[0], name),
            )


def choose_layout(
    place: str, folder: Path, joints: int, known: Mapping[int, str], given: GivenLayout
) -> SkeletonLayout:
    """Return the layout that is given, or is in the folder, or is usual for so many joints."""
    if given is not None or has_layout(folder):
        layout = fitting(find_layouts(folder, given), joints)
        if layout.num_joints != joints and not lacks_center(layout, joints):
            raise InputError(
                f"{place}: {joints} joints where layout {layout.name!r} has "
                f"{layout.num_joints}; give the layout that the poses were estimated with"
            )
        return layout
    if joints not in known:
        raise InputError(
            f"{place}: {joints} joints, which no layout that is usual here has; name one by "
            "--options.layout, or write a layout.yaml beside"
        )
    return get_layout(known[joints])
