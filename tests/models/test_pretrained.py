"""A model as config.json and model.safetensors."""

import json
import subprocess
import sys

import pytest
import torch

from asgcn_dgl.errors import InputError
from asgcn_dgl.models import ASGCN, STGCN
from asgcn_dgl.skeleton import SkeletonLayout

pytest.importorskip("safetensors")
SIZES = {"channels": (8, 8), "strides": (1, 2), "aim_frames": 6, "aim_hidden": 8}
PUPPET = SkeletonLayout.from_bones("puppet", [(0, 1), (1, 2), (1, 3)], center=1)


def outputs(model):
    graph = model.graph_builder.structure(model.layouts[0], [1, 2])
    torch.manual_seed(1)
    with torch.no_grad():
        return model(graph, torch.randn(graph.num_nodes(), 12, 3))


@pytest.mark.parametrize("layouts", ["coco17", PUPPET])
def test_comes_back_equal(tmp_path, layouts):
    model = ASGCN(layouts, 4, future_channels=8, **SIZES).eval()
    model.class_names = ("a", "b", "c", "d")
    model.preparation = {"run": {"clips": {"num_frames": 12}}}
    model.save_pretrained(tmp_path / "model")
    assert sorted(p.name for p in (tmp_path / "model").iterdir()) == [
        "config.json",
        "model.safetensors",
    ]
    again = ASGCN.from_pretrained(tmp_path / "model")
    assert not again.training
    assert again.config == model.config and again.class_names == model.class_names
    assert again.preparation == model.preparation
    for got, expected in zip(outputs(again)[:2], outputs(model)[:2], strict=True):
        assert torch.equal(got, expected)


def test_keeps_its_type_of_numbers_and_model(tmp_path):
    STGCN("hand21", 3, channels=(4,), strides=(1,)).double().save_pretrained(tmp_path)
    model = STGCN.from_pretrained(tmp_path)
    assert type(model) is STGCN
    assert {p.dtype for p in model.parameters()} == {torch.float64}


def test_damaged_files_are_named(tmp_path):
    with pytest.raises(InputError, match=r"config\.json"):
        ASGCN.from_pretrained(tmp_path)
    ASGCN("hand21", 3, future_channels=8, **SIZES).save_pretrained(tmp_path)
    config, weights = tmp_path / "config.json", tmp_path / "model.safetensors"
    held = config.read_text()
    for values in ("[]", "{", json.dumps({**json.loads(held), "asgcn_dgl": 99})):
        config.write_text(values)
        with pytest.raises(InputError, match=r"config\.json"):
            ASGCN.from_pretrained(tmp_path)
    for streams in ([], ["joint", "joint"]):
        other = json.loads(held)
        other["model"]["streams"] = streams
        config.write_text(json.dumps(other))
        with pytest.raises(InputError, match=r"config\.json.*streams must be at least one, each"):
            ASGCN.from_pretrained(tmp_path)
    for damage in ({"num_classes": 0}, {"ghost_prior": 2**63}, {"layouts": {}}):
        other = json.loads(held)
        other["model"].update(damage)
        config.write_text(json.dumps(other))
        with pytest.raises(InputError, match=r"config\.json: not the options of a model"):
            ASGCN.from_pretrained(tmp_path)
    other = json.loads(held)
    other["model"]["num_classes"] = 5
    config.write_text(json.dumps(other))
    with pytest.raises(InputError, match="do not fit"):
        ASGCN.from_pretrained(tmp_path)
    config.write_text(held)
    weights.write_bytes(weights.read_bytes()[:-10])
    with pytest.raises(InputError, match=r"model\.safetensors: damaged"):
        ASGCN.from_pretrained(tmp_path)


def test_loading_needs_no_lightning(tmp_path):
    ASGCN("hand21", 3, future_channels=8, **SIZES).save_pretrained(tmp_path)
    code = (
        "import sys; from asgcn_dgl.models import ASGCN; ASGCN.from_pretrained(sys.argv[1]);"
        "assert not {'pytorch_lightning', 'jsonargparse', 'dgl'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)


def test_another_number_of_names_is_refused(tmp_path):
    model = ASGCN("hand21", 3, future_channels=8, **SIZES)
    model.class_names = ("a", "b")
    model.save_pretrained(tmp_path)
    with pytest.raises(InputError, match=r"config\.json: class_names holds 2 of 3 names"):
        ASGCN.from_pretrained(tmp_path)


def test_the_extra_that_is_missing_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors.torch", None)
    with pytest.raises(ImportError, match=r"asgcn_dgl\[export\]"):
        STGCN("hand21", 3, channels=(4,), strides=(1,)).save_pretrained(tmp_path)
