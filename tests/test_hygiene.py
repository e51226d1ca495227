"""What a user is spared: extras in the core, files in their home, other people's paths."""

import configparser
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

EXTRAS = (
    "jsonargparse",
    "lightning_utilities",
    "matplotlib",
    "plotly",
    "pyarrow",
    "pytorch_lightning",
    "sklearn",
    "tensorboard",
    "torchmetrics",
    "yaml",
)
CORE = ("skeleton", "ops", "nn", "models", "data", "metrics", "testing")

BLOCKER = f"""
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {EXTRAS!r}:
            raise ModuleNotFoundError("blocked: " + name)

sys.meta_path.insert(0, Blocker())
"""


def run_python(code, **environment):
    env = {key: value for key, value in os.environ.items() if key != "DGLBACKEND"}
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**env, **environment},
    )


def test_core_and_its_layers_need_no_extra():
    code = f"""
import importlib
import torch
for room in {CORE!r}:
    importlib.import_module("asgcn_dgl." + room)
from asgcn_dgl.nn import AIMEncoder, ASGConv
from asgcn_dgl.skeleton import GraphBuilder, get_layout
graph = GraphBuilder().structure(get_layout("coco17"))
feat = torch.randn(17, 20, 2)
links = AIMEncoder(2, num_frames=10)(graph, feat)
assert ASGConv(2, 4)(graph, feat, links.weight).shape == (17, 20, 4)
"""
    done = run_python(BLOCKER + code)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("module", "extra"), [("asgcn_dgl.viz", "viz"), ("asgcn_dgl.cli", "train")]
)
def test_missing_extra_is_named(module, extra):
    done = run_python(f"{BLOCKER}\nimport {module}")
    assert done.returncode != 0
    assert f"asgcn_dgl[{extra}]" in done.stderr.strip().splitlines()[-1]


def test_import_chooses_the_backend_and_writes_nothing(tmp_path):
    code = """
import os
import asgcn_dgl
assert os.environ["DGLBACKEND"] == "pytorch"
import asgcn_dgl.nn
"""
    done = run_python(code, HOME=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert list(tmp_path.rglob("*")) == []


def test_a_backend_that_was_chosen_is_kept():
    code = "import os, asgcn_dgl; print(os.environ['DGLBACKEND'])"
    assert run_python(code, DGLBACKEND="other").stdout.strip() == "other"


def test_every_direct_dependency_is_pinned():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    lists = [config["options"]["install_requires"], *config["options.extras_require"].values()]
    lines = [line.strip() for text in lists for line in text.splitlines()]
    needed = {re.match(r"[\w-]+", line).group().lower() for line in lines if line[:1].isalpha()}
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = {line.split("==")[0].lower() for line in pins if "==" in line}
    assert needed - {"asgcn_dgl"} == pinned


def tracked_files():
    listed = subprocess.run(
        ["git", "ls-files", "-z"], capture_output=True, text=True, check=False, cwd=ROOT
    )
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_no_machine_paths_and_no_registry_hosts():
    # Put together here so that this file passes its own test.
    folders = "|".join(("work", "home", "root", "Users"))
    forbidden = re.compile(
        rf"(?<![\w.])/(?:{folders})/\w+|pypi\.o{'rg'}|pythonhosted|index-u{'rl'}|find-l{'inks'}"
    )
    found = []
    for path in tracked_files():
        if (
            path.suffix in {".ckpt", ".png", ".pdf", ".npz", ".zip"}
            or path == Path(__file__).resolve()
        ):
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            if forbidden.search(line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()}")
    assert not found, "\n".join(found)


def test_no_recordings_are_tracked():
    names = [path.relative_to(ROOT).as_posix() for path in tracked_files()]
    assert not [name for name in names if name.endswith((".skeleton", ".mat", ".pkl"))]
    assert not [name for name in names if name.startswith(("shared/", "data/", "runs/"))]
    large = [path for path in tracked_files() if path.stat().st_size > 1_000_000]
    assert not large


def test_nothing_is_left_to_do():
    words = re.compile("|".join(("TO" + "DO", "FIX" + "ME", "X" * 3)))
    files = [path for path in tracked_files() if path.suffix == ".py"]
    assert files
    left = [path.name for path in files if words.search(path.read_text(encoding="utf-8"))]
    assert not left
