from __future__ import annotations

import json

import pytest
import torch

from asgcn_dgl.cli import main


@pytest.fixture
def command(tiny):
    return ["find-lr", *tiny[1:], "--clips.validation=none"]


def test_rates_rise_losses_are_noted_and_nothing_is_kept(command, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    out = tmp_path / "found.json"
    assert main([*command, "--steps=7", "--lowest=0.01", "--highest=0.1", f"--out={out}"]) == 0
    found = json.loads(out.read_text())
    assert len(found["lr"]) == len(found["loss"]) == 7
    assert (found["lr"][0], found["lr"][-1]) == (pytest.approx(0.01), pytest.approx(0.1))
    assert found["suggestion"] in found["lr"]
    assert "try --optim.lr" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["found.json"]


def test_the_rates_are_those_of_the_optimiser(command, tmp_path, monkeypatch):
    seen, step = [], torch.optim.SGD.step

    def watched(self, *arguments, **others):
        seen.append([group["lr"] for group in self.param_groups])
        return step(self, *arguments, **others)

    monkeypatch.setattr(torch.optim.SGD, "step", watched)
    options = ["--steps=3", "--lowest=0.01", "--highest=1.0", "--trainer.accumulate=2"]
    assert main([*command, *options, "--optim.lr=0.3"]) == 0
    expected = [0.01, 0.01 * 100 ** (2 / 3), 1.0]  # Lightning's steps of the sweep
    assert [max(rates) for rates in seen] == pytest.approx(expected)
    assert [min(rates) for rates in seen] == pytest.approx(expected)


def test_the_advice_is_the_option_that_gives_the_rate(command, tmp_path, capsys):
    out = tmp_path / "found.json"
    options = ["--steps=3", "--trainer.batch_size=8", "--optim.base_batch=2", f"--out={out}"]
    assert main([*command, *options]) == 0
    found = json.loads(out.read_text())
    assert any(found["suggestion"] == pytest.approx(rate / 4) for rate in found["lr"])
    assert "but with doubt" in capsys.readouterr().out  # two steps on noise


def test_it_ends_where_the_loss_blows_up(command, tmp_path):
    out = tmp_path / "found.json"
    options = ["--steps=40", "--lowest=0.001", "--highest=1e12", f"--out={out}"]
    assert main([*command, *options, "--prediction.weight=10"]) == 0
    found = json.loads(out.read_text())
    assert 2 <= len(found["lr"]) < 40
    assert found["suggestion"] < found["lr"][-1]


@pytest.mark.parametrize("options", [["--lowest=0"], ["--lowest=1", "--highest=1"], ["--steps=1"]])
def test_bad_ranges(command, options, capsys):
    assert main([*command, *options]) == 2
    assert "--lowest must be positive" in capsys.readouterr().err
