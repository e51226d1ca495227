from __future__ import annotations

import json
import pickle
import re

import numpy as np
import pytest
from fuzz import check_reader

from asgcn_dgl.data import ClipList, open_data, parse_nw_ucla_name, read_nw_ucla
from asgcn_dgl.data.formats.nw_ucla import ACTION_NUMBERS, NW_UCLA
from asgcn_dgl.errors import InputError


def test_name():
    assert parse_nw_ucla_name("x/a12_s10_e04_v03.json") == (12, 10, 3, 0, 4)
    assert len(ACTION_NUMBERS) == len(NW_UCLA.class_names) == 10


@pytest.mark.parametrize("name", ["a1_s01_e00_v01.json", "a01_s01_e00.json", "b01_s01_e00_v01"])
def test_other_names_are_refused(name):
    with pytest.raises(InputError, match=f"{name}: the name is not of the form"):
        parse_nw_ucla_name(name)


def test_actions_outside_the_ten_are_refused():
    with pytest.raises(InputError, match="not of the form"):
        parse_nw_ucla_name("a07_s01_e00_v01.json")


def test_reads_what_was_written(write_nw_ucla):
    path = write_nw_ucla(frames=5)
    clip = read_nw_ucla(path)
    expected = np.array(json.loads(path.read_text())["skeletons"], dtype=np.float32)
    np.testing.assert_array_equal(clip.pos[0], expected)
    assert clip.mask.all()
    assert (clip.label, clip.name, clip.layout.name) == (6, "a08_s02_e01_v03", "kinectv1_20")
    assert clip.meta["subject"] == 2
    assert clip.meta["camera"] == 3
    assert clip.meta["path"] == str(path)


def test_one_frame_is_enough(write_nw_ucla):
    assert read_nw_ucla(write_nw_ucla(frames=1)).num_frames == 1


def test_joints_at_the_sensor_are_masked(write_nw_ucla):
    pos = np.ones((2, 20, 3))
    pos[1, 4] = 0
    clip = read_nw_ucla(write_nw_ucla(skeletons=pos.tolist()))
    assert np.argwhere(~clip.mask).tolist() == [[0, 1, 4]]


def test_other_names_read_with_the_label_of_the_content(write_nw_ucla):
    assert read_nw_ucla(write_nw_ucla("mine")).label == 6
    assert read_nw_ucla(write_nw_ucla("mine", label=None)).label == -1


def test_a_missing_label_comes_from_the_name(write_nw_ucla):
    assert read_nw_ucla(write_nw_ucla(label=None)).label == 6


@pytest.mark.parametrize(
    ("entries", "text"),
    [
        ({"label": 6}, '"label" is 6 but the name says 7'),
        ({"label": 11}, '"label" is 11, out of the range 1..10'),
        ({"label": 0}, '"label" is 0, out of the range'),
        ({"label": True}, '"label" is True, out of the range'),
        ({"label": "7"}, "\"label\" is '7', out of the range"),
        ({"skeletons": None}, 'no entry "skeletons"'),
        ({"skeletons": []}, '"skeletons" holds no frame'),
        ({"skeletons": {}}, '"skeletons" holds no frame'),
        ({"skeletons": np.ones((2, 25, 3)).tolist()}, "frame 1: 25 joints where NW-UCLA has 20"),
        ({"skeletons": [[[1.0] * 3] * 20, [[1.0] * 3] * 19]}, "frame 2: 19 joints where"),
        ({"skeletons": [[[1.0] * 3] * 20, 5]}, "frame 2: no list of joints"),
        ({"skeletons": [[[1.0] * 3] * 19 + [[1.0] * 2]]}, "frame 1, joint 20: not 3 coordinates"),
        ({"skeletons": [[[1.0] * 3] * 19 + [["x"] * 3]]}, "joint 20: 'x' is not a number"),
        ({"skeletons": [[[1.0] * 3] * 19 + [[1.0, 1.0, np.inf]]]}, "joint 20 .* is inf"),
        ({"skeletons": [[[1.0] * 3] * 19 + [[1.0, np.inf, 1.0]]]}, "joint 20 .* is inf"),
        ({"skeletons": np.zeros((2, 20, 3)).tolist()}, "all joints of all bodies are zero"),
    ],
)
def test_bad_content_is_named(write_nw_ucla, entries, text):
    path = write_nw_ucla(**entries)
    with pytest.raises(InputError, match=text) as caught:
        read_nw_ucla(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_a_truncated_file_is_named_with_its_line(write_nw_ucla):
    path = write_nw_ucla()
    path.write_text(path.read_text()[:500])
    with pytest.raises(InputError, match=re.escape(str(path)) + r", line 1, column \d+: not valid"):
        read_nw_ucla(path)


@pytest.mark.parametrize("content", [b"\xff\xfe\x00\x01", b"[1, 2]", b'"text"', b"[" * 100_000])
def test_garbled_files_are_refused(tmp_path, content):
    path = tmp_path / "a01_s01_e00_v01.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"a01_s01_e00_v01\.json"):
        read_nw_ucla(path)


@pytest.mark.slow
def test_the_real_set_reads_whole(shared_data):
    root = shared_data / "nw_ucla"
    ucla = open_data(root)
    train, test = ucla.split()
    assert (len(ucla), len(train), len(test)) == (1484, 1020, 464)
    listed = pickle.loads((root / "val_label.pkl").read_bytes())
    assert {entry["file_name"]: entry["label"] - 1 for entry in listed} == {
        clip.name: clip.label for clip in ClipList.load(ucla, test)
    }
    clips = ClipList.load(ucla, train)
    assert {clip.label for clip in clips} == set(range(10))
    assert min(clip.num_frames for clip in clips) == 1
    assert sum(int((~clip.mask).sum()) for clip in clips) == 12  # joints that the sensor lost


@pytest.mark.slow
def test_mutants_read_or_are_refused():
    rng = np.random.default_rng(0)

    def make_files(folder):
        for name, label in (("a08_s02_e01_v03", 7), ("a01_s01_e00_v01", 1)):
            pos = rng.normal(size=(2, 20, 3)).round(4).tolist()
            content = {"file_name": name, "skeletons": pos, "label": label}
            (folder / f"{name}.json").write_text(json.dumps(content))
        return sorted(folder.iterdir())

    good, bad = check_reader(
        make_files, lambda folder: map(read_nw_ucla, sorted(folder.iterdir())), 20_000, seed=2
    )
    assert good > 1000 and bad > 1000


def test_joints_that_are_null_or_nan_are_missing(write_nw_ucla):
    joints = [[1.0, 2.0, 3.0]] * 18 + [[None] * 3, [1.0, 1.0, float("nan")]]
    clip = read_nw_ucla(write_nw_ucla(skeletons=[joints] * 2))
    assert clip.mask[0].sum(axis=1).tolist() == [18, 18] and not clip.mask[0, :, 18:].any()
