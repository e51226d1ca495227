"""Temporal convolution in branches of several reaches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from asgcn_dgl.nn.norm import MaskedBatchNorm
from asgcn_dgl.nn.sgconv import check_sizes
from asgcn_dgl.nn.temporal import convolve_frames
from asgcn_dgl.ops.frames import zero_missing

POOL_FRAMES = 3


class MultiBranchTemporalConv(nn.Module):
    r"""Temporal convolution in branches: dilated ones, a maximum, a 1x1 (ST-GCN++, CTR-GCN).

    .. math::

        y = W_{\mathrm{mix}}\, \mathrm{ReLU}\, \mathrm{BN} \left(
            \bigoplus_{d} \mathrm{T}_d(h_d)
            \oplus \max_{|k| \le 1} h_{\mathrm{pool}, t + k}
            \oplus W_1 x
        \right), \qquad h_b = \mathrm{ReLU}\, \mathrm{BN}(W_b x)

    where :math:`W_{\mathrm{mix}}\, \mathrm{ReLU}\, \mathrm{BN}` is left out without ``mix``,
    :math:`\mathrm{T}_d` is a temporal convolution of dilation d. Every branch has its share
    of the output's features; what the division leaves over goes to the first. Frames that do not
    exist are zero wherever a branch looks, and do not count in the norms.

    Duan et al., *PYSKL*, ACM MM 2022 (ST-GCN++); Chen et al., *CTR-GCN*, ICCV 2021.

    Parameters
    ----------
    in_feats, out_feats
        D and O.
    kernel_size
        Frames that a dilated branch weighs; odd.
    stride
        Frames from one output to the next.
    dilations
        d of each dilated branch.
    bias
        Add a bias at the end.
    mix
        Norm, ReLU and a linear map of what the branches give, as ST-GCN++ has it; False leaves it
        as it is, as CTR-GCN does, for the norm of the block that follows.

    Raises
    ------
    ValueError
        For sizes below 1, an even kernel, no dilation, fewer features than branches, or a bias
        without ``mix``.

    Examples
    --------
    >>> import torch
    >>> from asgcn_dgl.nn import MultiBranchTemporalConv
    >>> conv = MultiBranchTemporalConv(8, 16, kernel_size=3, stride=2)
    >>> conv(None, torch.randn(25, 75, 8)).shape
    torch.Size([25, 38, 16])
    """

    def __init__(
        self,
        in_feats: int,
        out_feats: int,
        kernel_size: int = 3,
        stride: int = 1,
        *,
        dilations: Sequence[int] = (1, 2, 3, 4),
        bias: bool = False,
        mix: bool = True,
    ) -> None:
        super().__init__()
        if bias and not mix:
            raise ValueError("bias must be False where mix is")
        check_sizes(in_feats=in_feats, out_feats=out_feats, kernel_size=kernel_size, stride=stride)
        if kernel_size % 2 == 0:
            raise ValueError(f"kernel_size must be odd in branches, got {kernel_size}")
        if not dilations or min(dilations) < 1:
            raise ValueError(f"dilations must be numbers of at least 1, got {tuple(dilations)}")
        branches = len(dilations) + 2
        if out_feats < branches:
            raise ValueError(
                f"out_feats must be at least {branches}, the branches, got {out_feats}"
            )
        self.in_feats, self.out_feats = in_feats, out_feats
        self.kernel_size, self.stride, self.dilations = kernel_size, stride, tuple(dilations)
        self.padding = (kernel_size - 1) // 2
        share = out_feats // branches
        first = out_feats - share * (branches - 1)
        self.widths = (first, *[share] * (branches - 1))
        narrow = sum(self.widths[:-1])  # of all branches but the 1x1
        self.reduce = nn.Linear(in_feats, narrow, bias=False)
        self.reduce_norm = MaskedBatchNorm(narrow)
        self.kernels = nn.ParameterList(
            nn.Parameter(torch.empty(width, width, 1, kernel_size))
            for width in self.widths[: len(dilations)]
        )
        self.point = nn.Linear(in_feats, share, bias=False)
        self.joined_norm = MaskedBatchNorm(out_feats) if mix else None
        self.mix = nn.Linear(out_feats, out_feats, bias=bias) if mix else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Kaiming normal weights for a ReLU, zero bias."""
        maps = [each for each in (self.reduce, self.point, self.mix) if each is not None]
        for weight in (*(each.weight for each in maps), *self.kernels):
            nn.init.kaiming_normal_(weight, mode="fan_out", nonlinearity="relu")
        if self.mix is not None and self.mix.bias is not None:
            nn.init.zeros_(self.mix.bias)
        self.reduce_norm.reset_parameters()
        if self.joined_norm is not None:
            self.joined_norm.reset_parameters()

    def forward(self, graph: Any, feat: Tensor, mask: Tensor | None = None) -> Tensor:
        """Convolve (N, T, D) over time to (N, T', O), T' = floor((T - 1) / stride) + 1.

        (N, D) is one frame. A frame exists where the center of its window does. ``graph`` is not
        used.
        """
        if feat.dim() == 2:
            here = None if mask is None else mask.unsqueeze(1)
            return self.forward(graph, feat.unsqueeze(1), here).squeeze(1)
        feat = zero_missing(feat, mask)
        # What the norm gives is zero where nothing exists, and so is its ReLU.
        hidden = F.relu(self.reduce_norm(self.reduce(feat), mask)).split(self.widths[:-1], dim=-1)
        parts = [
            convolve_frames(
                part,
                kernel,
                stride=self.stride,
                padding=self.padding * dilation,
                dilation=dilation,
            )
            for part, kernel, dilation in zip(hidden, self.kernels, self.dilations, strict=False)
        ]
        parts += [self._pool(hidden[-1]), self.point(feat[:, :: self.stride].contiguous())]
        joined = torch.cat(parts, dim=-1)
        if self.joined_norm is None or self.mix is None:
            return joined
        later = None if mask is None else mask[:, :: self.stride]
        out: Tensor = self.mix(F.relu(self.joined_norm(joined, later)))
        return out

    def _pool(self, feat: Tensor) -> Tensor:
        """Largest of three frames."""
        reach = POOL_FRAMES // 2
        if torch.compiler.is_compiling():
            # torch's own pooling would fix the number of frames of a program that is to take any.
            # After a ReLU the padding's zeros are the least there is.
            padded = F.pad(feat, (0, 0, reach, reach))
            last = (feat.shape[1] - 1) // self.stride * self.stride
            taken = [padded[:, k : k + last + 1 : self.stride] for k in range(POOL_FRAMES)]
            return torch.stack(taken).amax(dim=0)
        image = feat.transpose(1, 2)
        return F.max_pool1d(image, POOL_FRAMES, self.stride, reach).transpose(1, 2)

    def extra_repr(self) -> str:
        """Say the sizes."""
        return (
            f"{self.in_feats}, {self.out_feats}, kernel_size={self.kernel_size}, "
            f"stride={self.stride}, dilations={self.dilations}"
        )
