"""Masks reach everything between the clips and the losses, in training too."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from asgcn_dgl.data import Clip, SkeletonDataset, collate
from asgcn_dgl.models import ASGCN
from asgcn_dgl.skeleton import get_layout
from asgcn_dgl.training.scoring import masked_mse

LENGTHS = (14, 30, 23)


def tiny(layouts="coco17", **options):
    torch.manual_seed(0)
    sizes = {
        "channels": (6, 8),
        "strides": (1, 2),
        "max_hop": 2,
        "dropout": 0.0,
        "aim_dropout": 0.0,
    }
    sizes |= {"aim_hidden": 8, "aim_frames": 6, "future_channels": 8, "future_frames": 4}
    return ASGCN(layouts, 3, 2, **{**sizes, "num_actional": 1, "link_mode": "steady", **options})


def clips(layout="coco17", lengths=LENGTHS):
    rng = np.random.default_rng(0)
    skeleton = get_layout(layout)
    return [
        Clip.from_positions(
            f"{layout}{number}",
            skeleton,
            rng.normal(size=(1 + number % 2, length, skeleton.num_joints, 2)),
            rng.random((1 + number % 2, length, skeleton.num_joints)) > 0.2,
            number,
        )
        for number, length in enumerate(lengths)
    ]


def batch_of(model, given):
    data = SkeletonDataset(given, num_frames=None, mode="observed", future_frames=4)
    return collate(list(data), model.graph_builder)


def losses(model, batch):
    out = model(batch.structure, batch.feat, batch.mask, batch.last)
    aim = model.aim.loss(batch.structure, batch.feat, batch.mask)
    recognition = F.cross_entropy(out.logits, batch.label)
    return recognition + masked_mse(out.future, batch.future, batch.future_mask) + 1e-3 * aim.loss


@pytest.mark.parametrize("options", [{}, {"num_actional": 0}, {"input_norm": "channel"}])
def test_filling_changes_no_loss_no_gradient_and_no_statistics(options):
    """Frames that only fill a batch up are as if they were not there, batch norms included."""
    found = []
    for extra in (0, 9):
        model = tiny(**options).double().train()
        batch = batch_of(model, clips())
        feat = F.pad(batch.feat.double(), (0, 0, 0, extra), value=7.0)
        mask = F.pad(batch.mask, (0, extra))
        out = model(batch.structure, feat, mask, batch.last.double())
        loss = F.cross_entropy(out.logits, batch.label) + masked_mse(
            out.future, batch.future.double(), batch.future_mask
        )
        loss.backward()
        grads = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
        found.append((loss.detach(), grads, dict(model.named_buffers())))
    torch.testing.assert_close(found[0], found[1], rtol=1e-9, atol=1e-9)


def test_what_stands_under_the_mask_is_not_looked_at_in_training():
    found = []
    for value in (0.0, float("nan")):
        model = tiny().train()
        batch = batch_of(model, clips())
        batch.feat[~batch.mask] = value
        batch.future[~batch.future_mask] = value
        loss = losses(model, batch)
        loss.backward()
        assert torch.isfinite(loss)
        found.append((loss.detach(), [p.grad for p in model.parameters() if p.grad is not None]))
    torch.testing.assert_close(found[0], found[1])


def test_clips_of_any_length_and_skeleton_give_the_logits_that_they_give_alone():
    layouts = [get_layout("coco17"), get_layout("openpose18")]
    model = tiny(layouts, input_norm="channel")
    given = [*clips("coco17"), *clips("openpose18", (40, 9, 21))]
    for _ in range(2):  # running statistics that are not the first ones
        model(*(lambda b: (b.structure, b.feat, b.mask, b.last))(batch_of(model.train(), given)))
    model.eval()
    batch = batch_of(model, given)
    together = model(batch.structure, batch.feat, batch.mask, batch.last)
    ends = np.cumsum(batch.num_bodies.numpy() * [c.layout.num_joints for c in given])
    for number, clip in enumerate(given):
        alone = batch_of(model, [clip])
        out = model(alone.structure, alone.feat, alone.mask, alone.last)
        torch.testing.assert_close(out.logits[0], together.logits[number], rtol=1e-5, atol=1e-5)
        mine = slice(ends[number] - alone.structure.num_nodes(), ends[number])
        torch.testing.assert_close(out.future, together.future[mine], rtol=1e-5, atol=1e-5)


def test_links_across_bodies_join_all_of_a_clip_and_leave_other_clips_alone():
    model = tiny(across_bodies=True).eval()
    given = clips()
    batch = batch_of(model, given)
    sizes = batch.num_bodies * 17
    assert batch.structure.num_edges("actional_1") == int((sizes * (sizes - 1)).sum())
    together = model(batch.structure, batch.feat, batch.mask, batch.last)
    for number, clip in enumerate(given):
        alone = batch_of(model, [clip])
        out = model(alone.structure, alone.feat, alone.mask, alone.last)
        torch.testing.assert_close(out.logits[0], together.logits[number], rtol=1e-5, atol=1e-5)


def test_across_bodies_one_person_sees_the_other():
    pair = clips(lengths=(20, 20))[1:]
    moved = pair[0].pos.copy()
    moved[1] += np.random.default_rng(1).normal(size=moved[1].shape)
    other = [pair[0].with_pos(moved)]
    for across, same in ((False, True), (True, False)):
        model = tiny(across_bodies=across).eval()
        first, second = (batch_of(model, each) for each in (pair, other))
        out = [model(b.structure, b.feat, b.mask, b.last).features[:17] for b in (first, second)]
        assert torch.allclose(*out, atol=1e-6) is same
