"""The report of a run, and the page of raw clips: one HTML file each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from asgcn_dgl import metrics
from asgcn_dgl.data import Clip, open_data
from asgcn_dgl.errors import InputError
from asgcn_dgl.experiments.gallery import Gallery, check_threshold, open_gallery
from asgcn_dgl.training.units import Unit, UnitName, unit_of
from asgcn_dgl.viz.animation import SUFFIXES, animate
from asgcn_dgl.viz.charts import curve_panels
from asgcn_dgl.viz.exhibit import Exhibit, guess_up
from asgcn_dgl.viz.page import Page, Row, write_page

__all__ = ["as_exhibit", "moving_picture", "read_raw", "report", "view"]

CLIPS_CARRIED = 200


def report(
    folder: str | Path,
    out: str | Path | None = None,
    *,
    clips: int = CLIPS_CARRIED,
    checkpoint: str = "auto",
    root: str | Path | None = None,
    unit: UnitName | None = None,
) -> Path:
    """Write the report of an evaluated run.

    Parameters
    ----------
    folder
        Folder of the run.
    out
        The file; None: ``report.html`` in the run's folder.
    clips
        Test clips to carry with their motion, at most: of each cell of the confusion matrix one,
        then of each class in turn.
    checkpoint
        'best', 'last' or 'auto'.
    root
        Folder of the data set, if it is not where training found it.
    unit
        Unit of the recordings' coordinates; None: what is known of the set.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    InputError
        If the run is not evaluated, or its files or its data cannot be used.
    """
    if clips < 1:
        raise InputError(f"--clips must be at least 1, got {clips}")
    target = Path(folder) / "report.html" if out is None else Path(out)
    _check_name(target)
    gallery = open_gallery(folder, checkpoint=checkpoint, root=root)
    exhibits = gallery.exhibits(gallery.sample(clips))
    counts = metrics.confusion_matrix(gallery.probabilities, gallery.labels)
    config, run, found = gallery.restored.config, gallery.run, gallery.metrics
    page = Page(
        title=run.path.resolve().name,
        subtitle=f"{found['dataset']}, {found['protocol']} · {config.stream} stream · "
        f"{gallery.checkpoint} checkpoint, epoch {gallery.restored.epoch}",
        rows=_rows(gallery),
        exhibits=exhibits,
        class_names=gallery.class_names,
        cards=_cards(found, unit_of(config.data, exhibits[0].pos.shape[3], unit)),
        confusion=np.asarray(counts),
        curves=curve_panels(gallery.history),
        facts=_facts(gallery),
        commands={
            "Train it again": f"asgcn-dgl train --config {run.config_file} --out runs/again",
            "Score the test clips again": f"asgcn-dgl evaluate {run.path}",
            "Make this page again": f"asgcn-dgl report {run.path} --clips {clips}",
        },
    )
    return write_page(target, page)


def _check_name(target: Path) -> None:
    if target.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"{target}: give a name that ends in .html")


def _rows(gallery: Gallery) -> list[Row]:
    return [
        Row(
            name,
            int(label),
            int(share.argmax()),
            float(share.max()),
            float(share[label]) if label >= 0 else 0.0,
        )
        for name, label, share in zip(
            gallery.names, gallery.labels, gallery.probabilities, strict=True
        )
    ]


def _cards(found: dict[str, Any], unit: Unit) -> list[tuple[str, str, str]]:
    """Return the figures at the top."""
    chance = 100 / len(found["per_class"])
    cards = [
        ("Top-1", f"{found['top1']:.1f} %", f"chance {chance:.1f} %"),
        ("Top-5", f"{found['top5']:.1f} %", ""),
        ("Mean of classes", f"{found['mean_class']:.1f} %", ""),
    ]
    future = found.get("prediction")
    if future:
        error, still = (unit.text(future[name], 0) for name in ("mpjpe", "zero_velocity"))
        cards.append(("Prediction error", error, f"last pose repeated {still}"))
    return [*cards, ("Test clips", str(found["clips"]), "")]


def _facts(gallery: Gallery) -> dict[str, str]:
    found, config = gallery.metrics, gallery.restored.config
    model = gallery.restored.model
    facts = {
        "Model": f"{config.model.name}, {found['parameters']:,} parameters",
        "S-links": f"up to {model.config.max_hop} hops",
        "A-links": f"{model.config.num_actional} types" if model.aim is not None else "none",
        "Data": f"{config.data}, protocol {found['protocol']}, {found['clips']} test clips",
        "Epochs": f"{config.aim.epochs if model.aim is not None else 0} of A-link inference, "
        f"{config.trainer.epochs} of joint training",
        "Seed": str(found["seed"]),
        "Versions": ", ".join(f"{name} {version}" for name, version in found["versions"].items()),
    }
    seconds = found.get("seconds", {})
    if seconds:
        facts["Time"] = ", ".join(
            f"{name.replace('_', ' ')} {value:.0f} s" for name, value in seconds.items()
        )
    return facts


def view(clips: Sequence[Clip], out: str | Path, *, title: str | None = None) -> Path:
    """Write a page of clips as they were recorded, without any model.

    Parameters
    ----------
    clips
        The clips; of clips of one name all but the first get a number.
    out
        The file.
    title
        Heading; None: the clip's name, or 'Recordings' of several.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    InputError
        If there is no clip, or the name does not end in ``.html``.
    """
    _check_name(Path(out))
    if not clips:
        raise InputError("view needs at least one clip")
    exhibits = [as_exhibit(clip, name) for clip, name in zip(clips, _names(clips), strict=True)]
    layouts = sorted({clip.layout.name for clip in clips})
    count = f"{len(clips)} clip{'' if len(clips) == 1 else 's'}"
    page = Page(
        title=title or (exhibits[0].name if len(exhibits) == 1 else "Recordings"),
        subtitle=f"{count} of {', '.join(layouts)}",
        rows=[Row(e.name, bodies=e.num_bodies, frames=e.num_frames) for e in exhibits],
        exhibits=exhibits,
        facts={"Files": ", ".join(dict.fromkeys(Path(clip.source).name for clip in clips))},
    )
    return write_page(out, page)


def _names(clips: Sequence[Clip]) -> list[str]:
    seen: dict[str, int] = {}
    names = []
    for clip in clips:
        seen[clip.name] = seen.get(clip.name, 0) + 1
        again = seen[clip.name]
        names.append(clip.name if again == 1 else f"{clip.name} ({again})")
    return names


def read_raw(
    paths: Sequence[str | Path],
    data: str | None = None,
    options: Mapping[str, Any] | None = None,
    most: int = CLIPS_CARRIED,
) -> tuple[list[Clip], int]:
    """Read raw recordings of any format.

    Parameters
    ----------
    paths
        Files, folders or stores of any format.
    data
        A format by name, see :data:`asgcn_dgl.data.FORMATS`; None: recognized.
    options
        Options of the format.
    most
        Clips to read, at most.

    Returns
    -------
    tuple of list of Clip and int
        The clips, and how many there were to read.

    Raises
    ------
    InputError
        If a file cannot be used.
    """
    if most < 1:
        raise InputError(f"--clips must be at least 1, got {most}")
    clips: list[Clip] = []
    found = 0
    for path in map(Path, paths):
        source = open_data(path, data, **(options or {}))
        clips += [source.read(number) for number in range(min(len(source), most - len(clips)))]
        found += len(source)
    return clips, found


def as_exhibit(clip: Clip, name: str | None = None) -> Exhibit:
    """Give a clip as it was recorded, to be shown."""
    trimmed = clip.trimmed()
    return Exhibit(name or clip.name, clip.layout, trimmed.pos, trimmed.mask, clip.label)


def moving_picture(
    source: str | Path,
    out: str | Path,
    *,
    clip: str | None = None,
    threshold: float = 0.9,
    links: bool = True,
    rate: float = 30.0,
    checkpoint: str = "auto",
    root: str | Path | None = None,
) -> Path:
    """Write a clip as a GIF or MP4: a test clip of a run with its links, or a raw file.

    Parameters
    ----------
    source
        Folder of an evaluated run, a store, or a file of one clip.
    out
        The file, ending in ``.gif`` or ``.mp4``.
    clip
        Name of the clip; needed for a run and a store.
    threshold
        Probability above which an A-link is drawn.
    links
        Whether to draw A-links.
    rate
        Frames a second.
    checkpoint, root
        As for :func:`report`.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    InputError
        If the clip is not there, an option is out of range, or ffmpeg is missing.
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
    elif place.is_dir():
        store = open_data(place)
        if clip is None:
            raise InputError(f"--clip is needed: a recording's name, such as {store.names[0]}")
        exhibit = as_exhibit(store.read(store.find(clip)))
        names = store.class_names
    else:
        exhibit = as_exhibit(open_data(place).read(0))
    try:
        return animate(
            target,
            exhibit,
            class_names=names,
            threshold=threshold,
            links=links,
            rate=rate,
            up=guess_up([exhibit]),
        )
    except RuntimeError as error:  # no ffmpeg
        raise InputError(str(error)) from error
