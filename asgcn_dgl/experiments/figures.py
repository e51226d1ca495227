"""The figures of a run, by name: those of the paper, and those of every day."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from asgcn_dgl import metrics, viz
from asgcn_dgl.errors import InputError
from asgcn_dgl.experiments.forecasts import Forecasts, is_forecaster, open_forecasts
from asgcn_dgl.experiments.gallery import (
    Choice,
    Gallery,
    check_threshold,
    end_motion,
    error_options,
    find_up,
    open_gallery,
)
from asgcn_dgl.experiments.links import class_links, links_used, warnings_of
from asgcn_dgl.skeleton import SkeletonLayout
from asgcn_dgl.skeleton.catalog import SUPPLIED
from asgcn_dgl.training.units import Unit
from asgcn_dgl.viz.exhibit import Exhibit
from asgcn_dgl.viz.figure import PAGE_WIDTH
from asgcn_dgl.viz.links import telling_joint

if TYPE_CHECKING:
    from matplotlib.figure import Figure

logger = logging.getLogger(__name__)

Floats = npt.NDArray[np.float64]

# Clips of a class that its mean A-links and its typical clip are taken from.
_CLIPS_PER_CLASS = 30
# Rows of actions that fit a page.
_ROWS = 4
_MEAN = "mean over one clip, on its middle pose"


class _Stage:
    """A run of any kind, and what of it is drawn: one view for all."""

    kind: str
    run: Gallery | Forecasts
    choice: Choice
    exhibits: dict[int, Exhibit]

    @cached_property
    def layout(self) -> SkeletonLayout:
        """Skeleton of all clips, with a pose of theirs if it has none of its own."""
        exhibits = list(self.exhibits.values())
        return viz.drawing_layout(exhibits[0].layout, exhibits, self.up)

    @cached_property
    def up(self) -> str:
        """The axis that points up in the recordings."""
        return find_up(list(self.exhibits.values()), self.choice.up)

    @cached_property
    def unit(self) -> Unit:
        """The unit in which errors are written."""
        return self.run.unit(self.choice.unit)

    def draw(self, function: Callable[..., Figure], *arguments: Any, **options: Any) -> Figure:
        """Draw on the layout, as wide as a figure may be."""
        return function(self.layout, *arguments, page_width=self.choice.page_width, **options)

    def title(self, exhibit: Exhibit) -> str:
        """Return the action and the name of a clip."""
        return f"{self.run.class_names[exhibit.label]} ({exhibit.name})"

    def leader_title(self, exhibit: Exhibit) -> str:
        """Return the same of the leading body, with its number where there are more."""
        return self.title(exhibit) + _which(exhibit)


class ForecastScene(_Stage):
    """A run of a forecaster, and a window to draw: as asked for, or a typical one."""

    kind = "Forecast"

    def __init__(self, run: Forecasts, choice: Choice) -> None:
        self.run, self.choice, clip = run, choice, choice.clip
        asked = clip is not None and run.exhibits([run.place(clip, "window")])
        self.moving_clip = asked[0] if asked else run.typical
        self.exhibits = {0: self.moving_clip}


class Scene(_Stage):
    """A run, and a baseline on the same clips: typical clips, mean links, one view for all."""

    kind = "Predicted"

    def __init__(self, gallery: Gallery, baseline: Gallery | None, choice: Choice) -> None:
        self.run = self.gallery = gallery
        self.baseline, self.choice = baseline, choice
        if baseline is not None:
            baseline.check_same(gallery)
        for name in choice.actions or ():
            gallery.class_number(name)
        if choice.clip is not None:
            gallery.place(choice.clip)

    @cached_property
    def exhibits(self) -> dict[int, Exhibit]:  # type: ignore[override]
        """Clips of every class, by number."""
        places = self.gallery.sample(len(self.gallery.names), per_class=_CLIPS_PER_CLASS)
        if self.choice.clip is not None:
            places = sorted({*places, self.gallery.place(self.choice.clip)})
        return dict(zip(places, self.gallery.exhibits(places), strict=True))

    def draw_links(
        self, function: Callable[..., Figure], *arguments: Any, **options: Any
    ) -> Figure:
        """Draw links, on an own layout with the joints' names."""
        own = self.layout.name not in {facts["name"] for facts in SUPPLIED}
        return self.draw(function, *arguments, names=own, **options)

    @property
    def model(self) -> Any:
        """The run's model."""
        return self.gallery.restored.model

    def need_links(self) -> None:
        """Refuse to draw A-links of a model without them."""
        if self.model.aim is None:
            raise InputError(
                f"{self.gallery.run.path}: its model has no A-links; train with "
                "--model.num_actional 1 or more"
            )

    @cached_property
    def joint(self) -> str:
        """The joint whose links are drawn: as asked for, a left hand, or the most telling."""
        layout, wanted = self.layout, self.choice.joint
        if wanted is not None and wanted not in layout.joints:
            names = ", ".join(layout.joints)
            raise InputError(f"--joint {wanted}: layout {layout.name!r} has {names}")
        for name in (wanted, "left_hand", "left_wrist", "index_tip"):
            if name in layout.joints:
                return str(name)
        return telling_joint(layout, self.model.config.max_hop)

    @cached_property
    def class_links(self) -> dict[int, Floats]:
        """(C, V, V) mean A-links of each class, over its bodies."""
        self.need_links()
        return class_links(self.exhibits.values())

    def actions(self, count: int) -> list[int]:
        """Return the classes to draw side by side: as given, or those whose links differ most."""
        if self.choice.actions:
            return [self.gallery.class_number(name) for name in self.choice.actions]
        present = sorted({exhibit.label for exhibit in self.exhibits.values()})
        if self.model.aim is None:
            return present[:count]
        return contrasting({k: v.sum(axis=0) for k, v in self.class_links.items()}, count)

    def clips_of(self, labels: Collection[int]) -> list[Exhibit]:
        """Return the clips of some classes."""
        return [each for each in self.exhibits.values() if each.label in labels]

    def typical(self, label: int) -> Exhibit:
        """Return the clip of a class that is recognized with median confidence."""
        own = self.clips_of([label])
        good = [each for each in own if each.predicted == label] or own
        ranked = sorted(good, key=lambda each: (each.probabilities[label], each.name))  # type: ignore[index]
        return ranked[len(ranked) // 2]

    @cached_property
    def clip(self) -> Exhibit:
        """The clip to draw: as asked for, or the typical one of the first action."""
        if self.choice.clip is not None:
            return self.exhibits[self.gallery.place(self.choice.clip)]
        return self.typical(self.actions(1)[0])

    @cached_property
    def moving_clip(self) -> Exhibit:
        """The clip to draw a prediction of: as asked for, or one whose end moves as most do."""
        if self.choice.clip is not None:
            return self.clip
        moves = [each for each in self.exhibits.values() if each.steps and end_motion(each) >= 0]
        if not moves:
            raise InputError(
                f"{self.gallery.run.path}: no test clip with a prediction; train with a prediction "
                "head (model.future_frames), on longer clips"
            )
        return sorted(moves, key=lambda each: (end_motion(each), each.name))[len(moves) * 3 // 4]

    def pose(self, exhibit: Exhibit, body: int | None = None) -> Floats | None:
        """Return a pose of a clip to draw on, None for the layout's drawing pose."""
        body = exhibit.leader if body is None else body
        return self.at(exhibit, [exhibit.middle(body)], body)[0] if self.choice.real else None

    def at(self, exhibit: Exhibit, times: Sequence[int], body: int) -> Floats:
        """Return a body in some frames, as seen from one place: (times, V, 2)."""
        seen = exhibit.mask[body, times, :, None]
        pos = np.where(seen, exhibit.pos[body, times], np.nan)
        return viz.project(pos, None, self.up, exhibit.layout.shoulders)


def contrasting(links: dict[int, Floats], count: int) -> list[int]:
    """Choose classes by their (V, V) links: the most unusual one, then each time the farthest."""
    mean = np.mean(list(links.values()), axis=0)
    chosen = [max(links, key=lambda k: float(np.abs(links[k] - mean).sum()))]
    while len(chosen) < min(count, len(links)):
        rest = [k for k in links if k not in chosen]
        chosen.append(
            max(rest, key=lambda k: min(float(np.abs(links[k] - links[c]).sum()) for c in chosen))
        )
    return sorted(chosen)


def _s_links(scene: Scene) -> Figure:
    hops = scene.model.config.max_hop
    joint = scene.joint if scene.choice.joint else telling_joint(scene.layout, hops)
    return scene.draw_links(viz.draw_structural_links, joint, hops, pose=scene.pose(scene.clip))


def _means(exhibits: Iterable[Exhibit], what: str = "") -> str:
    """Return over what A-links are means, and which are not drawn on one body."""
    found = list(exhibits)
    counts = sorted(Counter(each.label for each in found).values())
    clips = f"{counts[0]} to {counts[-1]}" if counts[0] < counts[-1] else f"{counts[0]}"
    bodies = " and all bodies" if any(len(each.bodies_seen) > 1 for each in found) else ""
    plural = "" if clips == "1" else "s"
    return f"mean over {clips} clip{plural}{what}{bodies}" + _inside(found)


def _inside(exhibits: Iterable[Exhibit]) -> str:
    across = any(each.links_across for each in exhibits)
    return "; links between bodies are not drawn" if across else ""


def _fig3(scene: Scene) -> Figure:
    means, clip = scene.class_links, scene.clip
    if scene.choice.clip is not None:
        links = clip.body_links(clip.leader)
        whose = scene.leader_title(clip) + _inside([clip])
    else:
        links = means[clip.label]
        name = scene.gallery.class_names[clip.label]
        whose = f"'{name}', {_means(scene.clips_of([clip.label]))}"
    return scene.draw_links(
        viz.draw_link_kinds,
        scene.joint,
        links,
        scene.model.config.max_hop,
        threshold=scene.choice.threshold,
        pose=scene.pose(clip),
        title=f"Links to the {scene.joint.replace('_', ' ')}; A-links of {whose}",
    )


def _class_links(scene: Scene, count: int, columns: int) -> Figure:
    names, every = scene.gallery.class_names, len(scene.class_links)
    chosen = scene.actions(count)
    heading = "A-links"
    if not (scene.choice.actions or len(chosen) == every):
        heading += f" of the {len(chosen)} of {every} actions whose links differ most"
    return scene.draw_links(
        viz.draw_class_links,
        {names[k]: scene.class_links[k] for k in chosen},
        threshold=scene.choice.threshold,
        poses={names[k]: scene.pose(scene.typical(k)) for k in chosen},
        columns=columns,
        title=f"{heading}: {_means(scene.clips_of(chosen), ' of each action')}",
    )


def _a_links(scene: Scene) -> Figure:
    columns = 4 if scene.choice.page_width < PAGE_WIDTH else 6
    return _class_links(scene, _ROWS * columns, columns)


def _a_links_clip(scene: Scene) -> Figure:
    scene.need_links()
    clip = scene.clip
    names = {body: clip.which(body).removeprefix(", ") for body in clip.bodies_seen}
    return scene.draw_links(
        viz.draw_class_links,
        {name: clip.body_links(body) for body, name in names.items()},
        threshold=scene.choice.threshold,
        poses={name: scene.pose(clip, body) for body, name in names.items()},
        title=f"A-links of one clip: {scene.title(clip)}{_inside([clip])}",
    )


def _link_matrices(scene: Scene) -> Figure:
    scene.need_links()
    clip = scene.clip
    links, name = clip.body_links(clip.leader), scene.leader_title(clip)
    if clip.links_across and clip.links is not None:
        size = (max(clip.bodies_seen) + 1) * clip.layout.num_joints
        links, name = clip.links[:, :size, :size], scene.title(clip)
    return scene.draw(viz.draw_link_matrices, links, title=f"A-links of one clip: {name}")


def _over_time(scene: Scene, count: int = 4) -> list[viz.Response]:
    """Return the responses of the clip at several times, from one view."""
    clip, body = scene.clip, scene.clip.leader
    times = np.linspace(0, clip.num_frames - 1, count + 2).round().astype(int)[1:-1]
    if clip.num_frames <= count:
        times = np.arange(clip.num_frames)
    return [
        viz.Response(f"frame {time}", pose, clip.body_response(body, time))
        for time, pose in zip(times, scene.at(clip, times.tolist(), body), strict=True)
    ]


def _peak(scene: Scene, clip: Exhibit, title: str) -> viz.Response:
    """Return the mean response over a clip, on its middle pose, relative to its own maximum."""
    body = clip.leader
    assert clip.response is not None
    own = clip.response[body]
    mean = own.sum(axis=0) / np.maximum((own > 0).sum(axis=0), 1)  # where the joint exists
    (pose,) = scene.at(clip, [clip.middle(body)], body)
    return viz.Response(title, pose, mean, float(mean.max()))


def _which(clip: Exhibit) -> str:
    """Return which body of a clip leads, in a phrase that is not broken."""
    which = clip.which(clip.leader).removeprefix(", ").replace(" ", "\xa0")
    return which and f", {which}"


def _responses_time(scene: Scene) -> Figure:
    return _responses(scene, f": {scene.leader_title(scene.clip)}", _over_time(scene))


def _responses(scene: Scene, what: str, row: list[viz.Response]) -> Figure:
    title = f"Responses of the last block{what}"
    return scene.draw(viz.draw_responses, {"": row}, title=title)


def _responses_actions(scene: Scene) -> Figure:
    chosen = scene.actions(min(5, int(scene.choice.page_width / 0.8)))
    return _responses(scene, f": {_MEAN}", _peaks(scene, chosen))


def _peaks(scene: Scene, labels: Iterable[int], mark: str = "") -> list[viz.Response]:
    """Return the mean responses over the typical clips of some actions."""
    names, clips = scene.gallery.class_names, {k: scene.typical(k) for k in labels}
    return [_peak(scene, clip, mark + names[k] + _which(clip)) for k, clip in clips.items()]


def _against(scene: Scene) -> list[viz.Response]:
    """Return the same clip as both runs see it."""
    clip, baseline = scene.clip, scene.baseline
    if baseline is None:
        raise InputError(
            "comparing responses needs a baseline run: give --baseline RUN_DIR, such as a run "
            "with --model.name stgcn"
        )
    (other,) = baseline.exhibits([scene.gallery.place(clip.name)])
    first, second = _models([scene.gallery, baseline])
    return [_peak(scene, clip, first), _peak(scene, other, second)]


def _models(runs: Sequence[Gallery]) -> list[str]:
    """Return the kinds of the models of runs, or the runs' names where these are alike."""
    kinds = [_kind(run) for run in runs]
    return kinds if len(set(kinds)) == len(runs) else [run.run.path.name for run in runs]


def _kind(gallery: Gallery) -> str:
    """Return the kind of a run's model, as the paper names it."""
    if gallery.restored.config.model.name == "stgcn":
        return "ST-GCN"
    links = gallery.restored.model.aim is not None
    return f"AS-GCN, {'AS-links' if links else 'S-links only'}"


def _responses_baseline(scene: Scene) -> Figure:
    what = f", {_MEAN}: {scene.leader_title(scene.clip)}"
    return _responses(scene, what, _against(scene))


def _fig9(scene: Scene) -> Figure:
    clip = scene.clip
    against = [] if scene.baseline is None else _against(scene)
    others = [k for k in scene.actions(5) if k != clip.label][: 4 - len(against)]
    second = _peaks(scene, others, "(b) " if against else "")  # where one row holds two parts
    second += [each._replace(title=f"(c) {each.title}") for each in against]
    heading = f"(b) other actions, {_MEAN}"
    if against:
        # On a line of its own: both parts are too long for a column.
        heading += f"\n(c) {scene.gallery.class_names[clip.label]}, two models"
    first = f"Responses of the last block: (a) {scene.leader_title(clip)}"
    rows = {first: _over_time(scene), heading: second}
    return scene.draw(viz.draw_responses, {name: row for name, row in rows.items() if row})


def _prediction(scene: Scene | ForecastScene) -> Figure:
    """Draw the poses that a model predicts of a clip, and the true ones beside them."""
    clip, unit = scene.moving_clip, scene.unit
    if clip.future is None:
        raise InputError(
            f"{clip.name}: has no prediction (the clip is too short, or the model has no "
            "prediction head); give another --clip"
        )
    body, start, steps = clip.leader, clip.future_start, clip.steps
    return scene.draw(
        viz.draw_prediction,
        clip.future[body] * unit.factor,
        clip.pos[body, start:] * unit.factor,
        mask=clip.mask[body, start:],
        last=_last_pose(clip, body, start) * unit.factor,
        frames=[round(k * steps / 5) for k in range(1, 6)] if steps >= 5 else None,
        unit=unit.name,
        title=f"{scene.kind} and true poses: {scene.leader_title(clip)}",
        up=scene.up,
    )


def _last_pose(clip: Exhibit, body: int, start: int) -> npt.NDArray[np.floating]:
    """Return the last position of each joint before a frame, NaN where it was never seen."""
    mask, pos = clip.mask[body, :start], clip.pos[body, :start]
    frame = start - 1 - np.argmax(mask[::-1], axis=0)
    return np.where(mask.any(axis=0, keepdims=True).T, pos[frame, np.arange(pos.shape[1])], np.nan)


def _errors(scene: ForecastScene) -> Figure:
    result = scene.run.metrics
    found, unit = result["prediction"], scene.unit
    steps = range(1, len(found["mpjpe_per_frame"]) + 1)
    times = [1000 * step / result["frames_per_second"] for step in steps]
    curves = {
        name: [unit.factor * value for value in found[f"{key}_per_frame"]]
        for name, key in (("forecast", "mpjpe"), ("last pose repeated", "zero_velocity"))
    }
    return viz.draw_errors(times, curves, unit=unit.name, page_width=scene.choice.page_width)


def _strip(scene: Scene) -> Figure:
    clip = scene.clip
    title = scene.title(clip)
    return scene.draw(viz.draw_strip, clip.pos, mask=clip.mask, title=title, up=scene.up)


def _confusion(scene: Scene) -> Figure:
    gallery, width = scene.gallery, scene.choice.page_width
    counts = metrics.confusion_matrix(gallery.probabilities, gallery.labels)
    return viz.draw_confusion(counts, gallery.class_names, page_width=width)


def _per_class(scene: Scene) -> Figure:
    runs = [run for run in (scene.gallery, scene.baseline) if run is not None]
    shares = [100 * metrics.per_class_accuracy(run.probabilities, run.labels) for run in runs]
    names = scene.gallery.class_names
    return viz.draw_class_accuracy(
        shares[0],
        names,
        baseline=shares[1] if len(runs) > 1 else None,
        labels=_models(runs),
        clips=np.bincount(scene.gallery.labels, minlength=len(names)).tolist(),
    )


def _curves(scene: Scene | ForecastScene) -> Figure:
    run = scene.run
    if not run.history:
        raise InputError(f"{run.run.log}: no epochs in it; there are no curves to draw")
    options = error_options(run.restored.config, scene.unit)
    return viz.draw_curves(run.history, page_width=scene.choice.page_width, **options)


#: How each figure is drawn, by name.
FIGURES: dict[str, Callable[[Scene], Figure]] = {
    "skeleton": lambda scene: scene.draw(viz.draw_skeleton, names=True),
    "s_links": _s_links,
    "a_links": _a_links,
    "a_links_clip": _a_links_clip,
    "link_matrices": _link_matrices,
    "responses_time": _responses_time,
    "responses_actions": _responses_actions,
    "responses_baseline": _responses_baseline,
    "prediction": _prediction,
    "strip": _strip,
    "confusion": _confusion,
    "per_class": _per_class,
    "curves": _curves,
    "fig3": _fig3,
    "fig8": lambda scene: _class_links(scene, 3, 3),
    "fig9": _fig9,
    "fig10": _prediction,
}

#: The same of a forecaster.
FORECAST_FIGURES: dict[str, Callable[[ForecastScene], Figure]] = {
    "prediction": _prediction,
    "fig10": _prediction,
    "errors": _errors,
    "curves": _curves,
}


def figure_names(scene: Scene) -> list[str]:
    """Return the figures that a run has what is needed for, each picture once."""
    gallery, baseline = scene.gallery, scene.baseline
    left_out = {"fig10"}  # that of prediction
    if len(scene.choice.actions or gallery.class_names) <= 3:
        left_out.add("fig8")  # that of a_links
    if scene.model.aim is None:
        left_out |= {"a_links", "a_links_clip", "link_matrices", "fig3", "fig8"}
    if scene.model.prediction is None:
        left_out.add("prediction")
    if baseline is None:
        left_out.add("responses_baseline")
    if not gallery.history:
        left_out.add("curves")
    return [name for name in FIGURES if name not in left_out]


def draw_figures(
    folder: str | Path,
    out: str | Path | None = None,
    *,
    only: Sequence[str] | None = None,
    suffix: str = "png",
    baseline: str | Path | None = None,
    choice: Choice | None = None,
    checkpoint: str = "auto",
    root: str | Path | None = None,
) -> list[Path]:
    """Draw the figures of an evaluated run into a folder; None: ``figures`` in the run's.

    ``only`` chooses names of ``FIGURES``; None: all that the run has the data for, each picture
    once. ``baseline`` is the folder of another run on the same clips; ``root`` that of the data
    set, if it has moved.
    InputError for an unknown name, or a figure that the run lacks the data for.
    """
    choice = choice or Choice()
    forecaster = is_forecaster(folder)
    drawn: Mapping[str, Callable[..., Figure]] = FORECAST_FIGURES if forecaster else FIGURES
    for name in only or ():
        if name not in drawn:
            whose = "a forecaster has no such figure" if forecaster else "no such figure"
            raise InputError(f"--only {name}: {whose}; choose of {', '.join(drawn)}")
    check_threshold(choice.threshold)
    scene: Scene | ForecastScene
    if forecaster:
        found = open_forecasts(folder, checkpoint=checkpoint, root=root)
        scene = ForecastScene(found, choice)
        names = only or ["prediction", "errors", *(["curves"] if found.history else [])]
    else:
        gallery = open_gallery(folder, checkpoint=checkpoint, root=root)
        other = None if baseline is None else open_gallery(baseline, root=root)
        scene = Scene(gallery, other, choice)
        names = only or figure_names(scene)
        if scene.model.aim is not None:
            for text in warnings_of(links_used(scene.exhibits.values())):
                logger.warning("%s: %s", gallery.run.path, text)
    target = scene.run.run.path / "figures" if out is None else Path(out)
    return [_save(drawn[name](scene), target / f"{name}.{suffix}") for name in names]


def _save(figure: Figure, path: Path) -> Path:
    """Write a figure and say so."""
    viz.save_figure(figure, path, 200)
    print(f"drawn: {path}")
    return path
