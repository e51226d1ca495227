"""The one record that every reader makes and every transform takes: a clip of bodies in motion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from asgcn_dgl.errors import InputError
from asgcn_dgl.skeleton import SkeletonLayout

#: No place is farther from the origin, in any unit; squares of this are no trouble to float32.
FARTHEST = 1e12


class RecordingName(NamedTuple):
    """Numbers in a recording's name, from 1; ``setup`` and ``replication`` may be 0, unknown."""

    action: int
    subject: int
    camera: int
    setup: int = 0
    replication: int = 0


@dataclass(frozen=True, eq=False)
class Clip:
    """Bodies over time: M bodies, T frames, V joints, d coordinates.

    Construction checks the structure; :meth:`check` checks the content, for the readers and the
    dataset.

    Parameters
    ----------
    name
        Name of the recording.
    layout
        Skeleton of V joints.
    pos
        (M, T, V, d) float32 positions, meters where d = 3; exactly 0 where a joint is missing.
    mask
        (M, T, V) bool, True where a joint was seen.
    label
        Class counted from 0; -1 if unknown.
    meta
        What else is known: ``path``, ``subject``, ``camera``, ``setup``, ``replication``,
        ``action``, ``fps`` (frames a second of the recording).
    scored
        The last coordinate is the score that a pose estimator gave the joint, not a place.

    Raises
    ------
    InputError
        If an array has the wrong type, shape or number of joints, or holds no body or frame.

    Examples
    --------
    >>> import numpy as np
    >>> from asgcn_dgl.skeleton import get_layout
    >>> pos = np.ones((1, 8, 25, 3), dtype=np.float32)
    >>> clip = Clip.from_positions("wave", get_layout("ntu25"), pos)
    >>> clip.num_bodies, clip.num_frames, bool(clip.mask.all())
    (1, 8, True)
    """

    name: str
    layout: SkeletonLayout
    pos: np.ndarray
    mask: np.ndarray
    label: int = -1
    meta: Mapping[str, Any] = field(default_factory=dict)
    scored: bool = False

    def __post_init__(self) -> None:
        pos, mask = self.pos, self.mask
        if pos.ndim != 4 or pos.dtype != np.float32:
            raise self._error(
                f"positions must be float32 of shape (bodies, frames, joints, coordinates), got "
                f"{pos.dtype} {pos.shape}"
            )
        if mask.shape != pos.shape[:3] or mask.dtype != np.bool_:
            raise self._error(
                f"the mask must be bool of shape {pos.shape[:3]}, got {mask.dtype} {mask.shape}"
            )
        if pos.shape[2] != self.layout.num_joints:
            raise self._error(
                f"{pos.shape[2]} joints where layout {self.layout.name!r} has "
                f"{self.layout.num_joints}; give the layout that the recording was made with"
            )
        if 0 in pos.shape:
            axis = ("body", "frame", "joint", "coordinate")[pos.shape.index(0)]
            raise self._error(f"the clip holds no {axis}; remove it from the data")
        if self.scored and pos.shape[3] < 2:
            raise self._error("a score alone is no position; give coordinates before it")

    @classmethod
    def from_positions(
        cls,
        name: str,
        layout: SkeletonLayout,
        pos: np.ndarray,
        mask: np.ndarray | None = None,
        label: int = -1,
        meta: Mapping[str, Any] | None = None,
        scored: bool = False,
    ) -> Clip:
        """Return a checked clip; positions of missing joints become 0.

        Parameters
        ----------
        name, layout, label, meta, scored
            As in :class:`Clip`.
        pos
            (M, T, V, d) positions of any float type. A layout whose last joint is its center, as a
            virtual one is, takes V - 1 joints too: the center is the mean of its visible neighbors.
        mask
            (M, T, V) True where a joint was seen. Default: as ``seen_joints`` returns, or
            where the score is not 0, and where no coordinate is NaN.
        """
        # A number beyond float32 becomes infinite, which check() reports.
        with np.errstate(over="ignore", invalid="ignore"):
            pos = np.asarray(pos).astype(np.float32)
        joints = pos.shape[2] if pos.ndim == 4 else 0
        lacking = lacks_center(layout, joints)
        if mask is None:
            known = joints == layout.num_joints or lacking
            mask = pos[..., -1] != 0 if scored or not known else seen_joints(pos, layout)
            mask &= ~np.isnan(pos).any(axis=-1)
        mask = np.asarray(mask, dtype=bool)
        if lacking and mask.shape == pos.shape[:-1]:
            pos, mask = _with_center(layout, pos, mask)
        if mask.shape == pos.shape[:-1] and not mask.all():  # another shape: see __post_init__
            pos = np.where(mask[..., None], pos, np.float32(0))
        return cls(name, layout, pos, mask, label, dict(meta or {}), scored).check()

    @property
    def num_bodies(self) -> int:
        """M."""
        return int(self.pos.shape[0])

    @property
    def num_frames(self) -> int:
        """T."""
        return int(self.pos.shape[1])

    @property
    def num_dims(self) -> int:
        """Coordinates of a joint, d, the score among them."""
        return int(self.pos.shape[3])

    @property
    def num_places(self) -> int:
        """Coordinates of a place, d, or one less where there is a score."""
        return self.num_dims - self.scored

    @property
    def places(self) -> np.ndarray:
        """(M, T, V, ...) positions without the score."""
        return self.pos[..., : self.num_places]

    @property
    def scores(self) -> np.ndarray | None:
        """(M, T, V) scores, 0 where a joint is missing; None for a clip that has none."""
        return self.pos[..., -1] if self.scored else None

    @property
    def source(self) -> str:
        """The file that the clip was read from, or its name, for error messages."""
        return str(self.meta.get("path", self.name))

    def check(self, num_classes: int | None = None) -> Clip:
        """Return the clip; raise InputError for content that no model can learn from.

        A position is NaN, infinite or beyond 1e12, or not 0 where the mask is False; no
        joint is seen in any frame; or the label is not in 0..K-1, where ``num_classes`` K is given.
        """
        near = np.abs(self.pos) <= FARTHEST  # NaN is not
        if not near.all():
            body, frame, joint, axis = (int(index) for index in np.argwhere(~near)[0])
            raise self._error(
                f"coordinate {axis + 1} of joint {joint + 1} ({self.layout.joints[joint]}) of body "
                f"{body + 1} in frame {frame + 1} is {self.pos[body, frame, joint, axis]}; "
                "repair the file or remove it"
            )
        shown = nonzero(self.pos)
        if (shown & ~self.mask).any():
            raise self._error(
                "positions must be 0 where the mask is False; make the clip by Clip.from_positions"
            )
        if not shown.any():
            raise self._error(
                "all joints of all bodies are zero or missing; remove the file or list it among "
                "the samples to drop"
            )
        if num_classes is None:
            if self.label < -1:
                raise self._error(f"label {self.label} is below -1 (unknown)")
        elif not 0 <= self.label < num_classes:
            raise self._error(
                f"label {self.label} is not one of 0..{num_classes - 1}; give the data set or the "
                "class list that the file belongs to"
            )
        return self

    def with_pos(self, pos: np.ndarray, mask: np.ndarray | None = None) -> Clip:
        """Return the clip with positions (M, T, V, d), set to 0 where the mask is False."""
        mask = self.mask if mask is None else mask
        pos = np.where(mask[..., None], pos, np.float32(0)).astype(np.float32, copy=False)
        return replace(self, pos=pos, mask=mask)

    def with_places(self, places: np.ndarray) -> Clip:
        """Return the clip with other :attr:`places` (M, T, V, ...) and the scores that it has."""
        if not self.scored:
            return self.with_pos(places)
        return self.with_pos(np.concatenate([places, self.pos[..., -1:]], axis=-1))

    def with_label(self, label: int) -> Clip:
        """Return the clip with another label."""
        return replace(self, label=label)

    def frames(self, index: np.ndarray | slice) -> Clip:
        """Return the clip made of the frames that ``index`` picks, in that order."""
        return replace(self, pos=self.pos[:, index], mask=self.mask[:, index])

    def trimmed(self) -> Clip:
        """Return the clip without leading and trailing frames in which no joint is seen."""
        seen = np.flatnonzero(self.mask.any(axis=(0, 2)))
        if not len(seen) or seen[-1] - seen[0] + 1 == self.num_frames:
            return self
        return self.frames(slice(int(seen[0]), int(seen[-1]) + 1))

    def _error(self, text: str) -> InputError:
        return InputError(f"{self.source}: {text}")


def lacks_center(layout: SkeletonLayout, joints: int) -> bool:
    """Tell whether ``joints`` are all joints of the layout but a center that is its last."""
    return joints > 0 and joints == layout.num_joints - 1 == layout.center


def _with_center(
    layout: SkeletonLayout, pos: np.ndarray, mask: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Add the center as the mean of its neighbors, missing where none of them is seen."""
    about = [a for a, b in layout.bones if b == layout.center]
    seen = mask[:, :, about]
    count = seen.sum(axis=2, keepdims=True)[..., None]
    total = np.where(seen[..., None], pos[:, :, about], 0).sum(axis=2, keepdims=True)
    middle = (total / np.maximum(count, 1)).astype(np.float32)
    found = count[..., 0] > 0
    return np.concatenate([pos, middle], axis=2), np.concatenate([mask, found], axis=2)


def seen_joints(pos: np.ndarray, layout: SkeletonLayout) -> np.ndarray:
    """Return (M, T, V) where joints of raw positions were seen: the one rule of all readers.

    A joint of which a coordinate is NaN is missing, and so is one at the exact origin: sensors and
    estimators report lost joints so. Poses relative to one of their joints are different. A joint
    that is at the origin in every frame that shows the body was seen if the origin lies in or near
    the body (coordinates of both signs, within the box of all other joints and half its size
    around it) and the joint is the layout's center, an end of its spine, or, in space, the only
    such joint.
    """
    seen = nonzero(pos) & ~np.isnan(pos).any(axis=-1)
    for body, mask in zip(pos, seen, strict=True):
        shown = mask.any(axis=1)
        still = np.flatnonzero(~mask[shown].any(axis=0)) if shown.any() else np.zeros(0, int)
        usual = {layout.center, *(layout.spine or ())}
        chosen = [joint for joint in still.tolist() if joint in usual]
        if len(still) == 1 and pos.shape[-1] == 3:
            chosen = still.tolist()
        if len(chosen) == 1 and mask.shape[1] > 1 and _is_about_origin(body[mask]):
            mask[shown, chosen[0]] = True
    return seen


def _is_about_origin(places: np.ndarray) -> bool:
    """Tell whether the origin is in or near the box of (n, d) places."""
    low, high = places.min(axis=0), places.max(axis=0)
    margin = (high - low) / 2
    return bool((low < 0).any() and (low - margin <= 0).all() and (high + margin >= 0).all())


def nonzero(pos: np.ndarray) -> np.ndarray:
    """Return (...) whether any of the d coordinates is not 0; axis by axis, since d is small."""
    found = np.zeros(pos.shape[:-1], dtype=bool)
    for axis in range(pos.shape[-1]):
        found |= pos[..., axis] != 0
    return found
