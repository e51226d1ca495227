from __future__ import annotations

import numpy as np
import pytest

from asgcn_dgl.data import Clip, ClipList, prepare
from asgcn_dgl.data.rates import AtRate, Resampled, doubt_rates
from asgcn_dgl.skeleton import get_layout


def moving(fps, seconds=2.0, hole=False):
    """A body that moves evenly, one unit a second."""
    time = np.arange(round(fps * seconds) + 1) / fps
    rest = np.random.default_rng(0).uniform(1, 2, (25, 3))
    pos = (rest + time[:, None, None])[None]
    mask = np.ones(pos.shape[:3], dtype=bool)
    mask[0, len(time) // 2 :, 4] = not hole
    meta = {"fps": fps}
    return Clip.from_positions(f"at{fps}", get_layout("ntu25"), pos, mask, meta=meta)


@pytest.mark.parametrize("fps", [10, 25, 29.97, 60, 240])
def test_one_motion_at_any_rate_becomes_the_same(fps):
    found, expected = AtRate(30)(moving(fps)), moving(30)
    assert abs(found.num_frames - 61) <= 1 and found.meta["fps"] == 30
    frames = min(found.num_frames, 61)
    np.testing.assert_allclose(found.pos[:, :frames], expected.pos[:, :frames], atol=1e-4)


def test_what_is_left_as_it_is():
    clip = moving(30)
    assert AtRate(30)(clip) is clip
    untold = Clip.from_positions("a", clip.layout, clip.pos)
    assert AtRate(10)(untold) is untold
    once = AtRate(20)(clip)
    assert AtRate(20)(once) is once


def test_missing_joints_stay_missing():
    found = AtRate(15)(moving(30, hole=True))
    assert found.mask[0, :14].all() and not found.mask[0, 16:, 4].any()


def test_a_reader_of_one_rate(tmp_path):
    whole = ClipList.of([moving(25), moving(50)], ["walk"])
    reader = Resampled.of(whole, 25)
    assert [clip.num_frames for clip in reader] == [51, 51] and reader.class_names == ("walk",)
    prepare(reader, tmp_path / "store")


@pytest.mark.parametrize(
    ("rates", "told"),
    [
        ([30, 30], ""),
        ([0, 0], ""),
        ([50, 25, 50], "(25: 1, 50: 2 recordings)"),
        ([25, 0], "(25: 1, unknown: 1 recordings)"),
    ],
)
def test_what_is_doubted(rates, told):
    found = doubt_rates(rates)
    assert told in found and bool(told) == bool(found)
    assert not told or "--clips.rate 25" in found
