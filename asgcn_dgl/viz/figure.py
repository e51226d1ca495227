"""What all figures share: colours, panels, and writing to a file."""

from __future__ import annotations

import io
import os
import tempfile
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Okabe and Ito's palette: told apart by readers of every colour vision, and in grey.
BLUE = "#0072B2"
VERMILION = "#D55E00"
GREEN = "#009E73"
ORANGE = "#E69F00"
PURPLE = "#CC79A7"
INK = "#222222"
GREY = "#8A8A8A"
PALE = "#C8C8C8"

# Without dates and versions the same figure gives the same bytes.
_METADATA: dict[str, dict[str, Any]] = {
    ".png": {"Software": None},
    ".pdf": {"CreationDate": None, "Producer": None, "Creator": None},
    ".svg": {"Date": None, "Creator": None},
}


def save_figure(fig: Figure, path: str | os.PathLike[str], dpi: int = 150) -> Path:
    """Write a figure; what stands at ``path`` is the old file or the whole new one.

    Parameters
    ----------
    fig
        The figure.
    path
        File name ending in ``.png``, ``.pdf`` or ``.svg``; its folder is made if it is missing.
    dpi
        Pixels an inch, for ``.png``.

    Returns
    -------
    Path
        The path that was written.

    Raises
    ------
    ValueError
        If the name has another ending.
    """
    target = Path(path)
    suffix = target.suffix.lower()
    if suffix not in _METADATA:
        raise ValueError(f"path must end in {', '.join(_METADATA)}, got {str(path)!r}")
    content = io.BytesIO()
    fig.savefig(content, format=suffix[1:], dpi=dpi, metadata=_METADATA[suffix])
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    part = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content.getvalue())
        part.chmod(0o644)  # mkstemp's files are for their owner only
        part.replace(target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    return target


def panels(
    count: int, *, width: float, height: float, columns: int | None = None, title: str = ""
) -> tuple[Figure, list[Axes]]:
    """Make a figure of ``count`` bare panels in rows of ``columns``.

    Parameters
    ----------
    count
        Number of panels, at least 1.
    width, height
        Size of one panel in inches.
    columns
        Panels in a row; None: all of them.
    title
        Title of the whole figure.

    Returns
    -------
    tuple of Figure and list of Axes
        The figure and its panels, in reading order.
    """
    across = min(count, columns or count)
    down = -(-count // across)
    extra = 0.4 if title else 0.0
    fig = Figure(figsize=(width * across, height * down + extra), layout="constrained")
    axes = fig.subplots(down, across, squeeze=False).ravel().tolist()
    for axis in axes:
        axis.set_axis_off()
        axis.set_aspect("equal")
    if title:
        fig.suptitle(title, fontsize=11, color=INK)
    return fig, axes[:count]
