"""Frames and clips: masks over time, frame sampling, means over what exists."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def clip_index(graph: Any) -> Tensor:
    """Which clip of the batch each joint belongs to, (N,)."""
    sizes = graph.batch_num_nodes()
    clips = torch.arange(len(sizes), device=sizes.device)
    return torch.repeat_interleave(clips, sizes, output_size=graph.num_nodes())


def clip_mean(graph: Any, feat: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean over the joints, frames and bodies of each clip that exist.

    Parameters
    ----------
    graph
        Batch of B clips.
    feat
        (N, T, D) or (N, D).
    mask
        (N, T) or (N,) bool, True where the joint exists; None for everywhere.

    Returns
    -------
    Tensor
        (B, D); 0 for a clip in which nothing exists.
    """
    count = feat.new_ones(feat.shape[:-1]) if mask is None else mask.to(feat.dtype)
    total = feat if mask is None else feat * count.unsqueeze(-1)
    if feat.dim() > 2:
        frames = tuple(range(1, feat.dim() - 1))
        total, count = total.sum(dim=frames), count.sum(dim=frames)
    index = clip_index(graph)
    clips = graph.batch_size
    sums = total.new_zeros(clips, total.shape[-1]).index_add(0, index, total)
    counts = count.new_zeros(clips).index_add(0, index, count)
    return sums / counts.clamp(min=1).unsqueeze(-1)


def sample_frames(feat: Tensor, num_frames: int, mask: Tensor | None = None) -> Tensor:
    """Pick frames evenly over those that exist, joint by joint.

    The same clip always gives the same frames; a clip shorter than ``num_frames`` repeats some.

    Parameters
    ----------
    feat
        (N, T, D).
    num_frames
        Frames to pick.
    mask
        (N, T) bool, or None.

    Returns
    -------
    Tensor
        (N, num_frames, D); zeros for a joint that exists in no frame.
    """
    frames = feat.shape[1]
    step = (torch.arange(num_frames, device=feat.device, dtype=torch.float64) + 0.5) / num_frames
    if mask is None:
        return feat if frames == num_frames else feat.index_select(1, (step * frames).long())
    count = mask.sum(dim=1, keepdim=True)
    rank = (step * count).long() + 1  # (N, num_frames), the rank-th frame that exists
    place = torch.searchsorted(mask.long().cumsum(dim=1), rank).clamp(max=frames - 1)
    picked = feat.gather(1, place.unsqueeze(-1).expand(-1, -1, feat.shape[-1]))
    return picked * (count > 0).unsqueeze(-1).to(feat.dtype)


def last_frame(feat: Tensor, mask: Tensor | None = None) -> Tensor:
    """Last frame of each joint that exists, (N, D); the very last where none does."""
    if mask is None:
        return feat[:, -1]
    frames = feat.shape[1]
    steps = torch.arange(1, frames + 1, device=feat.device)
    last = (mask * steps).amax(dim=1)
    place = torch.where(last > 0, last - 1, frames - 1)
    return feat.gather(1, place.view(-1, 1, 1).expand(-1, 1, feat.shape[-1])).squeeze(1)


def zero_missing(feat: Tensor, mask: Tensor | None) -> Tensor:
    """Set what does not exist to zero; (N, T, D) and (N, T)."""
    return feat if mask is None else feat * mask.unsqueeze(-1).to(feat.dtype)
