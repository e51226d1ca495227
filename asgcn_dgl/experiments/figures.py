"""The figures of a run, by name: those of the paper, and those of every day."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from asgcn_dgl import metrics, viz
from asgcn_dgl.errors import InputError
from asgcn_dgl.experiments.forecasts import draw_forecasts, is_forecaster
from asgcn_dgl.experiments.gallery import Gallery, check_threshold, find_up, open_gallery
from asgcn_dgl.experiments.links import class_links, links_used, warnings_of
from asgcn_dgl.skeleton import SkeletonLayout
from asgcn_dgl.skeleton.catalog import SUPPLIED
from asgcn_dgl.training.units import UnitName, unit_of
from asgcn_dgl.viz.exhibit import Exhibit
from asgcn_dgl.viz.figure import PAGE_WIDTH

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["FIGURES", "contrasting", "draw_figures", "figure_names"]

logger = logging.getLogger(__name__)

Floats = npt.NDArray[np.float64]

# Clips of a class that its mean A-links and its typical clip are taken from.
_CLIPS_PER_CLASS = 30
_MAX_HOP = 4
_NO_LINKS = "{}: its model has no A-links; train with --model.num_actional 1 or more"


@dataclass(frozen=True)
class Choice:
    """What of a run to draw; None: chosen by :class:`Subject`.

    Parameters
    ----------
    clip
        Name of the test clip to draw.
    actions
        Names of the actions to draw side by side.
    joint
        Name of the joint whose links are drawn.
    real
        Draw on recorded poses instead of the layout's drawing pose.
    threshold
        Probability above which an A-link is drawn.
    unit
        Unit of the recordings' coordinates; None: what is known of the set.
    page_width
        Inches that a figure may take in width.
    up
        The axis that points up in the recordings; None: found.
    """

    clip: str | None = None
    actions: Sequence[str] | None = None
    joint: str | None = None
    real: bool = False
    threshold: float = 0.9
    unit: UnitName | None = None
    page_width: float = PAGE_WIDTH
    up: str | None = None


class Subject:
    """A run as the figures need it: typical clips, mean links, one view for all.

    Parameters
    ----------
    gallery
        The run.
    baseline
        Another run on the same clips, to compare with.
    choice
        What to draw.
    """

    def __init__(self, gallery: Gallery, baseline: Gallery | None, choice: Choice) -> None:
        self.gallery, self.baseline, self.choice = gallery, baseline, choice
        if baseline is not None:
            baseline.check_same(gallery)
        for name in choice.actions or ():
            gallery.class_number(name)
        if choice.clip is not None:
            gallery.place(choice.clip)

    @cached_property
    def exhibits(self) -> dict[int, Exhibit]:
        """Clips of every class, by number."""
        places = self.gallery.sample(len(self.gallery.names), per_class=_CLIPS_PER_CLASS)
        if self.choice.clip is not None:
            places = sorted({*places, self.gallery.place(self.choice.clip)})
        return dict(zip(places, self.gallery.exhibits(places), strict=True))

    @cached_property
    def layout(self) -> SkeletonLayout:
        """Skeleton of all clips, with a pose of theirs if it has none of its own."""
        exhibits = list(self.exhibits.values())
        return viz.drawing_layout(exhibits[0].layout, exhibits, self.up)

    @cached_property
    def up(self) -> str:
        """The axis that points up in the recordings."""
        return find_up(list(self.exhibits.values()), self.choice.up)

    def draw(self, function: Callable[..., Figure], *arguments: Any, **options: Any) -> Figure:
        """Draw on the layout, as wide as a figure may be."""
        return function(self.layout, *arguments, page_width=self.choice.page_width, **options)

    def draw_links(
        self, function: Callable[..., Figure], *arguments: Any, **options: Any
    ) -> Figure:
        """Draw links, on an own layout with the joints' names."""
        own = self.layout.name not in {facts["name"] for facts in SUPPLIED}
        return self.draw(function, *arguments, names=own, **options)

    @cached_property
    def joint(self) -> str:
        """The joint whose links are drawn: as asked for, a left hand, or the outermost."""
        layout, wanted = self.layout, self.choice.joint
        if wanted is not None:
            if wanted not in layout.joints:
                raise InputError(
                    f"--joint {wanted}: layout {layout.name!r} has {', '.join(layout.joints)}"
                )
            return wanted
        for name in ("left_hand", "left_wrist", "index_tip"):
            if name in layout.joints:
                return name
        return layout.joints[int(np.argmax(layout.depth))]

    @cached_property
    def class_links(self) -> dict[int, Floats]:
        """(C, V, V) mean A-links of each class, over its bodies."""
        if self.gallery.restored.model.aim is None:
            raise InputError(_NO_LINKS.format(self.gallery.run.path))
        return class_links(self.exhibits.values())

    def actions(self, count: int) -> list[int]:
        """Return classes to draw side by side: as asked for, or those whose links differ most."""
        if self.choice.actions:
            return [self.gallery.class_number(name) for name in self.choice.actions]
        present = sorted({exhibit.label for exhibit in self.exhibits.values()})
        if self.gallery.restored.model.aim is None:
            return present[:count]
        return contrasting({k: v.sum(axis=0) for k, v in self.class_links.items()}, count)

    def typical(self, label: int) -> Exhibit:
        """Return the clip of a class that is recognized with median confidence."""
        own = [e for e in self.exhibits.values() if e.label == label]
        good = [e for e in own if e.predicted == label] or own
        ranked = sorted(good, key=lambda e: (_confidence(e, label), e.name))
        return ranked[len(ranked) // 2]

    @cached_property
    def clip(self) -> Exhibit:
        """The clip to draw: as asked for, or the typical one of the first action."""
        if self.choice.clip is not None:
            return self.exhibits[self.gallery.place(self.choice.clip)]
        return self.typical(self.actions(1)[0])

    @property
    def linked_clip(self) -> Exhibit:
        """The clip to draw A-links of."""
        if self.clip.links is None:
            raise InputError(_NO_LINKS.format(self.gallery.run.path))
        return self.clip

    @cached_property
    def moving_clip(self) -> Exhibit:
        """The clip to draw a prediction of: as asked for, or one whose end moves as most do."""
        if self.choice.clip is not None:
            return self.clip
        moves = [
            (_end_motion(each), each.name, each)
            for each in self.exhibits.values()
            if each.steps and np.isfinite(_end_motion(each))
        ]
        if not moves:
            raise InputError(
                f"{self.gallery.run.path}: no test clip with a prediction; train with a prediction "
                "head (model.future_frames), on longer clips"
            )
        moves.sort(key=lambda item: item[:2])
        return moves[len(moves) * 3 // 4][2]

    def title(self, exhibit: Exhibit) -> str:
        """Return the name and the action of a clip."""
        return f"{self.gallery.class_names[exhibit.label]} ({exhibit.name})"

    def pose(self, exhibit: Exhibit) -> Floats | None:
        """Return a pose of a clip to draw on, None for the layout's drawing pose."""
        return self.at(exhibit, [exhibit.middle(exhibit.leader)])[0] if self.choice.real else None

    def at(self, exhibit: Exhibit, times: Sequence[int]) -> Floats:
        """Return the leading body in some frames, as seen from one place: (times, V, 2)."""
        body, shoulders = exhibit.leader, exhibit.layout.shoulders
        seen = exhibit.mask[body, times, :]
        pos = np.where(seen[..., None], exhibit.pos[body, times], np.nan)
        return viz.project(pos, seen, self.up, shoulders)


def _confidence(exhibit: Exhibit, label: int) -> float:
    return float(exhibit.probabilities[label]) if exhibit.probabilities is not None else 0.0


def _end_motion(exhibit: Exhibit) -> float:
    """Mean distance of the leading body's last joints from where they were before the future."""
    body, start = exhibit.leader, exhibit.num_frames - exhibit.steps
    known = exhibit.mask[body, start:] & exhibit.mask[body, start - 1]
    step = np.linalg.norm(exhibit.pos[body, start:] - exhibit.pos[body, start - 1], axis=-1)
    return float(step[known].mean()) if known.any() else float("nan")


def contrasting(links: dict[int, Floats], count: int) -> list[int]:
    """Choose classes whose links differ: the most unusual one, then each time the farthest.

    Parameters
    ----------
    links
        (V, V) mean links of each class.
    count
        Classes to choose, at most.

    Examples
    --------
    >>> contrasting({0: np.zeros((2, 2)), 1: np.eye(2), 2: np.eye(2) * 0.9, 3: np.ones((2, 2))}, 3)
    [0, 1, 3]
    """
    mean = np.mean(list(links.values()), axis=0)
    chosen = [max(links, key=lambda k: float(np.abs(links[k] - mean).sum()))]
    while len(chosen) < min(count, len(links)):
        rest = [k for k in links if k not in chosen]
        chosen.append(
            max(rest, key=lambda k: min(float(np.abs(links[k] - links[c]).sum()) for c in chosen))
        )
    return sorted(chosen)


def _skeleton(subject: Subject) -> Figure:
    return subject.draw(viz.draw_skeleton, names=True)


def _s_links(subject: Subject) -> Figure:
    hops = subject.gallery.restored.model.config.max_hop
    pose = subject.pose(subject.clip)
    return subject.draw_links(viz.draw_structural_links, subject.joint, hops, pose=pose)


def _fig3(subject: Subject) -> Figure:
    clip, means = subject.clip, subject.class_links
    name = subject.gallery.class_names[clip.label]
    return subject.draw_links(
        viz.draw_link_kinds,
        subject.joint,
        clip.body_links(clip.leader) if subject.choice.clip else means[clip.label],
        _MAX_HOP,
        threshold=subject.choice.threshold,
        pose=subject.pose(clip),
        title=f"{subject.joint.replace('_', ' ')}, {name}",
    )


def _class_links(subject: Subject, count: int, columns: int) -> Figure:
    names, threshold = subject.gallery.class_names, subject.choice.threshold
    chosen = subject.actions(count)
    return subject.draw_links(
        viz.draw_class_links,
        {names[k]: subject.class_links[k] for k in chosen},
        threshold=threshold,
        poses={names[k]: subject.pose(subject.typical(k)) for k in chosen},
        columns=columns,
        title=f"A-links of mean probability > {threshold:g}",
    )


def _fig8(subject: Subject) -> Figure:
    return _class_links(subject, 3, 3)


def _a_links(subject: Subject) -> Figure:
    return _class_links(subject, len(subject.gallery.class_names), 5)


def _a_links_clip(subject: Subject) -> Figure:
    clip, threshold = subject.linked_clip, subject.choice.threshold
    return subject.draw_links(
        viz.draw_actional_links,
        clip.body_links(clip.leader),
        threshold=threshold,
        pose=subject.pose(clip),
        # Spaces that do not break, so that the rule stays on one line.
        title=f"{subject.title(clip)}: p\xa0>\xa0{threshold:g}",
    )


def _link_matrices(subject: Subject) -> Figure:
    clip = subject.linked_clip
    links = clip.body_links(clip.leader)
    return subject.draw(viz.draw_link_matrices, links, title=f"A-links of {subject.title(clip)}")


def _over_time(subject: Subject, count: int = 4) -> list[viz.Response]:
    """Give the responses of the clip at several times, seen from one place."""
    clip = subject.clip
    body = clip.leader
    times = np.linspace(0, clip.num_frames - 1, count + 2).round().astype(int)[1:-1]
    if clip.num_frames <= count:
        times = np.arange(clip.num_frames)
    points = subject.at(clip, times.tolist())
    return [
        viz.Response(f"frame {time}", place, clip.body_response(body, time))
        for time, place in zip(times, points, strict=True)
    ]


def _peak(subject: Subject, clip: Exhibit, title: str) -> viz.Response:
    """Give the mean response over a clip, on its middle pose, by its own largest."""
    body = clip.leader
    assert clip.response is not None
    mean = clip.response[body].mean(axis=0)
    (pose,) = subject.at(clip, [clip.middle(body)])
    return viz.Response(title, pose, mean, float(mean.max()))


def _responses_time(subject: Subject) -> Figure:
    title = f"Responses of the last block: {subject.title(subject.clip)}"
    return subject.draw(viz.draw_responses, {"": _over_time(subject)}, title=title)


def _responses_actions(subject: Subject) -> Figure:
    names = subject.gallery.class_names
    row = [_peak(subject, subject.typical(k), names[k]) for k in subject.actions(5)]
    return subject.draw(viz.draw_responses, {"": row}, title="Mean responses of the last block")


def _against(subject: Subject) -> list[viz.Response]:
    """Give the same clip as both runs see it."""
    clip, baseline = subject.clip, subject.baseline
    if baseline is None:
        raise InputError(
            "comparing responses needs a baseline run: give --baseline RUN_DIR, such as a run "
            "with --model.name stgcn"
        )
    place = subject.gallery.place(clip.name)
    (other,) = baseline.exhibits([place])
    return [_peak(subject, clip, _kind(subject.gallery)), _peak(subject, other, _kind(baseline))]


def _kind(gallery: Gallery) -> str:
    """Return what sort of model a run has, as the paper names them."""
    model = gallery.restored.model
    if gallery.restored.config.model.name == "stgcn":
        return "ST-GCN"
    links = "AS-links" if model.aim is not None else "S-links only"
    return f"AS-GCN, {links}"


def _responses_baseline(subject: Subject) -> Figure:
    title = f"Mean responses: {subject.title(subject.clip)}"
    return subject.draw(viz.draw_responses, {"": _against(subject)}, title=title)


def _fig9(subject: Subject) -> Figure:
    names = subject.gallery.class_names
    clip = subject.clip
    against = [] if subject.baseline is None else _against(subject)
    others = [k for k in subject.actions(5) if k != clip.label][: 4 - len(against)]
    mark = "(b) " if against else ""  # where one row holds two parts
    second = [_peak(subject, subject.typical(k), f"{mark}{names[k]}") for k in others]
    second += [each._replace(title=f"(c) {each.title}") for each in against]
    heading = "(b) other actions, mean over the clip"
    if against:
        # On a line of its own: both parts are too long for a column.
        heading += f"\n(c) {names[clip.label]}, two models"
    rows = {f"(a) {subject.title(clip)}": _over_time(subject), heading: second}
    return subject.draw(viz.draw_responses, {name: row for name, row in rows.items() if row})


def _prediction(subject: Subject) -> Figure:
    clip = subject.moving_clip
    if clip.future is None:
        raise InputError(
            f"{clip.name}: has no prediction (the clip is too short, or the model has no "
            "prediction head); give another --clip"
        )
    body, start = clip.leader, clip.num_frames - clip.steps
    data = subject.gallery.restored.config.data
    unit, factor = unit_of(data, clip.pos.shape[3], subject.choice.unit)
    wanted = [round((k + 1) * clip.steps / 5) for k in range(5)] if clip.steps >= 5 else None
    return subject.draw(
        viz.draw_prediction,
        clip.future[body] * factor,
        clip.pos[body, start:] * factor,
        mask=clip.mask[body, start:],
        last=_last_pose(clip, body, start) * factor,
        frames=wanted,
        title=f"Predicted and true poses: {subject.title(clip)}",
        unit=unit,
        up=subject.up,
    )


def _last_pose(clip: Exhibit, body: int, start: int) -> npt.NDArray[np.floating]:
    """Return the last position of each joint before a frame, NaN where it was never seen."""
    mask, pos = clip.mask[body, :start], clip.pos[body, :start]
    frame = start - 1 - np.argmax(mask[::-1], axis=0)
    last = pos[frame, np.arange(pos.shape[1])]
    known = np.asarray(mask.any(axis=0))
    return np.where(known[:, None], last, np.nan)


def _strip(subject: Subject) -> Figure:
    clip = subject.clip
    title = subject.title(clip)
    return subject.draw(viz.draw_strip, clip.pos, mask=clip.mask, title=title, up=subject.up)


def _confusion(subject: Subject) -> Figure:
    gallery, width = subject.gallery, subject.choice.page_width
    counts = metrics.confusion_matrix(gallery.probabilities, gallery.labels)
    return viz.draw_confusion(counts, gallery.class_names, page_width=width)


def _per_class(subject: Subject) -> Figure:
    runs = [run for run in (subject.gallery, subject.baseline) if run is not None]
    shares = [100 * metrics.per_class_accuracy(run.probabilities, run.labels) for run in runs]
    return viz.draw_class_accuracy(
        shares[0],
        subject.gallery.class_names,
        baseline=shares[1] if len(runs) > 1 else None,
        labels=(runs[0].run.path.name, runs[-1].run.path.name),
    )


def _curves(subject: Subject) -> Figure:
    if not subject.gallery.history:
        raise InputError(f"{subject.gallery.run.log}: no epochs in it; there are no curves to draw")
    return viz.draw_curves(subject.gallery.history, page_width=subject.choice.page_width)


#: How each figure is drawn, by name.
FIGURES: dict[str, Callable[[Subject], Any]] = {
    "skeleton": _skeleton,
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
    "fig8": _fig8,
    "fig9": _fig9,
    "fig10": _prediction,
}

_NEED_LINKS = frozenset(("a_links", "a_links_clip", "link_matrices", "fig3", "fig8"))
_NEED_FUTURE = frozenset(("prediction", "fig10"))


def figure_names(gallery: Gallery, baseline: Gallery | None) -> list[str]:
    """Return the figures that a run has what is needed for."""
    left_out: set[str] = set()
    if gallery.restored.model.aim is None:
        left_out |= _NEED_LINKS
    if gallery.restored.model.prediction is None:
        left_out |= _NEED_FUTURE
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
    """Draw the figures of an evaluated run.

    Parameters
    ----------
    folder
        Folder of the run.
    out
        Folder of the figures; None: ``figures`` in the run's.
    only
        Which, of :data:`FIGURES`; None: all that the run has what is needed for.
    suffix
        'png', 'pdf' or 'svg'.
    baseline
        Folder of another run on the same clips.
    choice
        What of the run to draw.
    checkpoint
        'best', 'last' or 'auto'.
    root
        Folder of the data set, if it is not where training found it.

    Returns
    -------
    list of Path
        The files.

    Raises
    ------
    InputError
        If a name is unknown, or a run has not what a figure that was asked for needs.
    """
    choice = choice or Choice()
    if is_forecaster(folder):
        return draw_forecasts(
            folder,
            out,
            only=only,
            suffix=suffix,
            clip=choice.clip,
            unit=choice.unit,
            up=choice.up,
            page_width=choice.page_width,
            checkpoint=checkpoint,
            root=root,
        )
    unknown = sorted(set(only or ()) - set(FIGURES))
    if unknown:
        raise InputError(f"--only {unknown[0]}: no such figure; choose of {', '.join(FIGURES)}")
    check_threshold(choice.threshold)
    gallery = open_gallery(folder, checkpoint=checkpoint, root=root)
    other = None if baseline is None else open_gallery(baseline, root=root)
    subject = Subject(gallery, other, choice)
    if gallery.restored.model.aim is not None:
        for text in warnings_of(links_used(subject.exhibits.values())):
            logger.warning("%s: %s", gallery.run.path, text)
    target = gallery.run.path / "figures" if out is None else Path(out)
    written = []
    for name in only or figure_names(gallery, other):
        written.append(viz.save_figure(FIGURES[name](subject), target / f"{name}.{suffix}", 200))
        print(f"drawn: {written[-1]}")
    return written
