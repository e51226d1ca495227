"""The set of actions that differ by which limbs move together."""

from __future__ import annotations

import numpy as np
import pytest

from asgcn_dgl.data import open_data
from asgcn_dgl.data.synthetic import (
    COORDINATED,
    MIXED,
    PARENTS,
    TRAIN_SUBJECTS,
    Subject,
    clip_name,
    make_clip,
    moving_together,
    write_synthetic,
)
from asgcn_dgl.data.synthetic.actions import stage
from asgcn_dgl.data.synthetic.writer import plan_clips
from asgcn_dgl.experiments.planted import planted_limbs

NAMES = [name for name, *_ in COORDINATED]
WRIST, ANKLE = (10, 6), (18, 14)


def play(label, seed):
    rng = np.random.default_rng([label, seed])
    bodies, pair = stage(label, Subject.draw(rng), Subject.draw(rng), rng, COORDINATED)
    return bodies, pair


def height(bodies, limb):
    end = WRIST if limb.kind == "hand" else ANKLE
    return bodies[limb.person, :, end[limb.side], 1]


@pytest.mark.parametrize("label", range(len(COORDINATED)))
@pytest.mark.parametrize("seed", range(3))
def test_the_pair_moves_as_the_action_is_named(label, seed):
    bodies, pair = play(label, seed)
    assert len(bodies) in (COORDINATED[label][1], 2)  # somebody may look on
    one, two = (height(bodies, limb) for limb in pair)
    same, late = max(
        (
            (np.corrcoef(first[: -late or None], then[late:])[0, 1], late)
            for first, then in ((one, two), (two, one))
            for late in range(12)
        ),
        key=lambda found: abs(found[0]),
    )
    assert (same < -0.8) if NAMES[label].endswith("by turns") else (same > 0.8)
    assert late in (range(4, 9) if NAMES[label].endswith("in sequence") else range(1, 5))


@pytest.mark.parametrize("label", range(len(COORDINATED)))
def test_bodies_are_bodies(label):
    for seed in range(3):
        bodies, _ = play(label, seed)
        for joint, parent in enumerate(PARENTS):
            if parent >= 0:
                bone = np.linalg.norm(bodies[:, :, joint] - bodies[:, :, parent], axis=-1)
                assert np.ptp(bone, axis=1).max() < 1e-9
        lowest = bodies[:, :, [14, 15, 18, 19], 1].min(axis=-1)
        assert lowest.max() < 0.35 and lowest.min() > -0.1  # both feet may be up
        assert np.linalg.norm(np.diff(bodies, axis=1), axis=-1).max() < 0.6


def test_a_limb_by_itself_does_not_tell_how_it_moves_with_the_other():
    """Limbs of a pair rise as high and as fast in each of the three ways."""
    for measure in (np.ptp, lambda y: np.abs(np.diff(y)).mean()):
        for first in range(0, len(COORDINATED), 3):
            ways = []
            for label in range(first, first + 3):
                found = []
                for seed in range(12):
                    bodies, pair = play(label, seed)
                    found += [measure(height(bodies, limb)) for limb in pair]
                ways.append(np.mean(found))
            assert np.ptp(ways) / np.mean(ways) < 0.25


def test_any_hand_and_any_foot_may_be_the_pair():
    seen = {play(3, seed)[1] for seed in range(40)}
    assert len(seen) == 4
    assert {limb.kind for pair in seen for limb in pair} == {"hand", "foot"}


def test_which_limbs_move_together_is_known_of_every_clip():
    for label, (name, persons, *_) in enumerate(MIXED, start=1):
        pair = moving_together(label, 2, 1, 1, seed=4)
        if name not in NAMES:
            assert pair is None
            continue
        assert {limb.person for limb in pair} == set(range(persons))
        found = planted_limbs(f"S002C001P002R001A{label:03d}", persons, seed=4)
        kinds = [("hand", "foot")[limb % 4 // 2] for limb in found]
        assert kinds == [limb.kind for limb in pair]
        assert [limb // 4 for limb in found] == [limb.person for limb in pair]
        assert planted_limbs(f"S002C001P002R001A{label:03d}", 3 - persons, seed=4) is None


def test_every_camera_sees_people_of_training_and_test():
    plan = plan_clips(18, 18, 3, "coordinated")
    for part in (True, False):
        seen = {camera for _, subject, camera, _ in plan if (subject in TRAIN_SUBJECTS) == part}
        assert seen == {1, 2, 3}
    assert len({clip_name(*numbers) for numbers in plan}) == 18 * len(MIXED)


def test_what_is_known_is_what_is_recorded():
    label = 1 + [name for name, *_ in MIXED].index("hands of two together")
    clip = make_clip(label, 2, 1, 1, seed=4, noise=0, losses=0, actions=MIXED)
    pair = moving_together(label, 2, 1, 1, seed=4)
    tops = [clip.joints[limb.person, :, WRIST[limb.side], 1] for limb in pair]
    assert np.corrcoef(*tops)[0, 1] > 0.5


def test_the_set_is_written_and_recognized(tmp_path):
    paths = write_synthetic(tmp_path, clips_per_class=1, subjects=1, actions="coordinated")
    assert len(paths) == len(MIXED)
    data = open_data(tmp_path)
    assert data.origin.format == "coordinated"
    assert data.class_names == tuple(name for name, *_ in MIXED)
    with pytest.raises(ValueError, match=r"actions must be one of.*'nothing'"):
        write_synthetic(tmp_path / "other", actions="nothing")
