import copy
import pickle

import oracle
import pytest
import torch
from strategies import ENGINES, chain, float64

from asgcn_dgl.nn import ASGConv, SGConv
from asgcn_dgl.ops import use_engine
from asgcn_dgl.skeleton import GraphBuilder, get_layout


def formula(conv, layouts, bodies, feat, builder):
    """Eq. 5 with operators M ∘ A^l + B, body by body."""
    make = oracle.power_operators if builder.construction == "power" else oracle.distance_operators
    parts, node = [], 0
    for layout, count in zip(layouts, bodies, strict=True):
        operators = make(layout, builder.max_hop)
        masks = oracle.dense_masks(operators, conv.masks[layout.name])
        offsets = conv.offsets.by_structure()[builder.template(layout).key]
        for _ in range(count):
            x, total = feat[node : node + layout.num_joints], 0.0
            for number, (relation, matrix) in enumerate(operators.items()):
                operator = torch.as_tensor(matrix, dtype=feat.dtype) * masks[relation]
                if number < 3:
                    operator = operator + offsets[number]
                total = total + torch.einsum("ij,jtd,do->ito", operator, x, conv.weight[number])
            parts.append(total)
            node += layout.num_joints
    return torch.cat(parts)


@pytest.mark.parametrize("construction", ["power", "distance"])
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("mixed", [False, True])
def test_equals_the_formula(mixed, engine, construction):
    builder = GraphBuilder(max_hop=2, num_actional=0, construction=construction)
    layouts, bodies = [get_layout("coco17")] * 2, [1, 2]
    if mixed:
        layouts, bodies = [chain(5), get_layout("coco17"), chain(5)], [2, 1, 1]
    known = list(dict.fromkeys(layouts))
    with float64():
        conv = SGConv(3, 2, 2, layouts=known, offsets=known, construction=construction)
        for parameter in conv.parameters():
            torch.nn.init.normal_(parameter)
        graph = builder.structure(layouts, bodies)
        feat = torch.randn(graph.num_nodes(), 4, 3, requires_grad=True)
        with use_engine(engine):
            ours = conv(graph, feat)
        theirs = formula(conv, layouts, bodies, feat, builder)
        probe = torch.randn_like(ours)
        inputs = [feat, *conv.parameters()]
        got = torch.autograd.grad((ours * probe).sum(), inputs)
        expected = torch.autograd.grad((theirs * probe).sum(), inputs)
    torch.testing.assert_close(ours, theirs)
    for a, b in zip(got, expected, strict=True):
        torch.testing.assert_close(a, b)


def test_layouts_of_equal_structure_share_offsets_and_joints_may_be_one():
    one, two = chain(4, "one"), chain(4, "two")
    assert len(SGConv(2, 2, 1, offsets=[one, two]).offsets.values) == 1
    lonely = chain(1)
    conv = SGConv(2, 3, 1, offsets=lonely)
    graph = GraphBuilder(max_hop=1, num_actional=0).structure(lonely)
    assert conv(graph, torch.randn(1, 2)).shape == (1, 3)  # without frames, too


def test_asgconv_adds_them_once_beside_the_links():
    layout = chain(4)
    graph = GraphBuilder(max_hop=1, num_actional=1).structure(layout)
    conv = ASGConv(2, 3, 1, 1, offsets=layout)
    feat, links = torch.randn(4, 5, 2), torch.rand(12, 1)
    with_offsets = conv(graph, feat, links)
    offsets, weight = conv.structural.offsets.values["layout_chain"], conv.structural.weight
    added = torch.einsum("rij,jtd,rdo->ito", offsets, feat, weight[:3]).detach()
    torch.nn.init.zeros_(conv.structural.offsets.values["layout_chain"])
    torch.testing.assert_close(conv(graph, feat, links) + added, with_offsets)


def test_contract():
    layout = chain(3)
    conv = SGConv(2, 2, 1, offsets=layout)
    graph, feat = GraphBuilder(max_hop=1, num_actional=0).structure(layout), torch.randn(3, 2, 2)
    for same in (copy.deepcopy(conv), pickle.loads(pickle.dumps(conv))):
        assert torch.equal(same(graph, feat), conv(graph, feat))
    assert "offsets.values.layout_chain" in conv.state_dict()
    assert 0 < conv.offsets.values["layout_chain"].abs().max() < 0.01
    with pytest.raises(ValueError, match="offsets must be None with own etypes"):
        SGConv(2, 2, etypes=["bone"], offsets=layout)
