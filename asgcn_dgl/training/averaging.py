"""A moving average of the weights, with batch statistics that belong to it."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn, get_swa_multi_avg_fn

from asgcn_dgl.data import Batch
from asgcn_dgl.models import ASGCN, STGCN, Forecaster
from asgcn_dgl.nn.norm import InputNorm, MaskedBatchNorm

SELDOM = 8  # steps between two batches that the averaged model sees, at most


class AveragedModel(nn.Module):
    """Average of a model's weights over the steps of its training: ``module``, in evaluation mode.

    Averaged weights make features of other means and variances than the weights do that they are
    averages of, so neither the latest running statistics of the batch norms nor an average of them
    fits. The averaged model therefore sees a batch now and then and keeps its own. ``decay`` is the
    share of the average that stays in each step; None counts all steps alike.
    """

    n_averaged: Tensor

    def __init__(self, model: ASGCN | STGCN | Forecaster, decay: float | None) -> None:
        super().__init__()
        self.module = copy.deepcopy(model).requires_grad_(False).eval()
        self.register_buffer("n_averaged", torch.zeros((), dtype=torch.long))
        self.refresh_every = SELDOM
        if decay is None:
            self._average = get_swa_multi_avg_fn()
        else:
            self._average = get_ema_multi_avg_fn(decay)
            # Norms that take a tenth of a new batch follow within ten batches; the weights, within
            # 1 / (1 - decay) steps.
            self.refresh_every = max(1, min(SELDOM, round(0.1 / (1 - decay))))

    @torch.no_grad()
    def follow(self, model: ASGCN | STGCN | Forecaster) -> None:
        """Take the weights of a model as they are, before the average begins."""
        self.module.load_state_dict(model.state_dict())

    @torch.no_grad()
    def update(self, model: ASGCN | STGCN | Forecaster, batch: Batch) -> None:
        """Move towards the weights of a model, after it has learned from a batch.

        Every ``refresh_every`` steps the batch norms that learn see the batch as well, without
        dropout or sampled links, so that no random number is used.
        """
        if self.n_averaged == 0:
            self.follow(model)
        else:
            own, new = list(self.module.parameters()), list(model.parameters())
            self._average(own, new, self.n_averaged)
        if self.n_averaged % self.refresh_every == 0:
            self._refresh(model, batch, seen=int(self.n_averaged) // self.refresh_every)
        self.n_averaged += 1

    def _refresh(self, model: ASGCN | STGCN | Forecaster, batch: Batch, seen: int) -> None:
        """Let the norms see a batch: the first counts whole, early ones are a plain mean."""
        learning = [
            mine
            for mine, its in zip(self.module.modules(), model.modules(), strict=True)
            if isinstance(mine, (MaskedBatchNorm, InputNorm)) and its.training
        ]
        if not learning:
            return
        rates = [norm.momentum for norm in learning]
        more = () if isinstance(self.module, Forecaster) else (batch.observed,)
        for norm, rate in zip(learning, rates, strict=True):
            norm.train()
            norm.momentum = max(rate or 0.0, 1 / (seen + 1))
        self.module(batch.structure, batch.feat, batch.mask, *more)
        for norm, rate in zip(learning, rates, strict=True):
            norm.eval()
            norm.momentum = rate
