"""Discrete cosine transform over time."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def dct_matrix(frames: int, coefficients: int | None = None) -> Tensor:
    r"""Return the orthonormal cosine transform of a sequence (DCT-II).

    .. math::

        D_{kt} = \sqrt{\frac{2 - \delta_{k0}}{T}} \cos\left( \frac{\pi (2 t + 1) k}{2 T} \right)

    Its transpose is the inverse: :math:`D^\top D = I` where all coefficients are kept, and the
    smoothest approximation of the sequence where they are not.

    Parameters
    ----------
    frames
        T, at least 1.
    coefficients
        K, the lowest frequencies to keep, 1 to T; all by default.

    Returns
    -------
    Tensor
        (K, T) float64.

    Raises
    ------
    ValueError
        If a number is out of range.

    Examples
    --------
    >>> dct_matrix(4, 1)
    tensor([[0.5000, 0.5000, 0.5000, 0.5000]], dtype=torch.float64)
    """
    coefficients = frames if coefficients is None else coefficients
    if not 1 <= coefficients <= frames:
        raise ValueError(f"coefficients must be from 1 to frames ({frames}), got {coefficients!r}")
    order = torch.arange(coefficients, dtype=torch.float64).unsqueeze(1)
    time = torch.arange(frames, dtype=torch.float64).unsqueeze(0)
    matrix = torch.cos(math.pi * (2 * time + 1) * order / (2 * frames)) * math.sqrt(2 / frames)
    matrix[0] /= math.sqrt(2)
    return matrix
