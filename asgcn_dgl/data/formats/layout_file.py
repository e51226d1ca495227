"""A layout in a file of its own: YAML or JSON."""

from __future__ import annotations

import inspect
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from asgcn_dgl.data.clip import lacks_center
from asgcn_dgl.data.files import check_size, read_lines
from asgcn_dgl.errors import InputError
from asgcn_dgl.files import in_short
from asgcn_dgl.skeleton import SkeletonLayout, get_layout, layout_names

#: A layout as an option: its name, a layout file, or layouts that a recording may have.
GivenLayout = str | Sequence[SkeletonLayout] | None

LAYOUT_FILES = ("layout.yaml", "layout.yml", "layout.json")

#: Entries of a layout file: all that ``SkeletonLayout.from_bones`` takes.
ENTRIES = tuple(inspect.signature(SkeletonLayout.from_bones).parameters)

#: More joints than any skeleton has.
MAX_JOINTS = 1000
MAX_SIZE = 2**17


def find_layout(folder: Path, given: str | None = None) -> SkeletonLayout:
    """Return the layout ``given`` by name or file, or the one of ``layout.yaml`` in a folder."""
    if given is not None:
        if given in layout_names():
            return get_layout(given)
        if Path(given).is_file():
            return read_layout(given)
        raise InputError(
            f"layout {given!r} is neither a file nor one of {', '.join(layout_names())}"
        )
    for name in LAYOUT_FILES:
        if (folder / name).is_file():
            return read_layout(folder / name)
    raise InputError(
        f"{folder}: no {LAYOUT_FILES[0]} in it; write one, or name a supplied layout with the "
        f"option layout (one of {', '.join(layout_names())})"
    )


def has_layout(folder: Path) -> bool:
    """Tell whether a layout file is in a folder."""
    return any((folder / name).is_file() for name in LAYOUT_FILES)


def find_layouts(folder: Path, given: GivenLayout = None) -> tuple[SkeletonLayout, ...]:
    """Return the layouts that are given, or the one that :func:`find_layout` finds."""
    if given is None or isinstance(given, str | Path):
        return (find_layout(folder, None if given is None else str(given)),)
    return tuple(given)


def fitting(layouts: Sequence[SkeletonLayout], joints: int) -> SkeletonLayout:
    """Return the first layout of so many joints, or the first of all where none has as many."""
    whole = (each for each in layouts if each.num_joints == joints)
    others = (each for each in layouts if lacks_center(each, joints))
    return next(whole, next(others, layouts[0]))


def read_layout(path: str | Path) -> SkeletonLayout:
    """Read a layout file, JSON by suffix, else YAML.

    It holds the name of a supplied layout and nothing else, or entries: ``name``, ``joints`` in the
    order of the data, ``bones`` as pairs of joints, and possibly the others of
    :meth:`~asgcn_dgl.skeleton.SkeletonLayout.from_bones`.
    """
    path = Path(path)
    check_size(path, MAX_SIZE)
    text = "\n".join(read_lines(path))
    try:
        facts = json.loads(text) if path.suffix.lower() == ".json" else _yaml(path, text)
        if isinstance(facts, str):
            return get_layout(facts)
        if not isinstance(facts, dict):
            raise ValueError("not a name of a layout, nor entries such as 'bones: [[hip, knee]]'")
        unknown = [str(key)[:40] for key in facts if key not in ENTRIES]
        if unknown:
            raise ValueError(f"unknown entry {unknown[0]!r}; entries are {', '.join(ENTRIES)}")
        for entry in ("joints", "bones"):
            if not isinstance(facts.get(entry), list) or len(facts[entry]) > MAX_JOINTS:
                raise ValueError(f"a layout needs {entry!r}, a list of at most {MAX_JOINTS}")
        facts.setdefault("name", path.parent.name or "own")
        return SkeletonLayout.from_bones(**facts)
    except InputError:
        raise
    except RecursionError as error:
        raise InputError(f"{path}: lists in lists without end; write a layout") from error
    except (ValueError, TypeError, AttributeError, KeyError, OverflowError) as error:
        raise InputError(f"{path}: {in_short(error)}; correct the layout") from error


def _yaml(path: Path, text: str) -> Any:
    try:
        import yaml
    except ImportError as error:
        raise InputError(
            f"{path}: YAML needs the extra 'train' (pip install 'asgcn_dgl[train]'); or write the "
            "layout as layout.json"
        ) from error

    class Loader(yaml.SafeLoader):
        """Plain values; no aliases, by which a short text unfolds without end."""

        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.AliasEvent):
                raise ValueError("an alias (*name); write the value out")
            return super().compose_node(parent, index)

    try:
        return yaml.load(text, Loader)  # a SafeLoader
    except yaml.YAMLError as error:
        raise ValueError(f"not YAML: {error}") from error
