"""Tensors that are made of weights, kept while the weights do not change."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.utils.weak import WeakTensorKeyDictionary

Made = TypeVar("Made")

_KEPT: WeakTensorKeyDictionary = WeakTensorKeyDictionary()


def kept(make: Callable[[], Made], key: Hashable, *sources: Tensor) -> Made:
    """Return what ``make`` makes of the sources: on a CPU without gradients once for each change.

    It is kept with the first source, under the key.
    """
    if torch.is_grad_enabled() or torch.compiler.is_compiling() or not all(map(_counts, sources)):
        return make()
    state = tuple(map(_state, sources))
    found = _KEPT.setdefault(sources[0], {})
    if key not in found or found[key][0] != state:
        with torch.inference_mode(False), torch.no_grad():
            found[key] = (state, make())
    result: Made = found[key][1]
    return result


def _counts(source: Tensor) -> bool:
    """Whether torch counts changes of a tensor, and reading it waits for no device."""
    return source.device.type == "cpu" and not source.is_inference()


def _state(source: Tensor) -> tuple[int, int, float]:
    # Changes through `.data` are not counted by torch: the sum of a parameter sees them.
    total = float(source.detach().sum()) if isinstance(source, nn.Parameter) else 0.0
    return source._version, source.data_ptr(), total
