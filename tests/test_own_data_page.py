"""The page "bring your own data", followed to the letter: files, store, model, prediction."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest

PAGE = Path(__file__).resolve().parents[1] / "docs" / "data" / "own.md"
BLOCK = re.compile(r"^```(yaml|python|sh)\n(.*?)^```$", flags=re.DOTALL | re.MULTILINE)


@pytest.mark.slow
def test_every_block_in_order(tmp_path, monkeypatch, capsys):
    pytest.importorskip("pytorch_lightning")
    from asgcn_dgl.cli import main
    from asgcn_dgl.data import open_store

    monkeypatch.chdir(tmp_path)
    Path("dogs").mkdir()
    namespace: dict = {"__name__": "page"}
    commands = []
    for kind, text in BLOCK.findall(PAGE.read_text(encoding="utf-8")):
        if kind == "yaml":
            Path("dogs/layout.yaml").write_text(text)
        elif kind == "python":
            exec(compile(text, str(PAGE), "exec"), namespace)
        else:
            for line in text.splitlines():
                program, *arguments = shlex.split(line)
                if program == "cp":
                    for source in arguments[:-1]:
                        shutil.copy(source, arguments[-1])
                    continue
                assert program == "asgcn-dgl"
                assert main(arguments) == 0, line
                commands.append(arguments[0])
    assert commands == ["prepare", "inspect", "train", "predict", "prepare"]
    printed = capsys.readouterr().out
    assert "48 recordings" in printed and "split split: 36 train, 12 test" in printed
    assert Path("dog.png").stat().st_size > 1000
    assert "dog4_1" in printed
    # A dog that the model has not seen; chance is 50 %.
    assert json.loads(Path("runs/dogs/metrics.json").read_text())["top1"] >= 75
    arrays, rows = open_store("dogs.store"), open_store("rows.store")
    assert arrays.names == rows.names and arrays.splits == rows.splits
    for index in range(0, 48, 5):
        np.testing.assert_allclose(arrays.read(index).pos, rows.read(index).pos, atol=1e-6)
