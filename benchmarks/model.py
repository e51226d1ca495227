"""Whole models beside dense ones: ``python -m benchmarks.model``."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional as F

from asgcn_dgl.models import ASGCN, STGCN
from asgcn_dgl.skeleton import get_layout
from benchmarks.measure import Call, Work, run
from benchmarks.rivals import CTRGCN, DenseModel

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


def light(clips: int, frames: int, half: bool = False) -> Call:
    """A training step of the preset ``light``, both heads and A-links, on clips of one body."""
    torch.manual_seed(0)
    net = ASGCN.preset("light", get_layout(LAYOUT), CLASSES, DIMS).train()
    graph = net.graph_builder.structure(get_layout(LAYOUT), [1] * clips)
    feat = torch.randn(graph.num_nodes(), frames, DIMS)
    future = torch.randn(graph.num_nodes(), FUTURE, DIMS)
    label = torch.randint(CLASSES, (clips,))
    optimizer = _optimizer(net)

    def step() -> None:
        optimizer.zero_grad()
        with torch.autocast(feat.device.type, torch.bfloat16, enabled=half):
            out = net(graph, feat)
            assert out.future is not None
            loss = F.cross_entropy(out.logits, label) + F.mse_loss(out.future, future)
        loss.backward()
        optimizer.step()

    return step


def ctrgcn(clips: int, frames: int, half: bool = False) -> Call:
    """A training step of CTR-GCN's layers on clips of one body."""
    torch.manual_seed(0)
    net = CTRGCN(get_layout(LAYOUT), CLASSES, DIMS).train()
    feat = torch.randn(clips, 1, DIMS, frames, get_layout(LAYOUT).num_joints)
    label = torch.randint(CLASSES, (clips,))
    optimizer = _optimizer(net)

    def step() -> None:
        optimizer.zero_grad()
        with torch.autocast(feat.device.type, torch.bfloat16, enabled=half):
            loss = F.cross_entropy(net(feat), label)
        loss.backward()
        optimizer.step()

    return step


def _light_works(clips: int) -> list[Work]:
    return [
        Work(
            f"light training step{' in bfloat16' if half else ''}, {clips} clips of {frames} "
            "frames, one body",
            f"CTR-GCN's layers{' in bfloat16' if half else ''}, recognition only",
            lambda frames=frames, half=half: light(clips, frames, half),  # type: ignore[misc]
            lambda frames=frames, half=half: ctrgcn(clips, frames, half),  # type: ignore[misc]
            clips,
        )
        for frames in (64, FRAMES)
        for half in (False, True)
    ]


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


WORKS = [*_works(4), *_light_works(8)]


if __name__ == "__main__":
    run("benchmarks.model", __doc__ or "", WORKS, _works(2)[3:4])
