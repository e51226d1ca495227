"""An evaluated run, opened to be looked at: scores, course, and what it makes of each clip."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from asgcn_dgl.data import Clip, Reader, Sample, SkeletonDataset, collate, frame_sampler
from asgcn_dgl.data.batch import present_bodies
from asgcn_dgl.errors import InputError
from asgcn_dgl.experiments.links import link_matrix
from asgcn_dgl.models import ASGCNOutput
from asgcn_dgl.training.build import device_of, track
from asgcn_dgl.training.checkpoint import Restored, load_model
from asgcn_dgl.training.clips import clips_to_test, make_dataset
from asgcn_dgl.training.compare import read_scores
from asgcn_dgl.training.config import RunConfig
from asgcn_dgl.training.evaluate import open_to_test
from asgcn_dgl.training.files import History, RunDir, read_figures, read_history
from asgcn_dgl.training.predict import as_recorded, check_outputs
from asgcn_dgl.training.units import Unit, UnitName, unit_of
from asgcn_dgl.viz.exhibit import Exhibit
from asgcn_dgl.viz.figure import PAGE_WIDTH
from asgcn_dgl.viz.pose import guess_up

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.floating]

#: Figures that the report shows.
_NEEDED = (
    *("dataset", "protocol", "clips", "top1", "top5", "mean_class"),
    *("per_class", "seed", "parameters", "versions"),
)


@dataclass(frozen=True)
class Choice:
    """What of a run to draw; None: chosen.

    The test ``clip``, the ``actions`` side by side and the ``joint`` whose links are drawn, by
    name; ``real``: on recorded poses instead of the layout's; ``threshold``: probability above
    which an A-link is drawn; ``page_width`` in inches; ``up``: the axis of the recordings that
    points up.
    """

    clip: str | None = None
    actions: Sequence[str] | None = None
    joint: str | None = None
    real: bool = False
    threshold: float = 0.9
    unit: UnitName | None = None
    page_width: float = PAGE_WIDTH
    up: str | None = None


@dataclass(frozen=True)
class EvaluatedRun:
    """What evaluated runs of all kinds have: a folder, a model, names of test clips, figures."""

    run: RunDir
    restored: Restored
    names: list[str]
    metrics: dict[str, Any]
    checkpoint: str

    @property
    def class_names(self) -> list[str]:
        """K names."""
        return self.restored.class_names

    @cached_property
    def history(self) -> History:
        """Figures of each epoch of the training."""
        return read_history(self.run.path)

    def place(self, name: str, what: str = "clip") -> int:
        """Return the number of a test clip; InputError if there is none of that name."""
        if name not in self.names:
            raise InputError(
                f"{self.run.path}: no test {what} {name!r}; they are named like {self.names[0]}"
            )
        return self.names.index(name)


@dataclass(frozen=True)
class Gallery(EvaluatedRun):
    """An evaluated run: its model, and names, labels and probabilities (N, K) of its N test clips.

    ``test`` reads the recordings, in the same order; ``metrics`` is the content of
    ``metrics.json``.
    """

    labels: Ints
    probabilities: Floats
    test: Reader

    @property
    def predicted(self) -> Ints:
        """Most probable class of each test clip, (N,)."""
        return np.asarray(self.probabilities.argmax(axis=1))

    def unit(self, asked: UnitName | None = None) -> Unit:
        """Return the unit in which distances are written: that of the set, or the one asked for."""
        return unit_of(self.restored.config.data, self.test.read(0).num_places, asked)

    def check_same(self, first: Gallery) -> None:
        """Raise InputError unless another run has the same test clips, order and classes."""
        same = (self.names, self.class_names) == (first.names, first.class_names)
        if not same or not np.array_equal(self.labels, first.labels):
            raise InputError(
                f"{self.run.path}: its test clips are not those of {first.run.path}; give a run on "
                "the same set and protocol"
            )

    def class_number(self, name: str) -> int:
        """Return the number of a class; InputError if no test clip is of it."""
        seen = [self.class_names[k] for k in sorted(set(self.labels.tolist()))]
        if name not in seen:
            what = "no test clip of class" if name in self.class_names else "no class"
            raise InputError(f"{self.run.path}: {what} {name!r}; choose of {', '.join(seen)}")
        return self.class_names.index(name)

    def sample(self, count: int, per_class: int | None = None) -> list[int]:
        """Choose at most ``count`` test clips that show as much as possible; return their numbers.

        One of each pair of true and recognized class comes first, then the classes in turn, at most
        ``per_class`` of each true class.
        """
        pairs = np.stack([self.labels, self.predicted], axis=1)
        again = np.ones(len(pairs), dtype=bool)
        again[np.unique(pairs, axis=0, return_index=True)[1]] = False
        order = np.lexsort((_turns(self.labels), again))
        if per_class is not None:
            order = order[_turns(self.labels[order]) < per_class]
        return sorted(order[:count].tolist())

    def exhibits(self, places: Iterable[int], progress: str = "looking") -> list[Exhibit]:
        """Run the model over the test clips of these numbers."""
        clips = [self.test.read(place) for place in places]
        return examine(self.restored, clips, progress)


def _turns(labels: Ints) -> Ints:
    """Return how many clips of the same label stand before each."""
    order = np.argsort(labels, kind="stable")
    turns = np.empty_like(order)
    turns[order] = np.arange(len(order)) - np.searchsorted(labels[order], labels[order])
    return turns


def open_gallery(
    folder: str | Path, *, checkpoint: str = "auto", root: str | Path | None = None
) -> Gallery:
    """Open an evaluated run; ``root`` is the folder of its data set, if it has moved.

    InputError if the run is not evaluated, or its files or its data cannot be used.
    """
    run = RunDir(Path(folder))
    if run.read_config().model.name == "forecaster":  # says so if this is no run
        raise InputError(
            f"{run.path}: a forecaster recognizes nothing; 'asgcn-dgl figures' and 'report' show "
            "its forecasts"
        )
    scores = read_scores(run.scores)
    file = run.checkpoint(checkpoint)
    restored = load_model(file)
    data, config = open_to_test(restored, root), restored.config
    test = clips_to_test(data, config)
    names = [str(name) for name in scores["names"]]
    fault = ""
    if scores["class_names"].tolist() != restored.class_names:
        fault = f"its class_names are not those of {file}"
    elif len(test) != len(names):
        fault = f"scores of {len(names)} clips, but {config.root} holds {len(test)} test clips"
    if fault:
        raise InputError(
            f"{run.scores}: {fault}; evaluate again with 'asgcn-dgl evaluate {run.path}'"
        )
    metrics = read_figures(run.metrics, need=_NEEDED)
    if len(metrics["per_class"]) != len(restored.class_names):
        raise InputError(
            f"{run.metrics}: per_class holds {len(metrics['per_class'])} of "
            f"{len(restored.class_names)} classes; evaluate the run again"
        )
    labels = np.asarray(scores["labels"], dtype=np.int64)
    probabilities = np.asarray(scores["probabilities"], dtype=np.float64)
    return Gallery(run, restored, names, metrics, file.stem, labels, probabilities, test)


def find_up(exhibits: Sequence[Exhibit], asked: str | None = None) -> str:
    """Return the axis that points up, see :func:`asgcn_dgl.viz.guess_up`."""
    try:
        return guess_up(exhibits, asked)
    except ValueError as error:
        raise InputError(f"--{error}") from error


def error_options(config: RunConfig, unit: Unit) -> dict[str, Any]:
    """Return what brings the errors of a training's curves to the unit of the recordings."""
    return {
        "unit": unit.name or "unit of the recordings",
        "scale": (config.clips.unit or 1.0) * unit.factor,
    }


def check_threshold(threshold: float) -> None:
    """Refuse a probability above which no link can be, or that all links have."""
    if not 0 <= threshold < 1:
        raise InputError(f"--threshold must be from 0 to below 1, got {threshold:g}")


def end_motion(exhibit: Exhibit) -> float:
    """Mean distance of the leading body's last joints from where they were before; -1 unseen."""
    body, start = exhibit.leader, exhibit.future_start
    known = exhibit.mask[body, start:] & exhibit.mask[body, start - 1]
    step = np.linalg.norm(exhibit.pos[body, start:] - exhibit.pos[body, start - 1], axis=-1)
    return float(step[known].mean()) if known.any() else -1.0


@torch.no_grad()
def examine(restored: Restored, clips: Sequence[Clip], progress: str = "looking") -> list[Exhibit]:
    """Run a model over clips; return poses, links, responses and prediction of each.

    Positions are in the coordinates of the recordings. A clip of fewer than T' + 2 frames has no
    prediction. InputError if a clip's skeleton is not one that the model was trained on.
    """
    clips = [restored.fit_clip(clip) for clip in clips]
    model, config = restored.model, restored.config
    steps = model.config.future_frames
    device = device_of(config)
    model.to(device).eval()
    whole = make_dataset(clips, config, "whole", future_frames=steps)
    observed = make_dataset(clips, config, "observed", future_frames=steps)
    stride = int(np.prod(model.config.strides))  # frames of a step of the last block
    found: list[Exhibit] = []
    size = config.trainer.eval_batch_size
    for start in track(range(0, len(clips), size), progress, config):
        places = range(start, min(start + size, len(clips)))
        samples = [whole[place] for place in places]
        out = _run(restored, samples, device, predict=False)
        futures = _futures(restored, observed, places, device) if steps else {}
        for place, view in zip(places, _views(restored, samples, out), strict=True):
            clip, future = whole.clip(place), futures.get(place)
            probabilities, links, response = view
            times = _frames_seen(clip, restored)[::stride]
            known = np.isfinite(times)
            found.append(
                Exhibit(
                    clip.name, clip.layout, clip.places, clip.mask, clip.label,
                    probabilities, links, response[:, : len(times)][:, known], times[known],
                    None if future is None else future[..., : clip.num_places],
                )
            )  # fmt: skip
    model.cpu()
    return found


def _run(
    restored: Restored, samples: list[Sample], device: torch.device, *, predict: bool
) -> ASGCNOutput:
    batch = collate(samples, restored.model.graph_builder).to(device)
    found: ASGCNOutput = restored.model(
        batch.structure, batch.feat, batch.mask, batch.observed, predict=predict
    )
    check_outputs(found, samples[0].name)
    return found


def _views(
    restored: Restored, samples: list[Sample], out: ASGCNOutput
) -> Iterator[tuple[Floats, Floats | None, Floats]]:
    """Split the output of a batch by clips: probabilities, links and responses of all bodies."""
    probabilities = out.logits.softmax(dim=-1).cpu().numpy()
    strength = out.features.norm(dim=-1).cpu().numpy()  # (N, R)
    prob = None if out.links is None else out.links.prob[:, 1:].cpu().numpy()  # (E, C)
    together = restored.model.config.across_bodies
    responses, pair = _by_clip(strength, samples, 0.0), 0
    for sample, share, response in zip(samples, probabilities, responses, strict=True):
        links = None
        if prob is not None:
            (count, _, joints), bodies = sample.mask.shape, present_bodies(sample)
            links = np.zeros((prob.shape[1], count * joints, count * joints), dtype=np.float32)
            for unit in [bodies] if together else bodies[:, None]:
                own = (unit[:, None] * joints + np.arange(joints)).ravel()
                pairs = prob[pair : pair + len(own) * (len(own) - 1)]
                pair += len(pairs)
                links[:, own[:, None], own] = link_matrix(pairs.T, len(own))
        yield share, links, response


def _by_clip(rows: Floats, samples: list[Sample], absent: float) -> Iterator[Floats]:
    """Split what a batch has for its joints and times by clips: (M, time, V, ...)."""
    start = 0
    for sample in samples:
        (count, _, joints), bodies = sample.mask.shape, present_bodies(sample)
        own = rows[start : start + len(bodies) * joints]
        start += len(own)
        every = np.full((count, joints, *rows.shape[1:]), absent, dtype=np.float32)
        every[bodies] = own.reshape(len(bodies), joints, *rows.shape[1:])
        yield every.swapaxes(1, 2)


def _futures(
    restored: Restored, observed: SkeletonDataset, places: range, device: torch.device
) -> dict[int, Floats]:
    """Predict the last frames of the clips that are long enough, in recorded coordinates."""
    least = observed.future_frames + 2
    long = [place for place in places if observed.clip(place).num_frames >= least]
    if not long:
        return {}
    samples = [observed[place] for place in long]
    out = _run(restored, samples, device, predict=True)
    assert out.future is not None
    poses = _by_clip(out.future.cpu().numpy(), samples, np.nan)
    return {
        place: as_recorded(own, observed, place).astype(np.float32)
        for place, own in zip(long, poses, strict=True)
    }


def _frames_seen(clip: Clip, restored: Restored) -> Floats:
    """Return which frame of a clip each of the model's input frames is; NaN for padding."""
    options = restored.config.clips
    time = np.arange(1, clip.num_frames + 1, dtype=np.float32)
    pos = np.broadcast_to(time[None, :, None, None], clip.pos[:1].shape).copy()
    clock = Clip(clip.name, clip.layout, pos, np.ones(pos.shape[:3], dtype=bool), meta=clip.meta)
    sampler = frame_sampler(options.sampling, options.num_frames, random=False)
    seen = sampler(clock, np.random.default_rng(0))
    return np.where(seen.mask[0, :, 0], seen.pos[0, :, 0, 0] - 1, np.nan)
