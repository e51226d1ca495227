from __future__ import annotations

import numpy as np
import pytest

from asgcn_dgl.data import open_store, prepare
from asgcn_dgl.data.formats.registry import format_options, open_source
from asgcn_dgl.data.synthetic import write_synthetic
from asgcn_dgl.errors import InputError


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("raw")
    write_synthetic(folder, clips_per_class=1, subjects=1)
    return folder


def test_ntu_formats_have_the_readers_options():
    known = {"drop", "max_bodies", "min_state", "select", "noise", "join"}
    for name in ("ntu60", "ntu120", "synthetic"):
        assert set(format_options(name)) == known
    assert set(format_options("nw_ucla")) == {"drop"}


def test_options_reach_the_reader_and_the_workers(root, tmp_path):
    plain = open_source("synthetic", root)
    strict = open_source("synthetic", root, max_bodies=1, min_state=2, noise="length", join=True)
    assert {clip.num_bodies for clip in plain} == {1, 2}
    assert {clip.num_bodies for clip in strict} == {1}
    assert any(not clip.mask.all() for clip in strict)
    tracked = open_source("synthetic", root, max_bodies=1, noise="length", join=True)
    assert sum(clip.mask.sum() for clip in strict) < sum(clip.mask.sum() for clip in tracked)
    assert plain.stamp() != strict.stamp()
    prepare(strict, tmp_path / "store", shard=5, workers=2)
    store = open_store(tmp_path / "store")
    for place in (0, len(strict) - 1):
        np.testing.assert_array_equal(store.read(place).mask, strict.read(place).mask)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"min_state": 5}, "options of synthetic: min_state must be 0, 1 or 2, got 5"),
        ({"noise": ["length", "x"]}, "rules must be of length, spread, motion, got 'x'"),
        ({"max_bodies": 0}, "max_bodies must be at least 1, got 0"),
        ({"max_bodies": "two"}, "options of synthetic"),
        ({"bodies": 2}, "format synthetic has no option 'bodies'; its options are drop, max"),
    ],
)
def test_bad_options_are_told(root, options, told):
    with pytest.raises(InputError, match=told):
        open_source("synthetic", root, **options)
