from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import yaml

from asgcn_dgl.cli import main
from asgcn_dgl.errors import InputError
from asgcn_dgl.training import DivergenceError, callbacks, run
from asgcn_dgl.training.callbacks import SaveCheckpoints
from asgcn_dgl.training.checkpoint import RECORD, load_checkpoint, load_model
from asgcn_dgl.training.compare import list_runs
from asgcn_dgl.training.modules import JointTraining, Phase
from asgcn_dgl.training.report import to_go


def same(one, other):
    assert one.keys() == other.keys()
    return [name for name, tensor in one.items() if not torch.equal(tensor, other[name])]


def test_run_folder_holds_what_it_should(trained):
    found = {str(path.relative_to(trained)) for path in trained.rglob("*") if path.is_file()}
    events = {name for name in found if "tfevents" in name}
    assert {name.split("/")[1] for name in events} == {"aim", "joint"}
    assert found - events == {
        "config.yaml",
        "train.log",
        "history.jsonl",
        "validation.json",
        "metrics.json",
        "scores.npz",
        "validation_scores.npz",
        "checkpoints/aim.ckpt",
        "checkpoints/best.ckpt",
        "checkpoints/last.ckpt",
        "tensorboard/aim/hparams.yaml",
        "tensorboard/joint/hparams.yaml",
        "csv/aim/version_0/metrics.csv",
        "csv/joint/version_0/metrics.csv",
    }


def test_metrics_name_all_that_a_reader_needs(trained):
    metrics = json.loads((trained / "metrics.json").read_text())
    assert metrics["dataset"] == "synthetic"
    assert metrics["protocol"] == "xsub"
    assert metrics["stream"] == "joint"
    assert metrics["split"] == "test"
    assert metrics["clips"] == 13
    assert 0 <= metrics["top1"] <= metrics["top5"] <= 100
    assert len(metrics["per_class"]) == 13
    assert metrics["mean_class"] == pytest.approx(
        np.mean([share for share in metrics["per_class"].values() if share is not None])
    )
    assert metrics["losses"]["recognition"] > 0
    assert metrics["losses"]["prediction"] > 0
    assert metrics["prediction"]["mpjpe"] > 0
    assert metrics["prediction"]["zero_velocity"] > 0
    assert len(metrics["prediction"]["mpjpe_per_frame"]) == 10
    assert set(metrics["seconds"]) == {"warm_up", "joint", "evaluation"}
    assert {"torch", "dgl", "numpy", "python"} <= set(metrics["versions"])
    assert metrics["seed"] == 0
    validation = json.loads((trained / "validation.json").read_text())
    assert validation["split"] == "validation"
    assert validation["clips"] == 13
    assert set(metrics) == set(validation)


def test_scores_give_the_metrics(trained):
    metrics = json.loads((trained / "metrics.json").read_text())
    scores = np.load(trained / "scores.npz")
    assert all("P003" in name for name in scores["names"])
    assert scores["probabilities"].sum(axis=1) == pytest.approx(1, abs=1e-5)
    right = scores["logits"].argmax(axis=1) == scores["labels"]
    assert 100 * right.mean() == pytest.approx(metrics["top1"], abs=1e-3)


def test_time_that_is_left_is_told_with_seconds_below_ten_minutes():
    assert [to_go(seconds) for seconds in (45, 130, 119.6, 720)] == [
        *("45 s", "2 min 10 s", "2 min 0 s", "12 min")
    ]


def test_log_names_the_subjects_that_are_held_out(trained):
    assert re.search(r"held out \(subject [12]\); ", (trained / "train.log").read_text())


def test_log_has_a_line_for_each_epoch(trained):
    lines = (trained / "train.log").read_text().splitlines()
    lines = [line for line in lines if not line.startswith("options: ")]
    assert [line.split("  ")[0] for line in lines[1:4]] == [
        "aim epoch 1/1",
        "joint epoch 1/2",
        "joint epoch 2/2",
    ]
    assert " val loss " in lines[2]
    assert " top1 " in lines[2]
    assert lines[4].startswith("validation: 13 clips")


def test_checkpoint_is_enough_by_itself(trained):
    checkpoint = load_checkpoint(trained / "checkpoints" / "best.ckpt")
    record = checkpoint[RECORD]
    assert record["model_config"]["layouts"][0]["name"] == "ntu25"
    assert record["class_names"][0] == "drink"
    assert record["run"]["clips"]["num_frames"] == 12
    # Nothing in it says where it lies, so that a run can be moved.
    assert str(trained) not in repr({**checkpoint, "state_dict": None, RECORD: None})
    restored = load_model(trained / "checkpoints" / "best.ckpt")
    assert not restored.model.training


def test_config_is_what_was_asked_for(trained, clips_root):
    config = yaml.safe_load((trained / "config.yaml").read_text())
    assert config["root"] == str(clips_root)
    assert config["trainer"]["epochs"] == 2
    assert config["model"]["channels"] == [8, 8]
    assert config["clips"]["align"] == "view"  # from the set's own configuration


def test_evaluation_is_the_same_each_time(trained, own_run, capsys):
    before = json.loads((trained / "metrics.json").read_text())
    scores = np.load(trained / "scores.npz")["logits"]
    assert main(["evaluate", str(own_run)]) == 0
    after = json.loads((own_run / "metrics.json").read_text())
    before.pop("seconds")
    after.pop("seconds")
    assert after == before
    assert (np.load(own_run / "scores.npz")["logits"] == scores).all()
    assert "top-1" in capsys.readouterr().out


def test_same_seed_same_weights_other_seed_others(tiny, trained, tmp_path, weights):
    assert main([*tiny, f"--out={tmp_path / 'again'}", "--no-evaluate"]) == 0
    assert not (tmp_path / "again" / "metrics.json").exists()
    assert not same(weights(tmp_path / "again"), weights(trained))
    other = [*tiny, f"--out={tmp_path / 'other'}", "--no-evaluate", "--trainer.seed=1"]
    assert main([*other, "--trainer.epochs=1"]) == 0
    assert same(weights(tmp_path / "other"), weights(trained))


class KilledError(Exception):
    pass


def test_resumed_run_equals_an_uninterrupted_one(tiny, tmp_path, weights, monkeypatch):
    options = [*tiny, "--no-evaluate", "--aim.epochs=2", "--trainer.epochs=3", "--optim.ema=0.9"]
    assert main([*options, f"--out={tmp_path / 'whole'}"]) == 0
    save = SaveCheckpoints.on_train_epoch_end
    epochs = []

    def killed_after(self, trainer, module):
        save(self, trainer, module)
        epochs.append(module.label)
        if len(epochs) in (1, 3):
            raise KilledError

    monkeypatch.setattr(SaveCheckpoints, "on_train_epoch_end", killed_after)
    with pytest.raises(KilledError):
        main([*options, f"--out={tmp_path / 'parts'}"])
    resume = ["train", "--resume", f"--out={tmp_path / 'parts'}", "--no-evaluate"]
    with pytest.raises(KilledError):
        main(resume)
    assert main(resume) == 0
    assert epochs == ["AIM warm-up"] * 2 + ["joint training"] * 3
    for name in ("aim", "best", "last"):
        parts, whole = (weights(tmp_path / run, name) for run in ("parts", "whole"))
        assert not same(parts, whole), name
    # All done: to resume once more trains nothing, and says the same.
    assert main(resume) == 0
    assert len(epochs) == 5


@pytest.mark.parametrize("seed", [0, 1])
def test_run_stopped_at_random_steps_equals_an_uninterrupted_one(
    tiny, tmp_path, weights, monkeypatch, seed
):
    """In the middle of epochs of both phases, with momentum, averages and a schedule under way."""
    options = [
        *tiny,
        "--no-evaluate",
        "--aim.epochs=2",
        "--optim.ema=0.9",
        "--trainer.batch_size=6",
    ]
    options += ["--aim.joint_optimizer=adam", "--aim.loss_weight=0.001"]
    assert main([*options, f"--out={tmp_path / 'whole'}"]) == 0
    rng, step, stops = np.random.default_rng(seed), Phase.need_finite, []

    def countdown():
        return int(rng.integers(4, 9))  # an epoch has three steps: at least one epoch is done

    left = [countdown()]

    def stopping(self, loss, what):
        if what != "loss":
            return step(self, loss, what)
        left[0] -= 1
        if not left[0]:
            left[0] = countdown()
            stops.append((self.label, self.current_epoch, self.trainer.fit_loop.batch_idx))
            raise KilledError
        return step(self, loss, what)

    monkeypatch.setattr(Phase, "need_finite", stopping)
    command = [*options, f"--out={tmp_path / 'parts'}"]
    while True:
        try:
            assert main(command) == 0
            break
        except KilledError:
            command = ["train", "--resume", f"--out={tmp_path / 'parts'}", "--no-evaluate"]
    assert stops, "never stopped"
    assert any(batch for _, _, batch in stops), "never in the middle of an epoch"
    for name in ("aim", "best", "last"):
        parts, whole = (weights(tmp_path / run, name) for run in ("parts", "whole"))
        assert not same(parts, whole), (name, stops)


KILLER = """
import os, signal, sys
from asgcn_dgl.cli import main
from asgcn_dgl.training.modules import Phase
left, step = int(sys.argv[1]), Phase.need_finite
def killing(self, loss, what):
    global left
    left -= what == "loss"
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)
    return step(self, loss, what)
Phase.need_finite = killing
sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.slow
def test_run_killed_at_random_steps_equals_an_uninterrupted_one(tiny, trained, tmp_path, weights):
    rng = np.random.default_rng(5)
    folder, killed = tmp_path / "killed", []
    command = [*tiny, f"--out={folder}"]
    while True:
        # An epoch has two steps: every sitting gets an epoch further.
        killed.append(int(rng.integers(3, 6)))
        run = [sys.executable, "-c", KILLER, str(killed[-1]), *command, "--no-evaluate"]
        done = subprocess.run(run, stdout=subprocess.DEVNULL, check=False)
        if done.returncode == 0:
            break  # fewer steps were left
        assert done.returncode == -signal.SIGKILL, killed
        if (folder / "config.yaml").exists():
            command = ["train", "--resume", f"--out={folder}"]
    assert len(killed) > 1
    for name in ("aim", "best", "last"):
        assert not same(weights(folder, name), weights(trained, name)), killed


@pytest.mark.slow
def test_run_that_was_killed_resumes(tiny, trained, tmp_path, weights):
    folder = tmp_path / "killed"
    command = [sys.executable, "-m", "asgcn_dgl.cli", *tiny, f"--out={folder}", "--no-evaluate"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        while not (folder / "checkpoints" / "last.ckpt").exists() and process.poll() is None:
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
    assert main(["train", "--resume", f"--out={folder}", "--no-evaluate"]) == 0
    assert not same(weights(folder), weights(trained))
    leftovers = [name for name in os.listdir(folder / "checkpoints") if name.startswith(".")]
    assert len(leftovers) <= 1  # what was being written when the run was killed


def test_a_run_with_workers_resumes_with_the_clips_of_its_epoch(tiny, tmp_path, weights):
    def stop(self, trainer, module):
        end(self, trainer, module)
        if trainer.current_epoch == 0 and self.last == "last":
            raise KeyboardInterrupt

    end, whole, folder = SaveCheckpoints.on_train_epoch_end, tmp_path / "whole", tmp_path / "run"
    command = [*tiny, "--aim.epochs=0", "--clips.workers=1", "--no-evaluate"]
    assert main([*command, f"--out={whole}"]) == 0
    before = signal.getsignal(signal.SIGINT)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SaveCheckpoints, "on_train_epoch_end", stop)
        assert main([*command, f"--out={folder}"]) == 130
    signal.signal(signal.SIGINT, before)  # Lightning turns Ctrl-C off
    assert main(["train", "--resume", f"--out={folder}", "--no-evaluate"]) == 0
    assert not same(weights(folder), weights(whole))


def test_a_gradient_that_is_not_finite_stops_before_the_weights_are_spoilt(trained):
    restored = load_model(trained / "checkpoints" / "last.ckpt")
    module = JointTraining(restored.model.train())
    module.trainer = SimpleNamespace(current_epoch=4, global_step=70, precision="32-true")
    weight = restored.model.recognition.linear.weight
    weight.grad = torch.full_like(weight, torch.nan)
    with pytest.raises(DivergenceError, match=r"the gradient became nan in epoch 5, step 71\. Try"):
        module.configure_gradient_clipping(None)


def test_divergence_stops_and_keeps_the_last_checkpoint(tiny, tmp_path, capsys, weights):
    folder = tmp_path / "run"
    options = [*tiny, "--aim.epochs=0", "--optim.warmup_epochs=0", "--no-evaluate"]
    assert main([*options, "--trainer.epochs=1", f"--out={folder}"]) == 0
    resume = ["train", "--resume", f"--out={folder}", "--no-evaluate", "--trainer.epochs=2"]
    kept = weights(folder)
    # The prediction error of a weight beyond all measure overflows.
    assert main([*resume, "--prediction.weight=1e39"]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "joint training: the loss became inf" in error
    assert "epoch 2" in error
    assert f"last.ckpt is from before: 'asgcn-dgl train --resume --out {folder}'" in error
    assert not same(weights(folder), kept)
    assert (folder / "train.log").read_text().splitlines()[-1].startswith("diverged: joint")
    assert [run.state for run in list_runs(tmp_path)] == ["diverged"]
    assert main([*resume, "--prediction.weight=1"]) == 0
    assert [run.state for run in list_runs(tmp_path)] == ["done"]


def test_a_run_that_diverges_before_any_checkpoint_says_so(tiny, tmp_path, capsys):
    folder = tmp_path / "run"
    options = ["--aim.epochs=0", "--prediction.weight=1e39", "--no-evaluate", f"--out={folder}"]
    assert main([*tiny, *options]) == 1
    assert "No checkpoint is written yet: train again" in capsys.readouterr().err


@pytest.mark.parametrize("held_out", ["subject", "none"])
def test_weights_spoilt_by_the_last_step_of_an_epoch_are_not_saved(
    tiny, tmp_path, capsys, weights, held_out
):
    folder = tmp_path / "run"
    options = [*tiny, "--aim.epochs=0", "--optim.warmup_epochs=0", "--no-evaluate"]
    options += ["--optim.schedule=constant", "--trainer.batch_size=64"]  # a step an epoch
    options += [f"--clips.validation={held_out}"]
    assert main([*options, "--trainer.epochs=1", f"--out={folder}"]) == 0
    kept = weights(folder)
    resume = ["train", "--resume", f"--out={folder}", "--no-evaluate", "--trainer.epochs=2"]
    assert main([*resume, "--optim.lr=1e25"]) == 1
    assert "epoch 2" in capsys.readouterr().err
    assert not same(weights(folder), kept)


def test_a_resumed_run_takes_the_options_that_it_is_given(tiny, tmp_path, capsys):
    folder = tmp_path / "run"
    options = ["--trainer.epochs=1", "--aim.joint_optimizer=adam", f"--out={folder}"]
    assert main([*tiny, *options, "--no-evaluate"]) == 0
    resume = ["train", "--resume", f"--out={folder}", "--no-evaluate", "--trainer.epochs=2"]
    new = ["--optim.lr=0.002", "--optim.schedule=constant", "--optim.momentum=0.7"]
    new += ["--optim.warmup_epochs=0", "--optim.weight_decay=0.25", "--aim.joint_lr=0.003"]
    assert main([*resume, *new]) == 0
    line = (folder / "train.log").read_text().split("joint epoch 2/2")[1]
    assert "  lr 0.002  lr_aim 0.003" in line.splitlines()[0]
    state = load_checkpoint(folder / "checkpoints" / "last.ckpt")["optimizer_states"][0]
    groups = [group for part in state["parts"] for group in part["param_groups"]]
    assert {group["lr"] for group in groups} == {0.002, 0.003}
    assert {group["momentum"] for group in groups if "momentum" in group} == {0.7}
    assert {group["weight_decay"] for group in groups} == {0.0, 0.25}
    capsys.readouterr()
    for option in ("trainer.seed=5", "aim.joint_optimizer=sgd", "clips.stream=bone"):
        assert main([*resume, f"--{option}"]) == 2
        assert f"{option.split('=')[0]}: {folder} was trained with" in capsys.readouterr().err


def test_scores_that_are_not_finite_are_refused(tiny, tmp_path, capsys):
    folder = tmp_path / "run"
    assert main([*tiny, "--trainer.epochs=1", "--no-evaluate", f"--out={folder}"]) == 0
    file = folder / "checkpoints" / "last.ckpt"
    checkpoint = torch.load(file, weights_only=True)
    for tensor in checkpoint["state_dict"].values():
        if tensor.is_floating_point():
            tensor.fill_(torch.nan)
    torch.save(checkpoint, file)
    capsys.readouterr()
    assert main(["evaluate", str(folder), "--checkpoint=last"]) == 2
    assert "not finite" in capsys.readouterr().err


def test_a_model_is_used_where_it_could_not_have_been_trained(tiny, tmp_path):
    folder = tmp_path / "run"
    assert main([*tiny, "--trainer.epochs=1", "--no-evaluate", f"--out={folder}"]) == 0
    for file in (folder / "checkpoints").glob("*.ckpt"):
        checkpoint = torch.load(file, weights_only=True)
        trainer = checkpoint[RECORD]["run"]["trainer"]
        trainer.update(accelerator="gpu", devices=8, batch_size=4)
        torch.save(checkpoint, file)
    assert main(["evaluate", str(folder)]) == 0


@pytest.mark.parametrize(
    "options",
    [
        ["--model.name=stgcn", "--model.num_actional=0"],
        ["--model.num_actional=0", "--model.future_frames=0", "--clips.stream=bone_motion"],
        ["--model.link_mode=frozen", "--clips.validation=none", "--trainer.precision=bf16-mixed"],
        [
            "--model.temporal=branches",
            "--model.kernel_size=3",
            "--model.attention=both",
            "--model.structural_offsets=true",
            "--model.streams=[joint,bone]",
            "--model.stream_fusion=late",
            "--trainer.accumulate=3",
            "--optim.base_batch=6",
            "--aim.loss_weight=0.001",
            "--aim.joint_optimizer=adam",
            "--optim.ema=0.5",
        ],
        [
            "--clips.cache=false",
            "--clips.align=view_clip",
            "--clips.box=true",
            "--clips.sampling=random",
            "--trainer.precision=auto",
            "--optim.average_last=1",
            "--clips.workers=1",
            "--optim.label_smoothing=0.1",
            "--optim.grad_clip=1",
        ],
    ],
    ids=["baseline", "no prediction", "frozen links", "all options", "files read when needed"],
)
def test_variants_train(tiny, tmp_path, options):
    folder = tmp_path / "run"
    tiny = [option for option in tiny if "max_hop" not in option and "num_actional" not in option]
    extra = ["--model.max_hop=1", "--trainer.epochs=1", f"--out={folder}"]
    assert main([*tiny, *extra, *options]) == 0
    metrics = json.loads((folder / "metrics.json").read_text())
    held_out = "--clips.validation=none" not in options
    assert metrics["checkpoint"] == ("best" if held_out else "last")
    predicts = "--model.future_frames=0" not in options and "--model.name=stgcn" not in options
    assert (metrics["prediction"] is not None) == predicts


def test_progress_bar_shows_losses_accuracy_and_pace(tiny, tmp_path, monkeypatch, capsys):
    folder = tmp_path / "run"
    monkeypatch.setattr(callbacks, "PACE_AFTER", 0.0)
    options = ["--trainer.epochs=1", "--trainer.progress=on", "--no-evaluate", f"--out={folder}"]
    assert main([*tiny, *options]) == 0
    shown = capsys.readouterr().out
    for name in ("reconstruction=", "recognition=", "prediction=", "top1="):
        assert name in shown
    assert "v_num" not in shown
    assert "joint epoch 1/1" in shown
    pace = r"joint epoch 1: 1 of \d+ batches, \S+ clips/s, \d+ s to go"
    assert re.search(pace, (folder / "train.log").read_text())


def test_frozen_links_stay_as_the_warm_up_left_them(tiny, tmp_path, weights):
    folder = tmp_path / "run"
    options = ["--model.link_mode=frozen", "--trainer.epochs=1", "--no-evaluate", f"--out={folder}"]
    assert main([*tiny, *options]) == 0
    before, after = weights(folder, "aim"), weights(folder, "last")
    changed = same(before, after)
    assert changed
    assert not [name for name in changed if name.startswith("model.aim.")]


def test_warm_up_changes_the_inference_module_alone(trained, weights, tiny, tmp_path):
    folder = tmp_path / "run"
    options = ["--aim.epochs=0", "--optim.lr=1e-30", "--trainer.epochs=1", "--no-evaluate"]
    assert main([*tiny, *options, f"--out={folder}"]) == 0
    start, warm = weights(folder), weights(trained, "aim")
    moved = [
        name
        for name in same(start, warm)
        if "running_" not in name
        and "num_batches" not in name
        and not torch.allclose(start[name], warm[name])  # biases of 0 took a step of 1e-31
    ]
    assert moved
    assert all(name.startswith("model.aim.") for name in moved)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_refused_before_anything_is_written(tmp_path, capsys):
    options = ["--data", "synthetic", "--root", str(tmp_path), "--out", str(tmp_path / "run")]
    assert main(["train", *options, "--trainer.accelerator", "gpu"]) == 2
    assert "torch sees no GPU here" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_pieces_of_a_step_give_its_gradient(tiny, tmp_path, weights):
    """Without norms a step in pieces is the step; so the weights are nearly the same."""
    options = ["--aim.epochs=0", "--trainer.epochs=1", "--no-evaluate", "--model.dropout=0"]
    options += ["--model.link_mode=frozen", "--optim.ema=0.5", "--trainer.precision=64-true"]
    options += ["--prediction.weight=0", "--optim.lr=0.001"]
    found = []
    for pieces in (1, 4):
        folder = tmp_path / str(pieces)
        command = [*tiny, *options, f"--trainer.accumulate={pieces}", f"--out={folder}"]
        assert main(command) == 0
        found.append(weights(folder))
    name = "model.recognition.linear.bias"  # its gradient depends least on the norms
    torch.testing.assert_close(found[1][name], found[0][name], rtol=0.1, atol=1e-5)
    # The average moves once a step, not once a piece.
    moved = [each["average.n_averaged"].item() for each in found]
    assert moved == [2, 2]


def test_early_stop_ends_a_run_that_no_longer_improves(tiny, tmp_path, capsys, weights):
    folder = tmp_path / "run"
    options = [
        "--trainer.early_stop=2",
        "--trainer.epochs=30",
        "--optim.lr=1e-12",
        f"--out={folder}",
    ]
    assert main([*tiny, "--aim.epochs=0", "--no-evaluate", *options]) == 0
    checkpoint = load_checkpoint(folder / "checkpoints" / "last.ckpt")
    assert checkpoint["epoch"] + 1 < 30
    log = (folder / "train.log").read_text()
    assert "stopped early" in log
    # To resume it trains no further.
    assert main(["train", "--resume", f"--out={folder}", "--no-evaluate"]) == 0
    assert load_checkpoint(folder / "checkpoints" / "last.ckpt")["epoch"] == checkpoint["epoch"]


def test_csv_files_have_losses_of_each_head(trained):
    for phase, name in (("aim", "train/loss"), ("joint", "train/recognition")):
        text = (trained / "csv" / phase / "version_0" / "metrics.csv").read_text()
        rows = list(csv.DictReader(text.splitlines()))
        assert all(np.isfinite(float(row[name])) for row in rows if row[name])
        assert any(row[name] for row in rows)


def test_a_logger_that_is_not_installed_is_named_before_anything_is_written(
    tiny, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(callbacks, "find_spec", lambda name: None)
    monkeypatch.setitem(sys.modules, "wandb", None)
    assert main([*tiny, "--trainer.loggers=[wandb]", f"--out={tmp_path / 'run'}"]) == 2
    assert "trainer.loggers: wandb" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
    # TensorBoard is not missed: CSV files have the same figures.
    assert "TensorBoard" in callbacks.check_loggers(["tensorboard"])
    (made,) = callbacks.make_loggers(["tensorboard"], tmp_path / "run", "joint")
    assert type(made).__name__ == "CSVLogger"


def test_a_logger_that_cannot_be_imported_is_named(tmp_path, monkeypatch):
    (tmp_path / "mlflow.py").write_text("raise ImportError('no module of that version')\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "mlflow", raising=False)
    with pytest.raises(InputError, match=r"mlflow cannot be imported \(no module.*mlflow-skinny"):
        callbacks.check_loggers(["mlflow"])


def test_tensorboard_has_losses_of_each_head_and_pictures(trained):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = {}
    for phase in ("aim", "joint"):
        events = EventAccumulator(str(trained / "tensorboard" / phase))
        events.Reload()
        found[phase] = events.Tags()
        assert [image.step for image in events.Images("a_links")] == [1, 2][
            : 1 if phase == "aim" else 2
        ]
    for name in ("train/recognition", "train/prediction", "val/top1", "lr", "clips_per_second"):
        assert name in found["joint"]["scalars"]
    assert {"train/kl", "train/reconstruction", "a_links/type_1"} <= set(found["aim"]["scalars"])


def test_a_run_ends_with_a_summary(trained):
    text = (trained / "train.log").read_text()
    summary = text[text.index("summary of ") :].splitlines()
    assert "warm-up" in summary[0] and "joint" in summary[0]
    assert [line.split()[0] for line in summary[1:]] == ["split", "validation", "test"]


def test_too_few_clips_for_the_pieces_are_refused(tiny, tmp_path, capsys):
    options = ["--aim.batch_size=2", "--trainer.accumulate=3", f"--out={tmp_path / 'run'}"]
    assert main([*tiny, *options]) == 2
    assert "aim.batch_size must be at least 3" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_run_killed_before_its_options_were_written_begins_anew(tiny, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / ".config.yaml.x7.yaml").write_text("half")
    assert main([*tiny, f"--out={folder}", "--no-evaluate", "--trainer.epochs=1"]) == 0


def test_a_run_that_failed_before_its_first_epoch_begins_anew(tiny, tmp_path, monkeypatch, capsys):
    def failing(*_):
        raise KilledError

    command = [*tiny, f"--out={tmp_path / 'run'}", "--no-evaluate", "--trainer.epochs=1"]
    with monkeypatch.context() as patch, pytest.raises(KilledError):
        patch.setattr(run, "_fit", failing)
        main(command)
    assert (tmp_path / "run" / "train.log").is_file()
    (tmp_path / "run" / "notes.txt").touch()
    assert main(command) == 2  # somebody else's file
    (tmp_path / "run" / "notes.txt").unlink()
    assert main(command) == 0
    assert (tmp_path / "run" / "train.log").read_text().count("options: ") == 1
    assert main(command) == 2
