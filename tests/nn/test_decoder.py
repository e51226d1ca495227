import oracle
import pytest
import torch
from strategies import SUPPLIED, chain, float64, needs_dgl

from asgcn_dgl.nn import AIMDecoder
from asgcn_dgl.nn import decoder as decoder_module
from asgcn_dgl.ops import pairs
from asgcn_dgl.ops.pairs import EdgePairs, pairs_of
from asgcn_dgl.skeleton import GraphBuilder, get_layout


def setup(bodies=2, joints=4, frames=5, **options):
    graph = GraphBuilder(max_hop=1, num_actional=2).structure(chain(joints), [1] * bodies)
    decoder = AIMDecoder(3, 2, hidden_feats=6, **options)
    torch.nn.init.normal_(decoder.out.second.weight)
    feat = torch.randn(bodies * joints, frames, 3)
    links = torch.rand(graph.num_edges("actional_1"), 2)
    return graph, decoder, feat, links


@pytest.mark.parametrize("pred_steps", [1, 3])
@pytest.mark.parametrize("reduce", ["mean", "max"])
@pytest.mark.parametrize("residual", [True, False])
def test_equals_the_stepwise_formula(residual, reduce, pred_steps):
    steps_agree(pred_steps, reduce=reduce, residual=residual)


@pytest.mark.parametrize("pred_steps", [1, 3])
def test_messages_of_motion_equal_the_stepwise_formula(pred_steps):
    steps_agree(pred_steps, motion=True)


def steps_agree(pred_steps, **options):
    with float64():
        graph, decoder, feat, links = setup(2, **options)
        feat.requires_grad_()
        links.requires_grad_()
        inputs = [feat, links, *decoder.parameters()]
        ours = decoder(graph, feat, links, pred_steps)
        theirs = torch.cat(
            [
                oracle.decode(
                    decoder,
                    feat[4 * body : 4 * body + 4],
                    oracle.link_matrices(links[12 * body : 12 * body + 12], 4),
                    pred_steps,
                )
                for body in range(2)
            ]
        )
        probe = torch.randn_like(ours)
        got = torch.autograd.grad((ours * probe).sum(), inputs)
        expected = torch.autograd.grad((theirs * probe).sum(), inputs)
    torch.testing.assert_close(ours, theirs)
    for a, b in zip(got, expected, strict=True):
        torch.testing.assert_close(a, b)


def agree(decoder, graph, layouts, feat, links):
    """Output and all gradients against the stepwise formula, body by body."""
    ours = decoder(graph, feat, links)
    theirs, node, edge = [], 0, 0
    for size in (layout.num_joints for layout in layouts):
        matrices = oracle.link_matrices(links[edge : edge + size * (size - 1)], size)
        theirs.append(oracle.decode(decoder, feat[node : node + size], matrices))
        node, edge = node + size, edge + size * (size - 1)
    theirs = torch.cat(theirs)
    inputs = [feat, links, *decoder.parameters()]
    probe = torch.randn_like(ours)
    got = torch.autograd.grad((ours * probe).sum(), inputs)
    expected = torch.autograd.grad((theirs * probe).sum(), inputs)
    torch.testing.assert_close(ours, theirs)
    for a, b in zip(got, expected, strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("names", [[name] for name in SUPPLIED] + [["coco17", "hand21", "coco17"]])
def test_equals_the_formula_on_every_supplied_layout_and_mixed(names):
    layouts = [get_layout(name) for name in names]
    with float64():
        builder = GraphBuilder(max_hop=1, num_actional=2)
        graph = builder.structure(layouts, [1] * len(layouts))
        decoder = AIMDecoder(2, 2, hidden_feats=3)
        feat = torch.randn(graph.num_nodes(), 3, 2, requires_grad=True)
        links = torch.rand(graph.num_edges("actional_1"), 2, requires_grad=True)
        agree(decoder, graph, layouts, feat, links)


@pytest.mark.parametrize("tile", [1, 3000, 2**30])
def test_tiles_do_not_change_the_result(tile, monkeypatch):
    with float64():
        graph, decoder, feat, links = setup(3, 5)
        links.requires_grad_()
        expected = decoder(graph, feat, links)
        (grad,) = torch.autograd.grad(expected.sum(), links)
        monkeypatch.setattr(pairs, "PAIR_TILE", tile)
        got = decoder(graph, feat, links)
        torch.testing.assert_close(got, expected)
        torch.testing.assert_close(torch.autograd.grad(got.sum(), links)[0], grad)


@pytest.mark.parametrize("limit", [1, 5000, 2**30])
@pytest.mark.parametrize("reduce", ["mean", "max"])
def test_any_list_of_pairs_gives_the_same_in_pieces_too(reduce, limit, monkeypatch):
    monkeypatch.setattr(pairs, "PAIR_LIMIT", limit)
    with float64():
        graph, decoder, feat, links = setup(reduce=reduce)
        feat.requires_grad_()
        links.requires_grad_()
        inputs = [feat, links, *decoder.parameters()]
        expected = decoder(graph, feat, links)
        probe = torch.randn_like(expected)
        grads = torch.autograd.grad((expected * probe).sum(), inputs)
        order = torch.randperm(len(links))
        src, dst = (torch.tensor(side)[order] for side in complete(2, 4))
        monkeypatch.setattr(decoder_module, "pairs_of", lambda *_: EdgePairs(8, src, dst))
        got = decoder(graph, feat, links[order])
        torch.testing.assert_close(got, expected)
        for a, b in zip(torch.autograd.grad((got * probe).sum(), inputs), grads, strict=True):
            torch.testing.assert_close(a, b)


def complete(bodies, size):
    """Senders and receivers of all pairs, receiver-major."""
    found = [
        (size * body + j, size * body + i)
        for body in range(bodies)
        for i in range(size)
        for j in range(size)
        if i != j
    ]
    return zip(*found, strict=True)


@needs_dgl
@pytest.mark.parametrize("reduce", ["mean", "max"])
def test_any_order_of_edges_gives_the_same(reduce):
    import dgl

    with float64():
        graph, decoder, feat, links = setup(reduce=reduce)
        src, dst = graph.graph.edges(etype="actional_1")
        order = torch.randperm(len(src))
        other = dgl.heterograph(
            {("joint", "actional_1", "joint"): (src[order], dst[order])}, {"joint": 8}
        )
        assert isinstance(pairs_of(other), EdgePairs)
        torch.testing.assert_close(decoder(graph, feat, links), decoder(other, feat, links[order]))
        narrow = other.int()  # DGL's 32-bit indices
        torch.testing.assert_close(decoder(graph, feat, links), decoder(narrow, feat, links[order]))


@pytest.mark.parametrize("reduce", ["mean", "max"])
@pytest.mark.parametrize("names", [["coco17"] * 2, ["coco17", "hand21", "coco17"]])
def test_across_bodies_a_clip_is_one_unit(names, reduce):
    """Clips of two bodies, one body, two bodies."""
    counts = [2, 1, 2][: len(names)]
    sizes = [get_layout(n).num_joints * k for n, k in zip(names, counts, strict=True)]
    with float64():
        graph = GraphBuilder(max_hop=1, num_actional=2, across_bodies=True).structure(names, counts)
        decoder = AIMDecoder(2, 2, hidden_feats=3, reduce=reduce)
        feat = torch.randn(graph.num_nodes(), 3, 2, requires_grad=True)
        links = torch.rand(graph.num_edges("actional_1"), 2, requires_grad=True)
        agree(decoder, graph, [chain(size) for size in sizes], feat, links)


@pytest.mark.parametrize("scale", [1.0, 1e3])
def test_large_poses_give_the_formula_in_single_precision(scale):
    layouts = [chain(5)] * 2
    graph = GraphBuilder(max_hop=1, num_actional=2).structure(layouts, [1, 1])
    decoder = AIMDecoder(3, 2, hidden_feats=6)
    feat, links = scale * torch.randn(10, 6, 3), torch.rand(40, 2)
    found = decoder(graph, feat, links)
    decoder.double()
    expected = [
        oracle.decode(decoder, f, oracle.link_matrices(e, 5))
        for f, e in zip(feat.double().split(5), links.double().split(20), strict=True)
    ]
    torch.testing.assert_close(found.double(), torch.cat(expected), rtol=1e-5, atol=1e-5)


def test_half_precision_is_near_single_precision():
    graph, decoder, feat, links = setup()
    expected = decoder(graph, feat, links)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        got = decoder(graph, feat, links)
    torch.testing.assert_close(got.float(), expected, rtol=0.05, atol=0.05)


@pytest.mark.parametrize("autocast", [False, True])
def test_messages_in_16_bits_are_summed_in_32(autocast):
    graph = GraphBuilder(max_hop=1, num_actional=2).structure(chain(40))
    receiver, sender = (torch.randn(2, 40, 6).bfloat16() for _ in range(2))
    links = torch.rand(graph.num_pairs, 2)
    expected = pairs_of(graph).average(receiver.float(), sender.float(), links)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        found = pairs_of(graph).average(receiver, sender, links)
    assert torch.equal(found, expected.bfloat16())


def test_gradcheck():
    with float64():
        graph, decoder, feat, links = setup(1, 3, 3)
        feat.requires_grad_()
        links.requires_grad_()
        torch.autograd.gradcheck(lambda f, e: decoder(graph, f, e), (feat, links))


def test_rollout_goes_on_from_its_own_predictions():
    graph, decoder, feat, links = setup(frames=4)
    future = decoder.rollout(graph, feat, links, 3)
    assert future.shape == (8, 3, 3)
    longer = torch.cat([feat, future], dim=1)
    torch.testing.assert_close(decoder(graph, longer, links)[:, 3:], future, rtol=1e-4, atol=1e-5)


def test_without_links_no_joint_hears_of_another():
    graph, decoder, feat, links = setup()
    changed = feat.clone()
    changed[0] += 1.0
    quiet = torch.zeros_like(links)
    same = decoder(graph, feat, quiet) == decoder(graph, changed, quiet)
    assert bool(same[1:].all()) and not bool(same[0].all())
    assert not torch.equal(decoder(graph, feat, links)[1:4], decoder(graph, changed, links)[1:4])


def test_starts_near_the_last_pose():
    graph = GraphBuilder(num_actional=2).structure(chain(4))
    feat, links = torch.randn(4, 6, 3), torch.rand(12, 2)
    pred = AIMDecoder(3, 2)(graph, feat, links)
    assert (pred - feat[:, :-1]).abs().max() < 0.2


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda g, d, f, e: d(g, f[:, :1], e), "at least 2 frames, got 1"),
        (lambda g, d, f, e: d(g, f, e, 0), "pred_steps must be at least 1, got 0"),
        (lambda g, d, f, e: d(g, f, e[:, :1]), "2 actional types .* got 1"),
        (lambda g, d, f, e: d(g, f, e[:3]), "each of the 24 edges .* got 3"),
        (lambda g, d, f, e: d(g, f[..., :2], e), "feat must be"),
        (lambda g, d, f, e: d.rollout(g, f, e, 0), "num_steps must be"),
        (lambda g, d, f, e: AIMDecoder(3, reduce="sum"), "reduce must be"),
    ],
)
def test_errors_name_argument_rule_and_value(call, message):
    with pytest.raises(ValueError, match=message):
        call(*setup())


def test_messages_of_motion_are_the_same_on_edges():
    with float64():
        graph, _, _, links = setup(2)
        src, dst = (torch.tensor(side) for side in complete(2, 4))
        sender = torch.randn(2, 8, 5)
        found = pairs_of(graph).mix(sender, links)
        expected = EdgePairs(8, src, dst).mix(sender, links)
    torch.testing.assert_close(found, expected)


def test_joints_at_rest_send_no_message_of_motion():
    graph, decoder, feat, links = setup(1, frames=6, motion=True)
    feat[1:] = feat[1:, :1]
    torch.testing.assert_close(
        decoder(graph, feat, links)[0], decoder(graph, feat, torch.zeros_like(links))[0]
    )
    moved = decoder(graph, feat, links) - decoder(graph, feat, torch.zeros_like(links))
    assert moved[1:].abs().max() > 1e-6


def test_rollout_of_messages_of_motion_goes_on_from_its_guesses():
    graph, decoder, feat, links = setup(1, motion=True)
    one = decoder.rollout(graph, feat, links, 1)
    two = decoder.rollout(graph, feat, links, 2)
    again = decoder.rollout(graph, torch.cat([feat, one], dim=1), links, 1)
    torch.testing.assert_close(two[:, :1], one)
    torch.testing.assert_close(two[:, 1:], again)


def test_the_largest_message_of_motion_is_refused():
    with pytest.raises(ValueError, match=r"reduce must be 'mean'"):
        AIMDecoder(3, 2, reduce="max", motion=True)
