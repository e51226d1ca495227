from __future__ import annotations

from pathlib import Path

import pytest

# As small as a run can be that still has every part.
TINY = [
    "--clips.num_frames=12",
    "--clips.validation=none",
    "--model.channels=[8,8]",
    "--model.strides=[1,2]",
    "--model.max_hop=2",
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


@pytest.fixture(scope="session")
def run_dir(clips_root, tmp_path_factory) -> Path:
    """An evaluated run with two types of A-links; nobody changes it."""
    return _train(clips_root, tmp_path_factory, "tiny", "--model.num_actional=2")


@pytest.fixture(scope="session")
def baseline_dir(clips_root, tmp_path_factory) -> Path:
    """An evaluated run of ST-GCN on the same clips: no A-links, no prediction."""
    return _train(clips_root, tmp_path_factory, "baseline", "--model.name=stgcn")


def _train(clips_root: Path, tmp_path_factory, name: str, *options: str) -> Path:
    from asgcn_dgl.cli import main

    tiny = [option for option in TINY if name != "baseline" or "max_hop" not in option]
    folder = tmp_path_factory.mktemp("runs") / name
    arguments = ["train", "--data=synthetic", f"--root={clips_root}", f"--out={folder}"]
    assert main([*arguments, *tiny, *options]) == 0
    return folder
