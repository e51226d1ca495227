"""What a store holds: counts, missing joints, bone lengths, clips to look at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from asgcn_dgl.data.clip import Clip
from asgcn_dgl.data.rates import doubt_rates, rate_of
from asgcn_dgl.data.reader import Reader, numbered_classes
from asgcn_dgl.errors import InputError

FEW_FRAMES = 8
MUCH_MISSING = 0.3  # of a clip's joints
UNSTEADY_BONES = 0.25  # median over bones of the standard deviation of their length, of its mean
USUAL_SIZES = (0.05, 20.0)  # of a body, in the unit that training takes
FAR_JUMPS = 1.0  # largest step of a joint from frame to frame, in body sizes


@dataclass(frozen=True)
class Doubt:
    """A recording that may harm training, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class Survey:
    """Statistics of a set; lengths in the unit of the data, see :func:`survey`.

    ``classes``, ``subjects``, ``bodies`` and ``rates`` count recordings by class name, subject
    (where known), number of bodies and frames a second; ``splits`` holds the sizes of the training
    and test parts; ``frames`` fewest, median and most frames. ``missing`` is the share of missing
    joints, ``missing_joints`` the same by joint. ``bones`` holds for each bone the median of its
    length and of its standard deviation within a recording, ``size`` the median diagonal
    of a body's box.
    """

    recordings: int
    classes: dict[str, int]
    unlabelled: int
    splits: dict[str, tuple[int, int]]
    subjects: dict[int, int]
    bodies: dict[int, int]
    frames: tuple[int, float, int]
    rates: dict[float, int]
    missing: float
    missing_joints: dict[str, float]
    bones: dict[str, tuple[float, float]]
    size: float
    doubts: tuple[Doubt, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain containers, fit for JSON."""
        return asdict(self)

    def __str__(self) -> str:
        low, middle, high = self.frames
        lines = [f"{self.recordings} recordings of {low} to {high} frames (median {middle:g})"]
        if self.rates:
            counts = (f"{rate:g} ({n} recordings)" for rate, n in sorted(self.rates.items()))
            lines.append("frames a second: " + ", ".join(counts))
        counts = (f"{n} recordings of {bodies}" for bodies, n in sorted(self.bodies.items()))
        lines.append("bodies: " + ", ".join(counts))
        worst = sorted(self.missing_joints.items(), key=lambda joint: -joint[1])[:3]
        most = ", ".join(f"{name} {100 * share:.2f} %" for name, share in worst if share)
        lines.append(
            f"missing joints: {100 * self.missing:.2f} %" + f" (most: {most})" * bool(most)
        )
        if self.subjects:
            few, many = min(self.subjects.values()), max(self.subjects.values())
            each = f"{few} to {many}" if few < many else f"{few}"
            lines.append(f"subjects: {len(self.subjects)}, {each} recordings each")
        lines += [f"split {name}: {a} train, {b} test" for name, (a, b) in self.splits.items()]
        width = max(map(len, self.classes), default=0)
        lines.append("recordings by class:")
        lines += [f"  {name:<{width}} {count:>6}" for name, count in self.classes.items()]
        if self.unlabelled:
            lines.append(f"  {'(no class)':<{width}} {self.unlabelled:>6}")
        width = max(map(len, self.bones), default=0)
        lines.append("bones, median length and deviation within a recording:")
        lines += [
            f"  {name:<{width}} {length:>9.4g} {spread:>9.4g}"
            for name, (length, spread) in self.bones.items()
        ]
        lines.append(f"size of a body: {self.size:.4g}")
        unstated = self.recordings - sum(self.rates.values())
        rates = doubt_rates([*Counter(self.rates).elements(), *[0.0] * unstated])
        lines += [f"WARNING: {doubt}" for doubt in (doubt_unit(self.size), rates) if doubt]
        lines.append(f"clips to look at: {len(self.doubts)}")
        lines += [f"  {doubt.name}: {doubt.reason}" for doubt in self.doubts[:20]]
        if len(self.doubts) > 20:
            lines.append(f"  ... and {len(self.doubts) - 20} more (--json has all)")
        return "\n".join(lines)


def survey(reader: Reader, progress: Callable[[int, int], None] | None = None) -> Survey:
    """Read all recordings of a reader and return their :class:`Survey`.

    Bones are measured where both ends are seen. ``progress`` is called with the recordings done and
    all.
    """
    if not len(reader):
        raise InputError("the reader holds no recording; there is nothing to look at")
    layout = reader.layout
    clips: list[tuple[int, int, int, float, float]] = []
    seen, places = np.zeros(layout.num_joints), 0
    measured: list[tuple[np.ndarray, np.ndarray]] = []
    doubts: list[Doubt] = []
    for done, clip in enumerate(reader, start=1):
        size = body_size(clip)
        clips.append((clip.label, clip.num_bodies, clip.num_frames, rate_of(clip), size))
        seen += clip.mask.sum(axis=(0, 1))
        places += clip.num_bodies * clip.num_frames
        measured.append(bone_lengths(clip))
        doubts += [Doubt(clip.name, reason) for reason in _doubts(clip, size, *measured[-1])]
        if progress is not None:
            progress(done, len(reader))
    labels, bodies, frames, rates, sizes = zip(*clips, strict=True)
    names = reader.class_names or numbered_classes(labels)
    missing = 1 - seen / places
    subjects = [reader.recording(index).subject for index in range(len(reader))]
    return Survey(
        recordings=len(reader),
        classes={name: labels.count(number) for number, name in enumerate(names)},
        unlabelled=sum(label < 0 for label in labels),
        splits={name: (len(split.train), len(split.test)) for name, split in reader.splits.items()},
        subjects=dict(sorted(Counter(n for n in subjects if n >= 0).items())),
        bodies=dict(Counter(bodies)),
        frames=(min(frames), float(np.median(frames)), max(frames)),
        rates=dict(Counter(rate for rate in rates if rate)),
        missing=float(missing.mean()),
        missing_joints=dict(zip(layout.joints, missing.tolist(), strict=True)),
        bones=_bones(reader, measured),
        size=float(np.median(sizes)),
        doubts=tuple(doubts),
    )


def bone_lengths(clip: Clip) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of the bones' lengths, (E,) each; NaN if never seen."""
    near, far = np.array(clip.layout.bones, dtype=int).reshape(-1, 2).T
    both = clip.mask[:, :, near] & clip.mask[:, :, far]  # (M, T, E)
    length = np.linalg.norm(clip.places[:, :, near] - clip.places[:, :, far], axis=-1)
    count = both.sum(axis=(0, 1))
    with np.errstate(invalid="ignore"):
        mean = np.where(both, length, 0).sum(axis=(0, 1)) / count
        square = np.where(both, (length - mean) ** 2, 0).sum(axis=(0, 1)) / count
    return mean, np.sqrt(square)


def _bones(
    reader: Reader, measured: list[tuple[np.ndarray, np.ndarray]]
) -> dict[str, tuple[float, float]]:
    found, joints = {}, reader.layout.joints
    both = np.array(measured)  # (recordings, 2, E)
    for (near, far), values in zip(reader.layout.bones, np.moveaxis(both, 2, 0), strict=True):
        values = values[np.isfinite(values[:, 0])]
        if len(values):
            length, spread = np.median(values, axis=0).tolist()
            found[f"{joints[near]} - {joints[far]}"] = (length, spread)
    return found


def _doubts(clip: Clip, size: float, mean: np.ndarray, spread: np.ndarray) -> list[str]:
    """Return why a recording may harm training; empty for most."""
    reasons = []
    if clip.num_frames < FEW_FRAMES:
        reasons.append(f"only {clip.num_frames} frame{'s' if clip.num_frames > 1 else ''}")
    missing = 1 - clip.mask.mean()
    if missing > MUCH_MISSING:
        reasons.append(f"{100 * missing:.0f} % of its joints are missing")
    measured = mean > 0
    unsteady = np.median(spread[measured] / mean[measured]) if measured.any() else 0.0
    if unsteady > UNSTEADY_BONES:
        reasons.append(f"its bones change their length by {100 * unsteady:.0f} %")
    both = clip.mask[:, 1:] & clip.mask[:, :-1]
    steps = np.linalg.norm(np.diff(clip.places, axis=1), axis=-1)
    step = float(np.where(both, steps, 0).max(initial=0.0))
    if step == 0.0 and clip.num_frames > 1:
        reasons.append("nothing moves")
    elif size > 0 and step > FAR_JUMPS * size:
        reasons.append(f"a joint jumps by {step / size:.1f} body sizes from one frame to the next")
    return reasons


def doubt_unit(size: float) -> str:
    """Return a warning where bodies are in another unit than training takes, else ''."""
    low, high = USUAL_SIZES
    if size <= 0 or low <= size <= high:
        return ""
    return (
        f"bodies are about {size:.4g} units across, and training takes about 1: where no "
        "--clips.unit is given, train takes the size of its own clips"
    )


def body_size(clip: Clip) -> float:
    """Return the median over frames of the diagonal of a body's box."""
    sizes = [
        np.linalg.norm(np.ptp(frame[here], axis=0))
        for body, masks in zip(clip.places, clip.mask, strict=True)
        for frame, here in zip(body, masks, strict=True)
        if here.sum() > 1
    ]
    return float(np.median(sizes)) if sizes else 0.0
