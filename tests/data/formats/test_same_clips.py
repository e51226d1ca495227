"""The same clips in several formats: the same input of the model, and stores that train."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest
import torch

from asgcn_dgl.cli import main
from asgcn_dgl.data import SkeletonDataset, collate, open_data, open_store, prepare
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


def save_archive(path, clips, parts):
    """As CTR-GCN keeps a protocol: no names, classes as ones and zeros."""
    by_name = {clip.name: clip for clip in clips}
    frames = max(clip.num_frames for clip in clips)
    arrays = {}
    for part, names in (("train", parts["train"]), ("test", parts["val"])):
        data = np.zeros((len(names), frames, 2, clips[0].layout.num_joints, 3), dtype=np.float32)
        for row, name in zip(data, names, strict=True):
            clip = by_name[name]
            row[: clip.num_frames, : clip.num_bodies] = clip.pos.transpose(1, 0, 2, 3)
        arrays[f"x_{part}"] = data.reshape(len(names), frames, -1)
        arrays[f"y_{part}"] = np.eye(60)[[by_name[name].label for name in names]]
    np.savez(path, **arrays)


def save_own(folder, clips, parts):
    folder.mkdir()
    (folder / "layout.yaml").write_text(f"{clips[0].layout.name}\n")
    rows = ["clip,label,subject,split"]
    for clip in clips:
        np.savez(folder / f"{clip.name}.npz", keypoints=clip.pos, mask=clip.mask)
        part = "train" if clip.name in parts["train"] else "test"
        rows.append(f"{clip.name},{clip.label},{clip.meta['subject']},{part}")
    (folder / "clips.csv").write_text("\n".join(rows) + "\n")


@pytest.fixture(scope="module")
def space(tmp_path_factory):
    """Recordings as NTU's text, as annotation pickle, arrays, archive and own data."""
    root = tmp_path_factory.mktemp("space")
    write_synthetic(root / "raw", clips_per_class=3, subjects=3)
    raw = open_data(root / "raw", "synthetic")
    clips = [clip.trimmed() for clip in raw]
    parts = {
        part: [raw.names[number] for number in members]
        for part, members in zip(("train", "val"), raw.split("xsub"), strict=True)
    }
    save_pickle(root / "set.pkl", clips, parts)
    save_arrays(root / "xsub", clips, parts)
    save_archive(root / "NTU60_CS.npz", clips, parts)
    save_own(root / "own", clips, parts)
    return root


def test_the_same_in_space(space, tmp_path):
    sources = [
        open_data(space / "raw", "synthetic"),
        open_data(space / "set.pkl", "annotations"),
        open_data(space / "xsub", "arrays"),
        open_data(space / "own", "own"),
    ]
    prepare(sources[0], tmp_path / "store", shard=10)
    sources.append(open_store(tmp_path / "store"))
    names = sources[0].names
    assert all(sorted(source.names) == sorted(names) for source in sources)
    found = [inputs(source, names) for source in sources]
    for clips in zip(*(clips for _, clips in found), strict=True):
        assert len({clip.trimmed().pos.tobytes() for clip in clips}) == 1
        assert len({clip.trimmed().mask.tobytes() for clip in clips}) == 1
        assert len({clip.meta["subject"] for clip in clips}) == 1
    check_same([batch for batch, _ in found], 0)
    for part in (0, 1):
        members = [{source.names[number] for number in source.split()[part]} for source in sources]
        assert all(each == members[0] for each in members)
    archive = open_data(space / "NTU60_CS.npz", "arrays")
    batch, _ = inputs(archive, archive.names)
    train, test = sources[2].split("xsub")
    ordered = [sources[2].names[number] for number in train + test]
    check_same([batch, inputs(sources[0], ordered)[0]], 0)


def people(rng, frames):
    """Three bodies a frame, pixels of 340 x 256 and scores, some joints lost."""
    pos = rng.uniform(1, 250, (3, frames, 18, 2)).round(3)
    score = rng.uniform(0.1, 1, (3, frames, 18)).round(3)
    score[rng.random(score.shape) < 0.1] = 0
    return pos, score


def save_apart(folder, entries, parts):
    """As PYSKL keeps Kinetics-400: poses of all frames in a row, in a file of their own."""
    (folder / "kpfiles").mkdir(parents=True)
    rows, poses = [], {}
    for entry in entries:
        pos, score = entry["keypoint"][0], entry["keypoint_score"][0]
        rest = {key: value for key, value in entry.items() if not key.startswith("keypoint")}
        facts = {"raw_file": "data/kpfiles/a.pkl", "frame_inds": np.arange(len(pos))}
        rows.append({**rest, **facts})
        poses[entry["frame_dir"]] = {"keypoint": np.concatenate([pos, score[..., None]], axis=-1)}
    (folder / "kpfiles" / "a.pkl").write_bytes(pickle.dumps(poses, 4))
    (folder / "k400.pkl").write_bytes(pickle.dumps({"split": parts, "annotations": rows}, 4))


@pytest.fixture(scope="module")
def flat(tmp_path_factory):
    """Clips as Kinetics-Skeleton, as an annotation pickle of its best bodies, and otherwise."""
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
        open_data(root / "kinetics", "kinetics"),
        open_data(root / "set.pkl", "annotations"),
    ]
    save_arrays(root / "arrays", list(sources[0]), parts)
    save_apart(root / "k400", entries, parts)
    sources.append(open_data(root / "arrays", "arrays"))
    return root, [*sources, open_data(root / "k400", "annotations", layout="openpose18")]


def test_the_same_in_pictures(flat):
    _, sources = flat
    names = sources[0].names
    found = [inputs(source, names) for source in sources]
    check_same([batch for batch, _ in found], 1e-6)
    for clips in zip(*(clips for _, clips in found), strict=True):
        assert all(clip.scored and clip.num_bodies == 1 for clip in clips)
        assert len({clip.mask.tobytes() for clip in clips}) == 1


def prepare_then_train(data, place, folder, *options):
    """Make a store, look at it, train from it; return the names of its splits and the figures."""
    store, run = folder / "store", folder / "run"
    assert main(["prepare", f"--data={data}", f"--root={place}", f"--out={store}"]) == 0
    assert main(["inspect", str(store), "--verify"]) == 0
    command = ["train", f"--data={data}", f"--root={store}", f"--out={run}"]
    assert main([*command, *TINY.split(), *options]) == 0
    return list(open_data(store, data).splits), json.loads((run / "metrics.json").read_text())


@pytest.mark.parametrize(
    ("data", "where", "split"),
    [
        pytest.param("synthetic", "raw", "xsub", marks=pytest.mark.slow),
        ("annotations", "set.pkl", "xsub"),
        ("arrays", "xsub", "xsub"),
        pytest.param("arrays", "NTU60_CS.npz", "xsub", marks=pytest.mark.slow),
        pytest.param("own", "own", "split", marks=pytest.mark.slow),
    ],
)
def test_sets_in_space_train(space, tmp_path, data, where, split):
    splits, found = prepare_then_train(data, space / where, tmp_path)
    assert splits[0] == split and found["clips"] == 13


@pytest.mark.parametrize(
    ("data", "where", "split"),
    [
        ("kinetics", "kinetics", "kinetics"),
        ("annotations", "set.pkl", "split"),
        pytest.param("annotations", "k400", "split", marks=pytest.mark.slow),
        pytest.param("arrays", "arrays", "split", marks=pytest.mark.slow),
    ],
)
def test_sets_of_pictures_train(flat, tmp_path, data, where, split):
    root, sources = flat
    splits, found = prepare_then_train(data, root / where, tmp_path)
    assert splits == [split] and found["clips"] == len(sources[0].splits["kinetics"].test) == 4


@pytest.mark.slow
def test_utkinect_trains(shared_data, tmp_path):
    splits, found = prepare_then_train(
        "utkinect", shared_data / "utkinect", tmp_path, "--clips.protocol=five_1"
    )
    assert len(splits) == 30 and found["protocol"] == "five_1" and found["clips"] in (99, 100)


@pytest.mark.slow
def test_nw_ucla_trains(shared_data, tmp_path):
    splits, found = prepare_then_train("nw_ucla", shared_data / "nw_ucla", tmp_path)
    assert splits == ["xview"] and found["clips"] == 464


def test_a_part_of_nw_ucla_trains(shared_data, tmp_path):
    """Two sequences of each action and view; the folder holds links to them."""
    files = sorted((shared_data / "nw_ucla").rglob("a??_s0[12]_e00_v??.json"))
    (tmp_path / "part").mkdir()
    for path in files:
        (tmp_path / "part" / path.name).symlink_to(path)
    splits, found = prepare_then_train("nw_ucla", tmp_path / "part", tmp_path)
    tests = [path for path in files if path.stem.endswith("v03")]
    assert splits == ["xview"] and found["clips"] == len(tests) > 0
