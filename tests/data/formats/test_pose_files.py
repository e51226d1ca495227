from __future__ import annotations

import os
import pickle

import numpy as np
import pytest
from fuzz import check_reader
from members import members

from asgcn_dgl.data import open_store, prepare
from asgcn_dgl.data.formats.annotations import find_pose_file, open_annotations
from asgcn_dgl.data.registry import open_data
from asgcn_dgl.errors import InputError

#: Bodies in each of the five frames of a video; nobody is seen in the third.
CROWD = (1, 2, 0, 3, 1)


class Evil:
    """What runs when it is unpickled."""

    def __reduce__(self):
        return os.mkdir, ("evil",)


def video(name, label=0, crowd=CROWD, seed=0, joints=17, **others):
    """An annotation as PYSKL writes it for Kinetics-400, and the poses that it speaks of."""
    rng = np.random.default_rng(seed)
    frames = np.repeat(np.arange(len(crowd)), crowd)
    poses = rng.uniform(1, 100, (len(frames), joints, 3))
    poses[..., 2] = rng.uniform(0.1, 1, poses.shape[:2])
    entry = {
        "frame_dir": name,
        "label": label,
        "img_shape": (100, 200),
        "original_shape": (100, 200),
        "total_frames": len(crowd),
        "frame_inds": frames.astype(np.int16),
        "box_score": np.ones(len(frames), np.float16),
        "valid": {0.5: 4, 0.9: 1},
        "raw_file": "./data/k400/kpfiles/one.pkl",
        **others,
    }
    return entry, poses.astype(np.float16)


@pytest.fixture
def save(tmp_path):
    """Write annotations, and the poses of each file of poses; return the annotations' file."""

    def save(videos, split=None, folder="kpfiles", protocol=4):
        files = {}
        for entry, poses in videos:
            name = str(entry.get("raw_file")).rpartition("/")[2]
            if name.endswith(".pkl"):
                files.setdefault(name, {})[entry["frame_dir"]] = {"keypoint": poses}
        (tmp_path / folder).mkdir(exist_ok=True)
        for name, content in files.items():
            (tmp_path / folder / name).write_bytes(pickle.dumps(content, protocol))
        path = tmp_path / "k400.pkl"
        content = {"split": split or {}, "annotations": [entry for entry, _ in videos]}
        path.write_bytes(pickle.dumps(content, protocol))
        return path

    return save


@pytest.mark.parametrize("protocol", [2, 4, 5])
@pytest.mark.parametrize("folder", ["kpfiles", ".", "data/k400/kpfiles"])
def test_bodies_come_to_their_frames(save, tmp_path, folder, protocol):
    (tmp_path / "data/k400").mkdir(parents=True)
    videos = [video("a", 3), video("b", 1, (2, 1), seed=1, frame_inds=[0, 0, 1])]
    path = save(videos, {"train": ["a"], "val": ["b"]}, folder, protocol)
    source = open_annotations(path, normalize="none")
    assert source.layout.name == "coco17" and source.names == ("a", "b")
    assert members(source, "split") == (("a",), ("b",))
    clip = source.read(0)
    assert clip.label == 3 and clip.scored and clip.pos.shape == (2, 5, 17, 3)
    poses = videos[0][1].astype(np.float32)
    at = 0
    for frame, count in enumerate(CROWD):
        own = sorted(poses[at : at + count], key=lambda pose: -pose[:, 2].astype(float).sum())
        at += count
        for body in range(2):
            wanted = own[body] if body < count else np.zeros((17, 3))
            np.testing.assert_array_equal(clip.pos[body, frame], wanted)
            assert clip.mask[body, frame].all() == (body < count)
    assert source.read(1).pos.shape == (2, 2, 17, 3)
    again = pickle.loads(pickle.dumps(source))
    np.testing.assert_array_equal(again.read(0).pos, clip.pos)


def test_so_many_bodies_of_each_frame(save):
    path = save([video("a")])
    one, all_of_them = (open_annotations(path, bodies=bodies).read(0) for bodies in (1, 99))
    two = open_annotations(path).read(0)
    assert (one.num_bodies, two.num_bodies, all_of_them.num_bodies) == (1, 2, 3)
    np.testing.assert_array_equal(one.pos[0], two.pos[0])
    np.testing.assert_array_equal(all_of_them.pos[:2], two.pos)
    x = open_annotations(path, normalize="none").read(0).pos[0, 0, :, 0]
    np.testing.assert_allclose(two.pos[0, 0, :, 0], x / 200 - 0.5, rtol=1e-6)
    for bodies in (0, -1, True, 1.5, "x"):
        with pytest.raises(InputError, match="bodies must be a whole number from 1"):
            open_annotations(path, bodies=bodies)


def test_a_store_of_it(save, tmp_path):
    """Videos whose file of poses is not there are counted as dropped."""
    videos = [video("a"), video("b", 1, seed=1), video("c", 1, raw_file="kpfiles/two.pkl")]
    path = save(videos, {"train": ["a", "c"], "val": ["b"]})
    (tmp_path / "kpfiles/two.pkl").unlink()
    source = open_data(path, "annotations", bodies=1)
    summary = prepare(source, tmp_path / "store")
    assert [name for name, _ in summary.dropped] == ["c"]
    assert "'kpfiles/two.pkl', which is not in the annotations' folder" in summary.dropped[0][1]
    store = open_store(tmp_path / "store")
    assert members(store, "split") == (("a",), ("b",)) and store.origin.options["bodies"] == 1
    np.testing.assert_array_equal(store.read(1).pos, source.read(1).pos)


def test_changed_poses_are_other_recordings(save, tmp_path):
    path = save([video("a")])
    before = open_annotations(path).stamp()
    content = {"a": {"keypoint": video("a", seed=5)[1]}, "z": 1}
    (tmp_path / "kpfiles/one.pkl").write_bytes(pickle.dumps(content))
    assert open_annotations(path).stamp() != before
    assert open_annotations(path, bodies=1).stamp() != open_annotations(path).stamp()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"raw_file": 5}, r"\(a\): 'raw_file' is '5'"),
        ({"raw_file": ""}, "'raw_file' is ''"),
        ({"raw_file": "x" * 2000}, "none of which is in the annotations' folder"),
        ({"raw_file": "x" * 255}, "none of which is in the annotations' folder"),
        ({"total_frames": None}, "'total_frames' is None"),
        ({"total_frames": 0}, "'total_frames' is 0"),
        ({"total_frames": True}, "'total_frames' is True"),
        ({"total_frames": 10**12}, "would take"),
        ({"frame_inds": None}, "'frame_inds' is no list of whole numbers"),
        ({"frame_inds": [0.5]}, "'frame_inds' is no list"),
        ({"frame_inds": [2**60]}, "'frame_inds' is no list"),
        ({"frame_inds": np.ones(7)}, "'frame_inds' is no list"),
        ({"frame_inds": np.ones((7, 1), int)}, "'frame_inds' is no list"),
        ({"frame_inds": [0] * 6}, "names frames of 6 bodies, but .*one.pkl has 7"),
        ({"frame_inds": [5] * 7}, "frame 5 of 'frame_inds' is not one of its 5 frames"),
        ({"frame_inds": np.full(7, -1)}, "frame -1 of 'frame_inds'"),
        ({"frame_dir": "../x"}, "cannot be the name"),
    ],
)
def test_bad_entries_are_named(save, change, told):
    path = save([video("a", **change)])
    with pytest.raises(InputError, match=told) as caught:
        open_annotations(path).read(0)
    assert str(caught.value).startswith(str(path))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({}, "no poses of 'a' in it"),
        ([], "is no dict of poses"),
        ({"a": {"keypoint": None}}, r"\(a\): 'keypoint' is no array"),
        ({"a": {"keypoint": np.ones((7, 17, 2))}}, r"'keypoint' is \(7, 17, 2\)"),
        ({"a": {"keypoint": np.ones((7, 17, 3), bool)}}, "where numbers of"),
        ({"a": 5}, "'keypoint' is no array"),
        (Evil(), "nothing in it was run"),
        ({"a": {"keypoint": np.array([Evil()], object)}}, "nothing in it was run"),
    ],
)
def test_bad_files_of_poses_are_named(save, tmp_path, monkeypatch, content, told):
    monkeypatch.chdir(tmp_path)
    path = save([video("a")])
    (tmp_path / "kpfiles/one.pkl").write_bytes(pickle.dumps(content))
    with pytest.raises(InputError, match=told) as caught:
        open_annotations(path)
    assert str(caught.value).startswith(str(tmp_path / "kpfiles/one.pkl"))
    assert not (tmp_path / "evil").exists()


def test_poses_that_do_not_fit_together(save, tmp_path):
    path = save([video("a"), video("b", joints=18)])
    with pytest.raises(InputError, match="18 joints where layout 'coco17' has 17"):
        open_annotations(path).read(1)
    whole = {**video("b")[0], "keypoint": np.ones((1, 5, 17, 2), np.float16)}
    path = save([video("a"), (whole, video("b")[1])])
    with pytest.raises(InputError, match="the poses of b are in it, those of a in another file"):
        open_annotations(path)
    path = save([(whole, video("b")[1])])
    with pytest.raises(InputError, match="the option bodies is for sets whose poses are in files"):
        open_annotations(path, bodies=2)
    path = save([video("a", crowd=(1, 1))])
    content = {"a": {"keypoint": np.full((2, 17, 3), np.nan, np.float16)}}
    (tmp_path / "kpfiles/one.pkl").write_bytes(pickle.dumps(content))
    with pytest.raises(InputError, match="are zero or missing"):  # scores that are no numbers
        open_annotations(path).read(0)
    path = save([video("a", crowd=(0, 0))])
    with pytest.raises(InputError, match="are zero or missing"):
        open_annotations(path).read(0)


def test_no_file_of_poses_at_all(save, tmp_path):
    path = save([video("a")])
    (tmp_path / "kpfiles/one.pkl").unlink()
    with pytest.raises(InputError, match="none of which is in the annotations' folder; unpack"):
        open_annotations(path)


@pytest.mark.parametrize(
    "told",
    ["../one.pkl", "/one.pkl", "a/../../one.pkl", "..", "/", ".", "kpfiles", "a\0b", "C:\\one.pkl"],
)
def test_no_way_out_of_the_folder(tmp_path, told):
    (tmp_path / "one.pkl").write_bytes(b"x")
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "kpfiles").mkdir()
    assert find_pose_file(folder, told) is None
    (folder / "one.pkl").write_bytes(b"x")
    assert find_pose_file(folder, told) in (None, folder / "one.pkl")


@pytest.mark.slow
@pytest.mark.parametrize("protocol", [2, 4])
def test_mutants(protocol):
    videos = [video("a", crowd=(1, 2)), video("b", crowd=(2, 0, 1), seed=1)]

    def make(folder):
        poses = {entry["frame_dir"]: {"keypoint": poses} for entry, poses in videos}
        content = {
            "split": {"train": ["a"], "val": ["b"]},
            "annotations": [entry for entry, _ in videos],
        }
        (folder / "k400.pkl").write_bytes(pickle.dumps(content, protocol))
        (folder / "kpfiles").mkdir()
        (folder / "kpfiles/one.pkl").write_bytes(pickle.dumps(poses, protocol))
        return [folder / "k400.pkl", folder / "kpfiles/one.pkl"]

    good, bad = check_reader(
        make, lambda folder: open_annotations(folder / "k400.pkl"), 20_000, seed=23
    )
    assert good > 500 and bad > 1000
