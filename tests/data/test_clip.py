from __future__ import annotations

import os
import pickle

import numpy as np
import pytest

from asgcn_dgl.data import Clip
from asgcn_dgl.data.files import read_bytes
from asgcn_dgl.errors import InputError
from asgcn_dgl.skeleton import SkeletonLayout, get_layout

LAYOUT = get_layout("ntu25")


def positions(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape)


def test_joints_at_the_origin_are_missing():
    pos = positions(1, 4, 25, 3)
    pos[0, 2, 5] = 0
    pos[0, 2, 6, 0] = 0  # one zero coordinate is no missing joint
    clip = Clip.from_positions("c", LAYOUT, pos)
    assert np.argwhere(~clip.mask).tolist() == [[0, 2, 5]]
    assert clip.pos.dtype == np.float32
    assert (clip.num_bodies, clip.num_frames, clip.num_dims) == (1, 4, 3)


def test_a_given_mask_zeroes_what_it_hides_even_nan():
    pos = positions(1, 4, 25, 3)
    pos[0, 1, 3] = np.nan
    mask = np.ones((1, 4, 25), dtype=bool)
    mask[0, 1, 3] = False
    clip = Clip.from_positions("c", LAYOUT, pos, mask)
    assert (clip.pos[0, 1, 3] == 0).all()
    assert clip.check() is clip


def test_nan_is_missing_unless_a_mask_says_otherwise():
    pos = positions(1, 4, 25, 3)
    pos[0, 1, 3, 2] = np.nan
    clip = Clip.from_positions("c", LAYOUT, pos)
    assert np.argwhere(~clip.mask).tolist() == [[0, 1, 3]] and (clip.pos[0, 1, 3] == 0).all()
    with pytest.raises(InputError, match=r"coordinate 3 of joint 4 .* is nan"):
        Clip.from_positions("c", LAYOUT, pos, np.ones((1, 4, 25), dtype=bool))


@pytest.mark.parametrize("value", [np.inf, -np.inf, 1e300])
def test_not_finite_names_the_place(value):
    pos = positions(2, 4, 25, 3)
    pos[1, 2, 3, 1] = value
    with pytest.raises(InputError, match=r"a\.json: coordinate 2 of joint 4 \(head\) of body 2 in"):
        Clip.from_positions("c", LAYOUT, pos, meta={"path": "a.json"})


def test_all_zero_is_refused():
    with pytest.raises(InputError, match="all joints of all bodies are zero or missing; remove"):
        Clip.from_positions("c", LAYOUT, np.zeros((1, 4, 25, 3)))


@pytest.mark.parametrize(
    ("shape", "text"),
    [
        ((1, 0, 25, 3), "the clip holds no frame"),
        ((0, 4, 25, 3), "the clip holds no body"),
        ((1, 4, 25, 0), "the clip holds no coordinate"),
        ((1, 4, 20, 3), "20 joints where layout 'ntu25' has 25"),
        ((4, 25, 3), "float32 of shape"),
    ],
)
def test_wrong_shapes_are_refused(shape, text):
    with pytest.raises(InputError, match=text):
        Clip.from_positions("c", LAYOUT, np.ones(shape))


def test_wrong_types_are_refused():
    pos = np.ones((1, 4, 25, 3), dtype=np.float32)
    with pytest.raises(InputError, match="must be float32"):
        Clip("c", LAYOUT, pos.astype(np.float64), np.ones((1, 4, 25), dtype=bool))
    with pytest.raises(InputError, match="the mask must be bool of shape"):
        Clip("c", LAYOUT, pos, np.ones((1, 4, 25)))
    with pytest.raises(InputError, match="the mask must be bool of shape"):
        Clip.from_positions("c", LAYOUT, pos, np.ones((1, 5, 25), dtype=bool))


def test_positions_under_the_mask_must_be_zero():
    mask = np.ones((1, 4, 25), dtype=bool)
    mask[0, 0, 0] = False
    clip = Clip("c", LAYOUT, np.ones((1, 4, 25, 3), dtype=np.float32), mask)
    with pytest.raises(InputError, match="must be 0 where the mask is False"):
        clip.check()


def test_labels_are_checked():
    pos = positions(1, 4, 25, 3)
    assert Clip.from_positions("c", LAYOUT, pos, label=9).check(10).label == 9
    for label in (-1, 10):
        with pytest.raises(InputError, match=rf"label {label} is not one of 0\.\.9"):
            Clip.from_positions("c", LAYOUT, pos, label=label).check(10)
    with pytest.raises(InputError, match="below -1"):
        Clip.from_positions("c", LAYOUT, pos, label=-2)


def test_trimmed_drops_empty_ends_only():
    pos = positions(1, 6, 25, 3)
    pos[0, [0, 3, 5]] = 0
    clip = Clip.from_positions("c", LAYOUT, pos)
    trimmed = clip.trimmed()
    np.testing.assert_array_equal(trimmed.pos, clip.pos[:, 1:5])
    assert trimmed.mask.any(axis=(0, 2)).tolist() == [True, True, False, True]
    assert trimmed.trimmed() is trimmed


def test_clips_pickle():
    clip = Clip.from_positions("c", LAYOUT, positions(1, 4, 25, 3), label=2, meta={"camera": 1})
    twin = pickle.loads(pickle.dumps(clip))
    np.testing.assert_array_equal(twin.pos, clip.pos)
    assert (twin.label, twin.meta, twin.layout) == (clip.label, clip.meta, clip.layout)


def test_read_bytes_says_why(tmp_path):
    empty = tmp_path / "empty"
    empty.write_text(" \n")
    with pytest.raises(InputError, match="the file is empty"):
        read_bytes(empty)
    with pytest.raises(InputError, match=r"cannot be read.*no such file"):
        read_bytes(tmp_path / "absent")
    with pytest.raises(InputError, match=r"cannot be read.*it is a folder"):
        read_bytes(tmp_path)


def test_scores_are_apart_from_places(chain):
    pos = np.ones((1, 2, 4, 3))
    pos[0, 0, 2, 2] = 0.0
    clip = Clip.from_positions("c", chain, pos, scored=True)
    assert (clip.num_dims, clip.num_places) == (3, 2)
    assert not clip.mask[0, 0, 2] and clip.mask.sum() == 7
    np.testing.assert_array_equal(clip.places, clip.pos[..., :2])
    np.testing.assert_array_equal(clip.scores, clip.pos[..., 2])
    moved = clip.with_places(clip.places + 1)
    np.testing.assert_array_equal(moved.scores, clip.scores)
    assert moved.pos[0, 1, 0].tolist() == [2, 2, 1] and moved.pos[0, 0, 2].tolist() == [0, 0, 0]
    plain = Clip.from_positions("c", chain, pos)
    assert plain.scores is None and plain.num_places == 3 and plain.mask.all()
    np.testing.assert_array_equal(plain.with_places(plain.places + 1).pos, plain.pos + 1)
    with pytest.raises(InputError, match="a score alone is no position"):
        Clip.from_positions("c", chain, pos[..., :1], scored=True)


def test_places_that_cannot_be(make_clip):
    pos = make_clip(frames=3).pos.copy()
    pos[0, 1, 2, 0] = 1e13
    with pytest.raises(InputError, match=r"coordinate 1 of joint 3 \(.*\) of body 1 in frame 2 is"):
        Clip.from_positions("far", get_layout("ntu25"), pos)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda path: None, "no such file"),
        (lambda path: path.mkdir(), "it is a folder"),
        (lambda path: path.symlink_to("nowhere"), "no such file"),
        (lambda path: path.symlink_to(path.name), "too many levels of symbolic links"),
        (os.mkfifo, "it is no plain file"),
        (lambda path: path.symlink_to("/dev/zero"), "it is no plain file"),
        (lambda path: path.write_bytes(b""), "the file is empty"),
    ],
)
def test_files_that_cannot_be_read_to_an_end(tmp_path, make, told):
    make(tmp_path / "a")
    with pytest.raises(InputError, match=rf"a: .*{told}"):
        read_bytes(tmp_path / "a")
    with pytest.raises(InputError, match="null"):
        read_bytes("a\0b")


def test_a_file_that_is_too_large(tmp_path):
    with (tmp_path / "a").open("wb") as file:
        file.truncate(2**27 + 1)  # takes no room on the disk
    with pytest.raises(InputError, match="134 MB where at most 134 MB are read at once"):
        read_bytes(tmp_path / "a")


ABOUT_HIP = SkeletonLayout.from_bones("body", [("hip", "head"), ("hip", "foot")], center="hip")


def test_the_joint_that_a_pose_is_about_was_seen():
    """It is at the origin in every frame, and the body is around it."""
    pos = np.random.default_rng(0).normal(size=(2, 6, 3, 3))
    pos[:, :, 0] = 0
    pos[0, 2] = 0  # a frame without the body
    pos[1, :, 1] = 0  # a joint that was lost
    mask = Clip.from_positions("a", ABOUT_HIP, pos).mask
    assert mask[0, [0, 1, 3, 4, 5]].all() and not mask[0, 2].any()
    assert mask[1, :, [0, 2]].all() and not mask[1, :, 1].any()
    flat = np.random.default_rng(0).normal(size=(1, 6, 3, 2))
    flat[:, :, 1] = 0  # of a picture the centre alone can be meant
    assert not Clip.from_positions("a", ABOUT_HIP, flat).mask[:, :, 1].any()


@pytest.mark.parametrize("shift", [[0, 0, 3], [400, 300, 0], [9, 9, 9]])
def test_a_joint_at_an_origin_far_from_the_body_is_missing(shift):
    pos = np.random.default_rng(0).uniform(-0.5, 0.5, size=(1, 6, 3, 3)) + shift
    pos[:, :, 0] = 0
    assert not Clip.from_positions("a", ABOUT_HIP, pos).mask[:, :, 0].any()


def test_a_virtual_centre_needs_no_column():
    pair = SkeletonLayout.from_bones("pair", [(0, 1), (2, 3)], virtual_center="middle")
    pos = np.ones((1, 3, 4, 2)) * [[1, 1], [2, 2], [5, 5], [6, 6]]
    pos[0, 1] = 0
    pos[0, 2, :2] = 0
    clip = Clip.from_positions("a", pair, pos)
    assert clip.pos[0, :, 4].tolist() == [[3, 3], [0, 0], [5, 5]]
    assert clip.mask[0, :, 4].tolist() == [True, False, True]
    assert Clip.from_positions("a", pair, np.ones((1, 3, 5, 2))).num_dims == 2
    with pytest.raises(InputError, match="3 joints where layout 'pair' has 5"):
        Clip.from_positions("a", pair, pos[:, :, :3])
