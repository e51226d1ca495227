"""Transforms of clips: alignment, augmentation, and choosing frames.

Each is called as ``transform(clip, rng)``; all randomness comes from ``rng``. Missing joints stay
exactly 0. Alignment and augmentation belong before the choice of frames, so that the poses to be
predicted are moved along with the input.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from asgcn_dgl.data.clip import Clip
from asgcn_dgl.data.files import check_choice, need
from asgcn_dgl.data.rotations import axis_to_matrix

Transform = Callable[[Clip, np.random.Generator], Clip]


class Compose:
    """Apply transforms ``(clip, rng) -> clip`` one after another; none leaves the clip as it is.

    Examples
    --------
    >>> Compose(Center(), RandomScale(0.5, 1.5))
    Compose(Center(), RandomScale(low=0.5, high=1.5, per_axis=False))
    """

    def __init__(self, *transforms: Transform) -> None:
        self.transforms = transforms

    def __call__(self, clip: Clip, rng: np.random.Generator) -> Clip:
        for transform in self.transforms:
            clip = transform(clip, rng)
        return clip

    def __repr__(self) -> str:
        return f"Compose({', '.join(map(repr, self.transforms))})"


# Alignment ---------------------------------------------------------------------------------------


def _shown(clip: Clip, joints: Sequence[int]) -> tuple[int, np.ndarray] | None:
    """Return the first body that shows all joints in a frame, and the frames that do, (n,)."""
    seen = np.asarray(clip.mask[:, :, list(joints)].all(axis=2))
    bodies = np.flatnonzero(seen.any(axis=1))
    return (int(bodies[0]), np.flatnonzero(seen[bodies[0]])) if len(bodies) else None


def _reference(clip: Clip, *joints: int) -> np.ndarray | None:
    """Return places (len(joints), d) in the first frame that shows all.

    Reading no later frame than needed keeps what is to be predicted out of the alignment.
    """
    found = _shown(clip, joints)
    return None if found is None else clip.places[found[0], found[1][0], list(joints)]


@dataclass(frozen=True)
class Center:
    """Move the origin to the center joint of the first body in its first frame.

    One shift serves all bodies and frames, so paths and the bodies' distances stay. A clip that
    never shows the joint is centered on the mean of the joints that it shows first.
    """

    def __call__(self, clip: Clip, rng: np.random.Generator | None = None) -> Clip:
        found = _reference(clip, clip.layout.center)
        if found is None:
            shown = np.argwhere(clip.mask.any(axis=2))  # (n, 2) pairs of body and frame
            if not len(shown):
                return clip
            body, frame = shown[0]
            origin = clip.places[body, frame][clip.mask[body, frame]].mean(axis=0)
        else:
            origin = found[0]
        return clip.with_places(clip.places - origin)


@dataclass(frozen=True)
class InUnit:
    """Divide places by a length above 0, in the unit of the recordings, which becomes 1."""

    length: float

    def __call__(self, clip: Clip, rng: np.random.Generator | None = None) -> Clip:
        return clip.with_places(clip.places / np.float32(self.length))


@dataclass(frozen=True)
class AlignSpine:
    """Turn the clip about the origin so that the first body's spine points along z.

    The spine is read in the first frame that shows both of the layout's ``spine`` joints, and all
    frames and bodies turn by the same, smallest angle. Needs three coordinates.
    """

    def __call__(self, clip: Clip, rng: np.random.Generator | None = None) -> Clip:
        _need_3d(clip, "AlignSpine")
        spine = clip.layout.spine
        return _turned_to(clip, spine and _line(clip, spine[1], spine[0]), axis=2)


@dataclass(frozen=True)
class ViewNormalize:
    """Turn the clip so that the spine points along z and the shoulders along x.

    Like :class:`AlignSpine` it reads the first frame that shows the joints.

    Parameters
    ----------
    published
        The published preparation of NTU RGB+D (Shahroudy et al., CVPR 2016) turns twice, each time
        by the smallest angle: the shoulders come to lie along x, and the spine tilts again. False
        makes the second turn about z alone: the spine stays upright, and the line from the left to
        the right shoulder has no y component.
    whole
        Read the shoulders in all frames instead, as their geometric median in the horizontal plane:
        a frame that disagrees with most others hardly counts. It reads frames that may be to be
        predicted.
    """

    published: bool = False
    whole: bool = False

    def __post_init__(self) -> None:
        need(not (self.published and self.whole), "whole must be False where published is True")

    def __call__(self, clip: Clip, rng: np.random.Generator | None = None) -> Clip:
        clip = AlignSpine()(clip)
        ends = clip.layout.shoulders
        across = shoulder_line(clip, coords=2) if self.whole else ends and _line(clip, *ends)
        if across is not None and not self.published:
            across = np.append(across[:2], 0.0)
        return _turned_to(clip, across, axis=0)


def shoulder_line(clip: Clip, coords: int = 3) -> np.ndarray | None:
    """Return the line from left to right shoulder, (coords,): its geometric median over the frames.

    That of the first body that shows them; None if none does.
    """
    ends = clip.layout.shoulders
    found = ends and _shown(clip, ends)
    if not ends or not found:
        return None
    right, left = np.moveaxis(clip.places[found[0], found[1]][:, list(ends), :coords], 1, 0)
    return median_point(right.astype(np.float64) - left)


def median_point(points: np.ndarray, rounds: int = 500) -> np.ndarray:
    """Return the geometric median of (n, d) points, to a millionth of their spread.

    Weiszfeld's iteration, which would stay at one of the points; it continues there as Vardi and
    Zhang do (The multivariate L1-median and associated data depth, PNAS 2000).
    """
    median = np.median(points, axis=0)
    least = 1e-6 * float(np.abs(points - median).max())
    if least == 0:
        return median
    for _ in range(rounds):
        away = points - median
        distance = np.linalg.norm(away, axis=1)
        there = distance <= least
        weight = np.where(there, 0, 1 / np.maximum(distance, least))
        pull = weight @ away
        strength = float(np.linalg.norm(pull))
        if strength <= there.sum():  # the points elsewhere do not pull it off this one
            break
        step = (1 - there.sum() / strength) * pull / weight.sum()
        median = median + step
        if float(np.linalg.norm(step)) <= least:
            break
    return np.asarray(median)


@dataclass(frozen=True)
class PublishedView:
    """Place poses of Kinect as a published code prepares NTU RGB+D.

    The origin is the upper end of the first body's spine; then both turns of :class:`ViewNormalize`
    as published. Needs three coordinates. With ``every_frame`` the origin is taken in each frame
    that shows it (2s-AGCN, AS-GCN); else in the first, and frames without the first body are left
    out (PYSKL's ``PreNormalize3D``).
    """

    every_frame: bool = False

    def __call__(self, clip: Clip, rng: np.random.Generator | None = None) -> Clip:
        _need_3d(clip, "PublishedView")
        top = clip.layout.center if clip.layout.spine is None else clip.layout.spine[1]
        if self.every_frame:
            clip = clip.with_places(clip.places - clip.places[:1, :, top : top + 1])
        else:
            shown = clip.mask[0].any(axis=1)
            if shown.any() and not shown.all():
                clip = clip.frames(np.flatnonzero(shown))
            found = _reference(clip, top)
            if found is not None:
                clip = clip.with_places(clip.places - found[0])
        return ViewNormalize(published=True)(clip)


def _line(clip: Clip, to: int, begin: int) -> np.ndarray | None:
    """Return the line (3,) between two joints in the first frame that shows both."""
    found = _reference(clip, to, begin)
    return None if found is None else (found[0] - found[1]).astype(np.float64)


def _turned_to(clip: Clip, line: np.ndarray | None, axis: int) -> Clip:
    """Turn the clip by the smallest angle that takes a line (3,), if there is one, to an axis."""
    if line is None or not line.any():
        return clip
    unit, goal = line / float(np.linalg.norm(line)), np.eye(3)[axis]
    along = float(unit @ goal)
    if along < -1 + 1e-9:  # the other way round: every axis across is as short, take the next
        keep = np.eye(3)[axis - 2]
        return _rotate(clip, 2 * np.outer(keep, keep) - np.eye(3))
    cross = np.outer(goal, unit) - np.outer(unit, goal)
    return _rotate(clip, np.eye(3) + cross + cross @ cross / (1 + along))


def _rotate(clip: Clip, matrix: np.ndarray) -> Clip:
    return clip.with_places(clip.places @ matrix.T.astype(np.float32))


def _need_3d(clip: Clip, name: str) -> None:
    size = clip.num_places
    need(size == 3, f"{name} needs clips of 3 coordinates, {clip.name} has {size}")


# Augmentation ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class RandomRotate:
    """Rotate the clip about the origin by random angles about the axes.

    Parameters
    ----------
    max_degrees
        Angles are drawn from [-max, max], about x, y and z; one number serves all three axes. In
        two coordinates the last angle turns the plane.
    order
        Axes in the order in which the clip is turned about them: ``"xyz"`` or ``"zyx"``.
    """

    max_degrees: float | tuple[float, float, float] = 60.0
    order: str = "xyz"

    def __post_init__(self) -> None:
        check_choice("order", self.order, ("xyz", "zyx"))
        angles = np.asarray(self.max_degrees)
        good = ((angles >= 0) & (angles <= 180)).all()
        need(good, f"max_degrees must be within 0..180, got {self.max_degrees!r}")

    def __call__(self, clip: Clip, rng: np.random.Generator) -> Clip:
        limits = np.broadcast_to(np.radians(self.max_degrees), 3)
        angles = rng.uniform(-limits, limits)
        if clip.num_places == 2:
            return _rotate(clip, axis_to_matrix(2, angles[2])[:2, :2])
        _need_3d(clip, "RandomRotate")
        turns = [axis_to_matrix(axis, angle) for axis, angle in enumerate(angles)]
        if self.order == "zyx":
            turns.reverse()
        return _rotate(clip, turns[2] @ turns[1] @ turns[0])


@dataclass(frozen=True)
class RandomScale:
    """Scale the clip about the origin by a factor drawn from [``low``, ``high``].

    ``per_axis`` draws a factor for each coordinate axis instead.
    """

    low: float = 0.5
    high: float = 1.5
    per_axis: bool = False

    def __post_init__(self) -> None:
        good = 0 < self.low <= self.high
        need(good, f"RandomScale needs 0 < low <= high, got {self.low} and {self.high}")

    def __call__(self, clip: Clip, rng: np.random.Generator) -> Clip:
        factor = rng.uniform(self.low, self.high, size=clip.num_places if self.per_axis else 1)
        return clip.with_places(clip.places * factor.astype(np.float32))


@dataclass(frozen=True)
class RandomShear:
    """Shear the clip about the origin: each axis is mixed with a share of the others.

    The shares are drawn from [-amount, amount].
    """

    amount: float = 0.5

    def __post_init__(self) -> None:
        need(self.amount >= 0, f"amount must be at least 0, got {self.amount}")

    def __call__(self, clip: Clip, rng: np.random.Generator) -> Clip:
        size = clip.num_places
        matrix = rng.uniform(-self.amount, self.amount, size=(size, size))
        np.fill_diagonal(matrix, 1.0)
        return _rotate(clip, matrix)


@dataclass(frozen=True)
class RandomFlip:
    """Mirror a share of the clips: swap left and right joints and negate x."""

    probability: float = 0.5

    def __post_init__(self) -> None:
        good = 0 <= self.probability <= 1
        need(good, f"probability must be within 0..1, got {self.probability}")

    def __call__(self, clip: Clip, rng: np.random.Generator) -> Clip:
        if rng.random() >= self.probability:
            return clip
        order = clip.layout.mirror_index
        pos = clip.pos[:, :, order]
        pos[..., 0] *= -1
        return clip.with_pos(pos, clip.mask[:, :, order])


@dataclass(frozen=True)
class RandomNoise:
    """Add Gaussian noise of deviation ``sigma``, in the clip's unit, to each seen joint."""

    sigma: float = 0.01

    def __post_init__(self) -> None:
        need(self.sigma >= 0, f"sigma must be at least 0, got {self.sigma}")

    def __call__(self, clip: Clip, rng: np.random.Generator) -> Clip:
        noise = rng.standard_normal(clip.places.shape, dtype=np.float32)
        return clip.with_places(clip.places + np.float32(self.sigma) * noise)


@dataclass(frozen=True)
class RandomLoss:
    """Lose joints for a while, as sensors and estimators do: they are masked as missing.

    A joint of a body is lost with ``probability``, once in the clip, for a share of the frames that
    is drawn from (0, ``span``]. A clip that would lose all that is seen stays as it is.
    """

    probability: float = 0.1
    span: float = 0.5

    def __post_init__(self) -> None:
        good = 0 <= self.probability <= 1 and 0 < self.span <= 1
        need(good, f"RandomLoss needs 0 <= probability <= 1 and 0 < span <= 1, got {self}")

    def __call__(self, clip: Clip, rng: np.random.Generator) -> Clip:
        bodies, frames, joints = clip.mask.shape
        lost = rng.random((bodies, 1, joints)) < self.probability
        length = np.ceil((1 - rng.random((bodies, 1, joints))) * self.span * frames)
        start = np.floor(rng.random((bodies, 1, joints)) * (frames - length + 1))
        time = np.arange(frames)[:, None]
        mask = clip.mask & ~(lost & (time >= start) & (time < start + length))
        return clip.with_pos(clip.pos, mask) if mask.any() else clip


@dataclass(frozen=True)
class RandomMove:
    """Drift of a hand-held camera: turn, scale and shift in the x-y plane, changing over time.

    The random moving of ST-GCN's and AS-GCN's published configurations. At ``keys`` key frames that
    are spread evenly over the clip, an angle is drawn from [-``max_degrees``, ``max_degrees``], a
    factor from ``scale``, and shifts along x and y from [-``max_shift``, ``max_shift``], in the
    unit of the positions; they are interpolated linearly between.
    """

    max_degrees: float = 10.0
    scale: tuple[float, float] = (0.9, 1.1)
    max_shift: float = 0.2
    keys: int = 2

    def __post_init__(self) -> None:
        low, high = self.scale
        need(self.keys >= 2, f"keys must be at least 2, got {self.keys}")
        need(
            self.max_degrees >= 0 and self.max_shift >= 0 and 0 < low <= high,
            "RandomMove needs max_degrees >= 0, max_shift >= 0 and 0 < scale[0] <= scale[1], "
            f"got {self}",
        )

    def __call__(self, clip: Clip, rng: np.random.Generator) -> Clip:
        frames = np.linspace(0, clip.num_frames - 1, self.keys)
        limits = (np.radians(self.max_degrees), self.max_shift, self.max_shift)
        angle, right, up, size = (
            np.interp(np.arange(clip.num_frames), frames, rng.uniform(low, high, self.keys))
            for low, high in (*((-limit, limit) for limit in limits), self.scale)
        )
        cos, sin = size * np.cos(angle), size * np.sin(angle)
        turn = np.stack([cos, -sin, sin, cos], axis=-1).reshape(-1, 2, 2)  # (T, 2, 2)
        plane = np.einsum("tij,mtvj->mtvi", turn, clip.pos[..., :2])
        pos = clip.pos.copy()
        pos[..., :2] = plane + np.stack([right, up], axis=-1)[:, None]
        return clip.with_pos(pos)


@dataclass(frozen=True)
class FitBox:
    r"""Bring each axis of the clip to [-1, 1] by its own least and largest value.

    .. math::

        x' = 2\, \frac{x - \min x}{\max x - \min x} - 1

    over all bodies, frames and joints that are seen; an axis without extent becomes 0. Where the
    clip was, and how large, is lost with it: predicted poses are in the box's unit. The published
    preparation of Northwestern-UCLA, which CTR-GCN and others share, does this after its random
    turns.

    As the last transform of a :class:`SkeletonDataset`, in no further :class:`Compose`, it is
    fitted to the observed frames of a clip, and its future moves with them.
    """

    def __call__(self, clip: Clip, rng: np.random.Generator | None = None) -> Clip:
        return self.fitted(clip, clip)[0]

    def fitted(self, clip: Clip, part: Clip) -> tuple[Clip, np.ndarray]:
        """Return ``clip`` moved by the least and largest values of a part of it, and its unit.

        The unit is the length (d,) that is 1 afterwards, along each axis.
        """
        seen = part.places[part.mask]  # (n, d)
        if not len(seen):
            return clip, np.ones(clip.num_places)
        low, high = seen.min(axis=0), seen.max(axis=0)
        extent = np.where(high > low, high - low, 1)
        places = np.where(high > low, 2 * (clip.places - low) / extent - 1, 0)
        return clip.with_places(places), extent / 2


# Choice of frames --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Crop:
    """Keep a contiguous stretch of the clip, at least one frame.

    The share of the frames to keep is drawn from [``low``, ``high``]; without ``random`` it is the
    middle ``high`` share.
    """

    low: float = 0.5
    high: float = 1.0
    random: bool = True

    def __post_init__(self) -> None:
        good = 0 < self.low <= self.high <= 1
        need(good, f"Crop needs 0 < low <= high <= 1, got {self.low} and {self.high}")

    def __call__(self, clip: Clip, rng: np.random.Generator) -> Clip:
        share = rng.uniform(self.low, self.high) if self.random else self.high
        length = max(1, round(share * clip.num_frames))
        spare = clip.num_frames - length
        start = int(rng.integers(spare + 1)) if self.random else spare // 2
        return clip.frames(slice(start, start + length))


@dataclass(frozen=True)
class RandomSpeed:
    """Play the clip faster and slower, by linear interpolation over time.

    Speeds, of which 1 is that of the recording, are drawn evenly in ratios from [``low``, ``high``]
    at ``keys`` key frames that are spread evenly over the clip, and change linearly between them;
    the clip grows or shrinks by their mean. Missing joints are treated as by :class:`Resample`.
    """

    low: float = 0.8
    high: float = 1.25
    keys: int = 3

    def __post_init__(self) -> None:
        good = 0 < self.low <= self.high and self.keys >= 1
        need(good, f"RandomSpeed needs 0 < low <= high and keys >= 1, got {self}")

    def __call__(self, clip: Clip, rng: np.random.Generator) -> Clip:
        speed = np.exp(rng.uniform(np.log(self.low), np.log(self.high), size=self.keys))
        last = clip.num_frames - 1
        frames = np.arange(last)
        slow = 1 / np.interp(frames, np.linspace(0, max(last - 1, 0), self.keys), speed)
        when = np.concatenate([[0.0], np.cumsum(slow)])  # each frame's time in the result
        place = np.interp(np.linspace(0, when[-1], round(when[-1]) + 1), when, np.arange(last + 1))
        return resampled(clip, place)


@dataclass(frozen=True)
class UniformSample:
    """Take one frame out of each of equally long segments of the clip.

    A clip shorter than ``num_frames`` shows frames several times, in order.

    Parameters
    ----------
    num_frames
        Segments, and frames of the result.
    random
        Draw the place in each segment.
    place
        Where in each segment, from 0 to 1, if it is not drawn.

    Examples
    --------
    >>> UniformSample(4, random=False).index(8, None).tolist()
    [1, 3, 5, 7]
    >>> UniformSample(4, random=False).index(2, None).tolist()
    [0, 0, 1, 1]
    """

    num_frames: int
    random: bool = True
    place: float = 0.5

    def __post_init__(self) -> None:
        _check_frames(self.num_frames)
        need(0 <= self.place <= 1, f"place must be within 0..1, got {self.place}")

    def index(self, length: int, rng: np.random.Generator | None) -> np.ndarray:
        """Return (num_frames,) ascending frames of a clip of ``length`` frames."""
        place = rng.random(self.num_frames) if self.random and rng is not None else self.place
        frame = (np.arange(self.num_frames) + place) * (length / self.num_frames)
        return np.minimum(frame.astype(np.int64), length - 1)

    def __call__(self, clip: Clip, rng: np.random.Generator) -> Clip:
        return clip.frames(self.index(clip.num_frames, rng))


@dataclass(frozen=True)
class LoopSample(UniformSample):
    """Like :class:`UniformSample`, but a shorter clip goes round, as PYSKL does it.

    ``random`` draws the frame that a shorter clip begins with too, and ``place`` is where it begins
    if it is not drawn.

    Examples
    --------
    >>> LoopSample(5, random=False, place=0).index(3, None).tolist()
    [0, 1, 2, 0, 1]
    """

    def index(self, length: int, rng: np.random.Generator | None) -> np.ndarray:
        """Return (num_frames,) frames of a clip of ``length`` frames."""
        if length >= self.num_frames:
            return super().index(length, rng)
        place = rng.random() if self.random and rng is not None else self.place
        return (min(int(place * length), length - 1) + np.arange(self.num_frames)) % length


@dataclass(frozen=True)
class RandomSample(UniformSample):
    """Draw frames from the whole clip, with repetition, in rising order.

    Some frames are seen several times and others not at all, so that the clip runs unevenly; the
    published preparation of Northwestern-UCLA does so. If none is drawn the frames are spread
    evenly from the first to the last, moved by the share ``place - 1/2`` of their distance.

    Examples
    --------
    >>> RandomSample(4, random=False).index(10, None).tolist()
    [0, 3, 6, 9]
    """

    def index(self, length: int, rng: np.random.Generator | None) -> np.ndarray:
        """Return (num_frames,) ascending frames of a clip of ``length`` frames."""
        if self.random and rng is not None:
            return np.sort(rng.integers(length, size=self.num_frames))
        moved = (self.place - 0.5) * (length - 1) / self.num_frames
        frame = np.linspace(0, length - 1, self.num_frames) + moved
        return np.clip(frame, 0, length - 1).astype(np.int64)


@dataclass(frozen=True)
class Resample:
    """Stretch or squeeze the clip to ``num_frames`` by linear interpolation over time.

    The first and last frames stay the first and last. A joint counts as seen where the nearer of
    the two frames saw it; where only one of the two did, its position is taken.
    """

    num_frames: int

    def __post_init__(self) -> None:
        _check_frames(self.num_frames)

    def __call__(self, clip: Clip, rng: np.random.Generator | None = None) -> Clip:
        if clip.num_frames == self.num_frames:
            return clip
        return resampled(clip, np.linspace(0, clip.num_frames - 1, self.num_frames))


def resampled(clip: Clip, place: np.ndarray) -> Clip:
    """Return the clip at (T,) places in time, interpolated between the frames around each."""
    before = place.astype(np.int64)
    after = np.minimum(before + 1, clip.num_frames - 1)
    return blended(clip, before, after, place - before)


def blended(clip: Clip, before: np.ndarray, after: np.ndarray, share: np.ndarray) -> Clip:
    """Return the clip between pairs of its frames, (T,) each, by the share of the second."""
    share = share.astype(np.float32)[:, None, None]  # (T, 1, 1)
    pos = (1 - share) * clip.pos[:, before] + share * clip.pos[:, after]
    if clip.mask.all():
        return clip.with_pos(pos, np.ones(pos.shape[:3], dtype=bool))
    first, second = clip.mask[:, before, :, None], clip.mask[:, after, :, None]
    pos = np.where(first, pos, clip.pos[:, after])
    pos = np.where(second, pos, clip.pos[:, before])
    return clip.with_pos(pos, np.where(share < 0.5, first, second)[..., 0])


@dataclass(frozen=True)
class Shorten:
    """Cut a longer clip to ``num_frames``; a shorter one keeps its own length.

    ``keep`` says which frames of a longer clip stay: ``"middle"``, ``"end"``, ``"random"``, or
    where they lie, from 0 (the first) to 1 (the last).
    """

    num_frames: int
    keep: str | float = "middle"

    def __post_init__(self) -> None:
        _check_frames(self.num_frames)
        known = ("middle", "end", "random")
        good = self.keep in known if isinstance(self.keep, str) else 0 <= self.keep <= 1
        need(good, f"keep must be {', '.join(known)}, or within 0..1, got {self.keep!r}")

    def __call__(self, clip: Clip, rng: np.random.Generator) -> Clip:
        spare = clip.num_frames - self.num_frames
        if spare <= 0:
            return clip
        if self.keep == "random":
            start = int(rng.integers(spare + 1))
        else:
            keep = self.keep
            share = {"end": 1.0, "middle": 0.5}[keep] if isinstance(keep, str) else keep
            start = int(share * spare)
        return clip.frames(slice(start, start + self.num_frames))


class RepeatPad(Shorten):
    """Like :class:`Shorten`, but repeat a shorter clip from its start (as the paper does)."""

    def __call__(self, clip: Clip, rng: np.random.Generator) -> Clip:
        clip = super().__call__(clip, rng)
        if clip.num_frames == self.num_frames:
            return clip
        return clip.frames(np.arange(self.num_frames) % clip.num_frames)


class ZeroPad(Shorten):
    """Like :class:`Shorten`, but fill a shorter clip with frames that are masked as missing."""

    def __call__(self, clip: Clip, rng: np.random.Generator) -> Clip:
        clip = super().__call__(clip, rng)
        missing = self.num_frames - clip.num_frames
        if not missing:
            return clip
        pad = ((0, 0), (0, missing), (0, 0))
        return clip.with_pos(np.pad(clip.pos, (*pad, (0, 0))), np.pad(clip.mask, pad))


_SAMPLERS: dict[str, Any] = {
    "uniform": UniformSample,
    "random": RandomSample,
    "resize": Resample,
    "repeat": RepeatPad,
    "pad": ZeroPad,
    "own": Shorten,
    "loop": LoopSample,
}

#: How frames are chosen, see :func:`frame_sampler`.
SAMPLINGS = tuple(_SAMPLERS)


def frame_sampler(
    sampling: str | Transform,
    num_frames: int | None,
    random: bool,
    keep_end: bool = False,
    place: float = 0.5,
) -> Transform:
    """Return the transform that brings clips to one length.

    Parameters
    ----------
    sampling
        ``"uniform"``: one frame out of each of ``num_frames`` equal segments. ``"loop"``: so too,
        but a shorter clip goes round. ``"random"``: drawn from the whole clip with repetition, and
        sorted. ``"resize"``: linear interpolation. ``"repeat"``: repetition from the start.
        ``"pad"``: masked frames at the end. ``"own"``: a clip's own frames, ``num_frames`` at most.
        A transform is returned as it is.
    num_frames
        Frames of the result, T; None keeps a clip's own.
    random
        Draw frames (training); False chooses the same frames each time.
    keep_end
        Where ``"repeat"``, ``"pad"`` and ``"own"`` must shorten a clip, keep its end: what comes
        next is to be predicted.
    place
        Which frames are chosen if none is drawn, from 0 to 1: where in each segment
        (``"uniform"``), how far the even ones are moved (``"random"``), or from which part of a
        clip that must be shortened.
    """
    if not isinstance(sampling, str):
        return sampling
    check_choice("sampling", sampling, SAMPLINGS)
    if num_frames is None:
        return Compose()
    sampler = _SAMPLERS[sampling]
    if issubclass(sampler, UniformSample):
        return sampler(num_frames, random, place)
    if issubclass(sampler, Shorten):
        return sampler(num_frames, "end" if keep_end else "random" if random else place)
    return sampler(num_frames)


def _check_frames(num_frames: int) -> None:
    need(num_frames >= 1, f"num_frames must be at least 1, got {num_frames}")
