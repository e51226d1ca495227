"""Models of other programs: published weights taken in, trained models written out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from asgcn_dgl.data.reader import Origin
from asgcn_dgl.data.registry import FORMATS
from asgcn_dgl.errors import InputError
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
    (own,), joints = model.layouts, model.layouts[0].num_joints
    turned: Any = source if joints == 25 and source != "st-gcn" else "none"
    clips = ClipsConfig(
        **_CLIPS[source],
        layout=own.name if own.name in layout_names() else None,
        max_bodies=model.config.fixed_bodies,
        align=turned,
        rotate=0.0,
        scale=[1.0, 1.0],
    )
    usual = {25: "ntu120" if model.config.num_classes == 120 else "ntu60", 18: "kinetics"}
    config = RunConfig(data=data or usual.get(joints, "annotations"), clips=clips)
    origins = []
    if source == "pyskl" and joints != 25:
        # PYSKL brings the picture to -1 and 1, and leaves out joints of a score below 0.01.
        options = {"normalize": "pyskl", "min_score": 0.01, "score": model.config.in_feats == 3}
        origins = [Origin.of("annotations", **options)]
    names: list[str] = []
    if classes is not None:
        try:
            text = read_whole(Path(classes)).decode()
        except UnicodeDecodeError as error:
            raise InputError(f"{classes}: cannot be read as text ({error})") from error
        names = [line.strip() for line in text.splitlines() if line.strip()]
    file = write_model(out, model, names, config, origins)
    count = sum(parameter.numel() for parameter in model.parameters())
    return (
        f"{source}: {len(model.blocks)} blocks, {count:,} parameters, layout {own.name}, "
        f"{model.config.num_classes} classes\nwritten: {file}"
    )
