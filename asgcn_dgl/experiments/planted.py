"""Whether A-links are where limbs move together, on a generated set in which that is known."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from sklearn.metrics import roc_auc_score

from asgcn_dgl.data.formats.ntu import parse_ntu_name
from asgcn_dgl.data.synthetic import LIMBS, SETS, moving_together
from asgcn_dgl.skeleton import SkeletonLayout, get_layout
from asgcn_dgl.viz.exhibit import Exhibit

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.floating]


def limb_of_joints(layout: SkeletonLayout, persons: int) -> npt.NDArray[np.int64]:
    """Return the number of the limb that each joint of the persons is of, -1 for the trunk.

    Limbs count person by person: right hand, left hand, right foot, left foot.
    """
    names = get_layout("ntu25").joints
    limbs = [LIMBS[kind][side] for kind in ("hand", "foot") for side in (0, 1)]
    number = {names[joint]: limb for limb, joints in enumerate(limbs) for joint in joints}
    one = np.array([number.get(joint, -1) for joint in layout.joints])
    return np.concatenate([np.where(one < 0, -1, one + 4 * person) for person in range(persons)])


def planted_limbs(
    name: str, persons: int, *, seed: int, data: str = "coordinated"
) -> tuple[int, int] | None:
    """Return the numbers of the two limbs of a clip that move together.

    It is None if the action has no such pair, or others than the ``persons`` who act are seen.
    ``data`` is a name in ``asgcn_dgl.data.synthetic.SETS``, ``seed`` that of the set.
    """
    clip = parse_ntu_name(name)
    numbers = (clip.action, clip.subject, clip.camera, clip.replication)
    actions = SETS[data]
    pair = moving_together(*numbers, seed=seed, actions=actions)
    if pair is None or persons != actions[clip.action - 1][1]:
        return None
    one, two = (4 * each.person + 2 * (each.kind == "foot") + each.side for each in pair)
    return one, two


def limb_pairs(persons: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the larger and the smaller number of every two limbs."""
    return np.tril_indices(4 * persons, -1)


def limb_links(links: Floats, layout: SkeletonLayout, persons: int) -> Floats:
    """Return how probable a link between two limbs is, in the order of ``limb_pairs``.

    It is the largest probability of any type, joints and direction, 0 where the layout does not
    have a limb. ``links`` are (C, N, N).
    """
    limb, linked = limb_of_joints(layout, persons), links.sum(axis=0)
    linked = np.maximum(linked, linked.T)
    pairs = zip(*limb_pairs(persons), strict=True)
    return np.array([linked[np.ix_(limb == i, limb == j)].max(initial=0.0) for i, j in pairs])


class PlantedArea(NamedTuple):
    """Areas under the ROC curve, 0.5 for a guess and 1 for A-links where they should be.

    ``found`` is of the A-links. ``constant`` is of the best links that are the same in every clip:
    each pair of limbs is linked by the share of clips in which it moves together.
    """

    found: float
    constant: float


def planted_area(
    exhibits: Iterable[Exhibit], *, seed: int, data: str = "coordinated"
) -> PlantedArea | None:
    """Test A-links as a sign of moving together; None without A-links or clips that have a pair.

    ``exhibits`` are clips of the set ``data`` made with ``seed``, as a model sees them. Each pair
    of limbs counts once: its score is the largest probability of a link between their joints, of
    any type and in either direction.
    """
    found: dict[int, list[tuple[Floats, Bools]]] = {}  # scores and truths by number of persons
    for exhibit in exhibits:
        persons = exhibit.num_bodies
        pair = planted_limbs(exhibit.name, persons, seed=seed, data=data)
        if exhibit.links is None or pair is None:
            continue
        larger, smaller = limb_pairs(persons)
        score = limb_links(exhibit.links, exhibit.layout, persons)
        truth = (larger == max(pair)) & (smaller == min(pair))
        found.setdefault(persons, []).append((score, truth))
    if not found:
        return None
    groups = [np.array(each, dtype=float).swapaxes(0, 1) for each in found.values()]
    scores, truths = (np.concatenate([np.ravel(group[k]) for group in groups]) for k in (0, 1))
    share = [np.broadcast_to(truth.mean(axis=0), truth.shape).ravel() for _, truth in groups]
    areas = (roc_auc_score(truths, each) for each in (scores, np.concatenate(share)))
    return PlantedArea(*map(float, areas))
