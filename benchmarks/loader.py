"""Whether the data keeps the training step waiting: ``python -m benchmarks.loader``.

The rival is the training step itself: a ratio over 1 says that a batch is ready before the step
before it is done. The loader works alone in its process and on one thread, as a worker does.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from itertools import count

import numpy as np
import torch
from torch.nn import functional as F

from asgcn_dgl.data import Batch, Clip, SkeletonDataset, collate
from asgcn_dgl.models import ASGCN
from asgcn_dgl.skeleton import GraphBuilder, get_layout
from asgcn_dgl.training.config import ClipsConfig
from asgcn_dgl.training.preparation import make_transform
from benchmarks.measure import Call, Work, run

LAYOUT, CLASSES, RECORDED, CLIPS = "ntu25", 60, 300, 32
OPTIONS = ClipsConfig(align="view", rotate=17.0, scale=[0.9, 1.1])


def clips() -> list[Clip]:
    """Recordings of NTU's size, every fifth of two bodies as in NTU."""
    rng = np.random.default_rng(0)
    layout = get_layout(LAYOUT)
    return [
        Clip.from_positions(
            f"clip {number}",
            layout,
            rng.normal(size=(2 if number % 5 == 0 else 1, RECORDED, layout.num_joints, 3)),
            label=number % CLASSES,
        )
        for number in range(CLIPS)
    ]


def batches(size: int, frames: int) -> Iterator[Batch]:
    """Batches without end, made one at a time."""
    data = SkeletonDataset(
        clips(),
        num_frames=frames,
        transform=make_transform(OPTIONS, training=True),
        mode="mixed",
        training=True,
    )
    made = functools.partial(collate, builder=GraphBuilder())
    for first in count(0, size):
        yield made([data[draw] for draw in range(first, first + size)])


def loader(size: int, frames: int) -> Call:
    """One batch from recordings in memory: frames, transforms, graph."""
    torch.set_num_threads(1)
    return functools.partial(next, batches(size, frames))


def step(size: int, frames: int) -> Call:
    """One training step of the full model on such a batch."""
    net = ASGCN(get_layout(LAYOUT), CLASSES)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9, nesterov=True)
    batch = next(batches(size, frames))

    def call() -> None:
        optimizer.zero_grad()
        out = net(batch.structure, batch.feat, batch.mask, batch.last)
        assert out.future is not None
        loss = F.cross_entropy(out.logits, batch.label) + out.future.square().mean()
        loss.backward()
        optimizer.step()

    return call


def _work(size: int, frames: int) -> Work:
    return Work(
        f"loader, batch of {size} clips, {frames} of {RECORDED} frames",
        "full AS-GCN training step on the batch",
        lambda: loader(size, frames),
        lambda: step(size, frames),
        size,
    )


WORKS = [_work(16, 64), _work(8, 300)]


if __name__ == "__main__":
    run("benchmarks.loader", __doc__ or "", WORKS, [_work(4, 64)])
