"""From options to a model, with the user's mistakes told in one line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch

from asgcn_dgl.errors import InputError
from asgcn_dgl.models import ASGCN, STGCN
from asgcn_dgl.skeleton import SkeletonLayout
from asgcn_dgl.training.config import RunConfig
from asgcn_dgl.training.parallel import count_processes

__all__ = ["build_model", "check_devices", "device_of", "future_frames", "set_threads", "thawed"]


def build_model(
    config: RunConfig, layouts: Sequence[SkeletonLayout], num_classes: int, in_feats: int
) -> ASGCN | STGCN:
    """Make the model of a run; its first weights depend on ``trainer.seed`` alone.

    Parameters
    ----------
    config
        Options of the run.
    layouts
        Skeletons that it serves.
    num_classes
        K.
    in_feats
        Coordinates of a joint.

    Raises
    ------
    InputError
        If the model refuses an option.
    """
    torch.manual_seed(config.trainer.seed)
    options = config.model.options()
    cls: type[ASGCN] | type[STGCN] = STGCN
    if config.model.name == "asgcn":
        cls = ASGCN
        options["links"] = config.aim.joint
    preset = config.model.preset
    try:
        model = cls.preset(preset, list(layouts), num_classes, in_feats=in_feats, **options)
    except (TypeError, ValueError) as error:
        raise InputError(f"model: {error}") from error
    return model.train()


@contextmanager
def thawed(model: ASGCN | STGCN) -> Iterator[None]:
    """Let the inference module learn from samples, whatever joint training does with it."""
    links = model.links
    _set_links(model, "sampled")
    try:
        yield
    finally:
        _set_links(model, links)


def _set_links(model: ASGCN | STGCN, links: str) -> None:
    model.links = links
    if model.aim is not None:
        model.aim.requires_grad_(links != "frozen")
    model.train()  # puts the module in evaluation mode where its links are not sampled


def future_frames(model: ASGCN | STGCN) -> int:
    """Return T', the frames that a model predicts; 0 if it has no prediction head."""
    return int(model.config.get("future_frames", 0))


def check_devices(config: RunConfig) -> None:
    """Refuse to train on devices that are not there.

    Raises
    ------
    InputError
        If a GPU is asked for and torch sees none, or there are more processes than GPUs or than
        clips of a step.
    """
    if config.trainer.accelerator == "gpu" and not torch.cuda.is_available():
        raise InputError(
            "trainer.accelerator: gpu is asked for, but torch sees no GPU here; use cpu or auto"
        )
    count = count_processes(config.trainer)
    if config.trainer.accelerator != "cpu" and torch.cuda.is_available():
        there = torch.cuda.device_count()
        if count.devices > there:
            raise InputError(
                f"trainer.devices: {count.devices} are asked for, but torch sees {there} GPUs here"
            )
    for name, clips in (("trainer", config.trainer.batch_size), ("aim", config.aim.batch_size)):
        least = count.total * config.trainer.accumulate
        if clips is not None and clips < least:
            raise InputError(
                f"{name}.batch_size must be at least {least} with {count.total} processes and "
                f"trainer.accumulate {config.trainer.accumulate}, got {clips}"
            )


def set_threads(config: RunConfig) -> None:
    """Give torch the threads that the run asks for."""
    if config.trainer.threads is not None:
        torch.set_num_threads(config.trainer.threads)


def device_of(config: RunConfig) -> torch.device:
    """Return where evaluation computes: a GPU if torch sees one and the run is not for the CPU."""
    wanted = config.trainer.accelerator != "cpu" and torch.cuda.is_available()
    return torch.device("cuda" if wanted else "cpu")
