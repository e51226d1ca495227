"""What the warm-up relies on, in a few seconds: see test_planted_links.py for what it achieves."""

import numpy as np
import pytest
import torch
from strategies import chain

from asgcn_dgl.data.coupled import coupled_motion
from asgcn_dgl.nn import AIM
from asgcn_dgl.skeleton import GraphBuilder


def motion(num_clips, joints=5):
    rng = np.random.default_rng(0)
    positions = coupled_motion(num_clips, joints, num_frames=12, num_dims=2, rng=rng).positions
    return torch.from_numpy(positions).flatten(0, 1)


def module(num_clips, joints=5, **options):
    torch.manual_seed(0)
    graph = GraphBuilder(max_hop=1, num_actional=2).structure(chain(joints), [1] * num_clips)
    return graph, AIM(2, 2, num_frames=12, hidden_feats=8, dropout=0.0, **options)


@pytest.mark.parametrize("pred_steps", [1, 5])
def test_reconstruction_loss_falls(pred_steps):
    graph, aim = module(16)
    feat = motion(16)
    optimizer = torch.optim.Adam(aim.parameters(), lr=1e-2)
    losses = []
    for _ in range(40):
        loss = aim.loss(graph, feat, pred_steps=pred_steps)
        optimizer.zero_grad()
        loss.loss.backward()
        optimizer.step()
        losses.append(loss.reconstruction.item())
    assert np.mean(losses[-5:]) < 0.8 * np.mean(losses[:5])


def test_divergence_is_zero_where_the_encoder_answers_the_prior():
    graph, aim = module(2, ghost_prior=0.9)
    torch.nn.init.zeros_(aim.encoder.out.weight)
    prior = torch.tensor([0.9, 0.05, 0.05])
    aim.encoder.out.bias.data = prior.log() + 3.0  # logits are free up to a constant
    loss = aim.loss(graph, motion(2))
    assert loss.kl.item() == pytest.approx(0.0, abs=1e-6)
    assert loss.loss.item() == pytest.approx(loss.reconstruction.item())


@pytest.mark.parametrize("hard", [False, True])
@pytest.mark.parametrize("pred_steps", [1, 4])
def test_reconstruction_alone_teaches_the_encoder(pred_steps, hard):
    """Gradients come through the decoder, not from the divergence only."""
    graph, aim = module(2, hard=hard)
    aim.loss(graph, motion(2), pred_steps=pred_steps).reconstruction.backward()
    still = [
        name for name, p in aim.encoder.named_parameters() if p.grad is None or not p.grad.any()
    ]
    assert still == []
