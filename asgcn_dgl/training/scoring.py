"""Scores of clips, gathered batch by batch, and the figures made of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from asgcn_dgl import metrics
from asgcn_dgl.data import Batch
from asgcn_dgl.models import ASGCNOutput
from asgcn_dgl.nn import Links
from asgcn_dgl.training.build import gathered, processes


def masked_mse(future: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Return the mean squared error of positions (N, T', d) where ``mask`` (N, T') is True (Eq. 6).

    It is 0 where nothing is known.

    Examples
    --------
    >>> future, target = torch.zeros(1, 2, 3), torch.tensor([[[1.0, 2.0, 3.0], [9.0, 9.0, 9.0]]])
    >>> round(masked_mse(future, target, torch.tensor([[True, False]])).item(), 4)
    4.6667
    """
    known = mask.sum() * future.shape[-1]
    return _errors(future, target, mask).square().sum() / known.clamp(min=1)


def masked_distance(future: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Mean distance over the joints and frames that are known, as for :func:`masked_mse`.

    Examples
    --------
    >>> future, target = torch.zeros(1, 2, 2), torch.tensor([[[3.0, 4.0], [9.0, 9.0]]])
    >>> masked_distance(future, target, torch.tensor([[True, False]])).item()
    5.0
    """
    lengths = length(_errors(future, target, mask))
    return (lengths * mask).sum() / mask.sum().clamp(min=1)


def _errors(future: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    # Not a product with the mask: an unknown target may be anything, NaN too.
    return torch.where(mask.unsqueeze(-1), future - target, torch.zeros_like(future))


def length(difference: Tensor) -> Tensor:
    """Euclidean length over the last axis; where it is 0 so is its gradient."""
    return difference.square().sum(dim=-1).clamp(min=1e-12).sqrt()


@dataclass
class RecognitionScores:
    """Class scores of clips that were seen whole."""

    names: list[str] = field(default_factory=list)
    _logits: list[Tensor] = field(default_factory=list)
    _labels: list[Tensor] = field(default_factory=list)
    _links: list[dict[str, Any]] = field(default_factory=list)

    def update(self, batch: Batch, out: ASGCNOutput) -> None:
        """Take in a batch."""
        self.names += list(batch.names)
        self._logits.append(out.logits.detach().float().cpu())
        self._labels.append(batch.label.cpu())

    def update_links(self, links: Links | None) -> None:
        """Take in the A-links of a batch, if there are any."""
        if links is not None and len(links.logits):
            prob = links.prob[:, 1:]  # without the ghost
            self._links.append(metrics.link_use([prob.detach().float().cpu()]))

    def gather(self) -> None:
        """Take in what the other processes have; all of them must call this."""
        if processes() > 1:
            found = zip(*gathered((self.names, self._logits, self._labels)), strict=True)
            self.names, self._logits, self._labels = (
                list(chain.from_iterable(each)) for each in found
            )

    def logits(self) -> Tensor:
        """Return the logits of all clips, (B, K)."""
        return torch.cat(self._logits)

    def labels(self) -> Tensor:
        """Return the true classes of all clips, (B,)."""
        return torch.cat(self._labels)

    def average(self, passes: int) -> None:
        """Average the probabilities of several passes over the same clips, taken in order."""
        if passes > 1:
            logits = metrics.average_passes(self.logits(), passes)
            self.names, self._labels = self.names[: len(logits)], [self.labels()[: len(logits)]]
            self._logits = [logits]

    def loss(self) -> float:
        """Return the mean cross entropy."""
        return float(F.cross_entropy(self.logits(), self.labels()))

    def summary(self, class_names: list[str]) -> dict[str, Any]:
        """Return top-1, top-5, mean-class and per-class accuracy in percent; None without clips."""
        logits, labels = self.logits(), self.labels()
        shares = metrics.per_class_accuracy(logits, labels)
        return {
            "top1": _percent(metrics.accuracy(logits, labels)),
            "top5": _percent(metrics.accuracy(logits, labels, top_k=5)),
            "mean_class": _percent(metrics.mean_class_accuracy(logits, labels)),
            "per_class": {
                name: None if np.isnan(share) else _percent(share)
                for name, share in zip(class_names, shares, strict=True)
            },
        }

    def details(self) -> dict[str, Any]:
        """Return calibration error and 95 % intervals, in percent, and the confusion matrix."""
        logits, labels = self.logits(), self.labels()
        error = metrics.calibration_error(logits.double().softmax(dim=-1), labels)
        return {
            "calibration_error": _percent(error),
            "intervals": interval_percents(logits, labels),
            "confusion": metrics.confusion_matrix(logits, labels).tolist(),
        }

    def link_use(self) -> dict[str, Any] | None:
        """Return how the clips use A-links, see :func:`asgcn_dgl.metrics.link_use`, if they do."""
        return metrics.join_link_use(self._links) if self._links else None

    def arrays(self, class_names: list[str]) -> dict[str, Any]:
        """Return what a file of scores holds: names, labels, probabilities and logits."""
        logits = self.logits()
        return {
            "names": np.array(self.names),
            "labels": self.labels().numpy(),
            "logits": logits.numpy(),
            "probabilities": logits.softmax(dim=-1).numpy(),
            "class_names": np.array(class_names),
        }


@dataclass
class PredictionScores:
    """Predicted poses beside the true ones, and beside the last pose repeated (zero velocity)."""

    clips: int = 0
    #: Of each batch: predicted and true poses, the last one, where the truth is known, and the
    #: length that is 1 in the clips, by axis.
    _batches: list[tuple[Tensor, ...]] = field(default_factory=list)

    def update(self, batch: Batch, out: ASGCNOutput) -> None:
        """Take in a batch; joints without a known future are left out."""
        if out.future is None:
            return
        known = batch.future_mask.any(dim=1)
        target = batch.future[known]
        unit = torch.ones_like(target[:, 0]) if batch.unit is None else batch.unit[known]
        future = out.future.detach().float()[known]
        still = batch.last[known].unsqueeze(1).expand_as(target)
        parts = (future, target, still, batch.future_mask[known], unit.unsqueeze(1))
        self._batches.append(tuple(part.cpu() for part in parts))
        self.clips += len(batch)

    def gather(self) -> None:
        """Take in what the other processes have; all of them must call this."""
        if processes() > 1:
            clips, batches = zip(*gathered((self.clips, self._batches)), strict=True)
            self.clips, self._batches = sum(clips), list(chain.from_iterable(batches))

    def _all(self) -> tuple[Tensor, ...] | None:
        """All batches as one, or None where there is no future to compare with."""
        if not any(bool(mask.any()) for *_, mask, _ in self._batches):
            return None
        return tuple(map(torch.cat, zip(*self._batches, strict=True)))

    def loss(self) -> float | None:
        """Return the mean squared error in the units of training, or None without a future."""
        found = self._all()
        return None if found is None else float(masked_mse(found[0], found[1], found[3]))

    def summary(self, unit: float = 1.0) -> dict[str, Any] | None:
        """Return MPJPE and that of zero velocity, in all and by frame; None without a future.

        ``unit`` is the length that is 1 in the clips; errors are given in what it is given in.
        """
        found = self._all()
        if found is None:
            return None
        *poses, mask, units = found
        future, target, still = (unit * units * each for each in poses)
        summary: dict[str, Any] = {}
        for name, pose in (("mpjpe", future), ("zero_velocity", still)):
            frames = metrics.mpjpe_per_horizon(pose, target, mask).tolist()
            summary[name] = metrics.mpjpe(pose, target, mask)
            # JSON has no NaN
            summary[f"{name}_per_frame"] = [None if v != v else v for v in frames]
        return summary


def interval_percents(
    scores: metrics.ArrayLike, labels: metrics.ArrayLike
) -> dict[str, list[float]]:
    """Return the ends of the 95 % intervals of (B, K) scores, in percent."""
    found = metrics.accuracy_intervals(scores, labels)
    return {name: [_percent(low), _percent(high)] for name, (low, high) in found.items()}


def _percent(share: float) -> float:
    return round(100 * float(share), 4)
