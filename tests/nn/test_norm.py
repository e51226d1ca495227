import pytest
import torch
from strategies import chain, float64

from asgcn_dgl.nn import InputNorm, MaskedBatchNorm
from asgcn_dgl.skeleton import GraphBuilder


def test_masked_statistics_are_those_of_what_exists():
    with float64():
        feat, mask = torch.randn(5, 6, 3), torch.rand(5, 6) > 0.4
        norm = MaskedBatchNorm(3)
        out = norm(feat, mask)
        kept = feat[mask]
        expected = (kept - kept.mean(0)) / torch.sqrt(kept.var(0, unbiased=False) + norm.eps)
        torch.testing.assert_close(out[mask], expected)
        torch.testing.assert_close(norm.running_mean, 0.1 * kept.mean(0))
        assert bool((out[~mask] == 0).all())


@pytest.mark.parametrize("training", [True, False])
def test_full_mask_equals_none(training):
    feat = torch.randn(5, 6, 3)
    norm = MaskedBatchNorm(3).train(training)
    full = norm(feat, torch.ones(5, 6, dtype=torch.bool))
    torch.testing.assert_close(full, norm(feat))


def test_one_row_uses_the_running_statistics():
    norm = MaskedBatchNorm(2)
    feat = torch.randn(1, 2)
    torch.testing.assert_close(norm(feat), norm.eval()(feat))


@pytest.mark.parametrize("masked", [False, True])
def test_input_norm_is_by_joint_and_channel(masked):
    with float64():
        graph = GraphBuilder(max_hop=1).structure(chain(4), [1, 2])
        feat = torch.randn(12, 7, 3) * 3 + 1
        mask = torch.rand(12, 7) > 0.3 if masked else None
        norm = InputNorm(4, 3)
        torch.nn.init.normal_(norm.weight)
        torch.nn.init.normal_(norm.bias)
        out = norm(graph, feat, mask)
        here = torch.ones(12, 7, dtype=torch.bool) if mask is None else mask
        for joint in range(4):
            rows = feat[joint::4][here[joint::4]]
            scaled = (rows - rows.mean(0)) / torch.sqrt(rows.var(0, unbiased=False) + norm.eps)
            expected = scaled * norm.weight[joint] + norm.bias[joint]
            torch.testing.assert_close(out[joint::4][here[joint::4]], expected)
            torch.testing.assert_close(norm.running_var[joint], 0.9 + 0.1 * rows.var(0))


def test_input_norm_keeps_statistics_of_joints_that_are_not_there():
    graph = GraphBuilder(max_hop=1).structure(chain(3))
    norm = InputNorm(3, 2)
    mask = torch.ones(3, 5, dtype=torch.bool)
    mask[1] = False
    norm(graph, torch.randn(3, 5, 2), mask)
    assert norm.running_mean[1].tolist() == [0, 0] and norm.running_var[1].tolist() == [1, 1]


def test_input_norm_in_evaluation_uses_running_statistics():
    graph = GraphBuilder(max_hop=1).structure(chain(3))
    norm = InputNorm(3, 2)
    norm(graph, torch.randn(3, 50, 2))
    norm.eval()
    feat = torch.randn(3, 4, 2)
    expected = (feat - norm.running_mean[:, None]) / torch.sqrt(
        norm.running_var[:, None] + norm.eps
    )
    torch.testing.assert_close(norm(graph, feat), expected)


def test_without_momentum_statistics_are_means_over_all_batches():
    """As torch's norm with momentum None."""
    ours, torchs = MaskedBatchNorm(3, momentum=None), torch.nn.BatchNorm1d(3, momentum=None)
    for _ in range(3):
        feat = torch.randn(6, 4, 3)
        ours(feat, torch.ones(6, 4, dtype=torch.bool))
        torchs(feat.view(-1, 3))
    torch.testing.assert_close(ours.running_mean, torchs.running_mean)
    torch.testing.assert_close(ours.running_var, torchs.running_var)
