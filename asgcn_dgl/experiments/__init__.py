"""What repeats, compares and shows trainings: tables, figures, reports, galleries of clips."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asgcn_dgl.lazy import on_demand

if TYPE_CHECKING:
    from asgcn_dgl.experiments.figures import FIGURES, Choice, draw_figures
    from asgcn_dgl.experiments.gallery import Gallery, open_gallery
    from asgcn_dgl.experiments.grids import TABLE_NAMES
    from asgcn_dgl.experiments.links import class_links, link_matrix, links_used
    from asgcn_dgl.experiments.planted import planted_area, planted_limbs
    from asgcn_dgl.experiments.report import (
        draw_clip,
        moving_picture,
        read_raw,
        write_report,
        write_view,
    )
    from asgcn_dgl.experiments.tables import make_table
else:
    __getattr__, __dir__ = on_demand(
        __name__,
        {
            "figures": ("FIGURES", "Choice", "draw_figures"),
            "gallery": ("Gallery", "open_gallery"),
            "grids": ("TABLE_NAMES",),
            "links": ("class_links", "link_matrix", "links_used"),
            "planted": ("planted_area", "planted_limbs"),
            "report": ("draw_clip", "moving_picture", "read_raw", "write_report", "write_view"),
            "tables": ("make_table",),
        },
    )

__all__ = [
    "FIGURES",
    "TABLE_NAMES",
    "Choice",
    "Gallery",
    "class_links",
    "draw_clip",
    "draw_figures",
    "link_matrix",
    "links_used",
    "make_table",
    "moving_picture",
    "open_gallery",
    "planted_area",
    "planted_limbs",
    "read_raw",
    "write_report",
    "write_view",
]
