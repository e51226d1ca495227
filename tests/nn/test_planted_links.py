"""AIM finds planted links that correlation does not find.

A pair of joints counts once, whichever of the two follows: its score, 1 - π of the ghost, is the
larger one of its two directions, its label whether either follows the other. This favours
correlation, which knows no direction. Training and test clips are draws of their own, with other
pairs linked in every clip, so that nothing can be learnt by heart.

For other seeds and options: ``PYTHONPATH=tests/nn python -c "from test_planted_links import
measure; print(measure(seed=2, pred_steps=10))"``.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from asgcn_dgl.data.coupled import coupled_motion
from asgcn_dgl.nn import AIM
from asgcn_dgl.skeleton import GraphBuilder, SkeletonLayout

PUPPET = SkeletonLayout.from_bones(
    "puppet",
    [("hip", "chest"), ("chest", "head"), ("chest", "left"), ("chest", "right"), ("hip", "foot")],
)
COUPLINGS = ("lagged", "turned", "square")  # 2 or 3 frames late; coordinates exchanged; nonlinear
FRAMES, DIMS, BATCH, TEST_CLIPS, MAX_LAG = 30, 2, 64, 400, 3
BUILDER = GraphBuilder(max_hop=1, num_actional=3)


def draw(num_clips, rng):
    return coupled_motion(
        num_clips,
        PUPPET,
        FRAMES,
        num_dims=DIMS,
        num_links=3,
        couplings=COUPLINGS,
        max_lag=MAX_LAG,
        smoothness=1.5,
        rng=rng,
    )


def joints_of(positions):
    return torch.from_numpy(positions).flatten(0, 1)


def train(seed, steps, *, lr=5e-3, pred_steps=1, rise=0.4, **options):
    """AIM's own loss, its divergence rising to full weight over the share ``rise`` of the steps."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    options = {
        "hidden_feats": 32,
        "dropout": 0.0,
        "ghost_prior": 0.9,
        "variance": 3e-3,
        **options,
    }
    aim = AIM(DIMS, 3, num_frames=FRAMES, **options)
    graph = BUILDER.batch(PUPPET, [1] * BATCH)
    optimizer = torch.optim.Adam(aim.parameters(), lr=lr)
    for step in range(1, steps + 1):
        feat = joints_of(draw(BATCH, rng).positions)
        kl_weight = min(1.0, step / (rise * steps)) if rise else 1.0
        optimizer.zero_grad()
        aim.loss(graph, feat, pred_steps=pred_steps, kl_weight=kl_weight).loss.backward()
        optimizer.step()
    return aim.eval()


@torch.no_grad()
def link_probability(aim, positions):
    """1 - π of the ghost, (B, V, V)."""
    clips, size = positions.shape[:2]
    prob = aim(BUILDER.batch(PUPPET, [1] * clips), joints_of(positions)).prob
    matrix = np.zeros((clips, size, size))
    matrix[:, ~np.eye(size, dtype=bool)] = 1.0 - prob[:, 0].view(clips, -1).numpy()
    return matrix


def correlation(positions, lag=0):
    """|Correlation| of joint i with joint j ``lag`` frames before, (B, V, V, d, d)."""
    frames = positions.shape[2]
    late, early = positions[:, :, lag:], positions[:, :, : frames - lag]
    late, early = ((x - x.mean(2, keepdims=True)) / x.std(2, keepdims=True) for x in (late, early))
    return np.abs(np.einsum("bitc,bjtd->bijcd", late, early)) / (frames - lag)


def auc(score, links):
    either = np.maximum(score, score.transpose(0, 2, 1))
    pairs = np.triu(np.ones(links.shape[1:], dtype=bool), 1)
    return roc_auc_score(
        (links | links.transpose(0, 2, 1))[:, pairs].ravel(), either[:, pairs].ravel()
    )


def measure(seed=0, steps=1200, **options):
    """Area under the ROC curve on unseen clips: AIM, |correlation|, and stronger baselines."""
    aim = train(seed, steps, **options)
    test = draw(TEST_CLIPS, np.random.default_rng([seed, 1]))
    x = test.positions
    same = correlation(x).diagonal(axis1=3, axis2=4).max(axis=-1)
    lagged = np.max([correlation(x, lag).max(axis=(3, 4)) for lag in range(MAX_LAG + 1)], axis=0)
    scores = {
        "aim": link_probability(aim, x),
        "correlation": same,
        "best over coordinates": correlation(x).max(axis=(3, 4)),
        "best over coordinates and lags": lagged,
    }
    return {name: round(float(auc(score, test.links)), 3) for name, score in scores.items()}


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_planted_links_are_found(seed):
    found = measure(seed)
    print(found)
    assert found["aim"] >= 0.85
    assert found["aim"] >= found["correlation"] + 0.1
