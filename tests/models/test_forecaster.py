import copy
import pickle

import numpy as np
import pytest
import torch
from oracle import power_operators
from scipy.fft import dct, idct
from strategies import chain
from torch.nn import functional as F

from asgcn_dgl.errors import InputError
from asgcn_dgl.models import ASGCNConfig, Forecaster
from asgcn_dgl.nn import ForecastBlock
from asgcn_dgl.ops.frames import hold_last
from asgcn_dgl.skeleton import GraphBuilder, get_layout
from asgcn_dgl.skeleton.graph import dgl_installed

LINKS = pytest.mark.parametrize("actional", [0, 2])


def tiny(layouts="coco17", *, actional=0, seed=0, **options):
    torch.manual_seed(seed)
    given = {"channels": [8, 8], "num_actional": actional, "aim_hidden": 8, "future_frames": 6}
    model = Forecaster(layouts, 2, **{**given, "past_frames": 5, **options})
    for parameter in model.parameters():  # at rest it would say nothing of the links
        parameter.data.add_(0.05 * torch.randn_like(parameter))
    return model


def motion(model, bodies=(1, 2), frames=5, layout="coco17", seed=1):
    graph = model.graph_builder.structure(layout, list(bodies))
    generator = torch.Generator().manual_seed(seed)
    return graph, torch.randn(graph.num_nodes(), frames, 2, generator=generator)


@LINKS
@pytest.mark.parametrize("frames", [1, 3, 5, 12])
def test_any_number_of_frames_in_and_out(actional, frames):
    model = tiny(actional=actional).eval()
    graph, feat = motion(model, frames=frames)
    for wanted in (1, 6, 7, 40):
        future = model(graph, feat, frames=wanted).future
        assert future.shape == (51, wanted, 2) and bool(torch.isfinite(future).all())
    torch.testing.assert_close(model(graph, feat[:, -5:]).future, model(graph, feat).future)


def test_more_frames_are_forecast_from_the_forecast():
    model = tiny().eval()
    graph, feat = motion(model)
    first = model(graph, feat).future
    more = model(graph, first[:, -5:]).future
    torch.testing.assert_close(model(graph, feat, frames=12).future, torch.cat([first, more], 1))


def test_a_new_model_says_what_the_coefficients_say():
    """All coefficients hold the last pose repeated; the blocks change little to begin with."""
    torch.manual_seed(0)
    model = Forecaster("coco17", 2, channels=[16]).eval()
    graph, feat = motion(model, frames=10)
    change = model(graph, feat).future - feat[:, -1:]
    assert float(change.detach().abs().max()) < 0.05


def test_block_is_the_dense_formula():
    """In float64: outputs, and the gradients of all parameters and of the input."""
    torch.manual_seed(0)
    layout, width = chain(4), 5
    builder = GraphBuilder(max_hop=1, num_actional=2)
    options = {"max_hop": 1, "num_actional": 2, "layouts": layout, "offsets": layout, "bias": True}
    block = ForecastBlock(width, conv={**options, "link_norm": "self_loop"}).double()
    graph = builder.structure(layout, [1, 1])
    feat = torch.randn(8, width, dtype=torch.float64, requires_grad=True)
    links = torch.rand(graph.num_pairs, 2, dtype=torch.float64)
    out = block(graph, feat, links)
    parameters = list(block.parameters())
    found = torch.autograd.grad(out.square().sum(), [feat, *parameters])

    operators = torch.from_numpy(np.stack(list(power_operators(layout, 1).values())))
    structural, actional = block.conv.structural, block.conv.actional
    (offsets,) = structural.offsets.values.values()
    (masks,) = structural.masks.by_structure().values()
    spread = torch.zeros_like(operators)
    spread = spread.masked_scatter(operators != 0, masks)
    mixing = operators * spread + offsets
    expected = []
    for body in (0, 1):
        x = feat[4 * body : 4 * body + 4]
        sent = F.layer_norm(x, (width,), block.conv_norm.weight, block.conv_norm.bias)
        mixed = sum(a @ sent @ w for a, w in zip(mixing, structural.weight, strict=True))
        for kind in range(2):
            matrix = torch.eye(4, dtype=torch.float64)
            rows = links[12 * body : 12 * body + 12, kind]
            off = ~torch.eye(4, dtype=torch.bool)
            matrix = matrix.masked_scatter(off, rows)
            matrix = matrix / matrix.sum(dim=1, keepdim=True)
            mixed = mixed + 0.5 * matrix @ sent @ actional.weight[kind]
        h = x + F.gelu(mixed + block.conv.bias)
        normed = F.layer_norm(h, (width,), block.norm.weight, block.norm.bias)
        expected.append(h + F.gelu(normed @ block.linear.weight.T + block.linear.bias))
    dense = torch.cat(expected)
    torch.testing.assert_close(out, dense)
    for mine, its in zip(
        found, torch.autograd.grad(dense.square().sum(), [feat, *parameters]), strict=True
    ):
        torch.testing.assert_close(mine, its)


def test_coefficients_are_those_of_the_padded_motion():
    """With blocks that change nothing the forecast is what the kept coefficients say."""
    model = tiny(coefficients=4).double().eval()
    for convolution in (model.last,):
        for parameter in convolution.parameters():
            parameter.data.zero_()
    graph, feat = motion(model)
    feat = feat.double()
    padded = torch.cat([feat, feat[:, -1:].expand(-1, 6, -1)], dim=1).numpy()
    values = dct(padded - padded[:, 4:5], axis=1, norm="ortho")
    values[:, 4:] = 0
    expected = (idct(values, axis=1, norm="ortho") + padded[:, 4:5])[:, 5:]
    # The matrix of the transform is kept in single precision.
    np.testing.assert_allclose(model(graph, feat).future.detach(), expected, atol=1e-6)


@LINKS
def test_other_clips_of_the_batch_do_not_count(actional):
    model = tiny(actional=actional).eval()
    graph, feat = motion(model, (1, 2, 1))
    whole = model(graph, feat).future
    begin = 0
    for bodies in (1, 2, 1):
        own = model.graph_builder.structure("coco17", [bodies])
        rows = slice(begin, begin + 17 * bodies)
        torch.testing.assert_close(model(own, feat[rows]).future, whole[rows], atol=1e-5, rtol=1e-5)
        begin += 17 * bodies


def test_several_layouts_share_a_batch():
    model = tiny(["coco17", chain(3)]).eval()
    graph = model.graph_builder.structure([get_layout("coco17"), chain(3)], [1, 2])
    feat = torch.randn(23, 5, 2)
    whole = model(graph, feat).future
    apart = model(model.graph_builder.structure(chain(3), [2]), feat[17:]).future
    torch.testing.assert_close(whole[17:], apart, atol=1e-5, rtol=1e-5)


@LINKS
def test_what_is_missing_does_not_count(actional):
    model = tiny(actional=actional).eval()
    graph, feat = motion(model)
    mask = torch.rand(51, 5, generator=torch.Generator().manual_seed(0)) > 0.4
    mask[3] = False
    mask[4] = True
    changed = torch.where(mask.unsqueeze(-1), feat, torch.full_like(feat, torch.nan))
    one, other = model(graph, feat, mask).future, model(graph, changed, mask).future
    there = mask.any(dim=1)
    assert bool(torch.isfinite(one[there]).all())
    torch.testing.assert_close(one[there], other[there])


def test_a_joint_that_is_gone_stays_where_it_was():
    feat = torch.arange(5.0).view(1, 5, 1).repeat(4, 1, 1)
    mask = torch.tensor([[1, 1, 1, 1, 1], [0, 1, 0, 0, 1], [0, 0, 1, 0, 0], [0, 0, 0, 0, 0]]).bool()
    expected = [[0, 1, 2, 3, 4], [1, 1, 1, 1, 4], [2, 2, 2, 2, 2], [0, 0, 0, 0, 0]]
    assert hold_last(feat, mask, mask.shape[1]).squeeze(-1).tolist() == expected


@pytest.mark.skipif(not dgl_installed(), reason="DGL is not installed")
def test_a_dgl_graph_gives_the_same():
    model = tiny(actional=2).eval()
    graph, feat = motion(model)
    torch.testing.assert_close(model(graph.graph, feat).future, model(graph, feat).future)


@LINKS
def test_contract(actional, tmp_path):
    model = tiny(actional=actional).eval()
    graph, feat = motion(model)
    expected = model(graph, feat).future
    assert torch.equal(model(graph, feat).future, expected)
    for copied in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(copied(graph, feat).future, expected)
    again = Forecaster.from_config(model.config.to_dict())
    again.load_state_dict(model.state_dict())
    assert torch.equal(again.eval()(graph, feat).future, expected)
    model.class_names = ("walking",)
    model.save_pretrained(tmp_path)
    loaded = Forecaster.from_pretrained(tmp_path)
    assert torch.equal(loaded(graph, feat).future, expected)
    assert loaded.class_names == ("walking",)
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(InputError, match=r"model\.safetensors"):
        Forecaster.from_pretrained(tmp_path)


def test_all_weights_learn():
    model = tiny(actional=2).train()
    graph, feat = motion(model)
    model(graph, feat, generator=torch.Generator().manual_seed(0)).future.square().sum().backward()
    still = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert not still


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"past_frames": 0}, "past_frames.*0"),
        ({"future_frames": 0}, "future_frames.*0"),
        ({"coefficients": 99}, "coefficients.*99"),
        ({"motion_unit": 0.0}, "motion_unit.*0"),
        ({"channels": [8, 16]}, "channels"),
        ({"attention": "both"}, "attention.*both"),
    ],
)
def test_options_out_of_range_are_refused(options, text):
    with pytest.raises(ValueError, match=text):
        tiny(**options)


def test_features_and_options_that_do_not_fit_are_refused():
    model = tiny()
    graph, feat = motion(model)
    with pytest.raises(ValueError, match="feat"):
        model(graph, feat[..., :1])
    with pytest.raises(ValueError, match=r"frames.*0"):
        model(graph, feat, frames=0)
    with pytest.raises(ValueError, match="mask"):
        model(graph, feat, torch.ones(51, 4, dtype=torch.bool))
    with pytest.raises(ValueError, match=r"forecaster.*asgcn"):
        Forecaster(ASGCNConfig("coco17", 3, 2))


@pytest.mark.skipif(not dgl_installed(), reason="DGL is not installed")
@LINKS
def test_a_dgl_graph_that_was_changed_gives_the_same(actional):
    model = tiny(actional=actional).eval()
    structure, feat = motion(model)
    graph = structure.graph
    graph.ndata["structure"] = graph.ndata["structure"].clone()
    torch.testing.assert_close(model(graph, feat).future, model(structure, feat).future)


def test_new_weights_take_the_place_of_all():
    model = tiny(actional=2)
    for parameter in model.parameters():
        torch.nn.init.constant_(parameter, 9.0)
    model.reset_parameters()
    assert not any(bool((parameter == 9).any()) for parameter in model.parameters())
    graph, feat = motion(model)
    change = model.eval()(graph, feat).future - feat[:, -1:]
    assert float(change.detach().abs().max()) < 0.5  # it begins near the last pose
