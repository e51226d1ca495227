"""One file of any of these formats, for a model that is there already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from asgcn_dgl.data.clip import Clip, read_bytes
from asgcn_dgl.data.formats.bvh import read_bvh, read_hierarchy
from asgcn_dgl.data.formats.files import read_lines
from asgcn_dgl.data.formats.kinetics import read_kinetics
from asgcn_dgl.data.formats.mocap import CMU, H36M, read_mocap
from asgcn_dgl.data.formats.npz import read_npz
from asgcn_dgl.data.formats.own import Missing, read_arrays, read_table_clip
from asgcn_dgl.data.formats.rows import index_rows
from asgcn_dgl.data.formats.source import Origin
from asgcn_dgl.data.formats.utkinect import LABELS, read_span, read_spans
from asgcn_dgl.data.ntu import read_ntu
from asgcn_dgl.errors import InputError
from asgcn_dgl.skeleton import SkeletonLayout

__all__ = ["NW_UCLA", "RAW_SUFFIXES", "Kind", "is_kinetics", "read_raw", "read_skeleton"]

#: Suffixes of the files that :func:`read_raw` reads.
RAW_SUFFIXES = (".bvh", ".npz", ".csv", ".parquet", ".txt")


class Kind(NamedTuple):
    """A kind of files.

    Attributes
    ----------
    title
        What it is called in messages.
    formats
        Names of the formats that recordings of it are prepared by.
    options
        Those of the format's options that tell how one file is read.
    """

    title: str
    formats: tuple[str, ...]
    options: tuple[str, ...]

    def choose(
        self, path: str | Path, given: Mapping[str, Any] | None, origins: Sequence[Origin]
    ) -> dict[str, Any]:
        """Return options to read a file with: what is given, the rest as a model's clips were read.

        Raises
        ------
        InputError
            If an option is not known, or the clips were read in several ways.
        """
        own = dict(given or {})
        unknown = [option for option in own if option not in self.options]
        if unknown:
            known = f"there are {', '.join(self.options)}" if self.options else "there are none"
            raise InputError(f"{path}: no option {unknown[0]!r} for {self.title} files; {known}")
        for option in self.options:
            values: list[Any] = []
            for origin in origins:
                if origin.format in self.formats and option in origin.options:
                    values += [each for each in [origin.options[option]] if each not in values]
            if option not in own and len(values) > 1:
                raise InputError(
                    f"{path}: the model's clips were read with {option}={values[0]} and "
                    f"{option}={values[1]}; say which by --options.{option}"
                )
            if option not in own and values:
                own[option] = values[0]
        return own


BVH = Kind("BVH", ("bvh",), ("scale", "step", "positions"))
KINETICS = Kind("Kinetics-Skeleton", ("kinetics",), ("bodies", "min_score", "score"))
MOTION_CAPTURE = {
    recorder: Kind("motion capture", (recorder,), ("step", "root_motion", "rest_pose"))
    for recorder in ("cmu", "h36m")
}
NTU = Kind(
    "NTU",
    ("ntu60", "ntu120", "synthetic"),
    ("max_bodies", "min_state", "select", "noise", "join"),
)
NW_UCLA = Kind("NW-UCLA", ("nw_ucla",), ())
OWN = Kind("own", ("own",), ("nan", "min_score"))
UTKINECT = Kind("UTKinect", ("utkinect",), ("gaps", "nan_spans"))


def read_skeleton(
    path: str | Path, options: Mapping[str, Any] | None = None, origins: Sequence[Origin] = ()
) -> Clip:
    """Read a file of NTU RGB+D.

    Parameters
    ----------
    path
        The file.
    options, origins
        As for :func:`read_raw`.

    Raises
    ------
    InputError
        If the reader refuses the file or an option.
    """
    try:
        return read_ntu(path, **NTU.choose(path, options, origins))
    except InputError:
        raise
    except (TypeError, ValueError) as error:  # of an option
        raise InputError(f"{path}: {error}") from error


def is_kinetics(path: str | Path) -> bool:
    """Tell whether a ``.json`` file is a clip of Kinetics-Skeleton."""
    if Path(path).suffix.lower() != ".json":
        return False
    return b'"frame_index"' in read_bytes(path)


def read_raw(
    path: str | Path,
    layouts: Sequence[SkeletonLayout],
    options: Mapping[str, Any] | None = None,
    origins: Sequence[Origin] = (),
) -> list[Clip]:
    """Read the recordings of a file.

    Parameters
    ----------
    path
        ``.bvh``; ``.npz``, ``.csv`` or ``.parquet`` of the own format; ``.txt`` of exponential
        maps (CMU, Human3.6M) or of UTKinect, of which each action is a clip where
        ``actionLabel.txt`` lies beside it, else the whole video is one; ``.json`` of
        Kinetics-Skeleton.
    layouts
        Those that the model knows: a file that does not tell its skeleton has the one that fits.
    options
        Options of the format.
    origins
        How the model's recordings were read, which the file is read like where ``options`` do not
        say otherwise.

    Returns
    -------
    list of Clip
        At least one.

    Raises
    ------
    InputError
        If the file is none of these, or its reader refuses it.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix == ".bvh":
        given = BVH.choose(path, options, origins)
        hierarchy = read_hierarchy(path)
        same = [layout for layout in layouts if layout.joints == hierarchy.joints]
        return [read_bvh(path, same[0] if same else None, **given)]
    if suffix == ".json":
        return [read_kinetics(path, **KINETICS.choose(path, options, origins))]
    if suffix in (".npz", ".csv", ".parquet"):
        missing = Missing(**OWN.choose(path, options, origins)).check()
    if suffix == ".npz":
        found = read_npz(path, ("keypoints",)).get("keypoints")
        joints = found.shape[-2] if found is not None and found.ndim > 1 else 0
        return [read_arrays(path, _fitting(layouts, joints), missing=missing)]
    if suffix in (".csv", ".parquet"):
        return [
            read_table_clip(path, block, layouts[0], missing=missing) for block in index_rows(path)
        ]
    if suffix == ".txt":
        return _read_text(path, options, origins)
    raise InputError(f"{path}: not one of {', '.join(RAW_SUFFIXES)}; give such a file")


def _fitting(layouts: Sequence[SkeletonLayout], joints: int) -> SkeletonLayout:
    return next((each for each in layouts if each.num_joints == joints), layouts[0])


def _read_text(
    path: Path, options: Mapping[str, Any] | None, origins: Sequence[Origin]
) -> list[Clip]:
    """Tell text files apart by their first line."""
    first = read_lines(path)[0]
    for name, recorder in (("cmu", CMU), ("h36m", H36M)):
        if first.count(",") == recorder.columns - 1:
            given = MOTION_CAPTURE[name].choose(path, options, origins)
            if recorder is H36M:  # its files do not begin with a pose of calibration
                given.setdefault("rest_pose", "keep")
            return [read_mocap(path, recorder, **given)]
    if len(first.split()) != 61:
        raise InputError(
            f"{path}: its first line is neither exponential maps of CMU (117 numbers) or "
            "Human3.6M (99), nor a frame of UTKinect (61); give such a file"
        )
    given = UTKINECT.choose(path, options, origins)
    gaps = given.get("gaps", "keep")
    labels = path.parent / LABELS
    video = path.stem.removeprefix("joints_")
    rule = given.get("nan_spans", "drop")
    spans = read_spans(labels, rule) if labels.is_file() else []
    mine = [span for span in spans if span.video == video]
    return [read_span(path, span, gaps) for span in mine] or [read_span(path, None, gaps)]
