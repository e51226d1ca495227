"""Where an operation runs, and in how many bits."""

from __future__ import annotations

import torch
from torch import Tensor

HALF = (torch.bfloat16, torch.float16)


def eager_on_cpu(feat: Tensor) -> bool:
    """Tell whether an operation runs now and on a CPU, not in a program that is traced."""
    return feat.device.type == "cpu" and not torch.compiler.is_compiling()


def widened(feat: Tensor) -> Tensor:
    """Return numbers of 16 bits in 32, others as they are."""
    return feat.float() if feat.dtype in HALF else feat
