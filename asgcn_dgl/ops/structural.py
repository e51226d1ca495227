"""S-links in the regular-batch engine: few joints transformed, few mixed.

Diagonal relations are merged into one matrix for each joint. Relations with fewer senders than
receivers are transformed, then mixed; the others are mixed, then transformed. The joints of a
tile are put into an order in which those that take part in most relations come first: in a tree
every relation then reads, or writes, the first so many joints, and no row is copied.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from asgcn_dgl.ops.bags import Bag, add_dots, bag_sum
from asgcn_dgl.ops.plan import Relation, StructuralPlan
from asgcn_dgl.ops.tiles import Tile, Workspace, add_product


class StructuralOperators(NamedTuple):
    """What the structural half of a tile is computed from; None where no relation is of its kind.

    Attributes
    ----------
    values
        (1 + E,) a one, then the entry of every edge that is not diagonal, times its mask.
    diagonal
        (V, D, O) one matrix for each joint, in the plan's order of joints.
    send, receive
        (S, D, O) and (R, D, O) weights of the relations that transform before and after mixing.
    """

    values: Tensor
    diagonal: Tensor | None
    send: Tensor | None
    receive: Tensor | None


class StructuralGrads(NamedTuple):
    """Gradients of :class:`StructuralOperators`, matrices transposed; None where not wanted."""

    values: Tensor | None
    diagonal: Tensor | None
    send: Tensor | None
    receive: Tensor | None


@dataclass(frozen=True)
class Side:
    """Relations of one kind: ``send`` or ``receive``.

    Attributes
    ----------
    numbers
        (S,) their numbers among the layer's relations.
    picks
        For each the joints on its smaller side, as places in the order: a slice where they come
        first, else an index.
    sizes
        For each the number of those joints; they stand one relation after the other in P rows.
    """

    numbers: Tensor
    picks: tuple[slice | Tensor, ...]
    sizes: tuple[int, ...]

    @property
    def rows(self) -> int:
        """P."""
        return sum(self.sizes)


@dataclass(frozen=True)
class Layout:
    """Where everything of a plan goes, derived once.

    Attributes
    ----------
    order
        (V,) joint at each place of the order, None where it is their own.
    weight, mask_index
        (E_all,) operator entries, diagonal ones first, and their places in the mask table.
    share_place
        Where each diagonal entry goes among (K, V).
    diagonal
        (K,) numbers of the diagonal relations.
    send, receive
        The other relations.
    out
        Joints from V rows of the order and P of ``send``.
    sent
        For each relation of ``send`` its rows from V rows of the order: the way back.
    mixed
        For each relation of ``receive`` the rows that it transforms from V rows of the order.
    back
        Joints from V rows of the order and Q of ``receive``: the way back.
    """

    order: Tensor | None
    weight: Tensor
    mask_index: Tensor | None
    share_place: Tensor
    diagonal: Tensor | None
    send: Side | None
    receive: Side | None
    out: Bag
    sent: tuple[Bag, ...]
    mixed: tuple[Bag, ...]
    back: Bag


@torch.inference_mode(False)
def layout_of(plan: StructuralPlan) -> Layout:
    """Derive the layout of a plan, kept on it."""
    if "layout" not in plan.store:
        plan.store["layout"] = _derive(plan)
    return plan.store["layout"]


def _derive(plan: StructuralPlan) -> Layout:
    joints, device = plan.num_joints, plan.relations[0].src.device
    kinds: dict[str, list[int]] = {"diagonal": [], "send": [], "receive": []}
    for number, relation in enumerate(plan.relations):
        if relation.src.numel():
            kinds[relation.kind].append(number)
    few = {n: _smaller(plan.relations[n]) for n in (*kinds["send"], *kinds["receive"])}
    count = torch.zeros(joints, dtype=torch.long, device=device)
    for chosen in few.values():
        count[chosen] += 1
    order = torch.argsort(count, descending=True, stable=True)
    place = torch.argsort(order)
    sides: dict[str, Side | None] = {}
    entries: dict[str, tuple[Tensor, Tensor, Tensor]] = {}
    bags: dict[str, tuple[Bag, ...]] = {}
    value = 1  # the first is the one
    for kind in ("send", "receive"):
        sides[kind] = _side([few[n] for n in kinds[kind]], kinds[kind], place, device)
        rows, others, values, made, first = [], [], [], [], 0
        for number in kinds[kind]:
            relation, chosen = plan.relations[number], few[number]
            near, far = relation.src, relation.dst
            if kind == "receive":
                near, far = far, near
            rank = torch.searchsorted(torch.sort(place[chosen]).values, place[near])
            own = torch.arange(value, value + len(near), device=device)
            made.append(Bag.of(len(chosen), joints, rank, place[far], own))
            rows.append(rank + first)
            others.append(far)
            values.append(own)
            first, value = first + len(chosen), value + len(near)
        bags[kind] = tuple(made)
        if rows:
            entries[kind] = (torch.cat(rows), torch.cat(others), torch.cat(values))
    send, receive = sides["send"], sides["receive"]
    ordered = [plan.relations[n] for kind in kinds for n in kinds[kind]]
    masks = [relation.mask_index for relation in ordered if relation.mask_index is not None]
    shares = [
        place[plan.relations[n].dst] + rank * joints for rank, n in enumerate(kinds["diagonal"])
    ]
    in_order = torch.equal(order, torch.arange(joints, device=device))
    return Layout(
        None if in_order else order,
        torch.cat([relation.weight for relation in ordered]),
        torch.cat(masks) if masks else None,
        torch.cat(shares) if shares else order.new_zeros(0),
        torch.tensor(kinds["diagonal"], device=device) if shares else None,
        send,
        receive,
        _joints_from(place, send, entries.get("send")),
        bags["send"],
        bags["receive"],
        _joints_from(place, receive, entries.get("receive")),
    )


def _smaller(relation: Relation) -> Tensor:
    """Joints on the side of a relation that its weight is applied on."""
    return (relation.senders if relation.kind == "send" else relation.receivers)[0]


def _side(
    chosen: list[Tensor], numbers: list[int], place: Tensor, device: torch.device
) -> Side | None:
    if not chosen:
        return None
    picks: list[slice | Tensor] = []
    for joints in chosen:
        where = torch.sort(place[joints]).values
        first = int(where[-1]) == len(where) - 1
        picks.append(slice(0, len(where)) if first else where)
    sizes = tuple(len(joints) for joints in chosen)
    return Side(torch.tensor(numbers, device=device), tuple(picks), sizes)


def _joints_from(
    place: Tensor, side: Side | None, entries: tuple[Tensor, Tensor, Tensor] | None
) -> Bag:
    """Bag that gives every joint its own row of the order and what the side holds for it."""
    joints = len(place)
    bag, row, value = torch.arange(joints, device=place.device), place, torch.zeros_like(place)
    if side is None or entries is None:
        return Bag.of(joints, joints, bag, row, value)
    rows, others, values = entries
    return Bag.of(
        joints,
        joints + side.rows,
        torch.cat([bag, others]),
        torch.cat([row, rows + joints]),
        torch.cat([value, values]),
    )


def structural_operators(
    plan: StructuralPlan, weight: Tensor, mask: Tensor | None, dtype: torch.dtype
) -> StructuralOperators:
    """Merge operators, masks and weights of a regular plan.

    Parameters
    ----------
    plan
        Regular plan.
    weight
        (R, D, O).
    mask
        Flat mask table, or None.
    dtype
        Type of the features.
    """
    layout = layout_of(plan)
    values = layout.weight.to(dtype)
    if mask is not None and layout.mask_index is not None:
        values = values * mask.to(dtype)[layout.mask_index]
    diagonal = None
    shares = len(layout.share_place)
    if layout.diagonal is not None:
        size = len(layout.diagonal) * plan.num_joints
        share = values.new_zeros(size).index_add(0, layout.share_place, values[:shares])
        chosen = weight.index_select(0, layout.diagonal)
        diagonal = share.view(-1, plan.num_joints).t() @ chosen.flatten(1)
        diagonal = diagonal.view(plan.num_joints, *chosen.shape[1:])
    return StructuralOperators(
        torch.cat([values.new_ones(1), values[shares:]]),
        diagonal,
        None if layout.send is None else weight.index_select(0, layout.send.numbers),
        None if layout.receive is None else weight.index_select(0, layout.receive.numbers),
    )


class StructuralTile:
    """Features of one tile, joints first and in the layout's order.

    Parameters
    ----------
    feat
        (B, V, F, D) of the whole batch.
    layout, operators
        What to apply.
    tile
        Which units and frames.
    work
        Buffers.
    """

    def __init__(
        self,
        feat: Tensor,
        layout: Layout,
        operators: StructuralOperators,
        tile: Tile,
        work: Workspace,
    ) -> None:
        self.layout, self.operators, self.work = layout, operators, work
        here = tile.of(feat)
        self.units, self.joints, self.frames, self.feats = here.shape
        self.x = self._arranged(here, "x")  # (V, n, D)
        self.n = self.units * self.frames

    def forward(self, out: Tensor, work: Workspace) -> Tensor:
        """Write the sum over relations to (b, V, F, O); return the transformed rows of ``send``.

        They are in a buffer of ``work``.
        """
        layout, operators = self.layout, self.operators
        extra = 0 if layout.send is None else layout.send.rows
        table = work.take("table", self.joints + extra, self.n, out.shape[-1])
        y = table[: self.joints]
        if operators.diagonal is None:
            y.zero_()
        else:
            torch.bmm(self.x, operators.diagonal, out=y)
        if layout.receive is not None and operators.receive is not None:
            for bag, pick, weight in zip(
                layout.mixed, layout.receive.picks, operators.receive, strict=True
            ):
                mixed = bag_sum(bag, self.x.flatten(1), operators.values)
                _add_rows(y, pick, mixed.view(-1, self.n, self.feats), weight)
        if layout.send is not None and operators.send is not None:
            self._send(layout.send, operators.send, table[self.joints :])
        self._write(bag_sum(layout.out, table.flatten(1), operators.values), out)
        return table[self.joints :]

    def backward(
        self,
        grad: Tensor,
        grad_feat: Tensor | None,
        grads: StructuralGrads,
        kept: Tensor | None = None,
    ) -> None:
        """Write the gradient of (b, V, F, D) features; add to those of the operators.

        ``kept`` is what :meth:`forward` returned, None to make it again.
        """
        layout, operators = self.layout, self.operators
        g = self._arranged(grad, "g")  # (V, n, O)
        extra = 0 if layout.receive is None else layout.receive.rows
        table = self.work.take("table", self.joints + extra, self.n, self.feats)
        dx = table[: self.joints]
        if operators.diagonal is not None:
            torch.bmm(g, operators.diagonal.transpose(1, 2), out=dx)
            if grads.diagonal is not None:
                add_product(grads.diagonal, self.x, g)
        else:
            dx.zero_()
        if layout.send is not None:
            self._send_back(layout.send, g, dx, grads, kept)
        if layout.receive is not None:
            self._receive_back(layout.receive, g, table[self.joints :], grads)
        if grad_feat is not None:
            self._write(bag_sum(layout.back, table.flatten(1), operators.values), grad_feat)

    def _send_back(
        self, side: Side, g: Tensor, dx: Tensor, grads: StructuralGrads, kept: Tensor | None
    ) -> None:
        weights, feats = self.operators.send, g.shape[-1]
        assert weights is not None
        ready = None if kept is None else kept.split(side.sizes)
        for number, (bag, pick, weight) in enumerate(
            zip(self.layout.sent, side.picks, weights, strict=True)
        ):
            part = bag_sum(bag, g.flatten(1), self.operators.values).view(-1, feats)
            source = self.x[pick].reshape(-1, self.feats)
            if grads.send is not None:
                add_product(grads.send[number], source, part)
            if grads.values is not None:
                if ready is not None:
                    sent = ready[number]
                else:
                    sent = self.work.take("sent", len(source), feats)
                    torch.mm(source, weight, out=sent)
                add_dots(bag, sent.view(bag.size, -1), g.flatten(1), grads.values)
            _add_rows(dx, pick, part.view(-1, self.n, feats), weight.t())

    def _receive_back(self, side: Side, g: Tensor, back: Tensor, grads: StructuralGrads) -> None:
        weights, feats = self.operators.receive, g.shape[-1]
        assert weights is not None
        begin = 0
        for number, (bag, pick, weight) in enumerate(
            zip(self.layout.mixed, side.picks, weights, strict=True)
        ):
            rows = g[pick].reshape(-1, feats)
            here = back[begin : begin + bag.size].view(-1, self.feats)
            torch.mm(rows, weight.t(), out=here)
            begin += bag.size
            x = self.x.flatten(1)
            if grads.receive is not None:
                mixed = bag_sum(bag, x, self.operators.values)
                add_product(grads.receive[number], mixed.view(-1, self.feats), rows)
            if grads.values is not None:
                add_dots(bag, here.view(bag.size, -1), x, grads.values)

    def _send(self, side: Side, weights: Tensor, out: Tensor) -> None:
        """Transform the senders of every relation, into (P, n, O)."""
        begin = 0
        for pick, size, weight in zip(side.picks, side.sizes, weights, strict=True):
            here = out[begin : begin + size].view(-1, out.shape[-1])
            torch.mm(self.x[pick].reshape(-1, self.feats), weight, out=here)
            begin += size

    def _arranged(self, feat: Tensor, name: str) -> Tensor:
        """Copy (b, V, F, D) to (V, b F, D), joints in the layout's order."""
        units, joints, frames, feats = feat.shape
        buffer = self.work.take(name, joints, units, frames, feats)
        theirs = feat.transpose(0, 1)
        if self.layout.order is None:
            buffer.copy_(theirs)
        else:
            torch.index_select(theirs, 0, self.layout.order, out=buffer)
        return buffer.view(joints, units * frames, feats)

    def _write(self, rows: Tensor, out: Tensor) -> None:
        """Copy (V, n D) to (b, V, F, D)."""
        units, joints, frames, feats = out.shape
        out.copy_(rows.view(joints, units, frames, feats).transpose(0, 1))


def _add_rows(total: Tensor, pick: slice | Tensor, rows: Tensor, weight: Tensor) -> None:
    """Add (J, n, D) rows through a weight (D, O) to the picked joints of (V, n, O)."""
    flat = rows.reshape(-1, rows.shape[-1])
    if isinstance(pick, slice):
        total[pick].view(-1, total.shape[-1]).addmm_(flat, weight)
    else:
        total.index_add_(0, pick, (flat @ weight).view(len(pick), *total.shape[1:]))
