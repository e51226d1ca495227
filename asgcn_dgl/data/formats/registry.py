"""The formats by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from asgcn_dgl.data.formats.annotations import open_annotations
from asgcn_dgl.data.formats.arrays import open_arrays
from asgcn_dgl.data.formats.bvh import open_bvh
from asgcn_dgl.data.formats.folder import opener
from asgcn_dgl.data.formats.kinetics import open_kinetics
from asgcn_dgl.data.formats.mocap import open_cmu, open_h36m
from asgcn_dgl.data.formats.own import open_own
from asgcn_dgl.data.formats.source import Origin, Source
from asgcn_dgl.data.formats.utkinect import open_utkinect
from asgcn_dgl.data.sets import SET_NAMES
from asgcn_dgl.errors import InputError

__all__ = ["FORMATS", "format_options", "open_source"]

#: What opens each format: called with the place, and with options by name.
FORMATS: Mapping[str, Callable[..., Source]] = {
    **{name: opener(name) for name in SET_NAMES},
    "annotations": open_annotations,
    "kinetics": open_kinetics,
    "arrays": open_arrays,
    "utkinect": open_utkinect,
    "cmu": open_cmu,
    "h36m": open_h36m,
    "bvh": open_bvh,
    "own": open_own,
}


def format_options(name: str) -> dict[str, Any]:
    """Return the options of a format and their defaults.

    Raises
    ------
    InputError
        If there is no such format.
    """
    _, *options = inspect.signature(_opener(name)).parameters.values()
    return {option.name: option.default for option in options}


def open_source(name: str, root: str | Path, **options: Any) -> Source:
    """Look at recordings of a format.

    Parameters
    ----------
    name
        One of :data:`FORMATS`.
    root
        Where they are: a folder, or a file for formats of one file.
    **options
        Options of the format, see :func:`format_options`.

    Returns
    -------
    Source
        Its ``origin`` says all of this, so that a store made of it does.

    Raises
    ------
    InputError
        If there is no such format or option, or the recordings cannot be used.
    """
    known = format_options(name)
    unknown = sorted(set(options) - set(known))
    if unknown:
        has = f"its options are {', '.join(known)}" if known else "it has none"
        raise InputError(f"format {name} has no option {unknown[0]!r}; {has}")
    origin = Origin.of(name, **{**known, **options})
    return replace(_opener(name)(root, **options), origin=origin)


def _opener(name: str) -> Callable[..., Source]:
    if name not in FORMATS:
        raise InputError(f"unknown format {name!r}; choose one of {', '.join(FORMATS)}")
    return FORMATS[name]
