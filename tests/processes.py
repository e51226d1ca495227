"""Run a function in several processes that talk by gloo."""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch
from torch import distributed, multiprocessing


def _begin(rank, world, folder, work, arguments):
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=world
    )
    try:
        torch.save(work(*arguments), f"{folder}/{rank}.pt")
    finally:
        distributed.destroy_process_group()


def in_processes(world, work, *arguments):
    """Return what ``work(*arguments)``, a function of a module, gives in each process."""
    with tempfile.TemporaryDirectory() as folder:
        multiprocessing.spawn(_begin, (world, folder, work, arguments), nprocs=world)
        return [torch.load(Path(folder) / f"{rank}.pt") for rank in range(world)]
