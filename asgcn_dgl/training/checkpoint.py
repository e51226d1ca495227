"""Checkpoints: written whole or not at all, and enough by themselves to use the model.

Beside what Lightning needs to resume, a checkpoint holds a *record* of plain values: the model's
options with its layouts, the class names, the options of the run (how clips are prepared) and the
formats that the recordings were read in, with the options of their readers. It loads with
``weights_only=True``, so that a file from elsewhere cannot run code. Loading needs torch alone.
"""

from __future__ import annotations

import io
import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypedDict

import torch
from torch import Tensor

from asgcn_dgl.data import Clip, Origin, Reader
from asgcn_dgl.data.files import shown
from asgcn_dgl.errors import InputError
from asgcn_dgl.files import atomic_path, in_short
from asgcn_dgl.models import ASGCN, Forecaster
from asgcn_dgl.models.pretrained import (
    CONFIG_FILE,
    check_finite,
    is_pretrained,
    load_tensors,
    read_pretrained,
)
from asgcn_dgl.schema import check_values
from asgcn_dgl.skeleton import SkeletonLayout, get_layout
from asgcn_dgl.training.build import MODELS
from asgcn_dgl.training.config import RunConfig
from asgcn_dgl.training.files import LOCK, RunDir
from asgcn_dgl.training.preparation import TakeLayout

RECORD = "asgcn_dgl"  # key of the record in a checkpoint
ANOTHER = "train again, or use another checkpoint of the run"
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
    model: ASGCN | Forecaster,
    class_names: Sequence[str],
    config: RunConfig,
    origins: Sequence[Origin] = (),
    scored: bool | None = None,
) -> dict[str, Any]:
    """Return what a checkpoint says about itself, in plain values.

    ``config`` says above all how clips are prepared, ``origins`` how they were read, ``scored``
    whether their last coordinate is a score (None: not known).
    """
    return {
        "format": _FORMAT,
        "model": model.config.name,
        "model_config": _plain(model.config.to_dict()),
        "class_names": list(class_names),
        "run": config.to_dict(),
        "origins": [_plain(origin.to_dict()) for origin in origins],
        **({} if scored is None else {"scored": scored}),
        "versions": versions(),
    }


def _plain(value: Any) -> Any:
    """Return ``value`` as the containers that ``weights_only=True`` admits."""
    return json.loads(json.dumps(value))


class _Record(TypedDict):
    format: int
    model: str
    model_config: dict[str, Any]
    class_names: list[str]
    run: dict[str, Any]


class _Checkpoint(TypedDict):
    state_dict: dict[str, Tensor]
    epoch: int
    asgcn_dgl: _Record


def write_checkpoint(path: str | Path, values: Mapping[str, Any]) -> None:
    """Write a checkpoint, whole or not at all."""
    content = io.BytesIO()  # torch's own writer says nothing useful of a full disk
    torch.save(dict(values), content)
    with atomic_path(path) as temporary:
        temporary.write_bytes(content.getbuffer())


def load_checkpoint(path: str | Path) -> dict[str, Any]:
    """Load a checkpoint of this package, without running any code from it."""
    checkpoint = load_tensors(path, f"not a whole checkpoint ({{}}); {ANOTHER}")
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
    check_values(checkpoint, _Checkpoint, path, ANOTHER)
    return checkpoint


@dataclass(frozen=True)
class Restored:
    """A model from a checkpoint, in evaluation mode, with what its use needs.

    ``class_names`` are in the order of the logits; ``config`` has the options of the run;
    ``origins`` the formats and options that the training clips were read with; ``scored`` says
    whether their last coordinate is a score; None: not known.
    """

    model: ASGCN
    class_names: list[str]
    config: RunConfig
    epoch: int
    origins: tuple[Origin, ...] = ()
    scored: bool | None = None

    def facts(self, split: str, protocol: str, checkpoint: str) -> dict[str, Any]:
        """Return what the figures of an evaluation are of, in plain values."""
        config = self.config
        return {
            "dataset": config.data,
            "protocol": protocol,
            "stream": config.stream,
            "dims": self.model.config.in_feats,
            "split": split,
            "checkpoint": checkpoint,
            "epoch": self.epoch,
            "seed": config.trainer.seed,
            "parameters": sum(p.numel() for p in self.model.parameters()),
            "versions": versions(),
        }

    def check_data(self, data: Reader) -> None:
        """Refuse a set with other classes, or in another order, or with an unknown skeleton."""
        for number, name in enumerate(data.class_names):
            known = self.class_names[number] if number < len(self.class_names) else None
            if known not in (name, f"class_{number}"):  # imported weights may have no names
                what = "there is none in" if known is None else f"it is {known!r} in"
                raise InputError(
                    f"{data.place}: class {number} is {name!r}, but {what} the set that the model "
                    f"was trained on ({self.config.root}); give the same folders in the same order"
                )
        given = self.config.clips.layout is not None  # clips take what that layout has
        skeletons = [(each.joints, frozenset(each.bones)) for each in self.model.layouts]
        for layout in data.layouts:
            same = (layout.joints, frozenset(layout.bones)) in skeletons
            has = any(set(joints) <= set(layout.joints) for joints, _ in skeletons)
            if not (has if given else same):
                raise self._unknown(data.place, layout)

    def _unknown(self, place: str, layout: SkeletonLayout) -> InputError:
        names = ", ".join(each.name for each in self.model.layouts)
        return InputError(
            f"{place}: its skeleton {layout.name!r} is not one that the model was trained on "
            f"({names}); use a run trained on such clips"
        )

    def fit_clip(self, clip: Clip) -> Clip:
        """Return a clip with the joints of ``clips.layout``, if that was given.

        A clip of another skeleton or with other coordinates, a score included, is refused.
        """
        layout = self.config.clips.layout
        if layout is not None:
            clip = TakeLayout(get_layout(layout))(clip)
        if clip.layout not in self.model.layouts:
            raise self._unknown(clip.source, clip.layout)
        wanted = self.model.config.in_feats
        same = self.scored is None or self.scored == clip.scored
        if clip.num_dims != wanted or not same:
            own, its = (
                f"{count - 1} coordinates and a score" if scored else f"{count} coordinates"
                for count, scored in ((clip.num_dims, clip.scored), (wanted, self.scored))
            )
            raise InputError(
                f"{clip.source}: joints of {own}, where the model was trained on {its}; give files "
                "like those of the training set, or the options that read them so"
            )
        return clip

    def described(self) -> Restored:
        """Tell the model its classes and preparation, to be saved with it; return itself."""
        self.model.class_names = tuple(self.class_names)
        self.model.preparation = {
            "run": _plain(self.config.to_dict()),
            "origins": [_plain(origin.to_dict()) for origin in self.origins],
            "scored": self.scored,
        }
        return self


def load_model(path: str | Path) -> Restored:
    """Build the model of a checkpoint, with its weights; averaged ones come first."""
    if is_pretrained(path):
        return _load_pretrained(path)
    checkpoint = load_checkpoint(path)
    record = checkpoint[RECORD]
    weights = model_weights(checkpoint["state_dict"], path)
    try:
        if record["model"] not in MODELS:
            raise ValueError(f"no model {shown(record['model'])!r}")
        model = MODELS[record["model"]].from_config(record["model_config"])
        model.load_state_dict(weights)
        config = RunConfig.from_dict(record["run"])
        names, epoch = list(record["class_names"]), int(checkpoint["epoch"]) + 1
        origins = tuple(Origin.from_dict(each) for each in record.get("origins", ()))
        scored = record.get("scored")
        if scored is not None and not isinstance(scored, bool):
            raise ValueError("scored must be true, false or none")
        if len(names) != model.config.num_classes:
            raise ValueError(f"{len(names)} class_names of {model.config.num_classes} classes")
    except Exception as error:  # damage leads to whatever it happens to hit
        raise InputError(
            f"{path}: its weights and options do not fit this version ({in_short(error)}); train "
            "again"
        ) from error
    return Restored(model.eval(), names, config, epoch, origins, scored).described()


def _load_pretrained(folder: str | Path) -> Restored:
    """Load what :meth:`Pretrained.save_pretrained` wrote."""
    name = read_pretrained(folder)[0].name
    model = MODELS[name].from_pretrained(folder)
    try:
        config = RunConfig.from_dict(dict(model.preparation.get("run", {})))
        config = replace(config, model=model.config)
        origins = tuple(Origin.from_dict(each) for each in model.preparation.get("origins", ()))
    except Exception as error:  # damage leads to whatever it happens to hit
        raise InputError(f"{Path(folder) / CONFIG_FILE}: {in_short(error)}") from error
    names = list(model.class_names) or _numbered(model)
    return Restored(model, names, config, 0, origins, model.preparation.get("scored"))


def _numbered(model: ASGCN) -> list[str]:
    return [f"class_{number}" for number in range(model.config.num_classes)]


def write_model(
    out: str | Path,
    model: ASGCN,
    class_names: Sequence[str],
    config: RunConfig,
    origins: Sequence[Origin] = (),
    scored: bool | None = None,
) -> Path:
    """Write a model that no run of this library trained; return its checkpoint.

    ``out`` is a name that ends in ``.ckpt``, or a new or empty folder, which becomes that of a run.
    Without ``class_names`` classes are numbered; ``config`` says how clips are prepared, and
    ``origins`` the formats and options that they are read with.
    """
    out, names = Path(out), list(class_names) or _numbered(model)
    if len(names) != model.config.num_classes:
        raise InputError(f"{len(names)} names of classes for a model of {model.config.num_classes}")
    config = replace(config, model=model.config)
    state = {f"model.{name}": value for name, value in model.state_dict().items()}
    check_finite(state, "the given weights", ANOTHER)
    record = make_record(model, names, config, origins, scored)
    held = {"state_dict": state, "epoch": -1, RECORD: record}
    if out.suffix == ".ckpt":
        write_checkpoint(out, held)
        return out
    file = out / "checkpoints" / "best.ckpt"
    if out.exists() and not out.is_dir():
        raise InputError(f"{out}: already there; give another --out")
    with RunDir(out).lock():
        if any(each.name != LOCK for each in out.iterdir()):
            raise InputError(f"{out}: already there and not empty; give another --out")
        RunDir(out).write_config(config)
        write_checkpoint(file, held)
    return file


def model_weights(state: Mapping[str, Tensor], path: str | Path) -> dict[str, Tensor]:
    """Return the model's weights out of a training module's state, averaged ones first."""
    for prefix in ("average.module.", "model."):
        weights = {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
        if weights:
            check_finite(weights, path, ANOTHER)
            return weights
    raise InputError(f"{path}: there are no weights of a model in its state_dict; {ANOTHER}")
