from __future__ import annotations

import dataclasses

import pytest
import yaml

from asgcn_dgl.errors import InputError
from asgcn_dgl.training.config import (
    AIMConfig,
    ClipsConfig,
    ModelConfig,
    OptimConfig,
    PredictionConfig,
    RunConfig,
    TrainerConfig,
    packaged_config,
    packaged_configs,
    read_yaml,
)

SECTIONS = {
    "clips": ClipsConfig,
    "model": ModelConfig,
    "aim": AIMConfig,
    "optim": OptimConfig,
    "prediction": PredictionConfig,
    "trainer": TrainerConfig,
}


def test_packaged_configs_are_there():
    expected = {"demo", "modern", "ntu60", "ntu120", "nw_ucla", "paper", "synthetic"}
    assert expected <= set(packaged_configs())


@pytest.mark.parametrize("name", packaged_configs())
def test_packaged_config_is_valid_and_survives_yaml(name):
    config = RunConfig.from_dict(packaged_config(name))
    again = RunConfig.from_dict(yaml.safe_load(yaml.safe_dump(config.to_dict())))
    assert again == config


def test_paper_is_the_papers():
    config = RunConfig.from_dict(packaged_config("paper"))
    assert config.clips.num_frames + config.model.future_frames == 300
    assert (config.model.max_hop, config.model.num_actional) == (4, 3)
    assert (config.model.actional_weight, config.model.ghost_prior) == (0.5, 0.95)
    assert (config.aim.epochs, config.aim.lr) == (10, 5e-4)
    assert (config.optim.lr, config.optim.steps) == (0.1, [20, 40, 60, 80])
    assert (config.trainer.epochs, config.trainer.batch_size) == (100, 32)
    assert config.prediction.weight == 0.01
    assert config.clips.validation == "none"  # it learns from all training clips
    assert (config.optim.label_smoothing, config.optim.ema, config.optim.grad_clip) == (
        0.0,
        None,
        None,
    )
    options = config.model.options()
    assert not {"temporal", "attention", "structural_offsets", "streams"} & set(options)
    assert (config.aim.loss_weight, config.aim.joint_optimizer) == (0.0, "sgd")
    assert (config.optim.base_batch, config.trainer.accumulate) == (None, 1)


def test_modern_is_modern():
    config = RunConfig.from_dict(packaged_config("modern"))
    assert (config.clips.sampling, config.optim.schedule) == ("uniform", "cosine")
    assert config.optim.nesterov and config.optim.weight_decay == 5e-4
    assert config.optim.warmup_epochs > 0 and config.aim.joint_optimizer == "adam"


def test_unknown_package_config():
    assert packaged_config("nothing") is None


def test_model_options_are_those_that_were_given():
    options = ModelConfig(name="stgcn", channels=[8, 16], dropout=0.0).options()
    assert options == {"channels": (8, 16), "dropout": 0.0}


def test_model_options_are_the_models():
    from asgcn_dgl.models import ASGCN
    from asgcn_dgl.skeleton import get_layout

    known = set(ASGCN(get_layout("hand21"), 2).config)
    ours = {field.name for field in dataclasses.fields(ModelConfig)} - {"name", "preset"}
    assert ours <= known
    # All but what the data decides, and what aim.joint says.
    assert known - ours == {"layouts", "num_classes", "in_feats", "links"}


@pytest.mark.parametrize("section", SECTIONS.values())
def test_each_option_is_described(section):
    for field in dataclasses.fields(section):
        assert f"\n    {field.name}\n        " in section.__doc__, field.name


@pytest.mark.parametrize(
    ("section", "option", "value"),
    [
        (ClipsConfig, "validation_share", 1.0),
        (ClipsConfig, "validation_seed", -1),
        (ClipsConfig, "num_frames", 0),
        (ClipsConfig, "crop", [0.5, 1.5]),
        (ClipsConfig, "scale", [1.0]),
        (ClipsConfig, "rotate", 200.0),
        (ClipsConfig, "rotate", [10.0, 10.0]),
        (ClipsConfig, "flip", 2.0),
        (ClipsConfig, "noise", -1.0),
        (ClipsConfig, "repeat", 0),
        (ClipsConfig, "workers", -1),
        (AIMConfig, "epochs", -1),
        (AIMConfig, "lr", 0.0),
        (AIMConfig, "batch_size", 0),
        (AIMConfig, "pred_steps", 0),
        (AIMConfig, "joint_lr_scale", -1.0),
        (AIMConfig, "joint_lr", 0.0),
        (AIMConfig, "loss_weight", -1.0),
        (OptimConfig, "base_batch", 0),
        (OptimConfig, "lr", float("nan")),
        (OptimConfig, "momentum", 1.0),
        (OptimConfig, "weight_decay", -1.0),
        (OptimConfig, "warmup_epochs", -1.0),
        (OptimConfig, "label_smoothing", 1.0),
        (OptimConfig, "grad_clip", 0.0),
        (OptimConfig, "ema", 1.0),
        (PredictionConfig, "weight", -1.0),
        (PredictionConfig, "share", 1.1),
        (TrainerConfig, "epochs", 0),
        (TrainerConfig, "batch_size", 0),
        (TrainerConfig, "seed", -1),
        (TrainerConfig, "threads", 0),
        (TrainerConfig, "accumulate", 17),
        (TrainerConfig, "devices", 0),
        (TrainerConfig, "nodes", 0),
        (TrainerConfig, "early_stop", 0),
    ],
)
def test_rules_name_option_and_value(section, option, value):
    with pytest.raises(ValueError, match=rf"\.{option} must be .*, got "):
        section(**{option: value})


def test_rules_between_options():
    with pytest.raises(ValueError, match="nesterov"):
        OptimConfig(momentum=0.0)
    with pytest.raises(ValueError, match="steps"):
        OptimConfig(schedule="step")
    with pytest.raises(ValueError, match=r"aim\.loss_weight must be .* frozen"):
        AIMConfig(joint="frozen", loss_weight=0.1)
    with pytest.raises(ValueError, match=r"clips\.stream must be joint where model\.streams"):
        RunConfig(clips=ClipsConfig(stream="bone"), model=ModelConfig(streams=["joint", "bone"]))
    with pytest.raises(ValueError, match=r"trainer\.early_stop must be left out"):
        RunConfig(clips=ClipsConfig(validation="none"), trainer=TrainerConfig(early_stop=3))


def test_unknown_options_are_refused():
    with pytest.raises(ValueError, match=r"unknown option trainer\.epoch; there are epochs, "):
        RunConfig.from_dict({"trainer": {"epoch": 3}})
    with pytest.raises(ValueError, match="unknown option trainers"):
        RunConfig.from_dict({"trainers": {}})


@pytest.mark.parametrize(
    ("text", "words"),
    [("a: [1", "not valid YAML"), ("- 1", "holds no options"), ("", "holds no options")],
)
def test_bad_yaml(tmp_path, text, words):
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=words) as caught:
        read_yaml(path)
    assert str(path) in str(caught.value)


def test_absent_yaml(tmp_path):
    with pytest.raises(InputError, match=r"cannot be read.*nw_ucla"):
        read_yaml(tmp_path / "absent.yaml")
