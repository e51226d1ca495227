"""An evaluated forecaster, opened to be looked at, and the page of its forecasts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from asgcn_dgl.data.windows import WindowSet
from asgcn_dgl.errors import InputError
from asgcn_dgl.experiments.gallery import EvaluatedRun, end_motion, error_options, find_up
from asgcn_dgl.models import Forecaster
from asgcn_dgl.training.checkpoint import load_model
from asgcn_dgl.training.clips import clips_to_test
from asgcn_dgl.training.evaluate import open_to_test
from asgcn_dgl.training.files import RunDir, read_figures
from asgcn_dgl.training.forecasts import make_windows
from asgcn_dgl.training.units import Unit, UnitName, unit_of
from asgcn_dgl.viz.charts import curve_panels
from asgcn_dgl.viz.exhibit import Exhibit
from asgcn_dgl.viz.page import Page, Row

_DRAWN = 40  # windows among which a typical one is looked for


@dataclass(frozen=True)
class Forecasts(EvaluatedRun):
    """An evaluated run of a forecaster; its test clips are windows: RECORDING@FIRST_FRAME."""

    windows: WindowSet

    def unit(self, asked: UnitName | None = None) -> Unit:
        """Return the unit in which distances are written: that of the set, or the one asked for."""
        (first,) = self.exhibits([0])
        return unit_of(self.restored.config.data, first.pos.shape[3], asked)

    def spread(self, count: int) -> list[int]:
        """Choose windows, spread evenly over those of each action, which take equal shares."""
        labels = np.unique(self.windows.label)
        each = max(1, count // len(labels))
        chosen: set[int] = set()
        for label in labels:
            own = np.flatnonzero(self.windows.label == label)
            chosen.update(
                own[np.linspace(0, len(own) - 1, min(each, len(own))).astype(int)].tolist()
            )
        return sorted(chosen)

    @torch.no_grad()
    def exhibits(self, places: Sequence[int]) -> list[Exhibit]:
        """Forecast some windows; each is shown whole, the forecast beside what followed."""
        model: Any = self.restored.model
        found = []
        for place in places:
            batch = self.windows.batch([place], model.graph_builder)
            future = model.eval()(batch.structure, batch.feat, batch.mask).future
            mask = torch.ones(batch.feat.shape[:2], dtype=torch.bool)
            seen = torch.cat([mask if batch.mask is None else batch.mask, batch.future_mask], 1)
            pos = torch.cat([batch.feat, batch.future], dim=1)
            pos, seen, future = (
                rows.unflatten(0, (int(batch.num_bodies[0]), -1)).transpose(1, 2).numpy()
                for rows in (pos, seen, future)
            )
            name, label, layout = batch.names[0], int(batch.label[0]), batch.structure.layouts[0]
            found.append(Exhibit(name, layout, pos, seen, label, future=future))
        return found

    @cached_property
    def typical(self) -> Exhibit:
        """The window among a few whose forecast errs as most do, of those that move."""
        few = self.exhibits(self.spread(_DRAWN))
        moving = sorted(few, key=end_motion)[len(few) // 2 :]
        return sorted(moving, key=_error)[len(moving) // 2]


def _error(exhibit: Exhibit) -> float:
    """Return the mean error of the leading body's forecast."""
    assert exhibit.future is not None
    true = exhibit.pos[exhibit.leader, exhibit.future_start :]
    return float(np.linalg.norm(exhibit.future[exhibit.leader] - true, axis=-1).mean())


def is_forecaster(folder: str | Path) -> bool:
    """Tell whether a run is that of a forecaster."""
    return RunDir(Path(folder)).read_config().model.name == Forecaster.name


def open_forecasts(
    folder: str | Path, *, checkpoint: str = "auto", root: str | Path | None = None
) -> Forecasts:
    """Open an evaluated run of a forecaster."""
    run = RunDir(Path(folder))
    metrics = read_figures(run.metrics)
    if "actions" not in metrics:
        raise InputError(f"{run.path}: not evaluated; run 'asgcn-dgl evaluate {run.path}'")
    file = run.checkpoint(checkpoint)
    restored = load_model(file)
    clips = clips_to_test(open_to_test(restored, root), restored.config)
    windows = make_windows(clips, restored.config)
    starts = zip(windows.recording, windows.start, strict=True)
    names = [f"{windows.names[number]}@{first}" for number, first in starts]
    return Forecasts(run, restored, names, metrics, file.stem, windows)


def forecast_page(found: Forecasts, clips: int, unit: UnitName | None, up: str | None) -> Page:
    """Return the report of a forecaster: figures at the top, and windows with their forecasts."""
    exhibits = [
        replace(each, name=f"{found.class_names[each.label]}: {each.name}")
        for each in found.exhibits(found.spread(clips))
    ]
    result, config = found.metrics, found.restored.config
    model = found.restored.model.config
    chosen = found.unit(unit)
    average = result["average"]
    errors = zip(result["horizons_ms"], average["mpjpe"], average["zero_velocity"], strict=True)
    return Page(
        title=found.run.path.resolve().name,
        subtitle=f"{result['dataset']}, {result['protocol']} · forecast of "
        f"{model.future_frames} frames from {model.past_frames} · "
        f"{found.checkpoint} checkpoint, epoch {found.restored.epoch}",
        rows=[Row(each.name, bodies=each.num_bodies, frames=each.num_frames) for each in exhibits],
        exhibits=exhibits,
        cards=[
            (f"Error at {time} ms", chosen.text(error), f"last pose repeated {chosen.text(still)}")
            for time, error, still in errors
        ],
        curves=curve_panels(found.history, **error_options(config, chosen)),
        facts={
            "Model": f"forecaster, {result['parameters']:,} parameters",
            "A-links": f"{model.num_actional} types" if model.num_actional else "none",
            "Data": f"{config.data}, {result['windows']} windows of {result['clips']} recordings",
            "Mean": "over {all} joints, {modeled} forecast".format(**result["joints"]),
            "Seed": str(result["seed"]),
        },
        up=find_up(exhibits, up),
    )
