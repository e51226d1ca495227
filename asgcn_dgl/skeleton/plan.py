"""How a CPU goes over the structural links of a layout."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from asgcn_dgl.skeleton.batch import GraphBuilder
from asgcn_dgl.skeleton.layouts import SkeletonLayout


@dataclass(frozen=True, eq=False)
class Sums:
    """Weighted sums of rows: sum k has the terms from ``bounds[k]`` to ``bounds[k + 1]``.

    A term is a row by its number, ``row``, times an operator entry by its number, ``slot``.
    """

    row: Tensor
    slot: Tensor
    bounds: Tensor

    @classmethod
    def of(cls, terms: Sequence[tuple[int, int, int]], count: int) -> Sums:
        """Make so many sums of terms (sum, row, slot)."""
        number, row, slot = np.asarray(sorted(terms), dtype=np.int64).reshape(-1, 3).T
        bounds = np.searchsorted(number, np.arange(count + 1))
        return cls(*(torch.from_numpy(np.ascontiguousarray(each)) for each in (row, slot, bounds)))


@dataclass(frozen=True, eq=False)
class Plan:
    """Links of some relations.

    Attributes
    ----------
    pairs
        Receiver and sender of each linked pair, those that several relations join first.
    matrices
        The matrices of all pairs as sums of the relations' weights.
    several
        The matrices of the pairs that several relations join.
    ends
        Receivers and senders of those pairs; None where they are all joints, each with itself, in
        order.
    rows
        Relation, begin and end of the rows that its weight transforms, for the pairs that it alone
        joins.
    take, give
        Those rows as sums of joints, and joints as sums of transformed rows. Where an entry is 1
        its slot is -1.
    """

    pairs: tuple[tuple[int, int], ...]
    matrices: Sums
    several: Sums
    ends: tuple[Tensor, Tensor] | None
    rows: tuple[tuple[int, int, int], ...]
    take: Sums
    give: Sums


@lru_cache(maxsize=256)
@torch.inference_mode(False)  # a plan made in inference must serve training too
def plan_of(builder: GraphBuilder, layout: SkeletonLayout, relations: tuple[int, ...]) -> Plan:
    """Split the links of some relations; each relation transforms the side with fewer joints."""
    template = builder.template(layout)
    found: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for number, relation in enumerate(relations):
        for slot in range(*template.bounds[relation : relation + 2]):
            pair = (int(template.dst[slot]), int(template.src[slot]))
            found.setdefault(pair, []).append((number, slot))
    pairs = sorted(found, key=lambda pair: (len(found[pair]) == 1, pair))
    matrices = [(k, *term) for k, pair in enumerate(pairs) for term in found[pair]]
    count = sum(len(terms) > 1 for terms in found.values())
    rows: list[tuple[int, int, int]] = []
    take: list[tuple[int, int, int]] = []
    give: list[tuple[int, int, int]] = []
    total = 0
    for relation in range(len(relations)):
        own = [
            (*pair, found[pair][0][1]) for pair in pairs[count:] if found[pair][0][0] == relation
        ]
        receivers, senders = sorted({i for i, *_ in own}), sorted({j for _, j, _ in own})
        mix = len(receivers) <= len(senders)  # mix first, or transform first
        place = {joint: total + k for k, joint in enumerate(receivers if mix else senders)}
        if mix:
            take += [(place[i], j, slot) for i, j, slot in own]
            give += [(joint, row, -1) for joint, row in place.items()]
        else:
            take += [(row, joint, -1) for joint, row in place.items()]
            give += [(i, place[j], slot) for i, j, slot in own]
        if own:
            rows.append((relation, total, total + len(place)))
        total += len(place)
    whole = pairs[:count] == [(joint, joint) for joint in range(layout.num_joints)]
    ends = torch.from_numpy(np.asarray(pairs[:count], dtype=np.int64).reshape(-1, 2).T)
    return Plan(
        tuple(pairs),
        Sums.of(matrices, len(pairs)),
        Sums.of([term for term in matrices if term[0] < count], count),
        None if whole else (ends[0], ends[1]),
        tuple(rows),
        Sums.of(take, total),
        Sums.of(give, layout.num_joints),
    )
