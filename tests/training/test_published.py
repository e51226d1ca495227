"""Imported models in the commands: import, predict, evaluate, fine-tuning."""

import json

import numpy as np
import pytest
import torch
from published import twins

from asgcn_dgl.cli import main
from asgcn_dgl.data import open_data
from asgcn_dgl.skeleton import get_layout
from asgcn_dgl.training.checkpoint import load_model


@pytest.fixture(scope="module")
def weights(tmp_path_factory, clips_root):
    """Files of PYSKL's ST-GCN++ for the synthetic set's classes, and of AS-GCN's two models."""
    folder = tmp_path_factory.mktemp("weights")
    classes = len(open_data(clips_root, "synthetic").class_names)
    layout = get_layout("ntu25_pyskl")
    twin = twins.randomized(twins.Pyskl(layout, classes, multi=True, adaptive="init"))
    torch.save({"state_dict": twin.state_dict(), "meta": {}}, folder / "pyskl.pth")
    for number, each in enumerate(
        (twins.ASGCN(get_layout("ntu25"), classes), twins.Encoder(25, 3, 50, 8, 2)), start=1
    ):
        torch.save(twins.randomized(each).state_dict(), folder / f"model{number}.pt")
    return folder


@pytest.fixture(scope="module")
def imported(weights):
    out = weights / "run"
    command = ["import", str(weights / "pyskl.pth"), "--from=pyskl", "--data=synthetic"]
    assert main([*command, f"--out={out}"]) == 0
    return out


def test_the_run_is_evaluated_and_predicts(imported, clips_root, tmp_path, capsys):
    assert main(["evaluate", str(imported), f"--root={clips_root}"]) == 0
    figures = json.loads((imported / "metrics.json").read_text())
    assert figures["num_clips"] == 10 and figures["clips"] > 0
    file = sorted(clips_root.rglob("*.skeleton"))[0]
    answer = tmp_path / "answer.npz"
    assert main(["predict", str(imported), str(file), f"--out={answer}"]) == 0
    assert np.isfinite(np.load(answer)["probabilities"]).all()


def test_as_gcn_predicts_from_one_file(weights, clips_root, tmp_path):
    out, answer = tmp_path / "as.ckpt", tmp_path / "answer.npz"
    files = [str(weights / f"model{number}.pt") for number in (1, 2)]
    names = tmp_path / "names.txt"
    count = torch.load(files[0], weights_only=True)["fcn.bias"].numel()
    names.write_text("\n".join(f"action {k}" for k in range(count)))
    assert main(["import", *files, "--from=as-gcn", f"--out={out}", f"--classes={names}"]) == 0
    assert load_model(out).class_names[1] == "action 1"
    file = sorted(clips_root.rglob("*.skeleton"))[0]
    assert main(["predict", str(out), str(file), f"--out={answer}"]) == 0
    assert np.load(answer)["future_0"].shape[1:] == (10, 25, 3)


def test_a_pretrained_folder_is_a_model_too(imported, clips_root, tmp_path):
    restored = load_model(imported / "checkpoints" / "best.ckpt")
    restored.model.save_pretrained(tmp_path / "model")
    again = load_model(tmp_path / "model")
    assert again.class_names == restored.class_names
    assert again.config.to_dict() == restored.config.to_dict()
    file = sorted(clips_root.rglob("*.skeleton"))[0]
    for place, name in ((imported, "a.npz"), (tmp_path / "model", "b.npz")):
        assert main(["predict", str(place), str(file), f"--out={tmp_path / name}"]) == 0
    one, two = (np.load(tmp_path / name)["probabilities"] for name in ("a.npz", "b.npz"))
    assert np.array_equal(one, two)
    back = tmp_path / "back.ckpt"
    assert main(["export", str(tmp_path / "model"), "--to=checkpoint", f"--out={back}"]) == 0
    assert main(["predict", str(back), str(file), f"--out={tmp_path / 'c.npz'}"]) == 0
    assert np.array_equal(np.load(tmp_path / "c.npz")["probabilities"], one)
    assert load_model(back).class_names == restored.class_names
    assert load_model(back).scored == restored.scored


def test_mistakes_are_one_line_and_write_nothing(weights, tmp_path, capsys):
    out, file = tmp_path / "out", str(weights / "pyskl.pth")
    for arguments, text in (
        ([file, "--from=st-gcn"], "--from pyskl"),
        ([file, "--from=pyskl", "--layout=none"], "--layout none"),
        ([file, "--from=pyskl", "--data=none"], "--data none"),
        ([file, "--from=pyskl", "--bodies=0"], "--bodies"),
        ([file, "--from=pyskl", f"--classes={tmp_path / 'no.txt'}"], "no.txt"),
        ([str(tmp_path / "no.pth"), "--from=pyskl"], "no.pth"),
    ):
        assert main(["import", *arguments, f"--out={out}"]) == 2
        error = capsys.readouterr().err
        assert text in error and error.count("\n") == 1
        assert not out.exists()


TRAIN = [
    "--data=synthetic",
    "--clips.num_frames=12",
    "--trainer.epochs=1",
    "--trainer.batch_size=12",
    "--trainer.accelerator=cpu",
    "--trainer.progress=off",
    "--clips.validation=none",
    "--optim.lr=1e-6",
]


def test_training_starts_from_an_imported_model(imported, clips_root, tmp_path):
    out = tmp_path / "tuned"
    command = ["train", f"--root={clips_root}", *TRAIN, "--no-evaluate"]
    assert main([*command, f"--init={imported}", f"--out={out}"]) == 0
    before = load_model(imported / "checkpoints" / "best.ckpt").model.state_dict()
    tuned = load_model(out / "checkpoints" / "last.ckpt")
    assert tuned.model.config.temporal == "branches"
    assert tuned.config.clips.layout == "ntu25_pyskl"
    for name, value in tuned.model.named_parameters():
        torch.testing.assert_close(value, before[name], atol=1e-3, rtol=0)
    assert "with its head" in (out / "train.log").read_text()


def test_a_head_of_other_classes_is_new(clips_root, tmp_path):
    twin = twins.randomized(twins.Pyskl(get_layout("ntu25_pyskl"), 60))
    torch.save(twin.state_dict(), tmp_path / "w.pth")
    model, out = tmp_path / "model.ckpt", tmp_path / "tuned"
    arguments = [str(tmp_path / "w.pth"), "--from=pyskl", f"--out={model}"]
    assert main(["import", *arguments]) == 0
    command = ["train", f"--root={clips_root}", *TRAIN, "--no-evaluate"]
    assert main([*command, f"--init={model}", f"--out={out}"]) == 0
    assert "the head is new" in (out / "train.log").read_text()
    tuned = load_model(out / "checkpoints" / "last.ckpt").model
    assert tuned.config.num_classes != 60


def test_training_refuses_a_model_of_other_joints(clips_root, tmp_path, capsys):
    twin = twins.randomized(twins.Pyskl(get_layout("coco17"), 4))
    torch.save(twin.state_dict(), tmp_path / "w.pth")
    model, out = tmp_path / "model.ckpt", tmp_path / "tuned"
    arguments = [str(tmp_path / "w.pth"), "--from=pyskl", f"--out={model}"]
    assert main(["import", *arguments]) == 0
    capsys.readouterr()
    command = ["train", f"--root={clips_root}", *TRAIN]
    assert main([*command, f"--init={model}", f"--out={out}"]) == 2
    assert "coco17" in capsys.readouterr().err and not out.exists()


def test_frozen_parts_stay_and_the_backbone_alone_is_taken(imported, clips_root, tmp_path):
    before = load_model(imported / "checkpoints" / "best.ckpt").model.state_dict()
    command = ["train", f"--root={clips_root}", *TRAIN, "--no-evaluate", f"--init={imported}"]
    command.append("--optim.lr=0.1")
    frozen = tmp_path / "frozen"
    assert main([*command, "--trainer.freeze=[backbone]", f"--out={frozen}"]) == 0
    after = load_model(frozen / "checkpoints" / "last.ckpt").model.state_dict()
    for name, value in after.items():
        moved = name.startswith("recognition.")
        assert torch.equal(value, before[name]) != moved, name
    assert "not trained: backbone" in (frozen / "train.log").read_text()
    backbone = tmp_path / "backbone"
    command[-1] = "--optim.lr=1e-6"
    assert main([*command, "--init-part=backbone", f"--out={backbone}"]) == 0
    after = load_model(backbone / "checkpoints" / "last.ckpt").model.state_dict()
    for name, value in after.items():
        if name.endswith(("weight", "bias", "masks")):
            same = torch.allclose(value, before[name], atol=1e-3, rtol=0)
            assert same != name.startswith("recognition."), name
    assert "the backbone of" in (backbone / "train.log").read_text()
