from __future__ import annotations

import re
from dataclasses import fields

import pytest
import yaml

from asgcn_dgl.cli import main
from asgcn_dgl.errors import InputError
from asgcn_dgl.models import ASGCNConfig
from asgcn_dgl.options import RENAMED
from asgcn_dgl.training.config import (
    OF_THE_DATA,
    SECTIONS,
    AIMConfig,
    ClipsConfig,
    OptimConfig,
    PredictionConfig,
    RunConfig,
    TrainerConfig,
    packaged_config,
    packaged_configs,
    read_yaml,
)


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
    assert (config.optim.lr, config.optim.milestones) == (0.1, [20, 40, 60, 80])
    assert (config.trainer.epochs, config.trainer.batch_size) == (100, 32)
    assert config.prediction.weight == 0.01
    assert config.clips.validation == "none"  # it learns from all training clips
    assert (config.optim.label_smoothing, config.optim.ema, config.optim.grad_clip) == (
        0.0,
        None,
        None,
    )
    assert config.model == ASGCNConfig()  # the defaults are the paper's
    assert (config.aim.loss_weight, config.aim.joint_kl) == (0.0, 0.0)
    assert config.aim.joint_optimizer == "sgd"
    assert (config.optim.base_batch, config.trainer.accumulate) == (None, 1)


def test_modern_is_modern():
    config = RunConfig.from_dict(packaged_config("modern"))
    assert (config.clips.sampling, config.optim.schedule) == ("uniform", "cosine")
    assert config.optim.nesterov and config.optim.weight_decay == 5e-4
    assert config.optim.warmup_epochs > 0 and config.aim.joint_optimizer == "adam"


def test_the_published_recipe_of_nw_ucla_is_as_published():
    config = RunConfig.from_dict(packaged_config("published_ucla"))
    clips, optim, trainer = config.clips, config.optim, config.trainer
    assert (clips.num_frames, clips.sampling, clips.repeat, clips.flip) == (52, "random", 5, 0)
    assert (clips.rotate, clips.rotate_order) == ([60, 60, 0], "zyx")
    assert (clips.scale, clips.box) == ([0.5, 1.5], True)
    assert (optim.lr, optim.schedule, optim.milestones, optim.gamma) == (0.1, "step", [50], 0.1)
    assert (optim.warmup_epochs, optim.nesterov, optim.weight_decay) == (5, True, 1e-4)
    assert (trainer.epochs, trainer.batch_size) == (65, 16)


def test_own_data_start_from_the_recipe_for_small_sets():
    assert packaged_config("own") == packaged_config("small_set")
    config = RunConfig.from_dict(packaged_config("own"))
    assert (config.clips.views, config.clips.validation) == ("auto", "subject")
    assert config.trainer.precision == "auto" and config.model.shared_weights
    assert config.clips.missing == "drop"


def test_averages_exclude_each_other():
    with pytest.raises(ValueError, match=r"optim\.average_last"):
        RunConfig.from_dict({"optim": {"ema": 0.9, "average_last": 3}})


def test_unknown_package_config():
    assert packaged_config("nothing") is None


def model_of(**values):
    return RunConfig.from_dict({"model": values}).model


def test_a_preset_is_where_the_model_starts():
    small = model_of(preset="small", dropout=0.0)
    assert (small.aim_hidden, small.dropout, small.max_hop) == (64, 0.0, 4)
    assert model_of(preset="small") == ASGCNConfig.preset("small")
    assert model_of(name="stgcn").norm == "symmetric"
    assert model_of(name="stgcn", norm="transition").max_hop == 1
    with pytest.raises(
        ValueError, match=r"model\.preset must be one of paper, small, light, got 'huge'"
    ):
        model_of(preset="huge")


def test_what_the_data_decides_is_no_option():
    for name in ("layouts", "num_classes", "in_feats"):
        assert name not in RunConfig().to_dict()["model"]
        with pytest.raises(ValueError, match=rf"unknown option model\.{name}"):
            model_of(**{name: 3})


def test_former_names_are_read():
    """As the files of version 0.1.0 before its release have them, nulls included."""
    old = {
        "model": {"preset": "small", "normalization": "symmetric", "normalise": "none",
                  "channels": None, "dropout": 0.3},
        "aim": {"joint": "frozen", "epochs": 3},
        "optim": {"schedule": "step", "steps": [1, 2]},
    }  # fmt: skip
    config = RunConfig.from_dict(old)
    assert config.model == ASGCNConfig.preset(
        "small", norm="symmetric", link_norm="none", link_mode="frozen", dropout=0.3
    )
    assert (config.aim.epochs, config.optim.milestones) == (3, [1, 2])
    again = config.to_dict()
    for name in RENAMED:
        section, option = name.split(".")
        assert option not in again[section]
    record = {**ASGCNConfig("hand21", 4).to_dict(), "normalise": "none", "links": "steady"}
    del record["link_norm"], record["link_mode"]
    found = ASGCNConfig.from_dict(record)
    assert (found.link_norm, found.link_mode) == ("none", "steady")


def test_the_command_describes_each_option(capsys):
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    options = [f"{name}.{each.name}" for name, of in SECTIONS.items() for each in fields(of)]
    for option in {*options, "data", "root"} - {f"model.{name}" for name in OF_THE_DATA}:
        value = r"(\{\S+\}|[A-Z_]+|\[ITEM,...\])"
        assert re.search(rf" --{option}\+? {value} (?!\(type:)\S", text), option


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
        (AIMConfig, "joint_kl", -1.0),
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


@pytest.mark.parametrize(
    ("section", "option", "value"),
    [
        ("trainer", "epochs", "many"),
        ("trainer", "epochs", 2.5),
        ("trainer", "link_pictures", 1),
        ("trainer", "precision", "8"),
        ("clips", "scale", [1, "x"]),
        ("optim", "milestones", 3),
        ("model", "link_mode", "tuned"),
        ("model", "streams", ["joint", "muscle"]),
    ],
)
def test_types_are_checked_by_name(section, option, value):
    with pytest.raises(ValueError, match=rf"^{section}\.{option} must be .*got "):
        RunConfig.from_dict({section: {option: value}})


def test_a_text_that_is_a_number_is_one():
    assert RunConfig.from_dict(yaml.safe_load("optim: {lr: 5e-2}")).optim.lr == 0.05


def test_rules_between_options():
    with pytest.raises(ValueError, match="nesterov"):
        OptimConfig(momentum=0.0)
    with pytest.raises(ValueError, match="milestones"):
        OptimConfig(schedule="step")
    with pytest.raises(ValueError, match=r"aim\.loss_weight must be .* frozen"):
        RunConfig(aim=AIMConfig(loss_weight=0.1), model=ASGCNConfig(link_mode="frozen"))
    with pytest.raises(ValueError, match=r"aim\.joint_kl must be .* frozen"):
        RunConfig(aim=AIMConfig(joint_kl=0.1), model=ASGCNConfig(link_mode="frozen"))
    with pytest.raises(ValueError, match=r"clips\.stream must be joint where model\.streams"):
        RunConfig(clips=ClipsConfig(stream="bone"), model=ASGCNConfig(streams=["joint", "bone"]))
    with pytest.raises(ValueError, match=r"trainer\.early_stop must be left out"):
        RunConfig(clips=ClipsConfig(validation="none"), trainer=TrainerConfig(early_stop=3))


def test_unknown_options_are_refused():
    with pytest.raises(ValueError, match=r"unknown option trainer\.epoch .*'epochs'"):
        RunConfig.from_dict({"trainer": {"epoch": 3}})
    with pytest.raises(ValueError, match=r"model\.dropot \(did you mean 'dropout'"):
        RunConfig.from_dict({"model": {"dropot": 0.3}})
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
