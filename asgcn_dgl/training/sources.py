"""Layers of options: a configuration, a file over it, the command line; and where each is from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
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

    @cached_property
    def _found(self) -> dict[str, str]:
        """Source of each option that is set."""
        found: dict[str, str] = {}
        for source, values in self.layers:
            given = _flat(_sections(values))
            preset = given.get("model.preset")
            if preset is not None:  # sizes that were set before are the preset's
                set_before = {name for name in _SIZES if f"model.{name}" in found}
                for name in set_before | (_SIZES & PRESETS.get(preset, {}).keys()):
                    found[f"model.{name}"] = f"preset {preset}"
            found |= dict.fromkeys(given, source)
        for name in PRESETS.get(self.preset or "", {}):
            found.setdefault(f"model.{name}", f"preset {self.preset}")
        return found

    def of(self, option: str) -> str:
        """Return the source of an option, such as ``"trainer.epochs"``."""
        return self._found.get(option, "default")

    def __str__(self) -> str:
        """Return a line that names the layers and what is set over the first."""
        if not self.layers:
            return "options: all have their defaults"
        first, *more = self.layers
        preset = (_sections(first.values).get("model") or {}).get("preset")
        parts = [first.source if preset is None else f"{first.source}, preset {preset}"]
        for source, values in more:
            given = _flat(_sections(values)).items()
            parts.append(f"{source}: {', '.join(f'{option} {value}' for option, value in given)}")
        return f"options: {'; '.join(parts)}"

    def config(self) -> RunConfig:
        """Build the options; InputError names the layer of a wrong one."""
        config, wrong = RunConfig(), None
        for count, (source, _) in enumerate(self.layers, start=1):
            try:
                config, wrong = RunConfig.from_dict(merge_layers(self.layers[:count])), None
            except (TypeError, ValueError) as error:
                place = "" if source == COMMAND_LINE else f"{source}: "
                wrong = wrong or InputError(f"{place}{error}")
        if wrong is not None:
            raise wrong
        return config

    def to_yaml(self) -> str:
        """Return the options as YAML, each with its source as a comment."""
        lines = []
        for option, value in _flat(self.config().to_dict()).items():
            section, _, name = option.rpartition(".")
            if section and f"{section}:" not in lines:
                lines.append(f"{section}:")
                if section == "model" and self.preset is not None:
                    lines.append(f"  preset: {self.preset}  # {self.of('model.preset')}")
            indent = "  " if section else ""
            lines.append(f"{indent}{name}: {yaml_text(value)}  # {self.of(option)}")
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


def _flat(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return sections of options as one mapping of ``section.name``."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            found |= {f"{key}.{name}": each for name, each in value.items()}
        else:
            found[key] = value
    return found
