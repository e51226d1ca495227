from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch
import yaml

from asgcn_dgl.cli import main
from asgcn_dgl.data import collate
from asgcn_dgl.metrics import link_use
from asgcn_dgl.training.checkpoint import load_model
from asgcn_dgl.training.clips import clips_to_test, make_dataset, open_run
from asgcn_dgl.training.evaluate import evaluate
from asgcn_dgl.training.report import format_figures


@pytest.fixture
def run(trained, tmp_path):
    """A run of our own to write into."""
    return shutil.copytree(trained, tmp_path / "run")


def test_views_of_a_clip_are_averaged(run):
    result = evaluate(run, num_clips=3)
    assert result["num_clips"] == 3
    scores = np.load(run / "scores.npz")
    restored = load_model(run / "checkpoints" / "best.ckpt")
    clips = clips_to_test(open_run(restored.config), restored.config)
    dataset = make_dataset(clips, restored.config, "whole", future_frames=10, num_clips=3)
    size, sums, views = len(dataset), 0.0, []
    for view in range(3):
        batch = collate(
            [dataset[view, index] for index in range(size)], restored.model.graph_builder
        )
        with torch.no_grad():
            out = restored.model(batch.structure, batch.feat, batch.mask, predict=False)
        views.append(out.logits.softmax(dim=-1).numpy())
        sums = sums + views[-1]
    assert scores["probabilities"] == pytest.approx(sums / 3, abs=1e-5)
    assert not np.allclose(views[0], views[1])  # other frames
    assert [str(name) for name in scores["names"]] == batch.names
    again = evaluate(run, num_clips=3)
    assert (np.load(run / "scores.npz")["probabilities"] == scores["probabilities"]).all()
    assert again["top1"] == result["top1"] and again["prediction"] == result["prediction"]


def test_clips_is_an_option_of_the_command(run, capsys):
    assert main(["evaluate", str(run), "--clips=2"]) == 0
    assert "2 views of each" in capsys.readouterr().out
    assert main(["evaluate", str(run), "--clips=2", "--mirrored"]) == 0
    assert "4 views of each" in capsys.readouterr().out
    assert main(["evaluate", str(run), "--clips=0"]) == 2
    assert "--clips must be at least 1, got 0" in capsys.readouterr().err


def test_views_that_would_all_be_the_same_are_refused(run, capsys):
    path = run / "checkpoints" / "best.ckpt"
    checkpoint = torch.load(path, weights_only=True)
    checkpoint["asgcn_dgl"]["run"]["clips"]["sampling"] = "resize"
    torch.save(checkpoint, path)
    assert main(["evaluate", str(run), "--clips=2"]) == 2
    assert "all views of a clip are the same" in capsys.readouterr().err


def test_metrics_hold_calibration_intervals_and_confusion(trained):
    metrics = json.loads((trained / "metrics.json").read_text())
    confusion = np.array(metrics["confusion"])
    assert confusion.shape == (13, 13) and confusion.sum() == metrics["clips"]
    assert 100 * confusion.trace() / confusion.sum() == pytest.approx(metrics["top1"], abs=1e-3)
    assert 0 <= metrics["calibration_error"] <= 100
    for name in ("top1", "top5", "mean_class"):
        low, high = metrics["intervals"][name]
        assert 0 <= low <= metrics[name] <= high <= 100
    config = yaml.safe_load((trained / "config.yaml").read_text())
    assert config["trainer"]["eval_batch_size"] == 64


def test_metrics_hold_the_use_of_links(run):
    result = evaluate(run)
    restored = load_model(run / "checkpoints" / "best.ckpt")
    clips = clips_to_test(open_run(restored.config), restored.config)
    dataset = make_dataset(clips, restored.config, "whole", future_frames=10)
    chunks = []
    for index in range(len(dataset)):
        batch = collate([dataset[index]], restored.model.graph_builder)
        with torch.no_grad():
            out = restored.model(batch.structure, batch.feat, batch.mask, predict=False)
        chunks.append(out.links.prob[:, 1:])
    expected, use = link_use(chunks), json.loads((run / "metrics.json").read_text())["link_use"]
    assert use["pairs"] == expected["pairs"] and len(use["types"]) == len(expected["types"])
    for ours, theirs in zip(use["types"], expected["types"], strict=True):
        assert ours == pytest.approx(theirs, abs=2e-3)
    (line,) = [line for line in format_figures(result).splitlines() if "A-links: " in line]
    assert line.startswith(f"  A-links: {100 * use['linked']:.1f} % of pairs of joints above 0.5")
    result["link_use"] |= {"saturated": [], "linked": 0.3}
    assert "A-links say little" not in format_figures(result)
    result["link_use"]["linked"] = 0.723
    assert "  A-links say little: all types together link 72 % of" in format_figures(result)
    del result["link_use"]  # as of an older run
    assert "A-links" not in format_figures(result)


def test_the_report_is_a_table(trained):
    metrics = json.loads((trained / "metrics.json").read_text())
    lines = format_figures(metrics).splitlines()
    assert lines[0].startswith("test: 13 clips of synthetic (xsub, joint stream)")
    low, high = metrics["intervals"]["top1"]
    assert lines[2].split() == [
        "top-1",
        f"{metrics['top1']:.2f}",
        f"{low:.1f}",
        "to",
        f"{high:.1f}",
    ]
    titles = [line.strip().split("  ")[0] for line in lines]
    for title in ("top-5", "mean class", "calibration error", "chance", "frame after the last"):
        assert title in titles
    prediction, still = lines[-2].split(), lines[-1].split()
    future = metrics["prediction"]
    assert prediction[-1] == f"{1000 * future['mpjpe']:.1f}"
    assert still[-2] == f"{1000 * future['zero_velocity_per_frame'][-1]:.1f}"
    worst = [line for line in lines if "(1)" in line]
    assert worst and all(line.split()[-1] == "0.0" for line in worst)
