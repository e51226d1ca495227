from __future__ import annotations

import logging
import pickle

import numpy as np
import pytest
from fuzz import check_reader
from hypothesis import given, settings
from hypothesis import strategies as st
from members import members
from scipy import io

from asgcn_dgl.data.formats.utkinect import (
    ACTIONS,
    open_utkinect,
    read_span,
    read_spans,
    read_splits,
    read_video,
)
from asgcn_dgl.errors import InputError

NUMBERS = (10, 12, 12, 16, 24, 26)  # a repeated number, gaps


def write_video(path, numbers=NUMBERS, seed=0):
    pos = np.random.default_rng(seed).normal(size=(len(numbers), 60)).round(6)
    rows = [f"{n}  " + "  ".join(f"{x:.6f}" for x in row) for n, row in zip(numbers, pos,
            strict=True)]  # fmt: skip
    path.write_text(" \n".join(rows) + "\n")
    return pos.reshape(-1, 20, 3)


def write_splits(path, train=None, **extra):
    rng = np.random.default_rng(0)
    both = np.stack([rng.permutation(10) + 1 for _ in range(10)]).astype(np.uint8)
    train = both[:, :5] if train is None else train
    io.savemat(path, {"tr_subjects": train, "te_subjects": both[:, 5:], **extra})
    return both


def write_set(root, subjects=10, spans="walk: 10 12\nsitDown: 16 20\ncarry:  NaN NaN\npush: 26 26"):
    folder = root / "joints"
    folder.mkdir(parents=True)
    lines = []
    for subject in range(1, subjects + 1):
        for video in (1, 2):
            name = f"s{subject:02d}_e{video:02d}"
            write_video(folder / f"joints_{name}.txt", seed=10 * subject + video)
            named = spans if name == "s10_e02" else spans.replace("NaN NaN", "24 26")
            lines.append(f"{name}\n{named} \n")
    (folder / "actionLabel.txt").write_text("".join(lines) + "\n")
    write_splits(root / "tr_te_splits.mat")
    return root


@pytest.fixture
def root(tmp_path):
    return write_set(tmp_path / "set")


@pytest.fixture
def labels(tmp_path):
    def write(text):
        path = tmp_path / "actionLabel.txt"
        path.write_text(text)
        return path

    return write


def test_sequences_and_splits(root, caplog):
    with caplog.at_level(logging.WARNING):
        source = open_utkinect(root)
    assert "line 99: no frames (NaN) of s10_e02_carry; it is left out" in " ".join(
        caplog.text.split()
    )
    assert len(source) == 79 and source.class_names == ACTIONS
    assert list(source.splits)[:11] == [*(f"five_{n}" for n in range(1, 11)), "sequence_s01_e01"]
    assert len(source.splits) == 30
    subjects = write_splits(root / "again.mat")
    for number, order in enumerate(subjects, start=1):
        train, test = members(source, f"five_{number}")
        for names, half in ((train, order[:5]), (test, order[5:])):
            assert {int(name[1:3]) for name in names} == set(half.tolist())
        assert sorted(train + test) == sorted(source.names)
    train, test = members(source, "sequence_s10_e02")
    assert test == ("s10_e02_walk", "s10_e02_sitDown", "s10_e02_push")
    assert len(train) == 76
    assert pickle.loads(pickle.dumps(source)).read(3).name == source.names[3]


def test_spans_take_their_frames(root):
    source = open_utkinect(root / "joints")  # the inner folder will do
    number, pos = read_video(root / "joints" / "joints_s03_e02.txt")
    for action, inside in (("walk", [0, 1, 2]), ("sitDown", [3]), ("carry", [4, 5])):
        clip = source.read(source.names.index(f"s03_e02_{action}"))
        np.testing.assert_allclose(clip.pos[0], pos[inside], atol=1e-6)  # repeats are kept
        assert ACTIONS[clip.label] == action
        assert (clip.meta["subject"], clip.meta["replication"]) == (3, 2)
    assert number.tolist() == list(NUMBERS)
    assert source.read(source.names.index("s03_e02_push")).num_frames == 1


def test_what_lies_between(root):
    source = open_utkinect(root, nan_spans="between")
    assert len(source) == 80
    clip = source.read(source.names.index("s10_e02_carry"))
    _, pos = read_video(root / "joints" / "joints_s10_e02.txt")
    np.testing.assert_allclose(clip.pos[0], pos[[4]], atol=1e-6)  # of 21 to 25


def test_between_needs_room(labels):
    with pytest.raises(InputError, match="line 3: no frames lie between the actions around"):
        read_spans(labels("s01_e01\nwalk: 1 9\ncarry: NaN NaN\npush: 10 12\n"), "between")
    with pytest.raises(InputError, match="line 2: no frames lie between"):
        read_spans(labels("s01_e01\ncarry: NaN NaN\npush: 10 12\n"), "between")
    found = read_spans(labels("s01_e01\nwalk: 1 9\ncarry: NaN NaN\npush: 20 22\n"), "between")
    assert (found[1].first, found[1].last) == (10, 19)


def test_gaps_may_be_interpolated(root):
    path = root / "joints" / "joints_s01_e01.txt"
    _, pos = read_video(path)
    clip = read_span(path, gaps="interpolate")
    assert clip.num_frames == 9 and clip.label == -1  # 10, 12, ..., 26
    middle = (pos[1] + pos[2]) / 2  # the two of number 12
    expected = {0: pos[0], 1: middle, 2: (middle + pos[3]) / 2, 3: pos[3], 7: pos[4], 8: pos[5]}
    expected[5] = pos[3] + (pos[4] - pos[3]) * 4 / 8
    for frame, joints in expected.items():
        np.testing.assert_allclose(clip.pos[0, frame], joints, atol=1e-5)
    span = read_spans(root / "joints" / "actionLabel.txt")[2]
    assert read_span(path, span, "interpolate").num_frames == 2


def test_lost_joints_stay_lost(tmp_path):
    path = tmp_path / "joints_s01_e01.txt"
    write_video(path, (2, 6))
    rows = [row.split() for row in path.read_text().splitlines()]
    rows[1][4:7] = ["0", "0", "0"]
    path.write_text("\n".join(" ".join(row) for row in rows))
    assert np.argwhere(~read_span(path).mask).tolist() == [[0, 1, 1]]
    clip = read_span(path, gaps="interpolate")
    assert np.argwhere(~clip.mask).tolist() == [[0, 1, 1], [0, 2, 1]]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("walk: 1 2\n", "line 1: 'walk: 1 2' where a video"),
        ("s01_e01\nwaltz: 1 2\n", "line 2: 'waltz: 1 2' where a video"),
        ("s01_e01\nwalk: 1\n", "line 2: 'walk: 1' where"),
        ("s01_e01\nwalk: 1 2 3\n", "line 2: 'walk: 1 2 3' where"),
        ("s01_e01\nwalk: 1 x\n", "line 2: '1 x' are not two frame numbers"),
        ("s01_e01\nwalk: NaN 4\n", "line 2: 'NaN 4' are not two"),
        ("s01_e01\nwalk: 5 4\n", "line 2: the span ends at 4, before it begins at 5"),
        ("s01_e01\nwalk: 1 2\nwalk: 3 4\n", "line 3: duplicate s01_e01_walk"),
        ("s01_e01\nwalk: 1 2\ns01_e01\n", "line 3: duplicate s01_e01"),
        ("../s01_e01\nwalk: 1 2\n", "line 1: '../s01_e01' where a video"),
    ],
)
def test_bad_labels_are_named(labels, text, told):
    with pytest.raises(InputError, match=told):
        read_spans(labels(text))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda s: s.replace("\n12  ", "\n9  ", 1), "line 2: 9 is no frame number that follows"),
        (lambda s: s.replace("\n12  ", "\n12.5  ", 1), "line 2: 12.5 is no frame number"),
        (lambda s: "-" + s, "line 1: -10 is no frame number"),
        (lambda s: s[: len(s) // 2], "line .: .*numbers instead of 61"),
        (lambda s: s.replace(".", ".nan", 1), "line 1: .* in column 2 is not a finite number"),
        (lambda s: " ", "the file is empty"),
    ],
)
def test_bad_videos_are_named(tmp_path, change, told):
    path = tmp_path / "joints_s01_e01.txt"
    write_video(path)
    path.write_text(change(path.read_text()))
    with pytest.raises(InputError, match=told) as caught:
        read_video(path)
    assert str(caught.value).startswith(str(path))


def test_what_does_not_fit_together_is_refused(root):
    folder = root / "joints"
    (folder / "actionLabel.txt").rename(root / "hidden")
    with pytest.raises(InputError, match=r"no actionLabel\.txt in it"):
        open_utkinect(root)
    (root / "hidden").rename(folder / "actionLabel.txt")
    for options in ({"nan_spans": "x"}, {"gaps": "x"}):
        with pytest.raises(InputError, match="must be"):
            open_utkinect(root, **options)
    write_video(folder / "joints_s11_e01.txt")
    with pytest.raises(InputError, match=r"joints_s11_e01\.txt: actionLabel\.txt has no action"):
        open_utkinect(root)
    (folder / "joints_s11_e01.txt").unlink()
    (folder / "joints_s04_e01.txt").unlink()
    with pytest.raises(InputError, match=r"no joints_s04_e01\.txt, which actionLabel"):
        open_utkinect(root)


def test_a_span_without_frames_is_named(root):
    path = root / "joints" / "actionLabel.txt"
    path.write_text(path.read_text().replace("walk: 10 12", "walk: 90 92", 1))
    source = open_utkinect(root)
    with pytest.raises(InputError, match="no frame from 90 to 92, where actionLabel"):
        source.read(0)


def test_splits_may_be_absent(root, caplog):
    (root / "tr_te_splits.mat").unlink()
    with caplog.at_level(logging.WARNING):
        source = open_utkinect(root)
    assert "the splits five_1, ... are not there" in caplog.text
    assert all(name.startswith("sequence_") for name in source.splits)


@pytest.mark.parametrize(
    "write",
    [
        lambda path: path.write_bytes(b"MATLAB 5.0" + bytes(300)),
        lambda path: path.write_bytes(bytes(2**17)),
        lambda path: io.savemat(path, {"tr_subjects": np.ones((10, 5))}),
        lambda path: write_splits(path, np.ones((10, 5), dtype=np.uint8)),
        lambda path: write_splits(path, np.ones((5, 10), dtype=np.uint8)),
        lambda path: write_splits(path, np.array([["a"] * 5] * 10)),
        lambda path: write_splits(path, np.array([[{"a": 1}] * 5] * 10, dtype=object)),
    ],
    ids=["garbled", "large", "half", "no halves", "shape", "text", "objects"],
)
def test_other_split_files_are_refused(tmp_path, write):
    path = tmp_path / "tr_te_splits.mat"
    write(path)
    with pytest.raises(InputError, match=r"tr_te_splits\.mat: "):
        read_splits(path)


@settings(deadline=None)
@given(st.text(alphabet="s01_ewalkNaN: 9\n", max_size=60))
def test_any_labels_give_spans_or_an_error(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "actionLabel.txt"
    path.write_text(text)
    try:
        for span in read_spans(path):
            assert 0 <= span.first <= span.last
    except InputError:
        pass


@pytest.mark.slow
def test_mutants():
    def make(folder):
        return list(write_set(folder / "set", subjects=1).rglob("*.txt"))

    logging.disable(logging.WARNING)
    try:
        good, bad = check_reader(make, lambda f: open_utkinect(f / "set"), 20_000, seed=2)
    finally:
        logging.disable(logging.NOTSET)
    assert good > 1000 and bad > 1000


@pytest.mark.slow
def test_mutants_of_the_splits():
    def make(folder):
        write_splits(folder / "splits.mat")
        return [folder / "splits.mat"]

    def read(folder):
        read_splits(folder / "splits.mat")
        return []

    good, bad = check_reader(make, read, 20_000, seed=3)
    assert good > 1000 and bad > 1000


def test_the_real_set(shared_data):
    source = open_utkinect(shared_data / "utkinect")
    assert len(source) == 199 and "s10_e02_carry" not in source.names
    halves = [source.splits[f"five_{n}"] for n in range(1, 11)]
    assert {len(split.train) + len(split.test) for split in halves} == {199}
    assert {len(split.test) for split in halves} == {99, 100}
    counts = {name: len(split.test) for name, split in source.splits.items() if "seq" in name}
    assert (
        len(counts) == 20 and counts.pop("sequence_s10_e02") == 9 and set(counts.values()) == {10}
    )
    frames = [source.read(index).num_frames for index in range(0, 199, 10)]
    assert min(frames) >= 5 and max(frames) <= 174
    whole = open_utkinect(shared_data / "utkinect", nan_spans="between")
    assert len(whole) == 200
    assert whole.read(whole.names.index("s10_e02_carry")).num_frames > 50
