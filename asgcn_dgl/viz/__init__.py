"""Figures of skeletons, links, confusions and predictions.

Every function takes arrays and gives a ``matplotlib.figure.Figure``; none opens a window or
touches matplotlib's global state. :func:`save_figure` writes it.
"""

from __future__ import annotations

try:
    import matplotlib as _matplotlib  # noqa: F401
except ImportError as error:
    raise ImportError("drawing needs matplotlib: pip install 'asgcn_dgl[viz]'") from error

from asgcn_dgl.viz.confusion import draw_confusion
from asgcn_dgl.viz.figure import save_figure
from asgcn_dgl.viz.links import draw_actional_links, draw_class_links, draw_structural_links
from asgcn_dgl.viz.pose import project
from asgcn_dgl.viz.skeleton import draw_prediction, draw_skeleton, draw_strip

__all__ = [
    "draw_actional_links",
    "draw_class_links",
    "draw_confusion",
    "draw_prediction",
    "draw_skeleton",
    "draw_strip",
    "draw_structural_links",
    "project",
    "save_figure",
]
