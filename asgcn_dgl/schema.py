"""Values of files that we wrote, checked by types when they are read again."""

from __future__ import annotations

import functools
import json
import sys
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints, is_typeddict

from asgcn_dgl.errors import InputError
from asgcn_dgl.files import in_short, plain_file, unreadable
from asgcn_dgl.options import accepts, type_text

__all__ = ["check_values", "parse_json", "parse_object", "read_json", "read_whole"]

#: A larger file is not one of ours.
MAX_BYTES = 2**28


def read_json(path: Path, kind: Any, remedy: str, need: Collection[str] = ()) -> dict[str, Any]:
    """Read a JSON file of an object whose entries have the types of a ``TypedDict``.

    More entries may be in it; those in ``need`` must be, beside those that ``kind`` requires.
    ``remedy`` is for messages about damage.
    """
    values = parse_object(read_whole(path), path, remedy)
    check_values(values, kind, path, remedy)
    for name in need:
        if name not in values:
            raise InputError(f"{path}: there is no {name}; {remedy}")
    return values


def read_whole(path: Path) -> bytes:
    """Read a file of ours; InputError if it is absent, no plain file, or too large."""
    if plain_file(path).st_size > MAX_BYTES:
        raise InputError(f"{path}: is larger than {MAX_BYTES >> 20} MB; check the path")
    try:
        return path.read_bytes()
    except OSError as error:
        raise unreadable(path, error) from error


def parse_object(text: bytes, path: str | Path, remedy: str, finite: bool = True) -> dict[str, Any]:
    """Parse JSON of an object, see :func:`parse_json`."""
    values = parse_json(text, path, remedy, finite)
    if not isinstance(values, dict):
        raise InputError(f"{path}: holds no object of JSON; {remedy}")
    return values


def parse_json(text: bytes, path: str | Path, remedy: str, finite: bool = True) -> Any:
    """Parse JSON that has each key of an object once; ``finite`` refuses NaN and infinities."""
    try:
        constant = _refuse if finite else None
        return json.loads(text, parse_constant=constant, object_pairs_hook=_object)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not valid JSON ({in_short(error)}); {remedy}") from error


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is no number")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make an object, of which JSON's reader would silently keep the last of two entries."""
    found = dict(pairs)
    if len(found) < len(pairs):
        repeated, _ = Counter(key for key, _ in pairs).most_common(1)[0]
        raise ValueError(f"key {repeated[:40]!r} repeated in an object")
    return found


def check_values(values: Any, kind: Any, path: str | Path, remedy: str) -> None:
    """Check values, as JSON or a checkpoint has them, against a ``TypedDict``.

    Its fields are annotated with plain types, ``Any``, unions, ``Literal``, ``list[X]`` or
    ``dict[str, X]``. A float is a finite number. InputError names an entry that is missing or
    wrong.
    """
    found = _fault(values, kind)
    if found is not None:
        place, text = found
        text = f"{place or 'it'} {text}" if text else f"there is no {place}"
        raise InputError(f"{path}: {text}; {remedy}")


def _fault(value: Any, kind: Any) -> tuple[str, str] | None:
    """Say where a value is wrong, and what it must be ("" where it is missing); None: it is not."""
    if is_typeddict(kind):
        if not isinstance(value, Mapping):
            return _wrong("a group of entries", value)
        missing = sorted(kind.__required_keys__ - set(value))
        if missing:
            return missing[0], ""
        hints = _hints(kind)
        return _first((name, value[name], hints[name]) for name in hints if name in value)
    origin, args = get_origin(kind), get_args(kind)
    if kind == int | float:  # the one way to let NaN pass
        good = isinstance(value, kind) and not isinstance(value, bool)
        return None if good else _wrong("a number", value)
    if origin in (Union, UnionType):
        faults = [_fault(value, each) for each in args]
        if None in faults:
            return None
        # of a value that is there, what the part says that is not None
        inner = [each for each in args if each is not type(None)]
        return faults[args.index(inner[0])] if len(inner) == 1 else _wrong(type_text(kind), value)
    if origin is list:
        if not isinstance(value, list | tuple):
            return _wrong("a list", value)
        return _first((f"[{n}]", each, args[0]) for n, each in enumerate(value))
    if origin is dict:
        if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
            return _wrong("entries by name", value)
        return _first((name, each, args[1]) for name, each in value.items())
    if accepts(kind, value) and (kind is not float or abs(value) <= sys.float_info.max):
        return None
    return _wrong("a finite number" if kind is float else type_text(kind), value)


def _first(entries: Iterable[tuple[str, Any, Any]]) -> tuple[str, str] | None:
    """Return the first fault of entries: name, value and kind of each."""
    for name, value, kind in entries:
        found = _fault(value, kind)
        if found is not None:
            place, text = found
            name = name if len(name) <= 40 else f"{name[:40]}..."
            dot = "." if place and not place.startswith("[") else ""
            return f"{name}{dot}{place}", text
    return None


def _wrong(wanted: str, value: Any) -> tuple[str, str]:
    # A container is named by its kind: written out, a hostile one would never end.
    shown = f"a {type(value).__name__}"
    if value is None or isinstance(value, bool | int | float | str):
        shown = repr(value[:40] if isinstance(value, str) else value)[:60]
    return "", f"must be {wanted}, got {shown}"


@functools.cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)
