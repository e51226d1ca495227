"""What the processes of tests/training/test_parallel.py do."""

from __future__ import annotations

import copy
from functools import partial
from types import SimpleNamespace

import numpy as np
import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from asgcn_dgl.data import Clip, SkeletonDataset, collate
from asgcn_dgl.models import ASGCN
from asgcn_dgl.nn import Links, sync_norms
from asgcn_dgl.skeleton import get_layout
from asgcn_dgl.training.build import gathered, rank, shares
from asgcn_dgl.training.config import AIMConfig
from asgcn_dgl.training.modules import AIMWarmUp, JointTraining
from asgcn_dgl.training.scoring import PredictionScores, RecognitionScores

FUTURE = 4


def samples():
    """Five clips of one or two bodies; of the last two there is no future."""
    rng = np.random.default_rng(0)
    clips = []
    for number, bodies in enumerate((1, 2, 1, 2, 1)):
        pos = rng.normal(size=(bodies, 16 if number < 3 else 5, 21, 3)).cumsum(axis=1) / 5
        pos[rng.random(pos.shape[:3]) < 0.1] = 0
        clips.append(
            Clip.from_positions(f"clip{number}", get_layout("hand21"), pos, label=number % 3)
        )
    dataset = SkeletonDataset(clips, num_frames=8, mode="observed", future_frames=FUTURE)
    return [dataset[number] for number in range(5)]


def batch(model, which):
    made = collate([samples()[number] for number in which], model.graph_builder)
    made.feat, made.last, made.future = (x.double() for x in (made.feat, made.last, made.future))
    return made


def module(kind):
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    aim = AIMConfig(loss_weight=1e-3, pred_steps=2)
    model = ASGCN(
        get_layout("hand21"), 3, channels=(8, 8), strides=(1, 2), max_hop=2, num_actional=2,
        aim_hidden=8, aim_frames=5, aim_dropout=0.0, future_frames=FUTURE, future_channels=8,
        dropout=0.0, attention="both", temporal="branches", kernel_size=3,
        structural_offsets=True, streams=("joint", "bone"),
    )  # fmt: skip
    model.aim.encoder.forward = partial(links_without_noise, model.aim.encoder)
    made = AIMWarmUp(model, aim)
    if kind == "joint":
        made = JointTraining(model, aim=aim, prediction_weight=0.5)
    made.log = lambda *arguments, **others: None
    made.piece_factor = lambda batch_idx: 1.0
    made.kl_weight = lambda: 0.5
    return made


def links_without_noise(encoder, graph, feat, mask=None, generator=None):
    """The links of training but for the noise, which no two processes share."""
    logits = encoder.infer(graph, feat, mask)
    return Links(torch.softmax(logits / encoder.tau, dim=-1)[:, 1:], logits)


class Step(nn.Module):
    """As Lightning hands a module to DistributedDataParallel: forward is the training step."""

    def __init__(self, made):
        super().__init__()
        self.made = made

    def forward(self, given):
        return self.made.training_step(given, 0)


def gradients(made):
    return {name: None if p.grad is None else p.grad.clone() for name, p in made.named_parameters()}


def alone(kind, which):
    """Gradients and buffers of one process with all the clips."""
    made = module(kind)
    Step(made)(batch(made.model, which)).backward()
    return gradients(made.model), {n: b.clone() for n, b in made.model.named_buffers()}


def together(kind, parts, synced=True):
    """The same of this process with its part of them."""
    made = module(kind)
    if synced:
        sync_norms(made.model)
    wrapped = DistributedDataParallel(Step(made), find_unused_parameters=True)
    wrapped(batch(made.model, parts[rank()])).backward()
    return gradients(made.model), {n: b.clone() for n, b in made.model.named_buffers()}


def means():
    """The mean of 1, 2, 3 (first process) and 10 (second), by shares; and what is gathered."""
    own = torch.tensor([1.0, 2.0, 3.0] if rank() == 0 else [10.0])
    factor, nothing = shares(len(own), 0, device=own.device)
    assert nothing == 0
    recognition, prediction = RecognitionScores(), PredictionScores()
    clip = SimpleNamespace(names=[f"clip{rank()}"], label=torch.tensor([rank()]))
    recognition.update(clip, SimpleNamespace(logits=torch.eye(2)[:1]))
    if rank() == 1:

        class Clips(SimpleNamespace):
            __len__ = lambda self: 1  # noqa: E731

        known = torch.ones(2, 3, dtype=torch.bool)
        prediction.update(
            Clips(
                last=torch.zeros(2, 3),
                future=torch.ones(2, 3, 3),
                future_mask=known,
                unit=None,
            ),
            SimpleNamespace(future=torch.zeros(2, 3, 3)),
        )
    recognition.gather()
    prediction.gather()
    return {
        "mean": float(own.mean() * factor),
        "gathered": gathered(rank()),
        "names": copy.copy(recognition.names),
        "top1": recognition.summary(["a", "b"])["top1"],
        "mpjpe": prediction.summary()["mpjpe"],
        "clips": prediction.clips,
    }
