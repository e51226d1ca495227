from __future__ import annotations

import pytest

from asgcn_dgl.errors import InputError
from asgcn_dgl.training.config import RunConfig
from asgcn_dgl.training.files import RunDir, next_run_dir


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
