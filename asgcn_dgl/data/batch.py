"""Samples to one batch: a batched graph of the bodies that exist, and tensors over its joints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from asgcn_dgl.data.dataset import Sample
from asgcn_dgl.data.files import need
from asgcn_dgl.skeleton import GraphBuilder, SkeletonBatch

if TYPE_CHECKING:
    from dgl import DGLGraph


@dataclass
class Batch:
    """B clips as one structure of N joints, in the order clip, body, joint.

    Attributes
    ----------
    structure
        Structure of the bodies that exist; the model takes it as its graph.
    feat
        (N, T, D) features.
    mask
        (N, T) bool, True where a feature exists; None when all do.
    label
        (B,) classes.
    last
        (N, D) last observed position.
    future
        (N, T', D) positions to predict.
    future_mask
        (N, T') bool, True where a prediction is scored.
    names
        B names of recordings.
    num_bodies
        (B,) bodies of each clip, on the CPU.
    recent
        (N, P, D) last observed positions, where the samples have them, else None.
    unit
        (N, D) length that is 1 along each axis, where that is not the clips' own unit, else None.
    """

    structure: SkeletonBatch
    feat: torch.Tensor
    mask: torch.Tensor | None
    label: torch.Tensor
    last: torch.Tensor
    future: torch.Tensor
    future_mask: torch.Tensor
    names: list[str]
    num_bodies: torch.Tensor
    recent: torch.Tensor | None = None
    unit: torch.Tensor | None = None

    def __len__(self) -> int:
        return len(self.names)

    @property
    def observed(self) -> torch.Tensor:
        """The input of a prediction head, ``recent`` where there is any, else ``last``."""
        return self.last if self.recent is None else self.recent

    @property
    def graph(self) -> DGLGraph:
        """The DGL heterograph, made on first use; ImportError where DGL is not installed."""
        return self.structure.graph

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Batch:
        """Return the batch on a device; ``num_bodies`` stays on the CPU."""
        return self._map(
            lambda tensor: tensor.to(device, non_blocking=non_blocking),
            structure=self.structure.to(device, non_blocking),
        )

    def pin_memory(self) -> Batch:
        """Return the batch with its tensors in pinned memory (``DataLoader`` calls this)."""
        return self._map(lambda tensor: tensor.pin_memory(), structure=self.structure.pin_memory())

    def _map(self, change: Any, **others: Any) -> Batch:
        tensors = ("feat", "mask", "label", "last", "future", "future_mask", "recent", "unit")
        held = {name: getattr(self, name) for name in tensors}
        changed = {name: change(value) for name, value in held.items() if value is not None}
        return replace(self, **changed, **others)


def collate(samples: Sequence[Sample], builder: GraphBuilder) -> Batch:
    """Join B samples to a batch, leaving out the bodies that do not exist.

    The samples have one D and one T', and any layouts and numbers of bodies; shorter ones are
    padded with masked frames. A body with no seen joint in its sample is left out; each clip keeps
    at least its first body. ``builder`` makes the structure: a model has one as
    ``model.graph_builder``.

    Examples
    --------
    >>> import functools, numpy as np
    >>> from torch.utils.data import DataLoader
    >>> from asgcn_dgl.data import Clip, EpochSampler, SkeletonDataset
    >>> from asgcn_dgl.skeleton import GraphBuilder, get_layout
    >>> pos = np.random.default_rng(0).normal(size=(2, 30, 25, 3))
    >>> clips = [Clip.from_positions(f"clip{m}", get_layout("ntu25"), pos[:m]) for m in (1, 2)]
    >>> dataset = SkeletonDataset(clips, num_frames=16)
    >>> loader = DataLoader(dataset, batch_size=2, sampler=EpochSampler(2, shuffle=False),
    ...     collate_fn=functools.partial(collate, builder=GraphBuilder()))
    >>> batch = next(iter(loader))
    >>> tuple(batch.feat.shape), batch.mask, batch.num_bodies.tolist()
    ((75, 16, 3), None, [1, 2])
    """
    need(samples, "samples must hold at least one sample, got none")
    for what, sizes in (
        ("coordinates (D)", {sample.feat.shape[3] for sample in samples}),
        ("future frames (T')", {sample.future.shape[1] for sample in samples}),
    ):
        need(len(sizes) == 1, f"all samples of a batch need the same {what}, got {sorted(sizes)}")
    bodies = [present_bodies(sample) for sample in samples]
    counts = np.array([len(which) for which in bodies])

    def joined(name: str) -> torch.Tensor:
        given = [getattr(sample, name) for sample in samples]
        return _joints_first([each[which] for each, which in zip(given, bodies, strict=True)])

    mask = joined("mask")
    last = [sample.last[which, None] for sample, which in zip(samples, bodies, strict=True)]
    return Batch(
        structure=builder.structure([sample.layout for sample in samples], counts.tolist()),
        feat=joined("feat"),
        mask=None if mask.all() else mask,
        label=torch.tensor([sample.label for sample in samples], dtype=torch.int64),
        last=_joints_first(last).squeeze(1),
        future=joined("future"),
        future_mask=joined("future_mask"),
        names=[sample.name for sample in samples],
        num_bodies=torch.from_numpy(counts),
        recent=None if any(sample.recent is None for sample in samples) else joined("recent"),
        unit=_unit(samples, counts),
    )


def _unit(samples: Sequence[Sample], counts: np.ndarray) -> torch.Tensor | None:
    if all(sample.unit is None for sample in samples):
        return None
    ones = np.ones(samples[0].future.shape[3], dtype=np.float32)
    units = [ones if sample.unit is None else sample.unit for sample in samples]
    joints = counts * [sample.layout.num_joints for sample in samples]
    return torch.from_numpy(np.repeat(np.stack(units), joints, axis=0))


def present_bodies(sample: Sample) -> np.ndarray:
    """Return the bodies that have a seen joint; the first if none has."""
    bodies = np.flatnonzero(sample.mask.any(axis=(1, 2)))
    return bodies if len(bodies) else np.zeros(1, dtype=np.int64)


def _joints_first(arrays: list[np.ndarray]) -> torch.Tensor:
    """Join B arrays (M, T, V, ...) to a tensor (N, T, ...); short ones are followed by 0."""
    frames = max(array.shape[1] for array in arrays)
    joints = [array.shape[0] * array.shape[2] for array in arrays]
    out = np.zeros((sum(joints), frames, *arrays[0].shape[3:]), dtype=arrays[0].dtype)
    for array, rows in zip(arrays, np.split(out, np.cumsum(joints)[:-1]), strict=True):
        bodies, length, per_body = array.shape[:3]
        view = rows.reshape(bodies, per_body, *out.shape[1:])
        view[:, :, :length] = array.swapaxes(1, 2)  # (M, T, V, ...) to (M, V, T, ...)
    return torch.from_numpy(out)
