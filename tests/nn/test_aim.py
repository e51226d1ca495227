import math

import pytest
import torch
from strategies import chain

from asgcn_dgl.nn import AIM, aim_loss
from asgcn_dgl.nn.aim import link_divergence
from asgcn_dgl.skeleton import GraphBuilder


def test_loss_by_hand():
    """Two joints, one step off by (0.1, 0, 0), uniform types: both terms over two joints."""
    pred, target = torch.zeros(2, 1, 3), torch.zeros(2, 1, 3)
    target[0, 0, 0] = 0.1
    losses = aim_loss(pred, target, torch.zeros(2, 3), ghost_prior=0.5, variance=5e-4)
    assert losses.reconstruction.item() == pytest.approx(0.01 / (2 * 5e-4) / 2)
    third = 1 / 3
    kl = third * math.log(third / 0.5) + 2 * third * math.log(third / 0.25)
    assert losses.kl.item() == pytest.approx(2 * kl / 2, rel=1e-5)
    assert losses.loss.item() == pytest.approx((losses.reconstruction + losses.kl).item())
    less = aim_loss(pred, target, torch.zeros(2, 3), ghost_prior=0.5, kl_weight=0.25)
    assert less.kl.item() == losses.kl.item()
    assert less.loss.item() == pytest.approx((losses.reconstruction + losses.kl / 4).item())


def test_divergence_vanishes_at_the_prior_and_only_there():
    prior = torch.log(torch.tensor([[0.95, 0.025, 0.025]]))
    assert link_divergence(prior, 0.95).item() == pytest.approx(0.0, abs=1e-6)
    assert link_divergence(torch.zeros(1, 3), 0.95).item() > 0.5


def test_without_ghost_the_divergence_leaves_it_out():
    logits = torch.tensor([[-torch.inf, 0.0, 0.0]], requires_grad=True)
    divergence = link_divergence(logits, 0.0)
    assert divergence.item() == pytest.approx(0.0, abs=1e-6)
    divergence.sum().backward()
    assert bool(torch.isfinite(logits.grad).all())


def test_missing_frames_do_not_count():
    pred, target = torch.zeros(1, 4, 3), torch.zeros(1, 4, 3)
    target[:, 2:] = 100.0
    mask = torch.tensor([[True, True, False, False]])
    losses = aim_loss(pred, target, torch.zeros(1, 2), mask=mask)
    assert losses.reconstruction.item() == 0.0


def test_gradients_reach_every_parameter():
    graph = GraphBuilder(num_actional=2).structure(chain(4), [1, 2])
    aim = AIM(3, 2, num_frames=6, hidden_feats=8)
    aim.loss(graph, torch.randn(12, 9, 3)).loss.backward()
    missing = [name for name, p in aim.named_parameters() if p.grad is None or not p.grad.any()]
    assert missing == []


def test_masked_loss_of_a_padded_clip_equals_the_clip_alone():
    graph = GraphBuilder(num_actional=2).structure(chain(4))
    aim = AIM(3, 2, num_frames=6, hidden_feats=8).eval()
    feat = torch.randn(4, 9, 3)
    padded = torch.cat([feat, torch.zeros(4, 5, 3)], dim=1)
    mask = torch.zeros(4, 14, dtype=torch.bool)
    mask[:, :9] = True
    alone, masked = aim.loss(graph, feat), aim.loss(graph, padded, mask)
    torch.testing.assert_close(alone.loss, masked.loss)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_module_of_half_precision_learns_and_has_its_loss_in_single(dtype):
    graph = GraphBuilder(num_actional=2).structure(chain(4), [1, 2])
    aim = AIM(3, 2, num_frames=6, hidden_feats=8, dropout=0.0).eval()
    feat = torch.randn(12, 9, 3)
    expected = aim.loss(graph, feat)
    aim.to(dtype)
    found = aim.loss(graph, feat.to(dtype))
    assert aim(graph, feat.to(dtype)).weight.dtype == dtype
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.dtype == torch.float32
        torch.testing.assert_close(ours, theirs, rtol=0.05, atol=0.05)
    aim.train().loss(graph, feat.to(dtype)).loss.backward()
    assert all(bool(torch.isfinite(p.grad).all()) for p in aim.parameters())


def test_divergence_of_half_precision_is_that_of_the_same_logits():
    logits = torch.randn(200, 4).to(torch.bfloat16)
    found = link_divergence(logits, 0.95)
    torch.testing.assert_close(found, link_divergence(logits.float(), 0.95))


def test_losses_read_no_number_from_the_device():
    graph = GraphBuilder(num_actional=2).structure([chain(4), chain(5)], [1, 2]).to("meta")
    for reduce in ("mean", "max"):
        aim = AIM(3, 2, num_frames=6, hidden_feats=8, reduce=reduce, hard=True).to("meta")
        feat, mask = torch.randn(14, 9, 3, device="meta"), torch.ones(14, 9, device="meta")
        aim.loss(graph, feat, mask, pred_steps=2).loss.backward()
        assert all(p.grad is not None for p in aim.parameters())


@pytest.mark.parametrize("value", [-0.1, 1.0])
def test_bad_prior_is_refused(value):
    with pytest.raises(ValueError, match="ghost_prior must be in"):
        AIM(3, ghost_prior=value)


def test_bad_variance_is_refused():
    with pytest.raises(ValueError, match="variance must be positive"):
        aim_loss(torch.zeros(1, 1, 1), torch.zeros(1, 1, 1), torch.zeros(1, 2), variance=0.0)


@pytest.mark.parametrize("layouts", [[chain(4)], [chain(4), chain(3)]])
def test_a_body_that_moves_as_a_whole_links_nothing_with_motion(layouts):
    clips = (layouts * 2)[:2]
    graph = GraphBuilder(num_actional=2).structure(clips, [2, 1])
    aim = AIM(3, 2, num_frames=6, hidden_feats=8, motion=True).double().eval()
    feat = torch.randn(graph.num_nodes(), 9, 3, dtype=torch.float64)
    mask = torch.rand(feat.shape[:2]) > 0.2
    starts = (graph.joint == 0).cumsum(0) - 1  # the body of each joint
    moved = feat + torch.randn(3, 9, 3, dtype=torch.float64)[starts]
    torch.testing.assert_close(aim(graph, moved, mask).logits, aim(graph, feat, mask).logits)
    losses = [aim.loss(graph, each, mask).loss for each in (feat, moved)]
    torch.testing.assert_close(*losses)
    still = AIM(3, 2, num_frames=6, hidden_feats=8).double().eval()
    assert not torch.allclose(still(graph, moved, mask).logits, still(graph, feat, mask).logits)


def test_motion_needs_to_know_the_centers():
    dgl = pytest.importorskip("dgl")
    plain = dgl.heterograph({("joint", "actional_1", "joint"): ([0, 1], [1, 0])})
    aim = AIM(3, 1, num_frames=3, hidden_feats=4, motion=True).eval()
    with pytest.raises(ValueError, match="motion needs a graph of GraphBuilder"):
        aim(plain, torch.zeros(2, 3, 3))
