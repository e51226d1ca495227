from __future__ import annotations

import numpy as np
import pytest

from asgcn_dgl.skeleton import get_layout
from asgcn_dgl.viz import Exhibit

LAYOUT = get_layout("coco17")


def exhibit(bodies=2, frames=10, dims=3, **others):
    rng = np.random.default_rng(0)
    pos = rng.normal(size=(bodies, frames, 17, dims))
    return Exhibit("clip", LAYOUT, pos, np.ones((bodies, frames, 17), dtype=bool), **others)


@pytest.mark.parametrize(
    ("others", "message"),
    [
        ({"links": np.zeros((3, 17, 17))}, r"links must have shape \(any, 34, 34\)"),
        ({"response": np.zeros((1, 4, 17))}, r"response must have shape \(2, any, 17\)"),
        ({"response": np.zeros((2, 4, 17))}, "response_frames must be given"),
        (
            {"response": np.zeros((2, 4, 17)), "response_frames": np.zeros(3)},
            r"response_frames must have shape \(4\)",
        ),
        ({"future": np.zeros((2, 3, 17, 2))}, r"future must have shape \(2, any, 17, 3\)"),
        ({"future": np.zeros((2, 10, 17, 3))}, "future must be of fewer than 10 frames"),
    ],
)
def test_shapes_that_do_not_fit_are_named(others, message):
    with pytest.raises(ValueError, match=message):
        exhibit(**others)


def test_positions_and_mask_are_checked():
    with pytest.raises(ValueError, match=r"pos must be \(bodies, frames, 17, 2 or 3\)"):
        Exhibit("x", LAYOUT, np.zeros((1, 2, 18, 3)), np.ones((1, 2, 18), dtype=bool))
    with pytest.raises(ValueError, match=r"mask must have shape \(1, 2, 17\)"):
        Exhibit("x", LAYOUT, np.zeros((1, 2, 17, 3)), np.ones((2, 17), dtype=bool))


def test_parts_of_a_body():
    links = np.arange(2 * 34 * 34, dtype=float).reshape(2, 34, 34)
    response = np.arange(2 * 3 * 17, dtype=float).reshape(2, 3, 17)
    clip = exhibit(links=links, response=response, response_frames=np.array([0.0, 4.0, 8.0]))
    assert clip.body_links(1)[0, 0, 0] == links[0, 17, 17]
    assert clip.body_response(1, 5).tolist() == response[1, 1].tolist()
    assert clip.body_response(0, 9).tolist() == response[0, 2].tolist()
    response[0, 2, 4:6] = 0.0  # joints that were missing then
    response[0, 1, 5] = 0.0
    assert clip.body_response(0, 9)[3:7].tolist() == [37.0, 21.0, 5.0, 40.0]
    bare = exhibit()
    assert (bare.steps, bare.predicted) == (0, -1)
    with pytest.raises(ValueError, match="has no A-links"):
        bare.body_links(0)
    with pytest.raises(ValueError, match="has no feature responses"):
        bare.body_response(0, 0)


def test_leader_moves_most_and_was_seen():
    pos = np.zeros((3, 10, 17, 3))
    pos[1, :, :, 0] = np.arange(10)[:, None]
    pos[2] = 100 * np.random.default_rng(0).normal(size=(10, 17, 3))
    mask = np.ones((3, 10, 17), dtype=bool)
    mask[2] = False
    clip = Exhibit("clip", LAYOUT, pos, mask)
    assert clip.leader == 1
    assert clip.middle(1) == 5
    mask[1, 3:9, 4] = False
    assert clip.middle(1) == 2
