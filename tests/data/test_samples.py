from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asgcn_dgl.data import MISSING, STREAMS, Clip, HandleMissing, to_stream
from asgcn_dgl.data.samples import recent_poses
from asgcn_dgl.skeleton import get_layout, layout_names


def random_clip(layout: str, bodies: int, frames: int, seed: int, hole: float = 0.0) -> Clip:
    rng = np.random.default_rng(seed)
    skeleton = get_layout(layout)
    pos = rng.normal(size=(bodies, frames, skeleton.num_joints, 3))
    mask = rng.random(pos.shape[:3]) >= hole
    mask[0, 0, 0] = True
    return Clip.from_positions("c", skeleton, pos, mask)


clips = st.builds(
    random_clip,
    st.sampled_from(layout_names()),
    st.integers(1, 3),
    st.integers(1, 6),
    st.integers(0, 99),
    st.sampled_from([0.0, 0.3]),
)


def test_values_by_hand(chain):
    # hip, head, left, right over two frames, one coordinate
    pos = np.array([[[1.0], [3.0], [0.5], [2.0]], [[2.0], [5.0], [0.5], [2.5]]])[None]
    clip = Clip.from_positions("c", chain, pos)
    expected = {
        "joint": [[1, 3, 0.5, 2], [2, 5, 0.5, 2.5]],
        "bone": [[0, 2, -0.5, 1], [0, 3, -1.5, 0.5]],
        "joint_motion": [[1, 2, 0, 0.5], [0, 0, 0, 0]],
        "bone_motion": [[0, 1, -1, -0.5], [0, 0, 0, 0]],
        "long_bone": [[0, 2, -0.5, 1], [0, 3, -1.5, 0.5]],  # no joint is two bones away
        "long_bone_motion": [[0, 1, -1, -0.5], [0, 0, 0, 0]],
    }
    assert tuple(expected) == STREAMS
    for stream, values in expected.items():
        assert to_stream(clip, stream).pos[0, :, :, 0].tolist() == values
        assert to_stream(clip, stream).mask.all()


def test_missing_ends_make_missing_features(chain):
    mask = np.ones((1, 3, 4), dtype=bool)
    mask[0, 1, 2] = mask[0, 2, 0] = False  # left in frame 2, the centre in frame 3
    clip = Clip.from_positions("c", chain, np.ones((1, 3, 4, 3)), mask)
    assert to_stream(clip, "bone").mask[0].astype(int).tolist() == [
        [1, 1, 1, 1],
        [1, 1, 0, 1],
        [0, 0, 0, 0],
    ]
    assert to_stream(clip, "joint_motion").mask[0].astype(int).tolist() == [
        [1, 1, 0, 1],
        [0, 1, 0, 1],
        [0, 1, 1, 1],
    ]


@settings(deadline=None, max_examples=40)
@given(clips)
def test_bones_add_up_to_joints(clip):
    bone = to_stream(clip, "bone")
    layout = clip.layout
    assert (bone.pos[:, :, layout.center] == 0).all()
    for joint, parent in enumerate(layout.parents):
        seen = bone.mask[:, :, joint]
        if parent >= 0:
            ends = clip.pos[:, :, parent] + bone.pos[:, :, joint]
            np.testing.assert_allclose(ends[seen], clip.pos[:, :, joint][seen], atol=1e-5)


@settings(deadline=None, max_examples=40)
@given(clips)
def test_long_bones_are_two_bones(clip):
    bone, long = to_stream(clip, "bone"), to_stream(clip, "long_bone")
    for joint, parent in enumerate(clip.layout.parents):
        both = bone.mask[:, :, joint] & bone.mask[:, :, max(parent, 0)]
        total = bone.pos[:, :, joint] + (bone.pos[:, :, parent] if parent >= 0 else 0)
        np.testing.assert_allclose(long.pos[:, :, joint][both], total[both], atol=1e-5)
        assert (long.mask[:, :, joint] >= both).all()  # the joint between need not be seen


@settings(deadline=None, max_examples=40)
@given(clips, st.sampled_from(["joint_motion", "bone_motion"]))
def test_motion_ends_in_zero_and_knows_no_place(clip, stream):
    moved = clip.with_pos(clip.pos + np.float32(4))
    first, second = to_stream(clip, stream), to_stream(moved, stream)
    assert (first.pos[:, -1] == 0).all()
    np.testing.assert_allclose(first.pos, second.pos, atol=1e-5)


@settings(deadline=None, max_examples=40)
@given(clips, st.sampled_from(STREAMS))
def test_missing_is_zero_and_the_clip_is_untouched(clip, stream):
    before = clip.pos.copy()
    after = to_stream(clip, stream)
    assert after.pos.shape == clip.pos.shape
    assert after.pos.dtype == np.float32
    assert (after.pos[~after.mask] == 0).all()
    assert not (after.mask & ~clip.mask).any()
    np.testing.assert_array_equal(clip.pos, before)


def test_unknown_stream(make_clip):
    with pytest.raises(ValueError, match=r"stream must be one of joint, bone, .* got 'bones'"):
        to_stream(make_clip(), "bones")


def test_scores_are_averaged_not_subtracted(chain):
    pos = np.ones((1, 2, 4, 3))
    pos[0, :, 0, 2] = [0.2, 0.4]  # the hip, parent of the rest
    pos[0, :, 1] = [[3.0, 1.0, 0.6], [4.0, 1.0, 0.8]]
    pos[0, 1, 3] = 0.0  # no score: missing
    clip = Clip.from_positions("demo", chain, pos, scored=True)
    bone, motion, both = (to_stream(clip, s) for s in ("bone", "joint_motion", "bone_motion"))
    np.testing.assert_allclose(bone.pos[0, :, 1], [[2, 0, 0.4], [3, 0, 0.6]], rtol=1e-6)
    np.testing.assert_allclose(bone.pos[0, 0, 0], [0, 0, 0.2], rtol=1e-6)
    np.testing.assert_allclose(motion.pos[0, :, 1], [[1, 0, 0.7], [0, 0, 0.8]], rtol=1e-6)
    np.testing.assert_allclose(both.pos[0, :, 1], [[1, 0, 0.5], [0, 0, 0.6]], rtol=1e-6)
    assert not bone.mask[0, 1, 3] and not motion.mask[0, :, 3].any()
    assert (motion.pos[0, :, 3] == 0).all() and both.scored


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


def test_what_was_never_seen_is_zero_among_the_last_poses(chain):
    """Even where a clip made by hand holds something else there."""
    mask = np.ones((1, 4, 4), dtype=bool)
    mask[:, :, 1] = False
    clip = Clip("c", chain, np.ones((1, 4, 4, 3), dtype=np.float32), mask, 0, {})
    recent = recent_poses(clip, 2)
    assert (recent[:, :, 1] == 0).all() and (recent[:, :, [0, 2, 3]] == 1).all()
