"""Two-layer perceptron of the A-link inference module."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from asgcn_dgl.nn.dropout import Dropout
from asgcn_dgl.nn.norm import MaskedBatchNorm


class MLP(nn.Module):
    """Linear, ELU, dropout, linear; with ``batch_norm`` then ELU and norm (published encoder).

    Without the norm the result is linear in the hidden layer, so that sums over edges can be taken
    before the second map.
    """

    def __init__(
        self,
        in_feats: int,
        hidden_feats: int,
        out_feats: int,
        *,
        dropout: float = 0.0,
        batch_norm: bool = False,
    ) -> None:
        super().__init__()
        self.first = nn.Linear(in_feats, hidden_feats)
        self.second = nn.Linear(hidden_feats, out_feats)
        self.dropout = Dropout(dropout)
        self.norm = MaskedBatchNorm(out_feats) if batch_norm else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Xavier weights, small positive biases."""
        for layer in (self.first, self.second):
            nn.init.xavier_normal_(layer.weight)
            nn.init.constant_(layer.bias, 0.1)
        if self.norm is not None:
            self.norm.reset_parameters()

    def forward(self, feat: Tensor) -> Tensor:
        """Map (..., D) to (..., O)."""
        return self.finish(self.first(feat))

    def finish(self, hidden: Tensor) -> Tensor:
        """Continue from the first linear map's result (..., H), which is overwritten."""
        out = self.second(self.dropout(F.elu(hidden, inplace=True)))
        return out if self.norm is None else self.norm(F.elu(out, inplace=True))
