"""The same clips in several formats: the same input of the model, and stores that train."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest
import torch

from asgcn_dgl.cli import main
from asgcn_dgl.data import SkeletonDataset, collate, open_set
from asgcn_dgl.data.formats.registry import open_source
from asgcn_dgl.data.synthetic import write_synthetic
from asgcn_dgl.skeleton import GraphBuilder

TINY = "--model.preset=small --model.channels=[8,8] --model.strides=[1,2] --trainer.epochs=1"
TINY += " --aim.epochs=1 --clips.num_frames=16 --trainer.batch_size=8 --clips.validation=none"


def inputs(source, names):
    """What a model gets of some clips, in the order of their names."""
    place = {name: number for number, name in enumerate(source.names)}
    clips = [source.read(place[name]) for name in names]
    dataset = SkeletonDataset(clips, num_frames=20, sampling="uniform")
    batch = collate([dataset[index] for index in range(len(clips))], builder=GraphBuilder(2, 2))
    return batch, clips


def check_same(batches, tolerance):
    first, *others = batches
    for other in others:
        assert first.feat.shape == other.feat.shape
        torch.testing.assert_close(first.feat, other.feat, rtol=0, atol=tolerance)
        assert torch.equal(first.label, other.label)


def save_pickle(path, clips, parts, **others):
    entries = [
        {
            "frame_dir": clip.name,
            "label": clip.label,
            "total_frames": clip.num_frames,
            "keypoint": clip.places,
            **({key: make(clip) for key, make in others.items()}),
        }
        for clip in clips
    ]
    split = {f"xsub_{part}": list(names) for part, names in parts.items()}
    path.write_bytes(pickle.dumps({"split": split, "annotations": entries}, 4))


def save_arrays(folder, clips, parts):
    folder.mkdir()
    by_name = {clip.name: clip for clip in clips}
    frames = max(clip.num_frames for clip in clips) + 5
    for part, names in parts.items():
        data = np.zeros((len(names), 3, frames, clips[0].layout.num_joints, 2), dtype=np.float32)
        for row, name in zip(data, names, strict=True):
            clip = by_name[name]
            row[:, : clip.num_frames, :, : clip.num_bodies] = clip.pos.transpose(3, 1, 2, 0)
        np.save(folder / f"{part}_data.npy", data)
        labels = [by_name[name].label for name in names]
        pair = ([f"{name}.skeleton" for name in names], labels)
        (folder / f"{part}_label.pkl").write_bytes(pickle.dumps(pair))


@pytest.fixture(scope="module")
def space(tmp_path_factory):
    """Recordings as NTU's text, as an annotation pickle and as arrays."""
    root = tmp_path_factory.mktemp("space")
    write_synthetic(root / "raw", clips_per_class=3, subjects=3)
    raw = open_source("synthetic", root / "raw")
    clips = [clip.trimmed() for clip in raw]
    split = raw.splits["xsub"]
    parts = {"train": split.train, "val": split.test}
    save_pickle(root / "set.pkl", clips, parts)
    save_arrays(root / "xsub", clips, parts)
    return root


def test_the_same_in_space(space):
    sources = [
        open_source("synthetic", space / "raw"),
        open_source("annotations", space / "set.pkl"),
        open_source("arrays", space / "xsub"),
    ]
    names = sources[0].names
    assert all(sorted(source.names) == sorted(names) for source in sources)
    found = [inputs(source, names) for source in sources]
    for clips in zip(*(clips for _, clips in found), strict=True):
        assert len({clip.trimmed().pos.tobytes() for clip in clips}) == 1
        assert len({clip.trimmed().mask.tobytes() for clip in clips}) == 1
        assert clips[0].meta["subject"] == clips[1].meta["subject"] == clips[2].meta["subject"]
    check_same([batch for batch, _ in found], 0)
    splits = [source.splits["xsub"] for source in sources]
    assert len({tuple(sorted(split.train)) for split in splits}) == 1
    assert len({tuple(sorted(split.test)) for split in splits}) == 1


def people(rng, frames):
    """Three bodies a frame, pixels of 340 x 256 and scores, some joints lost."""
    pos = rng.uniform(1, 250, (3, frames, 18, 2)).round(3)
    score = rng.uniform(0.1, 1, (3, frames, 18)).round(3)
    score[rng.random(score.shape) < 0.1] = 0
    return pos, score


@pytest.fixture(scope="module")
def flat(tmp_path_factory):
    """Clips as Kinetics-Skeleton and as an annotation pickle of its best bodies."""
    root, rng = tmp_path_factory.mktemp("flat"), np.random.default_rng(0)
    parts = {"train": [f"clip{n}" for n in range(10)], "val": [f"clip{n}" for n in range(10, 14)]}
    entries = []
    for part, names in parts.items():
        (root / "kinetics" / f"kinetics_{part}").mkdir(parents=True)
        table = {}
        for number, name in enumerate(names):
            pos, score = people(rng, 12 + number)
            label = number % 2
            data = [
                {
                    "frame_index": frame + 1,
                    "skeleton": [
                        {
                            "pose": (pos[body, frame] / (340, 256)).ravel().tolist(),
                            "score": score[body, frame].tolist(),
                        }
                        for body in range(3)
                    ],
                }
                for frame in range(pos.shape[1])
            ]
            facts = {"label": f"class {label}", "label_index": label}
            path = root / "kinetics" / f"kinetics_{part}" / f"{name}.json"
            path.write_text(json.dumps({"data": data, **facts}))
            table[name] = {"has_skeleton": True, **facts}
            best = [int(score.mean(axis=(1, 2)).argmax())]
            entries.append(
                {
                    "frame_dir": name,
                    "label": label,
                    "img_shape": (256, 340),
                    "total_frames": pos.shape[1],
                    "keypoint": pos[best],
                    "keypoint_score": score[best],
                }
            )
        (root / "kinetics" / f"kinetics_{part}_label.json").write_text(json.dumps(table))
    content = {"split": parts, "annotations": entries}
    (root / "set.pkl").write_bytes(pickle.dumps(content, 4))
    sources = [
        open_source("kinetics", root / "kinetics"),
        open_source("annotations", root / "set.pkl"),
    ]
    save_arrays(root / "arrays", list(sources[0]), parts)
    return root, [*sources, open_source("arrays", root / "arrays")]


def test_the_same_in_pictures(flat):
    _, sources = flat
    names = sources[0].names
    found = [inputs(source, names) for source in sources]
    check_same([batch for batch, _ in found], 1e-6)
    for clips in zip(*(clips for _, clips in found), strict=True):
        assert all(clip.scored and clip.num_bodies == 1 for clip in clips)
        assert len({clip.mask.tobytes() for clip in clips}) == 1


@pytest.mark.slow
@pytest.mark.parametrize("name", ["kinetics", "annotations", "arrays", "annotations-space"])
def test_prepare_then_train(flat, space, tmp_path, name):
    root = flat[0]
    data, _, other = name.partition("-")
    place = {"annotations": root / "set.pkl"}.get(data, root / data)
    if other:
        place = space / "set.pkl"
    store = tmp_path / "store"
    assert main(["prepare", f"--data={data}", f"--root={place}", f"--out={store}"]) == 0
    split = {"kinetics": "kinetics"}.get(data, "xsub" if other else "split")
    assert list(open_set(data, store).splits) == [split]
    run = tmp_path / "run"
    command = ["train", f"--data={data}", f"--root={store}", f"--out={run}", *TINY.split()]
    assert main(command) == 0
    assert json.loads((run / "metrics.json").read_text())["clips"] > 0
    assert main(["inspect", str(store)]) == 0
