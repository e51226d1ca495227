"""SGConv, AGConv and ASGConv against the dense formula, by every engine."""

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

import oracle
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import ENGINES, SUPPLIED, chain, float64, needs_dgl, trees

from asgcn_dgl.nn import AGConv, ASGConv, SGConv
from asgcn_dgl.nn.encoder import Links
from asgcn_dgl.ops import forms, link_matrices, use_engine
from asgcn_dgl.skeleton import GraphBuilder, SkeletonLayout, get_layout


def dense_asgc(conv, layouts, bodies, feat, links, builder):
    """The formula, body by body."""
    make = oracle.power_operators if builder.construction == "power" else oracle.distance_operators
    parts, node, edge = [], 0, 0
    for layout, count in zip(layouts, bodies, strict=True):
        operators = make(layout, builder.max_hop)
        size = layout.num_joints
        for _ in range(count):
            x = feat[node : node + size]
            masks = None
            if conv.structural.masks is not None:
                masks = oracle.dense_masks(operators, conv.structural.masks[layout.name])
            out = oracle.sgc(x, operators, own_weights(conv.structural, 3), masks)
            if conv.actional is not None:
                some = oracle.link_matrices(links[edge : edge + size * (size - 1)], size)
                weights = own_weights(conv.actional, 1)
                act = oracle.agc(x, some, weights, conv.actional.link_norm)
                out = out + conv.actional_weight * conv.actional.scale * act
            parts.append(out)
            node, edge = node + size, edge + size * (size - 1)
    return torch.cat(parts)


def own_weights(layer, period):
    """A weight for each relation, of weights that are shared or not."""
    if layer.factors is None:
        return layer.weight
    return torch.stack(
        [factor * layer.weight[r % period] for r, factor in enumerate(layer.factors)]
    )


def compare(kinds, bodies, *, engine="auto", frames=2, in_feats=3, out_feats=2, **options):
    """Outputs and all gradients of ASGConv and of the formula, float64."""
    construction = options.get("construction", "power")
    max_hop, types = options.get("max_hop", 2), options.get("num_actional", 2)
    builder = GraphBuilder(max_hop=max_hop, num_actional=types, construction=construction)
    options = {"max_hop": max_hop, "num_actional": types, **options}
    with float64():
        graph = builder.structure(kinds, bodies)
        conv = ASGConv(in_feats, out_feats, **options)
        for parameter in conv.parameters():
            torch.nn.init.normal_(parameter)
        feat = torch.randn(graph.num_nodes(), frames, in_feats, requires_grad=True)
        edges = graph.num_edges("actional_1") if types else 0
        links = torch.rand(edges, max(types, 1)).add_(0.05).requires_grad_()
        inputs = [feat, *([links] if edges else []), *conv.parameters()]
        theirs = dense_asgc(conv, kinds, bodies, feat, links, builder)
        with use_engine(engine):
            ours = conv(graph, feat, links if types else None)
            with torch.no_grad():
                constant = conv(graph, feat, links if types else None)
        torch.testing.assert_close(constant, theirs)
        probe = torch.randn_like(theirs)
        expected = torch.autograd.grad((theirs * probe).sum(), inputs, allow_unused=True)
        got = torch.autograd.grad((ours * probe).sum(), inputs, allow_unused=True)
    torch.testing.assert_close(ours, theirs)
    for a, b, tensor in zip(got, expected, inputs, strict=True):
        zero = torch.zeros_like(tensor)
        torch.testing.assert_close(zero if a is None else a, zero if b is None else b)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", SUPPLIED)
@pytest.mark.parametrize("construction", ["power", "distance"])
def test_equals_the_formula_on_every_supplied_layout(name, construction, engine):
    layout = get_layout(name)
    compare([layout], [2], engine=engine, construction=construction, max_hop=3, layouts=layout)


@pytest.mark.parametrize("engine", ENGINES)
@given(layout=trees(max_joints=7), data=st.data())
@settings(max_examples=25, deadline=None)
def test_equals_the_formula_on_random_trees(engine, layout, data):
    compare(
        [layout] * 2,
        data.draw(st.lists(st.integers(1, 2), min_size=2, max_size=2)),
        engine=engine,
        frames=data.draw(st.integers(1, 3)),
        in_feats=data.draw(st.integers(1, 3)),
        out_feats=data.draw(st.integers(1, 3)),
        max_hop=data.draw(st.integers(1, 4)),
        num_actional=data.draw(st.integers(0, 3)),
        construction=data.draw(st.sampled_from(["power", "distance"])),
        layouts=layout if data.draw(st.booleans()) else None,
    )


@pytest.mark.parametrize("engine", ENGINES)
def test_equals_the_formula_in_a_mixed_batch(engine):
    layouts = [get_layout("coco17"), chain(5), get_layout("coco17"), chain(5)]
    compare(layouts, [1, 2, 2, 1], engine=engine, layouts=[chain(5), get_layout("coco17")])


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("link_norm", ["paper", "self_loop", "none"])
def test_every_normalization_equals_the_formula(link_norm, engine):
    compare([chain(4)] * 2, [1, 2], engine=engine, link_norm=link_norm, scale=0.1)


@pytest.mark.parametrize("engine", ["auto", *ENGINES])
@pytest.mark.parametrize("types", [0, 2])
def test_shared_weights_equal_the_formula(types, engine):
    layouts = [get_layout("coco17"), chain(5), get_layout("coco17")]
    options = {"max_hop": 3, "num_actional": types, "link_norm": "self_loop", "shared": True}
    compare(layouts, [1, 2, 2], engine=engine, layouts=layouts[:2], **options)


def test_shared_weights_are_few_and_begin_as_a_mean_over_hops():
    conv = ASGConv(4, 5, 4, 3, shared=True)
    assert conv.structural.weight.shape == (3, 4, 5) and conv.actional.weight.shape == (1, 4, 5)
    assert conv.structural.factors.tolist() == [0.25] * 12
    assert conv.actional.factors.tolist() == pytest.approx([1 / 3] * 3)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"bias": "relation"}, "bias must not be 'relation'"),
        ({"construction": "distance"}, "construction must be 'power'"),
        ({"etypes": ["a", "b", "c"]}, "etypes must be None"),
    ],
)
def test_what_cannot_share_weights_is_refused(options, text):
    with pytest.raises(ValueError, match=text):
        SGConv(3, 4, 1, shared=True, **options)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    "bones", [[(0, 1), (1, 2), (2, 3), (3, 0), (3, 4)], [(0, 1), (1, 2), (2, 0), (2, 3)]]
)
def test_a_skeleton_with_cycles_equals_the_formula(engine, bones):
    """In an odd cycle two joints are equally far from the center: several hops join them."""
    ring = SkeletonLayout.from_bones("ring", bones, center=0)
    compare([ring], [2], engine=engine, max_hop=4, layouts=ring)


@pytest.mark.parametrize("tile", [1, 2**30])
def test_tiles_of_bodies_do_not_change_the_result(tile, monkeypatch):
    monkeypatch.setattr(forms, "LINK_TILE", tile)
    monkeypatch.setattr(forms, "FEW_ROWS", 1)  # A-links go body by body from here on
    layout = get_layout("ntu25")
    compare([layout] * 3, [1, 2, 1], engine="pairs", max_hop=4, num_actional=3, layouts=layout)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("across", [False, True])
def test_bias_of_relations_is_added_before_aggregation(engine, across):
    """Equal to one more feature that is 1 at every joint."""
    layout = chain(4)
    builder = GraphBuilder(max_hop=2, num_actional=2, across_bodies=across)
    with float64(), use_engine(engine):
        graph = builder.structure(layout, [2, 1])
        conv = ASGConv(2, 3, 2, 2, layouts=layout, offsets=layout, bias="relation", scale=0.3)
        plain = ASGConv(3, 3, 2, 2, layouts=layout, offsets=layout, scale=0.3)
        for parameter in conv.parameters():
            torch.nn.init.normal_(parameter)
        for own, other in ((plain.structural, conv.structural), (plain.actional, conv.actional)):
            bias = other.relation_bias.unsqueeze(1)
            own.weight = torch.nn.Parameter(torch.cat([other.weight, bias], dim=1))
        plain.structural.masks, plain.structural.offsets = (
            conv.structural.masks,
            conv.structural.offsets,
        )
        feat = torch.randn(12, 5, 2)
        links = torch.rand(graph.num_pairs, 2)
        ones = torch.ones(12, 5, 1)
        expected = plain(graph, torch.cat([feat, ones], dim=-1), links)
        torch.testing.assert_close(conv(graph, feat, links), expected)


@needs_dgl
def test_a_graph_that_is_changed_keeps_its_changes_to_itself():
    builder, conv = GraphBuilder(max_hop=1, num_actional=0), SGConv(2, 2, 1)
    feat = torch.randn(3, 2)
    before = conv(builder.batch(chain(3), [1]), feat)
    graph = builder.batch(chain(3), [1])
    graph.edges["centripetal_1"].data["weight"].mul_(3.0)
    graph.ndata["joint"].zero_()
    assert not torch.allclose(conv(graph, feat), before)
    assert torch.equal(conv(builder.batch(chain(3), [1]), feat), before)


def test_star_order_that_is_no_prefix():
    """Senders of the second relation that are not among the first of the joints' order."""
    layout = SkeletonLayout.from_bones(
        "comb", [(0, 1), (1, 2), (2, 3), (0, 4), (4, 5), (1, 6), (6, 7), (0, 8)], center=0
    )
    compare([layout], [3], max_hop=3, construction="distance", layouts=layout)


@pytest.mark.parametrize("engine", ENGINES)
def test_zero_links_stay_zero(engine):
    graph = GraphBuilder(num_actional=1).structure(chain(3))
    links = torch.zeros(graph.num_edges("actional_1"), 1)
    with use_engine(engine):
        out = AGConv(2, 2, 1)(graph, torch.randn(3, 2), links)
    assert torch.equal(out, torch.zeros(3, 2))


@pytest.mark.parametrize("engine", ENGINES)
@given(a=st.floats(-3, 3), b=st.floats(-3, 3), seed=st.integers(0, 2**16))
@settings(max_examples=15, deadline=None)
def test_theorem_1_linearity(engine, a, b, seed):
    layout = get_layout("hand21")
    with float64(), use_engine(engine):
        generator = torch.Generator().manual_seed(seed)
        graph = GraphBuilder().structure(layout)
        conv = ASGConv(3, 4, layouts=layout)
        links = torch.rand(graph.num_edges("actional_1"), 3, generator=generator)
        x, y = torch.randn(2, 21, 2, 3, generator=generator)
        left = conv(graph, a * x + b * y, links)
        right = a * conv(graph, x, links) + b * conv(graph, y, links)
    torch.testing.assert_close(left, right, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("engine", ENGINES)
def test_gradcheck(engine):
    layout = chain(4)
    with float64(), use_engine(engine):
        graph = GraphBuilder(max_hop=2, num_actional=2).structure(layout, [1, 1])
        conv = ASGConv(2, 2, 2, 2, layouts=layout)
        feat = torch.randn(8, 2, 2, requires_grad=True)
        links = torch.rand(graph.num_edges("actional_1"), 2).add_(0.1).requires_grad_()
        parameters = list(conv.parameters())
        torch.autograd.gradcheck(lambda f, e, *_: conv(graph, f, e), (feat, links, *parameters))


@pytest.mark.parametrize("engine", ENGINES)
def test_a_relation_that_is_named_twice_counts_twice(engine):
    graph = GraphBuilder(max_hop=1, num_actional=0).structure(chain(4))
    with float64(), use_engine(engine):
        twice = SGConv(2, 3, etypes=("centripetal_1", "centripetal_1"))
        once = SGConv(2, 3, etypes=("centripetal_1",))
        feat = torch.randn(4, 5, 2)
        once.weight.data = twice.weight.data.sum(dim=0, keepdim=True)
        torch.testing.assert_close(twice(graph, feat), once(graph, feat))


@pytest.mark.parametrize("frames", [10, 300])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_16_bits_in_a_mixed_batch_stay_near_32(dtype, frames):
    layouts = [chain(3), get_layout("ntu25")]
    graph = GraphBuilder(max_hop=2, num_actional=2).structure(layouts, [1, 1])
    conv = ASGConv(8, 8, 2, 2, layouts=layouts)
    feat, links = torch.randn(28, frames, 8), torch.rand(graph.num_pairs, 2)
    expected = conv(graph, feat, links)
    got = conv.to(dtype)(graph, feat.to(dtype), links)
    assert got.dtype == dtype
    error = (got.float() - expected).abs().max() / expected.abs().max()
    assert error < 4 * torch.finfo(dtype).eps


@pytest.mark.parametrize("engine", ["pairs", "relations", "mixed"])
def test_only_plain_forms_have_second_derivatives(engine):
    graph = GraphBuilder(num_actional=0).structure(chain(3))
    feat = torch.randn(3, 2, requires_grad=True)
    with use_engine(engine):
        out = SGConv(2, 2)(graph, feat)
    (grad,) = torch.autograd.grad(out.square().sum(), feat, create_graph=True)
    if engine == "mixed":
        grad.sum().backward()
        assert feat.grad.abs().sum() > 0
    else:
        with pytest.raises(RuntimeError, match=r"once_differentiable|not implemented"):
            grad.sum().backward()


@needs_dgl
def test_dgl_batch_equals_a_loop_over_clips():
    import dgl

    layout = get_layout("coco17")
    builder = GraphBuilder(max_hop=2, num_actional=1)
    conv = ASGConv(3, 4, 2, 1, layouts=layout)
    clips = [builder.clip(layout, count) for count in (1, 2)]
    feats = [torch.randn(clip.num_nodes(), 5, 3) for clip in clips]
    links = [torch.rand(clip.num_edges("actional_1"), 1) for clip in clips]
    apart = torch.cat([conv(*each) for each in zip(clips, feats, links, strict=True)])
    joined = conv(dgl.batch(clips), torch.cat(feats), torch.cat(links))
    torch.testing.assert_close(apart, joined)


def test_body_order_does_not_matter():
    layout = get_layout("coco17")
    graph = GraphBuilder(max_hop=2, num_actional=1).structure(layout, [2])
    conv = ASGConv(3, 4, 2, 1, layouts=layout)
    feat, links = torch.randn(2, 17, 5, 3), torch.rand(2, 17 * 16, 1)
    out = conv(graph, feat.flatten(0, 1), links.flatten(0, 1)).view(2, 17, 5, 4)
    swapped = conv(graph, feat.flip(0).flatten(0, 1), links.flip(0).flatten(0, 1)).view(2, 17, 5, 4)
    torch.testing.assert_close(out, swapped.flip(0))


def test_features_without_frames_and_with_more_axes():
    graph = GraphBuilder(num_actional=0).structure(chain(4))
    conv = SGConv(3, 2)
    feat = torch.randn(4, 5, 2, 3)
    whole = conv(graph, feat)
    assert whole.shape == (4, 5, 2, 2)
    torch.testing.assert_close(conv(graph, feat[:, 1, 1]), whole[:, 1, 1])


@needs_dgl
def test_works_on_a_users_heterograph():
    """Own edge types, no weights: senders are averaged; types with edges of their own."""
    import dgl

    graph = dgl.heterograph(
        {
            ("atom", "near", "atom"): ([0, 1, 2], [1, 1, 0]),
            ("atom", "far", "atom"): ([2], [1]),
            ("atom", "pull", "atom"): ([0, 2], [2, 1]),
            ("atom", "push", "atom"): ([1], [0]),
        }
    )
    conv = ASGConv(
        2,
        3,
        etypes=["near", "far"],
        num_actional=2,
        actional_etypes=["pull", "push"],
        link_norm="none",
    )
    feat = torch.randn(3, 2)
    links = [torch.tensor([0.5, 2.0]), torch.tensor([3.0])]
    out = conv(graph, feat, links)
    near, far = conv.structural.weight
    pull, push = conv.actional.weight
    expected = torch.stack(
        [
            feat[2] @ near + 0.5 * 3.0 * feat[1] @ push,
            (feat[0] + feat[1]) / 2 @ near + feat[2] @ far + 0.5 * 2.0 * feat[2] @ pull,
            0.5 * 0.5 * feat[0] @ pull,
        ]
    )
    torch.testing.assert_close(out, expected)


@needs_dgl
def test_edge_order_does_not_matter():
    import dgl

    builder = GraphBuilder(max_hop=2, num_actional=1)
    layout = get_layout("coco17")
    graph = builder.clip(layout)
    shuffled, order = {}, None
    for name in graph.canonical_etypes:
        src, dst = graph.edges(etype=name)
        order = torch.randperm(len(src))
        shuffled[name] = (src[order], dst[order], order)
    other = dgl.heterograph({k: v[:2] for k, v in shuffled.items()}, {"joint": 17})
    other.ndata["structure"] = graph.ndata["structure"]
    for name, (_, _, order) in shuffled.items():
        for key, value in graph.edges[name].data.items():
            other.edges[name].data[key] = value[order]
    conv = ASGConv(3, 4, 2, 1, layouts=layout)
    torch.nn.init.normal_(conv.structural.masks["coco17"])
    feat, links = torch.randn(17, 5, 3), torch.rand(graph.num_edges("actional_1"), 1)
    order = shuffled["joint", "actional_1", "joint"][2]
    torch.testing.assert_close(conv(graph, feat, links), conv(other, feat, links[order]))


@needs_dgl
def test_weights_changed_on_the_graph_are_seen():
    graph = GraphBuilder(max_hop=1, num_actional=0).clip(chain(3))
    conv, feat = SGConv(2, 2, 1), torch.randn(3, 2)
    before = conv(graph, feat)
    graph.edges["centripetal_1"].data["weight"] = torch.tensor([5.0, 5.0])
    after = conv(graph, feat)
    assert not torch.allclose(before, after)
    graph.edges["centripetal_1"].data["weight"].mul_(0.2)
    torch.testing.assert_close(conv(graph, feat), before)


@needs_dgl
def test_the_graph_is_left_as_it_was():
    graph = GraphBuilder().clip(chain(3))
    graph.ndata["mine"] = torch.arange(3)
    before = {key: value.clone() for key, value in graph.ndata.items()}
    ASGConv(2, 2)(graph, torch.randn(3, 2), torch.rand(6, 3))
    assert set(graph.ndata) == set(before)
    assert all(torch.equal(graph.ndata[key], value) for key, value in before.items())
    assert set(graph.edges["root_1"].data) == {"weight", "slot"}


def test_pickle_deepcopy_state_dict_and_repr():
    layout, graph = chain(4), GraphBuilder().structure(chain(4))
    conv, feat, links = ASGConv(2, 3, layouts=layout), torch.randn(4, 2), torch.rand(12, 3)
    expected = conv(graph, feat, links)
    other = ASGConv(2, 3, layouts=layout)
    other.load_state_dict(conv.state_dict())
    for twin in (copy.deepcopy(conv), pickle.loads(pickle.dumps(conv)), other):
        assert torch.equal(twin(graph, feat, links), expected)
    assert "link_norm='paper'" in repr(conv) and "actional_weight=0.5" in repr(conv)


def test_seed_gives_the_same_weights():
    def made():
        torch.manual_seed(3)
        return ASGConv(2, 3).structural.weight

    assert torch.equal(made(), made())


def test_bfloat16():
    layout = chain(4)
    graph = GraphBuilder().structure(layout)
    conv, feat, links = ASGConv(8, 8, layouts=layout), torch.randn(4, 3, 8), torch.rand(12, 3)
    expected = conv(graph, feat, links)
    low = conv.to(torch.bfloat16)(graph, feat.bfloat16(), links.bfloat16())
    assert low.dtype == torch.bfloat16
    torch.testing.assert_close(low.float(), expected, rtol=0.1, atol=0.1)


@pytest.mark.parametrize("engine", ENGINES)
def test_one_joint(engine):
    graph = GraphBuilder().structure(chain(1))
    conv, feat = ASGConv(2, 2), torch.randn(1, 3, 2)
    with use_engine(engine):
        out = conv(graph, feat, torch.rand(0, 3))
    roots = [n for n, e in enumerate(conv.structural.etypes) if e.startswith("root")]
    torch.testing.assert_close(out, feat @ conv.structural.weight[roots].sum(0))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: SGConv(0, 3), "in_feats must be .* got 0"),
        (lambda: AGConv(3, 3, link_norm="l1"), "link_norm must be one of .* got 'l1'"),
        (
            lambda: SGConv(3, 3, etypes=["a"], layouts=chain(3)),
            "layouts must be None with own etypes",
        ),
        (lambda: SGConv(3, 3, layouts=[chain(3), chain(4)]), "distinct names"),
        (
            lambda: AGConv(2, 2)(
                GraphBuilder().structure(chain(3)), torch.zeros(3, 2), Links(*torch.zeros(2, 6, 3))
            ),
            "edge_weight must be a tensor: pass links.weight",
        ),
        (
            lambda: ASGConv(2, 2)(GraphBuilder().structure(chain(3)), torch.zeros(3, 2)),
            "edge_weight must hold",
        ),
        (
            lambda: ASGConv(2, 2)(
                GraphBuilder().structure(chain(3)), torch.zeros(3, 2), torch.zeros(6, 2)
            ),
            "3 actional types .* got 2",
        ),
        (
            lambda: ASGConv(2, 2)(
                GraphBuilder().structure(chain(3)), torch.zeros(3, 2), torch.zeros(5, 3)
            ),
            "each of the 6 edges .* got 5",
        ),
        (
            lambda: SGConv(2, 2)(GraphBuilder().structure(chain(3)), torch.zeros(4, 2)),
            r"3 joints .* got shape \(4, 2\)",
        ),
        (
            lambda: SGConv(2, 2, 2)(GraphBuilder(max_hop=1).structure(chain(3)), torch.zeros(3, 2)),
            "no edge type 'root_2'",
        ),
        (
            lambda: SGConv(2, 2, layouts=chain(4))(
                GraphBuilder().structure(chain(3)), torch.zeros(3, 2)
            ),
            "none of the layer's 1 layouts",
        ),
    ],
)
def test_errors_name_argument_rule_and_value(call, message):
    with pytest.raises((TypeError, ValueError), match=message):
        call()


def test_unknown_engine_is_refused():
    with pytest.raises(ValueError, match="engine must be one of"), use_engine("magic"):
        pass


@needs_dgl
def test_learnable_edge_weights_have_a_gradient_on_every_edge():
    """Even while all units hold the same values; and no plan is kept for them."""
    import dgl

    unit = dgl.heterograph({("j", "near", "j"): ([0, 1, 2], [1, 2, 0])})
    graph = dgl.batch([unit, unit])
    weight = torch.nn.Parameter(torch.ones(6))
    graph.edata["weight"] = weight
    conv, feat = SGConv(2, 3, etypes=["near"]), torch.randn(6, 2)
    (grad,) = torch.autograd.grad(conv(graph, feat).square().sum(), weight)
    src, dst = graph.edges()
    dense = torch.zeros(6, 6).index_put((dst, src), weight)
    (expected,) = torch.autograd.grad((dense @ feat @ conv.weight[0]).square().sum(), weight)
    torch.testing.assert_close(grad, expected)


@pytest.mark.parametrize("engine", ENGINES)
def test_inference_mode_leaves_nothing_behind(engine):
    layout = chain(5, "fresh" + engine.replace("_", ""))
    builder = GraphBuilder(max_hop=2, num_actional=1)
    conv = ASGConv(2, 2, 2, 1, layouts=layout)
    feat, links = torch.randn(15, 2), torch.rand(3 * 20, 1)
    with use_engine(engine):
        with torch.inference_mode():
            inside = conv(builder.structure(layout, [1, 2]), feat, links)
        feat.requires_grad_()
        outside = conv(builder.structure(layout, [1, 2]), feat, links)
        outside.sum().backward()
    torch.testing.assert_close(inside.clone(), outside.detach())


def test_threads_do_not_share_memory():
    builder = GraphBuilder(max_hop=2, num_actional=2)
    graph = builder.structure("coco17")
    layer = ASGConv(8, 32, max_hop=2, num_actional=2).eval()
    feats = torch.randn(6, graph.num_nodes(), 20, 8)
    links = torch.rand(graph.num_edges("actional_1"), 2)

    @torch.inference_mode()
    def repeated(feat):
        return [layer(graph, feat, links) for _ in range(20)]

    with use_engine("relations"):
        alone = [repeated(feat)[0] for feat in feats]
        with ThreadPoolExecutor(len(feats)) as pool:
            found = list(pool.map(repeated, feats))
    for each, expected in zip(found, alone, strict=True):
        assert all(torch.equal(one, expected) for one in each)


@pytest.mark.parametrize("engine", ENGINES)
def test_autocast(engine):
    layout = chain(4)
    graph = GraphBuilder().structure(layout)
    conv = ASGConv(8, 8, layouts=layout)
    feat, links = torch.randn(4, 3, 8, requires_grad=True), torch.rand(12, 3, requires_grad=True)
    with use_engine(engine):
        expected = conv(graph, feat, links)
        with torch.autocast("cpu", torch.bfloat16):
            low = conv(graph, feat, links)
        assert low.dtype == torch.bfloat16
        low.float().sum().backward()
    torch.testing.assert_close(low.float(), expected, rtol=0.1, atol=0.1)
    assert all(p.grad is not None and p.grad.dtype == torch.float32 for p in conv.parameters())
    assert feat.grad.dtype == links.grad.dtype == torch.float32


def test_layouts_go_by_name_and_names_may_hold_dots():
    graph = GraphBuilder().structure(["coco17", "coco17"], [1, 2])
    assert graph.num_nodes() == 51 and GraphBuilder().structure("coco17").num_nodes() == 17
    assert ASGConv(2, 2, layouts="coco17").structural.masks["coco17"].numel() > 0
    for name in ("my.dog", "items"):
        layout = chain(3, name)
        out = SGConv(2, 2, layouts=layout)(GraphBuilder().structure(layout), torch.randn(3, 2))
        assert out.shape == (3, 2)


def test_layouts_of_equal_structure_share_their_masks():
    conv = SGConv(2, 2, layouts=[chain(3), chain(3, "other")])
    assert conv.masks["chain"] is conv.masks["other"]
    conv(GraphBuilder().structure(chain(3, "other")), torch.randn(3, 2)).sum().backward()
    assert conv.masks["other"].grad is not None


@needs_dgl
def test_graphs_without_edges_or_joints_give_zeros():
    import dgl

    empty = dgl.heterograph({("j", "near", "j"): ([], [])}, num_nodes_dict={"j": 3})
    out = SGConv(2, 4, etypes=["near"])(empty, torch.randn(3, 2))
    assert torch.equal(out, torch.zeros(3, 4))


@pytest.mark.parametrize("engine", ENGINES)
def test_features_without_frames_give_none(engine):
    with use_engine(engine):
        graph = GraphBuilder(num_actional=0).structure(chain(3))
        assert SGConv(2, 4)(graph, torch.randn(3, 0, 2)).shape == (3, 0, 4)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda c, g: c(g, torch.zeros(3, 5), torch.zeros(6, 3)), "must have 2 features .* got 5"),
        (
            lambda c, g: c(g, torch.zeros(3, 2).double(), torch.zeros(6, 3)),
            "type torch.float32, got torch.float64",
        ),
        (
            lambda c, g: c(g, torch.zeros(3, 2), torch.zeros(6)),
            r"\(edges, types\), got shape \(6,\)",
        ),
        (lambda c, g: GraphBuilder().structure(chain(3), 3), "num_bodies must be a sequence"),
    ],
)
def test_misfits_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call(ASGConv(2, 2), GraphBuilder().structure(chain(3)))


def on_edges(call):
    """Call a layer by DGL message passing."""
    with use_engine("message_passing"):
        return call()


@needs_dgl
@pytest.mark.parametrize(
    ("layer", "change", "message"),
    [
        ({"max_hop": 2}, lambda graph: None, "no edge type 'root_2' .*name the layer's etypes"),
        (
            {"layouts": "coco17"},
            lambda graph: graph.edges["root_1"].data.pop("slot"),
            "edge masks need .* edge data 'slot'",
        ),
        (
            {"offsets": "coco17"},
            lambda graph: graph.ndata.pop("structure"),
            "offsets need ndata\\['structure'\\]",
        ),
        ({"layouts": "hand21"}, lambda graph: None, "none of the layer's 1 layouts with masks"),
        ({"offsets": "hand21"}, lambda graph: None, "none of the layer's 1 layouts with offsets"),
    ],
)
def test_graphs_that_lack_something_are_named_by_message_passing(layer, change, message):
    graph = GraphBuilder(max_hop=1, num_actional=0).batch("coco17", [1])
    change(graph)
    conv = SGConv(3, 4, **{"max_hop": 1, **layer})
    with pytest.raises(ValueError, match=message):
        on_edges(lambda: conv(graph, torch.randn(17, 3)))


@needs_dgl
def test_links_of_a_users_graph_are_not_matrices():
    """`link_matrices` leaves them as they are, and layers take them."""
    import dgl

    builder = GraphBuilder(max_hop=1, num_actional=2)
    graph = dgl.batch([builder.clip("coco17"), builder.clip("coco17")])
    feat, strength = torch.randn(34, 5, 3), torch.rand(544, 2)
    links = link_matrices(graph, strength)
    assert links is strength
    conv = ASGConv(3, 4, 1, 2)
    whole = builder.structure("coco17", [1, 1])
    torch.testing.assert_close(
        conv(graph, feat, links), conv(whole, feat, link_matrices(whole, strength))
    )


@pytest.mark.parametrize("engine", ["pairs", "relations", "mixed", "product"])
def test_a_layer_of_fewer_hops_takes_the_graphs_of_more(engine):
    """Its relations are some of the graph's; the others do not matter."""
    conv = SGConv(3, 4, 2)
    feat = torch.randn(25, 6, 3)
    with use_engine(engine):
        found, expected = (
            conv(GraphBuilder(max_hop=hops, num_actional=0).structure("ntu25"), feat)
            for hops in (4, 2)
        )
    torch.testing.assert_close(found, expected)


def test_an_unknown_bias_is_refused():
    with pytest.raises(ValueError, match="bias must be True, False or 'relation', got 'all'"):
        SGConv(3, 3, bias="all")
