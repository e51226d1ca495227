"""The report of a run or of two, the page of raw clips, and moving pictures: a file each."""

from __future__ import annotations

import logging
import shlex
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from asgcn_dgl import metrics
from asgcn_dgl.data import Clip, Reader, open_data
from asgcn_dgl.data.formats.layout_file import LAYOUT_FILES
from asgcn_dgl.data.registry import recognize
from asgcn_dgl.errors import InputError
from asgcn_dgl.experiments.forecasts import forecast_page, is_forecaster, open_forecasts
from asgcn_dgl.experiments.gallery import (
    Gallery,
    check_threshold,
    error_options,
    find_up,
    open_gallery,
)
from asgcn_dgl.experiments.links import links_used, warnings_of
from asgcn_dgl.files import check_target
from asgcn_dgl.skeleton import get_layout
from asgcn_dgl.skeleton.catalog import SUPPLIED
from asgcn_dgl.training.report import accuracies
from asgcn_dgl.training.units import Unit, UnitName
from asgcn_dgl.viz import draw_strip
from asgcn_dgl.viz.animation import SUFFIXES, animate
from asgcn_dgl.viz.charts import curve_panels
from asgcn_dgl.viz.exhibit import Exhibit
from asgcn_dgl.viz.page import Page, Row, write_page

logger = logging.getLogger(__name__)

CLIPS_CARRIED = 200
_TIMES = {"warm_up": "A-link inference alone", "joint": "the whole model"}


def write_report(
    folder: str | Path,
    out: str | Path | None = None,
    *,
    other: str | Path | None = None,
    clips: int = CLIPS_CARRIED,
    checkpoint: str = "auto",
    root: str | Path | None = None,
    unit: UnitName | None = None,
    up: str | None = None,
) -> Path:
    """Write the report of an evaluated run, or of two beside each other; return its path.

    ``out`` is ``report.html`` in the run's folder by default. At most ``clips`` test clips are in
    motion: one of each cell of the confusion matrix, then of each class in turn. ``root`` is the
    folder of the data set, if it has moved; ``unit`` that of the coordinates and ``up`` the axis
    that points up, if they are not to be found. InputError for a run that is not evaluated, data
    that cannot be used, or runs on other clips.
    """
    if clips < 1:
        raise InputError(f"--clips must be at least 1, got {clips}")
    target = Path(folder) / "report.html" if out is None else Path(out)
    _check_name(target)
    if is_forecaster(folder):
        if other is not None:
            raise InputError(f"{folder}: a forecaster is reported alone; leave {other} out")
        found = open_forecasts(folder, checkpoint=checkpoint, root=root)
        return write_page(target, forecast_page(found, clips, unit, up))
    galleries = [
        open_gallery(each, checkpoint=checkpoint, root=root)
        for each in (folder, other)
        if each is not None
    ]
    galleries[-1].check_same(galleries[0])
    runs = [gallery.run for gallery in galleries]
    titles = [run.path.resolve().name for run in runs]
    if len(set(titles)) < len(titles):
        titles = [str(run.path) for run in runs]
    places, chosen = galleries[0].sample(clips), galleries[0].unit(unit)
    errors = _errors(galleries, chosen)
    pages = [
        _page(gallery, title, places, chosen, error)
        for gallery, title, error in zip(galleries, titles, errors, strict=True)
    ]
    subtitles = [f"{page.title}: {page.subtitle}" for page in pages]
    given = {"up": up, "unit": unit, "root": root, "checkpoint": checkpoint}
    again = ["report", *(run.path for run in runs), "--clips", clips]
    again += [f"--{name}={value}" for name, value in given.items() if value not in (None, "auto")]
    page = replace(
        pages[0],
        subtitle=pages[0].subtitle if other is None else "\n".join(subtitles),
        up=find_up(pages[0].exhibits, up),
        other=None if other is None else pages[1],
        commands={
            "Train it again": _lines(
                ["train", "--config", run.config_file, "--out", f"{run.path}_again"] for run in runs
            ),
            "Score the test clips again": _lines(["evaluate", run.path] for run in runs),
            "Make this page again": _lines([[*again, "--out", target]]),
        },
    )
    return write_page(target, page)


def _lines(commands: Iterable[Sequence[Any]]) -> str:
    """Return commands as they are typed, a line each."""
    return "\n".join(shlex.join(["asgcn-dgl", *map(str, each)]) for each in commands)


def _page(
    gallery: Gallery, title: str, places: Sequence[int], unit: Unit, errors: tuple[str, ...]
) -> Page:
    """Return the page of one run."""
    exhibits = gallery.exhibits(places)
    config, found = gallery.restored.config, gallery.metrics
    use = links_used(exhibits)
    notices = [f"{gallery.run.path.name}: {text}" for text in warnings_of(use)]
    for notice in notices:
        logger.warning("%s", notice)
    results = zip(gallery.names, gallery.labels.tolist(), gallery.probabilities, strict=True)
    return Page(
        title=title,
        subtitle=f"{found['dataset']}, {_split(found['protocol'])} · "
        f"input: {config.stream.replace('_', ' ').replace(' + ', 's, ')}s · "
        f"{gallery.checkpoint} checkpoint, epoch {gallery.restored.epoch}",
        rows=[
            Row(
                name, label, int(p.argmax()), float(p.max()), float(p[label]) if label >= 0 else 0.0
            )
            for name, label, p in results
        ],
        exhibits=exhibits,
        class_names=gallery.class_names,
        cards=_cards(found, errors, unit),
        confusion=np.asarray(metrics.confusion_matrix(gallery.probabilities, gallery.labels)),
        curves=curve_panels(gallery.history, **error_options(config, unit)),
        facts=_facts(gallery, use, len(exhibits)),
        notices=notices,
    )


def _check_name(target: Path) -> None:
    if target.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"{target}: give a name that ends in .html")
    check_target(target)


def _errors(galleries: Sequence[Gallery], unit: Unit) -> list[tuple[str, ...]]:
    """Return the error of each run's prediction and of the last pose; () without a prediction."""
    found = [gallery.metrics.get("prediction") or {} for gallery in galleries]
    pairs = [[each[k] for k in ("mpjpe", "zero_velocity") if k in each] for each in found]
    texts = iter(unit.texts(value for pair in pairs for value in pair))
    return [tuple(next(texts) for _ in pair) for pair in pairs]


def _cards(
    found: Mapping[str, Any], errors: tuple[str, ...], unit: Unit
) -> list[tuple[str, str, str]]:
    """Return the figures at the top."""
    chance = f"chance {100 / len(found['per_class']):.1f} %"
    cards = [("Top-1", f"{found['top1']:.1f} %", chance)]
    if "top5" in accuracies([found]):
        cards.append(("Top-5", f"{found['top5']:.1f} %", ""))
    cards.append(("Mean class accuracy", f"{found['mean_class']:.1f} %", ""))
    if errors:
        note = f"last pose repeated {errors[1]}" + ("" if unit.name else "; unit of the recordings")
        cards.append(("Prediction error", errors[0], note))
    return [*cards, ("Test clips", str(found["clips"]), "")]


def _facts(gallery: Gallery, use: Mapping[str, Any] | None, clips: int) -> dict[str, str]:
    found, config = gallery.metrics, gallery.restored.config
    model = gallery.restored.model
    hops = model.config.max_hop
    facts = {
        "Model": f"{config.model.name}, {found['parameters']:,} parameters",
        "S-links": f"joints up to {hops} bone{'' if hops == 1 else 's'} apart",
        "A-links": f"{model.config.num_actional} types" if model.aim is not None else "none",
    }
    if use is not None:
        types = ", ".join(f"{100 * each['linked']:.0f} %" for each in use["types"])
        facts["Pairs linked"] = (
            f"{100 * use['linked']:.0f} % above 0.50, {100 * use['strong']:.0f} % above 0.90 "
            f"(probability of all types added up; {clips} clips)"
        )
        facts["Pairs linked by one type"] = f"{types} above 0.50 (probability of each alone)"
        facts["Links of two actions"] = (
            f"differ by {use['difference']:.3f} in probability, on average"
        )
    epochs = config.aim.epochs if model.aim is not None else 0
    facts |= {
        "Data": f"{config.data}, {_split(found['protocol'])}, {found['clips']} test clips",
        "Epochs": f"{epochs} of A-link inference alone, {config.trainer.epochs} of the whole model",
        "Seed": str(found["seed"]),
        "Versions": ", ".join(f"{name} {version}" for name, version in found["versions"].items()),
    }
    if seconds := found.get("seconds"):
        times = (f"{_TIMES.get(name, name)} {time:.0f} s" for name, time in seconds.items())
        facts["Time"] = ", ".join(times)
    return facts


def _split(protocol: str) -> str:
    """Return the name of a split and what is kept for testing, where the name tells that."""
    if protocol == "split":
        return "its own split"
    kept = {"xsub": "people", "xview": "camera views", "xset": "setups"}.get(protocol)
    return f"split {protocol}" + (f" (tested on other {kept})" if kept else "")


def write_view(
    clips: Sequence[Clip], out: str | Path, *, title: str | None = None, up: str | None = None
) -> Path:
    """Write a page of clips as they were recorded, without a model; return its path.

    Of clips of one name all but the first get a number. ``title``: by default the clip's name, or
    'Recordings'.
    """
    _check_name(Path(out))
    if not clips:
        raise InputError("view needs at least one clip")
    seen: Counter[str] = Counter()
    exhibits = []
    for clip in clips:
        seen[clip.name] += 1
        again = f" ({seen[clip.name]})" if seen[clip.name] > 1 else ""
        exhibits.append(as_exhibit(clip, f"{clip.name}{again}"))
    layouts = sorted({clip.layout.name for clip in clips})
    count = f"{len(clips)} clip{'' if len(clips) == 1 else 's'}"
    page = Page(
        title=title or (exhibits[0].name if len(exhibits) == 1 else "Recordings"),
        subtitle=f"{count} of {', '.join(layouts)}",
        rows=[Row(e.name, bodies=e.num_bodies, frames=e.num_frames) for e in exhibits],
        exhibits=exhibits,
        facts={"Files": ", ".join(dict.fromkeys(Path(clip.source).name for clip in clips))},
        up=find_up(exhibits, up),
    )
    return write_page(out, page)


def read_raw(
    paths: Sequence[str | Path],
    data: str | None = None,
    options: Mapping[str, Any] | None = None,
    most: int = CLIPS_CARRIED,
) -> tuple[list[Clip], int]:
    """Read recordings of any format, at most ``most``; return them and how many there are.

    ``paths`` are files, folders or stores, ``data`` is a name in ``FORMATS``
    (None: recognized) with its ``options``. An own file that does not say its skeleton has that of
    the layout file beside it, else the supplied one of as many joints.
    """
    if most < 1:
        raise InputError(f"--clips must be at least 1, got {most}")
    clips: list[Clip] = []
    found = 0
    for path in map(Path, paths):
        source = _open(path, data, options)
        clips += [source.read(number) for number in range(min(len(source), most - len(clips)))]
        found += len(source)
    return clips, found


def _open(path: Path, data: str | None, options: Mapping[str, Any] | None) -> Reader:
    """Open recordings; an own file without a layout beside it has the supplied one that fits."""
    given = dict(options or {})
    own = data is None and not path.is_dir() and recognize(path).name == "own"
    if own and not any((path.parent / name).is_file() for name in LAYOUT_FILES):
        given.setdefault("layout", tuple(get_layout(facts["name"]) for facts in SUPPLIED))
    return open_data(path, data, **given)


def as_exhibit(clip: Clip, name: str | None = None) -> Exhibit:
    """Return a clip as it was recorded, to be shown."""
    trimmed = clip.trimmed()
    return Exhibit(name or clip.name, clip.layout, trimmed.places, trimmed.mask, clip.label)


def draw_clip(clip: Clip, class_names: Sequence[str] = (), up: str | None = None) -> Figure:
    """Draw a recording as a row of poses."""
    exhibit = as_exhibit(clip)
    title = clip.name
    if class_names and clip.label >= 0:
        title += f": {class_names[clip.label]}"
    up = find_up([exhibit], up)
    return draw_strip(clip.layout, exhibit.pos, mask=exhibit.mask, title=title, up=up)


def moving_picture(
    source: str | Path,
    out: str | Path,
    *,
    clip: str | None = None,
    data: str | None = None,
    options: Mapping[str, Any] | None = None,
    threshold: float = 0.9,
    links: bool = True,
    rate: float = 30.0,
    up: str | None = None,
    checkpoint: str = "auto",
    root: str | Path | None = None,
) -> Path:
    """Write a clip as a GIF or MP4: a test clip of a run with its links, or a raw one.

    ``source`` is the folder of an evaluated run, or what :func:`read_raw` reads; ``clip`` names the
    clip where there are several; ``rate`` is frames a second; the others are as for
    :func:`draw_figures` and :func:`write_report`. InputError if the clip does not exist, an option
    is out of range, or ffmpeg is missing.
    """
    target, place = Path(out), Path(source)
    if target.suffix.lower() not in SUFFIXES:
        raise InputError(f"{out}: give a name that ends in {' or '.join(SUFFIXES)}")
    check_threshold(threshold)
    if not 0 < rate <= 240:
        raise InputError(f"--rate must be above 0 and at most 240 frames a second, got {rate:g}")
    names: Sequence[str] = ()
    if (place / "config.yaml").is_file():
        gallery = open_gallery(place, checkpoint=checkpoint, root=root)
        if clip is None:
            raise InputError(f"--clip is needed: a test clip's name, such as {gallery.names[0]}")
        (exhibit,) = gallery.exhibits([gallery.place(clip)])
        names = gallery.class_names
    else:
        reader = _open(place, data, options)
        if clip is None and len(reader) > 1:
            raise InputError(f"--clip is needed: a recording's name, such as {reader.names[0]}")
        exhibit = as_exhibit(reader.read(0 if clip is None else reader.find(clip)))
        names = reader.class_names if place.is_dir() else ()
    up = find_up([exhibit], up)
    try:
        return animate(
            target, exhibit, class_names=names, threshold=threshold, links=links, rate=rate, up=up
        )
    except RuntimeError as error:  # no ffmpeg
        raise InputError(str(error)) from error
