"""Weighted sums of a few rows each: how joints are mixed where few of them meet.

A skeleton is nearly a tree, so that a joint takes from few others. A dense product with the
operator would multiply mostly by zero, and tall thin products are slow besides.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

SPARSE = {"cpu"}  # devices with a fast kernel for sums of rows; others take a dense product
SUM = 0  # torch's number for this mode of an embedding bag


@dataclass(frozen=True)
class Bag:
    """Which rows of a table each sum takes, and by which of a vector of values.

    Attributes
    ----------
    size, rows
        S sums, of a table of R rows.
    bag, row, value
        (E,) for each entry its sum (ascending), its row and the place of its value.
    offset
        (S,) where each sum's entries begin.
    """

    size: int
    rows: int
    bag: Tensor
    row: Tensor
    value: Tensor
    offset: Tensor

    @classmethod
    def of(cls, size: int, rows: int, bag: Tensor, row: Tensor, value: Tensor) -> Bag:
        """Make one from entries in any order."""
        order = torch.argsort(bag, stable=True)
        count = torch.bincount(bag, minlength=size)
        return cls(size, rows, bag[order], row[order], value[order], count.cumsum(0) - count)


def bag_sum(bag: Bag, table: Tensor, values: Tensor) -> Tensor:
    """Sum ``values[value] * table[row]`` over the entries of every sum.

    Parameters
    ----------
    bag
        S sums.
    table
        (R, n).
    values
        Vector that the bag's values are places in.

    Returns
    -------
    Tensor
        (S, n); 0 for a sum without entries.
    """
    chosen = values.index_select(0, bag.value)
    if table.device.type in SPARSE:
        sums, *_ = torch.embedding_bag(table, bag.row, bag.offset, False, SUM, False, chosen)
        return sums
    dense = chosen.new_zeros(bag.size, bag.rows)
    return dense.index_put((bag.bag, bag.row), chosen, accumulate=True) @ table


def add_dots(bag: Bag, grad: Tensor, table: Tensor, total: Tensor) -> None:
    """Add to the gradient of the values what :func:`bag_sum` passes to them.

    Parameters
    ----------
    bag, table
        As for :func:`bag_sum`.
    grad
        (S, n) gradient of the sums.
    total
        Gradient of the values.
    """
    if table.device.type in SPARSE:
        # What autograd calls for the sum above; called here, it needs no second sum.
        back = torch.ops.aten._embedding_bag_per_sample_weights_backward
        dots = back(grad, table, bag.row, bag.offset, bag.bag, SUM)
    else:
        dots = (grad @ table.t())[bag.bag, bag.row]
    total.index_add_(0, bag.value, dots.to(total.dtype))
