"""Forecasts of windows, scored as the field does it: errors by action and horizon, and tables."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from asgcn_dgl.data import Batch, Clip, Reader
from asgcn_dgl.data.rotations import expmap_to_matrix, matrix_to_euler
from asgcn_dgl.data.windows import WindowSet
from asgcn_dgl.skeleton import GraphBuilder
from asgcn_dgl.training.build import device_of, track
from asgcn_dgl.training.checkpoint import Restored
from asgcn_dgl.training.config import RunConfig
from asgcn_dgl.training.preparation import make_transform
from asgcn_dgl.training.report import columns
from asgcn_dgl.training.units import Unit, unit_of

#: Milliseconds after the last observed frame.
HORIZONS = (80, 160, 320, 400, 560, 1000)

SEED = 1234567890  # of the published choice of eight windows
SOURCE = 50  # frames before the first that is forecast, of any model, in that choice


@dataclass(frozen=True)
class Protocol:
    """What a set's published figures are measured on.

    ``joints`` is the number of joints of the set, ``modeled`` the layout of those that are
    forecast, ``copies`` how many joints lie on a modeled one, itself included, where that is not 1:
    published code gives them its forecast, and joints that are fixed to the root have no error.
    ``reading`` and ``test_reading`` are options of the reader for recordings to learn from and to
    test on. The choice of eight windows begins at frame ``first`` and leaves ``span`` frames free
    at the end. ``published`` has MPJPE in mm by model and action at ``published_at`` milliseconds,
    from ``source``.
    """

    joints: int
    modeled: str
    copies: Mapping[str, int] = field(default_factory=dict)
    reading: Mapping[str, Any] = field(default_factory=dict)
    test_reading: Mapping[str, Any] = field(default_factory=dict)
    span: int = 75
    first: int = 0
    published: Mapping[str, Mapping[str, Sequence[float]]] = field(default_factory=dict)
    published_at: tuple[int, ...] = ()
    source: str = ""

    def weights(self, joints: Sequence[str]) -> np.ndarray:
        """Return the weight of each joint in two means over all joints of the set, (2, V).

        The first takes all joints that are not modeled from the recording, without error. The
        second is that of published code, see ``copies``.
        """
        copies = [self.copies.get(joint, 1) for joint in joints]
        return np.array([np.ones(len(joints)), copies]) / self.joints

    def eight(self, lengths: Sequence[int], past: int) -> list[list[int]] | None:
        """Return the first frames of the eight windows of an action that published code draws.

        ``lengths`` are the frames of its recordings at the rate of the protocol; as many windows
        are drawn of each. None where one is too short, or a model observes more than 50 frames
        (``past``).
        """
        if past > SOURCE or any(length - self.span <= self.first for length in lengths):
            return None
        random = np.random.RandomState(SEED)
        chosen: list[list[int]] = [[] for _ in lengths]
        for _ in range(8 // len(lengths)):
            for number, length in enumerate(lengths):
                at = int(random.randint(self.first, length - self.span))
                chosen[number].append(at + SOURCE - past)
        return chosen


def horizon_frames(frames: int, rate: float) -> dict[int, int]:
    """Return the frame that lies at each of :data:`HORIZONS`, counted from 1."""
    at = {time: round(time * rate / 1000) for time in HORIZONS}
    return {time: frame for time, frame in at.items() if 1 <= frame <= frames}


def _by_action(text: str) -> dict[str, dict[str, list[float]]]:
    """Read a table: an action, then the figures of each model, with ``/`` between models."""
    found: dict[str, dict[str, list[float]]] = {}
    for line in text.strip().splitlines():
        action, _, figures = line.strip().partition(" ")
        for name, part in zip(("DMGNN", "LTD", "MSR-GCN"), figures.split("/"), strict=True):
            found.setdefault(name, {})[action] = [float(value) for value in part.split()]
    return found


_CMU = _by_action(
    """
    basketball 15.6 28.7 59.0 73.1 138.6 / 11.7 21.3 41.0 50.8 98.0 / 10.3 18.9 37.7 47.0 87.0
    jumping 32.0 54.3 96.7 119.9 224.6 / 17.2 32.4 60.1 72.6 127.4 / 15.0 28.7 55.9 69.1 124.8
    running 17.4 26.8 38.3 40.1 46.4 / 14.5 24.2 37.4 41.1 51.7 / 12.8 20.4 30.6 34.4 48.0
    soccer 14.9 25.3 52.2 65.4 111.9 / 13.3 24.0 43.8 53.2 108.3 / 10.9 19.5 37.1 46.4 99.3
    walking 9.6 15.5 26.0 30.4 67.0 / 6.6 10.7 17.4 20.4 34.4 / 6.3 10.3 17.6 21.1 39.7
    """
)

#: Sets that pose prediction is measured on, by the name of their format.
PROTOCOLS: dict[str, Protocol] = {
    "cmu": Protocol(
        38,
        "cmu25",
        copies={"spine1": 4, "left_hand": 3, "right_hand": 3},
        reading={"root_motion": "none"},
        test_reading={"root_motion": "none", "rest_pose": "keep"},
        published=_CMU,
        published_at=(80, 160, 320, 400, 1000),
        source="Dang et al., MSR-GCN, ICCV 2021: all windows, all 106 files of the set",
    ),
    "h36m": Protocol(
        32,
        "h36m22",
        copies={
            "neck": 3,
            **{f"{side}_{name}": 2 for side in ("left", "right") for name in ("hand", "wrist_end")},
        },
        reading={"root_motion": "none"},
        test_reading={"root_motion": "none"},
        span=150,
        first=16,
    ),
}


def make_windows(
    clips: Reader | Sequence[Clip], config: RunConfig, *, every_start: bool = False
) -> WindowSet:
    """Return the windows of recordings as a forecaster of a run sees them."""
    prepare = make_transform(config.clips, training=False)
    random = np.random.default_rng(0)
    whole = clips if isinstance(clips, Reader) else list(clips)
    return WindowSet(
        (prepare(clip, random) for clip in whole),
        config.model.past_frames,
        config.model.future_frames,
        rate=config.forecast.rate,
        every_start=every_start,
    )


def in_order(windows: WindowSet, builder: GraphBuilder, size: int) -> DataLoader[Any]:
    """Return a loader over all windows of a set in order, ``size`` at a time."""
    numbers: Any = range(len(windows))
    make = functools.partial(windows.batch, builder=builder)
    return DataLoader(numbers, batch_size=size, collate_fn=make)


@dataclass
class ForecastScores:
    """Errors of windows: of the forecast and of zero velocity, by frame.

    ``weights`` (2, V) weigh the joints in the two means over all joints of the set. ``angles`` (V,
    3) says of exponential maps which change; None for positions.
    """

    weights: np.ndarray
    angles: np.ndarray | None = None
    labels: list[np.ndarray] = field(default_factory=list)
    _errors: list[np.ndarray] = field(default_factory=list)

    def update(self, batch: Batch, future: Tensor) -> None:
        """Take in a batch of windows."""
        joints = batch.structure.joint.cpu()
        weights = torch.from_numpy(self.weights).float()[:, joints]
        clip = batch.structure.clip.cpu()
        target, mask = batch.future.cpu(), batch.future_mask.cpu()
        still = batch.last.cpu().unsqueeze(1).expand_as(target)
        rows = []
        for pose in (future.detach().float().cpu(), still):
            error = (pose - target).norm(dim=-1).masked_fill(~mask, 0.0)
            rows += [_mean(error, mask, clip, batch.num_bodies, each) for each in (None, *weights)]
            if self.angles is not None:
                rows.append(self._euler(pose, target, clip, joints))
        self._errors.append(torch.stack(rows, dim=1).numpy())
        self.labels.append(batch.label.cpu().numpy())

    def _euler(self, pose: Tensor, target: Tensor, clip: Tensor, joints: Tensor) -> Tensor:
        """Length of the difference of all Euler angles of a window, (B, T')."""
        assert self.angles is not None
        keep = torch.from_numpy(self.angles)[joints].unsqueeze(1)
        angles = [
            torch.from_numpy(matrix_to_euler(expmap_to_matrix(each.double().numpy())))
            for each in (torch.where(keep, pose, target), target)
        ]
        square = (angles[0] - angles[1]).square().sum(dim=-1)
        total = square.new_zeros(int(clip.max()) + 1, square.shape[1])
        return total.index_add(0, clip, square).sqrt().float()

    def errors(self) -> np.ndarray:
        """Return (W, E, T'): of the forecast, then of zero velocity, errors by frame.

        They are the mean over modeled joints, the two over all joints of the set, and of angles the
        Euler error.
        """
        return np.concatenate(self._errors)

    def by_label(self) -> dict[int, np.ndarray]:
        """Return the mean (E, T') of each class over its windows."""
        errors, labels = self.errors(), np.concatenate(self.labels)
        return {int(label): errors[labels == label].mean(axis=0) for label in np.unique(labels)}


def _mean(
    error: Tensor, mask: Tensor, clip: Tensor, bodies: Tensor, weight: Tensor | None
) -> Tensor:
    """Mean error of each window by frame, (B, T'): over joints, or by their weight in a body."""
    rows = torch.ones_like(error) if weight is None else weight.unsqueeze(1).expand_as(error)
    total = error.new_zeros(len(bodies), error.shape[1])
    # Where joints are missing the mean is over those that are seen.
    seen = total.index_add(0, clip, rows * mask)
    whole = total.index_add(0, clip, rows) / bodies.unsqueeze(1)
    size = torch.ones_like(whole) if weight is None else whole
    return total.index_add(0, clip, rows * error) * size / seen.clamp(min=1e-12)


def test_forecaster(
    restored: Restored, clips: Reader | Sequence[Clip], split: str, protocol: str, file: Path
) -> dict[str, Any]:
    """Score all windows of recordings; return plain values, errors in the clips' unit."""
    config, model = restored.config, restored.model
    windows = make_windows(clips, config)
    rules = PROTOCOLS.get(config.data)
    followed = rules if rules and config.clips.layout == rules.modeled else None
    scores = score_forecasts(model, windows, config, split, followed)
    rate = config.forecast.rate or 25.0
    times = horizon_frames(config.model.future_frames, rate)
    joints = model.layouts[0].num_joints
    actions: dict[str, Any] = {}
    for label, every in scores.by_label().items():
        name = restored.class_names[label] if label >= 0 else "unknown"
        own = np.flatnonzero(windows.label == label)
        actions[name] = {"windows": len(own), "all_windows": _at(every, times)}
        eight = None if rules is None else _eight(windows, own, rules, config.model.past_frames)
        if eight is not None:
            errors = scores.errors()[eight].mean(axis=0)
            actions[name]["eight_windows"] = _at(errors, times)
    mean = np.mean(list(scores.by_label().values()), axis=0)
    unit, still = config.clips.unit or 1.0, len(mean) // 2 + 1
    return {
        **restored.facts(split, protocol, file.stem),
        "clips": len({int(number) for number in windows.recording}),
        "windows": len(windows),
        "joints": {"modeled": joints, "all": joints if followed is None else followed.joints},
        "horizons_ms": list(times),
        "frames_per_second": rate,
        "actions": actions,
        "average": _at(mean, times),
        "form": config.forecast.form,
        "prediction": {
            "mpjpe": unit * float(mean[1].mean()),
            "zero_velocity": unit * float(mean[still].mean()),
            "mpjpe_per_frame": (unit * mean[1]).tolist(),
            "zero_velocity_per_frame": (unit * mean[still]).tolist(),
        },
    }


@torch.no_grad()
def score_forecasts(
    model: Any, windows: WindowSet, config: RunConfig, label: str, protocol: Protocol | None = None
) -> ForecastScores:
    """Forecast all windows; the protocol, where there is one, weighs the joints."""
    device = device_of(config)
    model.to(device).eval()
    names = model.layouts[0].joints
    size = max(layout.num_joints for layout in model.layouts)
    weights = np.full((2, size), 1 / size) if protocol is None else protocol.weights(names)
    angles = windows.varying().numpy() if config.forecast.form == "angles" else None
    scores = ForecastScores(weights, angles)
    batches = in_order(windows, model.graph_builder, config.trainer.eval_batch_size)
    for batch in track(batches, label, config):
        batch = batch.to(device)
        scores.update(batch, model(batch.structure, batch.feat, batch.mask).future)
    return scores


def _at(errors: np.ndarray, times: Mapping[int, int]) -> dict[str, list[float]]:
    """Return the errors (E, T') at the horizons."""
    places = [frame - 1 for frame in times.values()]
    kinds = ("_modeled", "", "_published", "_euler")[: len(errors) // 2]
    names = [f"{half}{kind}" for half in ("mpjpe", "zero_velocity") for kind in kinds]
    return {
        name: [float(value) for value in row[places]]
        for name, row in zip(names, errors, strict=True)
    }


def _eight(windows: WindowSet, own: np.ndarray, rules: Protocol, past: int) -> list[int] | None:
    """Return the eight of a class's ``own`` windows that are drawn, where they can be."""
    recordings = np.unique(windows.recording[own])
    if len(recordings) not in (1, 2):
        return None
    there = [np.flatnonzero(windows.recording == each) for each in recordings]
    lengths = [len(each) + windows.past + windows.future - 1 for each in there]
    drawn = rules.eight(lengths, past)
    if drawn is None:
        return None
    return [int(each[at]) for each, places in zip(there, drawn, strict=True) for at in places]


def format_forecasts(result: Mapping[str, Any], compare: bool = False) -> str:
    """Return the figures of a forecaster as tables, ``compare`` with published ones beside them."""
    turned = result["form"] == "angles"
    unit = Unit("", 1.0) if turned else unit_of(result["dataset"], result["dims"])
    joints = result["joints"]
    mean = f"mean over {joints['all']} joints"
    if joints["all"] != joints["modeled"]:
        mean += f": {joints['modeled']} forecast, others as recorded (as published: on a forecast "
        mean += "joint, take its error)"
    lines = [
        f"{result['split']}: {result['windows']} windows of {result['clips']} recordings of "
        f"{result['dataset']} ({result['protocol'] or 'no split'}), {result['checkpoint']} "
        f"checkpoint (epoch {result['epoch']})",
        f"  mean {'difference of exponential maps, radians,' if turned else 'distance'}"
        f"{f' in {unit.name}' if unit.name else ''} by milliseconds, {mean}",
    ]
    # Rows of a table, by title; of angles there are Euler errors, and of some joints means of both.
    kinds = {"": "mpjpe", "  zero velocity": "zero_velocity"}
    if joints["all"] != joints["modeled"]:
        kinds |= {"  as published": "mpjpe_published", "  forecast joints": "mpjpe_modeled"}
    if turned:
        kinds |= {"  Euler angles": "mpjpe_euler"}
        kinds |= {"  their zero velocity": "zero_velocity_euler"}
    average = ("average", {"windows": "", "all_windows": result["average"]})
    actions = [*result["actions"].items(), average]
    for title, key in (("all windows", "all_windows"), ("8 samples", "eight_windows")):
        rows = [(title, "windows", *map(str, result["horizons_ms"]))]
        for action, row in actions:
            for name, kind in kinds.items() if key in row else ():
                count = ("8" if key == "eight_windows" else str(row["windows"])) if not name else ""
                rows.append((name or action, count, *map(unit.number, row[key][kind])))
        lines += [f"  {line}" for line in columns(rows)] if len(rows) > 1 else []
    if compare:
        lines += _published(result, unit)
    return "\n".join(lines)


def _published(result: Mapping[str, Any], unit: Unit) -> list[str]:
    """Return the published figures of the set's actions beside ours, and what differs."""
    rules = PROTOCOLS.get(result["dataset"])
    if result["form"] == "angles":
        return ["  the published figures that are known are of positions"]
    if rules is None or not rules.published:
        return [f"  no published figures are known for {result['dataset']}"]
    times = [time for time in rules.published_at if time in result["horizons_ms"]]
    rows = [("published", "", *map(str, times))]
    for action, row in result["actions"].items():
        tables = {name: t[action] for name, t in rules.published.items() if action in t}
        kinds = {"ours, as published": "mpjpe_published", "ours, others as recorded": "mpjpe"}
        for name, key in kinds.items() if tables else ():
            ours = dict(zip(result["horizons_ms"], row["all_windows"][key], strict=True))
            head = action if key == "mpjpe_published" else ""
            rows.append((head, name, *(unit.number(ours[time]) for time in times)))
        for name, values in tables.items():
            figures = dict(zip(rules.published_at, values, strict=True))
            rows.append(("", name, *(f"{figures[time]:.1f}" for time in times)))
    return [*(f"  {line}" for line in columns(rows, words=2)), f"  {rules.source}"]
