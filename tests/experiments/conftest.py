from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import unchanged


@pytest.fixture(scope="session")
def run_dir(tiny, tmp_path_factory) -> Iterator[Path]:
    """An evaluated run with two types of A-links; nobody changes it."""
    links = ("--model.num_actional=2", "--model.max_hop=2")
    with unchanged(_train(tiny, tmp_path_factory, "tiny", *links)) as folder:
        yield folder


@pytest.fixture(scope="session")
def baseline_dir(tiny, tmp_path_factory) -> Iterator[Path]:
    """An evaluated run of ST-GCN on the same clips: no A-links, no prediction."""
    options = ("--model.name=stgcn", "--model.num_actional=0")
    with unchanged(_train(tiny, tmp_path_factory, "baseline", *options)) as folder:
        yield folder


def _train(tiny: list[str], tmp_path_factory, name: str, *options: str) -> Path:
    from asgcn_dgl.cli import main

    folder = tmp_path_factory.mktemp("runs") / name
    everything = "--clips.validation=none"
    assert main([*tiny, everything, *options, f"--out={folder}"]) == 0
    return folder
