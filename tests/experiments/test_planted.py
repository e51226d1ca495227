from __future__ import annotations

import numpy as np
import pytest

from asgcn_dgl.data.synthetic import MIXED
from asgcn_dgl.experiments.planted import limb_links, limb_of_joints, planted_area, planted_limbs
from asgcn_dgl.skeleton import get_layout
from asgcn_dgl.viz import Exhibit

NAMES = [name for name, *_ in MIXED]
LAYOUT = get_layout("ntu25")


def exhibit(action, links_of):
    """A clip of one person whose A-links, of two types, are made of what is planted."""
    name = f"S001C001P001R001A{1 + NAMES.index(action):03d}"
    one, two = planted_limbs(name, 1, seed=0)
    limb = limb_of_joints(LAYOUT, 1)
    planted = (limb[:, None] == one) & (limb == two)
    planted |= planted.T
    links = np.stack([0.6 * links_of(planted), 0.3 * links_of(planted)])
    mask = np.ones((1, 4, 25), dtype=bool)
    return Exhibit(name, LAYOUT, np.ones((1, 4, 25, 3)), mask, 0, links=links)


ACTIONS = ("hands together", "hands by turns", "hand and foot together", "hand and foot by turns")


def test_links_where_limbs_move_together_are_perfect():
    found = planted_area([exhibit(name, lambda planted: 1.0 * planted) for name in ACTIONS], seed=0)
    assert found.found == 1.0
    # The pair of hands is right in half of the clips, a hand and a foot in at most a quarter.
    assert 0.8 < found.constant < 1.0


def test_links_elsewhere_are_not_and_one_direction_is_enough():
    upper = np.triu(np.ones((25, 25)), 1)
    wrong = planted_area([exhibit(name, lambda planted: 1.0 - planted) for name in ACTIONS], seed=0)
    assert wrong.found == 0.0
    half = planted_area(
        [exhibit(name, lambda planted: planted * upper) for name in ACTIONS], seed=0
    )
    assert half.found == 1.0
    hand = np.eye(25)[LAYOUT.joints.index("left_hand")]  # a joint of each limb is enough
    one = planted_area(
        [exhibit(name, lambda planted: planted * hand) for name in ACTIONS[:2]], seed=0
    )
    assert one.found == 1.0
    same = planted_area([exhibit(name, lambda planted: 0.0 * planted) for name in ACTIONS], seed=0)
    assert same.found == pytest.approx(0.5)


def test_limbs_count_person_by_person():
    small = get_layout("openni15")
    assert limb_of_joints(small, 1)[small.joints.index("left_elbow")] == 1
    assert (limb_of_joints(small, 1) >= 0).sum() == 8
    limb = limb_of_joints(LAYOUT, 2)
    assert limb[[11, 7, 18, 14, 20]].tolist() == [0, 1, 2, 3, -1]
    assert limb[25 + np.array([11, 7, 18, 14, 20])].tolist() == [4, 5, 6, 7, -1]


def test_limbs_that_a_layout_does_not_have_are_not_linked():
    found = limb_links(np.ones((2, 42, 42)), get_layout("hand21"), 2)
    assert found.shape == (28,) and not found.any()


def test_nothing_is_found_without_such_clips():
    assert planted_area([], seed=0) is None
    assert planted_limbs("S001C001P001R001A001", 1, seed=0) is None  # waves
