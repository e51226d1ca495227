from __future__ import annotations

import copy
import json
import shutil

import numpy as np
import pytest
import torch

from asgcn_dgl.cli import main
from asgcn_dgl.data import (
    AlignSpine,
    Center,
    Clip,
    Compose,
    FitBox,
    SelectBodies,
    SkeletonDataset,
    read_ntu,
)
from asgcn_dgl.errors import InputError
from asgcn_dgl.experiments.gallery import examine
from asgcn_dgl.models import ASGCN
from asgcn_dgl.skeleton import get_layout
from asgcn_dgl.training.checkpoint import RECORD, Restored, load_model
from asgcn_dgl.training.predict import as_recorded, predict, predict_clip, read_clips


@pytest.fixture(scope="module")
def files(clips_root):
    one = next(clips_root.glob("*P003*A001.skeleton"))
    two = next(clips_root.glob("*P003*A011.skeleton"))
    return [one, two]


@pytest.fixture(scope="module")
def restored(trained):
    return load_model(trained / "checkpoints" / "best.ckpt")


def test_prints_a_table_and_writes_json(trained, files, tmp_path, capsys):
    out = tmp_path / "found.json"
    assert main(["predict", str(trained), *map(str, files), f"--out={out}", "--top=2"]) == 0
    printed = capsys.readouterr().out
    assert files[0].stem in printed
    assert "2 bodies" in printed
    assert printed.count(" %  ") == 4
    found = json.loads(out.read_text())
    first = found["clips"][0]
    assert first["file"] == str(files[0])
    assert sum(first["probabilities"]) == pytest.approx(1, abs=1e-5)
    assert first["class"] == found["class_names"][int(np.argmax(first["probabilities"]))]
    assert np.shape(found["clips"][1]["future"]) == (2, 10, 25, 3)


def test_writes_npz(trained, files, tmp_path):
    out = tmp_path / "found.npz"
    assert main(["predict", str(trained), *map(str, files), f"--out={out}"]) == 0
    found = np.load(out)
    assert found["probabilities"].shape == (2, 13)
    assert found["future_1"].shape == (2, 10, 25, 3)


def test_says_what_evaluation_says(trained, restored, files):
    scores = np.load(trained / "scores.npz")
    (place,) = np.flatnonzero(scores["names"] == files[1].stem)
    found = predict_clip(restored, *read_clips(files[1]))
    assert found.probabilities == pytest.approx(scores["probabilities"][place], abs=1e-5)


def test_future_stands_where_the_recording_does(restored, files):
    clip = read_ntu(files[0])
    found = predict_clip(restored, clip)
    seen = clip.mask[0, -1]
    # An untrained head hardly leaves the last pose; the aligned one would be metres away.
    step = np.linalg.norm(found.future[0, 0] - clip.pos[0, -1], axis=-1)[seen]
    assert np.median(step) < 0.5
    moved = Clip.from_positions(
        clip.name, clip.layout, clip.pos + np.where(clip.mask[..., None], [1.0, 2.0, 3.0], 0.0)
    )
    assert predict_clip(restored, moved).future == pytest.approx(
        found.future + np.float32([1, 2, 3]), abs=1e-3
    )


@pytest.mark.parametrize("scale", [1.0, 2.5])
def test_poses_come_back_where_each_axis_was_scaled_by_itself(files, scale):
    clip = read_ntu(files[0])
    clip = clip.with_pos(scale * clip.pos)
    move = Compose(Center(), AlignSpine(), FitBox())
    dataset = SkeletonDataset([clip], transform=move, num_frames=None)
    raw = dataset.clip(0)
    poses = move(raw, np.random.default_rng(0)).pos
    seen = raw.mask
    np.testing.assert_allclose(as_recorded(poses, dataset, 0)[seen], raw.pos[seen], atol=1e-4)
    observed = SkeletonDataset([clip], transform=move, num_frames=None, mode="observed")
    future, seen = raw.pos[:, -10:], observed[0].future_mask
    assert seen.any()
    back = as_recorded(observed[0].future, observed, 0)
    np.testing.assert_allclose(back[seen], future[seen], atol=1e-4)


def test_future_of_the_chosen_body_stands_where_it_does(trained, files):
    chosen = load_model(trained / "checkpoints" / "best.ckpt")
    (clip,) = read_clips(files[1])
    assert clip.num_bodies == 2
    alone = predict_clip(chosen, SelectBodies(1, "tracking")(clip))
    chosen.config.clips.max_bodies, chosen.config.clips.body_rule = 1, "tracking"
    found = predict_clip(chosen, clip)
    assert found.num_bodies == 1
    np.testing.assert_array_equal(found.probabilities, alone.probabilities)
    np.testing.assert_array_equal(found.future, alone.future)


def test_format_is_told_by_content_where_the_suffix_does_not(files, tmp_path):
    renamed = shutil.copy(files[0], tmp_path / f"{files[0].stem}.txt")
    assert read_clips(renamed)[0].layout.name == "ntu25"


def test_real_recordings_pass(trained, shared_data, tmp_path, capsys):
    files = sorted((shared_data / "ntu" / "raw").glob("*.skeleton"))
    assert len(files) == 3
    out = tmp_path / "found.json"
    assert main(["predict", str(trained), *map(str, files), f"--out={out}"]) == 0
    found = {clip["name"]: clip for clip in json.loads(out.read_text())["clips"]}
    assert found["S001C003P008R002A058"]["bodies"] == 2


def test_a_checkpoint_alone_is_enough_wherever_it_lies(trained, files, tmp_path):
    """Not its folder, nor the set that it was trained on, which this package does not know."""
    checkpoint = torch.load(trained / "checkpoints" / "best.ckpt", weights_only=True)
    checkpoint[RECORD]["run"]["data"] = "my_own_store"
    checkpoint[RECORD]["run"]["root"] = str(tmp_path / "gone")
    alone = tmp_path / "elsewhere" / "model.ckpt"
    alone.parent.mkdir()
    torch.save(checkpoint, alone)
    (here,) = predict(trained, files[:1], checkpoint="best")
    (there,) = predict(alone, files[:1])
    assert np.array_equal(there.probabilities, here.probabilities)
    assert np.array_equal(there.future, here.future)


def test_other_skeleton_is_refused(restored):
    pos = np.ones((1, 20, 20, 3), dtype=np.float32)
    clip = Clip.from_positions("sitting", get_layout("kinectv1_20"), pos)
    with pytest.raises(InputError, match="sitting: its skeleton 'kinectv1_20'"):
        predict_clip(restored, clip)


def test_clips_get_the_layout_that_the_run_was_trained_on(restored, files):
    config = copy.deepcopy(restored.config)
    config.clips.layout = "openni15"
    model = ASGCN("openni15", 13, channels=(8, 8), strides=(1, 2), num_actional=1, aim_hidden=8)
    part = Restored(model.eval(), restored.class_names, config, 1)
    clip = read_ntu(files[1])
    found = predict_clip(part, clip)
    assert found.future.shape == (2, 10, 15, 3)
    (exhibit,) = examine(part, [clip])
    assert exhibit.layout.name == "openni15" and exhibit.pos.shape[2] == 15
    np.testing.assert_allclose(exhibit.probabilities, found.probabilities, atol=1e-5)


def damaged(kind, files, tmp_path):
    text = files[0].read_bytes()
    path = tmp_path / files[0].name
    if kind == "truncated":
        path.write_bytes(text[: len(text) // 2])
    elif kind == "garbled":
        path.write_bytes(text.replace(b"25\r\n", b"2x\r\n", 3))
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "unknown":
        path = tmp_path / "clip.dat"
        path.write_bytes(b"\x00\x01")
    return path


@pytest.mark.parametrize("kind", ["truncated", "garbled", "empty", "unknown", "absent"])
def test_bad_file_gives_one_line_and_nothing_else(trained, files, tmp_path, capsys, kind):
    bad = damaged(kind, files, tmp_path)
    out = tmp_path / "found.json"
    assert main(["predict", str(trained), str(files[0]), str(bad), f"--out={out}"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"asgcn-dgl: error: {bad}")
    assert captured.err.count("\n") == 1
    assert not out.exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--out=found.txt"], "ends in .json or .npz"),
        (["--top=0"], "--top must be at least 1"),
    ],
)
def test_bad_options(trained, files, capsys, options, words):
    assert main(["predict", str(trained), str(files[0]), *options]) == 2
    assert words in capsys.readouterr().err
