import copy
import pickle

import pytest
import torch
from strategies import chain, float64, needs_dgl

from asgcn_dgl.nn import ASGCNBlock, PooledAttention
from asgcn_dgl.skeleton import GraphBuilder


def woken(over, feats=6):
    """Attention that is no longer the identity."""
    attention = PooledAttention(feats, over)
    for parameter in attention.parameters():
        torch.nn.init.normal_(parameter)
    return attention


def formula(attention, clips, masks):
    """Clip by clip, joint by joint, frame by frame; clips are (V, T, D)."""

    def gate(last, rows):
        mean = torch.stack(list(rows)).mean(0) if len(rows) else torch.zeros(attention.feats)
        hidden = torch.relu(mean @ attention.squeeze.weight.t() + attention.squeeze.bias)
        return 2 * torch.sigmoid(hidden @ last.weight.t() + last.bias)

    out = []
    for feat, mask in zip(clips, masks, strict=True):
        for i, joint in enumerate(feat):
            frames = []
            for t, x in enumerate(joint):
                y = x if mask[i, t] else torch.zeros_like(x)
                if attention.joints is not None:
                    y = y * gate(attention.joints, joint[mask[i]])
                if attention.frames is not None:
                    y = y * gate(attention.frames, feat[mask[:, t], t])
                frames.append(y)
            out.append(torch.stack(frames))
    return torch.stack(out)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("over", ["frames", "joints", "both"])
def test_equals_the_formula(over, masked):
    with float64():
        graph = GraphBuilder(max_hop=1).structure(chain(3), [1, 2])
        attention = woken(over)
        feat = torch.randn(9, 4, 6, requires_grad=True)
        mask = torch.rand(9, 4) > 0.4 if masked else torch.ones(9, 4, dtype=torch.bool)
        mask[1] &= not masked  # a joint that is never there
        mask[:3, 2] &= not masked  # a frame in which a clip has nothing
        ours = attention(graph, feat, mask if masked else None)
        theirs = formula(attention, feat.split([3, 6]), mask.split([3, 6]))
        probe = torch.randn_like(ours)
        inputs = [feat, *attention.parameters()]
        got = torch.autograd.grad((ours * probe).sum(), inputs)
        expected = torch.autograd.grad((theirs * probe).sum(), inputs)
    torch.testing.assert_close(ours, theirs)
    for a, b in zip(got, expected, strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("over", ["frames", "joints", "both"])
def test_a_batch_is_its_clips_and_joints_have_no_order(over):
    builder, layout = GraphBuilder(max_hop=1, num_actional=0), chain(4)
    attention, feat = woken(over), torch.randn(12, 5, 6)
    graph = builder.structure(layout, [1, 2])
    joined = attention(graph, feat)
    apart = [
        attention(builder.structure(layout), feat[:4]),
        attention(builder.structure(layout, [2]), feat[4:]),
    ]
    torch.testing.assert_close(joined, torch.cat(apart))
    order = torch.tensor([2, 0, 3, 1, 4, 6, 5, 7, 11, 10, 9, 8])  # within each clip
    torch.testing.assert_close(attention(graph, feat[order]), joined[order])


@needs_dgl
def test_a_dgl_graph_gives_the_same():
    builder, layout = GraphBuilder(max_hop=1, num_actional=0), chain(4)
    attention, feat = woken("both"), torch.randn(12, 5, 6)
    expected = attention(builder.structure(layout, [1, 2]), feat)
    torch.testing.assert_close(attention(builder.batch(layout, [1, 2]), feat), expected)


def test_it_begins_as_the_identity_in_a_block():
    graph = GraphBuilder(max_hop=1, num_actional=0).structure(chain(4))
    conv = {"max_hop": 1, "num_actional": 0}
    torch.manual_seed(3)
    plain = ASGCNBlock(3, 8, conv=conv)
    torch.manual_seed(3)
    block = ASGCNBlock(3, 8, conv=conv, attention="both")
    block.load_state_dict(plain.state_dict(), strict=False)
    feat = torch.randn(4, 6, 3)
    torch.testing.assert_close(block(graph, feat), plain(graph, feat))
    torch.nn.init.normal_(block.attention.frames.weight)
    assert not torch.allclose(block(graph, feat), plain(graph, feat))
    block.reset_parameters()
    assert bool((block.attention.frames.weight == 0).all())


def test_contract():
    attention = woken("both")
    graph, feat = GraphBuilder(max_hop=1).structure(chain(3)), torch.randn(3, 2, 6)
    for same in (copy.deepcopy(attention), pickle.loads(pickle.dumps(attention))):
        assert torch.equal(same(graph, feat), attention(graph, feat))
    assert "over='both'" in repr(attention)
    with pytest.raises(ValueError, match=r"over must be one of .* got 'time'"):
        PooledAttention(8, "time")
    with pytest.raises(ValueError, match="feats must be"):
        PooledAttention(0)
