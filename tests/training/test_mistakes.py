"""What a user can get wrong gives one line, status 2, and leaves nothing behind."""

from __future__ import annotations

import shutil

import pytest
import torch

from asgcn_dgl.cli import main
from asgcn_dgl.training.checkpoint import RECORD


def one_line(capsys):
    error = capsys.readouterr().err
    assert error.startswith("asgcn-dgl: error: ")
    assert error.count("\n") == 1
    return error


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--model.max_hop=0"], "max_hop"),
        (["--model.channels=[8,8,8]"], "channels"),
        (["--model.ghost_prior=1.5"], "ghost_prior"),
        (["--clips.protocol=xsetup"], "no split 'xsetup'"),
        (["--clips.num_frames=0"], "clips.num_frames must be at least 1, got 0"),
        (["--clips.scale=[2,1]"], "clips.scale must be"),
        (["--optim.schedule=step"], "optim.milestones must be"),
        (["--root=nowhere"], "nowhere: does not exist"),
        (["--data=kinetics9000"], "kinetics9000"),
        (["--model.name=stgcn", "--model.max_hop=3"], "max_hop must be 1 in ST-GCN"),
    ],
)
def test_option(tiny, tmp_path, capsys, options, words):
    folder = tmp_path / "run"
    assert main([*tiny, f"--out={folder}", *options]) == 2
    assert words in one_line(capsys)
    assert not folder.exists()


def test_broken_clip(tiny, clips_root, tmp_path, capsys):
    root = tmp_path / "clips"
    shutil.copytree(clips_root, root)
    bad = sorted(root.glob("*P001*.skeleton"))[0]
    bad.write_text("3\n1\nnonsense\n")
    folder = tmp_path / "run"
    assert main([*tiny, f"--root={root}", f"--out={folder}", "--clips.strict=true"]) == 2
    assert str(bad) in one_line(capsys)
    assert not folder.exists()


def test_label_of_another_set(tiny, clips_root, tmp_path, capsys):
    root = tmp_path / "clips"
    shutil.copytree(clips_root, root)
    clip = sorted(root.glob("*P001*A013.skeleton"))[0]
    bad = clip.rename(clip.with_name(clip.name.replace("A013", "A057")))
    strict = "--clips.strict=true"
    assert main([*tiny, f"--root={root}", f"--out={tmp_path / 'run'}", strict]) == 2
    error = one_line(capsys)
    assert str(bad) in error
    assert "label" in error


def test_empty_folder(tiny, tmp_path, capsys):
    root = tmp_path / "empty"
    root.mkdir()
    assert main([*tiny, f"--root={root}", f"--out={tmp_path / 'run'}"]) == 2
    assert f"{root}: no file" in one_line(capsys)


def test_folder_in_use(tiny, trained, capsys):
    assert main([*tiny, f"--out={trained}"]) == 2
    assert "already there and not empty" in one_line(capsys)


def test_resume_with_another_model(trained, tmp_path, capsys):
    folder = tmp_path / "copy"
    shutil.copytree(trained, folder)
    config = (folder / "config.yaml").read_text()
    assert main(["train", "--resume", f"--out={folder}", "--model.channels=[8,16]"]) == 2
    assert "another shape" in one_line(capsys)
    assert (folder / "config.yaml").read_text() == config


def test_resume_of_nothing(tmp_path, capsys):
    assert main(["train", "--resume", f"--out={tmp_path}"]) == 2
    assert "not the folder of a run" in one_line(capsys)


@pytest.mark.parametrize("command", [["evaluate"], ["predict", "clip.skeleton"]])
def test_not_a_run(tmp_path, capsys, command):
    assert main([command[0], str(tmp_path), *command[1:]]) == 2
    assert str(tmp_path) in one_line(capsys)


def test_a_run_that_is_not_there_names_those_beside_it(tmp_path, capsys):
    (tmp_path / "mice").mkdir()
    assert main(["predict", str(tmp_path / "mise"), "clip.csv"]) == 2
    assert "(it does not exist) (did you mean 'mice'?)" in one_line(capsys)


def test_data_that_is_not_there_names_the_remedy(own_run, capsys):
    checkpoint = torch.load(own_run / "checkpoints" / "best.ckpt", weights_only=True)
    checkpoint[RECORD]["run"]["root"] = "clips"
    torch.save(checkpoint, own_run / "checkpoints" / "best.ckpt")
    assert main(["evaluate", str(own_run)]) == 2
    assert "clips: the data of the run is not there; give its --root, or" in one_line(capsys)


def reshaped(path):
    checkpoint = torch.load(path, weights_only=True)
    checkpoint["state_dict"] = {
        name: tensor[..., :1] if tensor.ndim > 1 else tensor
        for name, tensor in checkpoint["state_dict"].items()
    }
    torch.save(checkpoint, path)


def foreign(path):
    torch.save({"state_dict": {}}, path)


def newer(path):
    checkpoint = torch.load(path, weights_only=True)
    checkpoint[RECORD]["format"] = 99
    torch.save(checkpoint, path)


def truncated(path):
    path.write_bytes(path.read_bytes()[:1000])


def dangerous(path):
    torch.save({"state_dict": print}, path)


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (reshaped, "do not fit"),
        (foreign, "not a checkpoint that asgcn-dgl wrote"),
        (newer, "newer asgcn-dgl"),
        (truncated, "not a whole checkpoint"),
        (dangerous, "not a whole checkpoint"),
        (lambda path: path.unlink(), "no best.ckpt"),
    ],
    ids=["another shape", "foreign", "newer", "truncated", "dangerous", "absent"],
)
def test_checkpoint(trained, tmp_path, capsys, harm, words):
    folder = tmp_path / "copy"
    shutil.copytree(trained, folder)
    (folder / "metrics.json").unlink()
    harm(folder / "checkpoints" / "best.ckpt")
    assert main(["evaluate", str(folder), "--checkpoint=best"]) == 2
    error = one_line(capsys)
    assert words in error
    assert "checkpoints" in error
    assert not (folder / "metrics.json").exists()
