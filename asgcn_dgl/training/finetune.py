"""Start a training from the weights of another model."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from asgcn_dgl.data import Reader
from asgcn_dgl.errors import InputError
from asgcn_dgl.models import ASGCN
from asgcn_dgl.skeleton import layout_names
from asgcn_dgl.training.clips import run_layouts
from asgcn_dgl.training.config import RunConfig

InitPart = Literal["all", "backbone"]

BACKBONE = ("input_norm.", "stream_norms.", "blocks.")

#: Options of the model that do not decide on the shape of its backbone.
_OWN = (
    *("future_frames", "future_channels", "future_head", "link_mode", "tau", "hard"),
    *("ghost_prior", "aim_frames", "aim_hidden", "aim_dropout", "aim_variance", "dropout"),
    "aim_motion",
)


def start_config(config: RunConfig, start: ASGCN, part: InitPart) -> RunConfig:
    """Return the options of a run with the options of the model to start from.

    ``part`` is 'all', or 'backbone', whose heads and inference module are those of ``config``.
    """
    model = start.config
    if part == "backbone" and model.name == config.model.name == "asgcn":
        model = replace(model, **{name: getattr(config.model, name) for name in _OWN})
    return replace(config, model=model)


def take_layout(config: RunConfig, data: Reader, start: ASGCN) -> None:
    """Give clips the layout of the model to start from, if their joints are the same."""
    own, wanted = run_layouts(config, data), start.layouts
    if set(own) <= set(wanted):
        return
    joints = {layout.joints for layout in own}
    supplied = len(wanted) == 1 and wanted[0].name in layout_names()
    if not supplied or joints != {wanted[0].joints}:
        raise InputError(
            f"{config.root}: its skeleton {own[0].name!r} is not that of the model to start from "
            f"({', '.join(layout.name for layout in wanted)})"
        )
    config.clips.layout = wanted[0].name


def take_weights(model: ASGCN, start: ASGCN, source: str, part: InitPart = "all") -> str:
    """Copy weights into a model whose head may be for other classes; report what was done.

    ``part`` 'backbone' copies the input norms and the blocks alone.
    """
    own, given = model.state_dict(), start.state_dict()
    if part == "backbone":
        own, given = (
            {name: value for name, value in state.items() if name.startswith(BACKBONE)}
            for state in (own, given)
        )
    if set(own) != set(given):
        odd = sorted(set(own) ^ set(given))[0]
        raise InputError(f"{source}: its weights do not fit this training ({odd})")
    for name, value in given.items():
        if own[name].shape == value.shape:
            own[name].copy_(value)
        elif not name.startswith("recognition."):
            raise InputError(
                f"{source}: {name} has shape {tuple(value.shape)}, but this training needs "
                f"{tuple(own[name].shape)}"
            )
    if part == "backbone":
        return f"starts from the backbone of {source}; all else is new"
    classes, before = model.config.num_classes, start.config.num_classes
    if classes == before:
        return f"starts from {source}, with its head for {classes} classes"
    return f"starts from {source}; the head is new: {classes} classes, not {before}"
