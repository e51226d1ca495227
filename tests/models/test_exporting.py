"""Files for onnxruntime and for torch alone give what the model gives."""

import json
import sys

import numpy as np
import pytest
import torch

from asgcn_dgl.errors import InputError
from asgcn_dgl.models import ASGCN, STGCN, Forecaster, exporting
from asgcn_dgl.models.exporting import METADATA, ClipProgram, exports, write_onnx, write_program

onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

SIZES = {
    "channels": (8, 12),
    "strides": (1, 2),
    "aim_frames": 6,
    "aim_hidden": 8,
    "future_frames": 3,
    "future_channels": 8,
}


def made(bodies, **options):
    torch.manual_seed(0)
    model = ASGCN("hand21", 4, 2, **{**SIZES, **options})
    model.class_names = ("a", "b", "c", "d")
    for name, value in model.state_dict().items():
        if "running_mean" in name:
            value.normal_(std=0.2)
    return ClipProgram(model, bodies)


def same(got, expected):
    for ours, theirs in zip(got, expected, strict=True):
        torch.testing.assert_close(torch.as_tensor(ours), theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.skipif(not exports(), reason="this torch is too old to export models")
@pytest.mark.parametrize(
    ("bodies", "options"),
    [
        pytest.param(2, {}, marks=pytest.mark.slow),
        pytest.param(1, {}, marks=pytest.mark.slow),
        pytest.param(5, {"num_actional": 0}, marks=pytest.mark.slow),
        (3, {"num_actional": 0, "future_frames": 0}),
        pytest.param(2, {"across_bodies": True}, marks=pytest.mark.slow),
        pytest.param(
            2, {"streams": ("joint", "bone"), "stream_fusion": "late"}, marks=pytest.mark.slow
        ),
        pytest.param(
            4,
            {
                "streams": ("joint", "bone", "joint_motion"),
                "temporal": "branches",
                "attention": "both",
                "structural_offsets": True,
                "bias": "relation",
            },
            marks=pytest.mark.slow,
        ),
        pytest.param(
            2,
            {
                "masked": False,
                "fixed_bodies": 2,
                "hard": True,
                "link_norm": "self_loop",
                "future_head": "published",
                "conv_residual": True,
            },
            marks=pytest.mark.slow,
        ),
        pytest.param(2, {"future_head": "dct", "past_frames": 5}, marks=pytest.mark.slow),
    ],
)
def test_onnx_equals_the_model(tmp_path, capfd, bodies, options):
    program = made(bodies, **options)
    written = write_onnx(program, tmp_path / "model.onnx")
    assert capfd.readouterr().err == ""
    assert written.difference < 1e-4 and "opset" in str(written)
    session = onnxruntime.InferenceSession(written.path)
    for clips, frames in ((1, 33), (2, 64), (3, 100)):
        pos, mask = program.example(clips, frames, seed=frames)
        got = session.run(None, {"pos": pos.numpy(), "mask": mask.numpy()})
        with torch.no_grad():
            same(got, program(pos, mask))
    if "future" in program.outputs:
        shape = (3, *program.no_pose(1).shape[1:])
        last = np.random.default_rng(0).normal(size=shape).astype(np.float32)
        got = session.run(None, {"pos": pos.numpy(), "mask": mask.numpy(), program.poses: last})
        with torch.no_grad():
            same(got, program(pos, mask, torch.from_numpy(last)))
    assert [each.name for each in session.get_inputs()] == ["pos", "mask"]
    if hasattr(torch.onnx.ONNXProgram, "rename_axes"):
        pos, mask = (each.shape for each in session.get_inputs())
        assert pos == ["clips", bodies, "frames", 21, 2] and mask == pos[:-1]
    held = json.loads(session.get_modelmeta().custom_metadata_map[METADATA])
    assert held["class_names"] == ["a", "b", "c", "d"] and held["layout"]["name"] == "hand21"
    assert held["bodies"] == bodies and held["outputs"] == list(program.outputs)
    assert [each.name for each in session.get_outputs()] == list(program.outputs)


def forecaster(**options):
    torch.manual_seed(0)
    model = Forecaster(
        "hand21", in_feats=2, channels=[16, 16], past_frames=6, future_frames=5, **options
    )
    for weight in model.last.parameters():
        torch.nn.init.normal_(weight, std=0.1)
    return model


@pytest.mark.skipif(not exports(), reason="this torch is too old to export models")
@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, {"num_actional": 2}])
def test_a_forecaster_is_a_file(tmp_path, options):
    program = ClipProgram(forecaster(**options), 2)
    assert program.outputs == (("links", "future") if options else ("future",))
    session = onnxruntime.InferenceSession(write_onnx(program, tmp_path / "model.onnx").path)
    assert [each.name for each in session.get_inputs()] == ["pos", "mask"]
    loaded = torch.export.load(write_program(program, tmp_path / "model.pt2").path).module()
    for clips, frames in ((2, 7), (3, 40)):
        pos, mask = program.example(clips, frames, seed=frames)
        got = session.run(None, {"pos": pos.numpy(), "mask": mask.numpy()})
        with torch.no_grad():
            same(got, program(pos, mask))
            same(loaded(pos, mask), program(pos, mask))


def test_the_program_of_a_forecaster_forecasts():
    model = forecaster()
    program = ClipProgram(model, 2)
    pos, mask = program.example(3, 9)
    graph = model.graph_builder.structure(program.layout, [2] * 3)
    with torch.no_grad():
        (future,) = program(pos, mask)
        feat, here = pos.transpose(2, 3).flatten(0, 2), mask.transpose(2, 3).flatten(0, 2)
        expected = model(graph, feat, here).future.view(3, 2, 21, 5, 2).transpose(2, 3)
    torch.testing.assert_close(future, expected)
    assert float((future - pos[:, :, -1:]).abs().max()) > 0.1


def test_the_head_of_coefficients_takes_the_last_frames():
    program = made(2, future_head="dct", past_frames=5)
    assert program.poses == "recent"
    pos, mask = program.example(2, 40)
    mask[...] = True
    with torch.no_grad():
        expected = program(pos, mask)
        same(program(pos, mask, pos[:, :, -5:].clone()), expected)
        same(program(pos, mask, program.no_pose(2)), expected)
        moved = program(pos, mask, pos[:, :, -5:] + 1)
    same(moved[:2], expected[:2])
    assert float((moved[2] - expected[2]).abs().min()) > 0.5


@pytest.mark.skipif(not exports(), reason="this torch is too old to export models")
def test_a_program_of_torch_equals_the_model(tmp_path):
    program = made(2)
    written = write_program(program, tmp_path / "model.pt2")
    assert written.difference < 1e-4 and written.opset is None
    extra = {METADATA: ""}
    loaded = torch.export.load(written.path, extra_files=extra).module()
    for clips, frames in ((2, 33), (3, 100)):
        given = program.example(clips, frames, seed=frames)
        with torch.no_grad():
            same(loaded(*given), program(*given))
    assert json.loads(extra[METADATA])["bodies"] == 2


def test_the_last_pose_is_given_or_taken_from_the_frames():
    program = made(2)
    pos, mask = program.example(2, 40)
    mask[...] = True
    given = pos[:, :, -1].clone()
    with torch.no_grad():
        expected = program(pos, mask)
        same(program(pos, mask, given), expected)
        same(program(pos, mask, program.no_pose(1)), expected)
        moved = program(pos, mask, given + 1)
    same(moved[:2], expected[:2])
    assert float((moved[2] - expected[2]).abs().min()) > 0.5


def test_an_absent_body_is_a_masked_one():
    program, alone = made(2), made(1)
    alone.model.load_state_dict(program.model.state_dict())
    pos, mask = program.example(2, 40)
    mask[:, 1] = False
    with torch.no_grad():
        both, one = program(pos, mask), alone(pos[:, :1], mask[:, :1])
    torch.testing.assert_close(both[0], one[0])
    torch.testing.assert_close(both[1][:, 0], one[1][:, 0])
    torch.testing.assert_close(both[2][:, 0], one[2][:, 0])


@pytest.mark.skipif(not exports(), reason="this torch is too old to export models")
def test_a_file_that_differs_is_not_kept(tmp_path, monkeypatch):
    program = ClipProgram(STGCN("hand21", 3, channels=(4,), strides=(1,)))
    monkeypatch.setattr(exporting, "LIMIT", 0.0)
    with pytest.raises(ValueError, match="not written"):
        write_program(program, tmp_path / "model.pt2")
    assert not list(tmp_path.iterdir())


def test_a_torch_that_is_too_old_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(exporting, "exports", lambda: False)
    for write, name in ((write_onnx, "model.onnx"), (write_program, "model.pt2")):
        with pytest.raises(InputError, match="cannot export a model; take a newer torch"):
            write(made(1), tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_wrong_options_are_named():
    model = STGCN("hand21", 3, channels=(4,), strides=(1,))
    with pytest.raises(ValueError, match=r"outputs.*'future'"):
        ClipProgram(model, outputs=["future"])
    with pytest.raises(ValueError, match=r"layout.*'coco17'"):
        ClipProgram(model, layout="coco17")
    with pytest.raises(ValueError, match="bodies"):
        ClipProgram(model, 0)
    two = STGCN(["hand21", "coco17"], 3, channels=(4,), strides=(1,), input_norm="channel")
    with pytest.raises(ValueError, match="hand21, coco17"):
        ClipProgram(two)
    fixed = STGCN("hand21", 3, channels=(4,), strides=(1,), masked=False, fixed_bodies=2)
    with pytest.raises(ValueError, match="bodies must be 2"):
        ClipProgram(fixed, 1)


def test_a_forecaster_takes_clips_of_two_frames():
    assert ClipProgram(forecaster()).least_frames == 2


def test_the_extra_that_is_missing_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(ImportError, match=r"needs onnxscript: pip install 'asgcn_dgl\[export\]'"):
        write_onnx(made(1), tmp_path / "model.onnx")
