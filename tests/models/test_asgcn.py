import copy
import json
import pickle
from dataclasses import replace

import pytest
import torch
from strategies import ENGINES, chain, needs_dgl
from torch.nn import functional as F

from asgcn_dgl.models import ASGCN, PRESETS, STGCN
from asgcn_dgl.nn import PredictionHead
from asgcn_dgl.ops import use_engine
from asgcn_dgl.skeleton import get_layout

TINY = {
    "channels": (8, 8, 12),
    "strides": (1, 2, 1),
    "aim_frames": 6,
    "aim_hidden": 8,
    "future_channels": 8,
    "dropout": 0.0,
}


def tiny(layouts=None, **options):
    torch.manual_seed(0)
    return ASGCN(layouts or get_layout("coco17"), 5, **{**TINY, **options})


def batch(model, bodies, frames=20, layout=None):
    layout = layout or get_layout("coco17")
    graph = model.graph_builder.structure(layout, bodies)
    return graph, torch.randn(graph.num_nodes(), frames, 3)


@pytest.mark.parametrize("frames", [1, 4, 13, 40, 75])
def test_shapes_for_any_length(frames):
    model = tiny().eval()
    out = model(*batch(model, [1, 2], frames))
    assert out.logits.shape == (2, 5) and out.future.shape == (51, 10, 3)
    assert out.features.shape == (51, (frames + 1) // 2, 12)
    assert bool(torch.isfinite(out.future).all())


@pytest.mark.parametrize("engine", ENGINES)
def test_logits_do_not_depend_on_the_batch(engine):
    """Other clips, other lengths (padding), other numbers of bodies: the same to 1e-5."""
    model = tiny().eval()
    lengths, bodies = [12, 20, 3, 9], [1, 2, 1, 3]
    clips = [batch(model, [count], length) for count, length in zip(bodies, lengths, strict=True)]
    graph = model.graph_builder.structure(get_layout("coco17"), bodies)
    feat, mask = (
        torch.zeros(graph.num_nodes(), 20, 3),
        torch.zeros(graph.num_nodes(), 20, dtype=torch.bool),
    )
    begin = 0
    for (_, clip), length in zip(clips, lengths, strict=True):
        feat[begin : begin + len(clip), :length] = clip
        feat[begin : begin + len(clip), length:] = 1e3  # must not matter
        mask[begin : begin + len(clip), :length] = True
        begin += len(clip)
    with use_engine(engine), torch.no_grad():
        joined = model(graph, feat, mask)
        apart = [model(*clip) for clip in clips]
    torch.testing.assert_close(
        joined.logits, torch.cat([o.logits for o in apart]), rtol=0, atol=1e-5
    )
    torch.testing.assert_close(
        joined.future, torch.cat([o.future for o in apart]), rtol=0, atol=1e-5
    )


def test_clips_of_different_layouts_share_a_batch():
    layouts = [get_layout("coco17"), chain(5)]
    model = tiny(layouts, input_norm="channel").eval()
    graph = model.graph_builder.structure([layouts[0], layouts[1], layouts[0]], [1, 2, 1])
    feat = torch.randn(44, 15, 3)
    joined = model(graph, feat)
    builder = model.graph_builder
    first = model(builder.structure(layouts[0]), feat[:17])
    second = model(builder.structure(layouts[1], [2]), feat[17:27])
    torch.testing.assert_close(joined.logits[:1], first.logits, rtol=0, atol=1e-5)
    torch.testing.assert_close(joined.logits[1:2], second.logits, rtol=0, atol=1e-5)


def test_evaluation_is_deterministic_bit_for_bit():
    model = tiny().eval()
    graph, feat = batch(model, [2, 1])
    one, two = model(graph, feat), model(graph, feat)
    assert torch.equal(one.logits, two.logits) and torch.equal(one.future, two.future)


def test_training_is_reproducible_from_a_seed():
    def trained():
        model = tiny(dropout=0.3)
        torch.manual_seed(7)
        graph, feat = batch(model, [1, 2])
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(3):
            out = model(graph, feat)
            optimizer.zero_grad()
            (out.logits.square().sum() + out.future.square().mean()).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
        return model.state_dict()

    first, second = trained(), trained()
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_a_missing_body_is_as_if_it_were_not_there():
    """A body masked everywhere does not change the clip's logits."""
    model = tiny(num_actional=0).eval()
    alone = batch(model, [1])
    graph, feat = batch(model, [2])
    feat[:17] = alone[1]
    mask = torch.ones(34, 20, dtype=torch.bool)
    mask[17:] = False
    torch.testing.assert_close(
        model(graph, feat, mask).logits, model(*alone).logits, rtol=0, atol=1e-5
    )


@pytest.mark.parametrize(
    "options",
    [
        {"num_actional": 0},
        {"max_hop": 1},
        {"max_hop": 1, "num_actional": 0},
        {"construction": "distance", "truncated": True},
        {"link_norm": "self_loop", "hard": True, "scale": 0.1},
        {"ghost_prior": 0.0},
        {"across_bodies": True},
        {"edge_mask": False, "bias": True},
        {"input_norm": "channel"},
        {"future_frames": 0},
        {"future_frames": 25},
        {"kernel_size": 9},
    ],
)
def test_every_option_trains(options):
    model = tiny(**options)
    graph, feat = batch(model, [1, 2])
    out = model(graph, feat)
    loss = out.logits.square().sum()
    if out.future is not None:
        assert out.future.shape[1] == options.get("future_frames", 10)
        loss = loss + out.future.square().sum()
    loss.backward()
    names = {name for name, p in model.named_parameters() if p.grad is None}
    assert all(name.startswith("aim.decoder") for name in names)
    assert model(graph, feat, predict=False).future is None


def test_overfits_a_batch():
    model = tiny(max_hop=2)
    graph, feat = batch(model, [1] * 4, 12)
    label = torch.arange(4)
    future = feat[:, -1:] + torch.randn(68, 10, 3)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    for _ in range(60):
        out = model(graph, feat)
        error = (out.future - future).square().mean()
        loss = torch.nn.functional.cross_entropy(out.logits, label) + error
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert torch.equal(out.logits.argmax(1), label)
    zero_velocity = (feat[:, -1:] - future).square().mean()
    assert error < 0.8 * zero_velocity


def test_frozen_links_are_not_trained_and_carry_no_noise():
    model = tiny(link_mode="frozen").train()
    graph, feat = batch(model, [1])
    assert torch.equal(model(graph, feat).links.weight, model(graph, feat).links.weight)
    model(graph, feat).logits.sum().backward()
    assert all(p.grad is None for p in model.aim.parameters())


def test_steady_links_carry_no_noise_but_are_trained():
    model = tiny(link_mode="steady").train()
    graph, feat = batch(model, [1])
    assert torch.equal(model(graph, feat).links.weight, model(graph, feat).links.weight)
    model(graph, feat).logits.square().sum().backward()
    assert all(p.grad is not None for p in model.aim.encoder.parameters())
    with pytest.raises(ValueError, match=r"link_mode must be one of .* got 'tuned'"):
        tiny(link_mode="tuned")


def test_the_last_pose_is_given_or_taken_from_the_clip():
    model = tiny().eval()
    graph, feat = batch(model, [1])
    taken = model(graph, feat).future
    given = model(graph, feat, last=feat[:, -1]).future
    assert torch.equal(taken, given)
    moved = model(graph, feat, last=feat[:, -1] + 1.0).future
    assert not torch.allclose(moved, given)


def test_prediction_head_adds_the_last_pose_joint_by_joint():
    """Zero offsets give the last pose in every frame (the published code mixes up its axes)."""
    layout = get_layout("coco17")
    head = PredictionHead(4, 3, 10, hidden_feats=8, conv={"max_hop": 1, "num_actional": 0})
    torch.nn.init.zeros_(head.last.temporal.weight)
    torch.nn.init.zeros_(head.last.temporal.bias)
    graph = tiny(max_hop=1, num_actional=0).graph_builder.structure(layout)
    last = torch.randn(17, 3)
    future = head(graph, torch.randn(17, 8, 4), last)
    assert torch.equal(future, last.unsqueeze(1).expand(-1, 10, -1))


def test_config_makes_the_model_again():
    layout = chain(6, name="worm")
    model = tiny([layout], max_hop=2)
    config = json.loads(json.dumps(model.config.to_dict()))
    twin = ASGCN.from_config(config)
    twin.load_state_dict(model.state_dict())
    graph, feat = batch(model, [1, 1], layout=layout)
    assert torch.equal(model.eval()(graph, feat).logits, twin.eval()(graph, feat).logits)


def test_copies_and_pickles():
    model = tiny().eval()
    graph, feat = batch(model, [1])
    expected = model(graph, feat).logits
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(twin(graph, feat).logits, expected)


def test_paper_preset_has_the_paper_sizes():
    model = ASGCN.preset("paper", get_layout("ntu25"), 60)
    widths = [block.temporal.out_feats for block in model.blocks]
    assert widths == [64] * 3 + [128] * 3 + [256] * 3
    assert [block.temporal.stride for block in model.blocks] == [1, 1, 1, 2, 1, 1, 2, 1, 1]
    assert not model.blocks[0].residual and model.blocks[1].residual
    assert model.graph_builder.max_hop == 4 and model.graph_builder.num_actional == 3
    assert model.aim.encoder.num_frames == 50 and model.aim.ghost_prior == 0.95
    assert len(model.prediction.shrink) == 5 and len(model.prediction.narrow) == 2
    assert set(PRESETS) == {"paper", "small", "light"}


def test_stgcn_is_the_one_hop_baseline():
    model = STGCN(get_layout("ntu25"), 60, channels=(8, 8), strides=(1, 2))
    assert model.aim is None and model.prediction is None
    assert model.graph_builder.structural_etypes == ("root_1", "centripetal_1", "centrifugal_1")
    assert model.graph_builder.norm == "symmetric"
    twin = ASGCN.from_config(model.config.to_dict())
    twin.load_state_dict(model.state_dict())
    graph, feat = batch(model, [1], layout=get_layout("ntu25"))
    assert torch.equal(model.eval()(graph, feat).logits, twin.eval()(graph, feat).logits)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ASGCN.preset("huge", get_layout("ntu25"), 60), "preset must be one of"),
        (lambda: tiny(input_norm="batch"), "input_norm must be one of"),
        (
            lambda: tiny([chain(3), get_layout("coco17")]),
            "input_norm must be 'channel' for 2 layouts",
        ),
        (lambda: tiny(channels=(8,)), "channels must be as many as strides"),
        (lambda: STGCN(get_layout("ntu25"), 60, max_hop=2), "max_hop must be 1 in ST-GCN"),
        (lambda: tiny(num_actional=-1), "num_actional"),
    ],
)
def test_errors_name_argument_rule_and_value(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_what_stands_under_the_mask_does_not_matter_not_even_nan():
    model = tiny().eval()
    graph, feat = batch(model, [1, 2])
    mask = torch.rand(51, 20) > 0.2
    expected = model(graph, feat.masked_fill(~mask.unsqueeze(-1), 7.0), mask)
    got = model(graph, feat.masked_fill(~mask.unsqueeze(-1), torch.nan), mask.float())
    assert torch.equal(got.logits, expected.logits) and torch.equal(got.future, expected.future)
    assert bool(torch.isfinite(got.logits).all())


def test_autocast_trains():
    model = tiny()
    graph, feat = batch(model, [1, 2])
    with torch.autocast("cpu", torch.bfloat16):
        out = model(graph, feat)
        loss = out.logits.float().square().sum() + out.future.float().square().mean()
        loss = loss + model.aim.loss(graph, feat).loss
    loss.backward()
    assert all(bool(torch.isfinite(p.grad).all()) for p in model.parameters())
    torch.testing.assert_close(out.logits.float(), model(graph, feat).logits, rtol=0.3, atol=0.3)


@pytest.mark.parametrize(
    ("layout", "options", "message"),
    [
        (get_layout("ntu25"), {}, "a skeleton that the model was not made for"),
        (chain(3), {"edge_mask": False}, "a skeleton that the model was not made for"),
    ],
)
def test_clips_of_another_skeleton_are_refused(layout, options, message):
    model = tiny(**options)
    graph, feat = batch(model, [1], layout=layout)
    with pytest.raises(ValueError, match=message):
        model(graph, feat)


def test_links_of_the_other_kind_are_refused():
    graph, feat = batch(tiny(across_bodies=True), [2])
    with pytest.raises(ValueError, match="across_bodies=True, the model's False"):
        tiny()(graph, feat)


def test_misshapen_features_are_named():
    model = tiny()
    graph, feat = batch(model, [1])
    with pytest.raises(ValueError, match="with at least one frame, got shape"):
        model(graph, feat[:, :0])
    with pytest.raises(ValueError, match=r"mask must be \(joints, frames\)"):
        model(graph, feat, torch.ones(17, 3))


STRONG = {
    "temporal": "branches",
    "kernel_size": 3,
    "attention": "both",
    "structural_offsets": True,
    "streams": ("joint", "bone", "joint_motion"),
}


LIGHT = {
    "temporal": "four_branches",
    "kernel_size": 5,
    "shared_weights": True,
    "future_head": "narrow",
}


@pytest.mark.parametrize("option", {**STRONG, **LIGHT})
def test_each_option_of_a_strong_backbone_is_off_in_the_paper(option):
    given = ASGCN.preset("paper", get_layout("hand21"), 2).config.to_dict()[option]
    assert given in ("single", 7, None, False, ["joint"], "paper")


def test_the_light_preset_is_light():
    light = ASGCN.preset("light", get_layout("ntu25"), 60)
    assert all(getattr(light.config, name) == value for name, value in LIGHT.items())
    assert sum(each.numel() for each in light.parameters()) < 250_000
    assert max(light.config.channels) == 64


LATE = {"streams": ("bone", "joint", "bone_motion"), "stream_fusion": "late"}


@pytest.mark.parametrize("options", [STRONG, LIGHT, LATE], ids=["strong", "light", "late"])
def test_a_strong_backbone_does_not_mix_clips_and_survives_its_config(options):
    model = tiny(**options, num_actional=1).eval()
    for parameter in model.parameters():  # no part may hide behind a zero
        torch.nn.init.normal_(parameter, std=0.2)
    lengths, bodies = [12, 20], [2, 1]
    clips = [batch(model, [count], length) for count, length in zip(bodies, lengths, strict=True)]
    graph = model.graph_builder.structure(get_layout("coco17"), bodies)
    feat = torch.full((51, 20, 3), 1e3)
    mask = torch.zeros(51, 20, dtype=torch.bool)
    feat[:34, :12], feat[34:] = clips[0][1], clips[1][1]
    mask[:34, :12], mask[34:] = True, True
    joined, apart = model(graph, feat, mask), [model(*clip) for clip in clips]
    scale = joined.logits.detach().abs().max()
    torch.testing.assert_close(
        joined.logits, torch.cat([out.logits for out in apart]), rtol=0, atol=1e-5 * float(scale)
    )
    again = ASGCN.from_config(json.loads(json.dumps(model.config.to_dict())))
    again.load_state_dict(model.state_dict())
    assert torch.equal(again.eval()(graph, feat, mask).logits, joined.logits)
    assert pickle.loads(pickle.dumps(model)).config == model.config


def test_streams_are_seen_by_the_backbone_and_links_by_positions_alone():
    model = tiny(streams=("joint", "bone"), num_actional=1).eval()
    assert model.blocks[0].spatial.structural.in_feats == 6
    graph, feat = batch(model, [1])
    moved = feat + torch.randn(1, 1, 3)  # bones stay as they are
    one, two = model(graph, feat), model(graph, moved)
    assert one.future.shape == (*feat.shape[:1], 10, 3)
    assert not torch.allclose(one.links.logits, two.links.logits)
    only = tiny(streams=("bone",), num_actional=0).eval()
    torch.testing.assert_close(only(graph, feat).logits, only(graph, moved).logits)


def test_late_streams_are_as_many_models_whose_probabilities_are_averaged():
    late = tiny(**LATE, future_frames=0, num_actional=1).double().eval()
    graph, feat = batch(late, [1, 2])
    feat, label = feat.double(), torch.tensor([0, 1])
    out = late(graph, feat)
    assert out.stream_logits.shape == (3, *out.logits.shape)
    assert out.features.shape[-1] == 3 * late.config.channels[-1]
    towers = zip(
        (late.input_norm, *late.stream_norms),
        (late.blocks, *late.stream_blocks),
        (late.recognition, *late.stream_heads),
        strict=True,
    )
    sum(F.cross_entropy(each, label) for each in out.stream_logits).backward()
    shares = []
    for name, (norm, blocks, head) in zip(LATE["streams"], towers, strict=True):
        one = tiny(streams=[name], future_frames=0, num_actional=1).double().eval()
        own = {"aim": late.aim, "input_norm": norm, "blocks": blocks, "recognition": head}
        for part, module in own.items():
            getattr(one, part).load_state_dict(module.state_dict())
        found = one(graph, feat)
        F.cross_entropy(found.logits, label).backward()
        shares.append(found.logits.softmax(dim=-1))
        for mine, its in zip(blocks.parameters(), one.blocks.parameters(), strict=True):
            torch.testing.assert_close(mine.grad, its.grad)
    torch.testing.assert_close(out.logits.exp(), torch.stack(shares).mean(dim=0))


def test_late_streams_predict_together_and_freeze_together():
    model = tiny(**LATE, num_actional=0)
    graph, feat = batch(model, [2])
    model(graph, feat).future.square().sum().backward()
    assert all(block.spatial.structural.weight.grad.abs().sum() > 0 for block in model.blocks)
    for tower in model.stream_blocks:
        assert all(block.spatial.structural.weight.grad.abs().sum() > 0 for block in tower)
    model.freeze(["backbone", "recognition"])
    trained = {name.split(".")[0] for name, p in model.named_parameters() if p.requires_grad}
    assert trained == {"prediction"}


@pytest.mark.parametrize("options", [STRONG, LIGHT], ids=["strong", "light"])
def test_strong_backbone_trains_in_bfloat16(options):
    model = tiny(**options, num_actional=1)
    graph, feat = batch(model, [1, 2])
    with torch.autocast("cpu", torch.bfloat16):
        out = model(graph, feat)
        loss = out.logits.float().square().sum() + out.future.float().square().mean()
    loss.backward()
    assert all(p.grad is not None for n, p in model.named_parameters() if "aim.decoder" not in n)


@pytest.mark.parametrize("options", [{}, {"num_actional": 0}, {"future_frames": 0}])
def test_fixed_bodies_are_zeros_that_count(options):
    model = tiny(masked=False, fixed_bodies=2, **options).eval()
    plain = tiny(masked=False, **options).eval()
    plain.load_state_dict(model.state_dict())
    graph, feat = batch(model, [1, 2])
    mask = torch.rand(feat.shape[:2]) > 0.2
    seen = feat * mask.unsqueeze(-1)
    whole = torch.cat([seen[:17], torch.zeros_like(seen[:17]), seen[17:]])
    last = torch.randn(51, 3)
    both = torch.cat([last[:17], torch.zeros(17, 3), last[17:]])
    got = model(graph, feat, mask, last)
    expected = plain(plain.graph_builder.structure("coco17", [2, 2]), whole, None, both)
    own = torch.cat([torch.arange(17), torch.arange(34, 68)])
    torch.testing.assert_close(got.logits, expected.logits)
    torch.testing.assert_close(got.features, expected.features[own])
    if got.future is not None:
        torch.testing.assert_close(got.future, expected.future[own])
    if got.links is not None:
        kept = expected.links.weight.view(4, -1, 3)[[0, 2, 3]].flatten(0, 1)
        torch.testing.assert_close(got.links.weight, kept)
    with pytest.raises(ValueError, match="at most 2"):
        model(*batch(model, [3]))


def test_fixed_bodies_need_unmasked_ones():
    with pytest.raises(ValueError, match="masked"):
        tiny(fixed_bodies=2)
    with pytest.raises(ValueError, match="across_bodies"):
        tiny(fixed_bodies=2, masked=False, across_bodies=True)


@needs_dgl
@pytest.mark.parametrize("across", [False, True])
def test_graphs_of_users_are_checked_and_give_the_same(across):
    """What is known of a changed or joined DGL graph is its data, which must fit the model."""
    import dgl

    model = tiny(across_bodies=across).eval()
    builder = model.graph_builder
    structure, feat = batch(model, [1, 2])
    expected = model(structure, feat)
    joined = dgl.batch([builder.clip("coco17", bodies) for bodies in (1, 2)])
    torch.testing.assert_close(model(joined, feat).logits, expected.logits)
    joined.ndata.pop("structure")
    with pytest.raises(ValueError, match="carries no ndata"):
        model(joined, feat)
    other = replace(builder, across_bodies=not across)
    with pytest.raises(ValueError, match="A-links of type 1, the model expects"):
        model(dgl.batch([other.clip("coco17", bodies) for bodies in (1, 2)]), feat)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"future_head": "narrow"},
        {"future_head": "dct", "past_frames": 5},
        {"future_head": "published"},
        {**STRONG, "stream_fusion": "late", "conv_residual": True},
    ],
    ids=str,
)
def test_new_weights_are_like_those_of_a_new_model(options):
    model, other = tiny(num_actional=1, **options), tiny(num_actional=1, **options)
    for value in model.state_dict().values():
        value.fill_(9)
    model.reset_parameters()
    for name, value in model.named_parameters():
        assert not bool((value == 9).any()), name
    new = other.state_dict()
    for name, value in model.state_dict().items():
        if value.is_floating_point() and value.numel() >= 64 and "transform" not in name:
            torch.testing.assert_close(
                value.abs().mean(), new[name].abs().mean(), rtol=1.0, atol=0.05, msg=name
            )


@needs_dgl
@pytest.mark.parametrize("actional", [0, 2])
def test_a_dgl_graph_that_was_changed_gives_the_same(actional):
    model = tiny(num_actional=actional).eval()
    structure, feat = batch(model, [1, 2])
    graph = structure.graph
    graph.ndata["structure"] = graph.ndata["structure"].clone()
    got, expected = model(graph, feat), model(structure, feat)
    torch.testing.assert_close(got.logits, expected.logits)
    torch.testing.assert_close(got.future, expected.future)
    fixed = tiny(masked=False, fixed_bodies=2, num_actional=actional)
    with pytest.raises(ValueError, match="must be made by the model's graph_builder"):
        fixed(graph, feat)


def test_what_a_constructor_lacks_or_has_twice_is_named():
    with pytest.raises(TypeError, match="num_classes is missing"):
        ASGCN("coco17")
    config = tiny().config
    with pytest.raises(TypeError, match="holds all options"):
        ASGCN(config, 5)
    with pytest.raises(ValueError, match="unknown option speed"):
        ASGCN.from_config({**config.to_dict(), "speed": 3})
    with pytest.raises(ValueError, match=r"parts must be of aim, .* got 'head'"):
        tiny().freeze(["head"])
