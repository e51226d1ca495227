import copy
import pickle

import numpy as np
import oracle
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import SUPPLIED, chain, trees

from asgcn_dgl.skeleton import GraphBuilder, actional_etypes, get_layout

dgl = pytest.importorskip("dgl", reason="DGL is not installed")


def same_graph(left, right):
    assert left.canonical_etypes == right.canonical_etypes
    assert left.batch_num_nodes().tolist() == right.batch_num_nodes().tolist()
    for etype in left.etypes:
        for a, b in zip(left.edges(etype=etype), right.edges(etype=etype), strict=True):
            assert torch.equal(a, b)
        assert left.batch_num_edges(etype).tolist() == right.batch_num_edges(etype).tolist()
        for key, value in left.edges[etype].data.items():
            assert torch.equal(value, right.edges[etype].data[key])
    for key, value in left.ndata.items():
        assert torch.equal(value, right.ndata[key])


@pytest.mark.parametrize("name", SUPPLIED)
@pytest.mark.parametrize("construction", ["power", "distance"])
def test_edges_are_the_operators_nonzeros(name, construction):
    layout = get_layout(name)
    builder = GraphBuilder(max_hop=3, num_actional=2, construction=construction)
    graph = builder.clip(layout)
    make = oracle.power_operators if construction == "power" else oracle.distance_operators
    for etype, matrix in make(layout, 3).items():
        src, dst = graph.edges(etype=etype)
        dense = np.zeros_like(matrix)
        dense[dst.numpy(), src.numpy()] = graph.edges[etype].data["weight"].numpy()
        np.testing.assert_allclose(dense, matrix, atol=1e-7)
    for etype in builder.actional_etypes:
        src, dst = graph.edges(etype=etype)
        pairs = [
            (i, j) for i in range(layout.num_joints) for j in range(layout.num_joints) if i != j
        ]
        assert list(zip(dst.tolist(), src.tolist(), strict=True)) == pairs


@given(
    st.lists(trees(min_joints=1, max_joints=5), min_size=1, max_size=4),
    st.data(),
    st.booleans(),
)
@settings(max_examples=25, deadline=None)
def test_batch_equals_dgl_batch_of_clips(layouts, data, across):
    layouts = [copy.copy(layout) for layout in layouts]
    bodies = data.draw(st.lists(st.integers(1, 3), min_size=len(layouts), max_size=len(layouts)))
    builder = GraphBuilder(max_hop=2, num_actional=1, across_bodies=across)
    batch = builder.batch(layouts, bodies)
    singles = [builder.clip(layout, count) for layout, count in zip(layouts, bodies, strict=True)]
    same_graph(batch, dgl.batch(singles))


def test_bodies_are_not_joined_unless_asked():
    builder, across = (
        GraphBuilder(max_hop=1, num_actional=1),
        GraphBuilder(max_hop=1, num_actional=1, across_bodies=True),
    )
    src, dst = builder.clip(chain(3), 2).edges(etype="actional_1")
    assert bool((src // 3 == dst // 3).all())
    src, dst = across.clip(chain(3), 2).edges(etype="actional_1")
    assert len(src) == 6 * 5 and bool((src // 3 != dst // 3).any())


def test_slots_number_the_operator_entries_of_a_layout():
    builder = GraphBuilder(max_hop=2, num_actional=0)
    graph = builder.batch(chain(4), [1, 2])
    first = [graph.edges[e].data["slot"].view(3, -1)[0] for e in builder.structural_etypes]
    slots = torch.cat(first)
    assert slots.tolist() == list(range(len(slots)))


def test_structure_key_tells_structures_apart():
    builder = GraphBuilder(max_hop=1, num_actional=0)
    graph = builder.batch([chain(3), chain(3, "other"), chain(3, "third", center=1)], [1, 1, 1])
    first, second, third = graph.ndata["structure"].view(3, 3)[:, 0].tolist()
    assert first == second != third


def test_what_a_user_stores_stays_out_of_the_cache():
    builder = GraphBuilder(max_hop=1, num_actional=0)
    graph = builder.batch(chain(3), [1, 1])
    graph.ndata["mine"] = torch.zeros(6)
    assert "mine" not in builder.batch(chain(3), [1, 1]).ndata


def test_weight_takes_the_default_type():
    builder = GraphBuilder(max_hop=1, num_actional=0)
    assert builder.clip(chain(3)).edges["root_1"].data["weight"].dtype == torch.float32
    torch.set_default_dtype(torch.float64)
    try:
        assert builder.clip(chain(3)).edges["root_1"].data["weight"].dtype == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)


def test_graphs_pickle():
    graph = GraphBuilder(max_hop=1).batch(get_layout("coco17"), [1, 2])
    same_graph(graph, pickle.loads(pickle.dumps(graph)))


def test_edge_type_names_hold_no_dots():
    names = (*GraphBuilder(max_hop=12).structural_etypes, *actional_etypes(12))
    assert all("." not in name and name == name.lower() for name in names)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda b: b.batch(chain(3), []), "num_bodies must hold at least one"),
        (lambda b: b.batch(chain(3), [1, 0]), r"num_bodies .* got \[1, 0\]"),
        (lambda b: b.batch([chain(3)], [1, 1]), "got 1 layouts for 2 clips"),
        (lambda b: GraphBuilder(num_actional=-1), "num_actional must be .* got -1"),
        (lambda b: GraphBuilder(max_hop=0), "max_hop must be"),
    ],
)
def test_errors_name_argument_rule_and_value(call, message):
    with pytest.raises(ValueError, match=message):
        call(GraphBuilder())


@pytest.mark.parametrize(
    ("structure", "message"),
    [
        (
            lambda builder: builder.uniform("coco17", 2, like=torch.zeros(1)),
            "GraphBuilder.uniform has no DGL graph",
        ),
        (
            lambda builder: builder.structure("coco17").with_joints_first(),
            "only a structure in the graph's order",
        ),
    ],
)
def test_structures_without_a_graph_are_named(structure, message):
    with pytest.raises(ValueError, match=message):
        structure(GraphBuilder(max_hop=1)).graph  # noqa: B018
