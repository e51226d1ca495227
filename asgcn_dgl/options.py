"""Options as typed data: rules that name option and value, and the names of former versions."""

from __future__ import annotations

import contextlib
import reprlib
from collections.abc import Collection, Mapping
from dataclasses import fields
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

__all__ = ["RENAMED", "accepts", "check", "check_types", "plain", "renamed", "type_text"]

#: Options of version 0.1.0 before its release, and where they are now. Files with the old names
#: (``config.yaml`` of a run, the record of a checkpoint) are read as if they had the new ones.
RENAMED = {
    "model.normalization": "model.norm",
    "model.normalise": "model.link_norm",
    "model.links": "model.link_mode",
    "aim.joint": "model.link_mode",
    "optim.steps": "optim.milestones",
}


def check(rule: bool, name: str, text: str, value: object) -> None:
    """Raise a ValueError that names the option, the rule and the value, unless the rule holds.

    Examples
    --------
    >>> check(0 > 1, "trainer.epochs", "at least 1", 0)
    Traceback (most recent call last):
        ...
    ValueError: trainer.epochs must be at least 1, got 0
    """
    if not rule:
        raise ValueError(f"{name} must be {text}, got {reprlib.repr(value)}")


def check_types(options: Any, prefix: str = "") -> None:
    """Check each field of a dataclass against its annotation; ValueError names the field.

    ``prefix`` comes before its name. Text that is a number is accepted for a float, as YAML reads
    ``5e-4`` as text, and a tuple for a list; they are converted in place.
    """
    hints = get_type_hints(type(options))
    for field in fields(options):
        value, kind = getattr(options, field.name), hints[field.name]
        if isinstance(value, tuple):
            setattr(options, field.name, value := list(value))
        elif isinstance(value, str) and accepts(kind, 0.5) and not accepts(kind, value):
            with contextlib.suppress(ValueError):  # refused below
                setattr(options, field.name, value := float(value))
        check(accepts(kind, value), prefix + field.name, type_text(kind), value)


def accepts(kind: Any, value: Any) -> bool:
    """Tell whether a value is of a type; a number that is whole counts as a float."""
    if kind is Any:
        return True
    if kind is None or kind is type(None):
        return value is None
    origin = get_origin(kind)
    if origin in (Union, UnionType):
        return any(accepts(each, value) for each in get_args(kind))
    if origin is Literal:
        return any(value == each and type(value) is type(each) for each in get_args(kind))
    if origin is list:
        return isinstance(value, list) and all(accepts(get_args(kind)[0], v) for v in value)
    if kind in (int, float) and isinstance(value, bool):
        return False
    return isinstance(value, (int, float) if kind is float else kind)


def type_text(kind: Any) -> str:
    """Return what a message says of a type.

    Examples
    --------
    >>> from typing import Literal
    >>> type_text(Literal["best", "last"]), type_text(list[int] | None)
    ('one of best, last', 'a list of int or none')
    """
    origin, args = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return " or ".join(type_text(each) for each in args)
    if origin is Literal:
        return f"one of {', '.join(map(str, args))}"
    if origin is list:
        return f"a list of {type_text(args[0])}"
    return {type(None): "none", bool: "true or false"}.get(kind, getattr(kind, "__name__", "?"))


def plain(options: Any, without: Collection[str] = ()) -> dict[str, Any]:
    """Return the fields of a dataclass, but for some, as a dictionary of its own lists."""
    found = {f.name: getattr(options, f.name) for f in fields(options) if f.name not in without}
    return {name: list(v) if isinstance(v, list) else v for name, v in found.items()}


def renamed(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return sections of options with the current names in place of former ones.

    Examples
    --------
    >>> renamed({"aim": {"joint": "steady", "epochs": 5}, "data": "ntu60"})
    {'aim': {'epochs': 5}, 'data': 'ntu60', 'model': {'link_mode': 'steady'}}
    """
    found = {k: dict(v) if isinstance(v, Mapping) else v for k, v in values.items()}
    for old, new in RENAMED.items():
        (section, name), (to, now) = old.split("."), new.split(".")
        if isinstance(found.get(section), dict) and name in found[section]:
            value = found[section].pop(name)
            if isinstance(found.setdefault(to, {}), dict):
                found[to].setdefault(now, value)
    return found
