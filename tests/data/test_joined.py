from __future__ import annotations

import os
import pickle
from dataclasses import dataclass

import numpy as np
import pytest

from asgcn_dgl.data import Clip, open_set, prepare
from asgcn_dgl.data.formats.source import Source, Split
from asgcn_dgl.data.joined import JoinedSet
from asgcn_dgl.errors import InputError
from asgcn_dgl.skeleton import get_layout


@dataclass(frozen=True)
class Made(Source):
    """Six clips, two of each class."""

    def read(self, index):
        pos = np.random.default_rng(index).normal(size=(1, 20, self.layout.num_joints, 3))
        meta = {"subject": 1 + index % 2}
        return Clip.from_positions(self.names[index], self.layout, pos, None, index % 3, meta)


@pytest.fixture
def root(tmp_path):
    """Stores of two skeletons, which share the class 'wave'."""
    for name, layout, classes in (
        ("one", "ntu25", ("wave", "sit", "walk")),
        ("two", "kinectv1_20", ("run", "wave", "fall")),
    ):
        names = tuple(f"{name}{number}" for number in range(6))
        splits = {"first": Split(names[:4], names[4:])}
        if name == "two":
            splits["other"] = Split(names[2:], names[:2])
        prepare(Made(names, get_layout(layout), classes, splits), tmp_path / name)
    return os.pathsep.join(str(tmp_path / name) for name in ("one", "two"))


def test_classes_are_joined_by_name_and_clips_keep_their_skeleton(root):
    both = open_set("synthetic", root)
    assert isinstance(both, JoinedSet) and both.name == "one+two"
    assert both.class_names == ("wave", "sit", "walk", "run", "fall")
    assert [layout.name for layout in both.layouts] == ["ntu25", "kinectv1_20"]
    clips = [both.read(path) for path in both.list_files(root)]
    labels = [both.class_names[clip.label] for clip in clips]
    assert labels == ["wave", "sit", "walk"] * 2 + ["run", "wave", "fall"] * 2
    assert [clip.layout.num_joints for clip in clips] == [25] * 6 + [20] * 6
    again = pickle.loads(pickle.dumps(both))
    assert again.read(both.list_files(root)[7]).label == 0


def test_splits_and_subjects_are_each_sets_own(root):
    both = open_set("synthetic", root)
    files = both.list_files(root)
    train, test = both.split(files)
    assert (len(train), len(test)) == (8, 4) and not set(train) & set(test)
    train, _ = both.split(files, "other")  # the first set has none of the name
    assert train == files[:4] + files[8:]
    assert {both.numbers(path).subject for path in files} == {1, 2, 10_001, 10_002}
    assert {both.numbers(path).camera for path in files} == {-1}
    assert both.splits == ("first", "other")


def test_what_cannot_be_joined(root, tmp_path):
    both = open_set("synthetic", root)
    with pytest.raises(InputError, match="elsewhere: is in none of"):
        both.read(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="give the folders of one or more"):
        JoinedSet([])
    one = tmp_path / "one"
    with pytest.raises(InputError, match="lies in"):
        JoinedSet([(both, one), (both, one / "inside")])
