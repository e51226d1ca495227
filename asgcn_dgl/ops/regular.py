"""The regular-batch engine: matrix products only, for batches that repeat one unit.

The units (bodies) are gone over in tiles that stay in the cache; relations of few senders are
transformed and then mixed, those of few receivers mixed and then transformed, diagonal relations
are one matrix for each joint, A-links one dense block for each body. Backward keeps the input and
the operators only, and makes the rest again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from asgcn_dgl.ops.plan import StructuralPlan, complete_edges

TILE_BYTES = 4 * 2**20  # input of one tile on a CPU; on other devices one tile is the batch


class Operators(NamedTuple):
    """Dense operators of one unit; a member is None where no relation is of its kind.

    Attributes
    ----------
    diagonal
        (V, D, O) one matrix for each joint: the diagonal relations merged.
    send_weight, send_mix
        (S, D, O) weights of the relations that transform first and (V, P) what each joint takes
        of the P transformed joints.
    receive_mix, receive_weight
        (Q, V) what the Q receiving joints take of each joint, and (R, D, O) weights.
    links, link_weight
        (B, C, V, V) A-links of each unit and (C, D, O) weights.
    """

    diagonal: Tensor | None
    send_weight: Tensor | None
    send_mix: Tensor | None
    receive_mix: Tensor | None
    receive_weight: Tensor | None
    links: Tensor | None
    link_weight: Tensor | None


@dataclass(frozen=True)
class Group:
    """Relations of one kind, their joints gathered once.

    Attributes
    ----------
    joints
        (J,) joints that take part in any of the relations, those in most relations first.
    picks
        For each relation the places of its joints in ``joints``: a slice where they come first
        (in a tree they always do), else an index.
    sizes
        For each relation the number of its joints.
    """

    joints: Tensor
    picks: tuple[slice | Tensor, ...]
    sizes: tuple[int, ...]


def relational_conv(feat: Tensor, operators: Operators, plan: StructuralPlan | None) -> Tensor:
    """Apply all operators to the features of B equal units.

    Parameters
    ----------
    feat
        (B, V, F, D), contiguous.
    operators
        What to apply.
    plan
        Structural plan that the operators were made from; None for A-links alone.

    Returns
    -------
    Tensor
        (B, V, F, O).
    """
    send = group(plan, "send") if plan is not None and operators.send_mix is not None else None
    receive = (
        group(plan, "receive") if plan is not None and operators.receive_mix is not None else None
    )
    return _RelationalConv.apply(feat.contiguous(), send, receive, *operators)


def structural_operators(
    plan: StructuralPlan, feat: Tensor, weight: Tensor, mask: Tensor | None
) -> Operators:
    """Merge the structural relations of a plan into dense operators of one unit.

    Parameters
    ----------
    plan
        Regular plan.
    feat
        Gives the type.
    weight
        (R, D, O).
    mask
        Flat mask table, or None.
    """
    layout = _assembly(plan)
    values = layout.weight.to(feat.dtype)
    if mask is not None and layout.mask_index is not None:
        values = values * mask.to(feat.dtype)[layout.mask_index]
    flat = values.new_zeros(sum(layout.sizes)).index_add(0, layout.place, values)
    share, send_mix, receive_mix = flat.split(layout.sizes)
    joints = plan.num_joints
    diagonal = send_weight = receive_weight = None
    if layout.diagonal is not None:
        chosen = weight.index_select(0, layout.diagonal)
        diagonal = share.view(-1, joints).t() @ chosen.flatten(1)
        diagonal = diagonal.view(joints, *chosen.shape[1:])
    if layout.send is not None:
        send_weight = weight.index_select(0, layout.send)
    if layout.receive is not None:
        receive_weight = weight.index_select(0, layout.receive)
    return Operators(
        diagonal,
        send_weight,
        send_mix.view(joints, -1) if layout.send is not None else None,
        receive_mix.view(-1, joints) if layout.receive is not None else None,
        receive_weight,
        None,
        None,
    )


@dataclass(frozen=True)
class _Assembly:
    """Where every edge's coefficient goes in the operators of one unit, all relations at once.

    The flat buffer holds, one after another, what each diagonal relation leaves on each joint
    (K, V), ``send_mix`` (V, P) and ``receive_mix`` (Q, V).
    """

    weight: Tensor
    mask_index: Tensor | None
    place: Tensor
    sizes: tuple[int, int, int]
    diagonal: Tensor | None
    send: Tensor | None
    receive: Tensor | None


@torch.inference_mode(False)
def _assembly(plan: StructuralPlan) -> _Assembly:
    """Make the assembly of a plan once."""
    if "assembly" in plan.store:
        return plan.store["assembly"]
    joints = plan.num_joints
    numbers: dict[str, list[int]] = {"diagonal": [], "send": [], "receive": []}
    for number, relation in enumerate(plan.relations):
        if relation.src.numel():
            numbers[relation.kind].append(number)
    columns = sum(group(plan, "send").sizes) if numbers["send"] else 0
    rows = sum(group(plan, "receive").sizes) if numbers["receive"] else 0
    sizes = (len(numbers["diagonal"]) * joints, joints * columns, rows * joints)
    places: list[Tensor] = []
    for rank, number in enumerate(numbers["diagonal"]):
        places.append(plan.relations[number].dst + rank * joints)
    for kind in ("send", "receive"):
        begin = 0
        for rank, number in enumerate(numbers[kind]):
            relation, gathered = plan.relations[number], group(plan, kind)
            place = _places(gathered.joints[gathered.picks[rank]], joints) + begin
            if kind == "send":
                places.append(sizes[0] + relation.dst * columns + place[relation.src])
            else:
                places.append(sizes[0] + sizes[1] + place[relation.dst] * joints + relation.src)
            begin += gathered.sizes[rank]
    order = [number for kind in numbers for number in numbers[kind]]
    chosen = [plan.relations[number] for number in order]
    masks = [relation.mask_index for relation in chosen if relation.mask_index is not None]
    device = plan.relations[0].src.device
    index = {
        kind: torch.tensor(found, device=device) if found else None
        for kind, found in numbers.items()
    }
    plan.store["assembly"] = _Assembly(
        torch.cat([relation.weight for relation in chosen]),
        torch.cat(masks) if masks else None,
        torch.cat(places),
        sizes,
        index["diagonal"],
        index["send"],
        index["receive"],
    )
    return plan.store["assembly"]


def _places(joints: Tensor, num_joints: int) -> Tensor:
    """Place of each joint among the given ones, (V,); 0 for the others."""
    place = torch.zeros(num_joints, dtype=torch.long, device=joints.device)
    place[joints] = torch.arange(len(joints), device=joints.device)
    return place


def dense_links(edge_weight: Tensor, num_units: int, num_joints: int) -> Tensor:
    """A-links of complete units as matrices, zero diagonal.

    Parameters
    ----------
    edge_weight
        (E, C), receiver-major, E = B V (V - 1).
    num_units, num_joints
        B and V.

    Returns
    -------
    Tensor
        (B, C, V, V), ``[b, c, i, j]`` weighs the message from joint j to joint i.
    """
    receiver, sender = complete_edges(num_joints, edge_weight.device)
    types = edge_weight.shape[1]
    links = edge_weight.new_zeros(num_units, num_joints * num_joints, types)
    values = edge_weight.view(num_units, -1, types)
    links = links.index_copy(1, receiver * num_joints + sender, values)
    return links.view(num_units, num_joints, num_joints, types).permute(0, 3, 1, 2)


@torch.inference_mode(False)
def group(plan: StructuralPlan, kind: str) -> Group:
    """Gather the joints of all relations of a kind, cached on the plan."""
    if kind in plan.store:
        return plan.store[kind]
    side = "senders" if kind == "send" else "receivers"
    chosen = [getattr(r, side)[0] for r in plan.relations if r.kind == kind and r.src.numel()]
    count = torch.bincount(torch.cat(chosen), minlength=plan.num_joints)
    order = torch.argsort(count, descending=True, stable=True)[: int((count > 0).sum())]
    place = torch.full_like(count, -1)
    place[order] = torch.arange(len(order), device=order.device)
    picks: list[slice | Tensor] = []
    for joints in chosen:
        where = place[joints]
        first = int(where.max()) == len(joints) - 1
        picks.append(slice(0, len(joints)) if first else torch.sort(where).values)
    plan.store[kind] = Group(order, tuple(picks), tuple(len(joints) for joints in chosen))
    return plan.store[kind]


def _tiles(units: int, unit_bytes: int, device: torch.device) -> list[slice]:
    size = units if device.type != "cpu" else max(1, min(units, TILE_BYTES // max(unit_bytes, 1)))
    return [slice(begin, min(begin + size, units)) for begin in range(0, units, size)]


class _Workspace:
    """Buffers that live as long as one pass and serve every tile."""

    def __init__(self, like: Tensor) -> None:
        self.like = like
        self.buffers: dict[str, Tensor] = {}

    def take(self, name: str, *shape: int) -> Tensor:
        numel = torch.Size(shape).numel()
        buffer = self.buffers.get(name)
        if buffer is None or buffer.numel() < numel:
            buffer = self.like.new_empty(numel)
            self.buffers[name] = buffer
        return buffer[:numel].view(shape)


def _joint_major(tile: Tensor, work: _Workspace, name: str) -> Tensor:
    """(b, V, F, D) to (V, b F, D); a view for a single unit."""
    units, joints, frames, feats = tile.shape
    if units == 1:
        return tile[0]
    buffer = work.take(name, joints, units, frames, feats)
    buffer.copy_(tile.transpose(0, 1))
    return buffer.view(joints, units * frames, feats)


def _pick(gathered: Tensor, pick: slice | Tensor) -> Tensor:
    return gathered[pick]


def _add_to(target: Tensor, pick: slice | Tensor, write: Callable[[Tensor, float], Any]) -> None:
    """Accumulate into the picked joints of a contiguous (J, n, D) buffer."""
    if isinstance(pick, slice):
        write(target[pick], 1.0)
    else:
        part = target.new_empty(len(pick), *target.shape[1:])
        write(part, 0.0)
        target.index_add_(0, pick, part)


def _matmul_into(left: Tensor, right: Tensor) -> Callable[[Tensor, float], Any]:
    """Write beta * out + left @ right for (J, n, D) @ (D, O), flattened to one product."""

    def write(out: Tensor, beta: float) -> None:
        flat = out.view(-1, out.shape[-1])
        torch.addmm(flat, left.reshape(-1, left.shape[-1]), right, beta=beta, out=flat)

    return write


class _RelationalConv(torch.autograd.Function):
    """All relations of a regular batch in one pass over tiles, see :class:`Operators`."""

    @staticmethod
    def forward(
        ctx: Any,
        feat: Tensor,
        send: Group | None,
        receive: Group | None,
        *tensors: Tensor | None,
    ) -> Tensor:
        operators = Operators(*tensors)
        ctx.save_for_backward(feat, *tensors)
        ctx.groups = (send, receive)
        out_feats = next(
            w.shape[-1]
            for w in (
                operators.diagonal,
                operators.send_weight,
                operators.receive_weight,
                operators.link_weight,
            )
            if w is not None
        )
        units, joints, frames, feats = feat.shape
        out = feat.new_empty(units, joints, frames, out_feats)
        work = _Workspace(feat)
        unit_bytes = joints * frames * max(feats, out_feats) * feat.element_size()
        for tile in _tiles(units, unit_bytes, feat.device):
            _forward_tile(feat[tile], out[tile], tile, operators, send, receive, work)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        feat, *tensors = ctx.saved_tensors
        operators = Operators(*tensors)
        send, receive = ctx.groups
        grad = grad.contiguous()
        units, joints, frames, feats = feat.shape
        needs = ctx.needs_input_grad
        grad_feat = torch.empty_like(feat) if needs[0] else None
        grads = Operators(
            *(
                torch.zeros_like(tensor, memory_format=torch.contiguous_format)
                if tensor is not None and need
                else None
                for tensor, need in zip(operators, needs[3:], strict=True)
            )
        )
        work = _Workspace(feat)
        unit_bytes = joints * frames * max(feats, grad.shape[-1]) * feat.element_size()
        for tile in _tiles(units, unit_bytes, feat.device):
            target = None if grad_feat is None else grad_feat[tile]
            _backward_tile(
                feat[tile], grad[tile], target, tile, operators, grads, send, receive, work
            )
        return (grad_feat, None, None, *grads)


def _forward_tile(
    feat: Tensor,
    out: Tensor,
    tile: slice,
    operators: Operators,
    send: Group | None,
    receive: Group | None,
    work: _Workspace,
) -> None:
    units, joints, frames, _ = feat.shape
    out_feats = out.shape[-1]
    x = _joint_major(feat, work, "x")  # (V, n, D)
    n = x.shape[1]
    y = out[0] if units == 1 else work.take("y", joints, n, out_feats)
    beta = 0.0
    if operators.diagonal is not None:
        torch.bmm(x, operators.diagonal, out=y)
        beta = 1.0
    if send is not None and operators.send_weight is not None and operators.send_mix is not None:
        sent = _sent(x, send, operators.send_weight, work)
        flat = y.view(joints, -1)
        torch.addmm(flat, operators.send_mix, sent.view(len(sent), -1), beta=beta, out=flat)
        beta = 1.0
    if beta == 0.0:
        y.zero_()
    if (
        receive is not None
        and operators.receive_weight is not None
        and operators.receive_mix is not None
    ):
        mixed = _mixed(x, operators.receive_mix, work)
        gathered = work.take("gathered", len(receive.joints), n, out_feats).zero_()
        for part, pick, weight in _parts(mixed, receive, operators.receive_weight):
            _add_to(gathered, pick, _matmul_into(part, weight))
        y.index_add_(0, receive.joints, gathered)
    if units > 1:
        out.copy_(y.view(joints, units, frames, out_feats).transpose(0, 1))
    if operators.links is not None and operators.link_weight is not None:
        linked = _linked(feat, operators.links[tile], work)
        target = out.view(units, joints * frames, out_feats)
        for part, weight in zip(linked, operators.link_weight, strict=True):
            target.baddbmm_(part, weight.expand(units, -1, -1))


def _backward_tile(
    feat: Tensor,
    grad: Tensor,
    grad_feat: Tensor | None,
    tile: slice,
    operators: Operators,
    grads: Operators,
    send: Group | None,
    receive: Group | None,
    work: _Workspace,
) -> None:
    units, joints, frames, feats = feat.shape
    x = _joint_major(feat, work, "x")  # (V, n, D)
    g = _joint_major(grad, work, "g")  # (V, n, O)
    n = x.shape[1]
    dx = None
    if grad_feat is not None:
        dx = grad_feat[0] if units == 1 else work.take("dx", joints, n, feats)
        if operators.diagonal is not None:
            torch.bmm(g, operators.diagonal.transpose(1, 2), out=dx)
        else:
            dx.zero_()
    if grads.diagonal is not None:
        grads.diagonal.baddbmm_(x.transpose(1, 2), g)
    if send is not None:
        _backward_send(x, g, dx, operators, grads, send, work)
    if receive is not None:
        _backward_receive(x, g, dx, operators, grads, receive, work)
    if grad_feat is not None and dx is not None and units > 1:
        grad_feat.copy_(dx.view(joints, units, frames, feats).transpose(0, 1))
    if operators.links is not None:
        _backward_links(feat, grad, grad_feat, tile, operators, grads, work)


def _backward_send(
    x: Tensor,
    g: Tensor,
    dx: Tensor | None,
    operators: Operators,
    grads: Operators,
    send: Group,
    work: _Workspace,
) -> None:
    weights, mix = operators.send_weight, operators.send_mix
    assert weights is not None and mix is not None
    flat = g.view(len(g), -1)
    dsent = work.take("dsent", mix.shape[1], *g.shape[1:])
    torch.mm(mix.t(), flat, out=dsent.view(len(dsent), -1))
    source = _gather(x, send, work)
    if grads.send_mix is not None:
        sent = _sent(x, send, weights, work)
        grads.send_mix.addmm_(flat, sent.view(len(sent), -1).t())
    dsource = None if dx is None else work.take("dsource", *source.shape).zero_()
    for number, (part, pick, weight) in enumerate(_parts(dsent, send, weights)):
        if grads.send_weight is not None:
            rows = _pick(source, pick).reshape(-1, source.shape[-1])
            grads.send_weight[number].addmm_(rows.t(), part.reshape(-1, part.shape[-1]))
        if dsource is not None:
            _add_to(dsource, pick, _matmul_into(part, weight.t()))
    if dx is not None and dsource is not None:
        dx.index_add_(0, send.joints, dsource)


def _backward_receive(
    x: Tensor,
    g: Tensor,
    dx: Tensor | None,
    operators: Operators,
    grads: Operators,
    receive: Group,
    work: _Workspace,
) -> None:
    weights, mix = operators.receive_weight, operators.receive_mix
    assert weights is not None and mix is not None
    gathered = work.take("gathered", len(receive.joints), *g.shape[1:])
    torch.index_select(g, 0, receive.joints, out=gathered)
    mixed = _mixed(x, mix, work) if grads.receive_weight is not None else None
    dmixed = work.take("dmixed", len(mix), *x.shape[1:])
    begin = 0
    for number, (pick, size) in enumerate(zip(receive.picks, receive.sizes, strict=True)):
        rows = _pick(gathered, pick).reshape(-1, g.shape[-1])
        if mixed is not None and grads.receive_weight is not None:
            part = mixed[begin : begin + size].view(-1, x.shape[-1])
            grads.receive_weight[number].addmm_(part.t(), rows)
        torch.mm(rows, weights[number].t(), out=dmixed[begin : begin + size].view(-1, x.shape[-1]))
        begin += size
    flat = dmixed.view(len(mix), -1)
    if dx is not None:
        dx.view(len(dx), -1).addmm_(mix.t(), flat)
    if grads.receive_mix is not None:
        grads.receive_mix.addmm_(flat, x.view(len(x), -1).t())


def _backward_links(
    feat: Tensor,
    grad: Tensor,
    grad_feat: Tensor | None,
    tile: slice,
    operators: Operators,
    grads: Operators,
    work: _Workspace,
) -> None:
    links, weights = operators.links, operators.link_weight
    assert links is not None and weights is not None
    links = links[tile]
    units, types, joints, _ = links.shape
    frames, feats = feat.shape[2:]
    rows = grad.view(units, joints * frames, -1)
    if grads.link_weight is not None:
        for number, part in enumerate(_linked(feat, links, work)):
            grads.link_weight[number] += torch.bmm(part.transpose(1, 2), rows).sum(dim=0)
    if grad_feat is None and grads.links is None:
        return
    dlinked = work.take("linked", units, types, joints * frames, feats)
    for number, weight in enumerate(weights):
        torch.bmm(rows, weight.t().expand(units, -1, -1), out=dlinked[:, number])
    by_joint = dlinked.view(units, types * joints, frames * feats)
    if grad_feat is not None:
        back = links.reshape(units, types * joints, joints).transpose(1, 2)
        grad_feat.view(units, joints, -1).baddbmm_(back, by_joint)
    if grads.links is not None:
        part = torch.bmm(by_joint, feat.view(units, joints, -1).transpose(1, 2))
        grads.links[tile] = part.view(units, types, joints, joints)


def _gather(x: Tensor, gathered: Group, work: _Workspace) -> Tensor:
    source = work.take("source", len(gathered.joints), *x.shape[1:])
    return torch.index_select(x, 0, gathered.joints, out=source)


def _sent(x: Tensor, send: Group, weights: Tensor, work: _Workspace) -> Tensor:
    """(P, n, O) features of all sending joints, transformed by their relation's weight."""
    source = _gather(x, send, work)
    sent = work.take("sent", sum(send.sizes), x.shape[1], weights.shape[-1])
    begin = 0
    for pick, size, weight in zip(send.picks, send.sizes, weights, strict=True):
        _matmul_into(_pick(source, pick), weight)(sent[begin : begin + size], 0.0)
        begin += size
    return sent


def _mixed(x: Tensor, mix: Tensor, work: _Workspace) -> Tensor:
    """(Q, n, D) what all receiving joints take, before their relation's weight."""
    mixed = work.take("mixed", len(mix), *x.shape[1:])
    torch.mm(mix, x.view(len(x), -1), out=mixed.view(len(mix), -1))
    return mixed


def _linked(feat: Tensor, links: Tensor, work: _Workspace) -> tuple[Tensor, ...]:
    """For each type (b, V F, D) what each joint takes along its A-links, of (b, V, F, D)."""
    units, types, joints, _ = links.shape
    frames, feats = feat.shape[2:]
    linked = work.take("linked", units, types * joints, frames * feats)
    flat = links.reshape(units, types * joints, joints)
    torch.bmm(flat, feat.view(units, joints, -1), out=linked)
    return linked.view(units, types, joints * frames, feats).unbind(dim=1)


def _parts(
    rows: Tensor, gathered: Group, weights: Tensor
) -> list[tuple[Tensor, slice | Tensor, Tensor]]:
    """Cut (P, n, D) rows into relations: rows, places of their joints, weight."""
    pieces = rows.split(list(gathered.sizes))
    return list(zip(pieces, gathered.picks, weights, strict=True))
