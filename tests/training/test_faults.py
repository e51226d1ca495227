"""Races, full disks, killed processes, hostile files: one line, and what was whole stays whole."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import get_worker_info

from asgcn_dgl.cli import main
from asgcn_dgl.data import SkeletonDataset
from asgcn_dgl.data.synthetic import write_synthetic
from asgcn_dgl.training.callbacks import EpochLog
from asgcn_dgl.training.modules import Phase


@pytest.fixture
def refused(capsys):
    """Run a command that must fail with one line; return the line."""

    def run(*arguments: object, status: int = 2) -> str:
        capsys.readouterr()
        assert main([os.fspath(each) for each in arguments]) == status
        shown = capsys.readouterr()
        error = shown.err.splitlines()[-1]
        assert shown.err.count("asgcn-dgl: error: ") == 1 and error.startswith("asgcn-dgl: error")
        assert "Traceback" not in shown.err and "Caught" not in shown.err
        return error

    return run


def resume(folder: Path) -> list[str]:
    return ["train", "--resume", f"--out={folder}", "--no-evaluate"]


def test_a_folder_in_which_another_process_writes(own_run, tiny, tmp_path, hold_lock, refused):
    before = {path: path.read_bytes() for path in own_run.rglob("*") if path.is_file()}
    with hold_lock(own_run / ".lock") as process:
        for command in (resume(own_run), ["evaluate", own_run]):
            assert f"{own_run}: process {process.pid} is writing there" in refused(*command)
    assert {path: path.read_bytes() for path in own_run.rglob("*") if path.is_file()} == before
    with hold_lock(tmp_path / "new" / ".lock") as process:
        assert f"process {process.pid}" in refused(*tiny, f"--out={tmp_path / 'new'}")
    assert not (tmp_path / "new" / "config.yaml").exists()


def test_a_run_that_was_killed_leaves_nothing_in_the_way(own_run):
    for name in (".metrics.json.x", ".lock", "checkpoints/.last.ckpt.ab.ckpt"):
        (own_run / name).write_text("half")
    assert main(["evaluate", str(own_run)]) == 0
    assert [path.name for path in own_run.rglob(".*")] == []


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers(own_run, clips_root, refused, value):
    clip = next(clips_root.glob("*.skeleton"))
    for file in (own_run / "checkpoints").iterdir():
        held = torch.load(file, weights_only=True)
        held["state_dict"]["model.recognition.linear.weight"][0, 0] = value
        torch.save(held, file)
    for command in (["evaluate", own_run], ["predict", own_run, clip], resume(own_run)):
        assert "weight recognition.linear.weight is not finite" in refused(*command)


def test_probabilities_that_are_no_numbers(own_run, trained, refused, tmp_path):
    with np.load(own_run / "scores.npz") as file:
        arrays = dict(file)
    arrays["probabilities"][3, 2] = np.nan
    np.savez(own_run / "scores.npz", **arrays)
    for command in (
        ["fuse", own_run, trained],
        ["report", own_run, f"--out={tmp_path / 'page.html'}"],
        ["figures", own_run, f"--out={tmp_path / 'figures'}"],
    ):
        assert "scores.npz: probabilities holds" in refused(*command)
    assert not (tmp_path / "page.html").exists()


def change_json(entry: str, value: object):
    def change(path: Path) -> None:
        values = json.loads(path.read_text())
        values[entry] = value
        path.write_text(json.dumps(values))

    return change


def change_npz(entry: str, value: object):
    def change(path: Path) -> None:
        with np.load(path) as file:
            arrays = dict(file)
        np.savez(path, **{**arrays, entry: np.array(value)})

    return change


def change_checkpoint(*entries: str, value: object):
    def change(path: Path) -> None:
        held = values = torch.load(path, weights_only=True)
        for entry in entries[:-1]:
            values = values[entry]
        values[entries[-1]] = value
        torch.save(held, path)

    return change


def text(content: str):
    return lambda path: path.write_text(content, encoding="latin-1")


RUNS, PREDICT, REPORT, FUSE = "runs", "predict", "report", "fuse"


@pytest.mark.parametrize(
    ("name", "harm", "command", "entry"),
    [
        ("metrics.json", change_json("top1", "nan"), RUNS, "top1"),
        ("metrics.json", text('{"top1": NaN}'), RUNS, "NaN"),
        ("metrics.json", text("[" * 10**5), RUNS, "JSON"),
        ("metrics.json", change_json("per_class", {}), REPORT, "per_class"),
        ("metrics.json", text("{}"), REPORT, "dataset"),
        ("validation.json", change_json("seconds", {"joint": None}), RUNS, "seconds.joint"),
        ("validation.json", text("[]"), RUNS, "object"),
        ("config.yaml", text("a: 2024-99-99"), RUNS, "YAML"),
        ("config.yaml", text("\xff"), RUNS, "YAML"),
        ("config.yaml", text("a: " + "[" * 5000), RUNS, "YAML"),
        ("config.yaml", text("model: {channels: [1, x]}"), RUNS, "model.channels"),
        ("scores.npz", change_npz("names", 3), FUSE, "names"),
        ("scores.npz", change_npz("labels", [99]), FUSE, "labels"),
        ("scores.npz", change_npz("probabilities", [[1.0]]), FUSE, "probabilities"),
        ("scores.npz", text("PK\x03\x04"), FUSE, "zip"),
        ("history.jsonl", text('{"phase": "joint", "epoch": "x"}\n'), REPORT, "epoch"),
        ("checkpoints/best.ckpt", change_checkpoint("epoch", value="x"), PREDICT, "epoch"),
        (
            "checkpoints/best.ckpt",
            change_checkpoint("asgcn_dgl", "class_names", value=[3]),
            PREDICT,
            "class_names",
        ),
        (
            "checkpoints/best.ckpt",
            change_checkpoint("asgcn_dgl", "model_config", "layouts", value=5),
            PREDICT,
            "do not fit",
        ),
        ("checkpoints/best.ckpt", change_checkpoint("state_dict", value={}), PREDICT, "weights"),
        (
            "checkpoints/last.ckpt",
            change_checkpoint("optimizer_states", value=[{}]),
            "resume",
            "cannot be resumed",
        ),
        ("checkpoints/last.ckpt", change_checkpoint("callbacks", value=[]), "resume", "callbacks"),
    ],
)
def test_damage_is_a_line_that_names_file_and_entry(
    own_run, trained, clips_root, tmp_path, refused, name, harm, command, entry
):
    harm(own_run / name)
    line = refused(
        *{
            RUNS: ["runs", own_run],
            PREDICT: ["predict", own_run, next(clips_root.glob("*.skeleton"))],
            REPORT: ["report", own_run, f"--out={tmp_path / 'page.html'}", "--clips=1"],
            FUSE: ["fuse", own_run, trained],
            "resume": [*resume(own_run), "--trainer.epochs=3"],
        }[command]
    )
    assert Path(name).name in line and entry in line


@pytest.mark.parametrize("kind", ["fifo", "folder", "device"])
def test_results_replace_plain_files_only(trained, clips_root, tmp_path, refused, kind):
    out = tmp_path / "out.json"
    if kind == "fifo":
        os.mkfifo(out)
    elif kind == "folder":
        out.mkdir()
    else:
        out.symlink_to("/dev/null")
    clip = next(clips_root.glob("*.skeleton"))
    assert "is not replaced" in refused("predict", trained, clip, f"--out={out}")
    assert out.exists() and not out.is_file()


@pytest.fixture
def small_disk():
    """Give a context in which files cannot grow beyond some bytes."""

    @contextlib.contextmanager
    def limit(size: int):
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    return limit


@pytest.mark.parametrize("size", [100, 5_000, 40_000])
def test_a_full_disk(tiny, trained, tmp_path, weights, refused, small_disk, size):
    folder = tmp_path / "run"
    with small_disk(size):
        refused(*tiny, f"--out={folder}", "--no-evaluate")
    begun = (folder / "config.yaml").exists()
    command = resume(folder) if begun else [*tiny, f"--out={folder}", "--no-evaluate"]
    assert main(command) == 0
    kept, made = weights(trained), weights(folder)
    assert all(torch.equal(kept[name], made[name]) for name in kept)


def test_a_folder_that_is_removed_while_it_is_trained(tiny, tmp_path, refused, monkeypatch):
    folder, end = tmp_path / "run", EpochLog.on_train_epoch_end

    def remove(self, trainer, module):
        end(self, trainer, module)
        if self.label == "joint":
            shutil.rmtree(folder)

    monkeypatch.setattr(EpochLog, "on_train_epoch_end", remove)
    assert str(folder) in refused(*tiny, f"--out={folder}")


def test_a_killed_worker(tiny, tmp_path, refused, monkeypatch):
    real = SkeletonDataset.__getitem__

    def kill(self, index):
        if get_worker_info() is not None:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(self, index)

    monkeypatch.setattr(SkeletonDataset, "__getitem__", kill)
    line = refused(*tiny, f"--out={tmp_path / 'run'}", "--clips.workers=1")
    assert "a process that prepares clips was killed" in line


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals(tiny, tmp_path, refused, monkeypatch, number, status):
    real = Phase.need_finite

    def stop(self, value, what):
        os.kill(os.getpid(), number)
        return real(self, value, what)

    monkeypatch.setattr(Phase, "need_finite", stop)
    before = signal.getsignal(number)
    try:
        line = refused(*tiny, f"--out={tmp_path / 'run'}", status=status)
    finally:
        signal.signal(number, before)  # Lightning turns Ctrl-C off
    assert "train --resume --out" in line
    assert not (tmp_path / "run" / ".lock").exists()


def test_prepare_says_how_it_continues(clips_root, tmp_path, refused, monkeypatch):
    def interrupt(*_args, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr("asgcn_dgl.data.prepare", interrupt)
    command = ["prepare", "--data=synthetic", f"--root={clips_root}", f"--out={tmp_path / 's'}"]
    line = refused(*command, status=130)
    assert "the same command continues" in line and "--resume" not in line


@pytest.mark.parametrize("workers", [0, 1])
def test_a_store_that_is_replaced_while_it_is_learned_from(
    tiny, clips_root, tmp_path, refused, monkeypatch, workers
):
    write_synthetic(tmp_path / "other", clips_per_class=3, subjects=3, seed=9)
    store = tmp_path / "store"
    replace = ["prepare", "--data=synthetic", f"--out={store}", "--overwrite"]
    assert main([*replace, f"--root={clips_root}"]) == 0
    end = EpochLog.on_train_epoch_end

    def swap(self, trainer, module):
        end(self, trainer, module)
        assert main([*replace, f"--root={tmp_path / 'other'}"]) == 0

    monkeypatch.setattr(EpochLog, "on_train_epoch_end", swap)
    options = ["--clips.cache=false", f"--clips.workers={workers}", f"--out={tmp_path / 'run'}"]
    line = refused(*tiny, f"--root={store}", *options)
    assert f"{store}: the store was replaced or removed while it was in use" in line


@pytest.mark.parametrize(
    "option",
    [
        "clips.num_frames=100000000",
        "clips.workers=100000",
        "clips.num_clips=1000000",
        "clips.validation_seed=100000000000000000000",
        "model.channels=[8,100000]",
        "model.channels=[8000,8000]",
        "model.kernel_size=1000001",
        "model.max_hop=100000",
        "model.num_actional=100000",
        "model.aim_hidden=1000000",
        "model.future_frames=1000000",
        "trainer.threads=1000000",
        "trainer.batch_size=100000000",
        "trainer.seed=100000000000000000000",
        "aim.pred_steps=1000000000",
    ],
)
def test_sizes_beyond_any_use(tiny, tmp_path, refused, option):
    line = refused(*tiny, f"--out={tmp_path / 'run'}", f"--{option}")
    assert option.partition("=")[0] in line and "at most" in line
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("pattern", ["*A001*", "*A00[1]*"])
def test_a_set_of_one_class_is_said_at_the_start(tiny, clips_root, tmp_path, refused, pattern):
    root, store = tmp_path / "clips", tmp_path / "store"
    root.mkdir()
    for path in clips_root.glob(pattern):
        shutil.copy(path, root)
    assert main(["prepare", "--data=synthetic", f"--root={root}", f"--out={store}"]) == 0
    header = json.loads((store / "header.json").read_text())
    header["class_names"] = header["class_names"][:1]
    (store / "header.json").write_text(json.dumps(header))
    line = refused(*tiny, f"--root={store}", f"--out={tmp_path / 'run'}")
    assert "one class" in line and not (tmp_path / "run").exists()


def test_names_that_are_no_text_and_a_terminal_that_knows_few_letters(
    tiny, clips_root, tmp_path, refused
):
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/od\xff"))
    shutil.copytree(clips_root, odd / "clips")
    run, clip = odd / "run", next(clips_root.glob("*.skeleton"))
    assert main([*tiny, f"--root={odd / 'clips'}", f"--out={run}"]) == 0
    assert main(["predict", str(run), str(clip), f"--out={odd / 'one.json'}"]) == 0
    assert main(["runs", str(odd)]) == 0
    assert "nothing" in refused("view", odd / "nothing")
