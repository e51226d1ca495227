"""Nothing in a training step depends on where tensors are or waits for them."""

import pytest
import torch
from strategies import chain
from torch.nn import functional as F

from asgcn_dgl.models import ASGCN
from asgcn_dgl.models.exporting import exports
from asgcn_dgl.nn import PooledAttention
from asgcn_dgl.skeleton import GraphBuilder, SkeletonLayout, get_layout

SIZES = {
    "channels": (8, 12),
    "strides": (1, 2),
    "max_hop": 2,
    "num_actional": 2,
    "aim_frames": 6,
    "aim_hidden": 8,
    "future_frames": 3,
    "future_channels": 8,
}
OPTIONS = {
    "plain": {},
    "no links": {"num_actional": 0},
    "across bodies": {"across_bodies": True},
    "hard": {"hard": True, "link_norm": "self_loop", "scale": 0.1},
    "no ghost": {"ghost_prior": 0.0, "link_norm": "none"},
    "frozen": {"link_mode": "frozen"},
    "no masks": {"edge_mask": False, "bias": True},
    "biases": {"bias": "relation"},
    "distance": {"construction": "distance", "truncated": True},
    "symmetric": {"norm": "symmetric"},
    "branches": {"temporal": "branches", "attention": "both", "kernel_size": 3},
    "light": {
        "temporal": "four_branches",
        "kernel_size": 5,
        "shared_weights": True,
        "future_head": "narrow",
    },
    "offsets": {"structural_offsets": True, "bias": "relation"},
    "streams": {"streams": ("joint", "bone", "bone_motion"), "input_norm": "channel"},
    "late streams": {"streams": ("joint", "bone"), "stream_fusion": "late"},
    "channel norm": {"input_norm": "channel"},
}


def step(device, layouts, options, masked):
    """A training step of model and inference module, all tensors on a device."""
    torch.manual_seed(0)
    model = ASGCN(layouts, 4, 3, **{**SIZES, **options}).to(device)
    clips = [layouts[k % len(layouts)] for k in range(3)]
    structure = model.graph_builder.structure(clips, [1, 2, 1]).to(device)
    nodes = structure.num_nodes()
    feat = torch.randn(nodes, 9, 3).to(device)
    mask = (torch.rand(nodes, 9) > 0.2).to(device) if masked else None
    label = torch.tensor([0, 1, 3]).to(device)
    out = model(structure, feat, mask)
    loss = F.cross_entropy(out.logits, label) + out.future.square().mean()
    if model.aim is not None and out.links is not None:
        loss = loss + model.aim.loss_of(out.links, structure, feat, mask, pred_steps=3).loss
    loss.backward()
    return model, out


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("mixed", [False, True])
@pytest.mark.parametrize("name", OPTIONS)
def test_a_training_step_runs_where_no_number_can_be_read(name, mixed, masked):
    """On the device "meta" there are shapes only: a number that is read, or a tensor that stays
    on the CPU, is an error."""
    options = OPTIONS[name]
    layouts = [get_layout("coco17")]
    if mixed:
        layouts = [*layouts, chain(5)]
        options = {**options, "input_norm": "channel"}
    model, out = step("meta", layouts, options, masked)
    assert out.logits.device.type == out.future.device.type == "meta"
    trained = [p for p in model.parameters() if p.requires_grad]
    assert all(p.grad is not None and p.grad.device.type == "meta" for p in trained)


def test_that_test_sees_a_number_that_is_read():
    class Careless(PooledAttention):
        def forward(self, graph, feat, mask=None):
            return super().forward(graph, feat, mask) * feat.abs().max().item()

    with pytest.raises(RuntimeError, match="meta"):
        graph = GraphBuilder(max_hop=1).structure(chain(3)).to("meta")
        Careless(4).to("meta")(graph, torch.randn(3, 2, 4, device="meta"))


@pytest.mark.skipif(not exports(), reason="this torch lets it pass")
def test_that_test_sees_an_index_that_stays_on_the_cpu():
    feat = torch.randn(3, 2, 4, device="meta")
    with pytest.raises((RuntimeError, NotImplementedError)):
        feat.index_add(0, torch.tensor([0, 1, 2]), torch.randn(3, 2, 4))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", OPTIONS)
def test_models_of_half_precision_answer_like_those_of_single(name, dtype):
    layout = get_layout("coco17")
    torch.manual_seed(0)
    model = ASGCN(layout, 4, 3, **{**SIZES, **OPTIONS[name]}).eval()
    structure = model.graph_builder.structure(layout, [1, 2])
    feat = torch.randn(51, 9, 3)
    with torch.no_grad():
        expected = model(structure, feat).logits
        found = model.to(dtype)(structure, feat.to(dtype)).logits
    torch.testing.assert_close(found.float(), expected, rtol=0.2, atol=0.1)


def test_the_builder_takes_a_device():
    structure = GraphBuilder().structure("coco17", [1, 2], device="meta")
    assert structure.device.type == structure.clip.device.type == "meta"
    assert all(part.entry.device.type == "meta" for part in structure.parts)


def test_two_layouts_of_equal_structure_share_a_model():
    one, other = chain(4), SkeletonLayout.from_bones("other", [(0, 1), (1, 2), (2, 3)], center=0)
    model, _ = step("cpu", [one, other], {"input_norm": "channel"}, True)
    assert model.training
