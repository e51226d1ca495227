from __future__ import annotations

import pytest

from asgcn_dgl.errors import InputError
from asgcn_dgl.training.history import read_history


def test_reads_what_training_wrote(trained):
    history = read_history(trained / "train.log")
    assert sorted(history) == ["aim", "joint"]
    assert set(history["aim"]) >= {"train/loss", "train/kl", "val/reconstruction", "lr"}
    joint = history["joint"]
    assert set(joint) >= {"train/loss", "train/top1", "val/loss", "val/top1", "val/mpjpe", "lr"}
    for curve in joint.values():
        assert list(curve) == [1, 2]
    assert 0 <= joint["val/top1"][2] <= 100
    assert joint["lr"][1] > 0


def test_an_epoch_counts_as_it_was_trained_last(tmp_path):
    log = tmp_path / "train.log"
    log.write_text(
        "run x: synthetic\n"
        "joint epoch  9/10  1.0 s (9 clips/s, 1 s to go)  train loss 3.5  lr 0.1\n"
        "resuming x\n"
        "joint epoch  9/10  1.0 s (9 clips/s, 1 s to go)  train loss 2.5e-05 top1 12.50  lr 1e-06\n"
        "joint epoch 10/10  1.0 s (9 clips/s, 0 s to go)  train loss nan  val mean_class 7.00\n"
        "test: 4 clips\n"
    )
    joint = read_history(log)["joint"]
    assert joint["train/loss"][9] == 2.5e-05
    assert joint["train/loss"][10] != joint["train/loss"][10]
    assert joint["train/top1"] == {9: 12.5}
    assert joint["val/mean_class"] == {10: 7.0}
    assert joint["lr"] == {9: 1e-06}


def test_no_log_and_no_text(tmp_path):
    assert read_history(tmp_path / "absent.log") == {}
    bad = tmp_path / "bad.log"
    bad.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match=r"bad.log: not text"):
        read_history(bad)
