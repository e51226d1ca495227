"""Export of a trained model, with all that its use needs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from asgcn_dgl.errors import InputError
from asgcn_dgl.models.exporting import ClipProgram, write_onnx, write_program
from asgcn_dgl.training.checkpoint import load_model, write_model
from asgcn_dgl.training.files import model_file

To = Literal["onnx", "torch", "pretrained", "checkpoint"]

_NAMES: dict[To, str] = {
    "onnx": "model.onnx",
    "torch": "model.pt2",
    "pretrained": "model",
    "checkpoint": "model.ckpt",
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
