import oracle
import pytest
import torch
from strategies import SUPPLIED, chain, float64, needs_dgl

from asgcn_dgl.nn import AIMEncoder, Links
from asgcn_dgl.ops.pairs import EdgePairs, gumbel_softmax, pairs_of
from asgcn_dgl.skeleton import GraphBuilder, get_layout


def setup(bodies=2, joints=4, frames=5, **options):
    graph = GraphBuilder(max_hop=1, num_actional=2).structure(chain(joints), [1] * bodies)
    encoder = AIMEncoder(3, 2, num_frames=frames, hidden_feats=6, dropout=0.0, **options)
    feat = torch.randn(bodies * joints, frames, 3)
    return graph, encoder, feat


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("reduce", ["mean", "max"])
@pytest.mark.parametrize("updates", [1, 2, 3])
@pytest.mark.parametrize("motion", [False, True])
def test_equals_the_concatenating_formula(motion, updates, reduce, training):
    with float64():
        graph, encoder, feat = setup(3, reduce=reduce, num_updates=updates, motion=motion)
        encoder.train(training)
        feat.requires_grad_()
        inputs = [feat, *encoder.parameters()]
        ours = encoder.infer(graph, feat)
        theirs = oracle.encode(encoder, feat.view(3, 4, -1)).flatten(0, 1)
        probe = torch.randn_like(ours)
        got = torch.autograd.grad((ours * probe).sum(), inputs)
        expected = torch.autograd.grad((theirs * probe).sum(), inputs)
    torch.testing.assert_close(ours, theirs)
    for a, b in zip(got, expected, strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("name", SUPPLIED)
def test_equals_the_formula_on_every_supplied_layout(name):
    layout = get_layout(name)
    size = layout.num_joints
    with float64():
        graph = GraphBuilder(max_hop=1, num_actional=1).structure(layout)
        encoder = AIMEncoder(2, 1, num_frames=2, hidden_feats=3, dropout=0.0)
        feat = torch.randn(size, 2, 2, requires_grad=True)
        ours = encoder.infer(graph, feat)
        theirs = oracle.encode(encoder, feat.view(1, size, -1)).flatten(0, 1)
        inputs = [feat, *encoder.parameters()]
        probe = torch.randn_like(ours)
        got = torch.autograd.grad((ours * probe).sum(), inputs)
        expected = torch.autograd.grad((theirs * probe).sum(), inputs)
    torch.testing.assert_close(ours, theirs)
    for a, b in zip(got, expected, strict=True):
        torch.testing.assert_close(a, b)


def test_mixed_layouts_equal_each_alone():
    with float64():
        builder = GraphBuilder(max_hop=1, num_actional=2)
        layouts = [chain(3), chain(5, "other")]
        encoder = AIMEncoder(3, 2, num_frames=4, hidden_feats=6).eval()
        feats = [torch.randn(size, 4, 3) for size in (3, 5)]
        apart = [
            encoder(builder.structure(layout), feat).weight
            for layout, feat in zip(layouts, feats, strict=True)
        ]
        joined = encoder(builder.structure(layouts, [1, 1]), torch.cat(feats))
    torch.testing.assert_close(joined.weight, torch.cat(apart))


@needs_dgl
@pytest.mark.parametrize("reduce", ["mean", "max"])
def test_any_order_of_edges_gives_the_same(reduce):
    import dgl

    with float64():
        graph, encoder, feat = setup(reduce=reduce)
        src, dst = graph.graph.edges(etype="actional_1")
        order = torch.randperm(len(src))
        other = dgl.heterograph(
            {("joint", "actional_1", "joint"): (src[order], dst[order])}, {"joint": 8}
        )
        assert isinstance(pairs_of(other), EdgePairs)
        torch.testing.assert_close(encoder.infer(graph, feat)[order], encoder.infer(other, feat))


def test_half_precision_is_near_single_precision():
    graph, encoder, feat = setup()
    expected = encoder.infer(graph, feat)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        got = encoder.infer(graph, feat)
    torch.testing.assert_close(got.float(), expected, rtol=0.1, atol=0.1)


def test_the_same_seed_drops_the_same():
    graph, encoder, feat = setup()
    for module in encoder.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.5

    def drawn(seed):
        torch.manual_seed(seed)
        return encoder.infer(graph, feat)

    assert torch.equal(drawn(1), drawn(1)) and not torch.equal(drawn(1), drawn(2))


def test_evaluation_is_deterministic_and_training_is_seeded():
    graph, encoder, feat = setup()
    encoder.eval()
    assert torch.equal(encoder(graph, feat).weight, encoder(graph, feat).weight)
    encoder.train()

    def drawn(seed):
        return encoder(graph, feat, generator=torch.Generator().manual_seed(seed)).weight

    assert torch.equal(drawn(1), drawn(1))
    assert not torch.equal(drawn(1), drawn(2))


def test_strengths_are_the_tempered_softmax_without_the_ghost():
    graph, encoder, feat = setup()
    links = encoder.eval()(graph, feat)
    assert isinstance(links, Links)
    expected = torch.softmax(links.logits / 0.5, -1)[:, 1:]
    torch.testing.assert_close(links.weight, expected)
    torch.testing.assert_close(links.prob.sum(-1), torch.ones(len(expected)))


def test_without_ghost_its_probability_is_zero():
    graph, encoder, feat = setup(ghost=False)
    links = encoder(graph, feat)
    assert bool((links.prob[:, 0] == 0).all())
    torch.testing.assert_close(links.weight.sum(-1), torch.ones(len(links.weight)))
    links.weight.square().sum().backward()
    assert all(bool(torch.isfinite(p.grad).all()) for p in encoder.parameters())


def test_hard_samples_are_one_hot_with_soft_gradients():
    logits = torch.randn(50, 3, requires_grad=True)
    sample = gumbel_softmax(logits, 0.5, noise=False, hard=True)
    assert set(sample.detach().unique().tolist()) <= {0.0, 1.0}
    assert torch.equal(sample.argmax(-1), logits.argmax(-1))
    soft = torch.softmax(logits / 0.5, -1)
    weight = torch.randn(50, 3)
    (hard_grad,) = torch.autograd.grad((sample * weight).sum(), logits)
    (soft_grad,) = torch.autograd.grad((soft * weight).sum(), logits)
    torch.testing.assert_close(hard_grad, soft_grad)


def test_gumbel_noise_draws_types_by_their_probability():
    logits = torch.log(torch.tensor([0.2, 0.5, 0.3])).expand(20000, 3)
    generator = torch.Generator().manual_seed(0)
    drawn = gumbel_softmax(logits, 0.5, noise=True, hard=True, generator=generator).mean(0)
    torch.testing.assert_close(drawn, torch.tensor([0.2, 0.5, 0.3]), atol=0.02, rtol=0)


def test_frames_are_picked_evenly_and_skip_what_is_missing():
    graph, encoder, _ = setup(1, 2, frames=3)
    feat = torch.randn(2, 6, 3)
    longer = torch.cat([feat, torch.full((2, 4, 3), 7.0)], dim=1)
    mask = torch.zeros(2, 10, dtype=torch.bool)
    mask[:, :6] = True
    torch.testing.assert_close(encoder.infer(graph, longer, mask), encoder.infer(graph, feat))
    torch.testing.assert_close(encoder.infer(graph, feat), encoder.infer(graph, feat[:, [1, 3, 5]]))


@pytest.mark.parametrize("kind", ["complete", "edges"])
def test_pairs_and_sums_by_hand(kind):
    pairs = pairs_of(GraphBuilder(num_actional=1).structure(chain(3)))
    if kind == "edges":
        sender, receiver = GraphBuilder(num_actional=1).structure(chain(3)).pair_nodes()
        pairs = EdgePairs(3, sender, receiver)
    near, far = torch.tensor([[1.0], [2.0], [3.0]]), torch.tensor([[10.0], [20.0], [30.0]])
    both = pairs.sum(near, far)
    assert both.flatten().tolist() == [21, 31, 12, 32, 13, 23]
    assert pairs.reduce(both, "mean").flatten().tolist() == [26, 22, 18]
    assert pairs.reduce(both, "max").flatten().tolist() == [31, 32, 23]


def test_one_joint_has_no_links():
    graph = GraphBuilder(num_actional=2).structure(chain(1))
    links = AIMEncoder(3, 2, num_frames=4)(graph, torch.randn(1, 4, 3))
    assert links.weight.shape == (0, 2)


def test_state_and_repr():
    graph, encoder, feat = setup()
    _, other, _ = setup()
    other.load_state_dict(encoder.state_dict())
    assert torch.equal(encoder.infer(graph, feat), other.infer(graph, feat))
    assert "num_actional=2" in repr(encoder) and "tau=0.5" in repr(encoder)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"reduce": "sum"}, "reduce must be"),
        ({"tau": 0.0}, "tau must be positive, got 0.0"),
        ({"num_actional": 0}, "num_actional must be"),
        ({"num_frames": 0}, "num_frames must be"),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        AIMEncoder(3, **options)


def test_bad_features_are_named():
    graph, encoder, feat = setup()
    with pytest.raises(ValueError, match=r"feat must be \(joints, frames, 3\) with 8 joints"):
        encoder(graph, feat[:, :, :2])


@pytest.mark.parametrize("missing", [False, True])
def test_links_of_motion_depend_on_movement_alone(missing):
    graph, encoder, feat = setup(2, motion=True)
    encoder.eval()
    mask = torch.ones(feat.shape[:2], dtype=torch.bool)
    if missing:
        mask[1, 2] = False
    elsewhere = feat + torch.randn(len(feat), 1, 3)
    torch.testing.assert_close(
        encoder.infer(graph, elsewhere, mask), encoder.infer(graph, feat, mask)
    )
    encoder.motion = False
    apart = encoder.infer(graph, elsewhere, mask) - encoder.infer(graph, feat, mask)
    assert apart.abs().max() > 1e-3
