"""A store and a run that an earlier commit wrote still open, evaluate, predict and resume.

``kept/9906eea.zip`` holds twelve made-up clips as own data, the store made of them, and a run of
one epoch on it (``--model.preset=small --model.channels=[4] --model.strides=[1] --model.max_hop=1
--model.num_actional=1 --model.aim_hidden=8 --model.future_channels=4 --model.future_frames=3
--trainer.epochs=1 --aim.epochs=1 --clips.num_frames=8 --trainer.batch_size=4 --trainer.seed=1``).
"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from asgcn_dgl.cli import main
from asgcn_dgl.data import Origin, open_data, open_store

KEPT = Path(__file__).parent / "kept" / "9906eea.zip"


@pytest.fixture
def kept(tmp_path, monkeypatch):
    with zipfile.ZipFile(KEPT) as archive:
        archive.extractall(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_store_opens_and_holds_the_clips(kept):
    store, files = open_store(kept / "old.store"), open_data(kept / "own")
    store.verify()
    assert store.origin == Origin("own", {"layout": None, "nan": "error", "min_score": 0.0})
    assert (store.names, store.class_names, store.splits) == (
        files.names,
        files.class_names,
        files.splits,
    )
    for mine, theirs in zip(store, files, strict=True):
        np.testing.assert_array_equal(mine.pos, theirs.pos)
        assert mine.label == theirs.label and mine.meta["fps"] == 25


def test_the_run_evaluates_to_the_same_figures(kept):
    before = json.loads((kept / "old.run" / "metrics.json").read_text())
    scores = dict(np.load(kept / "old.run" / "scores.npz"))
    assert main(["evaluate", "old.run", "--checkpoint=last"]) == 0
    after = json.loads((kept / "old.run" / "metrics.json").read_text())
    for name in ("top1", "clips", "protocol", "dims", "parameters"):
        assert after[name] == before[name]
    again = np.load(kept / "old.run" / "scores.npz")
    assert again["names"].tolist() == scores["names"].tolist()
    np.testing.assert_allclose(again["probabilities"], scores["probabilities"], atol=1e-4)


def test_the_run_predicts_and_resumes(kept):
    command = ["predict", "old.run", "own/s4_0.npz", "--checkpoint=last", "--out=found.json"]
    assert main(command) == 0
    scores = np.load("old.run/scores.npz")
    place = scores["names"].tolist().index("s4_0")
    (found,) = json.loads(Path("found.json").read_text())["clips"]
    np.testing.assert_allclose(found["probabilities"], scores["probabilities"][place], atol=1e-4)
    assert main(["train", "--resume", "--out=old.run", "--trainer.epochs=2"]) == 0
    assert json.loads(Path("old.run/metrics.json").read_text())["epoch"] >= 1
