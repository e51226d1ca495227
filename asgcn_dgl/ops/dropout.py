"""Dropout from few random words, of which one bit for each feature is kept."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor

__all__ = ["dropout", "keep_bits", "keep_words", "kept_scale", "zero_dropped"]

DIGITS = 16  # binary digits of the probability to keep
BITS = 32  # of a word
_INTEGERS = {2: torch.int16, 4: torch.int32, 8: torch.int64}  # by the bytes of a feature


def dropout(feat: Tensor, rate: float) -> Tensor:
    """Zero features at random and scale up what is kept; one bit a feature is kept for backward.

    Parameters
    ----------
    feat
        Features of any shape.
    rate
        Probability that a feature is dropped; 0 returns ``feat`` itself.
    """
    words = keep_words(feat, rate)
    return feat if words is None else _Dropout.apply(feat, words, kept_scale(rate))


class _Dropout(torch.autograd.Function):
    """Linear, and its own transpose."""

    @staticmethod
    def forward(ctx: Any, feat: Tensor, words: Tensor, scale: float) -> Tensor:
        ctx.save_for_backward(words)
        ctx.scale = scale
        out = feat.contiguous() * scale
        zero_dropped(out, words)
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        (words,) = ctx.saved_tensors
        return _Dropout.apply(grad, words, ctx.scale), None, None


def kept_scale(dropout: float) -> float:
    """Factor on what is kept, 1 / (1 - dropout); 0 where nothing is."""
    return 1.0 / (1.0 - dropout) if dropout < 1.0 else 0.0


def keep_words(like: Tensor, dropout: float) -> Tensor | None:
    """Random words, of which every bit is set with the probability to keep; None to keep all.

    The probability is right to 1/131072. A random number for each feature takes ten times as long:
    here every binary digit of the probability costs a random bit, and one half has one digit. From
    the last digit to the first, digit 1 joins what was set so far with half of all bits, digit 0
    cuts it down to half: (1 + p) / 2 and p / 2.

    Parameters
    ----------
    like
        Features that bits are wanted for.
    dropout
        Probability that a feature is dropped.

    Returns
    -------
    Tensor
        As many words of 32 bits as are needed, see :func:`keep_bits`.
    """
    digits = round((1.0 - dropout) * 2**DIGITS)
    if digits >= 2**DIGITS:
        return None
    words = -(-like.numel() // BITS)
    pairs = torch.empty(-(-words // 2), dtype=torch.long, device=like.device)
    found = torch.zeros_like(pairs)
    begun = False
    for place in range(DIGITS):
        one = digits >> place & 1
        begun = begun or bool(one)
        if begun:
            pairs.random_(-(2**63), None)
            found = found | pairs if one else found & pairs
    return found.view(torch.int32)[:words]


def keep_bits(words: Tensor, count: int, out: Tensor | None = None) -> Tensor:
    """All bits of the words, (count,) int32: -1 to keep, 0 to drop.

    Bit k of word w, counted from the highest, stands at place k W + w of W words.

    Parameters
    ----------
    words
        (W,) int32.
    count
        Bits that are wanted, at most 32 W.
    out
        Buffer of at least 32 W int32; None for a new one.
    """
    shape = (BITS, len(words))
    bits = words.new_empty(shape) if out is None else out[: BITS * len(words)].view(shape)
    torch.bitwise_left_shift(words, _shifts(words.device), out=bits)
    return bits.bitwise_right_shift_(BITS - 1).view(-1)[:count]


def zero_dropped(feat: Tensor, words: Tensor | None, bits: Tensor | None = None) -> None:
    """Zero in place what is dropped of contiguous features; nothing is scaled up.

    ``bits`` is a buffer for :func:`keep_bits`.
    """
    if words is None:
        return
    kept = keep_bits(words, feat.numel(), bits).view(feat.shape)
    # As bits, several times as fast as a product with a bool.
    digits = _INTEGERS[feat.element_size()]
    feat.view(digits).bitwise_and_(kept.to(digits))


@cache
def _shifts(device: torch.device) -> Tensor:
    """(32, 1) numbers of places by which words are shifted."""
    return torch.arange(BITS, dtype=torch.int32, device=device).unsqueeze(1)
