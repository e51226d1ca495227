from __future__ import annotations

import contextlib
import errno
import inspect
import os
import re
import signal
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
import yaml

pytest.importorskip("jsonargparse")

from asgcn_dgl import cli, commands
from asgcn_dgl.cli import main, run_options
from asgcn_dgl.commands import COMMANDS
from asgcn_dgl.models.config import PRESETS
from asgcn_dgl.training.config import packaged_config
from asgcn_dgl.training.sources import Sources


@pytest.fixture
def asked(monkeypatch):
    """What training was asked to do, instead of doing it."""
    from asgcn_dgl.training import run

    calls = []
    monkeypatch.setattr(
        run, "train", lambda config, folder, **others: calls.append((config, folder, others))
    )
    return calls


@pytest.mark.parametrize("command", [[], *([name] for name in COMMANDS)], ids=" ".join)
def test_help(command, capsys):
    with pytest.raises(SystemExit) as stop:
        main([*command, "--help"])
    assert stop.value.code == 0
    assert capsys.readouterr().out.startswith("usage: asgcn-dgl")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_is_explained(command, capsys):
    """The help of each option is more than its name and its type."""
    with pytest.raises(SystemExit):
        main([command, "--help"])
    shown = capsys.readouterr().out.split("\noptions:")[-1]
    for entry in re.split(r"\n  (?=-)", shown)[1:]:
        flags, _, text = entry.replace("\n", "  ").strip().partition("  ")
        text = re.sub(r"\((type|default|required).*", "", text).strip()
        assert len(text.split()) >= 2, flags


def test_help_imports_nothing_heavy():
    code = (
        "import sys; from asgcn_dgl.cli import build_parser; build_parser().format_help(); "
        "heavy = ('numpy', 'torch', 'dgl', 'pytorch_lightning', 'matplotlib'); "
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_options_are_declared_for_the_command_that_is_run(monkeypatch):
    declared = []
    monkeypatch.setattr(cli, "_add_parameters", lambda _, function: declared.append(function))
    for arguments in (["--help"], ["runs", "--help"], ["no-command", "runs"]):
        with contextlib.suppress(SystemExit):
            main(arguments)
    assert declared == [COMMANDS["runs"], COMMANDS["runs"]]


def test_version(capsys):
    from asgcn_dgl import __version__

    with pytest.raises(SystemExit):
        main(["--version"])
    assert __version__ in capsys.readouterr().out


def test_overrides_arrive_over_the_sets_own_configuration(asked, tmp_path):
    out = tmp_path / "run"
    status = main(
        "train --data nw_ucla --root there --trainer.epochs 3 --model.max_hop 2 "
        f"--clips.scale [1,2] --no-evaluate --out {out}".split()
    )
    assert status == 0
    ((config, folder, others),) = asked
    assert (config.data, config.root, folder) == ("nw_ucla", "there", out)
    assert (config.trainer.epochs, config.model.max_hop, config.clips.scale) == (3, 2, [1, 2])
    assert others.pop("note").startswith("options: configuration nw_ucla, preset paper; ")
    assert others == {"resume": False, "test": False, "init": None, "init_part": "all"}
    packaged = packaged_config("nw_ucla")
    assert config.clips.num_frames == packaged["clips"]["num_frames"]
    assert config.trainer.batch_size == packaged["trainer"]["batch_size"]


@pytest.mark.parametrize("place", [0, 4])
def test_overrides_arrive_over_a_file_wherever_they_stand(asked, tmp_path, place):
    file = tmp_path / "mine.yaml"
    file.write_text("trainer: {epochs: 7, batch_size: 4}\noptim: {lr: 0.01}\n")
    arguments = ["--data=nw_ucla", "--root=there", f"--config={file}", f"--out={tmp_path / 'r'}"]
    arguments.insert(place, "--trainer.epochs=3")
    assert main(["train", *arguments]) == 0
    config = asked[0][0]
    assert (config.trainer.epochs, config.trainer.batch_size, config.optim.lr) == (3, 4, 0.01)
    # What the file leaves out is the set's.
    assert config.clips.num_frames == packaged_config("nw_ucla")["clips"]["num_frames"]
    recipe, of_file, given = asked[0][2]["note"].split("; ")
    assert recipe == "options: configuration nw_ucla, preset paper"
    assert of_file == f"{file}: trainer.epochs 7, trainer.batch_size 4, optim.lr 0.01"
    assert given.startswith("command line: ") and "trainer.epochs 3" in given


def test_a_partial_file_on_an_own_set_changes_that_part_of_its_recipe(asked, tmp_path, capsys):
    file = tmp_path / "mine.yaml"
    file.write_text("model: {dropout: 0.3}\ntrainer:\n")
    command = ["train", "--data=own", "--root=there", f"--config={file}", "--trainer.seed=5"]
    assert main(command) == 0
    recipe = run_options({"data": "own", "root": "there"}).config()
    recipe.model.dropout, recipe.trainer.seed = 0.3, 5
    assert asked[0][0] == recipe
    assert main([*command, "--print-config"]) == 0
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert f"dropout: 0.3  # {file}" in lines
    assert "seed: 5  # command line" in lines
    packaged = packaged_config("own")
    assert f"lr: {packaged['optim']['lr']}  # configuration own" in lines
    preset = packaged["model"]["preset"]
    (channels,) = [line for line in lines if line.startswith("channels:")]
    assert channels == f"channels: {PRESETS[preset]['channels']}  # preset {preset}"
    assert "momentum: 0.9  # default" in lines


def test_a_preset_replaces_the_sizes_of_the_set():
    config = run_options(
        {"data": "nw_ucla", "root": "there", "model": {"preset": "small"}}
    ).config()
    assert config.model.channels == [32, 32, 64, 64, 128, 128]
    assert config.model.aim_hidden == 64
    assert config.model.link_norm == "self_loop"  # the set's own


def test_a_preset_keeps_the_head_that_the_set_names_and_is_said(asked, tmp_path, capsys):
    file = tmp_path / "mine.yaml"
    file.write_text("model: {preset: small}\n")
    command = ["train", "--data=own", "--root=there", f"--config={file}"]
    assert main([*command, "--print-config"]) == 0
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert f"preset: small  # {file}" in lines
    assert "future_head: dct  # configuration own" in lines
    assert "shared_weights: false  # preset small" in lines  # the recipe's was true
    assert main(command) == 0
    recipe, of_file, _ = asked[0][2]["note"].split("; ")
    assert recipe == "options: configuration own, preset light"
    assert of_file == f"{file}: model.preset small"


@pytest.mark.parametrize(
    ("words", "close"),
    [
        (["train", "--trainer.epoch=3"], "trainer.epochs"),
        (["train", "--trainer.epoch", "3"], "trainer.epochs"),
        (["demo", "--seedz", "3"], "seeds"),
    ],
)
def test_a_misspelt_option_names_those_that_look_like_it(capsys, words, close):
    assert main(words) == 2
    error = capsys.readouterr().err
    assert words[1].partition("=")[0] in error and repr(close) in error
    assert error.count("\n") == 1


def test_a_mistake_names_the_file_that_it_is_in(tmp_path, capsys):
    file = tmp_path / "mine.yaml"
    file.write_text("trainer: {epochs: 0}\n")
    assert main(["train", "--data=own", "--root=there", f"--config={file}"]) == 2
    error = capsys.readouterr().err
    assert str(file) in error and "trainer.epochs" in error


def test_packaged_configuration_by_name():
    config = run_options({"data": "ntu60", "root": "there", "config": "paper"}).config()
    assert config.optim.schedule == "step"
    assert config.data == "ntu60"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("early-stop=4", "trainer.early_stop"),
        ("aim.joint=steady", "model.link_mode"),
        ("model.normalise=none", "model.link_norm"),
        ("optim.steps=[3]", "optim.milestones"),
    ],
)
def test_a_former_option_names_the_present_one(asked, capsys, old, new):
    assert main(["train", "--data=synthetic", "--root=there", f"--{old}"]) == 2
    error = capsys.readouterr().err
    assert f"--{old.split('=')[0]} is now --{new}" in error
    assert error.count("\n") == 1


def test_the_full_configuration_is_printed_and_can_be_given_back(asked, tmp_path, capsys):
    command = ["train", "--data=ntu60", "--root=there", "--trainer.epochs=3"]
    assert main([*command, "--model.preset=small", "--print-config"]) == 0
    assert not asked
    text = capsys.readouterr().out
    values = yaml.safe_load(text)
    assert (values["data"], values["trainer"]["epochs"]) == ("ntu60", 3)
    assert values["model"]["aim_hidden"] == 64  # the preset's
    assert values["model"]["link_norm"] == "self_loop"  # the set's own
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    assert main(["train", f"--config={file}", f"--out={tmp_path / 'run'}"]) == 0
    assert values["model"].pop("preset") == "small"
    assert asked[0][0].to_dict() == values


def test_data_and_root_may_stand_in_the_file(asked, tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("data: synthetic\nroot: there\n")
    assert main(["train", f"--config={file}", f"--out={tmp_path / 'run'}"]) == 0
    assert (asked[0][0].data, asked[0][0].root) == ("synthetic", "there")


def test_resume_keeps_the_runs_options(asked, tmp_path):
    from asgcn_dgl.training.config import RunConfig, TrainerConfig
    from asgcn_dgl.training.files import RunDir

    RunDir(tmp_path).write_config(RunConfig(root="there", trainer=TrainerConfig(epochs=9, seed=4)))
    assert main(["train", "--resume", f"--out={tmp_path}", "--trainer.epochs=12"]) == 0
    ((config, _, others),) = asked
    assert (config.root, config.trainer.epochs, config.trainer.seed) == ("there", 12, 4)
    assert others["resume"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "command"),
        (["fly"], "fly"),
        (["train"], "train needs --data"),
        (["train", "--data=nw_ucla"], "train needs --root"),
        (["train", "--data=onw", "--root=x"], "unknown format 'onw' (did you mean 'own'"),
        (["train", "--data=nw_ucla", "--root=x", "--trainer.epochs=many"], "trainer.epochs"),
        (["train", "--data=nw_ucla", "--root=x", "--trainer.epoch=3"], "--trainer.epoch"),
        (["train", "--data=nw_ucla", "--root=x", "--trainer.epochs=0"], "at least 1, got 0"),
        (["train", "--data=nw_ucla", "--root=x", "--config=nowhere.yaml"], "nowhere.yaml"),
        (["train", "--resume"], "--resume needs --out"),
        (["find-lr", "--root=x"], "find-lr needs --data"),
        (["tables", "links", "--data=nw_ucla", "--out=x"], "tables needs --root"),
        (["tables", "links", "--data=nw_ucla", "--root=x"], "out"),
        (["tables", "figures", "--data=nw_ucla", "--root=x", "--out=x"], "figures"),
        (["train", "--data=nw_ucla", "--root=x", "--trainer.early_stop=3"], "trainer.early_stop"),
        (["train", "--resume", "--out=x", "--config=paper"], "--config does not go with --resume"),
        (["evaluate"], "run_dir"),
        (["predict", "x"], "files"),
    ],
)
def test_mistakes_give_one_line_and_status_2(arguments, words, capsys, asked):
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("asgcn-dgl: error: ")
    assert captured.err.count("\n") == 1
    assert words in captured.err
    assert not asked


def test_mistakes_in_a_file_name_the_file(tmp_path, capsys):
    file = tmp_path / "mine.yaml"
    file.write_text("trainer: {epochs: many}\n")
    assert main(["train", "--data=nw_ucla", "--root=x", f"--config={file}"]) == 2
    error = capsys.readouterr().err
    assert str(file) in error
    assert "trainer.epochs" in error


def test_mistakes_on_the_command_line_are_not_blamed_on_the_file(tmp_path, capsys):
    file = tmp_path / "mine.yaml"
    file.write_text("trainer: {epochs: 3}\n")
    command = ["train", "--data=nw_ucla", "--root=x", f"--config={file}"]
    assert main([*command, "--trainer.epochs=0"]) == 2
    assert "error: trainer.epochs must be at least 1, got 0" in capsys.readouterr().err


def test_a_set_without_a_configuration_says_so(asked, caplog, tmp_path):
    command = ["train", "--root=x", f"--out={tmp_path / 'run'}"]
    assert main([*command, "--data=bvh"]) == 0
    assert "there is no configuration for bvh" in caplog.text
    caplog.clear()
    assert main([*command, "--data=bvh", "--config=modern"]) == 0
    assert main([*command, "--data=nw_ucla"]) == 0
    assert not caplog.text


def test_other_failures_are_not_hidden(asked, monkeypatch):
    from asgcn_dgl.training import run

    def broken(*arguments, **others):
        raise ValueError("a mistake of ours")

    monkeypatch.setattr(run, "train", broken)
    with pytest.raises(ValueError, match="a mistake of ours"):
        main(["train", "--data=nw_ucla", "--root=x"])


def test_divergence_and_interruption_have_their_own_status(asked, monkeypatch, capsys):
    from asgcn_dgl.training import DivergenceError, run

    for raised, status in ((DivergenceError("loss is nan"), 1), (KeyboardInterrupt(), 130)):

        def stopped(*arguments, raised=raised, **others):
            raise raised

        monkeypatch.setattr(run, "train", stopped)
        assert main(["train", "--data=nw_ucla", "--root=x", "--out=my runs/1"]) == status
        error = capsys.readouterr().err
        assert error.startswith("asgcn-dgl: error: ")
        # The command that continues can be pasted.
        assert ("--resume --out 'my runs/1'" in error) == (status == 130)


def test_unwritable_folder(asked, monkeypatch, capsys):
    from asgcn_dgl.training import run

    def refused(*arguments, **others):
        raise PermissionError(13, "Permission denied", "/locked/run")

    monkeypatch.setattr(run, "train", refused)
    assert main(["train", "--data=nw_ucla", "--root=x"]) == 2
    assert capsys.readouterr().err == "asgcn-dgl: error: /locked/run: Permission denied\n"


@pytest.mark.parametrize(
    ("raised", "status", "text"),
    [
        (MemoryError(), 2, "there is not enough memory"),
        (RuntimeError("CUDA out of memory. Tried"), 2, "there is not enough memory"),
        (OSError(errno.ENOSPC, "No space left on device"), 2, "the output folder: No space left"),
    ],
)
def test_a_full_disk_or_memory_is_told_in_a_line(asked, monkeypatch, capsys, raised, status, text):
    from asgcn_dgl.training import run

    def stopped(*arguments, **others):
        raise raised

    monkeypatch.setattr(run, "train", stopped)
    assert main(["train", "--data=nw_ucla", "--root=x", "--out=r"]) == status
    error = capsys.readouterr().err
    assert text in error and error.count("\n") == 1


@pytest.mark.parametrize("raised", [OSError(errno.EINVAL, "odd"), RuntimeError("odd")])
def test_faults_of_ours_are_not_told_as_the_users(asked, monkeypatch, raised):
    from asgcn_dgl.training import run

    def stopped(*arguments, **others):
        raise raised

    monkeypatch.setattr(run, "train", stopped)
    with pytest.raises(type(raised), match="odd"):
        main(["train", "--data=nw_ucla", "--root=x", "--out=r"])


def test_a_process_that_is_asked_to_end_says_how_to_go_on(asked, monkeypatch, capsys):
    from asgcn_dgl.training import run

    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(run, "train", lambda *_, **others: os.kill(os.getpid(), signal.SIGTERM))
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        assert main(["train", "--data=nw_ucla", "--root=x", "--out=r"]) == 143
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGTERM, before)
    assert "terminated; 'asgcn-dgl train --resume --out r'" in capsys.readouterr().err


def test_options_that_no_parser_can_read_and_options_without_a_command(capsys):
    assert main(["train", f"--clips.scale={'[' * 20000}", "--data=own", "--root=x"]) == 2
    assert main(["--speed=3"]) == 2
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("asgcn-dgl: error: ")
    assert "--speed" in second or "command" in second


@pytest.mark.parametrize("command", [c for c in COMMANDS if hasattr(COMMANDS[c], "__wrapped__")])
def test_a_command_has_the_options_and_the_defaults_of_what_it_calls(command, monkeypatch):
    pytest.importorskip("matplotlib")
    calls = []

    class Module:
        def __init__(self, name):
            self.real = import_module(name)

        def __getattr__(self, name):
            parameters = inspect.signature(getattr(self.real, name)).parameters
            return lambda **given: calls.append((parameters, given))

    monkeypatch.setattr(commands, "import_module", Module)
    own = inspect.signature(COMMANDS[command]).parameters
    defaults = {name: each.default for name, each in own.items() if each.default is not each.empty}
    others = {name: Sources([]) if name == "run" else "x" for name in own if name not in defaults}
    COMMANDS[command](**defaults, **others)
    ((parameters, given),) = calls
    more = any(each.kind is each.VAR_KEYWORD for each in parameters.values())
    for name, value in given.items():
        assert more or name in parameters
        theirs = parameters[name].default if name in parameters else inspect.Parameter.empty
        if theirs is not inspect.Parameter.empty and value != "x":
            assert value == theirs or not (value or theirs), name


def test_the_extra_of_figures_and_the_seeds_of_a_demo(monkeypatch, capsys):
    from asgcn_dgl.experiments import demo

    calls = []
    monkeypatch.setattr(demo, "demo", lambda *given, **others: calls.append((given, others)))
    monkeypatch.setattr(demo, "demo_seeds", lambda *given, **others: calls.append((given, others)))
    assert main(["demo", "--out=x", "--seed=3"]) == main(["demo", "--out=x", "--seeds=2"]) == 0
    assert calls == [
        ((Path("x"),), {"seed": 3, "data": "coordinated"}),
        ((Path("x"), 2), {"seed": 0, "data": "coordinated"}),
    ]
    monkeypatch.setattr(commands, "find_spec", lambda name: None)
    assert main(["view", "x.npz"]) == 2
    assert "this needs matplotlib: pip install 'asgcn_dgl[viz]'" in capsys.readouterr().err
