from __future__ import annotations

import os
import pickle

import numpy as np
import pytest
from fuzz import check_reader

from asgcn_dgl.data.formats.arrays import open_arrays
from asgcn_dgl.errors import InputError


class Evil:
    """What runs when it is unpickled."""

    def __reduce__(self):
        return os.mkdir, ("evil",)


def numbers(clips=2, channels=3, frames=6, joints=25, bodies=2, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(clips, channels, frames, joints, bodies)).astype(np.float32)


@pytest.fixture
def save(tmp_path):
    def save(data, names=("a", "b"), labels=(0, 1), part="train", joint="", folder="", protocol=4):
        place = tmp_path / folder
        place.mkdir(exist_ok=True)
        np.save(place / f"{part}_data{joint}.npy", data)
        pair = pickle.dumps((list(names), list(labels)), protocol)
        (place / f"{part}_label.pkl").write_bytes(pair)
        return place

    return save


@pytest.mark.parametrize("protocol", [0, 2, 3, 4])
@pytest.mark.parametrize("joint", ["", "_joint"])
def test_a_folder(save, joint, protocol):
    train, test = numbers(seed=0), numbers(1, seed=1)
    names = ("S001C001P001R001A001.skeleton", "S001C002P002R001A003.skeleton")
    options = {"joint": joint, "folder": "xsub", "protocol": protocol}
    save(train, names, (0, 2), **options)
    root = save(test, ["S001C002P003R001A002.skeleton"], [np.int64(1)], "val", **options)
    source = open_arrays(root)
    assert source.names[0] == "S001C001P001R001A001" and source.layout.name == "ntu25"
    assert source.splits["xsub"].train == source.names[:2]
    assert source.splits["xsub"].test == source.names[2:]
    assert [clip.label for clip in source] == [0, 2, 1] and len(source.class_names) == 60
    np.testing.assert_array_equal(source.read(1).pos, train[1].transpose(3, 1, 2, 0))
    np.testing.assert_array_equal(source.read(2).pos, test[0].transpose(3, 1, 2, 0))
    assert source.read(2).meta["subject"] == 3
    assert pickle.loads(pickle.dumps(source)).read(2).label == 1
    alone = open_arrays(root / f"val_data{joint}.npy")
    assert len(alone) == 1 and alone.splits == {}


def test_padding_and_absent_bodies(save):
    data = numbers()
    data[0, :, 4:] = 0
    data[0, ..., 1] = 0
    data[1, :, 2, 3, 0] = 0
    root = save(data)
    source = open_arrays(root)
    assert source.splits["split"].train == ("a", "b") and source.class_names == ()
    first, second = source
    assert first.pos.shape == (1, 4, 25, 3) and first.mask.all()
    assert second.pos.shape == (2, 6, 25, 3)
    assert np.argwhere(~second.mask).tolist() == [[0, 2, 3]]
    data[:, :, 4:] = data[:, :, :2]  # filled up by repeating
    save(data)
    assert [clip.num_frames for clip in open_arrays(root)] == [6, 6]
    assert [clip.num_frames for clip in open_arrays(root, padding="repeat")] == [4, 4]
    save(np.repeat(data[:, :, :1], 6, axis=2))  # nothing moves
    assert [clip.num_frames for clip in open_arrays(root, padding="repeat")] == [2, 2]
    data[0] = 0
    save(data)
    with pytest.raises(InputError, match="all joints of all bodies are zero"):
        open_arrays(root).read(0)


def test_clips_that_were_centred(save):
    """The joint at the origin is no lost one; a joint that is lost now and then still is."""
    data = numbers(clips=3)
    data[2, ..., 0] = data[2, :, :, :, 1] = 0  # the last clip shows no first body
    data[1, :, 4:] = 0
    data -= data[:, :, :, 1:2, :1]  # as 2s-AGCN does
    data[0, :, 2, 7, 0] = 0
    source = open_arrays(save(data, "abc", (0, 1, 0)))
    assert source.origin == 1
    first = source.read(0)
    assert np.argwhere(~first.mask).tolist() == [[0, 2, 7]]
    assert not first.pos[0, :, 1].any()
    assert source.read(1).pos.shape == (2, 4, 25, 3) and source.read(1).mask.all()
    assert source.read(1).num_bodies == 2


def test_clips_that_were_not_centred(save):
    data = numbers()
    assert open_arrays(save(data)).origin == -1
    data[:, :, :, 5:7] = 0  # two joints that no clip shows
    source = open_arrays(save(data))
    assert source.origin == -1 and not source.read(0).mask[:, :, 5:7].any()


def test_lengths(save):
    """In a file of their own, or in the pickle; frames of zeros within them stay."""
    data = numbers()
    data[0, :, 3:] = 0
    root = save(data)
    pair = (["a", "b"], [0, 1], [5, 4])
    (root / "train_label.pkl").write_bytes(pickle.dumps(pair))
    assert [clip.num_frames for clip in open_arrays(root)] == [5, 4]
    np.save(root / "train_num_frame.npy", np.array([4, 6]))
    source = open_arrays(root, padding="repeat")
    assert [clip.num_frames for clip in source] == [4, 6]
    before = source.stamp()
    for lengths in ([0, 1], [1, 7], [1], [1.0, 2.0], [[1], [2]]):
        np.save(root / "train_num_frame.npy", np.array(lengths))
        with pytest.raises(InputError, match=r"train_num_frame\.npy: lengths .* from 1 to 6"):
            open_arrays(root)
    np.save(root / "train_num_frame.npy", np.array([4, 5]))
    assert open_arrays(root).stamp() != before
    (root / "train_num_frame.npy").unlink()
    (root / "train_label.pkl").write_bytes(pickle.dumps((["a", "b"], [0, 1], [5, "x"])))
    with pytest.raises(InputError, match=r"train_label\.pkl: lengths"):
        open_arrays(root)


def test_a_header_that_tells_less_than_there_is(save):
    """Else rows would be read at wrong places, without a word."""
    root = save(numbers())
    path = root / "train_data.npy"
    whole = path.read_bytes()
    for data in (whole.replace(b"(2, 3, 6,", b"(2, 3, 5,"), whole + b"\0" * 64):
        path.write_bytes(data)
        with pytest.raises(InputError, match=r"train_data\.npy: .* bytes, not"):
            open_arrays(root)


def test_scores(save):
    data = numbers(joints=18)
    data[:, 2] = 0.5
    data[0, 2, 0, 4, 0] = 0
    root = save(data)
    clip = open_arrays(root).read(0)
    assert clip.scored and clip.layout.name == "openpose18"
    assert np.argwhere(~clip.mask).tolist() == [[0, 0, 4]]
    flat = open_arrays(root, score=False).read(0)
    assert flat.pos.shape == (2, 6, 18, 2) and not flat.scored
    np.testing.assert_array_equal(flat.mask, clip.mask)


def test_labels_as_arrays(save, tmp_path):
    root = save(numbers())
    pair = (np.array(["a", "b"]), np.array([3, 4]))
    (root / "train_label.pkl").write_bytes(pickle.dumps(pair, 4))
    (root / "classes.txt").write_text("u\nv\nw\nx\ny\n")
    source = open_arrays(root)
    assert source.names == ("a", "b") and source.class_names == tuple("uvwxy")
    assert [clip.label for clip in source] == [3, 4]


def test_only_the_row_is_read(save, tmp_path):
    """A file far larger than what is there of it: nothing else is touched."""
    root = save(numbers(2, frames=300))
    shape = (400, 3, 300, 25, 2)
    path = root / "train_data.npy"
    array = np.lib.format.open_memmap(path, mode="w+", dtype="f4", shape=shape)
    array[399] = 1
    del array
    names = [f"clip {n}" for n in range(400)]
    (root / "train_label.pkl").write_bytes(pickle.dumps((names, [0] * 400)))
    assert (open_arrays(root).read(399).pos == 1).all()


@pytest.mark.parametrize(
    ("names", "labels", "told"),
    [
        (["a"], [0, 1], "1 names and 2 labels, but train_data.npy has 2"),
        (["a"], [0], "1 names and 1 labels"),
        (["a", "a"], [0, 1], "is called a too"),
        (["a", "../b"], [0, 1], "entry 2: .* cannot be the name"),
        (["a", "b\0"], [0, 1], "cannot be the name"),
        (["a", 5], [0, 1], "entry 2: a name that is no text"),
        (["a", "b"], [0, "x"], "entry 2: label x"),
        (["a", "b"], [0, -2], "entry 2: label -2"),
        (["a", "b"], [0, 1.5], "entry 2: label 1.5"),
        (["a", "b"], [0, True], "entry 2: label True"),
        (["a", "b"], [0, Evil()], "nothing in it was run"),
    ],
)
def test_bad_labels_are_named(save, tmp_path, monkeypatch, names, labels, told):
    monkeypatch.chdir(tmp_path)
    root = save(numbers(), names, labels)
    with pytest.raises(InputError, match=told) as caught:
        open_arrays(root)
    assert str(caught.value).startswith(str(root / "train_label.pkl"))
    assert not (tmp_path / "evil").exists()


def test_bad_arrays_are_named(save, tmp_path):
    root = save(numbers())
    path = root / "train_data.npy"
    for data in (
        np.array([Evil()], dtype=object),
        np.ones((2, 3)),
        numbers(channels=4),
        numbers().astype(bool),
        numbers(frames=0),
    ):
        np.save(path, data, allow_pickle=True)
        with pytest.raises(InputError, match=r"train_data\.npy"):
            open_arrays(root)
    np.save(path, numbers())
    whole = path.read_bytes()
    for data in (b"", b"x", whole[:500], whole.replace(b"(2, 3,", b"(9, 3,"), b"PK\3\4" + whole):
        path.write_bytes(data)
        with pytest.raises(InputError, match=r"train_data\.npy"):
            open_arrays(root)
    broken = numbers()
    broken[0, 1, 2, 3, 0] = np.nan
    save(broken)
    with pytest.raises(InputError, match=r"coordinate 2 of joint 4 .* in frame 3 is nan"):
        open_arrays(root).read(0)
    broken[0, 1, 2, 3, 0] = np.frombuffer(b"\x01\x00\xa0\x7f", "f4")[0]  # a NaN that signals
    save(broken)
    with pytest.raises(InputError, match=r"joint 4 .* is nan"):
        open_arrays(root).read(0)
    save(numbers(), ["S001C001P001R001A001", "b"])
    assert open_arrays(root).read(0).label == 0
    save(numbers(), ["S001C001P001R001A009", "b"])
    with pytest.raises(InputError, match="label 0 where the name says 8"):
        open_arrays(root).read(0)
    save(numbers(joints=7))
    with pytest.raises(InputError, match="7 joints"):
        open_arrays(root)
    save(numbers())
    save(numbers(joints=18), ("c", "d"), part="val")
    with pytest.raises(InputError, match="different joints"):
        open_arrays(root)
    save(numbers(), joint="_joint")
    with pytest.raises(InputError, match=r"both train_data\.npy and train_data_joint\.npy"):
        open_arrays(root)
    with pytest.raises(InputError, match="no folder"):
        open_arrays(tmp_path / "absent")
    for options in ({"padding": "x"}, {"min_score": None}, {"score": 2}):
        with pytest.raises(InputError, match="must be"):
            open_arrays(root, **options)


@pytest.mark.slow
def test_mutants():
    def make(folder):
        np.save(folder / "train_data.npy", numbers(frames=2))
        (folder / "train_label.pkl").write_bytes(pickle.dumps((["a", "b"], [0, 1]), 4))
        return [folder / "train_data.npy", folder / "train_label.pkl"]

    good, bad = check_reader(make, lambda folder: open_arrays(folder), 20_000, seed=17)
    assert good > 500 and bad > 1000
