from __future__ import annotations

import json

import pytest

from asgcn_dgl.errors import InputError
from asgcn_dgl.experiments.demo import demo, demo_seeds
from asgcn_dgl.models import ASGCNConfig
from asgcn_dgl.training.config import (
    AIMConfig,
    ClipsConfig,
    RunConfig,
    TrainerConfig,
    packaged_config,
)


def tiny(**trainer):
    return RunConfig(
        clips=ClipsConfig(num_frames=8, validation="none"),
        model=ASGCNConfig(
            channels=[4],
            strides=[1],
            max_hop=1,
            num_actional=1,
            aim_frames=4,
            aim_hidden=4,
            future_channels=4,
        ),
        aim=AIMConfig(epochs=1, pred_steps=1),
        trainer=TrainerConfig(epochs=1, accelerator="cpu", progress="off", **trainer),
    )


def test_demo_leaves_figures_models_and_a_summary(tmp_path, capsys):
    folder = tmp_path / "demo"
    summary = demo(folder, config=tiny(), clips_per_class=3, subjects=3)
    printed = capsys.readouterr().out
    assert "without A-links" in printed
    assert "chance 7.7 %" in printed
    assert "repeating the last pose" in printed
    assert json.loads((folder / "demo.json").read_text()) == summary
    assert summary["test_clips"] == 13
    assert f"open {(folder / 'report.html').resolve()} in a browser" in printed
    assert (folder / summary["report"]).read_text(encoding="utf-8").startswith("<!doctype html>")
    for figure in ("a_links", "confusion", "prediction"):
        assert (folder / "figures" / f"{figure}.png").read_bytes().startswith(b"\x89PNG")
    assert (folder / "with_a_links" / "metrics.json").exists()
    assert (folder / "without_a_links" / "metrics.json").exists()
    # Once more: nothing is trained again, and the outcome is the same.
    again = demo(folder, config=tiny(), clips_per_class=3, subjects=3)
    assert {**again, "seconds": 0} == {**summary, "seconds": 0}
    with pytest.raises(InputError, match="--seed must be from 0 to"):
        demo(folder, seed=-1)
    with pytest.raises(InputError, match="other options"):
        demo(folder, config=tiny(batch_size=3), clips_per_class=3, subjects=3)


def test_seeds_are_compared_in_a_table(tmp_path, capsys):
    found = demo_seeds(tmp_path, 2, seed=3, config=tiny(), clips_per_class=3, subjects=3)
    assert [row["seed"] for row in found["seeds"]] == [3, 4]
    tops = [row["top1"] for row in found["seeds"]]
    assert found["mean"]["top-1 %"] == pytest.approx(sum(tops) / 2)
    assert json.loads((tmp_path / "seeds.json").read_text()) == found
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[-4:]] == ["3", "4", "mean", "std"]
    assert (tmp_path / "seed3" / "data").is_dir()
    with pytest.raises(InputError, match="--seeds must be at least 1, got 0"):
        demo_seeds(tmp_path, 0, config=tiny())


def test_demo_configuration_trains_both_heads_with_links():
    config = RunConfig.from_dict(packaged_config("demo"))
    assert config.aim.epochs > 0
    assert config.prediction.weight > 0
    assert config.clips.validation == "none"
