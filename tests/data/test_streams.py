from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asgcn_dgl.data import STREAMS, Clip, to_stream
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
