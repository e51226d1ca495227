"""The one way into data: formats by name, or recognized in a folder or file."""

from __future__ import annotations

import contextlib
import inspect
import itertools
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from asgcn_dgl.data import store
from asgcn_dgl.data.files import plain_file
from asgcn_dgl.data.formats import annotations as annotation_pickles
from asgcn_dgl.data.formats import (
    arrays,
    bvh,
    estimators,
    kinetics,
    mocap,
    msr_action3d,
    ntu,
    nw_ucla,
    own,
    utkinect,
)
from asgcn_dgl.data.reader import Format, Joined, Origin, Reader, numbered_classes
from asgcn_dgl.errors import InputError, did_you_mean
from asgcn_dgl.skeleton import SkeletonLayout

#: The formats by name. A folder or file is of the first one that recognizes it.
FORMATS: Mapping[str, Format] = {
    each.name: each
    for each in (
        store.FORMAT,
        *ntu.FORMATS,
        kinetics.FORMAT,
        nw_ucla.FORMAT,
        *estimators.FORMATS,
        annotation_pickles.FORMAT,
        arrays.FORMAT,
        msr_action3d.FORMAT,
        utkinect.FORMAT,
        *mocap.FORMATS,
        bvh.FORMAT,
        own.FORMAT,
    )
}


def format_options(name: str) -> dict[str, Any]:
    """Return the options of a format and their defaults.

    Raises
    ------
    InputError
        If there is no such format.
    """
    _, *options = inspect.signature(_format(name).open).parameters.values()
    return {option.name: option.default for option in options}


def open_data(
    root: str | Path | Sequence[str | Path], name: str | None = None, **options: Any
) -> Reader:
    """Open recordings, whatever format they come in.

    Parameters
    ----------
    root
        A folder, or a file for formats of one file. Several, as a list or joined by
        ``os.pathsep``, become one data set: their classes are joined by name.
    name
        One of ``FORMATS``. Left out: the format is recognized. A store is recognized whatever
        the name says.
    **options
        Options of the format, see :func:`format_options`.

    Returns
    -------
    Reader
        Its ``origin`` says how it was opened, so that a store made of it does.

    Raises
    ------
    InputError
        If there is no such format or option, or the recordings cannot be used.

    Examples
    --------
    >>> import tempfile
    >>> from asgcn_dgl.data.synthetic import write_synthetic
    >>> folder = tempfile.mkdtemp()
    >>> _ = write_synthetic(folder, clips_per_class=3, subjects=3)
    >>> reader = open_data(folder)
    >>> len(reader), list(reader.splits), reader.read(0).num_frames > 0
    (39, ['xsub', 'xview'], True)
    >>> str(reader.origin).split()[0]
    'synthetic'
    """
    roots = _roots(root)
    if len(roots) > 1:
        for first, second in itertools.permutations(roots, 2):
            if second.is_relative_to(first):
                raise InputError(f"{second}: is inside {first}; give separate folders")
        return Joined.of(open_data(each, name, **options) for each in roots)
    place = roots[0]
    if store.FORMAT.recognizes(place):
        name = "store"
    chosen = recognize(place) if name is None else _format(name)
    known = format_options(chosen.name)
    for option in sorted(set(options) - set(known)):
        has = f"its options are {', '.join(known)}" if known else "it has none"
        raise InputError(f"format {chosen.name} has no option {option!r}; {has}")
    try:
        reader = chosen.open(place, **options)
    except InputError as error:
        raise InputError(f"{error}{_looks_like(place, chosen)}") from error
    if chosen is store.FORMAT:
        return reader
    origin = Origin.of(chosen.name, **{**known, **options})
    classes = reader.class_names or numbered_classes(reader.labels)
    return replace(reader, origin=origin, place=str(place), class_names=classes)


def _looks_like(place: Path, chosen: Format) -> str:
    """Say which format recordings seem to be of, where it is another than the chosen one."""
    with contextlib.suppress(InputError):
        found = recognize(place)
        if not (_alike(found.name, chosen) or chosen.recognizes(place)):
            return f"; it looks like recordings of another format: --data {found.name}"
    return ""


def recognize(path: str | Path) -> Format:
    """Return the format of a folder or file; InputError if none recognizes it."""
    path = Path(path)
    if not path.is_dir():
        plain_file(path)
    for each in FORMATS.values():
        if each.recognizes(path):
            return each
    raise InputError(
        f"{path}: not recognized as any of {', '.join(FORMATS)}; give a "
        f"{'folder' if path.is_dir() else 'file'} of one of these, or name its format (--data); "
        "the page 'Converters' of the documentation has more"
    )


def open_file(
    path: str | Path,
    layouts: Sequence[SkeletonLayout] = (),
    options: Mapping[str, Any] | None = None,
    origins: Sequence[Origin] = (),
) -> Reader:
    """Open one file of any format, to be read as the recordings of a model were.

    Parameters
    ----------
    path
        The file.
    layouts
        Those that the model knows: a file that does not say its skeleton has the one that fits.
    options
        Options of the file's format.
    origins
        How the model's recordings were read: their options hold where ``options`` leaves one out.

    Raises
    ------
    InputError
        If the format is not recognized or its reader refuses the file, an option is not known, or
        the model's recordings were read in several ways.
    """
    chosen = recognize(path)
    own = dict(options or {})
    known = chosen.file_options
    for option in [each for each in own if each not in known]:
        has = f"there are {', '.join(known)}" if known else "there are none"
        raise InputError(f"{path}: no option {option!r} for {chosen.title} files; {has}")
    alike = [each.options for each in origins if _alike(each.format, chosen)]
    for option in known:
        values = [given[option] for given in alike if option in given]
        if option in own or not values:
            continue
        own[option] = values[0]
        for other in values[1:]:
            if other != values[0]:
                raise InputError(
                    f"{path}: the model's clips were read with {option}={values[0]} and "
                    f"{option}={other}; say which by --options.{option}"
                )
    if layouts and "layout" in format_options(chosen.name):
        own["layout"] = tuple(layouts)
    return open_data(path, chosen.name, **own)


def _alike(name: str, chosen: Format) -> bool:
    other = FORMATS.get(name)
    return other is chosen or (other is not None and chosen.family == other.family != "")


def _format(name: str) -> Format:
    if name not in FORMATS:
        like = did_you_mean(name, FORMATS) or f"; choose one of {', '.join(FORMATS)}"
        raise InputError(f"unknown format {name!r}{like}")
    return FORMATS[name]


def _roots(root: str | Path | Sequence[str | Path]) -> list[Path]:
    if isinstance(root, str) and os.pathsep in root and not Path(root).exists():
        return [Path(each) for each in root.split(os.pathsep)]
    roots = [Path(root)] if isinstance(root, str | Path) else [Path(each) for each in root]
    if not roots:
        raise InputError("no data set to open; give the folders of one or more")
    return roots
