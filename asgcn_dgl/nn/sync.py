"""Batch norms whose statistics are those of the joined batch of all processes.

torch's ``SyncBatchNorm`` needs a GPU and knows no masks. Here every process writes its counts,
means and squared deviations into its row of a table, one all-reduce sums the tables, and each
process combines the rows (Chan's formula, accurate for large means). So does the gradient.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, distributed, nn

from asgcn_dgl.nn.norm import InputNorm, MaskedBatchNorm, Statistics


def sync_norms(model: nn.Module) -> nn.Module:
    """Let the batch norms of a model count over all processes, in place; return the model.

    :class:`MaskedBatchNorm` and :class:`InputNorm` are changed; parameters, buffers and the state
    dict stay as they are. With one process, or in evaluation, nothing changes. All processes must
    then call the model equally often.

    Examples
    --------
    >>> from asgcn_dgl.nn import MaskedBatchNorm, sync_norms
    >>> type(sync_norms(MaskedBatchNorm(4))).__name__
    'SyncMaskedBatchNorm'
    """
    for module in model.modules():
        synced = _SYNCED.get(type(module))
        if synced is not None:
            module.__class__ = synced
    return model


class _Synced(Statistics):
    def _combined(
        self, count: Tensor, mean: Tensor, deviation: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        if processes() == 1:
            return super()._combined(count, mean, deviation)
        return _combined(count, mean, deviation)


class SyncMaskedBatchNorm(_Synced, MaskedBatchNorm):
    """A :class:`MaskedBatchNorm` over the rows of all processes; see :func:`sync_norms`."""

    def _counts_elsewhere(self) -> bool:
        return processes() > 1


class SyncInputNorm(_Synced, InputNorm):
    """An :class:`InputNorm` over the joints of all processes; see :func:`sync_norms`."""


_SYNCED: dict[type, type] = {MaskedBatchNorm: SyncMaskedBatchNorm, InputNorm: SyncInputNorm}


def processes() -> int:
    """Return the number of processes in the group."""
    ready = distributed.is_available() and distributed.is_initialized()
    return distributed.get_world_size() if ready else 1


def _combined(count: Tensor, mean: Tensor, deviation: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return count (G, 1), mean and biased variance (G, D) over all processes' rows."""
    feats = mean.shape[-1]
    rows: Tensor = _Rows.apply(torch.cat([count, mean, deviation], dim=-1))  # (processes, G, .)
    counts, means, deviations = rows.split([1, feats, feats], dim=-1)
    total = counts.sum(dim=0)
    safe = total.clamp(min=1)
    joint_mean = (counts * means).sum(dim=0) / safe
    spread = deviations.sum(dim=0) + (counts * (means - joint_mean).square()).sum(dim=0)
    return total, joint_mean, spread / safe


class _Rows(torch.autograd.Function):
    """What every process gives, (processes, ...); the gradients of all of them come back."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        table = values.new_zeros(processes(), *values.shape)
        table[distributed.get_rank()] = values
        distributed.all_reduce(table)
        return table

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        gradient = gradients[0].clone()
        distributed.all_reduce(gradient)
        return gradient[distributed.get_rank()]
