"""The A-links that a model infers: laid out, gathered by class, measured."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from asgcn_dgl import metrics
from asgcn_dgl.viz.exhibit import Exhibit

Floats = npt.NDArray[np.float64]


def link_matrix(strength: npt.ArrayLike, num_joints: int) -> Floats:
    """Return strengths of A-links (M V (V - 1),) as matrices (M, V, V), 0 on the diagonal.

    Given are all senders j != i of joint 0 of the first of M bodies, then of joint 1, ...; entry
    [m, i, j] is the link from joint j to joint i.

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
    """Return the mean A-links (C, V, V) of each class that has clips, over the bodies seen."""
    found: dict[int, list[npt.NDArray[np.floating]]] = {}
    for exhibit in exhibits:
        own = found.setdefault(exhibit.label, [])
        own.extend(exhibit.body_links(body) for body in exhibit.bodies_seen)
    return {k: np.mean(found[k], axis=0, dtype=np.float64) for k in sorted(found) if found[k]}


def links_used(exhibits: Iterable[Exhibit]) -> dict[str, Any] | None:
    """Return how clips use A-links, see :func:`asgcn_dgl.metrics.link_use`; None without any.

    All pairs that can be linked count: within each body, and between bodies where links lead from
    one to another. ``difference`` is that between the actions: the mean over pairs of joints of a
    body and of classes (:func:`asgcn_dgl.metrics.link_contrast`).
    """
    linked = [exhibit for exhibit in exhibits if exhibit.links is not None]
    if not linked:
        return None
    chunks = []
    for exhibit in linked:
        seen = np.asarray(exhibit.mask.any(axis=(1, 2)))
        for bodies, links in exhibit.link_blocks():
            own = seen[bodies].repeat(exhibit.layout.num_joints)
            chunks.append(links[:, np.outer(own, own) & ~np.eye(len(own), dtype=bool)].T)
    means = []
    if len({exhibit.layout.num_joints for exhibit in linked}) == 1:
        apart = ~np.eye(linked[0].layout.num_joints, dtype=bool)
        means = [links[:, apart] for links in class_links(linked).values()]
    return {**metrics.link_use(chunks), "difference": metrics.link_contrast(means)}


def warnings_of(use: Mapping[str, Any] | None) -> list[str]:
    """Return a warning if A-links mean little, from :func:`links_used`."""
    return [] if use is None else metrics.link_warnings(use)
