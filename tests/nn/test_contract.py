"""What every layer has: a repr that says its options, weights that are drawn again."""

import pytest
import torch

from asgcn_dgl import nn as layers
from asgcn_dgl.nn.decoder import TypedLinear

LAYERS = {
    "AGConv": (lambda: layers.AGConv(3, 8, 2), "3, 8, types=2, link_norm='paper', scale=1.0"),
    "AIM": (lambda: layers.AIM(3, 2, num_frames=4, hidden_feats=8), "num_frames=4"),
    "AIMDecoder": (lambda: layers.AIMDecoder(3, 2, hidden_feats=8), "num_actional=2"),
    "AIMEncoder": (lambda: layers.AIMEncoder(3, 2, hidden_feats=8), "reduce='mean', tau=0.5"),
    "ASGCNBlock": (
        lambda: layers.ASGCNBlock(3, 8, stride=2, conv={"layouts": "coco17"}),
        "3, 8, types=3",
    ),
    "ASGConv": (lambda: layers.ASGConv(3, 8, actional_weight=0.25), "actional_weight=0.25"),
    "InputNorm": (lambda: layers.InputNorm(17, 3), "num_joints=17, in_feats=3"),
    "MeanReadout": (lambda: layers.MeanReadout(("frames",)), "over=('frames',)"),
    "SGConv": (lambda: layers.SGConv(3, 8, 2, bias="relation"), "3, 8, relations=6"),
    "StructuralOffsets": (
        lambda: layers.SGConv(3, 8, 2, offsets="coco17").offsets,
        "relations=3",
    ),
    "TemporalConv": (
        lambda: layers.TemporalConv(3, 8, 5, 2),
        "3, 8, kernel_size=5, stride=2, padding=2",
    ),
}


@pytest.mark.parametrize("name", LAYERS)
def test_repr_says_the_options(name):
    make, said = LAYERS[name]
    assert said in repr(make())


@pytest.mark.parametrize("name", LAYERS)
def test_weights_that_were_lost_are_drawn_again(name):
    layer = LAYERS[name][0]()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.fill_(torch.nan)
    if not hasattr(layer, "reset_parameters"):
        assert not list(layer.parameters())
        return
    layer.reset_parameters()
    assert all(bool(torch.isfinite(each).all()) for each in layer.parameters())


@pytest.mark.parametrize("bias", [False, True])
def test_maps_of_types_are_a_linear_map_each(bias):
    layer = TypedLinear(2, 3, 4, bias=bias)
    if bias:
        torch.nn.init.normal_(layer.bias)
    rows = torch.randn(2, 5, 3)
    expected = [
        torch.nn.functional.linear(rows[c], layer.weight[c].t(), layer.bias[c, 0] if bias else None)
        for c in range(2)
    ]
    torch.testing.assert_close(layer(rows), torch.stack(expected))
