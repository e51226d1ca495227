"""An evaluated run, opened to be looked at: scores, course, and what it makes of each clip."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from asgcn_dgl.data import Clip, Reader, Sample, SkeletonDataset, collate, frame_sampler
from asgcn_dgl.errors import InputError
from asgcn_dgl.models import ASGCNOutput
from asgcn_dgl.training.build import device_of, set_threads
from asgcn_dgl.training.checkpoint import Restored, load_model
from asgcn_dgl.training.clips import clips_to_test, make_dataset, open_run
from asgcn_dgl.training.compare import read_scores
from asgcn_dgl.training.files import RunDir
from asgcn_dgl.training.history import History, read_history
from asgcn_dgl.training.predict import as_recorded
from asgcn_dgl.training.progress import track
from asgcn_dgl.viz.exhibit import Exhibit

__all__ = ["Gallery", "check_threshold", "examine", "open_gallery"]

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Gallery:
    """A run that was evaluated, opened to be looked at.

    Parameters
    ----------
    run
        Its folder.
    restored
        Its model.
    names, labels, probabilities
        Of the N test clips: names, true classes and (N, K) probabilities.
    test
        The N recordings, in the same order.
    metrics
        What ``metrics.json`` holds.
    checkpoint
        Name of the checkpoint.
    """

    run: RunDir
    restored: Restored
    names: list[str]
    labels: Ints
    probabilities: npt.NDArray[np.floating]
    test: Reader
    metrics: dict[str, Any]
    checkpoint: str

    @property
    def class_names(self) -> list[str]:
        """K names."""
        return self.restored.class_names

    @property
    def predicted(self) -> Ints:
        """Most probable class of each test clip, (N,)."""
        return np.asarray(self.probabilities.argmax(axis=1))

    @cached_property
    def history(self) -> History:
        """Figures of each epoch of the training."""
        return read_history(self.run.path)

    def place(self, name: str) -> int:
        """Return the number of a test clip.

        Raises
        ------
        InputError
            If there is none of that name.
        """
        if name not in self.names:
            raise InputError(
                f"{self.run.path}: no test clip {name!r}; they are named like {self.names[0]}"
            )
        return self.names.index(name)

    def class_number(self, name: str) -> int:
        """Return the number of a class that has test clips.

        Raises
        ------
        InputError
            If there is none of that name, or no test clip of it.
        """
        seen = [self.class_names[k] for k in sorted(set(self.labels.tolist()))]
        if name not in self.class_names:
            raise InputError(f"{self.run.path}: no class {name!r}; choose of {', '.join(seen)}")
        if name not in seen:
            raise InputError(
                f"{self.run.path}: no test clip of class {name!r}; choose of {', '.join(seen)}"
            )
        return self.class_names.index(name)

    def sample(self, count: int, per_class: int | None = None) -> list[int]:
        """Choose test clips that show as much as possible of the whole.

        One of each pair of true and recognised class comes first, then the classes take turns.

        Parameters
        ----------
        count
            Clips to choose, at most.
        per_class
            Clips of one true class, at most; None: any number.

        Returns
        -------
        list of int
            Their numbers, ascending.
        """
        pairs = list(zip(self.labels.tolist(), self.predicted.tolist(), strict=True))
        first: dict[tuple[int, int], int] = {}
        for number, pair in enumerate(pairs):
            first.setdefault(pair, number)
        turn: dict[int, int] = {}
        order = []
        for number, pair in enumerate(pairs):
            seen = turn.get(pair[0], 0)
            turn[pair[0]] = seen + 1
            order.append((first[pair] != number, seen, number))
        chosen: list[int] = []
        taken: dict[int, int] = {}
        for *_, number in sorted(order):
            label = pairs[number][0]
            if len(chosen) == count:
                break
            if per_class is None or taken.get(label, 0) < per_class:
                taken[label] = taken.get(label, 0) + 1
                chosen.append(number)
        return sorted(chosen)

    def exhibits(self, places: Iterable[int], progress: str = "looking") -> list[Exhibit]:
        """Run the model over some of the test clips.

        Parameters
        ----------
        places
            Numbers of the clips.
        progress
            What the progress bar says.
        """
        clips = [self.test.read(place) for place in places]
        return examine(self.restored, clips, progress)


def open_gallery(
    folder: str | Path, *, checkpoint: str = "auto", root: str | Path | None = None
) -> Gallery:
    """Open an evaluated run.

    Parameters
    ----------
    folder
        Folder of the run.
    checkpoint
        'best', 'last' or 'auto'.
    root
        Folder of the data set, if it is not where training found it.

    Raises
    ------
    InputError
        If the run is not evaluated, or its files or its data cannot be used.
    """
    run = RunDir(Path(folder))
    run.read_config()  # says so if this is no run
    scores = read_scores(run)
    file = run.checkpoint(checkpoint)
    restored = load_model(file)
    config = restored.config
    if root is not None:
        config.root = str(root)
    set_threads(config)
    data = open_run(config)
    restored.check_data(data)
    test = clips_to_test(data, config)
    names = [str(name) for name in scores["names"]]
    if len(test) != len(names):
        raise InputError(
            f"{run.scores}: scores of {len(names)} clips, but {config.root} holds {len(test)} test "
            f"clips; evaluate again with 'asgcn-dgl evaluate {run.path}'"
        )
    return Gallery(
        run,
        restored,
        names,
        np.asarray(scores["labels"], dtype=np.int64),
        np.asarray(scores["probabilities"], dtype=np.float64),
        test,
        _read_metrics(run),
        file.stem,
    )


def check_threshold(threshold: float) -> None:
    """Refuse a probability above which no link could be, or that all links have."""
    if not 0 <= threshold < 1:
        raise InputError(f"--threshold must be from 0 to below 1, got {threshold:g}")


def _read_metrics(run: RunDir) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(run.metrics.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{run.metrics}: cannot be read ({error}); evaluate again") from error
    return found


@torch.no_grad()
def examine(restored: Restored, clips: Sequence[Clip], progress: str = "looking") -> list[Exhibit]:
    """Run a model over clips and gather all that it makes of each.

    Parameters
    ----------
    restored
        The model.
    clips
        Clips as their reader gave them, of layouts that the model knows.
    progress
        What the progress bar says.

    Returns
    -------
    list of Exhibit
        In the clips' order, positions and predictions in the coordinates of the recordings. A clip
        of fewer than T' + 2 frames has no prediction.

    Raises
    ------
    InputError
        If a clip's skeleton is not one that the model was trained on.
    """
    _check_layouts(restored, clips)
    model, config = restored.model, restored.config
    steps = model.config.future_frames
    device = device_of(config)
    model.to(device).eval()
    whole = make_dataset(list(clips), config, "whole", future_frames=steps)
    observed = make_dataset(list(clips), config, "observed", future_frames=steps)
    found: list[Exhibit] = []
    size = config.trainer.eval_batch_size
    for start in track(range(0, len(clips), size), progress, config):
        places = range(start, min(start + size, len(clips)))
        samples = [whole[place] for place in places]
        out, edges = _run(restored, samples, device, predict=False)
        futures = _futures(restored, observed, places, device) if steps else {}
        views = _views(samples, out, edges)
        for place, view in zip(places, views, strict=True):
            clip = whole.clip(place)
            times = _frames_seen(clip, restored)[:: _stride(restored)]
            found.append(_exhibit(clip, view, times, futures.get(place)))
    model.cpu()
    return found


def _check_layouts(restored: Restored, clips: Sequence[Clip]) -> None:
    known = {layout.name: layout for layout in restored.model.layouts}
    for clip in clips:
        if clip.layout not in known.values():
            raise InputError(
                f"{clip.source}: its skeleton {clip.layout.name!r} is not one that the model was "
                f"trained on ({', '.join(known)}); use a run trained on such clips"
            )


def _run(
    restored: Restored, samples: list[Sample], device: torch.device, *, predict: bool
) -> tuple[ASGCNOutput, tuple[Ints, Ints] | None]:
    """Run the model; also give the senders and receivers of the A-links."""
    batch = collate(samples, restored.model.graph_builder).to(device)
    out = restored.model(batch.structure, batch.feat, batch.mask, batch.last, predict=predict)
    edges = None
    if out.links is not None:
        source, target = batch.structure.pair_nodes()
        edges = source.cpu().numpy(), target.cpu().numpy()
    return out, edges


def _present(sample: Sample) -> Ints:
    """Return the bodies that are in the batch: those of which anything was seen, or the first."""
    bodies = np.flatnonzero(sample.mask.any(axis=(1, 2)))
    return bodies if len(bodies) else np.zeros(1, dtype=np.int64)


@dataclass(frozen=True)
class _View:
    """What the model made of one clip; arrays over all of its bodies."""

    probabilities: npt.NDArray[np.floating]
    links: npt.NDArray[np.floating] | None
    response: npt.NDArray[np.floating]


def _views(samples: list[Sample], out: ASGCNOutput, edges: tuple[Ints, Ints] | None) -> list[_View]:
    """Part the output of a batch into its clips."""
    probabilities = out.logits.softmax(dim=-1).cpu().numpy()
    strength = out.features.norm(dim=-1).cpu().numpy()  # (N, R)
    nodes, clip_of = _nodes(samples)
    views = []
    prob = None if out.links is None else out.links.prob[:, 1:].cpu().numpy()
    for number, (sample, rows) in enumerate(zip(samples, nodes, strict=True)):
        bodies, joints = sample.mask.shape[0], sample.mask.shape[2]
        response = np.zeros((bodies * joints, strength.shape[1]), dtype=np.float32)
        local = rows[1]
        response[local] = strength[rows[0]]
        links = None
        if prob is not None and edges is not None:
            own = clip_of[edges[1]] == number
            place = np.full(len(clip_of), -1)
            place[rows[0]] = local
            links = np.zeros((prob.shape[1], bodies * joints, bodies * joints), dtype=np.float32)
            links[:, place[edges[1][own]], place[edges[0][own]]] = prob[own].T
        views.append(
            _View(
                probabilities[number],
                links,
                response.reshape(bodies, joints, -1).swapaxes(1, 2),
            )
        )
    return views


def _nodes(samples: list[Sample]) -> tuple[list[tuple[Ints, Ints]], Ints]:
    """Return each clip's nodes with their places among all its joints, and each node's clip."""
    nodes, clip_of, start = [], [], 0
    for number, sample in enumerate(samples):
        joints = sample.mask.shape[2]
        local = (_present(sample)[:, None] * joints + np.arange(joints)).ravel()
        nodes.append((np.arange(start, start + len(local)), local))
        clip_of.append(np.full(len(local), number))
        start += len(local)
    return nodes, np.concatenate(clip_of)


def _futures(
    restored: Restored, observed: SkeletonDataset, places: range, device: torch.device
) -> dict[int, npt.NDArray[np.floating]]:
    """Predict the last frames of the clips that are long enough, in recorded coordinates."""
    long = [
        place for place in places if observed.clip(place).num_frames >= observed.future_frames + 2
    ]
    if not long:
        return {}
    samples = [observed[place] for place in long]
    out, _ = _run(restored, samples, device, predict=True)
    assert out.future is not None
    poses = out.future.cpu().numpy()  # (N, T', d)
    futures = {}
    for place, sample, (rows, _) in zip(long, samples, _nodes(samples)[0], strict=True):
        joints = sample.mask.shape[2]
        own = poses[rows].reshape(-1, joints, *poses.shape[1:]).swapaxes(1, 2)
        future = np.full((sample.mask.shape[0], *own.shape[1:]), np.nan, dtype=np.float32)
        future[_present(sample)] = as_recorded(own, observed, place)
        futures[place] = future
    return futures


def _stride(restored: Restored) -> int:
    """Frames of the input for each step of the last block."""
    return int(np.prod(restored.model.config.strides))


def _frames_seen(clip: Clip, restored: Restored) -> npt.NDArray[np.floating]:
    """Return which frame of a clip each of the model's input frames is; NaN for padding.

    A clip whose positions tell the time is sampled as the others are.
    """
    options = restored.config.clips
    time = np.arange(1, clip.num_frames + 1, dtype=np.float32)
    pos = np.broadcast_to(time[None, :, None, None], clip.pos[:1].shape).copy()
    clock = Clip(clip.name, clip.layout, pos, np.ones(pos.shape[:3], dtype=bool))
    sampler = frame_sampler(options.sampling, options.num_frames, random=False)
    seen = sampler(clock, np.random.default_rng(0))
    return np.where(seen.mask[0, :, 0], seen.pos[0, :, 0, 0] - 1, np.nan)


def _exhibit(
    clip: Clip,
    view: _View,
    times: npt.NDArray[np.floating],
    future: npt.NDArray[np.floating] | None,
) -> Exhibit:
    response = view.response[:, : len(times)]
    known = np.isfinite(times)
    return Exhibit(
        clip.name,
        clip.layout,
        clip.pos,
        clip.mask,
        clip.label,
        view.probabilities,
        view.links,
        response[:, known],
        times[known],
        future,
    )
