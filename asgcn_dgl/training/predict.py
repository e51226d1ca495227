"""Use of a trained model on raw files: the action, and the poses that follow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from asgcn_dgl.data import Clip, Compose, Origin, SkeletonDataset, open_file
from asgcn_dgl.data.rates import AtRate
from asgcn_dgl.data.transforms import PublishedView
from asgcn_dgl.data.windows import frame_step
from asgcn_dgl.errors import InputError
from asgcn_dgl.files import check_target, write_json, write_npz
from asgcn_dgl.models import ASGCNOutput, Forecaster
from asgcn_dgl.skeleton import SkeletonLayout
from asgcn_dgl.training.build import set_threads
from asgcn_dgl.training.checkpoint import Restored, load_model
from asgcn_dgl.training.clips import evaluation_loader, make_dataset
from asgcn_dgl.training.files import model_file
from asgcn_dgl.training.preparation import body_steps, undo_alignment


@dataclass(frozen=True)
class Prediction:
    """What a model says of a clip.

    Parameters
    ----------
    name
        Name of the recording.
    probabilities
        (K,) probability of each class; none of a forecaster, K = 0.
    future
        (M, T', V, d) poses after the clip's end, in the coordinates of its file; None if the model
        predicts none. Those of a forecaster follow each other at its rate, ``forecast.rate``.
    num_bodies
        M, bodies that were seen.
    num_frames
        Frames of the recording.
    """

    name: str
    probabilities: np.ndarray
    future: np.ndarray | None
    num_bodies: int
    num_frames: int


def predict(
    run_dir: str | Path,
    files: Sequence[str | Path],
    *,
    out: str | Path | None = None,
    top: int = 3,
    future: int | None = None,
    checkpoint: str = "auto",
    options: Mapping[str, Any] | None = None,
) -> list[Prediction]:
    """Recognize and predict the clips in raw files; print a table.

    ``run_dir`` is the folder of a run, a checkpoint, or a folder of ``save_pretrained``; ``files``
    have any format that :func:`~asgcn_dgl.data.open_data` recognizes, and may hold several clips;
    ``out`` is a ``.json`` or ``.npz`` file for the result; ``top`` classes are printed for each
    clip; ``future`` poses are predicted, any number by a forecaster, by a prediction head at most
    those that it was trained for; ``options`` of the format are by default those that the model's
    recordings were prepared with. InputError if a file cannot be used; nothing is written then.
    """
    if top < 1:
        raise InputError(f"--top must be at least 1, got {top}")
    if out is not None and Path(out).suffix not in (".json", ".npz"):
        raise InputError(f"{out}: give a name that ends in .json or .npz")
    if out is not None:
        check_target(out)
    restored = load_model(model_file(run_dir, checkpoint))
    set_threads(restored.config)
    layouts = restored.model.layouts
    clips = [
        (file, clip)
        for file in files
        for clip in read_clips(file, layouts, options, restored.origins)
    ]
    found = [predict_clip(restored, clip, future) for _, clip in clips]
    print(table(found, restored.class_names, top))
    if out is not None:
        _write(Path(out), [str(file) for file, _ in clips], found, restored.class_names)
        print(f"written: {out}")
    return found


def read_clips(
    path: str | Path,
    layouts: Sequence[SkeletonLayout] = (),
    options: Mapping[str, Any] | None = None,
    origins: Sequence[Origin] = (),
) -> list[Clip]:
    """Read the clips of a file of any format, of the layouts that a model knows.

    ``options`` are those of the format; others are taken from ``origins``, how the model's
    recordings were read.
    """
    return [_adopt(clip, layouts) for clip in open_file(path, layouts, options, origins)]


def _adopt(clip: Clip, layouts: Sequence[SkeletonLayout]) -> Clip:
    """Give a clip the model's layout of the same joints, of the same bones if there is one."""
    own = clip.layout
    alike = [layout for layout in layouts if layout.joints == own.joints]
    for layout in alike:
        if set(layout.bones) == set(own.bones):
            return replace(clip, layout=layout)
    # The bones are the model's business: an imported one may join the same joints in its own way.
    return replace(clip, layout=alike[0]) if len(alike) == 1 else clip


@torch.no_grad()
def predict_clip(restored: Restored, clip: Clip, frames: int | None = None) -> Prediction:
    """Recognize a clip and predict the poses that follow.

    Parameters
    ----------
    restored
        The model, with the options that its clips were prepared with.
    clip
        The clip, as its reader gave it.
    frames
        Poses to predict; None: as many as the model was trained for.

    Raises
    ------
    InputError
        If the model was trained on another skeleton, or cannot predict so many poses.
    """
    model, config = restored.model, restored.config
    most = None if isinstance(model, Forecaster) else model.config.future_frames
    if frames is not None and (frames < 1 or (most is not None and frames > most)):
        rule = "at least 1" if most is None else f"from 1 to {most}, as this model was trained"
        raise InputError(f"--future must be {rule}, got {frames}")
    clip = restored.fit_clip(clip)
    if config.clips.rate is not None and most is not None:
        clip = AtRate(config.clips.rate)(clip)
    for choose in body_steps(config.clips):
        clip = choose(clip)
    dataset = make_dataset([clip], config, "whole", future_frames=most or 0)
    probabilities, future = np.zeros(0), None
    if isinstance(model, Forecaster):
        given = _last_poses(restored, clip, dataset)
        bodies = len(given[0])
        graph = model.graph_builder.structure(clip.layout, [bodies])
        found = model(graph, *(each.flatten(0, 1) for each in given), frames=frames).future
    else:
        (batch,) = evaluation_loader(dataset, model.graph_builder, config)
        bodies = int(batch.num_bodies[0])
        out = model(batch.structure, batch.feat, batch.mask, batch.observed, predict=most > 0)
        check_outputs(out, clip.source)
        probabilities, found = out.logits[0].softmax(dim=-1).numpy(), out.future
    if found is not None:
        poses = found.unflatten(0, (bodies, -1)).transpose(1, 2).numpy()
        future = as_recorded(poses, dataset, 0)[:, :frames]
    return Prediction(clip.name, probabilities, future, bodies, clip.num_frames)


def _last_poses(restored: Restored, clip: Clip, dataset: SkeletonDataset) -> list[torch.Tensor]:
    """Return the aligned last frames of a clip at a forecaster's rate: (M, V, T, d), and a mask."""
    assert dataset.transform is not None
    aligned = dataset.transform(clip, np.random.default_rng(0))
    step = frame_step(clip.meta.get("fps"), restored.config.forecast.rate)
    start = (clip.num_frames - 1) % step
    chosen = np.arange(start, clip.num_frames, step)[-restored.model.config.past_frames :]
    return [
        torch.from_numpy(np.ascontiguousarray(each[:, chosen].swapaxes(1, 2)))
        for each in (aligned.pos, aligned.mask)
    ]


def check_outputs(out: ASGCNOutput, source: str) -> None:
    """Refuse scores and poses that are not finite."""
    for what, values in (("scores", out.logits), ("future poses", out.future)):
        if values is not None and not bool(torch.isfinite(values).all()):
            raise InputError(
                f"{source}: the model's {what} are not finite; use an earlier checkpoint, or clips "
                "in the unit that it was trained on"
            )


def as_recorded(poses: np.ndarray, dataset: SkeletonDataset, index: int) -> np.ndarray:
    """Bring poses (..., d) of a dataset's samples back to the coordinates of the recording.

    The transforms of the dataset, which must be without augmentation, are undone for clip
    ``index``; see :func:`undo_alignment`.
    """
    raw = dataset.clip(index)
    assert isinstance(dataset.transform, Compose)
    by_frame = any(isinstance(step, PublishedView) for step in dataset.transform.transforms)
    return undo_alignment(poses, raw, dataset.aligned(index), by_frame)


def table(found: Sequence[Prediction], class_names: Sequence[str], top: int) -> str:
    """Return the predictions as lines to read: a clip, then its likeliest classes."""
    lines = []
    for each in found:
        bodies = f"{each.num_bodies} bod{'y' if each.num_bodies == 1 else 'ies'}"
        future = "" if each.future is None else f", {each.future.shape[1]} future poses"
        lines.append(f"{each.name}  ({bodies}, {each.num_frames} frames{future})")
        for index in np.argsort(-each.probabilities, kind="stable")[:top]:
            lines.append(f"  {100 * each.probabilities[index]:6.2f} %  {class_names[index]}")
    return "\n".join(lines)


def _write(out: Path, files: list[str], found: list[Prediction], class_names: list[str]) -> None:
    if out.suffix == ".json":
        clips: list[dict[str, Any]] = [
            {
                "file": file,
                "name": each.name,
                "bodies": each.num_bodies,
                "frames": each.num_frames,
                "class": None,
                "probabilities": each.probabilities.astype(float).tolist(),
                "future": None if each.future is None else each.future.tolist(),
            }
            for file, each in zip(files, found, strict=True)
        ]
        for clip, each in zip(clips, found, strict=True):
            if len(each.probabilities):
                clip["class"] = class_names[int(each.probabilities.argmax())]
        write_json(out, {"class_names": class_names, "clips": clips})
        return
    arrays: dict[str, Any] = {
        "files": np.array(files),
        "names": np.array([each.name for each in found]),
        "class_names": np.array(class_names),
        "probabilities": np.stack([each.probabilities for each in found]),
    }
    for number, each in enumerate(found):
        if each.future is not None:
            arrays[f"future_{number}"] = each.future
    write_npz(out, **arrays)
