"""A model as two files that need neither this library's trainer nor Lightning.

``config.json`` holds the options with the layouts, the names of the classes and how clips are
prepared; ``model.safetensors`` holds the weights by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from asgcn_dgl.errors import InputError
from asgcn_dgl.files import atomic_path, write_json
from asgcn_dgl.models.config import ASGCNConfig
from asgcn_dgl.schema import read_json

if TYPE_CHECKING:
    from torch import Tensor

    from asgcn_dgl.models.asgcn import ASGCN
    from asgcn_dgl.models.forecaster import Forecaster

__all__ = ["CONFIG_FILE", "WEIGHTS_FILE", "fill", "is_pretrained", "read_pretrained"]

CONFIG_FILE, WEIGHTS_FILE = "config.json", "model.safetensors"
_FORMAT = 1


def is_pretrained(folder: str | Path) -> bool:
    """Tell whether a folder holds a model of :func:`save_pretrained`."""
    return all((Path(folder) / name).is_file() for name in (CONFIG_FILE, WEIGHTS_FILE))


def save_pretrained(model: ASGCN | Forecaster, folder: str | Path) -> None:
    """Write a model, see :meth:`asgcn_dgl.models.ASGCN.save_pretrained`."""
    safetensors = _safetensors()
    weights = {
        name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()
    }
    folder = Path(folder)
    with atomic_path(folder / WEIGHTS_FILE) as temporary:
        safetensors.save_file(weights, temporary, {"format": "pt"})
    write_json(
        folder / CONFIG_FILE,
        {
            "asgcn_dgl": _FORMAT,
            "model": model.config.to_dict(),
            "class_names": list(model.class_names),
            "preparation": dict(model.preparation),
        },
    )


def read_pretrained(
    folder: str | Path,
) -> tuple[ASGCNConfig, dict[str, Any], dict[str, Tensor]]:
    """Return the options, all values and the weights of a model."""
    folder = Path(folder)
    if not is_pretrained(folder):
        raise InputError(f"{folder}: no model ({CONFIG_FILE} and {WEIGHTS_FILE}); give its folder")
    file = folder / CONFIG_FILE
    remedy = "save the model again"
    values = read_json(file, _Config, remedy)
    if values["asgcn_dgl"] > _FORMAT:
        raise InputError(f"{file}: written by a newer asgcn-dgl; update it")
    try:
        config = ASGCNConfig.from_dict(values["model"])
    except Exception as error:  # damage leads to whatever it happens to hit
        text = " ".join(str(error).split())
        raise InputError(f"{file}: not the options of a model ({text[:200]})") from error
    values = {"class_names": [], "preparation": {}, **values}
    names = values["class_names"]
    if names and config.num_classes and len(names) != config.num_classes:
        raise InputError(
            f"{file}: class_names holds {len(names)} of {config.num_classes} names; {remedy}"
        )
    weights = folder / WEIGHTS_FILE
    safetensors = _safetensors()
    try:
        found = safetensors.load_file(weights)
    except Exception as error:  # the library raises its own type
        raise InputError(f"{weights}: damaged ({' '.join(str(error).split())[:120]})") from error
    for name, value in found.items():
        if value.is_floating_point() and not bool(value.isfinite().all()):
            raise InputError(f"{weights}: weight {name} is not finite; {remedy}")
    return config, values, found


class _Known(TypedDict, total=False):
    class_names: list[str]
    preparation: dict[str, Any]


class _Config(_Known):
    asgcn_dgl: int
    model: dict[str, Any]


def fill(model: ASGCN | Forecaster, weights: Mapping[str, Tensor], folder: str | Path) -> None:
    """Load weights, which give the model their type too."""
    floating = [value.dtype for value in weights.values() if value.is_floating_point()]
    try:
        model.to(floating[0] if floating else None).load_state_dict(dict(weights))
    except RuntimeError as error:
        text = " ".join(str(error).split())
        raise InputError(
            f"{Path(folder) / WEIGHTS_FILE}: its weights do not fit {CONFIG_FILE} ({text[:200]})"
        ) from error


def _safetensors() -> Any:
    try:
        import safetensors.torch
    except ImportError as error:
        raise ImportError("this needs safetensors: pip install 'asgcn_dgl[export]'") from error
    return safetensors.torch
