"""Figures of merit: plain functions of arrays or tensors, for recognition and for prediction.

``scores`` are (B, K), one row a clip and one column a class, higher meaning likelier; ``labels``
are (B,) whole numbers from 0 to K - 1. ``future`` and ``target`` are (..., T', d) predicted and
true positions in one unit; ``mask`` is (..., T') bool, where the truth is known, and None means
everywhere. A function raises ValueError where shapes do not fit, there is no clip, or a label or an
option is out of range. Accuracies are between 0 and 1.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping, Sequence
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

__all__ = [
    "STREAM_WEIGHTS",
    "accuracy",
    "accuracy_intervals",
    "average_passes",
    "calibration_error",
    "confusion_matrix",
    "fuse_scores",
    "join_link_use",
    "link_contrast",
    "link_use",
    "link_warnings",
    "mean_class_accuracy",
    "mpjpe",
    "mpjpe_per_horizon",
    "per_class_accuracy",
]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
ArrayLike = npt.ArrayLike | torch.Tensor

#: How the field weighs the streams of a skeleton when it adds their scores.
STREAM_WEIGHTS: Mapping[str, float] = {
    "joint": 2.0,
    "bone": 2.0,
    "joint_motion": 1.0,
    "bone_motion": 1.0,
    "long_bone": 2.0,
    "long_bone_motion": 1.0,
}


def accuracy(scores: ArrayLike, labels: ArrayLike, top_k: int = 1) -> float:
    """Return the share of clips whose true class is among the ``top_k`` highest scores.

    Examples
    --------
    >>> accuracy([[0.7, 0.2, 0.1], [0.5, 0.4, 0.1]], [0, 1])
    0.5
    >>> accuracy([[0.7, 0.2, 0.1], [0.5, 0.4, 0.1]], [0, 1], top_k=2)
    1.0
    """
    values, classes = _scores_and_labels(scores, labels)
    if top_k < 1:
        raise ValueError(f"top_k must be at least 1, got {top_k!r}")
    num_classes = values.shape[1]
    if top_k >= num_classes:
        return 1.0
    multiclass_accuracy = _need("torchmetrics.functional.classification").multiclass_accuracy
    share = multiclass_accuracy(
        torch.from_numpy(values),
        torch.from_numpy(classes),
        num_classes=num_classes,
        top_k=top_k,
        average="micro",
    )
    return float(share)


def confusion_matrix(scores: ArrayLike, labels: ArrayLike) -> Ints:
    """Return counts (K, K) of the clips of each true class (row) by recognized class (column).

    Examples
    --------
    >>> confusion_matrix([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7]], [0, 1, 1]).tolist()
    [[1, 0], [1, 1]]
    """
    values, classes = _scores_and_labels(scores, labels)
    counts = _need("sklearn.metrics").confusion_matrix(
        classes, values.argmax(axis=1), labels=np.arange(values.shape[1])
    )
    return np.asarray(counts, dtype=np.int64)


def per_class_accuracy(scores: ArrayLike, labels: ArrayLike) -> Floats:
    """Return the share of each class that is recognized, (K,); NaN for a class without clips.

    Examples
    --------
    >>> per_class_accuracy([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7]], [0, 1, 1]).tolist()
    [1.0, 0.5]
    """
    counts = confusion_matrix(scores, labels)
    totals = counts.sum(axis=1)
    shares = np.full(len(counts), np.nan)
    return np.divide(counts.diagonal(), totals, out=shares, where=totals > 0)


def mean_class_accuracy(scores: ArrayLike, labels: ArrayLike) -> float:
    """Return the mean of the per-class accuracy over the classes that occur.

    Examples
    --------
    >>> mean_class_accuracy([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7]], [0, 1, 1])
    0.75
    """
    return float(np.nanmean(per_class_accuracy(scores, labels)))


def calibration_error(probabilities: ArrayLike, labels: ArrayLike, bins: int = 15) -> float:
    """Return the expected calibration error (Guo et al., ICML 2017).

    Clips are sorted into ``bins`` of equal width by the probability of their likeliest class; in
    each bin the mean of it is compared with the share of clips that are right.

    Examples
    --------
    >>> round(calibration_error([[0.8, 0.2], [0.8, 0.2]], [0, 1]), 4)  # 0.8 sure, half right
    0.3
    """
    values, classes = _scores_and_labels(probabilities, labels)
    if values.min() < 0 or not np.allclose(values.sum(axis=1), 1, atol=1e-3):
        raise ValueError("probabilities must not be negative and sum to 1 in each row")
    found = _need("torchmetrics.functional.classification").multiclass_calibration_error(
        torch.from_numpy(values),
        torch.from_numpy(classes),
        num_classes=values.shape[1],
        n_bins=bins,
        norm="l1",
    )
    return float(found)


def accuracy_intervals(
    scores: ArrayLike,
    labels: ArrayLike,
    *,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> dict[str, tuple[float, float]]:
    """Return bootstrap intervals of ``top1``, ``top5`` and ``mean_class`` accuracy, by name.

    Clips are drawn with replacement, as many as there are, ``resamples`` times; the interval holds
    the middle ``level`` of the results. It shows what another draw of clips would change, not what
    another training would.

    Examples
    --------
    >>> scores = np.eye(2)[[0, 1] * 50]
    >>> accuracy_intervals(scores, [0, 1] * 50)["top1"]
    (1.0, 1.0)
    >>> low, high = accuracy_intervals(scores, [0, 0] * 50)["top1"]
    >>> 0.35 < low < 0.5 < high < 0.65
    True
    """
    values, classes = _scores_and_labels(scores, labels)
    if not 0 < level < 1 or resamples < 1:
        raise ValueError(
            f"level must be between 0 and 1 and resamples at least 1, got {level} and {resamples}"
        )
    clips, num_classes = values.shape
    own = values[np.arange(clips), classes]
    # Rank of the true class; of equals the one of lower number is guessed first.
    before = np.arange(num_classes) < classes[:, None]
    rank = (values > own[:, None]).sum(axis=1) + ((values == own[:, None]) & before).sum(axis=1)
    right = np.stack([rank < 1, rank < 5], axis=1).astype(np.float64)
    rng = np.random.default_rng(seed)
    found = np.empty((resamples, 3))
    for number in range(resamples):
        times = np.bincount(rng.integers(clips, size=clips), minlength=clips).astype(np.float64)
        found[number, :2] = times @ right / clips
        shown = np.bincount(classes, weights=times, minlength=num_classes)
        hits = np.bincount(classes, weights=times * right[:, 0], minlength=num_classes)
        found[number, 2] = (hits[shown > 0] / shown[shown > 0]).mean()
    ends = np.quantile(found, [(1 - level) / 2, (1 + level) / 2], axis=0)
    names = ("top1", "top5", "mean_class")
    return {name: (float(ends[0, k]), float(ends[1, k])) for k, name in enumerate(names)}


def mpjpe_per_horizon(
    future: ArrayLike, target: ArrayLike, mask: ArrayLike | None = None
) -> Floats:
    """Return the mean Euclidean error of each future frame, (T',), in the positions' unit.

    It is NaN for a frame where no joint is known.

    Examples
    --------
    >>> mpjpe_per_horizon([[[3.0, 4.0], [0.0, 0.0]]], [[[0.0, 0.0], [0.0, 2.0]]]).tolist()
    [5.0, 2.0]
    """
    total, count = _error_sums(future, target, mask)
    return np.divide(total, count, out=np.full(len(total), np.nan), where=count > 0)


def mpjpe(future: ArrayLike, target: ArrayLike, mask: ArrayLike | None = None) -> float:
    """Return the mean Euclidean error over known joints and future frames, else NaN.

    Examples
    --------
    >>> mpjpe([[[3.0, 4.0], [0.0, 0.0]]], [[[0.0, 0.0], [0.0, 2.0]]])
    3.5
    >>> mpjpe([[[3.0, 4.0], [0.0, 0.0]]], [[[0.0, 0.0], [0.0, 2.0]]], mask=[[True, False]])
    5.0
    """
    total, count = _error_sums(future, target, mask)
    return float(total.sum() / count.sum()) if count.sum() else float("nan")


def fuse_scores(
    scores: Mapping[str, ArrayLike], weights: Mapping[str, float] = STREAM_WEIGHTS
) -> Floats:
    """Return the weighted mean (B, K) of the class probabilities of several streams, by name.

    The default weights are 2:2:1:1, as usual in the field; streams without scores are left out.
    Logits may be given too, but then all streams should have been trained alike.

    Examples
    --------
    >>> fuse_scores({"joint": [[0.9, 0.1]], "joint_motion": [[0.3, 0.7]]}).round(3).tolist()
    [[0.7, 0.3]]
    """
    if not scores:
        raise ValueError("scores must hold at least one stream, got none")
    unknown = sorted(set(scores) - set(weights))
    if unknown:
        raise ValueError(f"weights must name every stream of scores, got none for {unknown}")
    arrays = {name: _array(value) for name, value in scores.items()}
    shapes = {name: array.shape for name, array in arrays.items()}
    if len(set(shapes.values())) > 1:
        raise ValueError(f"scores must have one shape for all streams, got {shapes}")
    total = sum(weights[name] for name in arrays)
    if total <= 0:
        raise ValueError(f"weights must be positive in sum, got {total!r} over {sorted(arrays)}")
    fused = sum(weights[name] / total * array for name, array in arrays.items())
    return np.asarray(fused, dtype=np.float64)


#: Shares of all pairs of joints above which A-links that link them say little of any: those of one
#: type, and those of all types together; and the share below which there are almost none.
SATURATED, CROWDED, CLOSED = 0.25, 0.5, 0.005


def link_use(chunks: Iterable[ArrayLike]) -> dict[str, Any]:
    """Return how many pairs of joints the types of A-links link, and how surely.

    ``chunks`` are arrays (E, C) of the probabilities of C types at E pairs of joints, the ghost
    left out. The result has ``pairs``, their number; ``linked`` and ``strong``, the shares of pairs
    whose probability of any type is above 0.5 and 0.9; ``types``, the same two shares of each type,
    with its ``mean`` probability; ``saturated``, the types (from 1) with more than a quarter of all
    pairs above 0.5, which therefore say little of any pair.

    Examples
    --------
    >>> use = link_use([[[0.95, 0.0], [0.97, 0.0]], [[0.92, 0.05], [0.1, 0.6]]])
    >>> use["linked"], use["strong"], use["saturated"]
    (1.0, 0.75, [1])
    >>> use["types"][1]["linked"]
    0.25
    """
    pairs, sums = 0, np.zeros((0, 0))
    for chunk in chunks:
        prob = _array(chunk)
        if prob.ndim != 2 or (pairs and prob.shape[1] != sums.shape[1] - 1):
            raise ValueError(
                f"chunks must be (pairs, types) of one count of types, got {prob.shape}"
            )
        every = np.concatenate([prob, prob.sum(axis=1, keepdims=True)], axis=1)
        found = np.stack([(every > 0.5).sum(axis=0), (every > 0.9).sum(axis=0), every.sum(axis=0)])
        sums, pairs = found + (sums if pairs else 0.0), pairs + len(prob)
    if not pairs:
        raise ValueError("chunks must hold at least one pair of joints, got none")
    return _as_use(pairs, (sums / pairs).T.tolist())


def join_link_use(parts: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Join what :func:`link_use` returned for parts of the pairs, as for all at once.

    Examples
    --------
    >>> whole = join_link_use([link_use([[[0.95]]]), link_use([[[0.2]], [[0.6]], [[0.1]]])])
    >>> whole["pairs"], whole["linked"], whole["types"][0]["strong"], whole["saturated"]
    (4, 0.5, 0.25, [1])
    """
    parts = list(parts)
    if not parts:
        raise ValueError("parts must be at least one, got none")
    pairs = np.array([part["pairs"] for part in parts])

    def joined(shares: Sequence[Mapping[str, float]], name: str) -> float:
        return float(np.dot([share[name] for share in shares], pairs) / pairs.sum())

    kinds = zip(*(part["types"] for part in parts), strict=True)
    rows = [[joined(shares, name) for name in _SHARES] for shares in kinds]
    every = [joined(parts, "linked"), joined(parts, "strong"), float("nan")]
    return _as_use(int(pairs.sum()), [*rows, every])


_SHARES = ("linked", "strong", "mean")


def _as_use(pairs: int, rows: Sequence[Sequence[float]]) -> dict[str, Any]:
    """Name the shares of each type, and of all types together, which come last."""
    *types, every = (dict(zip(_SHARES, row, strict=True)) for row in rows)
    return {
        "pairs": pairs,
        "linked": every["linked"],
        "strong": every["strong"],
        "types": types,
        "saturated": [k for k, each in enumerate(types, start=1) if each["linked"] > SATURATED],
    }


def link_warnings(use: Mapping[str, Any]) -> list[str]:
    """Return a warning if what :func:`link_use` found says little: too many links, or almost none.

    Examples
    --------
    >>> [warning] = link_warnings(link_use([[[0.4, 0.5], [0.3, 0.4], [0.1, 0.1]]]))
    >>> warning.split(";")[0]
    'A-links say little: all types together link 67 % of all pairs of joints (above 0.5)'
    """
    if use["linked"] < CLOSED:
        return [
            f"almost no A-links: the prior closed them ({100 * use['linked']:.1f} % of all pairs "
            "of joints above 0.5); lower aim.joint_kl, or model.ghost_prior to 0.8"
        ]
    shares = {f"type {k} links": use["types"][k - 1]["linked"] for k in use["saturated"]}
    if use["linked"] > CROWDED:
        shares = {"all types together link": use["linked"], **shares}
    if not shares:
        return []
    found = ", ".join(f"{name} {100 * share:.0f} %" for name, share in shares.items())
    return [
        f"A-links say little: {found} of all pairs of joints (above 0.5); raise aim.joint_kl "
        "(default 0; start at 0.003), or where model.link_mode is frozen aim.epochs"
    ]


def link_contrast(links: Iterable[ArrayLike]) -> float:
    """Return the mean difference of the mean A-links of two classes, over all pairs of classes.

    It is from 0, where all classes have the same links, to 1; NaN for fewer than two classes.

    Examples
    --------
    >>> link_contrast([[0.0, 0.5], [1.0, 0.5]])
    0.5
    """
    each = [_array(one) for one in links]
    gaps = [float(np.abs(a - b).mean()) for k, a in enumerate(each) for b in each[:k]]
    return float(np.mean(gaps)) if gaps else float("nan")


def average_passes(logits: torch.Tensor, passes: int) -> torch.Tensor:
    """Average the class probabilities of several passes over the same clips; return logits.

    ``logits`` are (passes · B, K), pass after pass, in the same order.

    Examples
    --------
    >>> two = torch.tensor([[0.9, 0.1], [0.5, 0.5]]).log()
    >>> average_passes(two, 2).softmax(dim=-1)
    tensor([[0.7000, 0.3000]])
    """
    if passes < 1 or len(logits) % passes:
        raise ValueError(f"{len(logits)} rows are not of {passes} equal passes")
    log = torch.log_softmax(logits.double(), dim=-1).unflatten(0, (passes, -1))
    return (torch.logsumexp(log, dim=0) - np.log(passes)).to(logits.dtype)


def _need(module: str) -> ModuleType:
    """Import a module of the ``train`` extra, or say how to get it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = {"sklearn": "scikit-learn"}.get(module.split(".")[0], module.split(".")[0])
        raise ImportError(f"this metric needs {package}: pip install 'asgcn_dgl[train]'") from error


def _array(value: ArrayLike) -> Floats:
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu().to(torch.float64).numpy()
    return np.asarray(value, dtype=np.float64)


def _scores_and_labels(scores: ArrayLike, labels: ArrayLike) -> tuple[Floats, Ints]:
    """Check and convert: (B, K) float64 and (B,) int64."""
    values = _array(scores)
    given: Any = labels.detach().cpu() if isinstance(labels, torch.Tensor) else labels
    classes = np.asarray(given)
    if values.ndim != 2 or 0 in values.shape:
        raise ValueError(f"scores must be (clips, classes), none empty, got shape {values.shape}")
    if classes.shape != values.shape[:1]:
        raise ValueError(
            f"labels must be ({values.shape[0]},), one for each row of scores, "
            f"got shape {classes.shape}"
        )
    if not np.issubdtype(classes.dtype, np.integer):
        raise ValueError(f"labels must be whole numbers, got dtype {classes.dtype}")
    if classes.min() < 0 or classes.max() >= values.shape[1]:
        bad = classes[(classes < 0) | (classes >= values.shape[1])][0]
        raise ValueError(f"labels must be in 0..{values.shape[1] - 1}, got {bad}")
    return values, classes.astype(np.int64)


def _error_sums(
    future: ArrayLike, target: ArrayLike, mask: ArrayLike | None
) -> tuple[Floats, Floats]:
    """Sum of the distances and number of the known joints in each future frame, (T',) each."""
    guess, truth = _array(future), _array(target)
    if guess.shape != truth.shape or guess.ndim < 2:
        raise ValueError(
            f"future and target must have one shape (..., frames, coordinates), "
            f"got {guess.shape} and {truth.shape}"
        )
    known = np.ones(guess.shape[:-1]) if mask is None else _array(mask)
    if known.shape != guess.shape[:-1]:
        raise ValueError(f"mask must have shape {guess.shape[:-1]}, got {known.shape}")
    frames = guess.shape[-2]
    distance = np.linalg.norm(guess - truth, axis=-1)
    # where, not a product: what the mask hides may be NaN.
    total = np.where(known > 0, distance, 0.0).reshape(-1, frames).sum(axis=0)
    return total, (known > 0).reshape(-1, frames).sum(axis=0).astype(np.float64)
