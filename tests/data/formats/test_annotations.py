from __future__ import annotations

import os
import pickle
import struct
from dataclasses import replace

import numpy as np
import pytest
from fuzz import check_reader
from hypothesis import given, settings
from hypothesis import strategies as st
from members import members

from asgcn_dgl.data import prepare
from asgcn_dgl.data.formats import estimates
from asgcn_dgl.data.formats.annotations import open_annotations
from asgcn_dgl.data.formats.ntu import NTU60, NTU60_SUBJECTS
from asgcn_dgl.data.registry import open_data
from asgcn_dgl.errors import InputError

NTU = ("S001C001P001R001A001", "S001C002P003R001A002", "S002C003P002R002A060")


class Evil:
    """What runs when it is unpickled."""

    def __reduce__(self):
        return os.mkdir, ("evil",)


def flat(name="a", label=0, bodies=2, frames=4, joints=17, seed=0, **others):
    rng = np.random.default_rng(seed)
    return {
        "frame_dir": name,
        "label": label,
        "total_frames": frames,
        "img_shape": (100, 200),
        "original_shape": (100, 200),
        "keypoint": rng.uniform(0, 100, (bodies, frames, joints, 2)).astype(np.float16),
        "keypoint_score": rng.uniform(0.1, 1, (bodies, frames, joints)).astype(np.float16),
        **others,
    }


def space(name, label, bodies=1, frames=4, seed=0, **others):
    pos = np.random.default_rng(seed).normal(size=(bodies, frames, 25, 3))
    return {
        "frame_dir": name,
        "label": label,
        "total_frames": frames,
        "keypoint": pos.astype(np.float32),
        **others,
    }


@pytest.fixture
def save(tmp_path):
    def save(entries, split=None, protocol=4):
        path = tmp_path / "set.pkl"
        content = entries if split is None else {"split": split, "annotations": entries}
        path.write_bytes(pickle.dumps(content, protocol))
        return path

    return save


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_poses_in_space(save, protocol):
    entries = [space(name, int(name[-3:]) - 1, seed=n) for n, name in enumerate(NTU)]
    split = {
        "xsub_train": list(NTU[:1] + NTU[2:]),
        "xsub_val": [NTU[1]],
        "xview_train": list(NTU[1:]),
        "xview_val": [NTU[0]],
    }
    source = open_annotations(save(entries, split, protocol))
    assert source.names == NTU and source.layout.name == "ntu25"
    assert (source.class_names[1], len(source.class_names)) == ("eat meal/snack", 60)
    assert {name: members(source, name) for name in source.splits} == {
        "xsub": (NTU[:1] + NTU[2:], NTU[1:2]),
        "xview": (NTU[1:], NTU[:1]),
    }
    for clip, entry in zip(source, entries, strict=True):
        np.testing.assert_array_equal(clip.pos, entry["keypoint"])
        assert clip.mask.all() and not clip.scored and clip.label == entry["label"]
    assert clip.meta["subject"] == 2 and clip.meta["camera"] == 3
    assert pickle.loads(pickle.dumps(source)).read(1).name == NTU[1]


def test_places_in_pictures(save):
    entry = flat()
    x, y = np.moveaxis(entry["keypoint"].astype(np.float64), -1, 0)
    expected = {
        "centred": (x / 200 - 0.5, y / 100 - 0.5),
        "pyskl": (x / 100 - 1, y / 50 - 1),
        "height": ((x - 100) / 100, (y - 50) / 100),
        "none": (x, y),
    }
    path = save([entry])
    for normalize, places in expected.items():
        clip = open_annotations(path, normalize=normalize).read(0)
        np.testing.assert_allclose(clip.places, np.stack(places, axis=-1), rtol=1e-6, atol=1e-7)
        np.testing.assert_array_equal(clip.scores, entry["keypoint_score"])
    clip = open_annotations(path, score=False).read(0)
    assert clip.pos.shape == (2, 4, 17, 2) and not clip.scored and clip.layout.name == "coco17"


def test_what_is_missing(save):
    entry = flat(bodies=3)
    entry["keypoint_score"][0, 1, :3] = (0, 0.05, np.nan)
    entry["keypoint"][0, 1, 0] = np.nan  # under a score of 0
    entry["keypoint"][1] = entry["keypoint_score"][1] = 0  # a body that is not there
    path = save([entry])
    clip = open_annotations(path).read(0)
    assert clip.num_bodies == 2
    assert np.argwhere(~clip.mask).tolist() == [[0, 1, 0], [0, 1, 2]]
    clip = open_annotations(path, min_score=0.06).read(0)
    assert np.argwhere(~clip.mask).tolist() == [[0, 1, 0], [0, 1, 1], [0, 1, 2]]
    entry = space("a", 0, bodies=2)
    entry["keypoint"][0, 2, 5] = entry["keypoint"][1] = 0
    clip = open_annotations(save([entry])).read(0)
    assert clip.num_bodies == 1 and np.argwhere(~clip.mask).tolist() == [[0, 2, 5]]


def test_what_is_missing_is_told_by_the_pixels(save):
    """Without scores (0, 0) is a lost joint, whatever becomes of the pixels afterwards."""
    entry = flat()
    del entry["keypoint_score"]
    pos = entry["keypoint"] = np.abs(entry["keypoint"]).repeat(2, axis=0)[:2] + 9
    pos[0, :, 9] = pos[0, 2] = 0  # a joint that is never found, a frame without anybody
    pos[1] = 0  # and nobody else
    pos[0, 0, 3] = np.nan
    for normalize in ("centred", "pyskl", "height", "none"):
        clip = open_annotations(save([entry]), normalize=normalize).read(0)
        assert clip.num_bodies == 1
        lost = ~clip.mask[0]
        assert lost[:, 9].all() and lost[2].all() and lost[0, 3]
        assert lost.sum() == lost.shape[0] + 17


def test_the_third_coordinate(save):
    rng = np.random.default_rng(0)
    entry = {**flat(), "keypoint": rng.uniform(0.1, 0.9, (1, 4, 17, 3))}
    entry = {**entry, "total_frames": 4, "keypoint_score": None}
    with pytest.raises(InputError, match="17 joints, which no layout"):
        open_annotations(save([entry]))
    assert open_annotations(save([entry]), layout="coco17").read(0).scored
    assert not open_annotations(save([entry]), layout="coco17", third="depth").read(0).scored
    entry["keypoint"] = entry["keypoint"] - 0.5
    with pytest.raises(InputError, match=r"no score; .* --options\.third depth"):
        open_annotations(save([entry]), layout="coco17")
    entry["keypoint_score"] = np.ones((1, 4, 17))
    with pytest.raises(InputError, match="the third is a depth"):
        open_annotations(save([entry]), layout="coco17", third="score")


def test_splits_of_all_kinds(save, caplog):
    entries = [flat(name) for name in "abc"]
    split = {
        **{"train1": ["a"], "test1": ["b", "c"], "train2": ["b"], "test2": ["a"]},
        **{"train": ["a"], "val": ["b"], "test": ["c"], "sub_val": ["a"], "x_train": ["a", "zz"]},
    }
    source = open_annotations(save(entries, split))
    assert {name: members(source, name) for name in source.splits} == {
        "split1": (("a",), ("b", "c")),
        "split2": (("b",), ("a",)),
        "split": (("a",), ("c",)),
        "split_val": (("a",), ("b",)),
        "sub": ((), ("a",)),
        "x": (("a",), ()),
    }
    assert "no annotation of 1 recordings of the split x_train, such as zz" in caplog.text
    assert open_annotations(save(entries)).splits == {}  # a list alone


def test_layouts(save, tmp_path):
    for joints, name in ((17, "coco17"), (18, "openpose18"), (133, "wholebody133")):
        assert open_annotations(save([flat(joints=joints)])).layout.name == name
    with pytest.raises(InputError, match=r"7 joints, which no layout .* --options\.layout"):
        open_annotations(save([flat(joints=7)]))
    path = save([flat(joints=25)])
    assert open_annotations(path).layout.name == "openpose25"
    assert open_annotations(path, layout="ntu25").layout.name == "ntu25"
    with pytest.raises(InputError, match="25 joints where layout 'coco17' has 17"):
        open_annotations(path, layout="coco17")
    (tmp_path / "classes.txt").write_text("run\nwalk\n")
    assert open_data(tmp_path, "annotations").class_names == ("run", "walk")


def test_ntu_recordings_in_the_wrong_part(save, caplog):
    entries = [space(name, int(name[-3:]) - 1) for name in NTU]
    split = {"xsub_train": [NTU[1]], "xsub_val": [NTU[0]]}
    open_annotations(save(entries, split))
    assert "2 recordings, such as S001C002P003R001A002, are in another part of xsub" in caplog.text


def test_a_whole_set_has_the_published_counts(save, monkeypatch):
    """As NTU RGB+D 60 would be with thirty recordings, one of each subject."""
    small = replace(NTU60, counts={30: {"xsub": (20, 10)}})
    monkeypatch.setattr(estimates, "NTU60", small)
    test_subjects = sorted(set(range(1, 41)) - NTU60_SUBJECTS)[:10]
    names = [f"S001C001P{n:03d}R001A001" for n in (*sorted(NTU60_SUBJECTS), *test_subjects)]
    pos = np.ones((1, 1, 25, 3), dtype=np.float16)
    entries = [{"frame_dir": name, "label": 0, "keypoint": pos} for name in names]
    train, test = names[:20], names[20:]
    source = open_annotations(save(entries, {"xsub_train": train, "xsub_val": test}))
    assert (len(source.splits["xsub"].train), len(source.splits["xsub"].test)) == (20, 10)
    with pytest.raises(InputError, match="20 training and 10 test"):
        open_annotations(save(entries, {"xsub_train": train[1:], "xsub_val": [*test, train[0]]}))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"frame_dir": None}, "annotation 1: no 'frame_dir'"),
        ({"frame_dir": "../x"}, "cannot be the name of a recording"),
        ({"frame_dir": "/etc/x"}, "cannot be the name of a recording"),
        ({"frame_dir": "a\0"}, "cannot be the name of a recording"),
        ({"label": "run"}, r"\(a\): 'label' is no class number"),
        ({"label": -2}, "'label' is no class number"),
        ({"total_frames": 5}, "'total_frames' is 5, but 'keypoint' has 4"),
        ({"keypoint": None}, "'keypoint' is no array"),
        ({"keypoint": None, "raw_file": "k.pkl"}, "'frame_inds' is no list"),
        ({"keypoint": np.ones((4, 17, 2))}, r"'keypoint_score' is \(2, 4, 17\)"),
        ({"keypoint": np.ones((4, 17))}, r"'keypoint' is \(4, 17\)"),
        ({"keypoint": np.ones((2, 4, 17, 2), dtype=bool)}, "which is no number"),
        ({"keypoint_score": np.ones((2, 4, 16))}, r"'keypoint_score' is \(2, 4, 16\)"),
        ({"img_shape": (0, 5)}, "'img_shape' is no"),
        ({"img_shape": "ab"}, "'img_shape' is no"),
    ],
)
def test_bad_entries_are_named(save, change, told):
    path = save([flat(**change)])
    with pytest.raises(InputError, match=told) as caught:
        open_annotations(path)
    assert str(caught.value).startswith(str(path))


def test_bad_files_are_named(save, tmp_path):
    for content in ({}, [], {"annotations": {}}, {"annotations": []}, 5, [[]]):
        with pytest.raises(InputError, match=r"set\.pkl"):
            open_annotations(save(content))
    with pytest.raises(InputError, match="label 5 where the name says 0"):
        open_annotations(save([space(NTU[0], 5)])).read(0)
    with pytest.raises(InputError, match="no img_shape"):
        open_annotations(save([flat(img_shape=None)])).read(0)
    with pytest.raises(InputError, match="is inf"):
        entry = flat()
        entry["keypoint"][0, 0, 0] = np.inf
        open_annotations(save([entry]), normalize="height").read(0)
    for split, told in (
        ({"train": ["a"], "val": ["a"]}, "'a' both trains and tests"),
        ({"train": ["a", "a"]}, "holds a name twice"),
        ({"other": ["a"]}, "is no list that is called"),
        ({"train": [1]}, "holds what is no name"),
        ({"train": 1}, "is no list"),
        ({"x_train": ["a"], "train_x": ["b"]}, "two lists"),
        ({"../x_train": ["a"]}, "cannot be the name"),
    ):
        with pytest.raises(InputError, match=told):
            open_annotations(save([flat(), flat("b")], split))
    (tmp_path / "other.pkl").write_bytes(b"x")
    with pytest.raises(InputError, match="2 files"):
        open_annotations(tmp_path)
    for options in ({"normalize": "x"}, {"min_score": "x"}, {"score": 1}):
        with pytest.raises(InputError, match="must be"):
            open_annotations(save([flat()]), **options)


def test_entries_as_people_write_them(save):
    """Nested lists, one body without its axis, scores with one more, numpy's numbers."""
    entry = flat(bodies=1)
    expected = open_annotations(save([entry])).read(0)
    pos, score = entry["keypoint"], entry["keypoint_score"]
    for change in (
        {"keypoint": pos.tolist(), "keypoint_score": score.tolist()},
        {"keypoint": pos[0], "keypoint_score": score[0]},
        {"keypoint_score": score[..., None]},
        {"img_shape": np.array([100, 200]), "label": np.int64(0), "total_frames": np.int64(4)},
    ):
        clip = open_annotations(save([{**entry, **change}])).read(0)
        np.testing.assert_array_equal(clip.pos, expected.pos)
    for names in (np.array(["a"]), {"a"}, ("a",)):
        assert members(open_annotations(save((entry,), {"train": names})), "split")[0] == ("a",)
    for bad in ([[[1, 2], [3]]], [[[[[1]]]]], ["a"], []):
        with pytest.raises(InputError, match="'keypoint' is"):
            open_annotations(save([{**entry, "keypoint": bad}]))


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        ([], "is no dict"),
        ({"frame_dir": "../x"}, "cannot be the name"),
        (flat("bad", label="run"), "'label' is no class number"),
        (flat("bad", total_frames=9), "'total_frames' is 9"),
        (flat("bad", joints=18), "18 joints of 2 coordinates, where others have 17 of 2"),
        (flat("b"), "duplicate name 'b'"),
        (flat("bad", bodies=30, frames=2), "30 bodies over 2 frames"),
    ],
)
def test_one_bad_annotation_of_many_is_dropped_and_counted(save, tmp_path, bad, told):
    path = save([flat("a"), bad, flat("b", label=1), flat("c")], {"train": ["a", "b", "bad"]})
    reader = open_annotations(path)
    with pytest.raises(InputError, match=told):
        list(reader)
    summary = prepare(reader, tmp_path / "store")
    assert summary.read == 3 and len(summary.dropped) == 1 and told in str(summary)
    with pytest.raises(InputError, match=told):
        prepare(reader, tmp_path / "other", strict=True)


def test_joints_that_are_never_rated_are_seen_with_a_warning(save, caplog):
    entry = flat(frames=8)
    entry["keypoint_score"][:, :, 3] = 0
    clip = open_annotations(save([entry])).read(0)
    assert clip.mask.all() and (clip.scores[:, :, 3] == 1).all()
    assert "the score of left_ear is 0 in all frames" in caplog.text
    entry["keypoint"][:, :, 3] = 0  # not found
    assert not open_annotations(save([entry])).read(0).mask[:, :, 3].any()


def test_a_hostile_pickle_runs_nothing(save, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for entries in ([Evil()], [flat(label=Evil())], [flat(keypoint=np.array([Evil()], object))]):
        with pytest.raises(InputError, match="nothing in it was run"):
            open_annotations(save(entries, {"train": ["a"]}))
    assert not (tmp_path / "evil").exists()


def test_poses_stay_in_the_file(save):
    """What is held of a recording does not grow with its frames."""
    sizes = [
        len(pickle.dumps(open_annotations(save([flat(frames=frames)])))) for frames in (50, 5000)
    ]
    assert sizes[1] < sizes[0] + 50


def nested(levels, width):
    """A list of lists of lists ..., small in memory, without an end to who walks it."""
    value = [1]
    for _ in range(levels):
        value = [value] * width
    return value


NESTED = nested(60, 9)
DEEP = "a tuple in a tuple, deeper than Python calls itself"


@pytest.mark.parametrize(
    "change",
    [
        {"total_frames": NESTED},
        {"total_frames": DEEP},
        {"label": NESTED},
        {"frame_dir": NESTED},
        {"img_shape": nested(60, 2)},
        {"keypoint": None, "raw_file": NESTED},
        {"keypoint": None, "raw_file": DEEP},
        {"keypoint_score": DEEP},
    ],
    ids=lambda change: "-".join(change),
)
def test_containers_where_numbers_should_be(save, change):
    path = save([flat(**change)], protocol=2)
    text = b"X" + struct.pack("<I", len(DEEP)) + DEEP.encode()
    path.write_bytes(path.read_bytes().replace(text, b")" + b"\x85" * 10**5))
    with pytest.raises(InputError, match=r"set\.pkl") as caught:
        open_annotations(path)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 500


def test_what_is_too_large(save, monkeypatch):
    with pytest.raises(InputError, match="no class number from 0 to 9999"):
        open_annotations(save([flat(label=10_000)]))
    monkeypatch.setattr("asgcn_dgl.data.files.MAX_BYTES", 1000)
    with pytest.raises(InputError, match=r"set\.pkl \(a\): a clip would take"):
        open_annotations(save([flat(frames=100)]))
    monkeypatch.setattr("asgcn_dgl.data.formats.annotations.MAX_MEMBERS", 10)
    names = [f"clip{number}" for number in range(6)]
    with pytest.raises(InputError, match="12 names in lists of splits; 10 are read"):
        open_annotations(save([flat()], {"a_train": names, "b_train": names}))


def test_poses_with_exchanged_axes(save):
    """As they come out of ST-GCN's order of axes, by numpy's transpose."""
    pos = np.random.default_rng(0).normal(size=(3, 5, 25, 2)).transpose(3, 1, 2, 0)
    for protocol in (2, 4, 5):
        source = open_annotations(save([{**space("a", 0), "keypoint": pos, "total_frames": 5}],
                                       protocol=protocol))  # fmt: skip
        np.testing.assert_array_equal(source.read(0).pos, pos.astype(np.float32))


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)


@settings(deadline=None, max_examples=100)
@given(st.sampled_from([*flat()]), ANYTHING, st.sampled_from(["entry", "split", "list"]))
def test_any_value_anywhere_gives_clips_or_an_error(tmp_path_factory, key, value, where):
    content = {"annotations": [flat(), flat("b")], "split": {"train": ["a"], "val": ["b"]}}
    if where == "entry":
        content["annotations"][1][key] = value
    elif where == "split":
        content["split"]["val"] = value
    else:
        content["annotations"].append(value)
    path = tmp_path_factory.getbasetemp() / "anything.pkl"
    path.write_bytes(pickle.dumps(content))
    try:
        clips = list(open_annotations(path))
    except InputError as error:
        assert str(error).startswith(str(path))
    else:
        assert len(clips) == 2
        assert all(np.isfinite(clip.pos).all() for clip in clips)


@pytest.mark.slow
@pytest.mark.parametrize("protocol", [2, 4])
def test_mutants(protocol):
    content = {
        "split": {"train": ["a"], "val": ["b"]},
        "annotations": [flat("a", frames=2), flat("b", frames=2, seed=1)],
    }

    def make(folder):
        (folder / "set.pkl").write_bytes(pickle.dumps(content, protocol))
        return [folder / "set.pkl"]

    good, bad = check_reader(make, lambda folder: open_annotations(folder), 20_000, seed=11)
    assert good > 500 and bad > 1000


def test_a_name_given_twice_does_not_decide_how_many_joints_there_are(save):
    path = save([flat("a"), flat("a", joints=18), flat("a", joints=18), flat("b"), flat("c")])
    reader = open_annotations(path)
    assert len(reader) == 5 and reader.layout.num_joints == 17
    assert [reader.read(n).name for n in (0, 3, 4)] == ["a", "b", "c"]
