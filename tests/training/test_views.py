from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from asgcn_dgl.data import Clip, ClipList
from asgcn_dgl.errors import InputError
from asgcn_dgl.skeleton import get_layout
from asgcn_dgl.training.clips import make_transform
from asgcn_dgl.training.config import ClipsConfig
from asgcn_dgl.training.preparation import SUITED, found_views, suited

LAYOUT = get_layout("kinectv1_20")


def facing(degrees, layout=LAYOUT, dims=3):
    """A clip of somebody who faces a direction, and turns away for a frame or two."""
    rng = np.random.default_rng(int(degrees) % 89)
    pos = 0.01 * rng.normal(size=(1, 7, layout.num_joints, 3))
    right, left = layout.shoulders or (0, 1)
    pos[0, :, right, 0] += 0.2
    pos[0, :, left, 0] -= 0.2
    turn = Rotation.from_euler("z", degrees, degrees=True)
    pos = turn.apply(pos.reshape(-1, 3)).reshape(pos.shape)
    pos[0, :2] *= -1
    return Clip.from_positions(str(degrees), layout, pos[..., :dims])


def clips(*degrees, **options):
    return ClipList.of([facing(each, **options) for each in degrees], ["one"])


def test_people_who_face_one_way_are_one_view():
    views, reason = found_views(clips(*range(70, 111)))
    assert views == "one" and "100 %" in reason


def test_people_who_face_many_ways_are_several_views():
    assert found_views(clips(*range(0, 180, 6)))[0] == "several"
    assert found_views(clips(*[0] * 8, 90, 90))[0] == "several"


def test_cameras_that_are_named_decide():
    assert found_views(clips(0, 1), [3, 3, 2, -1]) == ("several", "2 cameras are named")
    assert found_views(clips(0, 1, 2), [1, -1])[0] == "one"


def test_what_cannot_be_turned_is_one_view():
    assert found_views(clips(0, 90, 180, dims=2))[0] == "one"
    assert found_views(clips(0, 90, 180, layout=get_layout("hand21")))[0] == "one"


def test_options_that_suit_are_put_in_the_place_of_those_given():
    options = ClipsConfig(views="auto", flip=0.3, num_frames=20)
    found, reason = suited(options, clips(*range(5)))
    assert all(getattr(found, name) == value for name, value in SUITED["one"].items())
    assert (found.views, found.num_frames) == ("given", 20)
    assert "one view" in reason and "flip" in reason
    assert options.flip == 0.3
    found, reason = suited(ClipsConfig(views="several"), clips(*range(5)))
    assert found.align == SUITED["several"]["align"] and "several views" in reason


@pytest.mark.parametrize("views", ["auto", "one", "several"])
def test_clips_in_the_plane_are_not_turned_to_a_direction(views):
    found, reason = suited(ClipsConfig(views=views), clips(0, 90, dims=2))
    assert (found.align, found.rotate) == ("center", 15.0) and "align center" in reason
    make_transform(found, training=True)(facing(30, dims=2), np.random.default_rng(0))


def test_options_that_are_given_hold():
    options = ClipsConfig(flip=0.3)
    assert suited(options, clips(0)) == (options, "")


def test_given_options_that_need_depth_do_not_reach_clips_in_the_plane():
    flat = clips(0, 90, dims=2)
    found, reason = suited(ClipsConfig(flip=0.3), flat)
    assert (found.align, found.flip) == ("center", 0.3) and "spine needs 3 coordinates" in reason
    assert suited(found, flat) == (found, "")
    for align in ("view", "view_clip", "published", "pyskl", "as-gcn"):
        with pytest.raises(InputError, match=f"{align} needs 3 .* --clips.align center"):
            suited(ClipsConfig(align=align), flat)


@pytest.mark.parametrize("views", SUITED)
def test_what_suits_are_options(views):
    ClipsConfig(**SUITED[views])
