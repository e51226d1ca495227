from __future__ import annotations

import json
import shutil

import pytest

from asgcn_dgl.errors import InputError
from asgcn_dgl.training.files import read_history


def test_reads_what_training_wrote(trained):
    history = read_history(trained)
    assert sorted(history) == ["aim", "joint"]
    assert set(history["aim"]) >= {"train/loss", "train/kl", "val/reconstruction", "lr"}
    joint = history["joint"]
    assert set(joint) >= {"train/loss", "train/top1", "val/loss", "val/top1", "val/mpjpe", "lr"}
    for curve in joint.values():
        assert list(curve) == [1, 2]
    assert 0 <= joint["val/top1"][2] <= 100
    assert joint["lr"][1] > 0


def test_an_epoch_counts_as_it_was_trained_last(tmp_path):
    lines = [
        {"phase": "joint", "epoch": 9, "train/loss": 3.5, "lr": 0.1},
        {"phase": "joint", "epoch": 9, "train/loss": 2.5e-05, "train/top1": 12.5, "lr": 1e-06},
        {"phase": "joint", "epoch": 10, "train/loss": float("nan"), "val/mean_class": 7.0},
    ]
    (tmp_path / "history.jsonl").write_text("".join(f"{json.dumps(each)}\n" for each in lines))
    joint = read_history(tmp_path)["joint"]
    assert joint["train/loss"][9] == 2.5e-05
    assert joint["train/loss"][10] != joint["train/loss"][10]
    assert joint["train/top1"] == {9: 12.5}
    assert joint["val/mean_class"] == {10: 7.0}
    assert joint["lr"] == {9: 1e-06}


def test_a_run_without_the_file_has_its_curves_in_tensorboard(trained, tmp_path):
    """As runs of the version before have it, resumed or not."""
    expected = read_history(trained)
    shutil.copytree(trained / "tensorboard", tmp_path / "tensorboard")
    found = read_history(tmp_path)
    for phase in ("aim", "joint"):
        for name, curve in found[phase].items():
            assert curve == pytest.approx(expected[phase][name], rel=1e-6), name
        assert set(expected[phase]) - set(found[phase]) <= {"seconds"}


def test_no_file_and_a_damaged_one(tmp_path):
    assert read_history(tmp_path) == {}
    file = tmp_path / "history.jsonl"
    for text in ("\xff\xfe", '{"phase": "joint"}', '{"phase": "joint", "epoch": 1, "lr": []}', "3"):
        file.write_text(f'{{"phase": "joint", "epoch": 1}}\n{text}\n', encoding="latin-1")
        with pytest.raises(InputError, match=r"history\.jsonl: line 2"):
            read_history(tmp_path)
