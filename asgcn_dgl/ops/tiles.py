"""Tiles of a batch that fit the cache, and the buffers that serve them."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

TILE_ROWS = 8192  # joints times frames of one tile on a CPU; elsewhere one tile is the batch
PIECE_FEATS = 512  # features of a joint in one piece of a product of A-links
PIECE_FRAMES = 5  # and its frames at least


class Tile(NamedTuple):
    """Some units, some frames."""

    units: slice
    frames: slice

    def of(self, feat: Tensor) -> Tensor:
        """Cut the tile out of (B, V, F, D) features."""
        return feat[self.units, :, self.frames]


def tiles(units: int, joints: int, frames: int, device: torch.device) -> list[Tile]:
    """Cut a batch into tiles: whole units where some fit, else frames of one.

    Parameters
    ----------
    units, joints, frames
        B, V and F.
    device
        Where the batch is.
    """
    if device.type != "cpu":
        return [Tile(slice(0, units), slice(0, frames))]
    fit = max(1, TILE_ROWS // joints)  # frames of any unit
    height = max(1, min(units, fit // frames))
    pieces = -(-frames // min(fit, frames))
    width = -(-frames // pieces)
    return [
        Tile(slice(unit, min(unit + height, units)), slice(frame, min(frame + width, frames)))
        for unit in range(0, units, height)
        for frame in range(0, frames, width)
    ]


def unit_tiles(pairs: Tensor, size: int) -> list[slice]:
    """Slices of the units of (B, ...) whose features take so many bytes; elsewhere all at once."""
    units = len(pairs)
    step = units
    if pairs.device.type == "cpu" and units:
        step = max(1, min(units, size // (pairs[0].numel() * pairs.element_size() or 1)))
    return [slice(begin, min(begin + step, units)) for begin in range(0, units, step)]


class Workspace:
    """Buffers that live as long as one pass and serve every tile."""

    def __init__(self, like: Tensor) -> None:
        self.like = like
        self.buffers: dict[str, Tensor] = {}

    def take(self, name: str, *shape: int) -> Tensor:
        """Buffer of a shape; what it held before is lost."""
        numel = torch.Size(shape).numel()
        buffer = self.buffers.get(name)
        if buffer is None or buffer.numel() < numel:
            buffer = self.like.new_empty(numel)
            self.buffers[name] = buffer
        return buffer[:numel].view(shape)


class Pieces(NamedTuple):
    """How the frames of a tile are cut so that many small products run side by side.

    Attributes
    ----------
    number, length
        k pieces of f frames; the last may hold fewer and is filled up with zeros.
    """

    number: int
    length: int

    @classmethod
    def of(cls, frames: int, feats: int, device: torch.device) -> Pieces:
        """Choose for F frames of D features."""
        if device.type != "cpu":
            return cls(1, frames)
        length = min(frames, max(PIECE_FRAMES, PIECE_FEATS // feats))
        number = -(-frames // length)
        return cls(number, -(-frames // number))

    def cut(self, feat: Tensor, out: Tensor) -> Tensor:
        """Copy (b, V, F, D) into (b, k, V, f, D)."""
        for theirs, ours in self._views(feat, out):
            ours.copy_(theirs)
        rest = feat.shape[2] - (self.number - 1) * self.length
        out[:, -1, :, rest:].zero_()
        return out

    def add_back(self, pieces: Tensor, feat: Tensor) -> None:
        """Add (b, k, V, f, D) to (b, V, F, D)."""
        for theirs, ours in self._views(feat, pieces):
            theirs.add_(ours)

    def _views(self, feat: Tensor, pieces: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Views of features and of pieces that hold the same places."""
        whole = feat.shape[2] // self.length
        split = whole * self.length
        views = []
        if whole:
            cut = feat[:, :, :split].unflatten(2, (whole, self.length)).transpose(1, 2)
            views.append((cut, pieces[:, :whole]))
        if split < feat.shape[2]:
            rest = feat.shape[2] - split
            views.append((feat[:, :, split:], pieces[:, whole, :, :rest]))
        return views


def add_product(total: Tensor, left: Tensor, right: Tensor) -> None:
    """Add ``left.T @ right``, of matrices or batches, to a total ``right.T @ left``, transposed.

    The total may be of higher precision. Transposed it is faster, for right is often the wider.
    """
    product = (right.mT, left)
    if total.dtype != left.dtype:
        total.add_(product[0] @ product[1])
    elif total.dim() == 2:
        total.addmm_(*product)
    else:
        total.baddbmm_(*product)


def gradient_total(tensor: Tensor) -> Tensor:
    """Zeros to sum a gradient over tiles: single precision at least, weights transposed."""
    dtype = torch.float32 if tensor.element_size() < 4 else tensor.dtype
    shape = tensor.mT.shape if tensor.dim() == 3 else tensor.shape
    return torch.zeros(shape, dtype=dtype, device=tensor.device)


def as_gradient(total: Tensor, tensor: Tensor) -> Tensor:
    """Gradient of a tensor from its total over tiles."""
    return (total.mT if total.dim() == 3 else total).to(tensor.dtype)
