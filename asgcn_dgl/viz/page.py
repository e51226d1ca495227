"""One HTML page that shows clips in motion, and a run: opens from disk, needs no network."""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from asgcn_dgl.files import atomic_path
from asgcn_dgl.skeleton import SkeletonLayout
from asgcn_dgl.viz.exhibit import Exhibit
from asgcn_dgl.viz.pose import facing, guess_up, upright

_SCRIPTS = ("bytes", "scene", "names", "charts", "player", "table", "main")
_MISSING = -32768
_LARGEST = 32000
# Bytes that all motion may take before it is packed; longer clips then leave frames out.
_MOTION_BUDGET = 9_000_000
_PROBABILITIES_KEPT = 5
# A clip is followed where it is this many times as wide as its bodies move around.
_TRAVELS = 1.3

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Row:
    """A clip in the table: true and recognized class (-1 if unknown) and their probabilities.

    ``truth`` is the probability of the true class; ``bodies`` and ``frames`` are for pages without
    a model.
    """

    name: str
    label: int = -1
    predicted: int = -1
    confidence: float = 0.0
    truth: float = 0.0
    bodies: int = 0
    frames: int = 0


@dataclass(frozen=True)
class Page:
    """The content of a page.

    ``rows`` are the clips of the table, ``exhibits`` those of them that are carried with their
    motion. ``class_names`` is empty without a model; ``cards`` are figures at the top: name, value,
    and a note or ''; ``confusion`` (K, K) counts clips by true (row) and recognized class;
    ``curves`` maps chart to curve to epoch to value; ``facts`` are by name, ``commands`` by
    purpose; ``notices`` come first; ``up`` is the axis that points up (None: found by
    :func:`~asgcn_dgl.viz.guess_up`); ``other`` is the page of another run on the same clips, to be
    shown beside this one.
    """

    title: str
    subtitle: str
    rows: Sequence[Row]
    exhibits: Sequence[Exhibit]
    class_names: Sequence[str] = ()
    cards: Sequence[tuple[str, str, str]] = ()
    confusion: npt.NDArray[np.integer] | None = None
    curves: Mapping[str, Mapping[str, Mapping[int, float]]] = field(default_factory=dict)
    facts: Mapping[str, str] = field(default_factory=dict)
    commands: Mapping[str, str] = field(default_factory=dict)
    notices: Sequence[str] = ()
    up: str | None = None
    other: Page | None = None


def write_page(path: str | os.PathLike[str], page: Page) -> Path:
    """Write a page as one HTML file, whole or not at all.

    ImportError without plotly, whose library the page carries; ValueError if an exhibit is not
    among the rows, or the other page has other clips.
    """
    target, text = Path(path), _render(page)
    with atomic_path(target) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")
    return target


def _render(page: Page) -> str:
    library, script = _plotly(), _script()
    policy = (
        f"default-src 'none'; script-src {_source_hash(script)} {_source_hash(library)}; "
        "style-src 'unsafe-inline'; img-src data: blob:; base-uri 'none'; form-action 'none'"
    )
    data = json.dumps(_data(page), separators=(",", ":"), allow_nan=False)
    parts = {
        "policy": policy,
        "title": html.escape(page.title),
        "style": _asset("page.css"),
        "data": data.replace("<", "\\u003c"),
        "library": _packed(library.encode()),
        "script": script,
    }
    # What is put in is not looked at again.
    return re.sub(r"@(\w+)@", lambda place: parts[place[1]], _asset("page.html"))


def _asset(name: str) -> str:
    return (files("asgcn_dgl.viz") / "web" / name).read_text(encoding="utf-8")


@cache
def _script() -> str:
    """Return the page's own scripts as one, in a scope of their own."""
    parts = "\n".join(_asset(f"{name}.js") for name in _SCRIPTS)
    return f'(() => {{\n"use strict";\n{parts}}})();\n'


@cache
def _plotly() -> str:
    """Return plotly's library."""
    try:
        from plotly.offline import get_plotlyjs
    except ImportError as error:
        raise ImportError("the report needs plotly: pip install 'asgcn_dgl[viz]'") from error
    return str(get_plotlyjs())


def _source_hash(script: str) -> str:
    digest = hashlib.sha256(script.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _packed(content: bytes) -> str:
    """Pack bytes as gzipped base64, the same bytes always the same way."""
    return base64.b64encode(gzip.compress(content, 9, mtime=0)).decode()


def _data(page: Page) -> dict[str, Any]:
    pages = [page] if page.other is None else [page, page.other]
    names = [exhibit.name for exhibit in page.exhibits]
    lost = sorted(set(names) - {row.name for row in page.rows})
    if lost:
        raise ValueError(f"exhibits must be among the rows, got {lost[0]!r}")
    shown = [([r.name for r in each.rows], [e.name for e in each.exhibits]) for each in pages]
    if shown[0] != shown[-1]:
        raise ValueError("other must be of the same clips in the same order")
    place = {name: number for number, name in enumerate(names)}
    layouts = {exhibit.layout.name: exhibit.layout for exhibit in page.exhibits}
    up = guess_up(page.exhibits, page.up)
    every = _thinning(page.exhibits)
    return {
        "kind": "run" if page.class_names else "clips",
        "title": " and ".join(each.title for each in pages),
        "subtitle": page.subtitle,
        "notices": [notice for each in pages for notice in each.notices],
        "classes": list(page.class_names),
        "runs": [_run(each) for each in pages],
        "commands": list(page.commands.items()),
        "rows": [
            {
                "name": rows[0].name,
                "label": rows[0].label,
                "bodies": rows[0].bodies,
                "frames": rows[0].frames,
                "clip": place.get(rows[0].name, -1),
                "results": [
                    {
                        "predicted": row.predicted,
                        "confidence": round(row.confidence, 4),
                        "truth": round(row.truth, 4),
                    }
                    for row in rows
                ],
            }
            for rows in zip(*(each.rows for each in pages), strict=True)
        ],
        "layouts": {name: _layout(layout) for name, layout in layouts.items()},
        "clips": [
            _clip(seen, up, every) for seen in zip(*(each.exhibits for each in pages), strict=True)
        ],
    }


def _run(page: Page) -> dict[str, Any]:
    return {
        "name": page.title,
        "cards": [{"label": a, "value": b, "note": c} for a, b, c in page.cards],
        "confusion": None if page.confusion is None else page.confusion.tolist(),
        "curves": {
            chart: {
                label: [sorted(curve), [float(f"{curve[epoch]:.5g}") for epoch in sorted(curve)]]
                for label, curve in curves.items()
            }
            for chart, curves in page.curves.items()
        },
        "facts": list(page.facts.items()),
    }


def _layout(layout: SkeletonLayout) -> dict[str, Any]:
    """Return a skeleton with its bones from the center outwards."""
    depth = layout.depth
    return {
        "joints": list(layout.joints),
        "bones": [[a, b] if depth[a] <= depth[b] else [b, a] for a, b in layout.bones],
        "left": [left for left, _ in layout.mirror],
        "right": [right for _, right in layout.mirror],
    }


def _thinning(exhibits: Sequence[Exhibit]) -> int:
    """Return the frames that a carried clip may have, so that all of them fit the budget."""
    sizes = [(e.num_frames, e.num_bodies * e.layout.num_joints * 6) for e in exhibits]
    cap = max((frames for frames, _ in sizes), default=1)
    while cap > 30 and sum(min(frames, cap) * size for frames, size in sizes) > _MOTION_BUDGET:
        cap = int(cap * 0.9)
    return cap


def _clip(seen: Sequence[Exhibit], up: str, most_frames: int) -> dict[str, Any]:
    """Return a clip, as each run sees it, in small numbers.

    Positions are in steps of ``unit``, shares in steps of 1/255.
    """
    exhibit = seen[0]
    kept = _kept_frames(exhibit, most_frames)
    whole_clip = _for_scene(np.where(exhibit.mask[..., None], exhibit.pos, np.nan), up)
    middle, whole = _box(whole_clip[:, kept])
    points = whole_clip[:, kept] - middle
    futures = [None if e.future is None else _for_scene(e.future, up) - middle for e in seen]
    drawn = [np.zeros(1), *(each.ravel() for each in (points, *futures) if each is not None)]
    unit = max(float(np.nanmax(np.abs(np.concatenate(drawn)))), 1e-6) / _LARGEST
    path = _path(points)
    shift, near = _box(points - path[:, None])
    path[:, :2] += shift[:2]
    across = [[high - low for low, high in box[:2]] for box in (whole, near)]
    follow = max(across[0]) > _TRAVELS * max(across[1])
    return {
        "name": exhibit.name,
        "layout": exhibit.layout.name,
        "label": exhibit.label,
        "bodies": exhibit.num_bodies,
        "total": exhibit.num_frames,
        "frames": kept.tolist(),
        "steps": exhibit.steps,
        "flat": exhibit.pos.shape[3] == 2,
        "turn": round(_turn(exhibit, up), 4),
        "unit": unit,
        "whole": whole,
        "near": near if follow else whole,
        "path": [[float(f"{x:.4g}"), float(f"{y:.4g}")] for x, y, _ in path] if follow else None,
        "pos": _motion(points, unit),
        "models": [
            {
                "probabilities": _probabilities(each),
                "future": None if future is None else _motion(future, unit),
                "links": _links(each),
                "response": _response(each),
            }
            for each, future in zip(seen, futures, strict=True)
        ],
    }


def _probabilities(exhibit: Exhibit) -> list[list[float]] | None:
    if exhibit.probabilities is None:
        return None
    top = np.argsort(-exhibit.probabilities, kind="stable")[:_PROBABILITIES_KEPT]
    return [[int(k), round(float(exhibit.probabilities[k]), 4)] for k in top]


def _path(points: Floats) -> Floats:
    """Return where the bodies are on the ground in each frame, smoothed: (T, 3), height 0."""
    count = np.isfinite(points).all(axis=-1).sum(axis=(0, 2))
    known = np.flatnonzero(count)
    path = np.zeros((len(count), 3))
    if len(known):
        total = np.nansum(points, axis=(0, 2))
        window = np.hanning(min(2 * (len(count) // 8) + 3, 33))[1:-1]
        window /= window.sum()
        for axis in (0, 1):
            filled = np.interp(np.arange(len(count)), known, total[known, axis] / count[known])
            # Mirrored through the ends, so that what moves steadily is followed there too.
            padded = np.pad(filled, len(window) // 2, mode="reflect", reflect_type="odd")
            path[:, axis] = np.convolve(padded, window, mode="valid")
    return path


def _kept_frames(exhibit: Exhibit, most: int) -> npt.NDArray[np.int64]:
    """Return the frames that are carried: evenly spread, and all that were predicted."""
    start = exhibit.future_start
    room = max(most - exhibit.steps, 2)
    if start <= room:
        return np.arange(exhibit.num_frames)
    past = np.unique(np.linspace(0, start - 1, room).round().astype(np.int64))
    return np.concatenate([past, np.arange(start, exhibit.num_frames)])


def _for_scene(pos: npt.NDArray[np.floating], up: str) -> Floats:
    """Turn positions so that x points right, y away from the viewer and z up."""
    points = np.asarray(pos, dtype=np.float64)
    if points.shape[-1] == 2:
        sign = -1.0 if up.startswith("-") else 1.0
        flat = np.zeros(points.shape[:-1])
        return np.stack([points[..., 0], flat, sign * points[..., 1]], axis=-1)
    points = upright(points, up)
    return np.stack([-points[..., 0], points[..., 2], points[..., 1]], axis=-1)


def _turn(exhibit: Exhibit, up: str) -> float:
    """Return the angle about the vertical from which all bodies together face the viewer."""
    if exhibit.pos.shape[3] == 2:
        return 0.0
    pos = np.where(exhibit.mask[..., None], exhibit.pos, np.nan).astype(np.float64)
    together = pos.swapaxes(0, 1).reshape(exhibit.num_frames, -1, 3)
    return facing(upright(together, up), exhibit.layout.shoulders)


def _box(points: Floats) -> tuple[Floats, list[list[float]]]:
    """Return the middle of a clip on its ground, and the box around it without outliers."""
    seen = np.isfinite(points).all(axis=-1)
    inside = points[seen] if seen.any() else np.zeros((1, 3))
    low, high = np.percentile(inside, [0.5, 99.5], axis=0)
    middle = np.array([(low[0] + high[0]) / 2, (low[1] + high[1]) / 2, low[2]])
    size = np.maximum(high - low, 1e-3)
    room = 0.12 * float(size.max())
    x, y = np.maximum(size / 2, 0.2 * float(size.max()))[:2] + room
    box = [[-x, x], [-y, y], [-0.5 * room, size[2] + room]]
    return middle, [[round(float(end), 4) for end in ends] for ends in box]


def _motion(points: Floats, unit: float) -> str:
    """Pack (M, T, V, 3) positions: differences over time, low bytes first, gzipped."""
    steps = np.clip((points / unit).round(), -32767, 32767)
    seen = np.isfinite(points).all(axis=-1, keepdims=True)
    whole = np.where(seen, steps, _MISSING).astype(np.int16)
    rows = whole.swapaxes(0, 1).reshape(whole.shape[1], -1).view(np.uint16)
    change = rows.copy()
    change[1:] -= rows[:-1]  # wraps around, and back when it is added up
    flat = change.ravel()
    low, high = (flat & 0xFF).astype(np.uint8), (flat >> 8).astype(np.uint8)
    return _packed(low.tobytes() + high.tobytes())


def _links(exhibit: Exhibit) -> dict[str, Any] | None:
    """Pack A-links: a block a body, or one for all where links lead from body to body."""
    if exhibit.links is None:
        return None
    blocks = np.stack([links for _, links in exhibit.link_blocks()])
    values = np.clip(255 * blocks, 0, 255).round().astype(np.uint8)
    return {
        "blocks": len(blocks),
        "types": blocks.shape[1],
        "size": blocks.shape[2],
        "values": _packed(values.tobytes()),
    }


def _response(exhibit: Exhibit) -> dict[str, Any] | None:
    """Pack responses as shares of the clip's largest, steps first."""
    if exhibit.response is None or exhibit.response_frames is None or not exhibit.response.size:
        return None
    share = exhibit.response / max(float(exhibit.response.max()), 1e-12)
    values = np.clip(255 * share, 0, 255).round().astype(np.uint8).swapaxes(0, 1)
    return {
        "frames": [round(float(frame), 2) for frame in exhibit.response_frames],
        "values": _packed(values.tobytes()),
    }
