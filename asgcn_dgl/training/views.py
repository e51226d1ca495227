"""From how many views a set was recorded, and the preparation that suits it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from asgcn_dgl.data import Clip, Reader
from asgcn_dgl.data.transforms import shoulder_line
from asgcn_dgl.errors import InputError
from asgcn_dgl.training.config import ClipsConfig

Views = Literal["one", "several"]

#: Preparation of clips of one view and of several, as ``clips.views`` sets it.
SUITED: dict[Views, dict[str, Any]] = {
    "one": {
        "align": "view_clip",
        "rotate": 25.0,
        "scale": [0.8, 1.2],
        "shear": 0.2,
        "flip": 0.0,
        "box": False,
    },
    "several": {
        "align": "view_clip",
        "rotate": [20.0, 20.0, 60.0],
        "scale": [0.5, 1.5],
        "shear": 0.0,
        "flip": 0.5,
        "box": True,
    },
}
#: What clips of two coordinates have instead, which cannot be turned to one direction.
IN_THE_PLANE: dict[str, Any] = {"align": "center", "rotate": 15.0, "shear": 0.0}
#: Share of the clips that face about one way where there is one view, and how far from it at most.
SHARE, DEGREES = 0.9, 30.0
LOOKED_AT = 500  # clips, spread evenly


def found_views(clips: Reader, cameras: Iterable[int] = ()) -> tuple[Views, str]:
    """Find from how many views clips were recorded, and by what evidence.

    There are several where the recordings name several cameras, or where people face the sensor
    from different sides: where fewer than nine tenths of the clips have their shoulders, over the
    whole clip, within 30 degrees of the median direction. Clips in the plane, and skeletons whose
    shoulders are not known, count as one view. Unknown ``cameras`` are -1.
    """
    named = set(cameras) - {-1}
    if len(named) > 1:
        return "several", f"{len(named)} cameras are named"
    numbers = range(0, len(clips), max(1, len(clips) // LOOKED_AT))
    lines = [line for line in (_line(clips.read(index)) for index in numbers) if line is not None]
    if not lines:
        return "one", "the direction of shoulders is not known"
    facing = np.stack(lines)
    middle = np.median(facing, axis=0)
    length = float(np.linalg.norm(middle))
    near = facing @ (middle / length) >= np.cos(np.radians(DEGREES)) if length > 0 else [False]
    share = float(np.mean(near))
    text = f"{100 * share:.0f} % of the clips face within {DEGREES:.0f} degrees of one direction"
    return ("one" if share >= SHARE else "several"), text


def _line(clip: Clip) -> np.ndarray | None:
    """Direction from the left to the right shoulder over a clip, a unit vector (3,)."""
    if clip.num_places != 3 or clip.layout.shoulders is None:
        return None
    line = shoulder_line(clip)
    length = 0.0 if line is None else float(np.linalg.norm(line))
    return None if line is None or length == 0 else line / length


def suited(
    options: ClipsConfig, clips: Reader, cameras: Iterable[int] = ()
) -> tuple[ClipsConfig, str]:
    """Return the options with the preparation that suits the clips, and why.

    See :func:`found_views`. The options are then ``views: given``, so that they hold wherever they
    are read. With these they are returned unchanged, without a reason; only the default alignment
    of clips in the plane becomes 'center', and any other that needs 3 coordinates is refused.
    """
    planar = clips.read(0).num_places != 3
    if options.views == "given":
        if not planar or options.align in ("none", "center"):
            return options, ""
        needs = f"{options.align} needs 3 coordinates, and the clips have 2"
        if options.align != ClipsConfig.align:  # the default
            raise InputError(f"clips.align {needs}; give --clips.align center")
        return replace(options, align="center"), f"given, but align center ({needs})"
    if options.views == "auto":
        views, reason = found_views(clips, cameras)
    else:
        views, reason = options.views, "clips.views"
    chosen = dict(SUITED[views])
    if planar:
        chosen |= IN_THE_PLANE
    words = ", ".join(f"{name} {value}" for name, value in chosen.items())
    found = replace(options, **chosen, views="given")
    return found, f"{views} view{'s' * (views != 'one')} ({reason}): {words}"
