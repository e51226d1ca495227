"""Result files that are committed are whole, and the page made of them says what they do."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

pytest.importorskip("sphinx")
DOCS = Path(__file__).resolve().parents[1] / "docs"


@pytest.fixture(scope="module")
def results():
    spec = importlib.util.spec_from_file_location("results_ext", DOCS / "_ext" / "results.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def one(**others):
    return {
        "dataset": "nw_ucla",
        "protocol": "xview",
        "streams": ["joint", "bone"],
        "seeds": [0, 1],
        "top1": [90.0, 92.0],
        "mean": 91.0,
        "seconds": 600.0,
        "command": "asgcn-dgl train",
        "versions": {"torch": "2.13.0"},
        **others,
    }


def test_committed_files_are_shown(results):
    found = results.read(DOCS / "results")
    text = results.markdown(found)
    assert "nw_ucla_first.json" in found
    for name, each in found.items():
        assert f"`{name}`" in text
        if "table" not in each:
            assert f"{each['mean']:.1f}" in text


def test_a_result_and_a_table(results, tmp_path):
    (tmp_path / "a.json").write_text(json.dumps(one()))
    cell = {"top1": [80.0], "seeds": [0], "seconds": [60.0]}
    table = {
        "table": "links",
        "title": "Links",
        "dataset": "nw_ucla",
        "split": "test",
        "seeds": [0],
        "cells": {"S-links, L = 1": cell, "AS-links": {**cell, "top1": []}},
        "versions": {},
    }
    (tmp_path / "b.json").write_text(json.dumps(table))
    text = results.markdown(results.read(tmp_path))
    assert "| nw_ucla, xview | joint, bone | 0, 1 | 91.0 ± 1.4 % |  | 10 min |" in text
    assert "| S-links, L = 1 | 80.0 % | 0 | 1 min |" in text and "| AS-links | – |" in text
    assert "```sh\nasgcn-dgl train\n```" in text


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "a.json: not valid JSON"),
        ("[]", "a.json: must hold an object, got list"),
        (json.dumps({"dataset": "x"}), "a.json: lacks 'seeds'"),
        (json.dumps({"table": "links"}), "a.json: lacks 'dataset'"),
        (json.dumps(one(top1=[90.0])), "for each of 2 seeds"),
        (json.dumps(one(mean=95.0)), "that of top1 is another"),
    ],
)
def test_broken_files_are_named(results, tmp_path, content, words):
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(ValueError, match=words):
        results.read(tmp_path)
