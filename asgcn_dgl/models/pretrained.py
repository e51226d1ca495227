"""A model as two files that need neither this library's trainer nor Lightning.

``config.json`` holds the options with the layouts, the names of the classes and how clips are
prepared; ``model.safetensors`` holds the weights by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, TypedDict, TypeVar, cast

from asgcn_dgl.errors import InputError
from asgcn_dgl.files import atomic_path, in_short, plain_file, unreadable, write_json
from asgcn_dgl.models.config import ASGCNConfig
from asgcn_dgl.schema import read_json

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["CONFIG_FILE", "WEIGHTS_FILE", "Pretrained", "is_pretrained", "read_pretrained"]

CONFIG_FILE, WEIGHTS_FILE = "config.json", "model.safetensors"
_FORMAT = 1
Model = TypeVar("Model", bound="Pretrained")


class Pretrained:
    """What models have in common: they are made of a configuration, and saved with it."""

    name: ClassVar[str]

    #: The options; ``type(model)(model.config)`` makes such a model again.
    config: ASGCNConfig
    #: Names of the classes and how clips are prepared, where they are known; kept with the weights
    #: by :meth:`save_pretrained`.
    class_names: tuple[str, ...] = ()
    preparation: Mapping[str, Any] = MappingProxyType({})

    @classmethod
    def from_config(cls: type[Model], config: Mapping[str, Any]) -> Model:
        """Make a model from what ``model.config.to_dict()`` gave."""
        return cast(Any, cls)(ASGCNConfig.from_dict({"name": cls.name, **config}))

    def save_pretrained(self, folder: str | Path) -> None:
        """Write ``config.json`` and ``model.safetensors``, which :meth:`from_pretrained` reads.

        Parameters
        ----------
        folder
            Where to write; files there of these names are replaced.

        Raises
        ------
        ImportError
            Where safetensors is not installed.
        """
        safetensors = _safetensors()
        state = cast(Any, self).state_dict()
        weights = {name: value.detach().cpu().contiguous() for name, value in state.items()}
        folder = Path(folder)
        with atomic_path(folder / WEIGHTS_FILE) as temporary:
            safetensors.save_file(weights, temporary, {"format": "pt"})
        write_json(
            folder / CONFIG_FILE,
            {
                "asgcn_dgl": _FORMAT,
                "model": self.config.to_dict(),
                "class_names": list(self.class_names),
                "preparation": dict(self.preparation),
            },
        )

    @classmethod
    def from_pretrained(cls: type[Model], folder: str | Path) -> Model:
        """Return a model that :meth:`save_pretrained` wrote, in evaluation mode.

        Raises
        ------
        InputError
            If the folder holds no such model, or files of it are damaged.
        ImportError
            Where safetensors is not installed.
        """
        config, values, weights = read_pretrained(folder)
        folder = Path(folder)
        try:
            model = cast(Any, cls)(config)
        except Exception as error:  # the layers check more than the options do
            raise _not_options(folder / CONFIG_FILE, error) from error
        floating = [value.dtype for value in weights.values() if value.is_floating_point()]
        try:  # the weights give the model their type too
            model.to(floating[0] if floating else None).load_state_dict(dict(weights))
        except RuntimeError as error:
            raise InputError(
                f"{folder / WEIGHTS_FILE}: its weights do not fit {CONFIG_FILE} ({in_short(error)})"
            ) from error
        model.class_names = tuple(values["class_names"])
        model.preparation = values["preparation"]
        return cast(Model, model.eval())


def is_pretrained(folder: str | Path) -> bool:
    """Tell whether a folder holds a model of :meth:`Pretrained.save_pretrained`."""
    return all((Path(folder) / name).is_file() for name in (CONFIG_FILE, WEIGHTS_FILE))


def read_pretrained(folder: str | Path) -> tuple[ASGCNConfig, dict[str, Any], dict[str, Tensor]]:
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
        raise _not_options(file, error) from error
    values = {"class_names": [], "preparation": {}, **values}
    names = len(values["class_names"])
    if names and config.num_classes not in (0, names):
        raise InputError(
            f"{file}: class_names holds {names} of {config.num_classes} names; {remedy}"
        )
    weights = folder / WEIGHTS_FILE
    safetensors = _safetensors()
    try:
        found = safetensors.load_file(weights)
    except Exception as error:  # the library raises its own type
        raise InputError(f"{weights}: damaged ({in_short(error)})") from error
    check_finite(found, weights, remedy)
    return config, values, found


def load_tensors(path: str | Path, wrong: str) -> Any:
    """Load what ``torch.save`` wrote, without running code from it; InputError where it cannot be.

    ``wrong`` is what a damaged file is said to be, with ``{}`` for the reason.
    """
    import torch

    plain_file(path)
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise unreadable(path, error) from error
    except Exception as error:  # garbage makes the unpickler raise whatever it happens to hit
        reason, *_ = [*str(error).strip().splitlines(), type(error).__name__]
        raise InputError(f"{path}: {wrong.format(reason[:120])}") from error


def check_finite(weights: Mapping[str, Tensor], path: str | Path, remedy: str) -> None:
    """Refuse weights that are NaN or infinite."""
    for name, value in weights.items():
        if value.is_floating_point() and not bool(value.isfinite().all()):
            raise InputError(f"{path}: weight {name} is not finite; {remedy}")


class _Known(TypedDict, total=False):
    class_names: list[str]
    preparation: dict[str, Any]


class _Config(_Known):
    asgcn_dgl: int
    model: dict[str, Any]


def _not_options(file: Path, error: Exception) -> InputError:
    return InputError(f"{file}: not the options of a model ({in_short(error)})")


def _safetensors() -> Any:
    try:
        import safetensors.torch
    except ImportError as error:
        raise ImportError("this needs safetensors: pip install 'asgcn_dgl[export]'") from error
    return safetensors.torch
