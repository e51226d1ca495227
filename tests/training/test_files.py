from __future__ import annotations

import os
import stat

import numpy as np
import pytest

from asgcn_dgl.errors import InputError
from asgcn_dgl.training.config import RunConfig
from asgcn_dgl.training.files import RunDir, atomic_path, next_run_dir, write_json, write_npz


def test_failed_writing_leaves_the_old_file_alone(tmp_path):
    path = tmp_path / "metrics.json"
    write_json(path, {"top1": 1.0})
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, {"top1": float("nan")})
    with pytest.raises(RuntimeError), atomic_path(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == '{\n  "top1": 1.0\n}\n'
    assert os.listdir(tmp_path) == ["metrics.json"]


def test_files_can_be_read_like_any_other(tmp_path):
    plain = tmp_path / "plain"
    plain.touch()
    write_npz(tmp_path / "deep" / "scores.npz", logits=np.zeros(3))
    mode = (tmp_path / "deep" / "scores.npz").stat().st_mode
    assert stat.S_IMODE(mode) == stat.S_IMODE(plain.stat().st_mode)
    assert np.load(tmp_path / "deep" / "scores.npz")["logits"].shape == (3,)


def test_next_run_dir_takes_the_first_free_number(tmp_path):
    assert next_run_dir("nw_ucla", tmp_path) == tmp_path / "nw_ucla-1"
    (tmp_path / "nw_ucla-1").mkdir()
    assert next_run_dir("nw_ucla", tmp_path) == tmp_path / "nw_ucla-2"


def test_config_comes_back(tmp_path):
    run, config = RunDir(tmp_path), RunConfig(root="elsewhere")
    run.write_config(config)
    assert run.read_config() == config


def test_damaged_config_is_named(tmp_path):
    (tmp_path / "config.yaml").write_text("trainer: {epochs: 0}")
    with pytest.raises(InputError, match=r"config\.yaml: trainer\.epochs must be"):
        RunDir(tmp_path).read_config()


def test_best_checkpoint_goes_before_the_last(tmp_path):
    run = RunDir(tmp_path)
    with pytest.raises(InputError, match=r"no best\.ckpt or last\.ckpt"):
        run.checkpoint()
    run.checkpoints.mkdir()
    (run.checkpoints / "last.ckpt").touch()
    assert run.checkpoint().name == "last.ckpt"
    (run.checkpoints / "best.ckpt").touch()
    assert run.checkpoint().name == "best.ckpt"
    assert run.checkpoint("last").name == "last.ckpt"
