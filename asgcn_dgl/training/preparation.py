"""How clips are prepared for a model, by the options of a run; nothing here imports torch."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from asgcn_dgl.data import Clip, HandleMissing, SelectBodies
from asgcn_dgl.data.samples import Seen, observe
from asgcn_dgl.data.transforms import (
    AlignSpine,
    Center,
    Compose,
    Crop,
    FitBox,
    InUnit,
    PublishedView,
    RandomFlip,
    RandomLoss,
    RandomMove,
    RandomNoise,
    RandomRotate,
    RandomScale,
    RandomShear,
    RandomSpeed,
    Transform,
    ViewNormalize,
    frame_sampler,
)
from asgcn_dgl.errors import InputError
from asgcn_dgl.skeleton import SkeletonLayout, get_layout
from asgcn_dgl.training.config import ClipsConfig

#: Alignments that move frames one by one, or leave some out.
BY_FRAME = ("pyskl", "as-gcn")
#: Largest error of a motion that moves a clip as a whole, as a share of its size.
RIGID = 1e-3


def make_transform(options: ClipsConfig, training: bool) -> Transform:
    """Return the alignment, followed by the augmentation while training."""
    steps: list[Any] = body_steps(options)
    if options.layout is not None:
        steps.insert(0, TakeLayout(get_layout(options.layout)))
    if options.unit is not None:
        steps.append(InUnit(options.unit))
    if options.align in BY_FRAME:
        steps.append(PublishedView(every_frame=options.align == "as-gcn"))
    elif options.align != "none":
        steps.append(Center())
    if options.align == "spine":
        steps.append(AlignSpine())
    elif options.align in ("view", "view_clip", "published"):
        published, whole = options.align == "published", options.align == "view_clip"
        steps.append(ViewNormalize(published=published, whole=whole))
    if training:
        steps += _augmentation(options)
    if options.box:
        steps.append(FitBox())
    return Compose(*steps)


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
    rotate = tuple(options.rotate) if isinstance(options.rotate, list) else (options.rotate,) * 3
    low, high = options.scale
    slow, fast = options.speed
    chosen = [
        (options.crop != [1.0, 1.0], lambda: Crop(options.crop[0], options.crop[1])),
        ((slow, fast) != (1.0, 1.0), lambda: RandomSpeed(slow, fast)),
        (any(rotate), lambda: RandomRotate(rotate, options.rotate_order)),  # type: ignore[arg-type]
        ((low, high) != (1.0, 1.0), lambda: RandomScale(low, high, options.scale_per_axis)),
        (options.shear > 0, lambda: RandomShear(options.shear)),
        (options.flip > 0, lambda: RandomFlip(options.flip)),
        (options.move, RandomMove),
        (options.noise > 0, lambda: RandomNoise(options.noise)),
        (options.lose > 0, lambda: RandomLoss(options.lose)),
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
        frame_sampler(options.sampling, options.num_frames, random=False),
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
