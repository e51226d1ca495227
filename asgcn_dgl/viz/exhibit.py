"""A clip with what a model makes of it, as arrays: what the figures and the report show."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from asgcn_dgl.skeleton import SkeletonLayout


@dataclass(frozen=True, eq=False)
class Exhibit:
    """A clip of M bodies, T frames and V joints, and the results of a model, if any.

    Parameters
    ----------
    pos, mask
        (M, T, V, d) positions as recorded, d = 2 or 3, and (M, T, V) joints that were seen.
    label, probabilities
        True class, -1 if unknown, and (K,) probability of each class.
    links
        (C, M V, M V) probability of each type of A-link, ``links[c, i, j]`` of that from joint j to
        joint i, counted over the joints of all bodies; 0 between bodies unless they were inferred
        over bodies together.
    response, response_frames
        (M, R, V) magnitude of the features of each joint in the last block, and (R,) frame of the
        clip that each belongs to.
    future
        (M, T', V, d) predicted positions of the last T' frames; NaN for a body without a
        prediction. The model has seen the frames before only.
    """

    name: str
    layout: SkeletonLayout
    pos: npt.NDArray[np.floating]
    mask: npt.NDArray[np.bool_]
    label: int = -1
    probabilities: npt.NDArray[np.floating] | None = None
    links: npt.NDArray[np.floating] | None = None
    response: npt.NDArray[np.floating] | None = None
    response_frames: npt.NDArray[np.floating] | None = None
    future: npt.NDArray[np.floating] | None = None

    def __post_init__(self) -> None:
        pos, joints = self.pos.shape, self.layout.num_joints
        if len(pos) != 4 or pos[2] != joints or pos[3] not in (2, 3) or 0 in pos:
            raise ValueError(
                f"pos must be (bodies, frames, {joints}, 2 or 3) for layout {self.layout.name!r}, "
                f"got shape {pos}"
            )
        every = pos[0] * joints
        shapes: dict[str, tuple[int | None, ...]] = {
            "mask": pos[:3],
            "links": (None, every, every),
            "response": (pos[0], None, joints),
            "future": (pos[0], None, joints, pos[3]),
        }
        if self.response is not None:
            shapes["response_frames"] = self.response.shape[1:2]
        for name, shape in shapes.items():
            array = getattr(self, name)
            if array is not None and (
                array.ndim != len(shape)
                or any(w not in (None, h) for w, h in zip(shape, array.shape, strict=True))
            ):
                wanted = ", ".join("any" if size is None else str(size) for size in shape)
                raise ValueError(f"{name} must have shape ({wanted}), got {array.shape}")
        if self.response is not None and self.response_frames is None:
            raise ValueError("response_frames must be given with response, got None")
        if self.future is not None and self.steps >= pos[1]:
            raise ValueError(f"future must be of fewer than {pos[1]} frames, got {self.steps}")

    @property
    def num_bodies(self) -> int:
        """M."""
        return int(self.pos.shape[0])

    @property
    def bodies_seen(self) -> list[int]:
        """Numbers of the bodies of which anything was seen."""
        return [int(body) for body in np.flatnonzero(self.mask.any(axis=(1, 2)))]

    @property
    def num_frames(self) -> int:
        """T."""
        return int(self.pos.shape[1])

    @property
    def steps(self) -> int:
        """T', the frames that were predicted; 0 without a prediction."""
        return 0 if self.future is None else int(self.future.shape[1])

    @property
    def future_start(self) -> int:
        """First frame that was predicted; T without a prediction."""
        return self.num_frames - self.steps

    @property
    def predicted(self) -> int:
        """Most probable class, -1 without probabilities."""
        return -1 if self.probabilities is None else int(np.argmax(self.probabilities))

    @property
    def leader(self) -> int:
        """The body that moves most, to be drawn where there is room for one."""
        hidden = np.broadcast_to(~self.mask[..., None], self.pos.shape)
        spread = np.ma.array(self.pos, mask=hidden).std(axis=1).sum(axis=(1, 2))
        return int(spread.filled(-1.0).argmax())

    def which(self, body: int) -> str:
        """Return ', body 1 of 2' for a title, or '' if no other was seen."""
        seen = self.bodies_seen
        return f", body {body + 1} of {max(seen) + 1}" if len(seen) > 1 else ""

    @property
    def links_across(self) -> bool:
        """Whether A-links lead from body to body."""
        if self.links is None:
            return False
        joints = self.layout.num_joints
        body = np.arange(self.num_bodies * joints) // joints
        return bool(self.links[:, body[:, None] != body].any())

    def body_links(self, body: int) -> npt.NDArray[np.floating]:
        """Return the (C, V, V) A-links within a body."""
        if self.links is None:
            raise ValueError(f"clip {self.name!r} has no A-links")
        joints = self.layout.num_joints
        own = slice(body * joints, (body + 1) * joints)
        return self.links[:, own, own]

    def link_blocks(self) -> list[tuple[slice, npt.NDArray[np.floating]]]:
        """Return blocks of A-links: bodies, and the (C, ...) links among them.

        All bodies are one block where links lead from body to body, else each is its own; without
        A-links there is none.
        """
        if self.links is None:
            return []
        if self.links_across:
            return [(slice(None), self.links)]
        return [(slice(n, n + 1), self.body_links(n)) for n in range(self.num_bodies)]

    def body_response(self, body: int, frame: int) -> npt.NDArray[np.floating]:
        """Return the (V,) responses of a body: each joint's nearest to a frame, 0 without any."""
        if self.response is None or self.response_frames is None:
            raise ValueError(f"clip {self.name!r} has no feature responses")
        own, away = self.response[body], np.abs(self.response_frames - frame)
        steps = np.where(own > 0, away[:, None], np.inf).argmin(axis=0)
        return np.asarray(own[steps, np.arange(own.shape[1])])

    def middle(self, body: int) -> int:
        """Return the frame nearest to the middle in which most of a body's joints were seen."""
        seen = self.mask[body].sum(axis=1)
        good = np.flatnonzero(seen == seen.max())
        return int(good[np.abs(good - self.num_frames // 2).argmin()])
