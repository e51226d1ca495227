"""Pictures of an evaluated forecaster: poses, errors over time, and the page with both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

from asgcn_dgl import viz
from asgcn_dgl.data.windows import WindowSet
from asgcn_dgl.errors import InputError
from asgcn_dgl.experiments.gallery import Choice, error_options, find_up
from asgcn_dgl.models import Forecaster
from asgcn_dgl.skeleton import SkeletonLayout
from asgcn_dgl.training.checkpoint import Restored, load_model
from asgcn_dgl.training.clips import clips_to_test
from asgcn_dgl.training.evaluate import open_to_test
from asgcn_dgl.training.files import RunDir, read_figures, read_history
from asgcn_dgl.training.forecasts import make_windows
from asgcn_dgl.training.units import Unit, UnitName, unit_of
from asgcn_dgl.viz.charts import curve_panels
from asgcn_dgl.viz.exhibit import Exhibit
from asgcn_dgl.viz.page import Page, Row

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Floats = npt.NDArray[np.floating]
_DRAWN = 40  # windows among which a typical one is looked for


@dataclass(frozen=True, eq=False)
class Forecasts:
    """A run of a forecaster that was evaluated: its folder, model, test windows and figures."""

    run: RunDir
    restored: Restored
    windows: WindowSet
    metrics: dict[str, Any]
    checkpoint: str

    def spread(self, count: int) -> list[int]:
        """Choose windows, spread evenly over those of each action, which take equal shares."""
        labels = np.unique(self.windows.label)
        each = max(1, count // len(labels))
        chosen: list[int] = []
        for label in labels:
            own = np.flatnonzero(self.windows.label == label)
            chosen += own[np.linspace(0, len(own) - 1, min(each, len(own))).astype(int)].tolist()
        return sorted(set(chosen))

    def place(self, name: str) -> int:
        """Return the number of a window by the name of its recording and its first frame."""
        names = [self.windows.names[number] for number in self.windows.recording]
        known = [f"{n}@{at}" for n, at in zip(names, self.windows.start, strict=True)]
        if name not in known:
            raise InputError(
                f"{self.run.path}: no test window {name!r}; they are named like {known[0]}"
            )
        return known.index(name)

    def action(self, exhibit: Exhibit) -> str:
        """Return the name of the action of a window."""
        return self.restored.class_names[exhibit.label]

    @torch.no_grad()
    def exhibits(self, places: Sequence[int]) -> list[Exhibit]:
        """Forecast some windows; each is shown whole, the forecast beside what followed."""
        model: Any = self.restored.model
        found = []
        for place in places:
            batch = self.windows.batch([place], model.graph_builder)
            future = model.eval()(batch.structure, batch.feat, batch.mask).future
            bodies, layout = int(batch.num_bodies[0]), batch.structure.layouts[0]
            mask = torch.ones(batch.feat.shape[:2], dtype=torch.bool)
            seen = torch.cat([mask if batch.mask is None else batch.mask, batch.future_mask], 1)
            pos = torch.cat([batch.feat, batch.future], dim=1)

            def bodied(rows: torch.Tensor, bodies: int = bodies) -> npt.NDArray[Any]:
                return rows.unflatten(0, (bodies, -1)).transpose(1, 2).numpy()

            found.append(
                Exhibit(
                    batch.names[0],
                    layout,
                    bodied(pos),
                    bodied(seen),
                    int(batch.label[0]),
                    future=bodied(future),
                )
            )
        return found

    @cached_property
    def typical(self) -> Exhibit:
        """The window among a few whose forecast errs as most do, of those that move."""
        few = self.exhibits(self.spread(_DRAWN))
        moving = sorted(few, key=_motion)[len(few) // 2 :]
        ranked = sorted(moving, key=_error)
        return ranked[len(ranked) // 2]


def _motion(exhibit: Exhibit) -> float:
    """Mean distance that the leading body moves in the future."""
    start = exhibit.num_frames - exhibit.steps
    pos = exhibit.pos[exhibit.leader]
    return float(np.linalg.norm(pos[start:] - pos[start - 1], axis=-1).mean())


def _error(exhibit: Exhibit) -> float:
    assert exhibit.future is not None
    start = exhibit.num_frames - exhibit.steps
    wrong = exhibit.future[exhibit.leader] - exhibit.pos[exhibit.leader, start:]
    return float(np.linalg.norm(wrong, axis=-1).mean())


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
    if not isinstance(restored.model, Forecaster):
        raise InputError(f"{run.path}: its model is no forecaster")
    clips = clips_to_test(open_to_test(restored, root), restored.config)
    windows = make_windows(clips, restored.config)
    return Forecasts(run, restored, windows, metrics, file.stem)


def draw_future(layout: SkeletonLayout, exhibit: Exhibit, unit: Unit, **options: Any) -> Figure:
    """Draw the poses that a model predicts of a clip, and the true ones beside them."""
    body, start = exhibit.leader, exhibit.num_frames - exhibit.steps
    assert exhibit.future is not None
    wanted = [round((k + 1) * exhibit.steps / 5) for k in range(5)] if exhibit.steps >= 5 else None
    return viz.draw_prediction(
        layout,
        exhibit.future[body] * unit.factor,
        exhibit.pos[body, start:] * unit.factor,
        mask=exhibit.mask[body, start:],
        last=_last_pose(exhibit, body, start) * unit.factor,
        frames=wanted,
        unit=unit.name,
        **options,
    )


def _last_pose(clip: Exhibit, body: int, start: int) -> Floats:
    """Return the last position of each joint before a frame, NaN where it was never seen."""
    mask, pos = clip.mask[body, :start], clip.pos[body, :start]
    frame = start - 1 - np.argmax(mask[::-1], axis=0)
    last = pos[frame, np.arange(pos.shape[1])]
    known = np.asarray(mask.any(axis=0))
    return np.where(known[:, None], last, np.nan)


def _poses(found: Forecasts, exhibit: Exhibit, unit: Unit, width: float, up: str) -> Figure:
    layout = viz.drawing_layout(exhibit.layout, [exhibit], up)
    title = f"Forecast and true poses: {found.action(exhibit)} ({exhibit.name})"
    title += exhibit.which(exhibit.leader)
    return draw_future(layout, exhibit, unit, title=title, up=up, page_width=width)


def _errors(found: Forecasts, exhibit: Exhibit, unit: Unit, width: float, up: str) -> Figure:
    result = found.metrics
    times = [
        1000 * (n + 1) / result["frames_per_second"]
        for n in range(len(result["prediction"]["mpjpe_per_frame"]))
    ]
    curves = {
        name: [unit.factor * value for value in result["prediction"][f"{key}_per_frame"]]
        for name, key in (("forecast", "mpjpe"), ("last pose repeated", "zero_velocity"))
    }
    return viz.draw_errors(times, curves, unit=unit.name, page_width=width)


def _curves(found: Forecasts, exhibit: Exhibit, unit: Unit, width: float, up: str) -> Figure:
    options = error_options(found.restored.config, unit)
    return viz.draw_curves(read_history(found.run.path), page_width=width, **options)


#: How each figure of a forecaster is drawn, by name.
FORECAST_FIGURES: dict[str, Callable[..., Figure]] = {
    "prediction": _poses,
    "fig10": _poses,
    "errors": _errors,
    "curves": _curves,
}


def save(figure: Figure, path: Path) -> Path:
    """Write a figure and say so."""
    viz.save_figure(figure, path, 200)
    print(f"drawn: {path}")
    return path


def draw_forecasts(
    folder: str | Path,
    out: str | Path | None,
    only: Sequence[str] | None,
    suffix: str,
    choice: Choice,
    checkpoint: str,
    root: str | Path | None,
) -> list[Path]:
    """Draw the figures of an evaluated forecaster, see ``asgcn_dgl.experiments.figures``.

    ``choice.clip`` is the name of a window: that of its recording, ``@``, and its first frame.
    """
    unknown = sorted(set(only or ()) - set(FORECAST_FIGURES))
    if unknown:
        raise InputError(
            f"--only {unknown[0]}: a forecaster has no such figure; choose of "
            f"{', '.join(FORECAST_FIGURES)}"
        )
    found = open_forecasts(folder, checkpoint=checkpoint, root=root)
    clip = choice.clip
    exhibit = found.typical if clip is None else found.exhibits([found.place(clip)])[0]
    unit = unit_of(found.restored.config.data, exhibit.pos.shape[3], choice.unit)
    drawn = (found, exhibit, unit, choice.page_width, find_up([exhibit], choice.up))
    target = found.run.path / "figures" if out is None else Path(out)
    return [
        save(FORECAST_FIGURES[name](*drawn), target / f"{name}.{suffix}")
        for name in only or [name for name in FORECAST_FIGURES if name != "fig10"]
    ]


def forecast_page(found: Forecasts, clips: int, unit: UnitName | None, up: str | None) -> Page:
    """Return the report of a forecaster: figures at the top, and windows with their forecasts."""
    exhibits = [
        replace(each, name=f"{found.action(each)}: {each.name}")
        for each in found.exhibits(found.spread(clips))
    ]
    result, config = found.metrics, found.restored.config
    model = found.restored.model
    chosen = unit_of(config.data, exhibits[0].pos.shape[3], unit)
    average = result["average"]
    cards = [
        (f"Error at {time} ms", chosen.text(error), f"last pose repeated {chosen.text(still)}")
        for time, error, still in zip(
            result["horizons_ms"], average["mpjpe"], average["zero_velocity"], strict=True
        )
    ]
    return Page(
        title=found.run.path.resolve().name,
        subtitle=f"{result['dataset']}, {result['protocol']} · forecast of "
        f"{model.config.future_frames} frames from {model.config.past_frames} · "
        f"{found.checkpoint} checkpoint, epoch {found.restored.epoch}",
        rows=[Row(each.name, bodies=each.num_bodies, frames=each.num_frames) for each in exhibits],
        exhibits=exhibits,
        cards=cards,
        curves=curve_panels(read_history(found.run.path), **error_options(config, chosen)),
        facts={
            "Model": f"forecaster, {result['parameters']:,} parameters",
            "A-links": f"{model.config.num_actional} types"
            if model.config.num_actional
            else "none",
            "Data": f"{config.data}, {result['windows']} windows of {result['clips']} recordings",
            "Mean": "over {all} joints, {modeled} forecast".format(**result["joints"]),
            "Seed": str(result["seed"]),
        },
        up=find_up(exhibits, up),
    )
