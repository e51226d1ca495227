"""AS-GCN and ST-GCN as published implementations compute them."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from asgcn_dgl.models import ASGCN
from asgcn_dgl.nn import ASGCNBlock
from asgcn_dgl.ops.pairs import gumbel_softmax
from asgcn_dgl.skeleton import GraphBuilder, SkeletonLayout
from benchmarks.rivals.aim import ConcatenatingEncoder, pair_index
from benchmarks.rivals.convolution import DenseASGC


class DenseModel(nn.Module):
    """A model in (B, D, T, V) layout, every body of every clip computed.

    Parameters
    ----------
    model
        Gives the sizes, and the weights to begin with (copied). One layout, no dropout, and
        clips of 257 to 320 frames if it has a prediction head.
    """

    def __init__(self, model: ASGCN) -> None:
        super().__init__()
        (layout,) = model.layouts
        self.aim_frames = 0
        self.encoder: ConcatenatingEncoder | None = None
        if model.aim is not None:
            self.encoder = ConcatenatingEncoder(model.aim.encoder)
            self.aim_frames = model.aim.encoder.num_frames
        self.input_norm = nn.BatchNorm1d(layout.num_joints * model.in_feats)
        builder = model.graph_builder
        self.blocks = nn.ModuleList(DenseBlock(block, layout, builder) for block in model.blocks)
        head = model.recognition.linear
        self.linear = nn.Linear(head.in_features, head.out_features)
        self.linear.load_state_dict(head.state_dict())
        self.shrink = nn.ModuleList()
        self.narrow = nn.ModuleList()
        if model.prediction is not None:
            found = model.prediction
            self.shrink.extend(DenseBlock(block, layout, builder) for block in found.shrink)
            self.narrow.extend(
                DenseBlock(block, layout, builder) for block in (*found.narrow, found.last)
            )

    def forward(self, feat: Tensor) -> tuple[Tensor, Tensor | None]:
        """Logits (B, K) and future poses (B M, V, T', D) of clips (B, M, D, T, V)."""
        clips, bodies, dims, frames, joints = feat.shape
        feat = feat.flatten(0, 1)
        links = None if self.encoder is None else self._links(feat)
        hidden = feat.permute(0, 3, 1, 2).reshape(-1, joints * dims, frames)
        hidden = self.input_norm(hidden).view(-1, joints, dims, frames).permute(0, 2, 3, 1)
        hidden = hidden.contiguous()
        for block in self.blocks:
            hidden = block(hidden, links)
        logits = self.linear(hidden.mean(dim=(2, 3)).view(clips, bodies, -1).mean(dim=1))
        if not len(self.narrow):
            return logits, None
        for block in self.shrink:
            hidden = block(hidden, links)
        last = feat[:, :, -1:]
        for block in self.narrow:
            hidden = block(torch.cat([hidden, last], dim=1), links)
        offset = hidden.squeeze(2).view(len(feat), -1, dims, joints)
        return logits, (last.transpose(1, 2) + offset).permute(0, 3, 1, 2)

    def _links(self, feat: Tensor) -> Tensor:
        assert self.encoder is not None
        frames, joints = feat.shape[2:]
        step = (torch.arange(self.aim_frames, dtype=torch.float64) + 0.5) / self.aim_frames
        seen = feat[:, :, (step * frames).long()].permute(0, 3, 2, 1).flatten(2)
        logits = self.encoder(seen)
        tau = self.encoder.encoder.tau
        types = gumbel_softmax(logits, tau, noise=self.training)[..., 1:]
        receiver, sender = pair_index(joints)
        links = feat.new_zeros(len(feat), types.shape[-1], joints, joints)
        links[:, :, receiver, sender] = types.transpose(1, 2)
        return links


class DenseBlock(nn.Module):
    """One block, sizes and weights from the library's.

    Parameters
    ----------
    block
        The library's block.
    layout
        Skeleton.
    builder
        Gives L and C.
    """

    def __init__(self, block: ASGCNBlock, layout: SkeletonLayout, builder: GraphBuilder) -> None:
        super().__init__()
        conv, time = block.spatial, block.temporal
        in_feats, out_feats = conv.structural.in_feats, time.out_feats
        self.spatial = DenseASGC(layout, in_feats, out_feats, builder, conv.actional_weight)
        self.spatial.take_weights(conv)
        self.spatial_norm = nn.BatchNorm2d(out_feats)
        self.temporal = nn.Conv2d(
            out_feats,
            out_feats,
            (time.kernel_size, 1),
            (time.stride, 1),
            (time.padding, 0),
            bias=time.bias is not None,
        )
        with torch.no_grad():
            self.temporal.weight.copy_(time.weight.transpose(2, 3))
            if time.bias is not None and self.temporal.bias is not None:
                self.temporal.bias.copy_(time.bias)
        self.temporal_norm = None if block.temporal_norm is None else nn.BatchNorm2d(out_feats)
        self.residual, self.crop, self.stride = block.residual, block.crop, time.stride
        self.shortcut: nn.Conv2d | None = None
        self.shortcut_norm: nn.BatchNorm2d | None = None
        if block.shortcut is not None:
            self.shortcut = nn.Conv2d(in_feats, out_feats, 1, (time.stride, 1), bias=False)
            self.shortcut_norm = nn.BatchNorm2d(out_feats)
            with torch.no_grad():
                self.shortcut.weight.copy_(block.shortcut.weight[:, :, None, None])

    def forward(self, feat: Tensor, links: Tensor | None) -> Tensor:
        """Transform (B, D, T, V) into (B, O, T', V)."""
        hidden = F.relu(self.spatial_norm(self.spatial(feat, links)))
        out = self.temporal(hidden)
        if self.temporal_norm is None:
            return out
        out = self.temporal_norm(out)
        if self.residual:
            frames = out.shape[2]
            aligned = feat
            if self.crop:
                aligned = feat[:, :, self.crop : self.crop + (frames - 1) * self.stride + 1]
            if self.shortcut is not None and self.shortcut_norm is not None:
                aligned = self.shortcut_norm(self.shortcut(aligned))
            out = out + aligned
        return F.relu(out)
