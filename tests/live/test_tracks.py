"""People keep their identity where they move on, cross, are lost and come back."""

import numpy as np
import pytest

from asgcn_dgl.live import Tracker


def bodies(*places, joints=6, seed=0):
    shape = np.random.default_rng(seed).normal(size=(joints, 2))
    return np.stack([shape + place for place in places])


def follow(tracker, frames):
    found = []
    for time, frame in enumerate(frames):
        pos = bodies(*frame) if len(frame) else np.zeros((0, 6, 2))
        found.append(tracker.update(pos, np.ones(pos.shape[:2], dtype=bool), float(time)))
    return found


def test_two_people_who_cross_keep_their_identity():
    steps = np.arange(30)
    frames = [[(0.3 * t, 0.0), (9.0 - 0.3 * t, 0.4)][:: 1 if t % 2 else -1] for t in steps]
    found = follow(Tracker(), frames)
    assert {tuple(each) for each in found[::2]} == {(0, 1)}
    assert {tuple(each) for each in found[1::2]} == {(1, 0)}


def test_who_is_lost_comes_back_and_who_stays_away_is_new():
    here, away = [(0.0, 0.0)], []
    found = follow(Tracker(max_lost=5), [here, here, away, away, here, *[away] * 8, here])
    assert found[4] == [0] and found[-1] == [1]


def test_who_is_far_is_new():
    assert follow(Tracker(), [[(0, 0)], [(50, 0)]]) == [[0], [1]]


def test_a_body_without_joints_is_nobody_known():
    tracker = Tracker()
    pos = bodies((0, 0))
    assert tracker.update(pos, np.zeros((1, 6), dtype=bool), 0.0) == [0]
    assert tracker.update(pos, np.ones((1, 6), dtype=bool), 1.0) == [1]


def test_wrong_options_are_named():
    with pytest.raises(ValueError, match="reach"):
        Tracker(reach=0)
    with pytest.raises(ValueError, match="max_lost"):
        Tracker(max_lost=-1)


def test_joints_that_were_never_seen_together_say_nothing():
    tracker, pos = Tracker(), bodies((0, 0))
    first = np.array([[True, True, True, False, False, False]])
    assert tracker.update(pos, first, 0.0) == [0]
    assert tracker.update(pos, ~first, 1.0) == [1]
