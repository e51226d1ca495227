from __future__ import annotations

import pickle
from dataclasses import dataclass

import numpy as np
import pytest

from asgcn_dgl.data import Clip, ClipList, Joined, Reader, Split, Subset, open_data, prepare
from asgcn_dgl.data.clip import RecordingName
from asgcn_dgl.errors import InputError
from asgcn_dgl.skeleton import get_layout


@dataclass(frozen=True)
class Made(Reader):
    """Six clips, two of each class."""

    def read(self, index):
        pos = np.random.default_rng(index).normal(size=(1, 20, self.layout.num_joints, 3))
        meta = {"subject": 1 + index % 2}
        return Clip.from_positions(self.names[index], self.layout, pos, None, index % 3, meta)


@pytest.fixture
def many():
    """24 recordings of four subjects, three cameras and two setups."""
    numbers = tuple(
        RecordingName(1, subject, camera, setup)
        for setup in (1, 2)
        for subject in (1, 2, 3, 6)
        for camera in (1, 2, 3)
    )
    names = tuple(f"clip{number}" for number in range(24))
    return Made(names, get_layout("ntu25"), numbers=numbers)


@pytest.mark.parametrize("by", ["subject", "camera", "setup"])
def test_whole_groups_are_held_out(many, by):
    train, held = many.hold_out(range(24), share=0.1, by=by)
    groups = [{getattr(many.recording(number), by) for number in part} for part in (train, held)]
    assert sorted([*train, *held]) == list(range(24))
    assert not groups[0] & groups[1] and len(groups[1]) == 1


def test_what_is_held_out_reaches_its_share_but_leaves_something(many):
    def held(count=24, **options):
        return len(many.hold_out(range(count), **options)[1])

    assert [held(share=share) for share in (0.25, 0.3, 0.99)] == [6, 12, 18]
    assert held(share=0.3, by="random") == 8
    assert held(2, share=0.01, by="random") == 1


def test_what_is_held_out_depends_on_its_seed_only(many):
    parts = [many.hold_out(range(3, 24), by="random", seed=seed) for seed in (3, 3, 4)]
    assert parts[0] == parts[1] != parts[2]
    assert set(parts[0][0]) | set(parts[0][1]) == set(range(3, 24))


def test_nothing_can_be_held_out(many):
    one = [number for number in range(24) if many.recording(number).subject == 1]
    with pytest.raises(InputError, match=r"6 training recordings of 1 subject\(s\): none can"):
        many.hold_out(one)
    with pytest.raises(InputError, match=r"1 training recordings of 1 random\(s\)"):
        many.hold_out(one[:1], by="random")
    with pytest.raises(InputError, match=r"6 training recordings of 1 subject\(s\)"):
        Made(many.names, many.layout).hold_out(range(6))  # nothing is known of them
    with pytest.raises(ValueError, match=r"share must be within \(0, 1\), got 1"):
        many.hold_out(range(24), share=1)
    with pytest.raises(ValueError, match="by must be one of subject"):
        many.hold_out(range(24), by="x")


def test_a_split_by_names_and_a_split_that_is_not_there(many):
    assert Split.of_names("abcd", ["d", "a", "x"], ["b"]) == Split((0, 3), (1,))
    with pytest.raises(InputError, match="no split 'a'; it has none"):
        many.split("a")
    with pytest.raises(InputError, match=r"no recording 'x'; they are named like clip0"):
        many.find("x")
    assert many.find("clip7") == 7


def test_clips_in_memory_and_a_part_of_them(many):
    held = ClipList.load(many, [3, 1, 2])
    assert held.names == ("clip3", "clip1", "clip2") and held.labels == (0, 1, 2)
    part = Subset.of(held, [2, 0])
    assert [clip.name for clip in part] == list(part.names) == ["clip2", "clip3"]
    assert part.labels == (2, 0) and part.layouts == (many.layout,)
    again = pickle.loads(pickle.dumps(Subset.of(many, [5])))
    assert again.recording(0) == many.recording(5)
    np.testing.assert_array_equal(again.read(0).pos, many.read(5).pos)
    with pytest.raises(InputError, match="no clip is given"):
        ClipList.of([])


@pytest.fixture
def roots(tmp_path):
    """Stores of two skeletons, which share the class 'wave'."""
    for name, layout, classes in (
        ("one", "ntu25", ("wave", "sit", "walk")),
        ("two", "kinectv1_20", ("run", "wave", "fall")),
    ):
        names = tuple(f"{name}{number}" for number in range(6))
        splits = {"first": Split((0, 1, 2, 3), (4, 5))}
        if name == "two":
            splits["other"] = Split((2, 3, 4, 5), (0, 1))
        prepare(Made(names, get_layout(layout), classes, splits), tmp_path / name)
    return [tmp_path / name for name in ("one", "two")]


def test_classes_are_joined_by_name_and_clips_keep_their_skeleton(roots):
    both = open_data(roots)
    assert isinstance(both, Joined) and len(both) == 12
    assert both.class_names == ("wave", "sit", "walk", "run", "fall")
    assert [layout.name for layout in both.layouts] == ["ntu25", "kinectv1_20"]
    clips = list(both)
    labels = [both.class_names[clip.label] for clip in clips]
    assert labels == ["wave", "sit", "walk"] * 2 + ["run", "wave", "fall"] * 2
    assert [clip.label for clip in clips] == list(both.labels)
    assert [clip.layout.num_joints for clip in clips] == [25] * 6 + [20] * 6
    again = pickle.loads(pickle.dumps(both))
    assert again.read(7).label == 0
    with pytest.raises(IndexError):
        both.read(12)


def test_splits_and_subjects_are_each_sets_own(roots):
    both = open_data(roots)
    train, test = both.split()
    assert (len(train), len(test)) == (8, 4) and not set(train) & set(test)
    train, _ = both.split("other")  # the first set has none of the name
    assert train == [0, 1, 2, 3, 8, 9, 10, 11]
    assert {both.recording(number).subject for number in range(12)} == {1, 2, 10_001, 10_002}
    assert {both.recording(number).camera for number in range(12)} == {-1}
    assert list(both.splits) == ["first", "other"]


def test_what_cannot_be_joined():
    with pytest.raises(InputError, match="give the folders of one or more"):
        Joined.of([])


def test_recordings_without_a_class_are_joined(many, tmp_path):
    unknown = ClipList.of([many.read(0).with_label(-1)], ["wave"])
    both = Joined.of([unknown, Made(("a", "b"), many.layout, ("sit", "run", "walk"))])
    assert list(both.labels) == [-1, -1, -1]
    assert [clip.label for clip in both] == [-1, 1, 2]
    prepare(both, tmp_path / "store")
    assert [clip.label for clip in open_data(tmp_path / "store")] == [-1, 1, 2]
