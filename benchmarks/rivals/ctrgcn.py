"""CTR-GCN's layers, written from the paper's description (Chen et al., ICCV 2021)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from asgcn_dgl.skeleton import SkeletonLayout, structural_operators

CHANNELS = (64, 64, 64, 64, 128, 128, 128, 256, 256, 256)
STRIDES = (1, 1, 1, 1, 2, 1, 1, 2, 1, 1)
KERNEL, DILATIONS = 5, (1, 2)
REDUCTION, FIRST = 8, 8  # of the channels that refine the links; of the first block, too few


class Refinement(nn.Module):
    r"""One channel-wise topology refinement, (B, D, T, V) to (B, O, T, V).

    Links of each output channel: a shared matrix plus :math:`\alpha\, \xi(\tanh(\phi(x)_i -
    \psi(x)_j))`, of features averaged over time.

    Parameters
    ----------
    in_feats, out_feats
        D and O.
    """

    def __init__(self, in_feats: int, out_feats: int) -> None:
        super().__init__()
        hidden = FIRST if in_feats < REDUCTION * 2 else in_feats // REDUCTION
        self.one = nn.Conv2d(in_feats, hidden, 1)
        self.other = nn.Conv2d(in_feats, hidden, 1)
        self.refine = nn.Conv2d(hidden, out_feats, 1)
        self.transform = nn.Conv2d(in_feats, out_feats, 1)

    def forward(self, feat: Tensor, shared: Tensor, alpha: Tensor) -> Tensor:
        """Convolve along the refined links; ``shared`` is (V, V)."""
        one, other = self.one(feat).mean(dim=2), self.other(feat).mean(dim=2)  # (B, H, V)
        links = self.refine(torch.tanh(one.unsqueeze(3) - other.unsqueeze(2)))  # (B, O, V, V)
        links = alpha * links + shared
        return torch.einsum("bowv,botv->botw", links, self.transform(feat))


class Branches(nn.Module):
    """Two dilated temporal convolutions, a maximum and a 1x1, side by side, with a residual.

    Parameters
    ----------
    feats
        Features before and after.
    stride
        Frames from one output to the next.
    """

    def __init__(self, feats: int, stride: int) -> None:
        super().__init__()
        share = feats // 4
        self.dilated = nn.ModuleList(
            nn.Sequential(
                *_reduce(feats, share),
                nn.Conv2d(
                    share,
                    share,
                    (KERNEL, 1),
                    (stride, 1),
                    (dilation * (KERNEL - 1) // 2, 0),
                    (dilation, 1),
                ),
                nn.BatchNorm2d(share),
            )
            for dilation in DILATIONS
        )
        self.pooled = nn.Sequential(
            *_reduce(feats, share),
            nn.MaxPool2d((3, 1), (stride, 1), (1, 0)),
            nn.BatchNorm2d(share),
        )
        self.point = nn.Sequential(nn.Conv2d(feats, share, 1, (stride, 1)), nn.BatchNorm2d(share))

    def forward(self, feat: Tensor) -> Tensor:
        """Convolve over time, (B, D, T, V) to (B, D, T', V)."""
        parts = [*(branch(feat) for branch in self.dilated), self.pooled(feat), self.point(feat)]
        return torch.cat(parts, dim=1)


def _reduce(feats: int, share: int) -> tuple[nn.Module, ...]:
    return nn.Conv2d(feats, share, 1), nn.BatchNorm2d(share), nn.ReLU(inplace=True)


class Block(nn.Module):
    """Three refinements, one a partition, then the branches; residuals around both.

    Parameters
    ----------
    in_feats, out_feats
        D and O.
    stride
        Of the branches.
    shared
        (3, V, V) matrices to begin with; they are learned.
    residual
        Add the block's input.
    """

    def __init__(
        self, in_feats: int, out_feats: int, stride: int, shared: Tensor, residual: bool = True
    ) -> None:
        super().__init__()
        self.refinements = nn.ModuleList(Refinement(in_feats, out_feats) for _ in shared)
        self.shared = nn.Parameter(shared.clone())
        self.alpha = nn.Parameter(torch.zeros(1))
        self.norm = nn.BatchNorm2d(out_feats)
        self.down: nn.Module = nn.Identity()
        if in_feats != out_feats:
            self.down = nn.Sequential(nn.Conv2d(in_feats, out_feats, 1), nn.BatchNorm2d(out_feats))
        self.branches = Branches(out_feats, stride)
        self.residual: nn.Module | None = None
        if residual:
            same = in_feats == out_feats and stride == 1
            self.residual = (
                nn.Identity()
                if same
                else nn.Sequential(
                    nn.Conv2d(in_feats, out_feats, 1, (stride, 1)), nn.BatchNorm2d(out_feats)
                )
            )

    def forward(self, feat: Tensor) -> Tensor:
        """Transform (B, D, T, V) into (B, O, T', V)."""
        parts = [
            layer(feat, links, self.alpha)
            for layer, links in zip(self.refinements, self.shared, strict=True)
        ]
        hidden = F.relu(self.norm(torch.stack(parts).sum(dim=0)) + self.down(feat))
        out = self.branches(hidden)
        return F.relu(out if self.residual is None else out + self.residual(feat))


class CTRGCN(nn.Module):
    """Ten blocks of 64 to 256 features, mean, linear: recognition only.

    Parameters
    ----------
    layout
        Skeleton of V joints.
    num_classes
        K.
    in_feats
        Coordinates of a joint.
    """

    def __init__(self, layout: SkeletonLayout, num_classes: int, in_feats: int = 3) -> None:
        super().__init__()
        found = structural_operators(layout, 1)
        shared = torch.stack([torch.from_numpy(each.toarray()) for each in found.values()]).float()
        self.norm = nn.BatchNorm1d(layout.num_joints * in_feats)
        widths = (in_feats, *CHANNELS)
        self.blocks = nn.ModuleList(
            Block(widths[k], widths[k + 1], stride, shared, residual=k > 0)
            for k, stride in enumerate(STRIDES)
        )
        self.linear = nn.Linear(CHANNELS[-1], num_classes)

    def forward(self, feat: Tensor) -> Tensor:
        """Logits (B, K) of clips (B, M, D, T, V)."""
        clips, bodies, dims, frames, joints = feat.shape
        rows = feat.flatten(0, 1).permute(0, 3, 1, 2).reshape(-1, joints * dims, frames)
        hidden = self.norm(rows).view(-1, joints, dims, frames).permute(0, 2, 3, 1).contiguous()
        for block in self.blocks:
            hidden = block(hidden)
        return self.linear(hidden.mean(dim=(2, 3)).view(clips, bodies, -1).mean(dim=1))
