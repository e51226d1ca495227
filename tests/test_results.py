"""The results page says what the result files say, and nothing else."""

import json
from pathlib import Path

import pytest
import results

ROOT = Path(__file__).resolve().parents[1]
RESULT = {
    "dataset": "walks",
    "protocol": "xsub: people apart",
    "streams": ["joint", "bone"],
    "seeds": [0, 1, 2],
    "top1": [80.0, 82.0, 84.0],
    "mean": 82.0,
    "seconds": 7200,
    "command": "asgcn-dgl train --data walks",
    "versions": {"torch": "2.13.0"},
}
TABLE = {
    "table": "types",
    "title": "Types of links",
    "dataset": "walks",
    "stream": "joint",
    "split": "test",
    "cells": {"c1": {"top1": [50.0, 54.0]}, "c2": {"top1": []}},
    "versions": {},
}


@pytest.fixture
def page(tmp_path):
    def make(**files):
        for name, content in files.items():
            text = content if isinstance(content, str) else json.dumps(content)
            (tmp_path / f"{name}.json").write_text(text)
        return results.results_page(tmp_path)

    return make


def test_a_result_with_its_spread_and_command(page):
    text = page(walks=RESULT)
    assert "| walks | xsub | joint, bone | 3 | 82.0 ± 2.0 % |  |" in text
    assert "- top-1 of each: 80.00 %, 82.00 %, 84.00 %" in text
    assert "- time: 2.0 h" in text and "torch 2.13.0" in text
    assert "```sh\nasgcn-dgl train --data walks\n```" in text


def test_prediction_stands_beside_zero_velocity(page):
    error = {"mpjpe": 192.3, "zero_velocity": 262.1}
    text = page(walks={**RESULT, "prediction_mm": error})
    assert "| 192 mm (zero velocity 262 mm) |" in text


def test_one_seed_has_no_spread(page):
    text = page(walks={**RESULT, "seeds": [0], "top1": [80.0], "mean": 80.0})
    assert "| 80.0 % |" in text and "±" not in text


def test_tables_beside_results_show_every_cell(page):
    text = page(walks=RESULT, types=TABLE)
    assert "## walks: joint + bone, 3 seeds" in text
    assert text.index("From `walks.json`") < text.index("## Types of links")
    assert "| c1 | 2 | 52.0 ± 2.8 % |" in text
    assert "| c2 | 0 | – |" in text


@pytest.mark.parametrize("key", results.NEEDED)
def test_a_result_that_lacks_a_key_is_refused(page, key):
    with pytest.raises(ValueError, match=rf"walks.json: no {key}"):
        page(walks={name: value for name, value in RESULT.items() if name != key})


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"mean": 83.0}, "mean is 83.0, that of top1 is 82.0"),
        ({"seeds": [0]}, "3 figures in top1 for 1 seeds"),
        ({"cells": {}}, "no table, title"),
    ],
)
def test_a_result_that_contradicts_itself_is_refused(page, change, error):
    with pytest.raises(ValueError, match=error):
        page(walks={**RESULT, **change})


@pytest.mark.parametrize(("text", "error"), [("{", "not JSON"), ("[]", "an object is expected")])
def test_what_is_no_result_is_refused(page, text, error):
    with pytest.raises(ValueError, match=rf"walks.json: {error}"):
        page(walks=text)


def test_a_table_without_figures_is_refused(page):
    with pytest.raises(ValueError, match=r"types.json: no top1 in c1"):
        page(types={**TABLE, "cells": {"c1": {}}})


def test_an_empty_folder_is_refused(page):
    with pytest.raises(ValueError, match="no result"):
        page()


def test_every_committed_result_is_on_the_page():
    folder = ROOT / "docs" / "results"
    text = results.results_page(folder)
    files = sorted(folder.glob("*.json"))
    assert files
    for path in files:
        assert f"From `{path.name}`." in text


def test_the_page_has_the_place_that_the_build_fills():
    conf = (ROOT / "docs" / "conf.py").read_text(encoding="utf-8")
    page = (ROOT / "docs" / "results" / "index.md").read_text(encoding="utf-8")
    assert page.count(results.PLACE) == 1
    assert "PLACE" in conf


def test_forecasts_stand_beside_published_figures(page):
    errors = {
        "mpjpe_published": [[10.0, 20.0], [12.0, 20.0]],
        "zero_velocity_published": [[15.0, 30.0]] * 2,
        "mpjpe": [[9.0, 19.0]] * 2,
        "mpjpe_modeled": [[13.0, 23.0]] * 2,
    }
    forecast = {
        "title": "Walks to come",
        "dataset": "walks",
        "protocol": "folders",
        "joints": {"modeled": 25, "all": 38},
        "horizons_ms": [80, 560],
        "seeds": [0, 1],
        "actions": {"stroll": {"windows": 7, "all_windows": errors}},
        "published": {"LTD": {"stroll": [11.0]}},
        "published_ms": [80],
        "published_source": "a paper",
        "seconds": [600, 660],
        "command": ["asgcn-dgl train --data walks"],
        "versions": {},
    }
    text = page(walks=forecast)
    assert "| stroll (7) | ours, as published | 11.0 ± 1.4 | 20.0 |" in text
    assert "| stroll (7) | zero velocity, as published | 15.0 | 30.0 |" in text
    assert "|  | LTD | 11.0 |  |" in text and "- published figures: a paper" in text
    with pytest.raises(ValueError, match="stroll"):
        page(walks={**forecast, "seeds": [0, 1, 2]})
