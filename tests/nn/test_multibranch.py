import copy
import pickle

import oracle
import pytest
import torch
from strategies import chain, float64

from asgcn_dgl.nn import ASGCNBlock, MultiBranchTemporalConv
from asgcn_dgl.skeleton import GraphBuilder


def formula(conv, feat):
    """The branches one by one, tap by tap; feat (N, T, D)."""
    frames, last = feat.shape[1], len(conv.dilations)
    hidden = torch.relu(oracle.batch_norm(conv.reduce_norm, feat @ conv.reduce.weight.t()))
    hidden = hidden.split(conv.widths[:-1], dim=-1)
    centres = range(0, frames, conv.stride)
    parts = []
    for part, kernel, dilation in zip(hidden[:last], conv.kernels, conv.dilations, strict=True):
        out = []
        for centre in centres:
            total = torch.zeros(len(feat), kernel.shape[0], dtype=feat.dtype)
            for k in range(conv.kernel_size):
                time = centre + (k - conv.kernel_size // 2) * dilation
                if 0 <= time < frames:
                    total = total + part[:, time] @ kernel[:, :, 0, k].t()
            out.append(total)
        parts.append(torch.stack(out, dim=1))
    pooled = [hidden[last][:, max(c - 1, 0) : c + 2].amax(dim=1) for c in centres]
    parts.append(torch.stack(pooled, dim=1))
    parts.append(feat[:, :: conv.stride] @ conv.point.weight.t())
    if conv.mix is None:
        return torch.cat(parts, dim=-1)
    joined = torch.relu(oracle.batch_norm(conv.joined_norm, torch.cat(parts, dim=-1)))
    out = joined @ conv.mix.weight.t()
    return out if conv.mix.bias is None else out + conv.mix.bias


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    ("frames", "stride", "kernel", "dilations"),
    [
        (9, 1, 3, (1, 2, 3, 4)),
        (9, 2, 3, (1, 2)),
        (4, 3, 5, (1, 4)),
        (1, 1, 3, (2,)),
        (8, 2, 1, (1,)),
    ],
)
def test_equals_the_formula(frames, stride, kernel, dilations, training):
    with float64():
        conv = MultiBranchTemporalConv(3, 11, kernel, stride, dilations=dilations, bias=True)
        for parameter in conv.parameters():
            torch.nn.init.normal_(parameter)
        conv.train(training)
        feat = torch.randn(4, frames, 3, requires_grad=True)
        ours, theirs = conv(None, feat), formula(conv, feat)
        probe = torch.randn_like(ours)
        inputs = [feat, *conv.parameters()]
        got = torch.autograd.grad((ours * probe).sum(), inputs)
        expected = torch.autograd.grad((theirs * probe).sum(), inputs)
    torch.testing.assert_close(ours, theirs)
    for a, b in zip(got, expected, strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("stride", [1, 2])
def test_branches_that_are_not_mixed_equal_the_formula(stride):
    with float64():
        conv = MultiBranchTemporalConv(3, 9, 5, stride, dilations=(1, 2), mix=False)
        feat = torch.randn(4, 9, 3, requires_grad=True)
        inputs = [feat, *conv.parameters()]
        ours, theirs = conv(None, feat), formula(conv, feat)
        probe = torch.randn_like(ours)
        got = torch.autograd.grad((ours * probe).sum(), inputs)
        expected = torch.autograd.grad((theirs * probe).sum(), inputs)
    for a, b in zip((ours, *got), (theirs, *expected), strict=True):
        torch.testing.assert_close(a, b)
    with pytest.raises(ValueError, match="bias must be False"):
        MultiBranchTemporalConv(3, 9, mix=False, bias=True)


@pytest.mark.parametrize("stride", [1, 2])
def test_frames_that_do_not_exist_change_nothing(stride):
    with float64():
        conv = MultiBranchTemporalConv(3, 12, stride=stride)  # in training: statistics agree too
        feat = torch.randn(4, 9, 3)
        padded = torch.cat([feat, torch.full((4, 6, 3), float("nan"))], dim=1)
        mask = torch.zeros(4, 15, dtype=torch.bool)
        mask[:, :9] = True
        alone, masked = conv(None, feat), conv(None, padded, mask)
        torch.testing.assert_close(masked[:, : alone.shape[1]], alone)


def test_a_block_with_branches_masks_and_matches_shapes():
    graph = GraphBuilder(max_hop=1, num_actional=0).structure(chain(4))
    block = ASGCNBlock(
        3, 12, 3, 2, conv={"max_hop": 1, "num_actional": 0}, temporal="branches", dropout=0.0
    )
    feat, mask = torch.randn(4, 11, 3), torch.ones(4, 11, dtype=torch.bool)
    mask[:, 8:] = False
    out = block(graph, feat, None, mask)
    assert out.shape == (4, 6, 12)
    assert bool((out[:, 4:] == 0).all())
    torch.testing.assert_close(out[:, :4], block(graph, feat[:, :8]), rtol=1e-4, atol=1e-5)


def test_contract():
    conv = MultiBranchTemporalConv(4, 13, stride=2)
    assert conv.widths == (3, 2, 2, 2, 2, 2)
    feat = torch.randn(5, 7, 4)
    for same in (copy.deepcopy(conv), pickle.loads(pickle.dumps(conv))):
        assert torch.equal(same(None, feat), conv(None, feat))
    other = MultiBranchTemporalConv(4, 13, stride=2)
    other.load_state_dict(conv.state_dict())
    assert torch.equal(other.eval()(None, feat), conv.eval()(None, feat))
    assert conv(None, feat[:, 0]).shape == (5, 13)
    torch.manual_seed(1)
    conv.reset_parameters()
    torch.manual_seed(1)
    other.reset_parameters()
    assert torch.equal(conv.mix.weight, other.mix.weight)
    assert "dilations=(1, 2, 3, 4)" in repr(conv)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: MultiBranchTemporalConv(2, 8, 4), "kernel_size must be odd in branches, got 4"),
        (
            lambda: MultiBranchTemporalConv(2, 5),
            "out_feats must be at least 6, the branches, got 5",
        ),
        (lambda: MultiBranchTemporalConv(2, 8, dilations=()), "dilations must be numbers"),
        (lambda: ASGCNBlock(2, 8, temporal="many"), "temporal must be one of .* got 'many'"),
        (lambda: ASGCNBlock(2, 8, 3, temporal="branches", plain=True), "temporal must be 'single'"),
        (lambda: ASGCNBlock(2, 8, 5, 1, 0, temporal="branches"), "temporal must be 'single'"),
    ],
)
def test_errors_name_argument_rule_and_value(call, message):
    with pytest.raises(ValueError, match=message):
        call()
