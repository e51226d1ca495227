"""Tensors that are made of weights, kept while the weights do not change."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

Made = TypeVar("Made")


@dataclass
class _Kept:
    value: Any
    versions: tuple[tuple[int, int], ...]
    totals: tuple[float, ...]
    age: int


_KEPT: WeakTensorKeyDictionary = WeakTensorKeyDictionary()
_age = 0


def check_kept() -> None:
    """Compare the sources of all that is kept, when it is used next.

    Torch does not count changes through ``.data``: ``train()`` and ``eval()`` of the layers call
    this.
    """
    global _age
    _age += 1


def kept(make: Callable[[], Made], key: Hashable, *sources: Tensor) -> Made:
    """Return what ``make`` makes of the sources: on a CPU without gradients once for each change.

    It is kept with the first source, under the key.
    """
    if torch.is_grad_enabled() or torch.compiler.is_compiling() or not all(map(_counts, sources)):
        return make()
    versions = tuple((source._version, source.data_ptr()) for source in sources)
    held = _KEPT.setdefault(sources[0], {})
    found: _Kept | None = held.get(key)
    if found is None or found.versions != versions or found.age != _age:
        totals = tuple(float(source.sum()) for source in sources)
        if found is None or found.versions != versions or found.totals != totals:
            with torch.inference_mode(False), torch.no_grad():
                found = held[key] = _Kept(make(), versions, totals, _age)
        found.age = _age
    result: Made = found.value
    return result


def _counts(source: Tensor) -> bool:
    """Whether torch counts changes of a tensor, and reading it waits for no device."""
    return source.device.type == "cpu" and not source.is_inference()
