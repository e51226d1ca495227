import pickle

import pytest
import torch
from strategies import chain, needs_dgl

from asgcn_dgl.nn import ASGConv
from asgcn_dgl.skeleton import GraphBuilder, SkeletonBatch, get_layout
from asgcn_dgl.skeleton.graph import structure_of

MIXED = (["coco17", "hand21", "coco17"], [2, 1, 1])


@pytest.mark.parametrize("across", [False, True])
@pytest.mark.parametrize(("layouts", "bodies"), [("coco17", [2, 1]), ("coco17", [1, 1]), MIXED])
def test_orders_are_inverse_and_nodes_keep_clip_and_joint(layouts, bodies, across):
    structure = GraphBuilder(across_bodies=across).structure(layouts, bodies)
    first = structure.with_joints_first()
    number = torch.arange(structure.num_nodes())
    order = structure.rows_joints_first(number)
    assert torch.equal(structure.rows_in_graph_order(order), number)
    assert torch.equal(first.clip, structure.clip[order])
    assert torch.equal(first.joint, structure.joint[order])
    assert torch.equal(first.in_graph_order().clip, structure.clip)
    for part, block in zip(first.parts, first.blocks(first.joint), strict=True):
        rows = torch.arange(part.layout.num_joints).unsqueeze(1)
        assert torch.equal(block, rows.expand(-1, part.bodies))


@needs_dgl
@pytest.mark.parametrize("across", [False, True])
@pytest.mark.parametrize(("layouts", "bodies"), [("coco17", [2, 1]), MIXED])
def test_pairs_and_counts_are_those_of_the_graph(layouts, bodies, across):
    structure = GraphBuilder(across_bodies=across).structure(layouts, bodies)
    graph = structure.graph
    sender, receiver = structure.pair_nodes()
    src, dst = graph.edges(etype="actional_1")
    assert torch.equal(sender, src) and torch.equal(receiver, dst)
    assert structure.num_nodes() == graph.num_nodes()
    assert structure.clip.bincount().tolist() == graph.batch_num_nodes().tolist()
    for etype in graph.etypes:
        assert structure.num_edges(etype) == graph.num_edges(etype)
    assert structure_of(graph) is structure is structure_of(graph.local_var())


@needs_dgl
def test_a_graph_that_was_changed_has_no_structure():
    import dgl

    def changed():
        graph = GraphBuilder(max_hop=1, num_actional=0).batch(chain(3), [1, 1])
        assert structure_of(graph) is not None
        return graph

    graph = changed()
    graph.edges["centripetal_1"].data["weight"][0] = 2.0
    assert structure_of(graph) is None
    graph = changed()
    graph.ndata["structure"] = graph.ndata["structure"].clone()
    assert structure_of(graph) is None
    assert structure_of(dgl.add_self_loop(changed(), etype="centripetal_1")) is None
    assert structure_of(dgl.batch([changed(), changed()])) is None


@pytest.mark.parametrize("across", [False, True])
def test_uniform_clips_are_those_of_equal_counts(across):
    builder = GraphBuilder(max_hop=2, num_actional=2, across_bodies=across)
    expected = builder.structure("hand21", [2, 2, 2])
    found = builder.uniform("hand21", 3, 2, like=torch.zeros(1))
    assert torch.equal(found.clip, expected.clip) and torch.equal(found.joint, expected.joint)
    assert found.num_pairs == expected.num_pairs
    layer = ASGConv(3, 4, 2, 2, layouts="hand21")
    feat, links = torch.randn(126, 5, 3), torch.rand(expected.num_pairs, 2)
    torch.testing.assert_close(layer(found, feat, links), layer(expected, feat, links))


def test_structures_pickle_move_and_say_what_they_are():
    structure = GraphBuilder().structure(*MIXED)
    twin = pickle.loads(pickle.dumps(structure))
    assert isinstance(twin, SkeletonBatch) and torch.equal(twin.order, structure.order)
    assert structure.to("cpu") is structure
    moved = structure.to("meta")
    assert moved.device.type == moved.order.device.type == "meta"
    assert moved.pairs[0].edges.device.type == moved.parts[0].place.device.type == "meta"
    assert "num_bodies=(2, 1, 1)" in repr(structure)


def test_a_number_of_bodies_below_one_is_named():
    with pytest.raises(ValueError, match=r"num_bodies .* got \[1, 0\]"):
        GraphBuilder().structure("coco17", [1, 0])
    with pytest.raises(ValueError, match=r"etype must be one of .* got 'root_9'"):
        GraphBuilder().structure("coco17").num_edges("root_9")


@pytest.mark.parametrize("engine", ["pairs", "relations"])
def test_operators_kept_in_evaluation_follow_every_change(engine):
    """By an optimizer, in place, by loading a state; through .data from the next eval() on."""
    from asgcn_dgl.ops import use_engine

    layout = get_layout("coco17")
    layer = ASGConv(2, 3, num_actional=0, layouts=layout)
    structure, feat = GraphBuilder(num_actional=0).structure(layout), torch.randn(17, 4, 2)
    weight, mask = layer.structural.weight, layer.structural.masks["coco17"]
    state = {name: value.clone() for name, value in layer.state_dict().items()}

    def add(tensor):
        with torch.no_grad():
            tensor.add_(0.1)

    changes = [
        (True, lambda: add(weight)),
        (True, lambda: add(mask)),
        (False, lambda: weight.data.mul_(1.5)),
        (False, lambda: mask.data.mul_(0.5)),
        (True, lambda: layer.load_state_dict(state)),
    ]
    with use_engine(engine):
        for counted, change in changes:
            change()
            if not counted:
                layer.eval()
            expected = layer(structure, feat).detach()
            with torch.no_grad():
                for _ in range(2):
                    torch.testing.assert_close(layer(structure, feat), expected)


def test_bodies_can_be_added_to_the_end_of_each_clip():
    builder = GraphBuilder(max_hop=1, num_actional=1)
    part = builder.structure(["hand21", "coco17", "hand21"], [1, 2, 1])
    whole, nodes, pairs = part.with_bodies(2)
    assert whole.num_bodies == (2, 2, 2)
    assert torch.equal(whole.clip[nodes], part.clip)
    assert torch.equal(whole.joint[nodes], part.joint)
    for ours, theirs in zip(part.pair_nodes(), whole.pair_nodes(), strict=True):
        assert torch.equal(nodes[ours], theirs[pairs])
    same, nodes, pairs = builder.structure("hand21", [2, 2]).with_bodies(2)
    assert nodes is None and pairs is None and same.num_bodies == (2, 2)
    with pytest.raises(ValueError, match="at most 1"):
        part.with_bodies(1)
    with pytest.raises(ValueError, match="joints first"):
        part.with_joints_first().with_bodies(2)
    uniform = builder.uniform("hand21", 3, 2, like=torch.zeros(1))
    assert uniform.with_bodies(2)[0] is uniform
    with pytest.raises(ValueError, match="num_bodies must be 3"):
        uniform.with_bodies(3)


def test_structures_keep_to_the_order_that_they_have():
    structure = GraphBuilder(num_actional=0).structure("coco17", [1, 2])
    assert structure.in_graph_order() is structure
    first = structure.with_joints_first()
    assert first.with_joints_first() is first
    assert torch.equal(first.in_graph_order().joint, structure.joint)
