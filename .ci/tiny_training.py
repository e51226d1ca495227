"""Train for seconds on generated clips, without importing DGL: python tiny_training.py DIR."""

import sys
from pathlib import Path

from asgcn_dgl.cli import main
from asgcn_dgl.data.synthetic import write_synthetic

folder = Path(sys.argv[1])
write_synthetic(folder / "clips", clips_per_class=3, subjects=3)
options = [
    "--model.channels=[8,8]",
    "--model.strides=[1,2]",
    "--model.aim_hidden=8",
    "--model.max_hop=1",
    "--clips.num_frames=12",
    "--aim.epochs=1",
    "--trainer.epochs=1",
    "--trainer.accelerator=cpu",
]
given = ["train", "--data=synthetic", f"--root={folder / 'clips'}", f"--out={folder / 'run'}"]
assert main([*given, *options]) == 0
assert "dgl" not in sys.modules
