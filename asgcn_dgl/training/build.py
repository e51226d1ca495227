"""From the options of a run to its model and its devices, with mistakes named in one line."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Literal

import torch

from asgcn_dgl.errors import InputError
from asgcn_dgl.models import ASGCN, STGCN, Forecaster
from asgcn_dgl.skeleton import SkeletonLayout
from asgcn_dgl.training.config import RunConfig
from asgcn_dgl.training.parallel import count_processes

Precision = Literal["32-true", "bf16-mixed", "16-mixed", "64-true"]
#: What torch calls the instructions of CPUs that multiply in bfloat16.
CPU_BFLOAT16 = ("avx512_bf16", "amx_bf16")


def build_model(
    config: RunConfig, layouts: Sequence[SkeletonLayout], num_classes: int, in_feats: int
) -> Any:
    """Make the model of a run; its first weights depend on ``trainer.seed`` alone."""
    torch.manual_seed(config.trainer.seed)
    cls: Any = {"stgcn": STGCN, "forecaster": Forecaster}.get(config.model.name, ASGCN)
    try:
        return cls(
            replace(config.model, layouts=list(layouts), num_classes=num_classes, in_feats=in_feats)
        ).train()
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
    """Return the precision of a run's training, and why where the run leaves it open.

    Examples
    --------
    >>> precision_of(RunConfig())
    ('32-true', '')
    """
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
