"""A clip as a moving picture: bodies, A-links, predicted poses."""

from __future__ import annotations

import importlib
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.animation import FFMpegWriter, PillowWriter
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from asgcn_dgl.files import atomic_path
from asgcn_dgl.viz import figure
from asgcn_dgl.viz.exhibit import Exhibit
from asgcn_dgl.viz.links import draw_links
from asgcn_dgl.viz.pose import (
    Floats,
    body_color,
    body_legend,
    draw_body,
    frame_alike,
    guess_up,
    other_bodies,
    project_bodies,
    spans,
)

#: Endings of the files that :func:`animate` writes.
SUFFIXES = (".gif", ".mp4")

_SIZE = 4.2
_MOST_LINKS = 25


def animate(
    path: str | os.PathLike[str],
    exhibit: Exhibit,
    *,
    class_names: Sequence[str] = (),
    threshold: float | None = 0.9,
    links: bool = True,
    rate: float = 30.0,
    dpi: int = 100,
    up: str | None = None,
) -> Path:
    """Write a clip as a ``.gif`` or ``.mp4``, with its A-links and the predicted poses.

    The 25 strongest A-links above ``threshold`` are drawn, or the ten strongest where none passes
    (or for None); where links lead from body to body, they are counted over all bodies together,
    else body by body. ``rate`` is frames a second; a GIF shows at most 50, so that frames of a
    faster clip are left out. ``up`` is by default found by :func:`~asgcn_dgl.viz.guess_up`.
    RuntimeError for an MP4 without ffmpeg.
    """
    target = Path(path)
    suffix = target.suffix.lower()
    if suffix not in SUFFIXES:
        raise ValueError(f"path must end in {' or '.join(SUFFIXES)}, got {str(path)!r}")
    if not rate > 0:
        raise ValueError(f"rate must be positive, got {rate!r}")
    film = suffix == ".mp4"
    settings: Any = {"animation.ffmpeg_path": find_ffmpeg()} if film else {}
    stride = 1 if film else max(1, int(np.ceil(rate / 50)))
    stage = Stage(exhibit, class_names, threshold, links, guess_up([exhibit], up))
    with mpl.rc_context(settings), atomic_path(target) as temporary:
        # What all players take: even numbers of pixels, and colors at half resolution.
        size = ["-vf", "pad=ceil(iw/2)*2:ceil(ih/2)*2:color=white", "-pix_fmt", "yuv420p"]
        fps: Any = rate / stride
        writer: Any = FFMpegWriter(fps, extra_args=size) if film else PillowWriter(fps)
        with writer.saving(stage.fig, str(temporary), dpi):
            for time in range(0, exhibit.num_frames, stride):
                stage.draw(time)
                writer.grab_frame()
    return target


def find_ffmpeg() -> str:
    """Find ffmpeg: that of imageio-ffmpeg, or the machine's own."""
    try:
        return str(importlib.import_module("imageio_ffmpeg").get_ffmpeg_exe())
    except (ImportError, RuntimeError):
        found = shutil.which("ffmpeg")
    if found is None:
        raise RuntimeError(
            "an MP4 needs ffmpeg: pip install imageio-ffmpeg, or install ffmpeg, or write a .gif"
        )
    return found


class Stage:
    """The figure, redrawn for each frame."""

    def __init__(
        self,
        exhibit: Exhibit,
        class_names: Sequence[str],
        threshold: float | None,
        links: bool,
        up: str,
    ) -> None:
        self.exhibit, self.threshold = exhibit, threshold
        self.links = exhibit.link_blocks() if links else []
        self.start = exhibit.future_start
        self.true, self.guess = _points(exhibit, up)
        self.span = spans([self.true])
        self.fig = Figure(figsize=(_SIZE, _SIZE + 0.9))
        FigureCanvasAgg(self.fig)
        heading = figure.title_lines(_heading(exhibit, class_names), 0.9 * _SIZE)
        font: Any = {"fontsize": figure.TITLE_SIZE, "color": figure.INK}
        self.fig.text(0.5, 0.985, "\n".join(heading), ha="center", va="top", **font)
        self.axis = self.fig.add_axes((0.02, 0.11, 0.96, 0.80))
        self.bar = self.fig.add_axes((0.06, 0.045, 0.88, 0.018))
        bodies = 1 + max(exhibit.bodies_seen, default=0)
        # Links are drawn on bodies of one color each.
        colors = other_bodies(bodies) if self.links else body_legend(exhibit.layout, bodies)
        self.legends = [
            self.fig.legend(
                handles=figure.legend_of(lines), loc="lower left", bbox_to_anchor=(0.03, 0.075),
                ncols=4, frameon=False, fontsize=figure.SMALL_SIZE,
            )
            for lines in (
                {name: (color, 2.4) for name, color in colors.items()},
                {"true": (figure.GREY, 2.4), "predicted": (figure.ORANGE, 1.6)},
            )
        ]  # fmt: skip

    def draw(self, time: int) -> None:
        """Draw a frame."""
        axis = self.axis
        axis.clear()
        figure.bare_axes(axis)
        layout = self.exhibit.layout
        future = time >= self.start
        for legend, shown in zip(self.legends, (not future, future), strict=True):
            legend.set_visible(shown)
        for body in range(self.exhibit.num_bodies):
            own = figure.INK if self.links and not body else body_color(body)
            color = figure.GREY if future else own
            draw_body(axis, layout, self.true[body, time], color=color, linewidth=3.0)
            if future:
                guess = self.guess[body, time - self.start]
                draw_body(axis, layout, guess, color=figure.ORANGE, linewidth=1.8, zorder=3.5)
        for bodies, matrix in self.links:
            points = self.true[bodies, time].reshape(-1, 2)
            draw_links(axis, points, matrix.astype(np.float64), self.threshold, 10, _MOST_LINKS)
        frame_alike(axis, self.true, self.span, margin=0.06)
        # The place in the clip, and what of it was predicted.
        bar, last = self.bar, max(self.exhibit.num_frames - 1, 1)
        bar.clear()
        bar.set_axis_off()
        bar.set(xlim=(0, last), ylim=(0, 1))
        bar.axhspan(0.35, 0.65, color=figure.PALE)
        if self.exhibit.steps:
            bar.axvspan(self.start, last, 0.35, 0.65, color=figure.ORANGE)
        bar.scatter([time], [0.5], s=36, color=figure.INK, zorder=3, clip_on=False)
        text = f"frame {time} of {self.exhibit.num_frames - 1}"
        bar.text(1.0, -0.5, text, ha="right", va="top", transform=bar.transAxes, **figure.LABEL)


def _points(exhibit: Exhibit, up: str) -> tuple[Floats, Floats]:
    """Project true and predicted poses from one viewpoint: (M, T, V, 2) and (M, T', V, 2)."""
    pos = np.where(exhibit.mask[..., None], exhibit.pos, np.nan).astype(np.float64)
    if exhibit.future is not None:
        pos = np.concatenate([pos, exhibit.future], axis=1)
    flat = project_bodies(pos, up, exhibit.layout.shoulders)
    return flat[:, : exhibit.num_frames], flat[:, exhibit.num_frames :]


def _heading(exhibit: Exhibit, class_names: Sequence[str]) -> str:
    heading = exhibit.name
    if class_names and exhibit.label >= 0:
        heading = f"{class_names[exhibit.label]} ({exhibit.name})"
    if class_names and exhibit.predicted >= 0:
        heading += f", recognized as {class_names[exhibit.predicted]}"
    return heading
