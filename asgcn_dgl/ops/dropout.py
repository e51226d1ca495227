"""Dropout from few random words, of which one bit for each feature is kept."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

DIGITS = 16  # binary digits of the probability to keep
BITS = 32  # of a word


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
    if feat.dtype == torch.float32:  # as bits, several times as fast as a product with a bool
        feat.view(torch.int32).bitwise_and_(kept)
    else:
        feat.mul_(kept != 0)


@cache
def _shifts(device: torch.device) -> Tensor:
    """(32, 1) numbers of places by which words are shifted."""
    return torch.arange(BITS, dtype=torch.int32, device=device).unsqueeze(1)
