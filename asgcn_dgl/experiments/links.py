"""The A-links that a model infers: laid out, gathered by class, measured."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from asgcn_dgl import metrics
from asgcn_dgl.viz.exhibit import Exhibit

__all__ = ["class_links", "link_matrix", "links_used", "warnings_of"]

Floats = npt.NDArray[np.float64]


def link_matrix(strength: npt.ArrayLike, num_joints: int) -> Floats:
    """Lay out the strengths of A-links as matrices.

    Parameters
    ----------
    strength
        (M V (V - 1),) a number for each A-link of M bodies: all senders j != i of joint 0, then of
        joint 1, ...
    num_joints
        V.

    Returns
    -------
    ndarray
        (M, V, V), entry [m, i, j] being the link from joint j to joint i; 0 on the diagonal.

    Examples
    --------
    >>> link_matrix([1, 2, 3, 4, 5, 6], num_joints=3)[0].astype(int).tolist()
    [[0, 1, 2], [3, 0, 4], [5, 6, 0]]
    """
    values = np.asarray(strength, dtype=np.float64).reshape(-1, num_joints * (num_joints - 1))
    matrices = np.zeros((len(values), num_joints, num_joints))
    matrices[:, ~np.eye(num_joints, dtype=bool)] = values
    return matrices


def class_links(exhibits: Iterable[Exhibit]) -> dict[int, Floats]:
    """Return the mean A-links of each class, over the bodies that were seen.

    Parameters
    ----------
    exhibits
        Clips of one layout as a model sees them.

    Returns
    -------
    dict
        Class to (C, V, V) probabilities of each type of link; classes without clips are left out.

    Raises
    ------
    ValueError
        If a clip has no A-links.
    """
    found: dict[int, list[npt.NDArray[np.floating]]] = {}
    for exhibit in exhibits:
        for body in exhibit.bodies_seen:
            found.setdefault(exhibit.label, []).append(exhibit.body_links(body))
    return {label: np.mean(found[label], axis=0, dtype=np.float64) for label in sorted(found)}


def links_used(exhibits: Iterable[Exhibit]) -> dict[str, Any] | None:
    """Measure how clips use the types of A-links; None without A-links.

    Parameters
    ----------
    exhibits
        Clips as a model sees them.

    Returns
    -------
    dict
        What :func:`asgcn_dgl.metrics.link_use` returns, and ``difference`` between the actions: the
        mean over pairs of joints and of classes (:func:`asgcn_dgl.metrics.link_contrast`).
    """
    linked = [exhibit for exhibit in exhibits if exhibit.links is not None]
    if not linked:
        return None
    apart: dict[int, npt.NDArray[np.bool_]] = {}  # by the number of joints

    def pairs(exhibit: Exhibit) -> Iterator[npt.NDArray[np.floating]]:
        joints = exhibit.layout.num_joints
        mask = apart.setdefault(joints, ~np.eye(joints, dtype=bool))
        for body in exhibit.bodies_seen:
            yield exhibit.body_links(body)[:, mask].T

    use = metrics.link_use(chunk for exhibit in linked for chunk in pairs(exhibit))
    one = len({exhibit.layout.num_joints for exhibit in linked}) == 1
    means = (
        [links[:, apart[len(links[0])]] for links in class_links(linked).values()] if one else []
    )
    return {**use, "difference": metrics.link_contrast(means)}


def warnings_of(use: Mapping[str, Any] | None) -> list[str]:
    """Say which types of A-links mean little, given what :func:`links_used` returned."""
    if use is None:
        return []
    return [
        f"A-links of type {kind} link {use['types'][kind - 1]['linked']:.0%} of all pairs of "
        "joints with a probability above 0.5: they hardly tell pairs or actions apart; train with "
        "more aim.joint_kl"
        for kind in use["saturated"]
    ]
