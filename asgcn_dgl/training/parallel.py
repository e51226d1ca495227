"""Several processes that train one model: who is who, and means over all of them."""

from __future__ import annotations

import os
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed

from asgcn_dgl.nn.sync import processes

_Value = TypeVar("_Value")


def count_processes(devices: int | None = None, nodes: int | None = None) -> tuple[int, int]:
    """Return devices of a node and nodes: as given, else as torchrun or SLURM started.

    Examples
    --------
    >>> count_processes(devices=4)
    (4, 1)
    """
    from pytorch_lightning.plugins.environments import SLURMEnvironment

    found, on = 1, 1
    if "TORCHELASTIC_RUN_ID" in os.environ:
        found = int(os.environ["LOCAL_WORLD_SIZE"])
        on = int(os.environ["WORLD_SIZE"]) // found
    elif SLURMEnvironment.detect():
        on = int(os.environ.get("SLURM_NNODES", "1"))
        found = max(int(os.environ["SLURM_NTASKS"]) // on, 1)
    return devices or found, nodes or on


def is_main() -> bool:
    """Tell whether this process is the one that writes and prints."""
    from pytorch_lightning.utilities import rank_zero_only

    return not getattr(rank_zero_only, "rank", 0)


def rank() -> int:
    """Return the number of this process, from 0."""
    return distributed.get_rank() if processes() > 1 else 0


def shares(*counts: Tensor | int, device: torch.device) -> list[Tensor | float]:
    """Return a factor for each local mean, whose mean over processes is then that over all items.

    A process with n of N items takes its mean times n P / N; P processes' gradients are averaged.
    """
    if processes() == 1:
        return [1.0] * len(counts)
    local = torch.stack([torch.as_tensor(c, dtype=torch.float64, device=device) for c in counts])
    total = local.clone()
    distributed.all_reduce(total)
    return list(processes() * local / total.clamp(min=1))


def gathered(value: _Value) -> list[_Value]:
    """Return the value of every process, by rank; all must call this."""
    if processes() == 1:
        return [value]
    found: list[Any] = [None] * processes()
    distributed.all_gather_object(found, value)
    return found
