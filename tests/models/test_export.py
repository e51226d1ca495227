"""The model as a program of tensors: torch.export and torch.compile."""

import pytest
import torch
from torch import Tensor, nn

from asgcn_dgl.models import ASGCN
from asgcn_dgl.models.exporting import exports
from asgcn_dgl.skeleton import get_layout

LAYOUT = "coco17"
pytestmark = pytest.mark.skipif(not exports(), reason="this torch is too old to export models")


class Program(nn.Module):
    """The model as a function of (clips, bodies, frames, joints, coordinates) and a mask."""

    def __init__(self, model: ASGCN, bodies: int) -> None:
        super().__init__()
        self.model, self.bodies = model, bodies

    def forward(self, pos: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        clips, bodies, frames, joints, dims = pos.shape
        torch._check(mask.shape[0] == clips)
        torch._check(mask.shape[2] == frames)
        structure = self.model.graph_builder.uniform(LAYOUT, clips, self.bodies, like=pos)
        feat = pos.transpose(2, 3).reshape(clips * bodies * joints, frames, dims)
        there = mask.transpose(2, 3).reshape(clips * bodies * joints, frames)
        out = self.model(structure, feat, there)
        return out.logits, out.future


def made(bodies=1, **options):
    torch.manual_seed(0)
    sizes = {
        "channels": (8, 12),
        "strides": (1, 2),
        "aim_frames": 6,
        "aim_hidden": 8,
        "future_frames": 3,
        "future_channels": 8,
    }
    return Program(ASGCN(get_layout(LAYOUT), 4, 3, **{**sizes, **options}).eval(), bodies)


def inputs(clips, bodies, frames):
    mask = torch.rand(clips, bodies, frames, 17) > 0.1
    return torch.randn(clips, bodies, frames, 17, 3), mask


@pytest.mark.parametrize(
    ("bodies", "options"),
    [
        (1, {}),
        (2, {"num_actional": 0}),
        (2, {"across_bodies": True}),
        (1, {"streams": ("joint", "bone"), "temporal": "branches", "attention": "both"}),
        (1, {"streams": ("joint", "bone"), "stream_fusion": "late"}),
        (1, {"structural_offsets": True, "bias": "relation"}),
        (1, {"temporal": "four_branches", "shared_weights": True, "future_head": "narrow"}),
    ],
)
def test_exports_with_any_number_of_clips_and_frames(bodies, options):
    program = made(bodies, **options)
    clips, frames = (
        torch.export.Dim("clips", min=2, max=64),
        torch.export.Dim("frames", min=33, max=512),
    )
    shapes = {0: clips, 2: frames}
    exported = torch.export.export(
        program,
        inputs(3, bodies, 80),
        dynamic_shapes={"pos": shapes, "mask": shapes},
        prefer_deferred_runtime_asserts_over_guards=True,
    ).module()
    for number, length in ((2, 33), (5, 100)):
        given = inputs(number, bodies, length)
        with torch.no_grad():
            for got, expected in zip(exported(*given), program(*given), strict=True):
                torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("options", [{}, {"num_actional": 0}, {"streams": ("joint", "bone")}])
def test_compiles_as_one_graph(options):
    model = made(**options).model
    structure = model.graph_builder.structure(LAYOUT, [1, 2])
    feat, mask = torch.randn(51, 10, 3), torch.rand(51, 10) > 0.1
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    with torch.no_grad():
        got, expected = compiled(structure, feat, mask), model(structure, feat, mask)
    torch.testing.assert_close(got.logits, expected.logits, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(got.future, expected.future, rtol=1e-4, atol=1e-5)


def test_a_training_step_compiles_as_one_graph():
    model = made(link_mode="steady", dropout=0.0).model.train()
    structure = model.graph_builder.structure(LAYOUT, [1, 2])
    feat = torch.randn(51, 10, 3)

    def gradients(run):
        model.zero_grad()
        out = run(structure, feat)
        (out.logits.square().sum() + out.future.square().sum()).backward()
        return [p.grad.clone() for p in model.parameters() if p.grad is not None]

    expected = gradients(model)
    found = gradients(torch.compile(model, fullgraph=True, backend="aot_eager"))
    assert len(found) == len(expected) > 0
    for got, grad in zip(found, expected, strict=True):
        torch.testing.assert_close(got, grad, rtol=1e-3, atol=1e-4)


def test_a_program_takes_as_many_frames_as_the_inference_module_sees():
    program = made(aim_frames=40, future_frames=0)

    class Unmasked(nn.Module):
        def forward(self, pos):
            clips, _, frames, _, dims = pos.shape
            structure = program.model.graph_builder.uniform(LAYOUT, clips, 1, like=pos)
            return program.model(structure, pos.transpose(2, 3).reshape(-1, frames, dims)).logits

    frames = torch.export.Dim("frames", min=33, max=512)
    exported = torch.export.export(
        Unmasked().eval(),
        (torch.randn(3, 1, 80, 17, 3),),
        dynamic_shapes={"pos": {0: torch.export.Dim("clips", min=2, max=64), 2: frames}},
        prefer_deferred_runtime_asserts_over_guards=True,
    ).module()
    pos = torch.randn(2, 1, 40, 17, 3)
    torch.testing.assert_close(exported(pos), Unmasked()(pos), rtol=1e-4, atol=1e-5)
