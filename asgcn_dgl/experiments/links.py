"""The A-links that a model infers, gathered over clips."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from asgcn_dgl import metrics
from asgcn_dgl.data import SkeletonDataset
from asgcn_dgl.models import ASGCN, STGCN
from asgcn_dgl.training.clips import evaluation_loader
from asgcn_dgl.training.config import RunConfig
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


@torch.no_grad()
def class_links(
    model: ASGCN | STGCN, dataset: SkeletonDataset, config: RunConfig, num_classes: int
) -> dict[int, Floats]:
    """Mean probability that two joints are linked, for each class.

    Parameters
    ----------
    model
        A model with A-links, each inferred within one body.
    dataset
        Clips of one layout.
    config
        Options of the run.
    num_classes
        K.

    Returns
    -------
    dict
        Class to (V, V) probabilities of any link but the ghost; classes without clips are left out.

    Raises
    ------
    ValueError
        If the model has no A-links.
    """
    if model.aim is None:
        raise ValueError("model must have A-links, got one with num_actional 0")
    joints = dataset.clip(0).layout.num_joints
    total = np.zeros((num_classes, joints, joints))
    count = np.zeros(num_classes)
    model.cpu().eval()
    for batch in evaluation_loader(dataset, model.graph_builder, config):
        links = model.aim(batch.graph, batch.feat, batch.mask)
        linked = link_matrix(1 - links.prob[:, 0].numpy(), joints)
        label = batch.label.repeat_interleave(batch.num_bodies).numpy()
        np.add.at(total, label, linked)
        np.add.at(count, label, 1)
    return {k: total[k] / count[k] for k in range(num_classes) if count[k]}


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
    bodies = [
        (exhibit.label, exhibit.body_links(body))
        for exhibit in exhibits
        if exhibit.links is not None
        for body in range(exhibit.num_bodies)
        if exhibit.mask[body].any()
    ]
    if not bodies:
        return None
    apart = [links[:, ~np.eye(links.shape[1], dtype=bool)] for _, links in bodies]
    labels = np.array([label for label, _ in bodies])
    means = [
        np.mean(
            [pairs for pairs, other in zip(apart, labels, strict=True) if other == label], axis=0
        )
        for label in np.unique(labels)
        if len({pairs.shape for pairs in apart}) == 1
    ]
    use = metrics.link_use(pairs.T for pairs in apart)
    return {**use, "difference": metrics.link_contrast(means)}


def warnings_of(use: Mapping[str, Any] | None) -> list[str]:
    """Say which types of A-links mean little, given what :func:`links_used` returned."""
    if use is None:
        return []
    return [
        f"A-links of type {kind} link {use['types'][kind - 1]['strong']:.0%} of all pairs of "
        "joints with a probability above 0.9: they hardly tell pairs or actions apart"
        for kind in use["saturated"]
    ]
