"""Facts of the supplied layouts, from ``layouts.json``.

Every supplied layout is a tree. A row is a joint, in the order of the data: its name, the neighbor
on the way to the center (``""`` for the center itself), its body part, and its place in the
drawing, x to the right and y up as the viewer sees a body that faces the viewer, hence the body's
left at positive x. Names that begin with ``left_`` and ``right_`` make the mirror pairs. Poses are
about 2 units high, bodies with the hips at the origin. They are for drawing only: joints that share
a place in the recordings are set a little apart.
"""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

__all__ = ["SUPPLIED"]


def _facts(
    name: str,
    joints: list[list[Any]],
    about: str,
    spine: list[str] | None = None,
    shoulders: list[str] | None = None,
) -> dict[str, Any]:
    """Turn an entry of the file into the arguments of ``SkeletonLayout.from_bones``."""
    names = [row[0] for row in joints]
    parts: dict[str, list[str]] = {}
    for joint, _, part, _, _ in joints:
        parts.setdefault(part, []).append(joint)
    lefts = [joint for joint in names if joint.startswith("left_")]
    return {
        "name": name,
        "joints": names,
        "bones": [(joint, inward) for joint, inward, *_ in joints if inward],
        "center": next(joint for joint, inward, *_ in joints if not inward),
        "mirror": [(left, "right_" + left.removeprefix("left_")) for left in lefts],
        "parts": parts,
        "pose": [(x, y) for *_, x, y in joints],
        "spine": spine,
        "shoulders": shoulders,
    }


SUPPLIED: tuple[dict[str, Any], ...] = tuple(
    _facts(**entry)
    for entry in json.loads(
        resources.files("asgcn_dgl.skeleton").joinpath("layouts.json").read_text(encoding="utf-8")
    )
)
