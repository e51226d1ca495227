"""Temporal convolution over the frames of each joint."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from asgcn_dgl.nn.norm import MaskedBatchNorm
from asgcn_dgl.nn.sgconv import check_sizes


def convolve_frames(
    feat: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    stride: int = 1,
    padding: int = 0,
    dilation: int = 1,
) -> Tensor:
    """Convolve (N, T, D) over time with (O, D, 1, K) weights: (N, T', O)."""
    # (N, T, D) is the channels-last memory of an image (1, D, N, T): nothing is permuted.
    image = feat.unsqueeze(0).permute(0, 3, 1, 2)
    if feat.dtype == torch.bfloat16 and feat.shape[1] <= padding:
        # Some weights see nothing but padding: oneDNN leaves their bfloat16 gradient unset.
        image, padding = F.pad(image, (padding, padding)), 0
    out = F.conv2d(
        image, weight, bias, stride=(1, stride), padding=(0, padding), dilation=(1, dilation)
    )
    return out.permute(0, 2, 3, 1).squeeze(0)


class TemporalConv(nn.Module):
    r"""Convolution over time for each joint, weights shared by all joints (Sec. 4.3, T-CN).

    .. math::

        y_{i,t} = b + \sum_{k} W_k^\top x_{i,\, s t + k - \mathrm{padding}}

    Parameters
    ----------
    in_feats, out_feats
        D and O.
    kernel_size
        Frames the kernel spans.
    stride
        Frames from one output to the next.
    padding
        Zero frames put before and after; None for ``(kernel_size - 1) // 2``.
    bias
        Add a bias.

    Examples
    --------
    >>> import torch
    >>> from asgcn_dgl.nn import TemporalConv
    >>> TemporalConv(8, 16, kernel_size=7, stride=2)(None, torch.randn(25, 75, 8)).shape
    torch.Size([25, 38, 16])
    """

    def __init__(
        self,
        in_feats: int,
        out_feats: int,
        kernel_size: int = 7,
        stride: int = 1,
        padding: int | None = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        check_sizes(in_feats=in_feats, out_feats=out_feats, kernel_size=kernel_size, stride=stride)
        self.padding = (kernel_size - 1) // 2 if padding is None else padding
        if self.padding < 0:
            raise ValueError(f"padding must be >= 0, got {padding!r}")
        self.in_feats, self.out_feats = in_feats, out_feats
        self.kernel_size, self.stride = kernel_size, stride
        self.weight = nn.Parameter(torch.empty(out_feats, in_feats, 1, kernel_size))
        self.bias = nn.Parameter(torch.empty(out_feats)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Kaiming normal weights for a ReLU, zero bias."""
        nn.init.kaiming_normal_(self.weight, mode="fan_out", nonlinearity="relu")
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(self, graph: Any, feat: Tensor, norm: MaskedBatchNorm | None = None) -> Tensor:
        """Convolve (N, T, D) over time to (N, T', O); (N, D) is one frame.

        T' = floor((T + 2 padding - kernel_size) / stride) + 1. ``graph`` is not used. ``norm`` is a
        batch norm that follows, to be joined with the convolution by its running statistics.
        """
        if feat.dim() == 2:
            return self.forward(graph, feat.unsqueeze(1), norm).squeeze(1)
        short = 2 * self.padding + 1 < self.kernel_size  # else one frame is enough
        if short and feat.shape[1] + 2 * self.padding < self.kernel_size:
            raise ValueError(
                f"feat must have at least {self.kernel_size - 2 * self.padding} frames for kernel "
                f"{self.kernel_size} and padding {self.padding}, got {feat.shape[1]}"
            )
        weight: Tensor = self.weight
        bias: Tensor | None = self.bias
        if norm is not None:
            weight, bias = norm.joined(weight, bias)
        return convolve_frames(feat, weight, bias, stride=self.stride, padding=self.padding)

    def extra_repr(self) -> str:
        """Say the sizes."""
        return (
            f"{self.in_feats}, {self.out_feats}, kernel_size={self.kernel_size}, "
            f"stride={self.stride}, padding={self.padding}"
        )
