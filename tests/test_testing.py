import pytest
import torch
from strategies import SUPPLIED, chain

from asgcn_dgl.nn import AGConv, AIMEncoder, ASGCNBlock, ASGConv, SGConv, TemporalConv
from asgcn_dgl.skeleton import GraphBuilder, get_layout
from asgcn_dgl.testing import assert_symmetric, symmetry_errors


@pytest.mark.parametrize("name", SUPPLIED)
@pytest.mark.parametrize("across", [False, True])
def test_the_convolution_has_every_symmetry(name, across):
    builder = GraphBuilder(max_hop=2, num_actional=2, across_bodies=across)
    assert_symmetric(ASGConv(3, 4, 2, 2), builder, get_layout(name), 3)


@pytest.mark.parametrize(
    ("layer", "skip"),
    [
        (SGConv(3, 4, 2, layouts=chain(6)), ()),
        (ASGCNBlock(3, 8, conv={"max_hop": 2, "num_actional": 2}).eval(), ()),
        (AGConv(3, 4, 2, link_norm="self_loop"), ()),
        (TemporalConv(3, 4), ()),
    ],
)
def test_layers_have_every_symmetry(layer, skip):
    def call(graph, feat, links):
        return (
            layer(graph, feat)
            if isinstance(layer, SGConv | TemporalConv)
            else layer(graph, feat, links)
        )

    assert_symmetric(call, GraphBuilder(max_hop=2, num_actional=2), chain(6), 3, skip=skip)


def test_the_encoder_has_every_symmetry():
    encoder = AIMEncoder(3, 2, num_frames=4, hidden_feats=8).eval()

    def received(graph, feat, links):
        """What the links carry to each joint: the same joint by joint in every order."""
        return AGConv(3, 4, 2, link_norm="none").requires_grad_(False)(
            graph, feat, encoder(graph, feat).weight
        )

    def seeded(graph, feat, links):
        torch.manual_seed(0)
        return received(graph, feat, links)

    assert_symmetric(seeded, GraphBuilder(max_hop=2, num_actional=2), chain(5), 3)


def test_broken_symmetries_are_named_with_their_size():
    def broken(graph, feat, links):
        return feat + torch.arange(len(feat)).view(-1, 1, 1)

    builder = GraphBuilder(max_hop=1, num_actional=0)
    errors = symmetry_errors(broken, builder, chain(4), 2)
    assert errors["body_order"] == pytest.approx(4)
    assert errors.get("edge_order", 0.0) == 0.0  # needs DGL
    with pytest.raises(AssertionError, match=r"batch by .*body_order by 4.00e\+00"):
        assert_symmetric(broken, builder, chain(4), 2, skip=("relabelling",))
    with pytest.raises(AssertionError, match=r"^symmetries broken: batch by"):
        assert_symmetric(broken, builder, chain(4), 2, skip=("relabelling", "body_order"))
