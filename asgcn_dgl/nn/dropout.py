"""Dropout."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from asgcn_dgl.ops.runtime import eager_on_cpu


class Dropout(nn.Dropout):
    """Dropout as :class:`torch.nn.Dropout`; on a CPU by uniform numbers, in a third of its time.

    Torch draws from a Bernoulli distribution number by number there.

    Examples
    --------
    >>> from asgcn_dgl.nn.dropout import Dropout
    >>> sorted(set(Dropout(0.75)(torch.ones(1000)).tolist()))
    [0.0, 4.0]
    """

    def forward(self, input: Tensor) -> Tensor:
        """Set each number to zero with probability p, and divide the others by 1 - p."""
        if not (self.training and 0.0 < self.p < 1.0 and eager_on_cpu(input)):
            return super().forward(input)
        # 16 bits are too few for a probability.
        keep = torch.rand(input.shape, dtype=torch.float32, device=input.device).ge_(self.p)
        return input * keep.div_(1.0 - self.p).to(input.dtype)
