"""Batch norms that count only what exists."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from asgcn_dgl.nn.sgconv import check_sizes
from asgcn_dgl.ops.frames import joint_index, zero_missing
from asgcn_dgl.ops.kept import check_kept, kept
from asgcn_dgl.ops.runtime import eager_on_cpu, widened


class Statistics:
    """Statistics of the rows of this process; those of all in :mod:`asgcn_dgl.nn.sync`."""

    def _combined(
        self, count: Tensor, mean: Tensor, deviation: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return count, mean and biased variance, from sums of squared deviations."""
        return count, mean, deviation / count.clamp(min=1)


class MaskedBatchNorm(Statistics, nn.BatchNorm1d):
    """Batch norm over the channels of (N, T, D), statistics from what exists.

    Missing places come out as zero, so that what follows needs no mask of its own.

    Parameters
    ----------
    num_features
        D; further arguments are those of :class:`torch.nn.BatchNorm1d`.

    Examples
    --------
    >>> import torch
    >>> from asgcn_dgl.nn import MaskedBatchNorm
    >>> feat, mask = torch.randn(6, 4, 2), torch.rand(6, 4) > 0.3
    >>> bool((MaskedBatchNorm(2)(feat, mask)[~mask] == 0).all())
    True
    """

    def forward(self, feat: Tensor, mask: Tensor | None = None) -> Tensor:
        """Normalize (N, ..., D); the mask is (N, ...)."""
        if self.training and (mask is not None or self._counts_elsewhere()):
            return self._over_what_exists(feat, mask)
        rows = feat.reshape(-1, feat.shape[-1])
        # One row has no variance: torch refuses it, so running statistics are used.
        batch = self.training and len(rows) > 1
        out = super().forward(rows) if batch else self._by_running_statistics(rows)
        return zero_missing(out.view(feat.shape), mask)

    @property
    def is_steady(self) -> bool:
        """Whether running statistics are used, not those of the batch."""
        return not self.training and self.running_mean is not None

    def steady(self) -> tuple[Tensor, Tensor]:
        """Return gain and shift (D,) of the norm by running statistics."""
        assert self.running_mean is not None and self.running_var is not None
        gain = self.weight * torch.rsqrt(self.running_var + self.eps)
        return gain, self.bias - self.running_mean * gain

    def train(self, mode: bool = True) -> MaskedBatchNorm:
        """Set training mode."""
        check_kept()
        return super().train(mode)

    def joined(self, weight: Tensor, bias: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return weight (O, ...) and bias (O,) of a linear map and this norm after it, as one."""
        assert self.running_mean is not None and self.running_var is not None

        def make() -> tuple[Tensor, Tensor]:
            gain, shift = self.steady()
            joint = weight * gain.view(-1, *(1,) * (weight.dim() - 1))
            if weight.dim() == 4 and not torch.compiler.is_compiling():
                joint = joint.contiguous(memory_format=torch.channels_last)  # as features are
            return joint, shift if bias is None else torch.addcmul(shift, bias, gain)

        sources = [weight, self.weight, self.bias, self.running_mean, self.running_var]
        return kept(make, "joined", *sources, *(() if bias is None else (bias,)))

    def _by_running_statistics(self, rows: Tensor) -> Tensor:
        mean, var = self.running_mean, self.running_var
        constant = eager_on_cpu(rows) and self.affine and not torch.is_grad_enabled()
        if constant and mean is not None and var is not None and rows.dtype == self.weight.dtype:
            # Half of torch's time.
            gain, shift = kept(self.steady, "steady", self.weight, self.bias, mean, var)
            return torch.addcmul(shift, rows, gain)
        return F.batch_norm(
            rows, self.running_mean, self.running_var, self.weight, self.bias, False, 0.0, self.eps
        )

    def _over_what_exists(self, feat: Tensor, mask: Tensor | None) -> Tensor:
        # Half precision cannot count, nor hold a variance.
        rows = widened(zero_missing(feat, mask).reshape(-1, feat.shape[-1]))
        here = rows.new_ones(1, len(rows)) if mask is None else mask.reshape(1, -1).to(rows.dtype)
        count = here.sum(dim=1, keepdim=True)  # (1, 1)
        mean = (here @ rows) / count.clamp(min=1)
        deviation = here @ (rows - mean).square()
        count, mean, var = self._combined(count, mean, deviation)
        mean, var = mean.squeeze(0), var.squeeze(0)
        count = count.squeeze()
        assert self.running_mean is not None and self.running_var is not None
        # One row in all has no variance: use running statistics.
        mean = torch.where(count > 1, mean, self.running_mean.clone())
        var = torch.where(count > 1, var, self.running_var.clone())
        self._track(mean.detach(), var.detach() * (count / (count - 1).clamp(min=1)))
        gain = self.weight * torch.rsqrt(var + self.eps)
        out = torch.addcmul(self.bias, rows - mean, gain)
        return zero_missing(out.to(feat.dtype).view(feat.shape), mask)

    @torch.no_grad()
    def _track(self, mean: Tensor, var: Tensor) -> None:
        """Move the running statistics towards those of a batch."""
        assert self.running_mean is not None and self.running_var is not None
        assert self.num_batches_tracked is not None
        self.num_batches_tracked += 1
        rate = self.momentum
        if rate is None:
            rate = 1.0 / float(self.num_batches_tracked)
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), rate)
        self.running_var.lerp_(var.to(self.running_var.dtype), rate)

    def _counts_elsewhere(self) -> bool:
        """Whether rows of other processes count."""
        return False


class InputNorm(Statistics, nn.Module):
    """Batch norm of the input by joint and channel, as published.

    ``num_joints`` is V of the one layout that the model serves, ``in_feats`` D.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(
        self, num_joints: int, in_feats: int, *, momentum: float = 0.1, eps: float = 1e-5
    ) -> None:
        super().__init__()
        check_sizes(num_joints=num_joints, in_feats=in_feats)
        self.num_joints, self.in_feats = num_joints, in_feats
        self.momentum, self.eps = momentum, eps
        self.weight = nn.Parameter(torch.empty(num_joints, in_feats))
        self.bias = nn.Parameter(torch.empty(num_joints, in_feats))
        self.register_buffer("running_mean", torch.zeros(num_joints, in_feats))
        self.register_buffer("running_var", torch.ones(num_joints, in_feats))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Weight 1, bias 0, running mean 0 and variance 1."""
        nn.init.ones_(self.weight)
        nn.init.zeros_(self.bias)
        self.running_mean.zero_()
        self.running_var.fill_(1.0)

    def forward(self, graph: Any, feat: Tensor, mask: Tensor | None = None) -> Tensor:
        """Normalize (N, T, D); a DGL graph needs ``ndata["joint"]``, the index in the layout."""
        joint, feat = joint_index(graph), zero_missing(feat, mask)
        if self.training:
            mean, var = self._statistics(joint, feat, mask)
        else:
            mean, var = self.running_mean, self.running_var
        gain = self.weight * torch.rsqrt(var + self.eps)
        shift = self.bias - mean * gain
        out = torch.addcmul(shift[joint].unsqueeze(1), feat, gain[joint].unsqueeze(1))
        return zero_missing(out, mask)

    def _statistics(
        self, joint: Tensor, feat: Tensor, mask: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        here = feat.new_ones(feat.shape[:2]) if mask is None else mask.to(feat.dtype)
        count = self._by_joint(joint, here.sum(dim=1, keepdim=True))  # (V, 1)
        mean = self._by_joint(joint, torch.einsum("nt,ntd->nd", here, feat)) / count.clamp(min=1)
        centered = feat - mean[joint].unsqueeze(1)
        deviation = self._by_joint(joint, torch.einsum("nt,ntd->nd", here, centered**2))
        count, mean, var = self._combined(count, mean, deviation)
        with torch.no_grad():
            rate = self.momentum * (count > 0).to(feat.dtype)  # joints not seen keep theirs
            unbiased = var * count / (count - 1).clamp(min=1)
            self.running_mean += rate * (mean - self.running_mean)
            self.running_var += rate * (unbiased - self.running_var)
        return mean, var

    def _by_joint(self, joint: Tensor, rows: Tensor) -> Tensor:
        return rows.new_zeros(self.num_joints, rows.shape[-1]).index_add(0, joint, rows)

    def extra_repr(self) -> str:
        """Say the sizes."""
        return f"num_joints={self.num_joints}, in_feats={self.in_feats}"
