"""Checkpoints: written whole or not at all, and enough by themselves to use the model.

Beside what Lightning needs to resume, a checkpoint holds a *record* of plain values: the model's
options with its layouts, the class names, the options of the run (how clips are prepared) and the
formats that the recordings were read in, with the options of their readers. It loads with
``weights_only=True``, so that a file from elsewhere cannot run code. Loading needs torch alone.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from asgcn_dgl.data import Origin
from asgcn_dgl.errors import InputError
from asgcn_dgl.models import ASGCN, STGCN
from asgcn_dgl.training.config import RunConfig

__all__ = [
    "RECORD",
    "Restored",
    "load_checkpoint",
    "load_model",
    "make_record",
    "versions",
]

RECORD = "asgcn_dgl"
"""Key of the record in a checkpoint."""

_MODELS: dict[str, type[ASGCN]] = {"asgcn": ASGCN, "stgcn": STGCN}
_FORMAT = 1


def versions() -> dict[str, str]:
    """Return the versions of what computes."""
    found = {"python": platform.python_version()}
    for name in ("asgcn-dgl", "torch", "dgl", "numpy", "pytorch-lightning"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed as a package"
    return found


def make_record(
    model: ASGCN,
    class_names: Sequence[str],
    config: RunConfig,
    origins: Sequence[Origin] = (),
) -> dict[str, Any]:
    """Return what a checkpoint says about itself, in plain values.

    Parameters
    ----------
    model
        The model.
    class_names
        Names of the classes.
    config
        Options of the run, above all how its clips are prepared.
    origins
        Formats and options that the clips were read with.
    """
    return {
        "format": _FORMAT,
        "model": model.config.name,
        "model_config": _plain(model.config.to_dict()),
        "class_names": list(class_names),
        "run": config.to_dict(),
        "origins": [_plain(origin.to_dict()) for origin in origins],
        "versions": versions(),
    }


def _plain(value: Any) -> Any:
    """Return ``value`` as the containers that ``weights_only=True`` admits."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def load_checkpoint(path: str | Path) -> dict[str, Any]:
    """Load a checkpoint of this package, without running any code from it.

    Raises
    ------
    InputError
        If the file is missing, is damaged, or was not written by this package.
    """
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error
    except Exception as error:  # garbage makes the unpickler raise whatever it happens to hit
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(
            f"{path}: not a whole checkpoint ({first[:120]}); train again, or use "
            "another checkpoint of the run"
        ) from error
    record = checkpoint.get(RECORD) if isinstance(checkpoint, dict) else None
    if not isinstance(record, dict) or not isinstance(record.get("format"), int):
        raise InputError(
            f"{path}: not a checkpoint that asgcn-dgl wrote; give a checkpoint of a run folder"
        )
    if record["format"] > _FORMAT:
        raise InputError(
            f"{path}: written by a newer asgcn-dgl (checkpoint format "
            f"{record['format']}, this one knows {_FORMAT}); update asgcn-dgl"
        )
    return checkpoint


@dataclass(frozen=True)
class Restored:
    """A model out of a checkpoint, with what its use needs.

    Parameters
    ----------
    model
        The model, in evaluation mode.
    class_names
        Names of the classes, in the order of the logits.
    config
        The options of the run.
    epoch
        Epochs that were trained.
    origins
        Formats and options that the training clips were read with, where they are known.
    """

    model: ASGCN
    class_names: list[str]
    config: RunConfig
    epoch: int
    origins: tuple[Origin, ...] = ()


def load_model(path: str | Path) -> Restored:
    """Build the model that a checkpoint describes, with its weights; averaged ones come first.

    Raises
    ------
    InputError
        If the file cannot be used.
    """
    checkpoint = load_checkpoint(path)
    record = checkpoint[RECORD]
    try:
        model = _MODELS[record["model"]].from_config(record["model_config"])
        model.load_state_dict(model_weights(checkpoint["state_dict"]))
        config = RunConfig.from_dict(record["run"])
        names, epoch = list(record["class_names"]), int(checkpoint["epoch"]) + 1
        origins = tuple(Origin.from_dict(each) for each in record.get("origins", ()))
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        text = " ".join(str(error).split())
        raise InputError(
            f"{path}: its weights and options do not fit this version ({text[:200]}); train again"
        ) from error
    return Restored(model.eval(), names, config, epoch, origins)


def model_weights(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the model's weights out of a training module's state, averaged ones first."""
    for prefix in ("average.module.", "model."):
        weights = {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
        if weights:
            return weights
    raise KeyError("no weights of a model")
