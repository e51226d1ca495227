"""The tutorials' scripts run: each at a small size here, at its own size where it is slow."""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "tutorials"
SCRIPTS = sorted(FOLDER.glob("*.py"))
INCLUDED = re.compile(r"^```\{literalinclude\} (\S+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run a tutorial in an empty folder; return what its main function does."""
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(FOLDER))  # a script finds its neighbours

    def call(name, *arguments):
        spec = importlib.util.spec_from_file_location(f"tutorial_{name}", FOLDER / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, spec.name, module)
        spec.loader.exec_module(module)
        return module.main([*arguments])

    yield call
    sys.modules.pop("dense_code", None)


def written(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_own_skeleton(run, tmp_path, capsys):
    found = run("own_skeleton", "--dogs", "2", "--takes", "6", "--epochs", "2", "--channels", "8")
    assert 0 <= found["top1"] <= 100
    assert "a dog that was not seen" in capsys.readouterr().out
    assert written(tmp_path) == {"dog/dog.png", "dog/s_links.png", "dog/a_links.png"}


def test_inside_gnn(run):
    found = run("inside_gnn", "--steps", "5", "--batch-size", "8", "--hidden", "8")
    assert set(found) == {"plain", "linked"}


def test_links_alone(run, tmp_path, capsys):
    run("links_alone", "--steps", "10", "--batch-size", "8", "--hidden", "8")
    assert "the planted pair is the most probable one" in capsys.readouterr().out
    assert written(tmp_path) == {"links/links.png", "links/matrix.png"}


def test_links_alone_of_a_store(run, tmp_path, store):
    options = ("--steps", "4", "--batch-size", "4", "--hidden", "8", "--types", "2")
    assert run("links_alone", "--store", str(store), *options) == {}
    assert (tmp_path / "links" / "links.png").stat().st_size > 1000


def test_future_poses(run, tmp_path):
    found = run("future_poses", "--clips", "16", "--epochs", "2", "--channels", "8", "8")
    assert 0 < found["mpjpe"] < 1.5 * found["zero_velocity"]
    assert written(tmp_path) == {"future/future.png"}


def test_future_poses_of_a_store(run, tmp_path, store):
    options = ("--epochs", "1", "--channels", "4", "--steps", "5")
    assert run("future_poses", "--store", str(store), *options)["mpjpe"] > 0


def test_two_persons(run, tmp_path):
    run("two_persons", "--steps", "10", "--batch-size", "8", "--hidden", "8")
    assert written(tmp_path) == {"persons/persons.gif", "persons/persons.html"}


def test_from_dense(run):
    found = run("from_dense", "--clips", "2", "--frames", "12", "--channels", "4", "8")
    assert found.pop("speed") > 0
    assert len(found) == 5 and max(found.values()) < 1e-5


@pytest.mark.slow
def test_at_their_own_size_they_learn(run):
    assert run("own_skeleton")["top1"] >= 80
    rhythm = run("inside_gnn")
    assert rhythm["linked"] > 90 > 40 > rhythm["plain"]
    assert run("links_alone")["hits"] > 70
    future = run("future_poses")
    assert future["mpjpe"] < 0.7 * future["zero_velocity"]
    persons = run("two_persons")
    assert persons["right"] > persons["always"] + 20


@pytest.fixture(scope="session")
def store(clips_root, tmp_path_factory):
    """The tests' generated recordings, as a store."""
    from asgcn_dgl.data import prepare
    from asgcn_dgl.data.formats.registry import open_source

    folder = tmp_path_factory.mktemp("stores") / "synthetic.store"
    prepare(open_source("synthetic", clips_root), folder)
    return folder


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_every_script_is_shown_and_tested(script):
    page = FOLDER / f"{script.stem}.md"
    if script.stem != "dense_code":  # it is what from_dense.md begins with
        assert page.is_file(), f"{script.name} has no page"
        assert f"def test_{script.stem}" in Path(__file__).read_text(encoding="utf-8")
    shown = "".join(path.read_text(encoding="utf-8") for path in FOLDER.glob("*.md"))
    assert f"{{literalinclude}} {script.name}" in shown


@pytest.mark.parametrize("page", sorted(FOLDER.glob("*.md")), ids=lambda path: path.stem)
def test_parts_that_pages_show_are_there(page):
    for name, options in INCLUDED.findall(page.read_text(encoding="utf-8")):
        tree = ast.parse((FOLDER / name).read_text(encoding="utf-8"))
        objects = {node.name for node in tree.body if hasattr(node, "name")}
        for wanted in re.findall(r":pyobject: (\S+)", options):
            assert wanted in objects, f"{page.name}: {name} has no {wanted}"
