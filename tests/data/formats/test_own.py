from __future__ import annotations

import pickle

import numpy as np
import pytest
from fuzz import check_reader
from members import members

from asgcn_dgl.data import open_store, prepare
from asgcn_dgl.data.formats.own import open_own, read_arrays
from asgcn_dgl.data.registry import FORMATS, format_options, open_data
from asgcn_dgl.errors import InputError
from asgcn_dgl.skeleton import SkeletonLayout, get_layout

ARM = SkeletonLayout.from_bones("arm", [("a", "b"), ("b", "c")])
LAYOUT = "name: arm\njoints: [a, b, c]\nbones: [[a, b], [b, c]]\n"


@pytest.fixture
def pos():
    return np.random.default_rng(0).normal(size=(2, 5, 3, 3))


@pytest.fixture
def save(tmp_path):
    def save(name="a", **arrays):
        path = tmp_path / f"{name}.npz"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, **arrays)
        return path

    (tmp_path / "layout.yaml").write_text(LAYOUT)
    return save


def test_arrays(save, pos):
    clip = read_arrays(save(keypoints=pos, fps=25), ARM, label=3)
    np.testing.assert_array_equal(clip.pos, pos.astype(np.float32))
    assert (clip.name, clip.label, clip.meta["fps"]) == ("a", 3, 25.0)
    flat = read_arrays(save(keypoints=pos[0, ..., :2].astype(np.float32)), ARM)
    assert flat.pos.shape == (1, 5, 3, 2)
    whole = read_arrays(save(keypoints=(100 * pos).astype(np.int32)), ARM)
    assert whole.pos.dtype == np.float32


def test_what_is_missing(save, pos):
    pos[0, 0, 0] = 0
    assert np.argwhere(~read_arrays(save(keypoints=pos), ARM).mask).tolist() == [[0, 0, 0]]
    mask = np.ones((2, 5, 3), dtype=bool)
    mask[1, 2, 1] = False
    clip = read_arrays(save(keypoints=pos, mask=mask), ARM)
    np.testing.assert_array_equal(clip.mask, mask)  # at the origin, but seen
    score = np.full((2, 5, 3), 0.9)
    score[0, 3] = (0, 0.2, np.nan)
    clip = read_arrays(save(keypoints=pos, mask=mask, score=score), ARM)
    assert np.argwhere(~clip.mask).tolist() == [[0, 3, 0], [0, 3, 2], [1, 2, 1]]
    clip = read_arrays(save(keypoints=pos, score=score), ARM, min_score=0.2)
    assert np.argwhere(~clip.mask).tolist() == [[0, 3, 0], [0, 3, 1], [0, 3, 2]]


def test_nan_by_a_named_rule(save, pos):
    pos[1, 4, 2, 0] = np.nan
    path = save(keypoints=pos)
    told = r"a\.npz: coordinate 1 of joint 3 .* is nan; .* --options\.nan missing"
    with pytest.raises(InputError, match=told):
        read_arrays(path, ARM, nan="error")
    clip = read_arrays(path, ARM)
    assert np.argwhere(~clip.mask).tolist() == [[1, 4, 2]]
    pos[0, 0, 0, 0] = np.inf
    with pytest.raises(InputError, match="is inf"):
        read_arrays(save(keypoints=pos), ARM, nan="missing")


@pytest.mark.parametrize(
    ("arrays", "told"),
    [
        ({"points": np.ones((5, 3, 3))}, "no array 'keypoints' in it"),
        ({"keypoints": np.ones((3, 3))}, r"keypoints are float64 \(3, 3\), where"),
        ({"keypoints": np.ones((5, 3, 4))}, r"keypoints are float64 \(5, 3, 4\)"),
        ({"keypoints": np.ones((5, 3, 3), dtype=bool)}, "keypoints are bool"),
        ({"keypoints": np.ones((5, 3, 3), dtype=complex)}, "no plain number or text"),
        ({"keypoints": np.ones((5, 4, 3))}, "4 joints where layout 'arm' has 3"),
        ({"keypoints": np.ones((0, 3, 3))}, "the clip holds no frame"),
        ({"keypoints": np.zeros((5, 3, 3))}, "all joints of all bodies are zero"),
        (
            {"keypoints": np.ones((5, 3, 3)), "score": np.ones((5, 3, 1))},
            r"score is .* \(5, 3, 1\)",
        ),
        ({"keypoints": np.ones((5, 3, 3)), "mask": np.ones((1, 5, 3))}, r"mask is float64"),
        ({"keypoints": np.ones((5, 3, 3)), "fps": 0}, "fps is no number of frames"),
        ({"keypoints": np.array([None])}, "of type object"),
    ],
)
def test_bad_arrays_are_named(save, arrays, told):
    path = save(**arrays)
    with pytest.raises(InputError, match=told) as caught:
        read_arrays(path, ARM)
    assert str(caught.value).startswith(str(path))


def test_a_folder_whose_files_tell_all(save, pos, tmp_path):
    save("walk/one", keypoints=pos, label="walk", subject=4, split="train")
    save("walk/two", keypoints=pos, label="walk", subject=5, split="test")
    save("sit", keypoints=pos[:1], label="sit", split="train")
    save("unknown", keypoints=pos, label=-1)
    source = open_own(tmp_path)
    assert source.names == ("sit", "unknown", "walk/one", "walk/two")
    assert source.class_names == ("sit", "walk") and source.layout == ARM
    assert members(source, "split")[0] == ("sit", "walk/one")
    assert [clip.label for clip in source] == [0, -1, 1, 1]
    assert source.read(2).meta["subject"] == 4
    assert pickle.loads(pickle.dumps(source)).read(0).num_bodies == 1


def test_the_table_counts_where_there_is_one(save, pos, tmp_path):
    save("one", keypoints=pos, label="walk", split="train")
    save("two", keypoints=pos)
    (tmp_path / "clips.csv").write_text("clip,label,split_a\none,3,test\ntwo,0,train\n")
    source = open_own(tmp_path)
    assert source.class_names == ("class 0", "class 1", "class 2", "class 3")
    assert [clip.label for clip in source] == [3, 0] and list(source.splits) == ["a"]
    before = source.stamp()
    (tmp_path / "clips.csv").write_text("clip,label,split_a\none,3,test\ntwo,1,train\n")
    assert open_own(tmp_path).stamp() != before


def test_subjects_by_name_and_clips_for_validation(save, pos, tmp_path):
    for name, subject, split in (("a", "rex", "train"), ("b", "bella", "val"), ("c", "rex", "")):
        save(name, keypoints=pos, label="walk", subject=subject, split=split)
    source = open_own(tmp_path)
    assert [source.recording(n).subject for n in range(3)] == [2, 1, 2]
    assert members(source, "split") == (("a",), ("b",))


def test_a_damaged_file_of_many_is_dropped(save, pos, tmp_path):
    save("a", keypoints=pos, label="walk")
    save("b", keypoints=pos, label="sit").write_bytes(b"PK")
    summary = prepare(open_own(tmp_path), tmp_path / "store")
    assert (summary.read, [name for name, _ in summary.dropped]) == (1, ["b"])


def test_arrays_of_other_axes(save, pos, tmp_path):
    turned = pos.transpose(1, 0, 2, 3)  # frames, bodies, joints, coordinates
    expected = read_arrays(save(keypoints=pos), ARM).pos
    score = np.random.default_rng(1).random(turned.shape[:-1])
    path = save(keypoints=turned, score=score)
    clip = read_arrays(path, ARM, axes="TMVC")
    np.testing.assert_array_equal(clip.pos, expected)
    path = save(keypoints=pos.transpose(0, 3, 2, 1))  # as SLEAP's files have it
    np.testing.assert_array_equal(read_arrays(path, ARM, axes="MCVT").pos, expected)
    many = np.random.default_rng(0).normal(size=(300, 2, 3, 2))
    with pytest.raises(InputError, match=r"300 bodies over 2 frames; .*--options\.axes TMVC"):
        read_arrays(save(keypoints=many), ARM)
    assert read_arrays(save(keypoints=many), ARM, axes="TMVC").num_frames == 300
    with pytest.raises(InputError, match="axes must be the letters"):
        open_own(tmp_path, axes="TXY")


def test_a_joint_that_is_never_rated_is_seen(save, pos, caplog):
    score = np.full((2, 5, 3), 0.9)
    score[:, :, 1] = 0
    clip = read_arrays(save(keypoints=pos, score=score), ARM)
    assert clip.mask.all() and "the score of b is 0 in all frames" in caplog.text


@pytest.mark.parametrize(
    ("arrays", "told"),
    [
        ({"label": [1, 2]}, r"label is int64 \(2,\), not one number or text"),
        ({"label": 1.5}, "label is float64"),
        ({"split": "trial"}, "split is 'trial', not train, val, test or nothing"),
        ({"label": -2}, "label '-2' is no class; count classes from 0"),
    ],
)
def test_bad_facts_are_named(save, pos, tmp_path, arrays, told):
    save(keypoints=pos, **arrays)
    with pytest.raises(InputError, match=told):
        list(open_own(tmp_path))


def test_the_same_recording_in_every_form(save, pos, tmp_path):
    pos = pos.round(4)
    mask = np.ones((2, 5, 3), dtype=bool)
    mask[0, 1, 2] = False
    pos[~mask] = 0
    save(keypoints=pos, mask=mask)
    (expected,) = open_own(tmp_path)
    rows = ["clip,frame,body,joint,x,y,z"]
    for (body, frame, joint), seen in np.ndenumerate(mask):
        if seen:
            x, y, z = pos[body, frame, joint]
            rows.append(f"a,{frame},{body},{'abc'[joint]},{x},{y},{z}")
    (tmp_path / "a.npz").unlink()
    (tmp_path / "rows.csv").write_text("\n".join(rows) + "\n")
    (clip,) = open_own(tmp_path)
    np.testing.assert_array_equal(clip.pos, expected.pos)
    np.testing.assert_array_equal(clip.mask, expected.mask)
    assert open_own(tmp_path / "rows.csv").names == ("a",)


def test_names_come_once(save, pos, tmp_path):
    save("a", keypoints=pos)
    (tmp_path / "rows.csv").write_text("clip,frame,joint,x,y\na,0,a,1,2\n")
    with pytest.raises(InputError, match=r"rows\.csv: .*a\.npz is called a too"):
        open_own(tmp_path)


def test_a_folder_that_will_not_do(tmp_path):
    with pytest.raises(InputError, match="no file"):
        open_own(tmp_path)
    (tmp_path / "layout.yaml").write_text("hand21")
    with pytest.raises(InputError, match="no recordings in it"):
        open_own(tmp_path)
    np.savez(tmp_path / "a.npz", keypoints=np.ones((4, 21, 2)))
    assert open_own(tmp_path).layout is get_layout("hand21")
    for options in ({"nan": "x"}, {"min_score": "x"}, {"min_score": np.nan}, {"layout": "x"}):
        with pytest.raises(InputError, match=r"must be|is neither"):
            open_own(tmp_path, **options)


def test_a_store_of_own_recordings(save, pos, tmp_path):
    for number in range(6):
        save(
            f"clips/{number}",
            keypoints=pos + number,
            label=number % 2,
            subject=number,
            split="train",
        )
    save("clips/bad", keypoints=pos[:, :, :2], label=1)
    summary = prepare(open_own(tmp_path), tmp_path / "store")
    assert summary.read == 6 and summary.dropped[0][0] == "clips/bad"
    store = open_store(tmp_path / "store")
    assert store.layout == ARM and store.class_names == ("class 0", "class 1")
    np.testing.assert_array_equal(store.read(5).pos, (pos + 5).astype(np.float32))
    assert store.recording(3).subject == 3 and len(store.splits["split"].train) == 6


def test_formats_are_known_by_name(save, pos, tmp_path):
    assert {"utkinect", "cmu", "h36m", "bvh", "own"} < set(FORMATS)
    assert set(format_options("own")) == {"layout", "nan", "min_score", "axes", "labels"}
    assert set(format_options("cmu")) == {"step", "root_motion", "rest_pose", "extra", "form"}
    save(keypoints=pos)
    assert open_data(tmp_path, "own", nan="missing").names == ("a",)


@pytest.mark.slow
def test_mutants():
    def make(folder):
        (folder / "layout.yaml").write_text(LAYOUT)
        rng = np.random.default_rng(0)
        for name in ("a", "b"):
            np.savez(folder / f"{name}.npz", keypoints=rng.normal(size=(2, 3, 3)), label=name,
                     score=rng.random((2, 3)))  # fmt: skip
        (folder / "clips.csv").write_text("clip,label,split\na,walk,train\nb,run,test\n")
        return sorted(folder.iterdir())

    good, bad = check_reader(make, open_own, 20_000, seed=8)
    assert good > 500 and bad > 1000
