from __future__ import annotations

import os
import subprocess
import sys

import parallel_work
import pytest
import torch
from processes import in_processes

from asgcn_dgl.cli import main
from asgcn_dgl.training.build import count_processes, shares


@pytest.fixture(autouse=True)
def default_dtype():
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("kind", ["aim", "joint"])
def test_gradients_of_two_processes_are_those_of_one(kind):
    """Unequal parts, one without any future; masks, all losses, all layers; float64."""
    parts = [[0, 1, 2], [3, 4]]
    close = {"rtol": 1e-6, "atol": 1e-9}
    expected, buffers = parallel_work.alone(kind, [*parts[0], *parts[1]])
    for found, theirs in in_processes(2, parallel_work.together, kind, parts):
        assert found.keys() == expected.keys()
        for name, gradient in expected.items():
            if gradient is None:
                assert found[name] is None or not found[name].any(), name
            else:
                torch.testing.assert_close(found[name], gradient, **close, msg=name)
        for name, buffer in buffers.items():
            torch.testing.assert_close(theirs[name], buffer, **close, msg=name)
    assert sum(g is not None and bool(g.abs().max() > 1e-8) for g in expected.values()) > 20


def test_without_synced_norms_they_differ():
    expected, _ = parallel_work.alone("joint", [0, 1, 2, 3])
    found, _ = in_processes(2, parallel_work.together, "joint", [[0, 1], [2, 3]], False)[0]
    name = "blocks.0.spatial.structural.weight"
    assert not torch.allclose(found[name], expected[name], rtol=1e-3)


def test_means_and_scores_are_those_of_all():
    found = in_processes(2, parallel_work.means)
    assert sum(each["mean"] for each in found) / 2 == pytest.approx(4.0)  # (1 + 2 + 3 + 10) / 4
    for each in found:
        assert each["gathered"] == [0, 1] and each["names"] == ["clip0", "clip1"]
        assert each["top1"] == 50.0 and each["clips"] == 1
        assert each["mpjpe"] == pytest.approx(3**0.5)


def test_alone_a_mean_is_a_mean():
    assert shares(3, torch.tensor(0), device=torch.device("cpu")) == [1.0, 1.0]


@pytest.mark.parametrize(
    ("environment", "options", "expected"),
    [
        ({}, {}, (1, 1)),
        ({}, {"devices": 2, "nodes": 3}, (2, 3)),
        ({"TORCHELASTIC_RUN_ID": "a", "LOCAL_WORLD_SIZE": "4", "WORLD_SIZE": "8"}, {}, (4, 2)),
        ({"SLURM_NTASKS": "16", "SLURM_NNODES": "2", "SLURM_JOB_NAME": "train"}, {}, (8, 2)),
        ({"SLURM_NTASKS": "16", "SLURM_NNODES": "2", "SLURM_JOB_NAME": "bash"}, {}, (1, 1)),
    ],
    ids=["alone", "asked for", "torchrun", "slurm", "interactive"],
)
def test_processes_are_counted(environment, options, expected, monkeypatch):
    for name in ("TORCHELASTIC_RUN_ID", "SLURM_NTASKS", "SLURM_JOB_NAME", "SLURM_NNODES"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert count_processes(**options) == expected


PATIENCE = 3600  # seconds, only for what hangs: a machine may be busy


@pytest.mark.slow
@pytest.mark.parametrize("phases", [("aim", "last"), ("last",)], ids=["both", "joint alone"])
def test_torchrun_trains_as_one_process_does(tiny, tmp_path, weights, phases):
    """End to end: the weights of two processes, and their average, are those of one."""
    options = [
        "--trainer.precision=64-true",
        "--model.dropout=0",
        "--model.aim_dropout=0",
        "--model.tau=1e9",  # the noise of the warm-up's links is lost in it
        "--model.link_mode=steady",
        "--aim.loss_weight=0.001",
        "--trainer.batch_size=7",  # 13 clips: shares of 2, 2, 2, 1 and 2, 1, 2, 1
        "--trainer.accumulate=2",
        "--optim.ema=0.5",
    ]
    if "aim" not in phases:
        options.append("--aim.epochs=0")
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--standalone"]
    command = [*launch, "-m", "asgcn_dgl.cli", *tiny, *options, f"--out={tmp_path / 'two'}"]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ}, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("summary of") == 1  # one process speaks
    assert main([*tiny, *options, f"--out={tmp_path / 'one'}"]) == 0
    for name in phases:
        one, two = (weights(tmp_path / folder, name) for folder in ("one", "two"))
        assert one.keys() == two.keys()
        for key, tensor in one.items():
            torch.testing.assert_close(two[key], tensor, rtol=1e-5, atol=1e-6, msg=key)
    assert (tmp_path / "two" / "metrics.json").is_file()
    resume = ["train", "--resume", f"--out={tmp_path / 'two'}", "--trainer.epochs=3"]
    done = subprocess.run(
        [*launch, "-m", "asgcn_dgl.cli", *resume],
        capture_output=True,
        check=False,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stdout + done.stderr
