from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from asgcn_dgl.cli import main
from asgcn_dgl.errors import InputError
from asgcn_dgl.files import write_npz
from asgcn_dgl.training.compare import choose_weights, fuse, list_runs
from asgcn_dgl.training.config import RunConfig
from asgcn_dgl.training.files import RunDir

LABELS = np.array([0, 1, 1, 0])
JOINT = np.array([[0.9, 0.1], [0.8, 0.2], [0.2, 0.8], [0.6, 0.4]])  # 3 of 4
MOTION = np.array([[0.4, 0.6], [0.0, 1.0], [0.3, 0.7], [0.45, 0.55]])  # 2 of 4


def make_run(folder, stream, probabilities, made=None, **changes):
    run = RunDir(folder)
    folder.mkdir(parents=True)
    config = RunConfig()
    config.clips.stream = stream
    config.model.streams = made
    run.write_config(config)
    facts = {
        "names": np.array(["a", "b", "c", "d"]),
        "labels": LABELS,
        "logits": np.log(probabilities + 1e-9),
        "probabilities": probabilities,
        "class_names": np.array(["sit", "stand"]),
    }
    write_npz(run.scores, **{**facts, **changes})
    return folder


@pytest.fixture
def joint(tmp_path):
    return make_run(tmp_path / "runs" / "joint", "joint", JOINT)


@pytest.fixture
def motion(tmp_path):
    return make_run(tmp_path / "runs" / "deep" / "motion", "joint_motion", MOTION)


def test_streams_are_added_up_two_to_one(joint, motion, tmp_path, capsys):
    out = tmp_path / "fused.json"
    assert main(["fuse", str(joint), str(motion), f"--out={out}"]) == 0
    result = json.loads(out.read_text())
    # By hand: 2 x joint + motion gives (2.2, .8), (1.6, 1.4), (.7, 2.3), (1.65, 1.35).
    assert result["top1"] == 75.0 and result["clips"] == 4
    assert [(run["weight"], run["top1"]) for run in result["runs"]] == [(2.0, 75.0), (1.0, 50.0)]
    assert "75.00 %  fused (4 clips" in capsys.readouterr().out
    # 1 to 1 gives (1.3, .7), (.8, 1.2), (.5, 1.5), (1.05, .95).
    assert fuse([joint, motion], [1, 1])["top1"] == 100.0


def test_a_model_of_several_streams_goes_by_all_of_them(joint, motion, tmp_path):
    motions = ["joint_motion", "bone_motion"]
    moving = make_run(tmp_path / "runs" / "moving", "joint", MOTION, motions)
    both = make_run(tmp_path / "runs" / "both", "joint", JOINT, ["joint", "joint_motion"])
    runs = fuse([moving, both, motion])["runs"]
    assert [(run["stream"], run["weight"]) for run in runs] == [
        ("joint_motion + bone_motion", 1.0),
        ("joint + joint_motion", 2.0),
        ("joint_motion", 1.0),
    ]
    shown = {run.name: run.stream for run in list_runs(tmp_path / "runs")}
    assert shown["both"] == "joint + joint_motion" and shown["joint"] == "joint"


def test_weights_are_chosen_on_held_out_clips(joint, motion, capsys):
    held_out = {"names": np.array(["p", "q"]), "labels": np.array([0, 1])}
    classes = {"class_names": np.array(["sit", "stand"])}
    right, wrong = np.array([[0.6, 0.4], [0.4, 0.6]]), np.array([[0.1, 0.9], [0.9, 0.1]])
    for run, scores in ((joint, wrong), (motion, right)):
        write_npz(RunDir(run).validation_scores, probabilities=scores, **held_out, **classes)
    assert main(["fuse", str(joint), str(motion), "--choose-weights"]) == 0
    shown = capsys.readouterr().out
    assert "weights chosen on 2 held-out clips: 100.00 % there" in shown
    result = fuse([joint, motion], choose=True)
    # (.6, .4) needs more than four fifths to outvote (.1, .9); all of it has the least loss.
    assert [run["weight"] for run in result["runs"]] == [0.0, 1.0]
    assert result["top1"] == 50.0 and result["validation_top1"] == 100.0
    low, high = result["intervals"]["top1"]
    assert 0 <= low <= 50 <= high <= 100
    with pytest.raises(InputError, match="exclude each other"):
        fuse([joint, motion], [1, 1], choose=True)
    RunDir(motion).validation_scores.unlink()
    with pytest.raises(InputError, match=r"validation_scores\.npz: not there; weights are chosen"):
        fuse([joint, motion], choose=True)


def test_among_equally_right_weights_the_surest_are_chosen():
    labels = np.array([0, 1])
    one, two = np.array([[0.9, 0.1], [0.45, 0.55]]), np.array([[0.55, 0.45], [0.1, 0.9]])
    weights, top1 = choose_weights([one, two], labels)
    assert (weights, top1) == ([0.5, 0.5], 100.0)
    with pytest.raises(InputError, match="at most 6 runs, got 7"):
        choose_weights([one] * 7, labels)


def test_runs_that_do_not_fit_are_refused(joint, motion, tmp_path):
    with pytest.raises(InputError, match="given a run twice"):
        fuse([joint, f"{joint}/../joint"])
    with pytest.raises(InputError, match="at least two"):
        fuse([joint])
    with pytest.raises(InputError, match="1 weights for 2 runs"):
        fuse([joint, motion], [1.0])
    for bad in ([0, 0], [-1, 2], [float("nan"), 1]):
        with pytest.raises(InputError, match="weights must not be negative"):
            fuse([joint, motion], bad)
    other = make_run(tmp_path / "other", "bone", JOINT, names=np.array(["a", "b", "c", "x"]))
    with pytest.raises(InputError, match="its names are not those of"):
        fuse([joint, other])
    RunDir(other).scores.write_bytes(b"PK nothing")
    with pytest.raises(InputError, match=r"scores\.npz: not a zip archive"):
        fuse([joint, other])
    RunDir(other).scores.unlink()
    with pytest.raises(InputError, match="not evaluated yet"):
        fuse([joint, other])


def test_runs_are_listed_with_their_figures(trained, joint, motion, tmp_path, capsys):
    shutil.copytree(trained, tmp_path / "runs" / "whole")
    assert main(["runs", str(tmp_path / "runs")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["run", "deep/motion", "joint", "whole"]
    whole = list_runs(tmp_path / "runs")[-1]
    metrics = json.loads((trained / "metrics.json").read_text())
    assert whole.test == metrics["top1"] and whole.seconds > 0 and whole.epochs == 2
    assert f"{whole.test:.1f}" in lines[-1]


def test_no_runs(tmp_path, joint, capsys):
    assert main(["runs", str(tmp_path / "nowhere")]) == 2
    assert "no such folder" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no run in it"):
        list_runs(tmp_path / "empty")
    RunDir(joint).metrics.write_text("{")
    with pytest.raises(InputError, match=r"metrics\.json: not valid JSON"):
        list_runs(joint)
