"""Layers of options: a configuration, a file over it, the command line; and where each is from."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from asgcn_dgl.errors import InputError
from asgcn_dgl.models.config import PRESETS
from asgcn_dgl.options import renamed
from asgcn_dgl.training.config import SECTIONS, RunConfig, yaml_text

COMMAND_LINE = "command line"
#: What a preset replaces in the layers before it; the kind of head that a layer names stays.
_SIZES = frozenset(name for preset in PRESETS.values() for name in preset) - {"future_head"}


class Layer(NamedTuple):
    """Options that one place (``source``, for messages) sets, section by section."""

    source: str
    values: Mapping[str, Any]


class Sources:
    """Where each option of a run comes from; the last layer takes precedence.

    Examples
    --------
    >>> own = Layer("configuration own", {"model": {"preset": "small", "dropout": 0.1}})
    >>> sources = Sources([own, Layer("mine.yaml", {"model": {"dropout": 0.3}})])
    >>> sources.of("model.dropout"), sources.of("model.channels"), sources.of("trainer.seed")
    ('mine.yaml', 'preset small', 'default')
    >>> print(sources)
    options: configuration own, preset small; mine.yaml: model.dropout 0.3
    """

    def __init__(self, layers: Sequence[Layer]) -> None:
        self.layers = list(layers)

    @property
    def preset(self) -> str | None:
        """Sizes of the model to start from, by name."""
        return (merge_layers(self.layers).get("model") or {}).get("preset")

    @functools.cached_property
    def _of(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for source, values in self.layers:
            given = _sections(values)
            if "preset" in given.get("model", {}):
                found = {k: v for k, v in found.items() if not _is_size(k)}
            found |= dict.fromkeys(_flat(given), source)
        return found

    @functools.cached_property
    def _reset(self) -> frozenset[str]:
        """Options of the model that a later preset replaced."""
        given = [_sections(values).get("model") or {} for _, values in self.layers]
        last = max((k for k, model in enumerate(given) if "preset" in model), default=0)
        before = {
            name
            for model in given[:last]
            for name in {**PRESETS.get(model.get("preset", ""), {}), **model}
        }
        return frozenset(before & _SIZES)

    def of(self, option: str) -> str:
        """Return the source of an option, such as ``"trainer.epochs"``."""
        if option in self._of:
            return self._of[option]
        section, _, name = option.partition(".")
        if section == "model" and (
            name in PRESETS.get(self.preset or "", {}) or name in self._reset
        ):
            return f"preset {self.preset}"
        return "default"

    def __str__(self) -> str:
        """Return a line that names the layers and what is set over the first."""
        if not self.layers:
            return "options: all have their defaults"
        first, *more = self.layers
        preset = (_sections(first.values).get("model") or {}).get("preset")
        parts = [first.source if preset is None else f"{first.source}, preset {preset}"]
        for source, values in more:
            given = ", ".join(
                f"{option} {value}" for option, value in _flat(_sections(values)).items()
            )
            parts.append(f"{source}: {given}")
        return f"options: {'; '.join(parts)}"

    def config(self) -> RunConfig:
        """Build the options; InputError names the layer of a wrong one."""
        layers = self.layers
        try:
            return RunConfig.from_dict(merge_layers(layers))
        except (TypeError, ValueError) as error:
            for count in range(1, len(layers)):
                try:
                    RunConfig.from_dict(merge_layers(layers[:count]))
                except (TypeError, ValueError) as its:
                    raise InputError(f"{layers[count - 1].source}: {its}") from its
            source = layers[-1].source if layers else COMMAND_LINE
            name = "" if source == COMMAND_LINE else f"{source}: "
            raise InputError(f"{name}{error}") from error

    def to_yaml(self) -> str:
        """Return the options as YAML, each with its source as a comment."""
        lines = []
        for key, value in self.config().to_dict().items():
            if key in SECTIONS:
                lines.append(f"{key}:")
                if key == "model" and self.preset is not None:
                    lines.append(f"  preset: {self.preset}  # {self.of('model.preset')}")
                lines += [
                    f"  {name}: {yaml_text(each)}  # {self.of(f'{key}.{name}')}"
                    for name, each in value.items()
                ]
            else:
                lines.append(f"{key}: {yaml_text(value)}  # {self.of(key)}")
        return "\n".join(lines) + "\n"


def merge_layers(layers: Sequence[Layer]) -> dict[str, Any]:
    """Return the options of all layers, section by section; a later layer takes precedence.

    A ``preset`` takes the place of the sizes that earlier layers give.

    Examples
    --------
    >>> wide = Layer("configuration wide", {"model": {"channels": [512], "max_hop": 2}})
    >>> merge_layers([wide, Layer("command line", {"model": {"preset": "small"}})])
    {'model': {'max_hop': 2, 'preset': 'small'}}
    """
    found: dict[str, Any] = {}
    for _, given in layers:
        for key, value in _sections(given).items():
            old = found.get(key)
            if isinstance(value, Mapping) and isinstance(old, Mapping):
                if key == "model" and "preset" in value:
                    old = {name: each for name, each in old.items() if name not in _SIZES}
                value = {**old, **value}
            found[key] = value
    return found


def _sections(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return options by their present names; an empty section sets nothing."""
    return {k: v for k, v in renamed(values).items() if v is not None or k not in SECTIONS}


def _is_size(option: str) -> bool:
    section, _, name = option.partition(".")
    return section == "model" and name in _SIZES


def _flat(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return sections of options as one mapping of ``section.name``."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            found |= {f"{key}.{name}": each for name, each in value.items()}
        else:
            found[key] = value
    return found
