from __future__ import annotations

import numpy as np
import pytest

from asgcn_dgl.data import MISSING, Clip, HandleMissing


def one_joint(layout, values, others=1.0):
    """Clip whose joint 1 has the given x, None where it is missing."""
    pos = np.full((1, len(values), 4, 2), others)
    mask = np.ones(pos.shape[:3], dtype=bool)
    mask[0, :, 1] = [value is not None for value in values]
    pos[0, :, 1, 0] = [value or 0.0 for value in values]
    return Clip.from_positions("clip", layout, pos, mask)


def test_gaps_are_filled_evenly_and_ends_held(chain):
    clip = one_joint(chain, [None, 2.0, None, None, 8.0, None])
    filled = HandleMissing("interpolate")(clip)
    np.testing.assert_allclose(filled.pos[0, :, 1, 0], [2, 2, 4, 6, 8, 8], rtol=1e-6)
    assert filled.mask.all() and not clip.mask.all()


def test_gaps_longer_than_allowed_stay(chain):
    clip = one_joint(chain, [None, 2.0, None, None, 8.0, None, None])
    filled = HandleMissing("interpolate", max_gap=1)(clip)
    assert filled.mask[0, :, 1].tolist() == [True, True, False, False, True, False, False]
    filled = HandleMissing("interpolate", max_gap=2)(clip)
    assert filled.mask.all()


def test_what_is_never_seen_stays_missing(chain):
    clip = one_joint(chain, [None] * 4)
    for policy in ("interpolate", "drop", "mask"):
        kept = HandleMissing(policy)(clip)
        assert not kept.mask[0, :, 1].any() and (kept.pos[0, :, 1] == 0).all()
        assert kept.num_frames == 4


def test_frames_that_miss_too_much_are_dropped(make_clip):
    clip = make_clip(2, 6)
    mask = clip.mask.copy()
    mask[1, 2] = False  # half of all joints
    mask[:, 4, :20] = False  # 40 of 50
    clip = clip.with_pos(clip.pos, mask)
    kept = HandleMissing("drop")(clip)
    np.testing.assert_array_equal(kept.pos, clip.pos[:, [0, 1, 2, 3, 5]])
    assert HandleMissing("drop", max_missing=0.49)(clip).num_frames == 4
    empty = clip.with_pos(clip.pos, mask & (np.arange(25) < 3))
    assert HandleMissing("drop", max_missing=0.0)(empty).num_frames >= 1


def test_zero_counts_as_seen_but_an_absent_body_does_not(make_clip):
    clip = make_clip(2, 5, hole=0.4)
    mask = clip.mask.copy()
    mask[1] = False
    clip = clip.with_pos(clip.pos, mask)
    zeroed = HandleMissing("zero")(clip)
    np.testing.assert_array_equal(zeroed.pos, clip.pos)
    assert zeroed.mask[0].all() and not zeroed.mask[1].any()


@pytest.mark.parametrize("policy", MISSING)
def test_a_full_clip_is_left_alone(policy, make_clip):
    clip = make_clip(2, 5)
    assert HandleMissing(policy)(clip) is clip


def test_scores_are_filled_like_places(chain):
    pos = np.ones((1, 3, 4, 3))
    pos[0, :, 1] = [[2.0, 2.0, 0.4], [0.0, 0.0, 0.0], [4.0, 2.0, 0.8]]
    clip = Clip.from_positions("clip", chain, pos, scored=True)
    assert not clip.mask[0, 1, 1]
    np.testing.assert_allclose(HandleMissing("interpolate")(clip).pos[0, 1, 1], [3, 2, 0.6])


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"policy": "guess"}, "missing must be one of mask, interpolate, drop, zero, got 'guess'"),
        ({"max_gap": 0}, "max_gap must be at least 1 or None, got 0"),
        ({"max_missing": 1.5}, "max_missing must be within 0..1, got 1.5"),
    ],
)
def test_bad_options_are_refused(options, text):
    with pytest.raises(ValueError, match=text):
        HandleMissing(**options)
