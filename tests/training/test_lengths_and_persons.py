"""Training end to end on clips of their own length, of two persons, and of two skeletons."""

from __future__ import annotations

import functools
import json
import os
import shutil
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from asgcn_dgl.cli import main
from asgcn_dgl.data import Clip, Reader, open_data, prepare
from asgcn_dgl.data.synthetic import CLASS_NAMES, write_synthetic
from asgcn_dgl.skeleton import GraphBuilder, SkeletonLayout, get_layout
from asgcn_dgl.training.callbacks import SaveCheckpoints
from asgcn_dgl.training.checkpoint import load_model
from asgcn_dgl.training.clips import RunClips, clips_to_test, open_run
from asgcn_dgl.training.config import ClipsConfig, RunConfig, TrainerConfig
from asgcn_dgl.training.datamodule import SkeletonDataModule
from asgcn_dgl.training.evaluate import evaluation_datasets, score
from asgcn_dgl.training.files import RunDir

SHORT = ["--trainer.epochs=1", "--aim.epochs=1"]


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """Clips of the three actions with a partner."""
    root = tmp_path_factory.mktemp("pairs")
    write_synthetic(root / "all", clips_per_class=4, subjects=3)
    (root / "raw").mkdir()
    for action in (11, 12, 13):
        for path in (root / "all").glob(f"*A{action:03d}.skeleton"):
            shutil.copy(path, root / "raw" / path.name)
    return root / "raw"


def figures(folder):
    return json.loads((folder / "metrics.json").read_text())


def test_links_between_two_persons_train(pairs, tiny, weights, tmp_path):
    runs = {}
    for across in ("true", "false"):
        runs[across] = tmp_path / across
        command = [*tiny, *SHORT, f"--root={pairs}", f"--model.across_bodies={across}"]
        assert main([*command, f"--out={runs[across]}"]) == 0
        result = figures(runs[across])
        assert result["clips"] >= 3 and np.isfinite(result["losses"]["recognition"])
    both, apart = weights(runs["true"]), weights(runs["false"])
    assert both.keys() == apart.keys()
    changed = [name for name in both if "aim" in name and not torch.equal(both[name], apart[name])]
    assert changed, "the links' module learnt the same with and without the other person"
    assert main(["evaluate", str(runs["true"])]) == 0
    assert main(["predict", str(runs["true"]), str(next(pairs.glob("*.skeleton")))]) == 0


class KilledError(Exception):
    pass


@pytest.mark.slow
def test_own_lengths_train_and_resume_to_the_same_weights(tiny, weights, tmp_path, monkeypatch):
    own = ["--clips.sampling=own", "--clips.num_frames=60", "--clips.missing=interpolate"]
    options = [*tiny, *own, "--trainer.batch_size=8", "--no-evaluate"]
    assert main([*options, f"--out={tmp_path / 'whole'}"]) == 0
    save = SaveCheckpoints.on_train_epoch_end

    def killed_after(self, trainer, module):
        save(self, trainer, module)
        raise KilledError

    with monkeypatch.context() as patch, pytest.raises(KilledError):
        patch.setattr(SaveCheckpoints, "on_train_epoch_end", killed_after)
        main([*options, f"--out={tmp_path / 'parts'}"])
    assert main(["train", "--resume", f"--out={tmp_path / 'parts'}", "--no-evaluate"]) == 0
    whole, parts = weights(tmp_path / "whole"), weights(tmp_path / "parts")
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


def test_several_test_clips_are_averaged(trained):
    once = np.load(trained / "scores.npz")
    restored = load_model(RunDir(trained).checkpoint("auto"))
    restored.config.clips.num_clips = 3
    files = clips_to_test(open_run(restored.config), restored.config)
    datasets = evaluation_datasets(files, restored.model, restored.config)
    recognition, _ = score(restored.model, datasets, restored.config, "test")
    assert recognition.names == once["names"].tolist()
    by_hand = []
    for choice in range(3):
        single = evaluation_datasets(files, restored.model, restored.config)[:1]
        single[0]._samplers[False] = [single[0]._samplers[False][choice]]
        single[0].num_clips = 1
        by_hand.append(score(restored.model, single, restored.config, "test")[0].logits())
    mean = torch.stack([logits.softmax(dim=-1) for logits in by_hand]).mean(dim=0)
    torch.testing.assert_close(recognition.logits().softmax(dim=-1), mean)
    np.testing.assert_array_equal(by_hand[1].numpy(), once["logits"])  # the middle of three


@dataclass(frozen=True)
class Upper(Reader):
    """The joints of another source that belong to another, smaller skeleton."""

    whole: Reader | None = None

    def read(self, index):
        clip = self.whole.read(index)
        keep = [clip.layout.joints.index(name) for name in self.layout.joints]
        return Clip.from_positions(
            clip.name, self.layout, clip.pos[:, :, keep], clip.mask[:, :, keep], clip.label,
            clip.meta,
        )  # fmt: skip


def upper():
    """The trunk and the arms of NTU's skeleton."""
    full = get_layout("ntu25")
    legs = [
        name
        for name in full.joints
        if any(part in name for part in ("hip", "knee", "ankle", "foot"))
    ]
    keep = [name for name in full.joints if name not in legs]
    bones = [(full.joints[a], full.joints[b]) for a, b in full.bones]
    inside = [(a, b) for a, b in bones if a in keep and b in keep]
    return SkeletonLayout.from_bones("upper", inside, joints=keep, center=full.joints[full.center])


def test_clips_of_two_skeletons_train_one_model(clips_root, tiny, tmp_path):
    source = open_data(clips_root)
    prepare(source, tmp_path / "ntu")
    prepare(
        Upper(
            source.names, upper(), source.class_names, source.splits, source, labels=source.labels
        ),
        tmp_path / "few",
    )
    root = os.pathsep.join(str(tmp_path / name) for name in ("ntu", "few"))
    run = tmp_path / "run"
    command = [*tiny, *SHORT, f"--root={root}", "--model.input_norm=channel", f"--out={run}"]
    assert main(command) == 0
    assert figures(run)["clips"] == 2 * 13
    assert len(figures(run)["per_class"]) == len(CLASS_NAMES)


def test_processes_share_the_clips(clips_root, monkeypatch):
    config = RunConfig(
        data="synthetic",
        root=str(clips_root),
        clips=ClipsConfig(num_frames=8, sampling="own"),
        trainer=TrainerConfig(batch_size=4),
    )
    clips = RunClips(config).datasets("whole", 0)[0]
    module = SkeletonDataModule(GraphBuilder(1, 1), clips, batch_size=4, by_length=True)
    whole = {name for batch in module.train_dataloader() for name in batch.names}
    shares = []
    for rank in (0, 1):
        monkeypatch.setattr("asgcn_dgl.training.datamodule.processes", lambda: 2)
        monkeypatch.setattr("asgcn_dgl.training.datamodule.rank", functools.partial(int, rank))
        shares.append([name for batch in module.train_dataloader() for name in batch.names])
    assert len(shares[0]) == len(shares[1]) == len(whole) // 2
    assert not set(shares[0]) & set(shares[1])
