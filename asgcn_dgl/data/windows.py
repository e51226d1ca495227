"""Windows of recordings: some frames that are seen, and those that follow, to be forecast."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from asgcn_dgl.data.batch import Batch
from asgcn_dgl.data.clip import Clip
from asgcn_dgl.errors import InputError
from asgcn_dgl.skeleton import GraphBuilder, SkeletonLayout

CONSTANT = 1e-4  # the standard deviation of a coordinate that does not change, as published


def frame_step(recorded: float | None, wanted: float | None) -> int:
    """Return how many recorded frames make one of ``wanted`` frames a second; 1 where unknown."""
    if recorded is None or wanted is None:
        return 1
    return max(1, round(recorded / wanted))


@dataclass(frozen=True)
class Augment:
    """Random changes of a window as a whole while training.

    ``flip`` is the probability that left and right change places, and x its sign; ``reverse`` that
    time runs backwards. Half of the windows are played at a speed from ``slow`` to 1. ``noise`` is
    the standard deviation of noise on the seen frames, in the clips' unit.
    """

    flip: float = 0.0
    reverse: float = 0.0
    slow: float = 1.0
    noise: float = 0.0


class _Group(NamedTuple):
    """Recordings of one layout: ``pos`` (F, M, V, d), ``mask`` (F, M, V), None if all is seen."""

    layout: SkeletonLayout
    bodies: int
    pos: Tensor
    mask: Tensor | None


class WindowSet:
    """All windows of recordings, drawn by number.

    A window has ``past`` frames that are seen and ``future`` ones that follow, at ``rate`` frames a
    second where a recording says its own (``meta["fps"]``). Windows begin at each recorded frame
    with ``every_start``, else only at the frames that are taken. ``start`` (W,), ``recording`` (W,)
    and ``label`` (W,) say of each window its first recorded frame, recording and class; ``names``
    and ``steps`` of each recording its name and how many frames make one of a window. InputError if
    no recording is long enough.

    Examples
    --------
    >>> from asgcn_dgl.skeleton import get_layout
    >>> pos = np.random.default_rng(0).normal(size=(1, 40, 17, 2))
    >>> windows = WindowSet([Clip.from_positions("a", get_layout("coco17"), pos)], 10, 25)
    >>> batch = windows.batch([0, 5], GraphBuilder())
    >>> len(windows), tuple(batch.feat.shape), tuple(batch.future.shape)
    (6, (34, 10, 2), (34, 25, 2))
    """

    def __init__(
        self,
        clips: Iterable[Clip],
        past: int,
        future: int,
        *,
        rate: float | None = None,
        every_start: bool = False,
    ) -> None:
        held = list(clips)
        self.past, self.future = past, future
        self.names = [clip.name for clip in held]
        self.steps = [frame_step(clip.meta.get("fps"), rate) for clip in held]
        found: dict[tuple[SkeletonLayout, int], list[int]] = {}
        for number, clip in enumerate(held):
            found.setdefault((clip.layout, clip.num_bodies), []).append(number)
        self._groups: list[_Group] = []
        windows = [np.zeros((4, 0), dtype=np.int64)]
        for group, (key, members) in enumerate(found.items()):
            pos, mask = (_joined([getattr(held[n], of) for n in members]) for of in ("pos", "mask"))
            self._groups.append(_Group(*key, pos, None if mask.all() else mask))
            offset = 0
            for number in members:
                step, frames = self.steps[number], held[number].num_frames
                reach = (past + future - 1) * step
                first = np.arange(0, frames - reach, 1 if every_start else step)
                which = np.full_like(first, number), np.full_like(first, group)
                windows.append(np.stack([*which, first, first + offset]))
                offset += frames
        table = np.concatenate(windows, axis=1)
        if not table.size:
            raise InputError(
                f"none of {len(held)} recordings is as long as a window of {past} + {future} "
                "frames; give longer ones, or fewer frames"
            )
        table = table[:, np.argsort(table[0], kind="stable")]
        self.recording, self._group, self.start, place = table
        self._place = torch.from_numpy(place)
        self._step = torch.tensor(self.steps)[torch.from_numpy(self.recording)]
        self.label = np.array([held[number].label for number in self.recording])

    def __len__(self) -> int:
        return len(self.start)

    def shares(self, balance: float) -> np.ndarray:
        """Return the probability of each window to be drawn, (W,).

        With ``balance`` 1 all windows are as probable, with 0 all classes.
        """
        _, which, counts = np.unique(self.label, return_inverse=True, return_counts=True)
        weight = counts.astype(np.float64)[which] ** (balance - 1)
        return weight / weight.sum()

    def varying(self) -> Tensor:
        """Tell which coordinates of which joints change, (V, d), of recordings of one layout."""
        pos = torch.cat([group.pos.flatten(0, 1) for group in self._groups])
        return pos.std(dim=0) > CONSTANT

    def batch(
        self,
        chosen: Sequence[int] | np.ndarray,
        builder: GraphBuilder,
        augment: Augment | None = None,
        generator: torch.Generator | None = None,
    ) -> Batch:
        """Gather windows by number; those of one layout and number of bodies come together.

        ``builder`` is the model's ``graph_builder``; ``augment`` draws from ``generator``.
        """
        chosen = np.asarray(chosen)
        groups = self._group[chosen]
        chosen = chosen[np.argsort(groups, kind="stable")]
        parts: list[tuple[Tensor, ...]] = []
        counts: list[int] = []
        layouts: list[SkeletonLayout] = []
        for number in np.unique(groups):
            own = torch.from_numpy(chosen[self._group[chosen] == number])
            group = self._groups[number]
            pos, mask = self._gather(group, own, augment, generator)
            mask = _rows(torch.ones(pos.shape[:-1], dtype=torch.bool) if mask is None else mask)
            pos = _rows(pos)
            feat, future = pos[:, : self.past], pos[:, self.past :]
            last = feat[:, -1]
            if augment is not None and augment.noise:
                feat = feat + augment.noise * torch.randn(feat.shape, generator=generator)
            parts.append((feat, last, future, mask[:, : self.past], mask[:, self.past :]))
            layouts += [group.layout] * len(own)
            counts += [group.bodies] * len(own)
        feat, last, future, mask, known = map(torch.cat, zip(*parts, strict=True))
        return Batch(
            structure=builder.structure(layouts, counts),
            feat=feat,
            mask=None if bool(mask.all()) else mask,
            label=torch.from_numpy(self.label[chosen]),
            last=last,
            future=future,
            future_mask=known & mask.any(dim=1, keepdim=True),
            names=[f"{self.names[self.recording[n]]}@{self.start[n]}" for n in chosen],
            num_bodies=torch.tensor(counts),
        )

    def _gather(
        self,
        group: _Group,
        own: Tensor,
        augment: Augment | None,
        generator: torch.Generator | None,
    ) -> tuple[Tensor, Tensor | None]:
        """(B, T, M, V, d) positions and (B, T, M, V) masks of windows of one group."""
        time = torch.arange(self.past + self.future) * self._step[own].unsqueeze(1)
        place = self._place[own].unsqueeze(1)
        frames = place + time
        if augment is None:
            return group.pos[frames], None if group.mask is None else group.mask[frames]
        chance = torch.rand(4, len(own), generator=generator)
        if augment.slow < 1:
            speed = torch.where(chance[0] < 0.5, augment.slow ** chance[1], 1.0).unsqueeze(1)
            exact = time * speed
            low = exact.floor().long()
            part = (exact - low)[..., None, None, None]
            frames, after = place + low, place + torch.minimum(low + 1, time[:, -1:])
            pos = torch.lerp(group.pos[frames], group.pos[after], part)
            mask = None if group.mask is None else group.mask[frames] & group.mask[after]
            pos = pos if mask is None else pos * mask.unsqueeze(-1)
        else:
            pos, mask = group.pos[frames], None if group.mask is None else group.mask[frames]
        back, mirror = chance[2] < augment.reverse, chance[3] < augment.flip
        order = torch.from_numpy(group.layout.mirror_index)
        mirrored = pos[mirror][..., order, :]
        mirrored[..., 0] *= -1
        pos[mirror] = mirrored
        pos[back] = pos[back].flip(1)
        if mask is not None:
            mask[mirror] = mask[mirror][..., order]
            mask[back] = mask[back].flip(1)
        return pos, mask


def _joined(arrays: Sequence[np.ndarray]) -> Tensor:
    """Join (M, T, ...) along the time, which comes first."""
    return torch.from_numpy(np.concatenate(arrays, axis=1)).transpose(0, 1).contiguous()


def _rows(values: Tensor) -> Tensor:
    """(B, T, M, V, ...) to (B M V, T, ...)."""
    return values.movedim(1, 3).flatten(0, 2)
