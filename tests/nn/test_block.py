import oracle
import pytest
import torch
from strategies import SUPPLIED, chain, float64

from asgcn_dgl.nn import ASGCNBlock
from asgcn_dgl.ops import use_engine
from asgcn_dgl.skeleton import GraphBuilder, get_layout


def check(module, layout, frames, links=True):
    """Output and all gradients of a block against Fig. 5, two bodies, float64."""
    graph = GraphBuilder(max_hop=2, num_actional=2).structure(layout, [2])
    size, feats = layout.num_joints, module.spatial.structural.in_feats
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter)
    feat = torch.randn(2 * size, frames, feats, requires_grad=True)
    edges = torch.rand(2 * size * (size - 1), 2).add_(0.1).requires_grad_() if links else None
    ours = module(graph, feat, edges)
    split = None if edges is None else edges.view(2, -1, 2)
    theirs = oracle.block(module, layout, feat.view(2, size, frames, feats), split).flatten(0, 1)
    inputs = [feat, *([edges] if links else []), *module.parameters()]
    probe = torch.randn_like(ours)
    got = torch.autograd.grad((ours * probe).sum(), inputs)
    expected = torch.autograd.grad((theirs * probe).sum(), inputs)
    torch.testing.assert_close(ours, theirs)
    for a, b in zip(got, expected, strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("name", SUPPLIED)
def test_equals_figure_5_on_every_supplied_layout(name):
    layout = get_layout(name)
    conv = {"max_hop": 2, "num_actional": 2, "layouts": layout}
    with float64():
        check(ASGCNBlock(2, 3, 3, conv=conv), layout, 4)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    ("shape", "options"),
    [
        ((3, 3, 7, 1), {}),
        ((3, 4, 7, 2), {}),
        ((3, 3, 5, 1, 0), {}),
        ((3, 3, 3, 2, 1), {"residual": False}),
        ((3, 2, 1), {"plain": True}),
    ],
)
def test_equals_figure_5_in_every_shape(shape, options, training):
    layout = chain(4)
    conv = {"max_hop": 2, "num_actional": 2, "layouts": layout, "bias": True}
    with float64():
        check(ASGCNBlock(*shape, conv=conv, **options).train(training), layout, 6)


def test_equals_figure_5_without_links():
    conv = {"max_hop": 2, "num_actional": 0}
    with float64():
        check(ASGCNBlock(2, 3, conv=conv), chain(5), 5, links=False)


def test_masked_padding_does_not_change_what_exists():
    layout = chain(4)
    graph = GraphBuilder(max_hop=2, num_actional=0).structure(layout)
    for stride in (1, 2):
        module = ASGCNBlock(3, 5, 7, stride, conv={"max_hop": 2, "num_actional": 0})
        feat = torch.randn(4, 9, 3)
        padded = torch.cat([feat, torch.full((4, 6, 3), 50.0)], dim=1)
        mask = torch.zeros(4, 15, dtype=torch.bool)
        mask[:, :9] = True
        alone = module(graph, feat)  # in training mode: the statistics must agree too
        masked = module(graph, padded * mask.unsqueeze(-1), None, mask)
        frames = alone.shape[1]
        torch.testing.assert_close(masked[:, :frames], alone, rtol=1e-4, atol=1e-5)
        assert bool((masked[:, frames:] == 0).all())
        assert (
            module.out_mask(mask)[:, :frames].all() and not module.out_mask(mask)[:, frames:].any()
        )


def test_dropout_is_off_in_evaluation():
    graph = GraphBuilder(max_hop=1, num_actional=0).structure(chain(3))
    module = ASGCNBlock(2, 2, dropout=0.9, conv={"max_hop": 1, "num_actional": 0}).eval()
    feat = torch.randn(3, 5, 2)
    assert torch.equal(module(graph, feat), module(graph, feat))


def test_features_without_frames_are_one_frame():
    graph = GraphBuilder(max_hop=1, num_actional=0).structure(chain(3))
    module = ASGCNBlock(2, 4, conv={"max_hop": 1, "num_actional": 0}).eval()
    feat = torch.randn(3, 2)
    torch.testing.assert_close(module(graph, feat), module(graph, feat.unsqueeze(1)).squeeze(1))


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((3, 4, 8), "kernel_size must be odd .* got 8"),
        ((3, 4, 3, 1, 2), "padding must be from 0 to 1"),
    ],
)
def test_shapes_that_cannot_be_aligned_are_refused(shape, message):
    with pytest.raises(ValueError, match=message):
        ASGCNBlock(*shape)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("widths", [(3, 3), (3, 5)])
def test_conv_residual_is_added_before_the_relu(widths, masked, training):
    with float64():
        conv = {"max_hop": 1, "num_actional": 0}
        block = ASGCNBlock(*widths, 3, conv=conv, conv_residual=True, residual=False)
        for each in block.parameters():
            torch.nn.init.normal_(each)
        block.train(training)
        graph = GraphBuilder(max_hop=1, num_actional=0).structure("coco17")
        feat = torch.randn(17, 6, widths[0])
        mask = torch.rand(17, 6) > 0.3 if masked else None
        beside = feat
        if block.conv_shortcut is not None:
            beside = block.conv_shortcut_norm(feat @ block.conv_shortcut.weight.t(), mask)
        inner = block.spatial_norm(block.spatial(graph, feat), mask) + beside
        inner = inner.relu() if mask is None else inner.relu() * mask.unsqueeze(-1)
        expected = block.temporal_norm(block.temporal(graph, inner), mask).relu()
        got = block(graph, feat, mask=mask)
    torch.testing.assert_close(got, expected)


@pytest.mark.parametrize("change", ["in place", "data", "state_dict"])
@pytest.mark.parametrize("engine", ["pairs", "relations"])
def test_evaluation_sees_every_change_of_a_parameter(engine, change):
    """What is made of the weights is kept without gradients, until one of them changes."""
    layout = get_layout("coco17")
    graph = GraphBuilder(max_hop=2, num_actional=1).structure(layout)
    conv = {"max_hop": 2, "num_actional": 1, "layouts": layout}
    block = ASGCNBlock(2, 4, 3, conv=conv).eval()
    feat, links = torch.randn(17, 5, 2), torch.rand(17 * 16, 1)
    for name, tensor in block.state_dict(keep_vars=True).items():
        if name.endswith("num_batches_tracked"):
            continue
        with torch.no_grad(), use_engine(engine):
            before = block(graph, feat, links)
            assert torch.equal(block(graph, feat, links), before)
            if change == "state_dict":
                state = {key: value.clone() for key, value in block.state_dict().items()}
                block.load_state_dict({**state, name: state[name] + 0.5})
            else:
                (tensor.data if change == "data" else tensor).add_(0.5)
                block.eval()  # torch does not count changes through `.data`
            after = block(graph, feat, links)
            assert not torch.equal(before, after), name
        # With gradients nothing is kept.
        with use_engine(engine):
            torch.testing.assert_close(block(graph, feat, links), after)
