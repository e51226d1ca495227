"""From raw files to a store, and from a store to a model."""

from __future__ import annotations

import json

import pytest
import torch

from asgcn_dgl.cli import main
from asgcn_dgl.data import open_store


@pytest.fixture(scope="module")
def store(clips_root, tmp_path_factory):
    folder = tmp_path_factory.mktemp("stores") / "store"
    command = ["prepare", "--data=synthetic", f"--root={clips_root}", f"--out={folder}"]
    assert main(command) == 0
    return folder


def test_a_store_trains_the_same_model(store, tiny, trained, weights, tmp_path):
    """The clips and their order are the same, and so is every weight and figure."""
    folder = tmp_path / "run"
    command = [*tiny, f"--root={store}", f"--out={folder}"]
    assert main(command) == 0
    here, there = weights(folder), weights(trained)
    assert here.keys() == there.keys()
    assert all(torch.equal(here[name], there[name]) for name in here)
    figures = [json.loads((run / "metrics.json").read_text()) for run in (folder, trained)]
    assert figures[0]["top1"] == figures[1]["top1"]
    assert main(["evaluate", str(folder)]) == 0


def test_inspect_tells_and_draws(store, tmp_path, capsys):
    told, drawn = tmp_path / "survey.json", tmp_path / "clip.png"
    command = ["inspect", str(store), "--verify", f"--json={told}", "--plot=2", f"--out={drawn}"]
    assert main(command) == 0
    text = capsys.readouterr().out
    assert "all checksums agree" in text and "split xsub" in text
    assert "read as synthetic\n" in text
    assert json.loads(told.read_text())["origin"]["options"]["select"] == "energy"
    assert json.loads(told.read_text())["recordings"] == 39
    assert drawn.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (["prepare", "--data=ntu61", "--root=.", "--out=s"], "unknown format 'ntu61'"),
        (["prepare", "--data=ntu60", "--root=nowhere", "--out=s"], "does not exist"),
        (
            ["prepare", "--data=ntu60", "--root=.", "--out=s", "--options.bodies=2"],
            "has no option 'bodies'; its options are drop",
        ),
        (["prepare", "--data=ntu60", "--root=.", "--out=s", "--workers=-1"], "--workers must be"),
        (["inspect", "nowhere"], "not a store"),
    ],
)
def test_mistakes_give_one_line_and_status_2(command, told, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(command) == 2
    error = capsys.readouterr().err
    assert told in error and error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_recording_is_drawn_by_number_or_name(store, tmp_path, capsys):
    assert main(["inspect", str(store), "--plot=39"]) == 2
    assert "--plot must be from 0 to 38" in capsys.readouterr().err
    assert main(["inspect", str(store), "--plot=nobody"]) == 2
    assert "no recording 'nobody'" in capsys.readouterr().err
    name, drawn = open_store(store).names[3], tmp_path / "clip.png"
    assert main(["inspect", str(store), f"--plot={name}", f"--out={drawn}"]) == 0
    assert drawn.is_file()
