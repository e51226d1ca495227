from __future__ import annotations

import json
import re
import statistics

import pytest

from asgcn_dgl.cli import main
from asgcn_dgl.data.synthetic import write_synthetic
from asgcn_dgl.errors import InputError
from asgcn_dgl.experiments import tables
from asgcn_dgl.experiments.grids import TABLE_NAMES, grid, published
from asgcn_dgl.experiments.tables import make_table
from asgcn_dgl.files import write_json
from asgcn_dgl.training import DivergenceError
from asgcn_dgl.training.config import RunConfig
from asgcn_dgl.training.files import RunDir


def names(table, config=None, protocol="xsub"):
    return [cell.name for cell in grid(table, config or RunConfig(), protocol).cells()]


def test_grids_are_the_papers():
    assert names("links") == [
        "s_l1", "as_l1_c3_p0.95", "s_l2", "as_l2_c3_p0.95",
        "s_l3", "as_l3_c3_p0.95", "s_l4", "as_l4_c3_p0.95",
    ]  # fmt: skip
    assert names("types") == [f"as_l4_c{types}_p0.95_predict" for types in (1, 2, 3, 4, 5)]
    assert names("prior")[-1] == "as_l4_c3_p0_predict" and len(names("prior")) == 5
    # Four orders, with and without links, with and without the prediction head.
    assert len(names("prediction")) == 16
    assert set(names("links")) < set(names("prediction"))
    assert names("comparison") == ["stgcn", "as_l4_c3_p0.95_predict"]
    config = RunConfig(data="ntu60")
    assert names("comparison", config) == [
        "stgcn", "stgcn_xview", "as_l4_c3_p0.95_predict", "as_l4_c3_p0.95_predict_xview",
    ]  # fmt: skip
    config.clips.protocol = "xview"
    assert names("comparison", config) == ["stgcn", "as_l4_c3_p0.95_predict"]
    for table in TABLE_NAMES:
        made = grid(table, RunConfig(), "xsub", ["xsub", "xsub_2"])
        width = len(made.head) - 1
        assert all(len(row) * (1 + made.top5) == width for _, row in made.rows)
        assert not made.paper or [len(row) for row in made.paper] == [width] * len(made.rows)
    with pytest.raises(ValueError, match="table must be one of"):
        grid("figures", RunConfig(), "xsub")


def test_folds_are_the_splits_of_one_kind():
    splits = ["five_1", "five_2", "sequence_s01_e01", "sequence_s01_e02", "xsub"]

    def folds(protocol):
        config = RunConfig()
        config.clips.protocol = protocol
        return [cell.name for cell in grid("folds", config, "five_1", splits).cells()]

    assert folds(None) == folds("five_2") == splits[:2]
    assert folds("sequence_s01_e01") == splits[2:4]
    with pytest.raises(ValueError, match=r"needs several splits .*, xsub; choose"):
        folds("xsub")


def test_the_mean_over_folds(trained_jobs, monkeypatch, tmp_path):
    class Parted:
        default_split, splits = "five_1", ("five_1", "five_2", "xsub")

    monkeypatch.setattr(tables, "open_data", lambda *arguments: Parted)
    made = make_table("folds", RunConfig(), tmp_path, seeds=2)
    assert [name for name, *_ in trained_jobs[0]] == ["five_1", "five_2"] * 2
    assert made["top1"] == [84.0, 85.0] and list(made["cells"]) == ["five_1", "five_2"]
    assert "| mean   | 84.5 ± 0.7 |" in (tmp_path / "folds.md").read_text()
    Parted.splits = ("xsub",)
    with pytest.raises(InputError, match="table folds needs several splits"):
        make_table("folds", RunConfig(), tmp_path)


def test_what_a_table_does_not_vary_is_the_configurations():
    config = RunConfig()
    config.model.max_hop, config.model.num_actional, config.model.ghost_prior = 2, 4, 0.5
    assert names("types", config)[0] == "as_l2_c1_p0.5_predict"
    assert names("prior", config)[0] == "as_l2_c4_p0.99_predict"


def test_published_figures_are_the_papers():
    ntu = published("ntu60")
    assert ntu["AS-GCN"] == {"xsub": 86.8, "xview": 94.2}
    assert ntu["ST-GCN"] == {"xsub": 81.5, "xview": 88.3}
    assert published("kinetics")["AS-GCN"] == {"": [34.8, 56.5]}
    assert published("own") == {}


@pytest.fixture
def trained_jobs(monkeypatch):
    """What was trained, with figures made up from the options instead of a training."""
    done = []

    def train(config, folder, *, resume=False, test=True):
        run = RunDir(folder)
        run.write_config(config)
        done.append((folder.parent.name, folder.name, resume, test))
        if len(done) == getattr(train, "killed_at", None):
            raise KeyboardInterrupt
        top1 = 80 + (config.model.max_hop or 0) + config.trainer.seed
        result = {
            "protocol": "xsub", "top1": float(top1), "top5": 99.0, "prediction": None,
            "seconds": {"joint": 60.0},
        }  # fmt: skip
        if config.clips.validation != "none":
            write_json(run.validation, result)
        if test:
            write_json(run.metrics, result)

    class Data:
        default_split, splits = "xsub", ("xsub", "xview")

    monkeypatch.setattr(tables, "train", train)
    monkeypatch.setattr(tables, "open_data", lambda *arguments: Data)
    done_and_train = (done, train)
    return done_and_train


def test_a_killed_grid_goes_on_and_tables_share_runs(trained_jobs, tmp_path, capsys):
    done, train = trained_jobs
    train.killed_at = 4
    with pytest.raises(KeyboardInterrupt):
        make_table("links", RunConfig(), tmp_path, seeds=2)
    assert [name for name, *_ in done] == names("links")[:4]
    half = json.loads((tmp_path / "links.json").read_text())
    assert half["cells"]["s_l2"]["top1"] == [82.0] and half["cells"]["s_l4"]["top1"] == []
    assert "| 4     | –" in (tmp_path / "links.md").read_text()
    train.killed_at = None
    capsys.readouterr()
    made = make_table("links", RunConfig(), tmp_path, seeds=2)
    assert len(done) == 4 + 16 - 3
    assert done[4] == ("as_l2_c3_p0.95", "seed0", True, True)  # the one that was killed goes on
    shown = capsys.readouterr().out
    assert "table links: 16 runs, 3 done; about 13 min to go" in shown
    assert "begun  as_l2_c3_p0.95  seed 0" in shown
    assert made["cells"]["as_l4_c3_p0.95"]["top1"] == [84.0, 85.0]
    assert made["cells"]["as_l4_c3_p0.95"]["deviation"] == pytest.approx(statistics.stdev([0, 1]))
    text = (tmp_path / "links.md").read_text()
    assert "| order | S-links    | A-links    | AS-links   |" in text
    assert "| 1     | 81.5 ± 0.7 | 81.5 ± 0.7 | 81.5 ± 0.7 |" in text
    assert "| 4     | 84.2    |         | 86.1     |" in text  # the paper's
    assert "2 seeds a cell; mean ± standard deviation" in text
    make_table("links", RunConfig(), tmp_path, seeds=2)
    assert len(done) == 17  # nothing was left to do
    make_table("prediction", RunConfig(), tmp_path, seeds=2)
    assert len(done) == 17 + 16


def test_a_dry_run_trains_and_writes_nothing(trained_jobs, tmp_path, capsys):
    made = make_table("types", RunConfig(), tmp_path / "out", dry_run=True)
    assert not trained_jobs[0] and not (tmp_path / "out").exists()
    shown = capsys.readouterr().out
    assert "table types: 15 runs, 0 done; its time is known after the first run" in shown
    assert shown.count("to do") == 15
    assert made["cells"]["as_l4_c1_p0.95_predict"]["mean"] is None


def test_validation_leaves_the_test_clips_alone(trained_jobs, tmp_path):
    make_table("comparison", RunConfig(), tmp_path, seeds=1, split="validation")
    assert {test for *_, test in trained_jobs[0]} == {False}
    config = RunConfig()
    config.clips.validation = "none"
    with pytest.raises(InputError, match="--split validation needs held-out clips"):
        make_table("comparison", config, tmp_path, split="validation")


def test_runs_of_other_options_are_refused(trained_jobs, tmp_path):
    make_table("comparison", RunConfig(), tmp_path, seeds=1)
    config = RunConfig(root="moved")
    config.trainer.threads, config.clips.workers = 2, 3  # where it is done, not what
    make_table("comparison", config, tmp_path, seeds=1)
    assert len(trained_jobs[0]) == 2
    config.optim.lr = 0.2
    with pytest.raises(InputError, match=r"seed0: holds a run whose optim\.lr differ"):
        make_table("comparison", config, tmp_path, seeds=1)
    RunDir(tmp_path / "stgcn" / "seed0").metrics.write_text("{")
    with pytest.raises(InputError, match=r"metrics\.json: not valid JSON"):
        make_table("comparison", RunConfig(), tmp_path, seeds=1)
    RunDir(tmp_path / "stgcn" / "seed0").metrics.write_text("{}")
    with pytest.raises(InputError, match=r"metrics\.json: holds no accuracy"):
        make_table("comparison", RunConfig(), tmp_path, seeds=1)
    with pytest.raises(InputError, match="--seeds must be from 1"):
        make_table("comparison", RunConfig(), tmp_path, seeds=0)
    with pytest.raises(InputError, match="--at-once must be from 1"):
        make_table("comparison", RunConfig(), tmp_path, at_once=0)


def test_published_figures_stand_beside_ours(trained_jobs, tmp_path):
    make_table("comparison", RunConfig(data="ntu60"), tmp_path, seeds=1)
    text = (tmp_path / "comparison.md").read_text()
    rows = {row[1]: row[2:-1] for row in (re.split(r" *\| *", line) for line in text.split("\n"))
            if len(row) > 2}  # fmt: skip
    assert rows["method"] == ["top-1 xsub", "top-5 xsub", "top-1 xview", "top-5 xview"]
    assert rows["AS-GCN"] == ["86.8", "", "94.2", ""]
    assert rows["ST-GCN, ours"] == ["81.0", "99.0"] * 2
    forecaster = RunConfig()
    forecaster.model.name = "forecaster"
    with pytest.raises(InputError, match="tables are of models that recognize"):
        make_table("comparison", forecaster, tmp_path)


def test_a_run_that_diverges_is_named_and_left_out_of_a_table_that_goes_on(
    monkeypatch, trained_jobs, tmp_path, capsys
):
    well = tables.train

    def diverging(config, folder, **others):
        if config.model.name == "asgcn":
            return well(config, folder, **others)
        run = RunDir(folder)
        run.write_config(config)
        run.log.write_text("run\ndiverged: the loss became nan\n")
        raise DivergenceError("the loss became nan")

    monkeypatch.setattr(tables, "train", diverging)
    message = r"1 of 2 runs diverged \(.*stgcn/seed0\)"
    with pytest.raises(DivergenceError, match=message):
        make_table("comparison", RunConfig(), tmp_path, seeds=1)
    found = json.loads((tmp_path / "comparison.json").read_text())
    assert [len(cell["top1"]) for cell in found["cells"].values()] == [0, 1]
    monkeypatch.setattr(tables, "train", lambda *_, **__: pytest.fail("nothing is left to do"))
    capsys.readouterr()
    with pytest.raises(DivergenceError, match=message):
        make_table("comparison", RunConfig(), tmp_path, seeds=1)
    assert "1 done; nothing is left to do" in capsys.readouterr().out


def test_comparison_on_a_tiny_set(tmp_path, capsys):
    """The real thing, from the command to the table."""
    write_synthetic(tmp_path / "clips", clips_per_class=3, subjects=3)
    options = [
        f"--root={tmp_path / 'clips'}", "--clips.num_frames=12", "--clips.validation=none",
        "--model.channels=[8,8]", "--model.strides=[1,2]", "--model.max_hop=1",
        "--model.aim_frames=8", "--model.aim_hidden=8", "--model.future_channels=8",
        "--aim.epochs=1", "--trainer.epochs=1", "--trainer.accelerator=cpu",
    ]  # fmt: skip
    command = ["tables", "comparison", "--data=synthetic", *options, f"--out={tmp_path}"]
    assert main([*command, "--seeds=1", "--trainer.threads=1"]) == 0
    made = json.loads((tmp_path / "comparison.json").read_text())
    for name in ("stgcn", "as_l1_c3_p0.95_predict"):
        metrics = json.loads((tmp_path / name / "seed0" / "metrics.json").read_text())
        assert made["cells"][name]["top1"] == [metrics["top1"]]
    assert "| AS-GCN, ours |" in capsys.readouterr().out
    config = RunDir(tmp_path / "stgcn" / "seed0").read_config()
    assert (config.model.name, config.model.num_actional) == ("stgcn", 0)
    beside = ["tables", "comparison", "--data=synthetic", *options, f"--out={tmp_path / 'two'}"]
    assert main([*beside, "--seeds=1", "--at-once=2", "--trainer.threads=1"]) == 0
    again = json.loads((tmp_path / "two" / "comparison.json").read_text())
    for name, cell in made["cells"].items():  # to the last bit what they are one after the other
        assert again["cells"][name]["top1"] == cell["top1"]
        assert again["cells"][name]["mpjpe"] == cell["mpjpe"]
    shown = capsys.readouterr().out
    assert "done 2/2:" in shown and "joint epoch" not in shown
    assert "joint epoch" in (tmp_path / "two" / "stgcn" / "seed0" / "train.log").read_text()


def test_what_the_clips_decided_is_no_other_run():
    """The unit and the preparation that training found are in the run's configuration."""
    asked = RunConfig(root="r")
    asked.clips.views = "auto"
    kept = RunConfig(root="r")
    kept.clips.views, kept.clips.unit, kept.clips.flip = "given", 82.0, 0.5
    assert tables.differing_options(kept, asked) == []
    planar, plain = RunConfig(), RunConfig()
    planar.clips.align = "center"  # what clips in the plane make of the default
    assert tables.differing_options(planar, plain) == []
    assert tables.differing_options(plain, planar) == ["clips.align"]
    asked.clips.unit, asked.clips.num_frames = 1.0, 5
    assert tables.differing_options(kept, asked) == ["clips.num_frames", "clips.unit"]
    asked.clips.views = "given"
    assert set(tables.differing_options(kept, asked)) >= {"clips.flip"}
