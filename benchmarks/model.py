"""Whole models beside dense ones: ``python -m benchmarks.model``."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional as F

from asgcn_dgl.models import ASGCN, STGCN
from asgcn_dgl.skeleton import get_layout
from benchmarks.measure import Call, Work, run
from benchmarks.rivals import DenseModel

LAYOUT, CLASSES, FRAMES, DIMS, FUTURE = "ntu25", 60, 300, 3, 10
BOTH = (2, 2, 2, 2)
HALF_ABSENT = (2, 1, 2, 1)


def model(baseline: bool = False) -> ASGCN:
    """The full size, as published; no dropout, so that both sides do the same."""
    torch.manual_seed(0)
    if baseline:
        return STGCN(get_layout(LAYOUT), CLASSES, DIMS, dropout=0.0)
    return ASGCN(get_layout(LAYOUT), CLASSES, DIMS, dropout=0.0, aim_dropout=0.0)


def ours(bodies: Sequence[int], training: bool, half: bool = False) -> Call:
    """The library's model on clips of so many bodies; ``half``: under bfloat16 autocast."""
    if half:
        device = torch.get_default_device().type
        return torch.autocast(device, torch.bfloat16)(ours(bodies, training))
    net = model().train(training)
    graph = net.graph_builder.structure(get_layout(LAYOUT), bodies)
    feat = torch.randn(graph.num_nodes(), FRAMES, DIMS)
    future = torch.randn(graph.num_nodes(), FUTURE, DIMS)
    label = torch.randint(CLASSES, (len(bodies),))
    if not training:
        return torch.inference_mode()(lambda: net(graph, feat, predict=False).logits)
    optimizer = _optimizer(net)

    def step() -> None:
        optimizer.zero_grad()
        out = net(graph, feat)
        assert out.future is not None
        (F.cross_entropy(out.logits, label) + F.mse_loss(out.future, future)).backward()
        optimizer.step()

    return step


def dense(clips: int, training: bool, baseline: bool = False) -> Call:
    """The dense model on clips of two bodies, there or not."""
    net = DenseModel(model(baseline)).train(training)
    joints = get_layout(LAYOUT).num_joints
    feat = torch.randn(clips, 2, DIMS, FRAMES, joints)
    future = torch.randn(2 * clips, joints, FUTURE, DIMS)
    label = torch.randint(CLASSES, (clips,))
    if not training:
        net.shrink, net.narrow = torch.nn.ModuleList(), torch.nn.ModuleList()  # recognition only
        return torch.inference_mode()(lambda: net(feat)[0])
    optimizer = _optimizer(net)

    def step() -> None:
        optimizer.zero_grad()
        logits, guess = net(feat)
        loss = F.cross_entropy(logits, label)
        if guess is not None:
            loss = loss + F.mse_loss(guess, future)
        loss.backward()
        optimizer.step()

    return step


def _optimizer(net: torch.nn.Module) -> torch.optim.SGD:
    return torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9, nesterov=True)


def _works(clips: int) -> list[Work]:
    size = f"{clips} clips of 300 frames"
    return [
        Work(
            f"AS-GCN training step, {size}, two bodies",
            "dense AS-GCN",
            lambda: ours(BOTH[:clips], True),
            lambda: dense(clips, True),
            clips,
        ),
        Work(
            f"AS-GCN training step, {size}, two bodies (against ST-GCN)",
            "dense ST-GCN, 3 relations, recognition only",
            lambda: ours(BOTH[:clips], True),
            lambda: dense(clips, True, baseline=True),
            clips,
        ),
        Work(
            f"AS-GCN training step, {size}, half of the second bodies absent",
            "dense AS-GCN, absent bodies computed",
            lambda: ours(HALF_ABSENT[:clips], True),
            lambda: dense(clips, True),
            clips,
        ),
        Work(
            f"AS-GCN recognition, {size}, two bodies",
            "dense AS-GCN",
            lambda: ours(BOTH[:clips], False),
            lambda: dense(clips, False),
            clips,
        ),
        *(
            Work(
                f"AS-GCN {'training step' if training else 'recognition'} in bfloat16, {size}",
                "ours in float32",
                lambda training=training: ours(BOTH[:clips], training, half=True),  # type: ignore[misc]
                lambda training=training: ours(BOTH[:clips], training),  # type: ignore[misc]
                clips,
            )
            for training in (True, False)
        ),
    ]


WORKS = _works(4)


if __name__ == "__main__":
    run("benchmarks.model", __doc__ or "", WORKS, _works(2)[3:4])
