"""The tutorials run, script by script, and do what their pages say."""

from __future__ import annotations

import runpy
import warnings
from pathlib import Path

import pytest
import torch
from strategies import needs_dgl

TUTORIALS = Path(__file__).resolve().parents[1] / "docs" / "tutorials"


@pytest.fixture
def follow(tmp_path, monkeypatch):
    """Run a tutorial in a folder of its own, and give what its names stand for in the end."""
    from asgcn_dgl.skeleton import layouts

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("asgcn_dgl.skeleton.layouts._REGISTRY", dict(layouts._REGISTRY))
    torch.manual_seed(0)

    def run(name, ignored=()):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for message in ignored:  # Lightning's own
                warnings.filterwarnings("ignore", message=message)
            return runpy.run_path(str(TUTORIALS / f"{name}.py"), run_name="__main__")

    return run


def test_from_dense_code(follow, capsys):
    found = follow("from_dense_code")
    printed = capsys.readouterr().out
    assert printed.count("equal") == 3
    # The masks were not left at 1, so that their order was tried too.
    masks = found["layer"].structural.masks["ntu25"]
    assert masks.min() < 0.6 and masks.max() > 1.4


def test_a_links(follow):
    found = follow("a_links")
    # Coordinates change places, which correlation of like coordinates cannot see.
    assert found["auc"]["A-links"] >= 0.85
    assert found["auc"]["A-links"] >= found["auc"]["correlation"] + 0.2
    assert Path("a_links.png").stat().st_size > 5000


@needs_dgl
def test_asgconv_in_a_gnn(follow):
    errors = follow("asgconv_in_a_gnn")["errors"]
    assert set(errors) == {"mean place", "GraphConv", "ASGConv"}
    assert errors["ASGConv"] < 0.85 * errors["mean place"]
    assert errors["ASGConv"] < errors["GraphConv"]


def test_live_poses(follow, capsys):
    found = follow("live_poses")
    printed = capsys.readouterr().out
    # The window at the end of an action holds nearly all of it.
    for action in ("wave", "kick"):
        ends = [each for each in found["parsed"] if found["actions"][each["frame"]] == action]
        assert ends[-1]["class"] == action
    assert len(found["complaints"]) == 1 and "line 8" in printed
    assert abs(found["last"].probabilities - found["same"].probabilities).max() < 1e-5


@pytest.mark.slow
def test_several_people(follow, capsys):
    found = follow("several_people")
    printed = capsys.readouterr().out
    assert "[25, 50] joints, [600, 2450] pairs" in printed
    assert found["correct"] >= 0.7  # chance is 0.25
    towards = found["towards"]
    assert towards.shape == (25, 25) and towards.diagonal().max() > 0  # like joints link too
    assert Path("across.png").stat().st_size > 5000


@pytest.mark.slow
def test_future_poses(follow):
    errors = follow("future_poses")["errors"]
    model, still = errors["model"], errors["zero velocity"]
    assert len(model) == len(still) == 10
    assert model[-1] < 0.6 * still[-1] and model.mean() < 0.7 * still.mean()
    assert Path("future.png").stat().st_size > 5000


@pytest.mark.slow
def test_own_skeleton(follow, capsys):
    pytest.importorskip("pytorch_lightning")
    found = follow("own_skeleton")
    assert "36 recordings" in capsys.readouterr().out
    assert found["metrics"]["top1"] >= 60  # chance is 33
    assert [clip["file"] for clip in found["new"]] == found["files"]
    assert set(found["links"]) == {0, 1, 2}
    assert Path("links.png").stat().st_size > 5000 and Path("dog.png").stat().st_size > 5000


@pytest.mark.slow
def test_plain_loop(follow):
    assert follow("plain_loop")["accuracy"] >= 0.6  # chance is 0.33


@pytest.mark.slow
def test_own_trainer(follow):
    pytest.importorskip("pytorch_lightning")
    found = follow("own_trainer", ignored=(".*LeafSpec.*", ".*does not have many workers.*"))
    assert found["checkpoint"].best_model_score >= 60
    assert found["found"].future.shape == (1, 10, 5, 2)
    (metrics,) = Path("logs").rglob("metrics.csv")
    assert "val/top1" in metrics.read_text()


def test_every_tutorial_has_a_test():
    tested = {name.removeprefix("test_") for name in globals() if name.startswith("test_")}
    names = {path.stem for path in TUTORIALS.glob("*.py")}
    assert names and names <= tested
