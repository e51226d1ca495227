from __future__ import annotations

import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import hypothesis
import numpy as np
import pytest
import torch

from asgcn_dgl.data.synthetic import write_synthetic
from asgcn_dgl.skeleton.graph import dgl_installed

ROOT = Path(__file__).parents[1]
NEED_DGL = ("asgcn_dgl/_dgl.py", "asgcn_dgl/ops/message_passing.py")


def pytest_configure(config):
    """Leave out the doctests of the modules that import DGL, where it is not installed."""
    if not dgl_installed():
        config.option.ignore = [*(config.option.ignore or ()), *(str(ROOT / e) for e in NEED_DGL)]


# The tests' tensors are small: more threads only wait for each other, above all on a busy machine.
# The processes that tests start take as many, so that their results agree bit for bit.
os.environ["OMP_NUM_THREADS"] = "1"
torch.set_num_threads(1)

# A shell ignores Ctrl-C for what it runs in the background, and children inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

# A machine may be busy: no example has to be fast. CI draws the same examples each time.
hypothesis.settings.register_profile("default", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "default")


@pytest.fixture(autouse=True)
def seeded():
    """Give each test the same random numbers, whatever ran before it."""
    torch.manual_seed(0)
    np.random.seed(0)
    random.seed(0)


@contextmanager
def unchanged(folder: Path) -> Iterator[Path]:
    """Give a folder that tests share; whoever writes into it fails the last of them."""

    def content() -> dict[str, str]:
        files = (path for path in folder.rglob("*") if path.is_file())
        return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

    before = content()
    yield folder
    assert content() == before, "a test has changed what it shares with others; give it a copy"


@pytest.fixture(scope="session", autouse=True)
def default_allocator():
    """Leave the C library's allocator alone: a training would set it for all tests after it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("asgcn_dgl.training.run.reuse_memory", lambda: False)
        yield


@pytest.fixture(scope="session", autouse=True)
def no_power_cuts():
    """Do not wait for the disk: a test's files have to survive killed processes alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.fsync", lambda handle: None)
        yield


# As small as a run can be that still has every part.
TINY = [
    "--clips.num_frames=12",
    "--clips.validation_share=0.3",
    "--model.channels=[8,8]",
    "--model.strides=[1,2]",
    "--model.max_hop=1",
    "--model.num_actional=1",
    "--model.aim_frames=8",
    "--model.aim_hidden=8",
    "--model.future_channels=8",
    "--aim.epochs=1",
    "--aim.pred_steps=2",
    "--trainer.epochs=2",
    "--trainer.batch_size=12",
    "--trainer.accelerator=cpu",
    "--trainer.progress=off",
]


HOLDER = """
import sys
from pathlib import Path
from asgcn_dgl.files import locked
with locked(Path(sys.argv[1]), "here"):
    print("locked", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def hold_lock():
    """Give the context of a process that holds the lock in a file."""

    @contextmanager
    def hold(file: Path) -> Iterator[subprocess.Popen[bytes]]:
        command = [sys.executable, "-c", HOLDER, str(file)]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
        ) as process:
            assert process.stdout is not None and process.stdout.readline() == b"locked\n"
            yield process
            if process.poll() is None:
                process.communicate()

    return hold


@pytest.fixture(scope="session")
def clips_root(tmp_path_factory) -> Iterator[Path]:
    """Subjects 1 and 2 for training, of whom one is held out; subject 3 for the test."""
    root = tmp_path_factory.mktemp("synthetic")
    write_synthetic(root, clips_per_class=3, subjects=3)
    with unchanged(root):
        yield root


@pytest.fixture(scope="session")
def tiny(clips_root) -> list[str]:
    return ["train", "--data=synthetic", f"--root={clips_root}", *TINY]


@pytest.fixture(scope="session")
def trained(tiny, tmp_path_factory) -> Iterator[Path]:
    """A run that nobody changes."""
    from asgcn_dgl.cli import main

    folder = tmp_path_factory.mktemp("runs") / "trained"
    assert main([*tiny, f"--out={folder}"]) == 0
    with unchanged(folder):
        yield folder


@pytest.fixture
def own_run(trained, tmp_path) -> Path:
    """A copy of the run, to be changed."""
    return Path(shutil.copytree(trained, tmp_path / "own_run"))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the real data sets; a test that asks for it is skipped where there is none."""
    default = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("ASGCN_DGL_SHARED_DATA", default))
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder} (set ASGCN_DGL_SHARED_DATA to its folder)")
    return folder
