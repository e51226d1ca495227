"""Models of other programs: published weights taken in, trained models written out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from asgcn_dgl.data.reader import Origin
from asgcn_dgl.data.registry import FORMATS
from asgcn_dgl.errors import InputError
from asgcn_dgl.models.config import ASGCNConfig
from asgcn_dgl.models.exporting import ClipProgram, write_onnx, write_program
from asgcn_dgl.models.importing import Source, import_weights
from asgcn_dgl.schema import read_whole
from asgcn_dgl.skeleton import layout_names
from asgcn_dgl.training.checkpoint import load_model, write_model
from asgcn_dgl.training.config import ClipsConfig, RunConfig
from asgcn_dgl.training.files import model_file

To = Literal["onnx", "torch", "pretrained", "checkpoint"]

_NAMES: dict[To, str] = {
    "onnx": "model.onnx",
    "torch": "model.pt2",
    "pretrained": "model",
    "checkpoint": "model.ckpt",
}

#: How the published codes prepare clips: 300 frames with zeros after the end (ST-GCN), 290 that
#: repeat the clip (AS-GCN), 100 out of equal stretches, or round and round a shorter clip, and ten
#: choices of them (PYSKL).
_CLIPS: dict[str, dict[str, Any]] = {
    "st-gcn": {"num_frames": 300, "sampling": "pad"},
    "as-gcn": {"num_frames": 290, "sampling": "repeat"},
    "pyskl": {"num_frames": 100, "sampling": "loop", "num_clips": 10, "body_rule": "tracking"},
}


def export(
    run_dir: str | Path,
    to: To,
    out: str | Path | None = None,
    *,
    bodies: int | None = None,
    outputs: Sequence[str] | None = None,
    layout: str | None = None,
    checkpoint: str = "auto",
) -> str:
    """Write a trained model as a file that other programs run; return a line about it.

    ``run_dir`` is the folder of a run, a checkpoint, or a folder of ``save_pretrained``; ``out``
    has the usual name in the current folder by default; ``bodies``, ``outputs`` and ``layout`` are
    as for :class:`~asgcn_dgl.models.exporting.ClipProgram`.
    """
    restored = load_model(model_file(run_dir, checkpoint))
    target = Path(_NAMES[to] if out is None else out)
    try:
        if to == "pretrained":
            restored.model.save_pretrained(target)
            return f"written: {target}"
        if to == "checkpoint":
            if target.suffix != ".ckpt":
                raise InputError(f"{target}: give a name that ends in .ckpt")
            names, config = restored.class_names, restored.config
            place = write_model(
                *(target, restored.model, names, config, restored.origins, restored.scored)
            )
            return f"written: {place}"
        fixed, most = restored.model.config.fixed_bodies, restored.config.clips.max_bodies
        program = ClipProgram(restored.model, bodies or fixed or most or 1, outputs, layout)
        if to == "onnx":
            print(f"exporting to {target}, which takes about a minute", flush=True)
        return str((write_onnx if to == "onnx" else write_program)(program, target))
    except (ImportError, ValueError) as error:
        raise InputError(f"export: {error}") from error


def published_clips(source: Source, config: ASGCNConfig) -> ClipsConfig:
    """Return the options by which clips are prepared as a published code prepares them."""
    (layout,) = config.layouts
    turned: Any = source if layout.num_joints == 25 and source != "st-gcn" else "none"
    return ClipsConfig(
        **_CLIPS[source],
        layout=layout.name if layout.name in layout_names() else None,
        max_bodies=config.fixed_bodies,
        align=turned,
        rotate=0.0,
        scale=[1.0, 1.0],
    )


def published_origins(source: Source, config: ASGCNConfig) -> list[Origin]:
    """Return the options of the format in which a published code reads clips, where it has one.

    PYSKL brings the picture to -1 and 1, and leaves out joints of a score below 0.01.
    """
    if source != "pyskl" or config.layouts[0].num_joints == 25:
        return []
    return [Origin.of("annotations", normalize="pyskl", min_score=0.01, score=config.in_feats == 3)]


def import_published(
    files: Sequence[str | Path],
    source: Source,
    out: str | Path,
    *,
    layout: str | None = None,
    data: str | None = None,
    classes: str | Path | None = None,
    bodies: int = 2,
    adaptive: Literal["importance", "offset"] = "importance",
) -> str:
    """Write published weights as a model, see :func:`~asgcn_dgl.models.importing.import_weights`.

    ``out`` is the folder of a run to write, or a ``.ckpt`` file; ``data`` the format or set that
    the run will be evaluated on; ``classes`` a text file with a class on each line. Returned is a
    line or two about the model.
    """
    if layout is not None and layout not in layout_names():
        raise InputError(
            f"--layout {layout}: no such layout; there are {', '.join(layout_names())}"
        )
    if data is not None and data not in FORMATS:
        raise InputError(f"--data {data}: no such format; there are {', '.join(FORMATS)}")
    if bodies < 1:
        raise InputError(f"--bodies must be at least 1, got {bodies}")
    model = import_weights(files, source, layout, bodies=bodies, adaptive=adaptive)
    config = RunConfig(
        data=data or _usual_data(model.config), clips=published_clips(source, model.config)
    )
    names = [] if classes is None else _names(classes)
    file = write_model(out, model, names, config, published_origins(source, model.config))
    count = sum(parameter.numel() for parameter in model.parameters())
    name = model.layouts[0].name
    return (
        f"{source}: {len(model.blocks)} blocks, {count:,} parameters, layout {name}, "
        f"{model.config.num_classes} classes\nwritten: {file}"
    )


def _names(path: str | Path) -> list[str]:
    try:
        text = read_whole(Path(path)).decode()
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: cannot be read as text ({error})") from error
    return [line.strip() for line in text.splitlines() if line.strip()]


def _usual_data(config: ASGCNConfig) -> str:
    """Return the set that weights of so many joints and classes are of."""
    joints = config.layouts[0].num_joints
    if joints == 25:
        return "ntu120" if config.num_classes == 120 else "ntu60"
    return "kinetics" if joints == 18 else "annotations"
