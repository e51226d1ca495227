"""What a run computes with: its model, devices, processes, memory and progress bars."""

from __future__ import annotations

import ctypes
import os
import platform
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, Literal, TypeVar

import torch
from torch import Tensor, distributed

from asgcn_dgl.errors import InputError
from asgcn_dgl.models import ASGCN, STGCN, Forecaster
from asgcn_dgl.nn.sync import processes
from asgcn_dgl.skeleton import SkeletonLayout
from asgcn_dgl.training.config import RunConfig

Precision = Literal["32-true", "bf16-mixed", "16-mixed", "64-true"]
MODELS: dict[str, Any] = {"asgcn": ASGCN, "stgcn": STGCN, "forecaster": Forecaster}
#: What torch calls the instructions of CPUs that multiply in bfloat16.
CPU_BFLOAT16 = ("avx512_bf16", "amx_bf16")
_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # names of parameters in glibc's malloc.h
_Value = TypeVar("_Value")


def build_model(
    config: RunConfig, layouts: Sequence[SkeletonLayout], num_classes: int, in_feats: int
) -> Any:
    """Make the model of a run; its first weights depend on ``trainer.seed`` alone."""
    torch.manual_seed(config.trainer.seed)
    data: Any = {"layouts": list(layouts), "num_classes": num_classes, "in_feats": in_feats}
    try:
        return MODELS[config.model.name](replace(config.model, **data)).train()
    except (TypeError, ValueError) as error:
        raise InputError(f"model.{error}") from error


def check_devices(config: RunConfig) -> None:
    """Refuse GPUs that torch does not see, or more processes than GPUs or than clips of a step."""
    if config.trainer.accelerator == "gpu" and not torch.cuda.is_available():
        raise InputError(
            "trainer.accelerator: gpu is asked for, but torch sees no GPU here; use cpu or auto"
        )
    devices, nodes = count_processes(config.trainer.devices, config.trainer.nodes)
    if device_of(config).type == "cuda" and devices > torch.cuda.device_count():
        raise InputError(
            f"trainer.devices: {devices} are asked for, but torch sees "
            f"{torch.cuda.device_count()} GPUs here"
        )
    if config.model.name == "forecaster" and devices * nodes > 1:
        raise InputError("trainer.devices: a forecaster trains in one process; leave it out")
    least = devices * nodes * config.trainer.accumulate
    for name, clips in (("trainer", config.trainer.batch_size), ("aim", config.aim.batch_size)):
        if clips is not None and clips < least:
            raise InputError(
                f"{name}.batch_size must be at least {least} with {devices * nodes} processes and "
                f"trainer.accumulate {config.trainer.accumulate}, got {clips}"
            )


def set_threads(config: RunConfig) -> None:
    """Give torch the threads that the run asks for."""
    if config.trainer.threads is not None:
        torch.set_num_threads(config.trainer.threads)


def precision_of(config: RunConfig) -> tuple[Precision, str]:
    """Return the precision of a run's training, and why where the run leaves it open."""
    chosen = config.trainer.precision
    if chosen != "auto":
        return chosen, ""
    if device_of(config).type == "cuda":
        has, name = torch.cuda.is_bf16_supported(including_emulation=False), "the GPU"
    else:
        ask: Callable[[], dict[str, Any]] = getattr(torch.cpu, "get_capabilities", dict)
        has, name = any(ask().get(each) for each in CPU_BFLOAT16), "the CPU"
    if has:
        return "bf16-mixed", f"{name} multiplies in bfloat16"
    return "32-true", f"{name} is not known to multiply in bfloat16"


def device_of(config: RunConfig) -> torch.device:
    """Return where to compute: a GPU if torch sees one and the run is not for the CPU."""
    wanted = config.trainer.accelerator != "cpu" and torch.cuda.is_available()
    return torch.device("cuda" if wanted else "cpu")


def reuse_memory() -> bool:
    """Let glibc keep freed memory, for the life of the process; False without glibc.

    By default glibc maps buffers over 32 MB for each use, and every page is then fetched and
    cleared again, which takes longer than much of the arithmetic of a training step on a CPU. The
    settings are those of ``MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=-1``.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return bool(mallopt(_MMAP_MAX, 0)) and bool(mallopt(_TRIM_THRESHOLD, -1))


def progress_wanted(config: RunConfig) -> bool:
    """Tell whether to show progress bars."""
    if config.trainer.progress == "auto":  # training's bar is written to standard output
        return sys.stdout.isatty() and sys.stderr.isatty()
    return config.trainer.progress == "on"


def track(items: Iterable[_Value], label: str, config: RunConfig) -> Iterable[_Value]:
    """Return the items, with a progress bar if one is wanted."""
    if not progress_wanted(config):
        return items
    from tqdm.auto import tqdm

    return tqdm(items, desc=label, leave=False)


# Several processes that train one model -----------------------------------------------------------


def count_processes(devices: int | None = None, nodes: int | None = None) -> tuple[int, int]:
    """Return devices of a node and nodes: as given, else as torchrun or SLURM started."""
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
    found: list[Any] = [None] * processes()
    distributed.all_gather_object(found, value)
    return found
