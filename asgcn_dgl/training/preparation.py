"""How clips are prepared for a model, by the options of a run; nothing here imports torch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from asgcn_dgl.data import Clip, HandleMissing, Reader, SelectBodies, transforms
from asgcn_dgl.data.samples import Seen, observe
from asgcn_dgl.errors import InputError
from asgcn_dgl.skeleton import SkeletonLayout, get_layout
from asgcn_dgl.training.config import ClipsConfig

Views = Literal["one", "several"]
#: Alignments that move frames one by one, or leave some out.
BY_FRAME = ("pyskl", "as-gcn")
#: Largest error of a motion that moves a clip as a whole, as a share of its size.
RIGID = 1e-3

#: Preparation of clips of one view and of several, as ``clips.views`` sets it.
SUITED: dict[Views, dict[str, Any]] = {
    "one": {
        **{"align": "view_clip", "rotate": 25.0, "scale": [0.8, 1.2]},
        **{"shear": 0.2, "flip": 0.0, "box": False},
    },
    "several": {
        **{"align": "view_clip", "rotate": [20.0, 20.0, 60.0], "scale": [0.5, 1.5]},
        **{"shear": 0.0, "flip": 0.5, "box": True},
    },
}
#: What clips of two coordinates have instead, which cannot be turned to one direction.
IN_THE_PLANE: dict[str, Any] = {"align": "center", "rotate": 15.0, "shear": 0.0}
#: Share of the clips that face about one way where there is one view, and how far from it at most.
SHARE, DEGREES = 0.9, 30.0
LOOKED_AT = 500  # clips, spread evenly


def make_transform(options: ClipsConfig, training: bool) -> transforms.Transform:
    """Return the alignment, followed by the augmentation while training."""
    steps: list[Any] = body_steps(options)
    if options.layout is not None:
        steps.insert(0, TakeLayout(get_layout(options.layout)))
    if options.unit is not None:
        steps.append(transforms.InUnit(options.unit))
    if options.align in BY_FRAME:
        steps.append(transforms.PublishedView(every_frame=options.align == "as-gcn"))
    elif options.align != "none":
        steps.append(transforms.Center())
    if options.align == "spine":
        steps.append(transforms.AlignSpine())
    elif options.align in ("view", "view_clip", "published"):
        published, whole = options.align == "published", options.align == "view_clip"
        steps.append(transforms.ViewNormalize(published=published, whole=whole))
    if training:
        steps += _augmentation(options)
    if options.box:
        steps.append(transforms.FitBox())
    return transforms.Compose(*steps)


@dataclass(frozen=True)
class TakeLayout:
    """Give clips another layout of the same joints, or of some of them by name."""

    layout: SkeletonLayout

    def __call__(self, clip: Clip, rng: np.random.Generator | None = None) -> Clip:
        """Apply; InputError if the clip lacks a joint."""
        own = clip.layout.joints
        if own == self.layout.joints:
            return replace(clip, layout=self.layout)
        if not set(self.layout.joints) <= set(own):
            raise InputError(
                f"{clip.source}: its joints are those of layout {clip.layout.name!r}, and not of "
                f"clips.layout {self.layout.name!r}"
            )
        kept = [own.index(joint) for joint in self.layout.joints]
        return replace(
            clip, layout=self.layout, pos=clip.pos[:, :, kept], mask=clip.mask[:, :, kept]
        )


def body_steps(options: ClipsConfig) -> list[SelectBodies]:
    """Return the choice of bodies, if there is one."""
    if options.max_bodies is None:
        return []
    return [SelectBodies(options.max_bodies, options.body_rule)]


def _augmentation(options: ClipsConfig) -> list[Any]:
    """Return the random transforms that the options switch on."""
    rotate: Any = options.rotate if isinstance(options.rotate, list) else [options.rotate] * 3
    none, (low, high), (slow, fast) = [1.0, 1.0], options.scale, options.speed
    chosen = [
        (list(options.crop) != none, lambda: transforms.Crop(options.crop[0], options.crop[1])),
        ([slow, fast] != none, lambda: transforms.RandomSpeed(slow, fast)),
        (any(rotate), lambda: transforms.RandomRotate(tuple(rotate), options.rotate_order)),
        ([low, high] != none, lambda: transforms.RandomScale(low, high, options.scale_per_axis)),
        (options.shear > 0, lambda: transforms.RandomShear(options.shear)),
        (options.flip > 0, lambda: transforms.RandomFlip(options.flip)),
        (options.move, transforms.RandomMove),
        (options.noise > 0, lambda: transforms.RandomNoise(options.noise)),
        (options.lose > 0, lambda: transforms.RandomLoss(options.lose)),
    ]
    return [make() for wanted, make in chosen if wanted]


def prepared(clip: Clip, options: ClipsConfig, past_frames: int = 0) -> tuple[Seen, Clip, Clip]:
    """Prepare a clip as evaluation does, without a future.

    ``past_frames`` is how many last poses the model is given as they were recorded. Returned are
    the model's input, and the clip before and after alignment, for :func:`undo_alignment`.
    """
    for choose in body_steps(options):
        clip = choose(clip)
    clip = clip.check().trimmed()
    rng = np.random.default_rng(0)
    aligned = make_transform(options, training=False)(clip, rng)
    seen = observe(
        aligned,
        HandleMissing(options.missing, options.missing_gap),
        options.stream,
        transforms.frame_sampler(options.sampling, options.num_frames, random=False),
        rng,
        past_frames,
    )
    return seen, clip, aligned


def undo_alignment(
    poses: np.ndarray, raw: Clip, aligned: Clip, by_frame: bool = False
) -> np.ndarray:
    """Bring poses (..., d) back from the coordinates of the aligned clip to those of the raw one.

    Alignment turns, shifts and scales a clip as a whole. That motion is found from where it took
    the joints (Kabsch's method), whatever transforms it was made of. Where each axis was scaled by
    itself (``clips.box``) it is the affine map of least squares instead. With ``by_frame`` frames
    were moved one by one, or left out: the motion is that of the last one that shows the first
    body.
    """
    if by_frame:
        raw, aligned = _last_shown(raw), _last_shown(aligned)
    source = aligned.places[aligned.mask].astype(np.float64)
    target = raw.places[raw.mask].astype(np.float64)
    middle, goal = source.mean(axis=0), target.mean(axis=0)
    left, _, right = np.linalg.svd((source - middle).T @ (target - goal))
    handed = np.ones(len(middle))
    handed[-1] = np.sign(np.linalg.det(left @ right))
    matrix = (left * handed) @ right * _stretch(source, target)
    missed = np.abs((source - middle) @ matrix + goal - target).max()
    if missed > RIGID * np.abs(target - goal).max():
        matrix = np.linalg.lstsq(source - middle, target - goal, rcond=None)[0]
    places = poses[..., : raw.num_places]
    turned = (places - middle) @ matrix + goal
    return np.concatenate([turned, poses[..., raw.num_places :]], axis=-1).astype(np.float32)


def _last_shown(clip: Clip) -> Clip:
    """Return the first body in the last frame that shows it."""
    shown = np.flatnonzero(clip.mask[0].any(axis=1))
    frame = int(shown[-1]) if len(shown) else clip.num_frames - 1
    pos, mask = clip.pos[:1, frame : frame + 1], clip.mask[:1, frame : frame + 1]
    return replace(clip, pos=pos, mask=mask)


def _stretch(source: np.ndarray, target: np.ndarray) -> float:
    """Return by what scaling (n, d) places became others; exactly 1 where nothing was scaled."""
    before, after = source.std(axis=0), target.std(axis=0)
    ratio = np.linalg.norm(after) / max(float(np.linalg.norm(before)), 1e-12)
    return 1.0 if abs(ratio - 1) < 1e-4 or not ratio > 0 else float(ratio)


def found_views(clips: Reader, cameras: Iterable[int] = ()) -> tuple[Views, str]:
    """Find from how many views clips were recorded, and by what evidence.

    There are several where the recordings name several cameras, or where people face the sensor
    from different sides: where fewer than nine tenths of the clips have their shoulders, over the
    whole clip, within 30 degrees of the median direction. Clips in the plane, and skeletons whose
    shoulders are not known, count as one view. Unknown ``cameras`` are -1.
    """
    named = set(cameras) - {-1}
    if len(named) > 1:
        return "several", f"{len(named)} cameras are named"
    numbers = range(0, len(clips), max(1, len(clips) // LOOKED_AT))
    lines = [line for line in (_line(clips.read(index)) for index in numbers) if line is not None]
    if not lines:
        return "one", "the direction of shoulders is not known"
    facing = np.stack(lines)
    middle = np.median(facing, axis=0)
    length = float(np.linalg.norm(middle))
    near = facing @ (middle / length) >= np.cos(np.radians(DEGREES)) if length > 0 else [False]
    share = float(np.mean(near))
    text = f"{100 * share:.0f} % of the clips face within {DEGREES:.0f} degrees of one direction"
    return ("one" if share >= SHARE else "several"), text


def _line(clip: Clip) -> np.ndarray | None:
    """Direction from the left to the right shoulder over a clip, a unit vector (3,)."""
    if clip.num_places != 3 or clip.layout.shoulders is None:
        return None
    line = transforms.shoulder_line(clip)
    length = 0.0 if line is None else float(np.linalg.norm(line))
    return None if line is None or length == 0 else line / length


def suited(
    options: ClipsConfig, clips: Reader, cameras: Iterable[int] = ()
) -> tuple[ClipsConfig, str]:
    """Return the options with the preparation that suits the clips, and why.

    See :func:`found_views`. The options are then ``views: given``, so that they hold wherever they
    are read. With these they are returned unchanged, without a reason; only the default alignment
    of clips in the plane becomes 'center', and any other that needs 3 coordinates is refused.
    """
    planar = clips.read(0).num_places != 3
    if options.views == "given":
        if not planar or options.align in ("none", "center"):
            return options, ""
        needs = f"{options.align} needs 3 coordinates, and the clips have 2"
        if options.align != ClipsConfig.align:  # the default
            raise InputError(f"clips.align {needs}; give --clips.align center")
        return replace(options, align="center"), f"given, but align center ({needs})"
    if options.views == "auto":
        views, reason = found_views(clips, cameras)
    else:
        views, reason = options.views, "clips.views"
    chosen = dict(SUITED[views])
    if planar:
        chosen |= IN_THE_PLANE
    words = ", ".join(f"{name} {value}" for name, value in chosen.items())
    found = replace(options, **chosen, views="given")
    return found, f"{views} view{'s' * (views != 'one')} ({reason}): {words}"
