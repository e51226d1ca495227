"""Names of a package that are imported when they are first asked for."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any

__all__ = ["on_demand"]


def on_demand(
    package: str, places: Mapping[str, Sequence[str]]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Make the ``__getattr__`` and the ``__dir__`` of a package some of whose modules are slow.

    Type checkers see the imports that stand under ``TYPE_CHECKING`` beside the call. No module may
    be called like a name that it holds: Python gives the package the module under that name.

    Parameters
    ----------
    package
        The package's ``__name__``.
    places
        For each of these modules of the package the names that it holds.

    Returns
    -------
    callable, callable
        For the package's ``__getattr__`` and ``__dir__``.
    """
    homes = {name: module for module, names in places.items() for name in names}

    def find(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        found = getattr(import_module(f"{package}.{homes[name]}"), name)
        setattr(sys.modules[package], name, found)
        return found

    def listed() -> list[str]:
        return sorted({*vars(sys.modules[package]), *homes})

    return find, listed
