from __future__ import annotations

from pathlib import Path

import pytest

from asgcn_dgl.errors import InputError
from asgcn_dgl.training.checkpoint import load_model
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
    with pytest.raises(InputError, match="not the folder of a run"):
        run.checkpoint()
    run.checkpoints.mkdir()
    with pytest.raises(InputError, match=r"no best\.ckpt or last\.ckpt.* --resume --out .*best"):
        run.checkpoint()
    (run.checkpoints / "last.ckpt").touch()
    assert run.checkpoint().name == "last.ckpt"
    (run.checkpoints / "best.ckpt").touch()
    assert run.checkpoint().name == "best.ckpt"
    assert run.checkpoint("last").name == "last.ckpt"


@pytest.mark.parametrize(
    ("name", "norm", "mode"), [("demo", "paper", "sampled"), ("nw_ucla", "self_loop", "steady")]
)
def test_runs_with_the_former_names_of_options_are_read(name, norm, mode):
    """Written by commit 9906eea."""
    run = RunDir(Path(__file__).parent / "runs_of_9906eea" / name)
    restored = load_model(run.checkpoint())
    for model in (run.read_config().model, restored.config.model, restored.model.config):
        assert (model.link_norm, model.link_mode) == (norm, mode)
    assert restored.config == run.read_config()
