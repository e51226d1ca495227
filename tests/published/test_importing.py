"""Published weights give the published logits."""

import logging
import re

import pytest
import torch
from published import twins

from asgcn_dgl.errors import InputError
from asgcn_dgl.models.importing import import_weights, read_state
from asgcn_dgl.skeleton import get_layout

CLASSES, FRAMES = 7, 24


@pytest.fixture(params=[torch.float64, torch.float32], ids=["64", "32"])
def dtype(request):
    before = torch.get_default_dtype()
    torch.set_default_dtype(request.param)
    yield request.param
    torch.set_default_dtype(before)


def close(got, expected):
    limit = 1e-9 if expected.dtype == torch.float64 else 1e-5
    assert float(expected.abs().max()) > 0.1
    assert float((got - expected).abs().max()) < limit
    assert got.dtype == expected.dtype


def clips(layout, frames=FRAMES, dims=3):
    """Three clips of two bodies, of which the second of the second clip is absent."""
    x = torch.randn(3, dims, frames, layout.num_joints, 2)
    x[1, ..., 1] = 0
    x[2, :, -5:] = 0  # padding
    return x


def given(x):
    """The bodies that exist as joints, and where they do."""
    bodies = [2, 1, 2]
    rows = [x[n, ..., m].permute(2, 1, 0) for n in range(3) for m in range(bodies[n])]
    feat = torch.cat(rows)
    mask = torch.ones(feat.shape[:2], dtype=torch.bool)
    mask[-2 * x.shape[3] :, -5:] = False
    return bodies, feat, mask


def logits(model, x):
    bodies, feat, mask = given(x)
    with torch.no_grad():
        graph = model.graph_builder.structure(model.layouts[0], bodies)
        return model(graph, feat, mask)


def twin_of(make, layout, dtype, **options):
    torch.manual_seed(0)
    return twins.randomized(make(get_layout(layout), CLASSES, **options).to(dtype))


@pytest.mark.parametrize("layout", ["ntu25", "openpose18"])
def test_st_gcn(dtype, layout):
    twin = twin_of(twins.STGCN, layout, dtype)
    x = clips(get_layout(layout))
    model = import_weights(twin.state_dict(), "st-gcn", num_classes=CLASSES)
    assert model.layouts[0].name == layout
    with torch.no_grad():
        close(logits(model, x).logits, twin(x))


@pytest.mark.parametrize("layout", ["ntu25_pyskl", "coco17", "openpose18", "hand21"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"adaptive": "init"},
        {"adaptive": "offset"},
        {"multi": True},
        {"multi": True, "adaptive": "init"},
    ],
    ids=str,
)
def test_pyskl(dtype, layout, options):
    twin = twin_of(twins.Pyskl, layout, dtype, **options)
    x = clips(get_layout(layout))
    kind = "offset" if options.get("adaptive") == "offset" else "importance"
    model = import_weights(twin.state_dict(), "pyskl", adaptive=kind)
    assert model.layouts[0].name == layout
    with torch.no_grad():
        close(logits(model, x).logits, twin(x))


def test_operators_of_no_layout_become_offsets(dtype):
    graph = torch.rand(3, 17, 17, dtype=dtype) / 9
    twin = twin_of(twins.Pyskl, "coco17", dtype, graph=graph)
    x = clips(get_layout("coco17"))
    model = import_weights(twin.state_dict(), "pyskl")
    with torch.no_grad():
        close(logits(model, x).logits, twin(x))


@pytest.mark.parametrize("layout", ["ntu25", "openpose18"])
@pytest.mark.parametrize("frames", [290, 257])
def test_as_gcn(dtype, layout, frames):
    twin = twin_of(twins.ASGCN, layout, dtype)
    joints = get_layout(layout).num_joints
    second = twins.randomized(twins.Encoder(joints, 3, 50, 16, 2).to(dtype), seed=1)
    x = clips(get_layout(layout), frames)
    model = import_weights(twin.state_dict() | second.state_dict(), "as-gcn")
    bodies, feat, mask = given(x)
    chosen = 2 * torch.arange(50) + 1
    last = x[:, :, -1].permute(0, 3, 1, 2).flatten(0, 1)  # (n m, c, v)
    own = [0, 1, 2, 4, 5]
    with torch.no_grad():
        links = second(x[:, :, chosen * frames // 100])
        expected, poses = twin(x, last, links)
        graph = model.graph_builder.structure(model.layouts[0], bodies)
        out = model(graph, feat, mask, last[own].transpose(1, 2).flatten(0, 1))
    close(out.logits, expected)
    close(out.future, poses[own].permute(0, 3, 2, 1).flatten(0, 1))
    assert out.links.weight.shape == (5 * joints * (joints - 1), 2)
    # The published operators go from sender to receiver, with loops.
    first = out.links.weight[: joints * (joints - 1), 0].view(joints, joints - 1)
    assert torch.equal(first.sum(dim=1), ((links[0, 0] > 0).sum(dim=0) - 1).to(dtype))


@pytest.mark.parametrize("kind", ["importance", "offset", "st-gcn", "as-gcn"])
def test_operators_rounded_to_32_bits_count_as_they_are(kind):
    """The published codes round their operators before a model becomes one of 64 bits."""
    torch.set_default_dtype(torch.float64)
    try:
        if kind == "st-gcn":
            twin = twin_of(twins.STGCN, "ntu25", torch.float64)
        elif kind == "as-gcn":
            twin = twin_of(twins.ASGCN, "ntu25", torch.float64)
        else:
            twin = twin_of(twins.Pyskl, "ntu25_pyskl", torch.float64, adaptive=kind)
        for name, value in twin.state_dict().items():
            if name.split(".")[-1] == "A":
                value.copy_(value.float())
        layout = "ntu25_pyskl" if kind in ("importance", "offset") else "ntu25"
        x = clips(get_layout(layout), 290 if kind == "as-gcn" else FRAMES)
        if kind != "as-gcn":
            options = {"adaptive": kind} if kind != "st-gcn" else {}
            source = "st-gcn" if kind == "st-gcn" else "pyskl"
            model = import_weights(twin.state_dict(), source, **options)
            with torch.no_grad():
                close(logits(model, x).logits, twin(x))
            return
        second = twins.randomized(twins.Encoder(25, 3, 50, 16, 2).double(), seed=1)
        model = import_weights(twin.state_dict() | second.state_dict(), "as-gcn")
        chosen = (2 * torch.arange(50) + 1) * 290 // 100
        with torch.no_grad():
            last = x[:, :, -1].permute(0, 3, 1, 2).flatten(0, 1)
            close(logits(model, x).logits, twin(x, last, second(x[:, :, chosen]))[0])
    finally:
        torch.set_default_dtype(torch.float32)


def test_names_of_mmaction2():
    twin = twin_of(twins.STGCN, "openpose18", torch.float32)
    state = {
        key.replace("fcn.", "cls_head.fc.") if key.startswith("fcn.") else f"backbone.{key}": value
        for key, value in twin.state_dict().items()
    }
    x = clips(get_layout("openpose18"))
    with torch.no_grad():
        close(logits(import_weights(state, "st-gcn"), x).logits, twin(x))
    twin = twin_of(twins.Pyskl, "coco17", torch.float32, multi=True, adaptive="init")
    state = {key.replace("fc_cls", "fc"): value for key, value in twin.state_dict().items()}
    x = clips(get_layout("coco17"))
    with torch.no_grad():
        close(logits(import_weights(state, "pyskl"), x).logits, twin(x))


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("nested", [False, True])
def test_files_of_all_forms(tmp_path, old, nested):
    twin = twin_of(twins.STGCN, "ntu25", torch.float32)
    state = {f"module.{key}": value for key, value in twin.state_dict().items()}
    held = {"meta": {"epoch": 3}, "state_dict": state, "optimizer": {}} if nested else state
    torch.save(held, tmp_path / "weights.pt", _use_new_zipfile_serialization=not old)
    model = import_weights(tmp_path / "weights.pt", "st-gcn")
    direct = import_weights(twin.state_dict(), "st-gcn")
    for key, value in direct.state_dict().items():
        assert torch.equal(model.state_dict()[key], value), key


def test_a_file_runs_no_code(tmp_path):
    torch.save({"state_dict": {"a": torch.zeros(1)}, "f": print}, tmp_path / "bad.pt")
    with pytest.raises(InputError, match=r"bad\.pt.*weights alone"):
        read_state(tmp_path / "bad.pt")
    (tmp_path / "garbage.pt").write_bytes(b"none")
    with pytest.raises(InputError, match=r"garbage\.pt"):
        read_state(tmp_path / "garbage.pt")
    with pytest.raises(InputError, match=r"none\.pt: cannot be read"):
        read_state(tmp_path / "none.pt")
    torch.save([1, 2], tmp_path / "list.pt")
    with pytest.raises(InputError, match="no weights by name"):
        read_state(tmp_path / "list.pt")


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("l1.gcn1.conv_a.0.weight", "2s-AGCN"),
        ("backbone.gcn.0.gcn.conv_b.weight", "2s-AGCN"),
        ("l1.gcn1.convs.0.conv4.weight", "CTR-GCN"),
        ("backbone.net.0.gcn1.convs.0.conv1.weight", "CTR-GCN"),
        ("gcn3d1.gcn3d.0.gcn3d.1.mlp.layers.0.weight", "MS-G3D"),
        ("sgcn1.0.mlp.layers.0.weight", "MS-G3D"),
    ],
)
@pytest.mark.parametrize("source", ["st-gcn", "pyskl", "as-gcn"])
def test_what_cannot_be_represented_is_said(key, name, source):
    with pytest.raises(InputError, match=name):
        import_weights({key: torch.zeros(1)}, source)


def test_refusals_name_the_remedy():
    twin = twin_of(twins.STGCN, "ntu25", torch.float32)
    state = twin.state_dict()
    with pytest.raises(InputError, match="--from st-gcn"):
        import_weights(state, "pyskl")
    with pytest.raises(InputError, match="7 classes, not 60"):
        import_weights(state, "st-gcn", num_classes=60)
    with pytest.raises(InputError, match="coco17"):
        import_weights(state, "st-gcn", "coco17")
    with pytest.raises(InputError, match=r"tcn\.3\.bias"):
        short = {k: v for k, v in state.items() if k != "st_gcn_networks.1.tcn.3.bias"}
        import_weights(short, "st-gcn")
    with pytest.raises(InputError, match=r"extra\.weight"):
        import_weights(state | {"extra.weight": torch.zeros(2)}, "st-gcn")
    with pytest.raises(InputError, match="second file"):
        import_weights(twin_of(twins.ASGCN, "ntu25", torch.float32).state_dict(), "as-gcn")
    with pytest.raises(ValueError, match="source"):
        import_weights(state, "msg3d")


def test_offsets_that_look_like_masks_are_warned_of(caplog):
    twin = twin_of(twins.Pyskl, "coco17", torch.float32, adaptive="offset")
    with caplog.at_level(logging.WARNING):
        import_weights(twin.state_dict(), "pyskl")
    assert "offset" in caplog.text


@pytest.mark.parametrize("change", [lambda value: None, lambda value: value[:-1]])
@pytest.mark.parametrize("source", ["st-gcn", "pyskl", "as-gcn"])
def test_damage_is_an_error_of_the_file(source, change):
    """Each weight of the first blocks in turn is missing, or of another size."""
    if source == "st-gcn":
        state = twin_of(twins.STGCN, "openpose18", torch.float32).state_dict()
        optional = r"A$|edge_importance"
    elif source == "pyskl":
        state = twin_of(twins.Pyskl, "coco17", torch.float32, multi=True).state_dict()
        optional = r"PA$"
    else:
        twin = twin_of(twins.ASGCN, "openpose18", torch.float32)
        encoder = twins.randomized(twins.Encoder(18, 3, 50, 16, 2), seed=1)
        state = twin.state_dict() | encoder.state_dict()
        optional = r"A$|edge_importance|decoder"
    unused = r"num_batches_tracked|decoder|importance\.[4-8]|recon\.[78]"
    later = rf"(networks|gcn|layer)[._][1-9]\.|{unused}"
    keys = [key for key in state if not re.search(later, key) and len(state[key]) > 1]
    assert len(keys) > 10
    for key in keys:
        value = change(state[key])
        if value is None and re.search(optional, key):
            continue
        damaged = {name: each for name, each in state.items() if name != key}
        damaged |= {} if value is None else {key: value}
        with pytest.raises(InputError, match="the state dict"):
            import_weights(damaged, source)


def test_what_pyskl_can_be_and_this_library_cannot():
    twin = twin_of(twins.Pyskl, "coco17", torch.float32)
    state = twin.state_dict()
    with pytest.raises(InputError, match="data_bn_type MVC"):
        twice = {k: v.repeat(2) for k, v in state.items() if "data_bn" in k and v.dim()}
        import_weights(state | twice, "pyskl")
    with pytest.raises(InputError, match="gcn_conv_pos post"):
        key = "backbone.gcn.0.gcn.conv.weight"
        import_weights(state | {key: state[key][: len(state[key]) // 3]}, "pyskl")
    with pytest.raises(InputError, match="joints; give their layout"):
        other = {k: v[:, :16, :16] for k, v in state.items() if k.endswith(("gcn.A", "gcn.PA"))}
        import_weights({k: v for k, v in state.items() if "data_bn" not in k} | other, "pyskl")
    with pytest.raises(InputError, match="names like backbone"):
        import_weights({"weight": torch.zeros(2)}, "pyskl")


def test_an_input_without_norm_is_left_as_it_is(dtype):
    twin = twin_of(twins.Pyskl, "coco17", dtype)
    twin.backbone.data_bn = torch.nn.Identity()
    x = clips(get_layout("coco17"))
    model = import_weights(twin.state_dict(), "pyskl")
    with torch.no_grad():
        close(logits(model, x).logits, twin(x))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"layout": "ntu52"}, "name must be one of .*; got 'ntu52'"),
        ({"bodies": 0}, "bodies must be at least 1, got 0"),
    ],
)
def test_wrong_arguments_are_not_taken_for_wrong_weights(options, told):
    twin = twin_of(twins.STGCN, "ntu25", torch.float32)
    with pytest.raises(ValueError, match=told) as caught:
        import_weights(twin.state_dict(), "st-gcn", **options)
    assert not isinstance(caught.value, InputError)


@pytest.mark.parametrize(
    ("key", "change", "told"),
    [
        ("data_bn.bias", lambda bias: bias[:-1], r"data_bn.bias has shape \(74,\)"),
        (
            "st_gcn_networks.1.gcn.conv.weight",
            lambda weight: weight[:-1],
            r"st_gcn_networks.1.gcn.conv.weight has shape \(\d+, \d+\) where",
        ),
        ("fcn.weight", lambda weight: weight.sum(), "fcn.weight"),
    ],
)
def test_cut_weights_are_named_with_their_shapes(key, change, told):
    state = dict(twin_of(twins.STGCN, "ntu25", torch.float32).state_dict())
    state[key] = change(state[key])
    with pytest.raises(InputError, match=told):
        import_weights(state, "st-gcn")
