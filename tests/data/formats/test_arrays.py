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
    assert source.split("xsub") == ([0, 1], [2])
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
    assert source.split("split")[0] == [0, 1] and source.class_names == ()
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

    first = source.read(0)
    assert np.argwhere(~first.mask).tolist() == [[0, 2, 7]]
    assert not first.pos[0, :, 1].any()
    assert source.read(1).pos.shape == (2, 4, 25, 3) and source.read(1).mask.all()
    assert source.read(1).num_bodies == 2


def test_clips_that_were_not_centred(save):
    data = numbers()

    data[:, :, :, 5:7] = 0  # two joints that no clip shows
    source = open_arrays(save(data))
    assert not source.read(0).mask[:, :, 5:7].any()


def test_poses_about_a_joint(save):
    """The hip of 17 joints is the origin in every frame, and was seen."""
    data = numbers(joints=17, bodies=1)
    data -= data[:, :, :, :1]
    save(data)
    clip = open_arrays(save(data), third="depth").read(0)
    assert clip.mask.all() and clip.num_dims == 3


@pytest.mark.parametrize("value", [np.nan, np.frombuffer(b"\x01\x00\xa0\x7f", "f4")[0]])
def test_nan_is_missing(save, value):
    """Also one that signals."""
    data = numbers()
    data[0, 1, 2, 3, 0] = value
    clip = open_arrays(save(data)).read(0)
    assert np.argwhere(~clip.mask).tolist() == [[0, 2, 3]]


H36M = "name: mine\njoints: [hip, knee, foot]\nbones: [[hip, knee], [knee, foot]]\n"


def test_the_third_channel(save, tmp_path):
    """A depth or a score: by the layout, else by an option, never by the number of joints."""
    data = numbers(joints=17, bodies=1)
    with pytest.raises(InputError, match=r"which is no score; .* --options\.third depth"):
        open_arrays(save(data))
    assert not open_arrays(save(data), third="depth").read(0).scored
    data = np.random.default_rng(0).uniform(0.1, 0.9, size=(2, 3, 6, 25, 1))
    with pytest.raises(InputError, match=r"a score or a depth; .*--options\.third score"):
        open_arrays(save(data))
    assert open_arrays(save(data), layout="openpose25").read(0).scored
    assert not open_arrays(save(data), layout="ntu25").read(0).scored
    assert open_arrays(save(data), third="score").read(0).scored
    root = save(data)
    (root / "layout.yaml").write_text("openpose25\n")
    assert open_arrays(root).read(0).scored and open_arrays(root).layout.name == "openpose25"
    (root / "layout.yaml").write_text(H36M)
    save(data[:, :, :, :3])
    with pytest.raises(InputError, match="a score or a depth"):
        open_arrays(root)
    save(numbers(joints=3))
    assert not open_arrays(root).read(0).scored
    with pytest.raises(InputError, match="which is no score"):
        open_arrays(root, third="score")


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
        with pytest.raises(InputError, match=r"train_data\.npy is not of the size \(2, 3, "):
            open_arrays(root)


def test_an_array_in_the_order_of_fortran(save):
    root = save(numbers())
    expected = open_arrays(root).read(1)
    np.save(root / "train_data.npy", np.asfortranarray(numbers()))
    np.testing.assert_array_equal(open_arrays(root).read(1).pos, expected.pos)


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
    broken[0, 1, 2, 3, 0] = np.inf
    save(broken)
    with pytest.raises(InputError, match=r"coordinate 2 of joint 4 .* in frame 3 is inf"):
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
    for options in ({"padding": "x"}, {"min_score": None}, {"score": 2}, {"third": "x"}):
        with pytest.raises(InputError, match="must be"):
            open_arrays(root, **options)


def test_half_of_a_pair_is_not_passed_over(save):
    root = save(numbers(), part="val")
    (root / "train_label.pkl").write_bytes(b"x")
    with pytest.raises(
        InputError, match=r"train_label\.pkl, but neither train_data\.npy nor train_"
    ):
        open_arrays(root)
    (root / "train_data.npy").symlink_to("nowhere")
    with pytest.raises(InputError, match=r"train_data\.npy: cannot be read \(no such file"):
        open_arrays(root)


@pytest.mark.slow
def test_mutants():
    def make(folder):
        np.save(folder / "train_data.npy", numbers(frames=2))
        (folder / "train_label.pkl").write_bytes(pickle.dumps((["a", "b"], [0, 1]), 4))
        return [folder / "train_data.npy", folder / "train_label.pkl"]

    good, bad = check_reader(make, lambda folder: open_arrays(folder), 20_000, seed=17)
    assert good > 500 and bad > 1000


def archive_of(path, train, test=None, labels=(0, 2), classes=60, save=np.savez, **others):
    """An archive as CTR-GCN's scripts write it."""
    arrays = {}
    for part, data in (("train", train), ("test", test)):
        if data is not None:
            clips, channels, frames, joints, bodies = data.shape
            flat = data.transpose(0, 2, 4, 3, 1).reshape(clips, frames, bodies * joints * channels)
            ones = np.zeros((clips, classes))
            ones[np.arange(clips), labels[:clips]] = 1
            arrays |= {f"x_{part}": flat, f"y_{part}": ones}
    save(path, **{**arrays, **others})
    return path


@pytest.mark.parametrize(
    ("name", "split", "classes"),
    [
        ("NTU60_CS", "xsub", 60),
        ("NTU60_CV", "xview", 60),
        ("NTU120_CSub", "xsub", 120),
        ("NTU120_CSet", "xset", 120),
        ("mine", "split", 0),
    ],
)
def test_an_archive_of_ctr_gcn(tmp_path, name, split, classes):
    train, test = numbers(seed=0), numbers(1, seed=1)
    train[1, :, 4:] = 0
    train[0, ..., 1] = 0
    path = archive_of(tmp_path / f"{name}.npz", train, test, classes=classes or 60)
    for root in (path, tmp_path):
        source = open_arrays(root)
        assert source.names == ("train_0", "train_1", "test_0")
        assert source.layout.name == "ntu25" and len(source.class_names) == classes
        assert source.split(split) == ([0, 1], [2])
    assert [clip.label for clip in source] == [0, 2, 0]
    first, second, third = source
    np.testing.assert_array_equal(first.pos, train[0, ..., :1].transpose(3, 1, 2, 0))
    np.testing.assert_array_equal(second.pos, train[1, :, :4].transpose(3, 1, 2, 0))
    np.testing.assert_array_equal(third.pos, test[0].transpose(3, 1, 2, 0))
    assert pickle.loads(pickle.dumps(source)).read(2).label == 0
    (tmp_path / "classes.txt").write_text("u\nv\nw\n")
    assert open_arrays(path).class_names == ("u", "v", "w")


def test_one_part_of_an_archive(tmp_path):
    path = archive_of(tmp_path / "NTU60_CS.npz", None, numbers())
    source = open_arrays(path)
    assert source.names == ("test_0", "test_1") and source.splits["xsub"].train == ()


def test_the_joint_that_an_archive_moves_to_the_origin(tmp_path):
    """In the first frame alone; a joint that is lost elsewhere is lost."""
    data = numbers()
    data -= data[:, :, :1, 1:2, :1]
    data[0, :, 3, 7, 1] = 0
    source = open_arrays(archive_of(tmp_path / "a.npz", data))
    assert not source.read(0).pos[0, 0, 1].any() and source.read(0).mask[0].all()
    assert np.argwhere(~source.read(0).mask).tolist() == [[1, 3, 7]]
    data[1, :, 0, 7, 0] = 0  # two joints at the origin: nobody knows which of them is meant
    source = open_arrays(archive_of(tmp_path / "a.npz", data))
    assert np.argwhere(~source.read(1).mask).tolist() == [[0, 0, 1], [0, 0, 7]]


def test_only_the_row_of_an_archive_is_read(tmp_path):
    """A set larger than what may be read at once; only its rows are."""
    zeros = np.zeros((1600, 3, 300, 25, 2), dtype=np.float16)
    zeros[1599] = 1
    path = archive_of(tmp_path / "a.npz", zeros, labels=[0] * 1600)
    source = open_arrays(path)
    assert (source.read(1599).pos == 1).all() and source.read(1599).num_frames == 300
    with pytest.raises(InputError, match="zero or missing"):
        source.read(0)


@pytest.mark.parametrize(
    ("others", "told"),
    [
        ({"x_train": np.ones((2, 6, 149))}, r"\(x_train\): \(2, 6, 149\), where \(clips, frames"),
        ({"x_train": np.ones((2, 6))}, r"\(x_train\): \(2, 6\)"),
        ({"x_train": np.ones((0, 6, 150))}, r"\(x_train\): \(0, 6, 150\)"),
        ({"x_train": np.ones((2, 6, 150), bool)}, r"\(x_train\): \|b1, where numbers"),
        ({"x_train": np.full((2, 6, 150), "a")}, "no array of numbers"),
        ({"x_train": np.array([Evil()], object)}, "which is no plain number"),
        ({"x_train": np.asfortranarray(np.ones((2, 6, 150)))}, "in C order"),
        ({"y_train": np.eye(3)}, r"\(y_train\): \(3, 3\), where \(2, classes\)"),
        ({"y_train": np.zeros((2, 3))}, r"\(y_train\), row 1: 0 classes"),
        ({"y_train": np.array([[0, 1.0], [np.nan, 0]])}, r"\(y_train\), row 2: 0 classes"),
        ({"y_train": np.ones((2, 3))}, r"\(y_train\), row 1: 3 classes"),
        ({"y_train": np.eye(2, 10_001)}, "10001 classes, of which 10000 are read"),
        ({"y_test": np.eye(2)}, r"\(x_test\): not there"),
        ({"x_test": np.ones((2, 6, 150))}, r"\(y_test\): not there"),
        ({"x_test": np.ones((2, 6, 120)), "y_test": np.eye(2)}, "different joints"),
    ],
)
def test_bad_archives_are_named(tmp_path, monkeypatch, others, told):
    monkeypatch.chdir(tmp_path)
    path = archive_of(tmp_path / "NTU60_CS.npz", numbers(), **others)
    with pytest.raises(InputError, match=told) as caught:
        open_arrays(path)
    assert str(caught.value).startswith(str(path))
    assert not (tmp_path / "evil").exists()


def test_archives_that_cannot_be_mapped(tmp_path):
    path = archive_of(tmp_path / "a.npz", numbers(), save=np.savez_compressed)
    with pytest.raises(InputError, match=r"x_train\.npy is packed, .* again with numpy\.savez"):
        open_arrays(path)
    np.savez(path, other=np.ones(3))
    with pytest.raises(InputError, match="neither x_train and y_train nor x_test and y_test"):
        open_arrays(path)
    archive_of(tmp_path / "b.npz", numbers())
    with pytest.raises(InputError, match=r"2 files \*\.npz in it"):
        open_arrays(tmp_path)
    whole = (tmp_path / "b.npz").read_bytes()
    for data in (b"", b"x", whole[:200], whole[:-30]):
        path.write_bytes(data)
        with pytest.raises(InputError, match=r"a\.npz"):
            open_arrays(path)
    source = open_arrays(archive_of(path, numbers()))
    path.unlink()
    with pytest.raises(InputError, match=r"a\.npz: cannot be read"):
        source.read(0)
    turned = np.asfortranarray(np.ones((2, 6, 150)))
    np.savez(path, x_train=turned, y_train=np.eye(2))
    with pytest.raises(InputError, match=r"x_train\.npy is no array of numbers in C order"):
        open_arrays(path)
    broken = numbers()
    broken[1, 2, 3, 4, 0] = np.inf
    with pytest.raises(InputError, match=r"a\.npz \(train_1\): coordinate 3 of joint 5 .* is inf"):
        open_arrays(archive_of(path, broken)).read(1)
    with pytest.raises(InputError, match=r"x_train\): a clip would take"):
        open_arrays(archive_of(path, np.zeros((1, 3, 500_000, 25, 2), np.float16), labels=[0]))


def test_a_whole_archive_has_the_published_counts(tmp_path):
    """Of two frames, as many clips as NTU RGB+D 60 has without the 302."""
    train, test = (np.ones((n, 3, 1, 25, 2), np.float16) for n in (40_091, 16_487))
    labels = [0] * 40_091
    path = archive_of(tmp_path / "NTU60_CS.npz", train, test, labels)
    assert len(open_arrays(path)) == 56_578
    path = path.rename(tmp_path / "NTU60_CV.npz")
    with pytest.raises(InputError, match="37646 training and 18932 test"):
        open_arrays(path)


@pytest.mark.slow
def test_mutants_of_an_archive():
    def make(folder):  # of some size: zipfile itself compares the checksums of small arrays
        return [archive_of(folder / "NTU60_CS.npz", numbers(frames=12), numbers(1, frames=12))]

    good, bad = check_reader(make, lambda folder: open_arrays(folder), 20_000, seed=29)
    assert good > 500 and bad > 1000
