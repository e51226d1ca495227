"""Frames and clips: masks over time, frame sampling, means over what exists."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from asgcn_dgl.ops.runtime import widened
from asgcn_dgl.skeleton.batch import Part, SkeletonBatch
from asgcn_dgl.skeleton.graph import structure_of

Pair = tuple[Tensor, Tensor]


def clip_index(graph: Any) -> Tensor:
    """Which clip of the batch each joint belongs to, (N,)."""
    if isinstance(graph, SkeletonBatch):
        return graph.clip
    sizes = graph.batch_num_nodes()
    clips = torch.arange(len(sizes), device=sizes.device)
    return torch.repeat_interleave(clips, sizes, output_size=graph.num_nodes())


def joint_index(graph: Any) -> Tensor:
    """Index of each joint in its layout, (N,)."""
    return graph.joint if isinstance(graph, SkeletonBatch) else graph.ndata["joint"]


def clip_mean(graph: Any, feat: Tensor, mask: Tensor | None = None) -> Tensor:
    """Return the mean (B, D) over the joints, frames and bodies that exist of each clip.

    ``feat`` is (N, T, D) or (N, D); a clip in which nothing exists gives 0.
    """
    total, count = frame_sums(feat, mask)
    return group_mean(total, count, clip_index(graph), graph.batch_size).to(feat.dtype)


def frame_sums(feat: Tensor, mask: Tensor | None, *, keep_frames: bool = False) -> Pair:
    """Return sums (N, ..., D) over the frames that exist, and their counts.

    Features in 16 bits are summed in 32. ``feat`` is (N, T, D) or (N, D); with ``keep_frames``
    nothing is summed: (N, T, D) and (N, T).
    """
    feat = widened(feat)
    count = feat.new_ones(feat.shape[:-1]) if mask is None else mask.to(feat.dtype)
    total = zero_missing(feat, mask)
    if feat.dim() > 2 and not keep_frames:
        frames = tuple(range(1, feat.dim() - 1))
        total, count = total.sum(dim=frames), count.sum(dim=frames)
    return total, count


def group_mean(total: Tensor, count: Tensor, index: Tensor, groups: int) -> Tensor:
    """Return the mean of each group of rows, (groups, ..., D), 0 where nothing exists.

    ``total`` and ``count`` are as :func:`frame_sums` returns them; ``index`` (N,) is the group of
    each row.
    """
    sums = total.new_zeros(groups, *total.shape[1:]).index_add(0, index, total)
    counts = count.new_zeros(groups, *count.shape[1:]).index_add(0, index, count)
    return sums / counts.clamp(min=1).unsqueeze(-1)


def sample_frames(
    graph: Any, feat: Tensor, num_frames: int, mask: Tensor | None = None
) -> tuple[Tensor, Tensor | None]:
    """Return frames (N, num_frames, D), evenly chosen where anything exists, and where joints do.

    All joints of a clip are seen at the same times; one that is missing at a time is taken at its
    nearest frame, and is 0 if it exists in none. The same clip always gives the same frames; a clip
    shorter than ``num_frames`` repeats some. Without mask the second result is None.
    """
    frames = feat.shape[1]
    halves = (
        2 * torch.arange(num_frames, device=feat.device) + 1
    )  # (k + 1/2) T / n, in whole numbers
    if mask is None:
        # A program for any number of frames must not take one as a special case.
        same = not torch.compiler.is_compiling() and frames == num_frames
        return (feat if same else feat.index_select(1, halves * frames // (2 * num_frames))), None
    index = clip_index(graph)
    counts = torch.zeros(graph.batch_size, frames, dtype=torch.long, device=feat.device)
    here = counts.index_add(0, index, mask.long()) > 0  # (B, T)
    rank = halves * here.sum(dim=1, keepdim=True) // (2 * num_frames) + 1  # (B, num_frames)
    seen = here.long().cumsum(dim=1)
    if torch.compiler.is_compiling():  # ONNX can count and take minima, and no more
        time = (seen.unsqueeze(1) < rank.unsqueeze(2)).sum(dim=2).clamp(max=frames - 1)[index]
        place = _nearest_of(mask, time)
    else:
        time = torch.searchsorted(seen, rank).clamp(max=frames - 1)[index]
        place = _nearest(mask).gather(1, time)
    picked = feat.gather(1, place.unsqueeze(-1).expand(-1, -1, feat.shape[-1]))
    exists = mask.any(dim=1, keepdim=True).expand(-1, num_frames)
    return zero_missing(picked, exists), mask.gather(1, time)


def _nearest(mask: Tensor) -> Tensor:
    """Frame nearest to each at which the joint exists, (N, T); any where it never does."""
    frames = mask.shape[1]
    time = torch.arange(frames, device=mask.device).expand_as(mask)
    before = time.masked_fill(~mask, -frames).cummax(dim=1).values
    after = time.masked_fill(~mask, 2 * frames).flip(1).cummin(dim=1).values.flip(1)
    return torch.where(time - before <= after - time, before, after).clamp(0, frames - 1)


def _nearest_of(mask: Tensor, time: Tensor) -> Tensor:
    """Frame nearest to each of (N, F) at which the joint exists, the earlier of two."""
    frames = torch.arange(mask.shape[1], device=mask.device)
    away = frames - time.unsqueeze(2)  # (N, F, T)
    far = 2 * away.abs() + (away > 0).long()
    return far.masked_fill(~mask.unsqueeze(1), 2**30).argmin(dim=2)


def last_frame(feat: Tensor, mask: Tensor | None = None) -> Tensor:
    """Last frame of each joint that exists, (N, D); the very last where none does."""
    if mask is None:
        return feat[:, -1]
    frames = feat.shape[1]
    steps = torch.arange(1, frames + 1, device=feat.device)
    last = (mask * steps).amax(dim=1)
    place = torch.where(last > 0, last - 1, frames - 1)
    return feat.gather(1, place.view(-1, 1, 1).expand(-1, 1, feat.shape[-1])).squeeze(1)


def frame_mean(feat: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean over the frames that exist, (N, T, D) to (N, D); 0 where none does."""
    if mask is None:
        return feat.mean(dim=1)
    here = mask.unsqueeze(-1).to(feat.dtype)
    return zero_missing(feat, mask).sum(dim=1) / here.sum(dim=1).clamp(min=1)


def last_frames(feat: Tensor, count: int) -> Tensor:
    """Return the last ``count`` frames of (N, T, ...), the first repeated before fewer."""
    return feat.index_select(1, _last_frames(feat, count))


def hold_last(feat: Tensor, mask: Tensor, count: int) -> Tensor:
    """Return the last frames with missing joints where they were last, or where they appear first.

    Parameters
    ----------
    feat
        (N, T, D).
    mask
        (N, T) bool.
    count
        P, how many frames; before fewer the first is repeated.

    Returns
    -------
    Tensor
        (N, P, D), zeros for a joint that exists in no frame.
    """
    frames = mask.shape[1]
    time = torch.arange(frames, device=mask.device)
    wanted = _last_frames(feat, count)
    seen = time.expand_as(mask).masked_fill(~mask, -1)
    if torch.compiler.is_compiling():  # ONNX has no running maximum
        earlier = wanted.unsqueeze(1) >= time  # (P, T)
        before = seen.unsqueeze(1).expand(-1, count, -1).masked_fill(~earlier, -1).amax(dim=2)
    else:
        before = seen.cummax(dim=1).values.index_select(1, wanted)
    first = time.expand_as(mask).masked_fill(~mask, frames - 1).amin(dim=1, keepdim=True)
    place = torch.where(before >= 0, before, first)
    held = feat.gather(1, place.unsqueeze(-1).expand(-1, -1, feat.shape[2]))
    return zero_missing(held, mask.any(dim=1, keepdim=True).expand_as(place))


def _last_frames(feat: Tensor, count: int) -> Tensor:
    steps = torch.arange(count, device=feat.device) + feat.shape[1] - count
    return steps.clamp(min=0)


def from_centers(graph: Any, feat: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """Take joints (N, T, D) relative to the center joint of their body, and where both exist."""
    structure = structure_of(graph)
    if structure is None:
        raise ValueError("motion needs a graph of GraphBuilder, which knows the bodies' centers")

    def centers(part: Part) -> Tensor:
        layout = part.layout
        return torch.full((layout.num_joints,), layout.center, device=feat.device)

    there = None if mask is None else mask & structure.at_joints(mask, centers)
    return zero_missing(feat - structure.at_joints(feat, centers), there), there


def zero_missing(feat: Tensor, mask: Tensor | None) -> Tensor:
    """Set what does not exist to zero, NaN included; (N, ..., D) and (N, ...)."""
    return feat if mask is None else feat.masked_fill(~mask.unsqueeze(-1), 0.0)


def as_mask(mask: Tensor | None, feat: Tensor) -> Tensor | None:
    """Return a mask of features (N, T, D) as bool (N, T)."""
    if mask is None:
        return None
    if mask.shape != feat.shape[:-1]:
        raise ValueError(
            f"mask must be (joints, frames) = {tuple(feat.shape[:-1])}, got {tuple(mask.shape)}"
        )
    return mask.bool()
