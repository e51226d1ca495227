"""Whether A-links are where limbs move together, on a generated set in which that is known."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from sklearn.metrics import roc_auc_score

from asgcn_dgl.data.formats.ntu import parse_ntu_name
from asgcn_dgl.data.synthetic import LIMBS, SETS, moving_together
from asgcn_dgl.viz.exhibit import Exhibit

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.floating]


def limb_of_joints(persons: int) -> npt.NDArray[np.int64]:
    """Return the number of the limb that each joint of the persons is of, -1 for the trunk.

    Limbs count person by person: right hand, left hand, right foot, left foot.
    """
    one = np.full(25, -1)
    for number, kind in enumerate(("hand", "foot")):
        for side in (0, 1):
            one[list(LIMBS[kind][side])] = 2 * number + side
    return np.concatenate([np.where(one < 0, -1, one + 4 * person) for person in range(persons)])


def planted_pairs(name: str, persons: int, *, seed: int, data: str = "coordinated") -> Bools | None:
    """Return which joints of a clip move together though they are of different limbs, (N, N).

    N counts the joints of all bodies. It is None if the action has no such pair, or others than the
    ``persons`` who act are seen. ``data`` is a name in ``asgcn_dgl.data.synthetic.SETS``, ``seed``
    that of the set.
    """
    clip = parse_ntu_name(name)
    numbers = (clip.action, clip.subject, clip.camera, clip.replication)
    actions = SETS[data]
    pair = moving_together(*numbers, seed=seed, actions=actions)
    if pair is None or persons != actions[clip.action - 1][1]:
        return None
    limb = limb_of_joints(persons)
    one, two = (4 * each.person + 2 * (each.kind == "foot") + each.side for each in pair)
    found = (limb[:, None] == one) & (limb[None, :] == two)
    return np.asarray(found | found.T)


class PlantedArea(NamedTuple):
    """Areas under the ROC curve, 0.5 for a guess and 1 for A-links where they should be.

    ``found`` is of the A-links. ``constant`` is of the best links that are the same in every clip:
    each pair of joints is linked by the share of clips in which it moves together.
    """

    found: float
    constant: float


def planted_area(
    exhibits: Iterable[Exhibit], *, seed: int, data: str = "coordinated"
) -> PlantedArea | None:
    """Test A-links as a sign of moving together.

    Each pair of joints of different limbs counts once: its score is the probability that it is
    linked by any type, the mean of its two directions.

    Parameters
    ----------
    exhibits
        Clips of the set as a model sees them.
    seed
        Seed of the set.
    data
        Name of the set.

    Returns
    -------
    PlantedArea
        None without A-links or such clips.
    """
    scores: dict[int, list[Floats]] = {}  # by the number of persons
    truths: dict[int, list[Bools]] = {}
    for exhibit in exhibits:
        persons = exhibit.num_bodies
        truth = planted_pairs(exhibit.name, persons, seed=seed, data=data)
        if exhibit.links is None or truth is None:
            continue
        linked = exhibit.links.sum(axis=0)
        limb = limb_of_joints(persons)
        apart = (limb[:, None] != limb[None, :]) & (limb[:, None] >= 0) & (limb[None, :] >= 0)
        apart &= np.triu(np.ones_like(apart), 1)
        scores.setdefault(persons, []).append(0.5 * (linked + linked.T)[apart])
        truths.setdefault(persons, []).append(truth[apart])
    if not scores:
        return None
    share = [np.broadcast_to(np.mean(each, axis=0), np.shape(each)) for each in truths.values()]
    truth = np.concatenate([np.ravel(each) for each in truths.values()])
    return PlantedArea(
        float(roc_auc_score(truth, np.concatenate([np.ravel(each) for each in scores.values()]))),
        float(roc_auc_score(truth, np.concatenate([np.ravel(each) for each in share]))),
    )
