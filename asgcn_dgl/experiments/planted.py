"""Whether A-links are where limbs move together, on a generated set in which that is known."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
from sklearn.metrics import roc_auc_score

from asgcn_dgl.data.formats.ntu import parse_ntu_name
from asgcn_dgl.data.synthetic import LIMBS, SETS, moving_together
from asgcn_dgl.viz.exhibit import Exhibit

__all__ = ["limb_of_joints", "planted_area", "planted_pairs"]

Bools = npt.NDArray[np.bool_]


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


def planted_area(
    exhibits: Iterable[Exhibit], *, seed: int, data: str = "coordinated"
) -> float | None:
    """Return the area under the ROC curve of A-links as a test for moving together.

    Each pair of joints of different limbs counts once: its score is the probability that it is
    linked by any type, in the more probable of its two directions. 0.5 is a guess, 1 perfect; None
    without A-links or clips with such pairs.
    """
    scores, truths = [], []
    for exhibit in exhibits:
        truth = planted_pairs(exhibit.name, exhibit.num_bodies, seed=seed, data=data)
        if exhibit.links is None or truth is None:
            continue
        linked = exhibit.links.sum(axis=0)
        limb = limb_of_joints(exhibit.num_bodies)
        apart = (limb[:, None] != limb[None, :]) & (limb[:, None] >= 0) & (limb[None, :] >= 0)
        apart &= np.triu(np.ones_like(apart), 1)
        scores.append(np.maximum(linked, linked.T)[apart])
        truths.append(truth[apart])
    if not scores:
        return None
    return float(roc_auc_score(np.concatenate(truths), np.concatenate(scores)))
