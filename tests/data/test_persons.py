from __future__ import annotations

import numpy as np
import pytest

from asgcn_dgl.data import Clip, DropNoise, JoinTracks, SelectBodies
from asgcn_dgl.data.persons import energy, rank_bodies

FRAMES = 40


def walker(seed: int, speed: float = 0.05, joints: int = 4, start: float = 0.0) -> np.ndarray:
    """(T, V, 3) of an upright body, 2 high and half as wide, that walks along x."""
    rng = np.random.default_rng(seed)
    body = rng.uniform(0, 1, size=(joints, 3)) * [0.2, 2.0, 0.2] + [start + 5.0, 1.0, 3.0]
    body[0, 1], body[1, 1] = 1.0, 3.0
    steps = np.arange(FRAMES)[:, None, None] * [speed, 0.0, 0.0]
    return body + steps


def make(layout, *bodies, seen=None, scored=False) -> Clip:
    pos = np.stack(bodies)
    mask = np.ones(pos.shape[:3], dtype=bool)
    for body, frames in (seen or {}).items():
        mask[body] = False
        mask[body, frames] = True
    return Clip.from_positions("clip", layout, pos, mask, scored=scored)


def test_energy_by_hand():
    pos = np.zeros((2, 2, 3))
    pos[1, :, 0] = 2.0  # x: 0 0 2 2
    pos[:, 1, 2] = 6.0  # z: 0 6 0 6
    mask = np.ones((2, 2), dtype=bool)
    assert energy(pos, mask) == 1.0 + 3.0
    assert energy(pos, ~mask) == 0.0


def test_rules_rank_by_what_they_say(chain):
    scores = np.array([0.9, 0.2, 0.5])
    speeds = (0.01, 0.1, 0.05)
    bodies = [
        np.concatenate([walker(1, speed)[..., :2], np.full((FRAMES, 4, 1), score)], axis=-1)
        for speed, score in zip(speeds, scores, strict=True)
    ]
    clip = make(chain, *bodies, seen={1: slice(0, 30), 2: slice(0, 40)}, scored=True)
    assert rank_bodies(clip, "energy").tolist() == [1, 2, 0]
    assert rank_bodies(clip, "confidence").tolist() == [0, 2, 1]
    assert rank_bodies(clip, "tracking").tolist() == [2, 0, 1]  # 2 moves more than 0
    plain = make(chain, *(walker(1, speed) for speed in speeds), seen={0: slice(0, 10)})
    assert rank_bodies(plain, "confidence").tolist()[-1] == 0
    with pytest.raises(ValueError, match="rule must be one of energy, confidence, tracking"):
        rank_bodies(clip, "height")


def test_any_number_of_bodies_is_kept(chain):
    speeds = (0.01, 0.04, 0.02, 0.03)
    clip = make(chain, *(walker(1, speed) for speed in speeds))
    order = [1, 3, 2, 0]
    for number in (1, 2, 3, 4, None):
        kept = SelectBodies(number)(clip)
        np.testing.assert_array_equal(kept.pos, clip.pos[order[:number]])
    unseen = make(chain, walker(1), walker(2), seen={0: []})
    assert SelectBodies(2)(unseen).num_bodies == 1  # who is never seen is no body
    assert JoinTracks()(unseen).num_bodies == 1


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: SelectBodies(0), "max_bodies must be at least 1, got 0"),
        (lambda: SelectBodies(2, "size"), "rule must be one of energy"),
        (lambda: DropNoise(("lengths",)), "rules must be of length, spread, motion"),
        (lambda: JoinTracks(max_gap=-1), "must be at least 0, got -1 and"),
    ],
)
def test_bad_options_are_refused(call, text):
    with pytest.raises(ValueError, match=text):
        call()


def test_short_wide_and_still_bodies_are_noise(chain):
    person = walker(1, 0.1)
    chair = walker(2, 0.0) * 0.1
    wide = walker(3) * [20.0, 1.0, 1.0]
    clip = make(chain, person, chair, wide, walker(4), seen={3: slice(5, 16)})

    def left(*rules):
        kept = DropNoise(rules)(clip).pos
        return [n for n in range(4) if any(np.array_equal(clip.pos[n], body) for body in kept)]

    assert left("length") == [0, 1, 2]  # 11 frames are too few
    assert left("spread") == [0, 1, 3]
    assert left("length", "spread") == left("spread", "length") == [0, 1]
    assert left() == [0, 1, 2, 3]
    assert 1 not in left("motion") and 0 in left("motion")
    assert DropNoise(("length",), min_frames=11)(clip).num_bodies == 4


def test_noise_leaves_one_body_at_least(chain):
    clip = make(chain, walker(1, 0.01), walker(2, 0.2), seen={0: slice(0, 5), 1: slice(0, 4)})
    kept = DropNoise(("length", "spread", "motion"))(clip)
    assert kept.num_bodies == 1
    np.testing.assert_array_equal(kept.pos[0], clip.pos[1])
    alone = make(chain, walker(1), seen={0: slice(0, 3)})
    assert DropNoise()(alone) is alone


def test_tracks_of_one_person_are_joined(chain):
    person, other = walker(1), walker(2, -0.05, start=4.0)
    seen = {0: slice(0, 15), 1: slice(0, 40), 2: slice(18, 30), 3: slice(30, 40)}
    clip = make(chain, person, other, person, person, seen=seen)
    joined = JoinTracks()(clip)
    assert joined.num_bodies == 2
    there = joined.mask.any(axis=2)
    assert there[0].sum() == 37 and not there[0, 15:18].any() and there[1].all()
    np.testing.assert_array_equal(joined.pos[0][there[0]], person.astype(np.float32)[there[0]])
    np.testing.assert_array_equal(joined.pos[1], other.astype(np.float32))


def test_tracks_in_the_gaps_of_another_are_joined(chain):
    person = walker(1)
    seen = {0: [*range(10), *range(20, 40)], 1: slice(10, 20)}
    assert JoinTracks()(make(chain, person, person, seen=seen)).num_bodies == 1


def test_tracks_too_far_apart_in_place_or_time_are_not_joined(chain):
    seen = {0: slice(0, 15), 1: slice(18, 40)}
    assert JoinTracks()(make(chain, walker(1), walker(1, start=3.0), seen=seen)).num_bodies == 2
    late = make(chain, walker(1), walker(1), seen=seen)
    assert JoinTracks()(late).num_bodies == 1
    assert JoinTracks(max_gap=2)(late).num_bodies == 2
    assert JoinTracks(max_gap=3)(late).num_bodies == 1
    both = make(chain, walker(1), walker(1), seen={0: slice(0, 15), 1: slice(14, 40)})
    assert JoinTracks()(both).num_bodies == 2  # together in a frame: two persons
