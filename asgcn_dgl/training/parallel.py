"""Several processes that train one model: who is who, and means over all of them."""

from __future__ import annotations

import os
from typing import Any, NamedTuple, TypeVar

import torch
from pytorch_lightning.plugins.environments import SLURMEnvironment
from pytorch_lightning.strategies import DDPStrategy, Strategy
from pytorch_lightning.utilities import rank_zero_only
from torch import Tensor, distributed

from asgcn_dgl.nn.sync import processes
from asgcn_dgl.training.config import TrainerConfig

__all__ = ["Processes", "count_processes", "gathered", "is_main", "processes", "rank", "shares"]

_Value = TypeVar("_Value")


class Processes(NamedTuple):
    """How many processes train.

    Attributes
    ----------
    devices
        Of a node.
    nodes
        Nodes.
    """

    devices: int
    nodes: int

    @property
    def total(self) -> int:
        """Processes of all nodes."""
        return self.devices * self.nodes

    def strategy(self) -> Strategy | str:
        """Return what makes Lightning run them."""
        if self.total == 1:
            return "auto"
        # A batch may train a part of the model only: without a known future, no prediction head.
        return DDPStrategy(find_unused_parameters=True)


def count_processes(options: TrainerConfig) -> Processes:
    """Return how many processes train: as the options say, else as torchrun or SLURM started.

    Examples
    --------
    >>> count_processes(TrainerConfig(devices=4))
    Processes(devices=4, nodes=1)
    """
    devices, nodes = 1, 1
    if "TORCHELASTIC_RUN_ID" in os.environ:
        devices = int(os.environ["LOCAL_WORLD_SIZE"])
        nodes = int(os.environ["WORLD_SIZE"]) // devices
    elif SLURMEnvironment.detect():
        nodes = int(os.environ.get("SLURM_NNODES", "1"))
        devices = max(int(os.environ["SLURM_NTASKS"]) // nodes, 1)
    return Processes(options.devices or devices, options.nodes or nodes)


def is_main() -> bool:
    """Tell whether this process is the one that writes and prints."""
    return not getattr(rank_zero_only, "rank", 0)


def rank() -> int:
    """Return the number of this process, from 0."""
    return distributed.get_rank() if processes() > 1 else 0


def shares(*counts: Tensor | int, device: torch.device) -> list[Tensor | float]:
    """Return a factor for each local mean, so that the mean over processes is that over all items.

    A process with n of N items takes its mean times n P / N; P processes' gradients are averaged.

    Parameters
    ----------
    counts
        Items that each local mean is of.
    device
        Where the process computes.
    """
    if processes() == 1:
        return [1.0] * len(counts)
    local = torch.stack([torch.as_tensor(c, dtype=torch.float64, device=device) for c in counts])
    total = local.clone()
    distributed.all_reduce(total)
    return list(processes() * local / total.clamp(min=1))


def gathered(value: _Value) -> list[_Value]:
    """Return what every process gives, in their order; all must call this."""
    if processes() == 1:
        return [value]
    found: list[Any] = [None] * processes()
    distributed.all_gather_object(found, value)
    return found
