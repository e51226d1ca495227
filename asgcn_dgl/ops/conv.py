"""Convolution over structural and actional links: one function, a few equal ways to compute it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, TypeVar

import torch
from torch import Tensor

from asgcn_dgl.ops.forms import (
    FEW_ROWS,
    PairConv,
    along_links,
    by_relation,
    mixed,
    pair_matrices,
    product,
    relation_operators,
)
from asgcn_dgl.ops.kept import kept
from asgcn_dgl.ops.pairs import dense_links
from asgcn_dgl.ops.runtime import HALF, eager_on_cpu
from asgcn_dgl.skeleton.batch import GraphBuilder, Part, SkeletonBatch
from asgcn_dgl.skeleton.graph import check_etypes, structure_of
from asgcn_dgl.skeleton.plan import plan_of

ENGINES = ("auto", "pairs", "relations", "mixed", "product", "message_passing")
LINK_NORMS = ("paper", "self_loop", "none")

#: Largest D * O for which all relations of a layout are merged into one (V D, V O) matrix.
PRODUCT_SIZE = 128 * 128

_engine = "auto"


@contextmanager
def use_engine(name: str) -> Iterator[None]:
    """Choose how convolutions are computed inside a ``with`` block, for tests and benchmarks.

    Parameters
    ----------
    name
        ``"auto"``; ``"pairs"`` (a product for each linked pair of joints), ``"relations"``
        (relation by relation, the side with fewer joints is transformed), ``"mixed"`` (mix all
        joints by all relations, then transform), ``"product"`` (one product with a matrix of all
        joints) or ``"message_passing"`` (DGL, as for any graph). The first two are for a CPU.

    Examples
    --------
    >>> with use_engine("product"):
    ...     pass
    """
    global _engine
    if name not in ENGINES:
        raise ValueError(f"engine must be one of {ENGINES}, got {name!r}")
    before, _engine = _engine, name
    try:
        yield
    finally:
        _engine = before


@dataclass(frozen=True)
class Structural:
    """The structural half of a convolution: R edge types and their weights (R, D, O).

    ``masks`` are (S,) for each structure by its key, ``offsets`` (R', V, V) additive operators of
    the first relations, ``bias`` (R, O) is added to what is sent along each relation. With
    ``factors`` (R,) relations share weights (P, D, O): relation r has ``factors[r] * weight[r %
    P]``.
    """

    etypes: Sequence[str]
    weight: Tensor
    masks: Mapping[int, Tensor] | None = None
    offsets: Mapping[int, Tensor] | None = None
    bias: Tensor | None = None
    factors: Tensor | None = None

    @property
    def is_full(self) -> bool:
        """Whether each relation has an offset, so that no operator has a zero to leave out."""
        offsets = self.offsets or {}
        return bool(offsets) and all(len(each) == len(self.weight) for each in offsets.values())


@dataclass(frozen=True)
class LinkMatrices:
    """A-links of a batch, made once for all layers.

    Strengths (E, C) and normalized matrices (units, C, J, J) of each group of units.
    """

    weight: Tensor
    norm: str
    matrices: tuple[Tensor, ...]


@dataclass(frozen=True)
class Actional:
    """The actional half of a convolution: C edge types and their weights (C, D, O).

    ``links`` are the strengths (E, C), their matrices, or C tensors (E_c,) where the types have
    edges of their own; ``norm`` one of ``LINK_NORMS``; ``bias`` (C, O) is added to what is sent
    along each type; ``factor`` (λ times ``scale``) multiplies the result. With ``factors`` (C,) the
    types share a weight (1, D, O), times ``factors[c]`` each.
    """

    etypes: Sequence[str]
    weight: Tensor
    links: Tensor | LinkMatrices | Sequence[Tensor]
    norm: str = "paper"
    bias: Tensor | None = None
    factor: float = 1.0
    factors: Tensor | None = None


Term = TypeVar("Term", Structural, Actional)


def expanded(term: Term) -> Term:
    """Return the same with a weight of its own for each relation or type."""
    if term.factors is None:
        return term
    weight = term.weight.repeat(len(term.factors) // len(term.weight), 1, 1)
    return replace(term, weight=weight * term.factors.view(-1, 1, 1), factors=None)


def link_matrices(graph: Any, weight: Tensor, norm: str = "paper") -> Tensor | LinkMatrices:
    """Return A-links (E, C) as normalized matrices, which several layers can share.

    For a graph that is not a builder's the strengths are returned as they are.
    """
    structure = structure_of(graph)
    if structure is None:
        return weight
    return LinkMatrices(weight, norm, _matrices(structure, weight, norm))


def relational_conv(
    graph: Any,
    feat: Tensor,
    structural: Structural | None = None,
    actional: Actional | None = None,
) -> Tensor:
    """Return the sum of the structural and the actional convolution (Eq. 4 and 5), (N, ..., O).

    ``feat`` is (N, ..., D); at least one half must be given.
    """
    if feat.dim() < 2 or feat.shape[0] != graph.num_nodes():
        raise ValueError(
            f"feat must be (joints, ..., D) with {graph.num_nodes()} joints as the graph has, "
            f"got shape {tuple(feat.shape)}"
        )
    device = feat.device.type
    if torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device):
        feat = feat.to(torch.get_autocast_dtype(device))
        with torch.autocast(device, enabled=False):
            return _convolve(graph, feat, structural, actional)
    for half in (structural, actional):
        if half is not None and half.weight.dtype != feat.dtype:
            raise ValueError(
                f"feat must be of the layer's type {half.weight.dtype}, got {feat.dtype}"
            )
    return _convolve(graph, feat, structural, actional)


def _convolve(
    graph: Any, feat: Tensor, structural: Structural | None, actional: Actional | None
) -> Tensor:
    weights = [half.weight for half in (structural, actional) if half is not None]
    for weight in weights:
        if feat.shape[-1] != weight.shape[1]:
            raise ValueError(
                f"feat must have {weight.shape[1]} features as the layer has, got {feat.shape[-1]}"
            )
    rows = feat.reshape(feat.shape[0], math.prod(feat.shape[1:-1]), feat.shape[-1])  # (N, F, D)
    out = _rows_out(graph, rows, structural, actional)
    return out.view(*feat.shape[:-1], weights[0].shape[-1])


def _rows_out(
    graph: Any, rows: Tensor, structural: Structural | None, actional: Actional | None
) -> Tensor:
    """(N, F, D) to (N, F, O) by the engine that fits."""
    structure = structure_of(graph)
    if actional is not None and not isinstance(actional.links, Tensor | LinkMatrices):
        structure = None  # types with edges of their own
    if structure is None or _engine == "message_passing":
        from asgcn_dgl.ops import message_passing

        return message_passing.message_passing_conv(graph, rows, structural, actional)
    if rows.dtype == torch.float16 and eager_on_cpu(rows):  # few processors compute in it
        return _on_structure(structure, rows.float(), structural, actional).to(rows.dtype)
    return _on_structure(structure, rows, structural, actional)


def _on_structure(
    structure: SkeletonBatch,
    rows: Tensor,
    structural: Structural | None,
    actional: Actional | None,
) -> Tensor:
    first = structure.joints_first
    rows = rows if first else structure.rows_joints_first(rows)
    own: Sequence[Tensor | None] = (None,) * len(structure.parts)
    totals = []
    if actional is not None:
        _places(structure.builder, tuple(actional.etypes), "actional_etypes")
        matrices = _given_matrices(structure, actional)
        if structure.builder.across_bodies:
            totals.append(_across_bodies(structure, rows, expanded(actional), matrices))
            actional = None
        else:
            own = matrices
    if structural is not None or actional is not None:
        blocks = zip(structure.parts, structure.blocks(rows), own, strict=True)
        out = [
            _on_part(structure.builder, part, x, structural, actional, links).flatten(0, 1)
            for part, x, links in blocks
        ]
        totals.append(out[0] if len(out) == 1 else torch.cat(out))
        del blocks, out
    del rows  # its memory serves the copy in the graph's order
    total = totals[0] if len(totals) == 1 else totals[0] + totals[1]
    return total if first else structure.rows_in_graph_order(total)


def _on_part(
    builder: GraphBuilder,
    part: Part,
    x: Tensor,
    structural: Structural | None,
    actional: Actional | None,
    links: Tensor | None,
) -> Tensor:
    """Convolve the bodies of one layout, (V, B, F, D) to (V, B, F, O)."""
    engine = None if structural is None else _engine_for(x, structural)
    if engine == "relations" and x.dtype in HALF:  # faster in 32 bits
        out = _on_part(builder, part, x.float(), structural, actional, links)
        return out.to(x.dtype)
    if actional is not None and actional.factors is not None and links is not None:
        # One matrix for each body: the types share their weight.
        factors = actional.factors.to(links.dtype)
        links = torch.einsum("c,bcij->bij", factors, links).unsqueeze(1)
    linked = None
    if links is not None and actional is not None:
        links = links.to(x.dtype) * actional.factor
        linked = along_links(x, links, actional.weight.to(x.dtype))
    bias = _link_bias(actional, links)
    if structural is None:
        assert linked is not None
        return _add(linked, bias)
    whole = engine in ("mixed", "product")
    if not whole:
        structural = expanded(structural)
    key = part.template.key
    mask = of_structure(structural.masks, key, "masks")
    offset = of_structure(structural.offsets, key, "offsets")
    relations = _places(builder, tuple(structural.etypes), "structural_etypes")
    weight = structural.weight

    def entries() -> Tensor:
        value = part.entry.to(weight.dtype)
        return value if mask is None else value * mask.to(weight.dtype)

    dense = None
    if whole or structural.bias is not None:
        dense = _dense(part, relations, entries(), offset)
    if dense is not None and structural.bias is not None:
        share = dense.sum(dim=-1).t().to(structural.bias.dtype)  # (V, R)
        own = (share @ structural.bias)[:, None, None]  # (V, 1, 1, O)
        bias = own if bias is None else bias + own
    if dense is not None and whole:
        if structural.factors is not None:
            dense = dense * structural.factors.to(dense.dtype).view(-1, 1, 1)
            dense = dense.unflatten(0, (-1, len(weight))).sum(dim=0)  # (P, V, V)
        form = product if engine == "product" else mixed
        out = form(x, dense.to(x.dtype), weight.to(x.dtype))
        return _add(_add(out, linked), bias)
    plan = plan_of(builder, part.layout, relations)
    if engine == "pairs":
        matrices = pair_matrices(plan.matrices, entries(), weight).to(x.dtype)
        total = x.new_zeros(*x.shape[:-1], weight.shape[-1]) if linked is None else linked
        out = PairConv.apply(x, matrices, plan.pairs, total)
    else:
        made = kept(
            lambda: relation_operators(plan, entries(), weight),
            plan,
            *((weight,) if mask is None else (weight, mask)),
        )
        out = by_relation(x, plan, weight.to(x.dtype), *(each.to(x.dtype) for each in made))
        out = _add(out, linked)
    if offset is not None:
        out = out + mixed(x, offset.to(x.dtype), weight[: len(offset)].to(x.dtype))
    return _add(out, bias)


def _engine_for(x: Tensor, structural: Structural) -> str:
    """Choose the engine by device and size, by whether relations merge, and by empty places."""
    if _engine != "auto":
        return _engine
    weight = structural.weight
    if structural.is_full or (x.device.type == "cpu" and structural.factors is not None):
        return "mixed"
    if eager_on_cpu(x):
        # A pair's matrix costs more the wider it is, and is used in 32 bits as in 16.
        few = FEW_ROWS if x.dtype in HALF else max(FEW_ROWS, 3 * weight.shape[1] // 2)
        return "relations" if x.shape[1] * x.shape[2] < few else "pairs"
    return "product" if weight.shape[1] * weight.shape[2] <= PRODUCT_SIZE else "mixed"


def _across_bodies(
    structure: SkeletonBatch, rows: Tensor, actional: Actional, matrices: Sequence[Tensor]
) -> Tensor:
    """Convolve along A-links from person to person, (N, F, D) to (N, F, O), joints first."""
    weight = actional.weight.to(rows.dtype)
    parts = []
    for group, links in zip(structure.pairs, matrices, strict=True):
        assert group.places is not None
        links = links.to(rows.dtype) * actional.factor
        x = rows.index_select(0, group.places).view(group.units, group.joints, *rows.shape[1:])
        out = _add(
            along_links(x.transpose(0, 1).contiguous(), links, weight), _link_bias(actional, links)
        )
        parts.append(out.transpose(0, 1).flatten(0, 1))
    places = torch.cat([group.places for group in structure.pairs if group.places is not None])
    found = torch.cat(parts)
    return torch.empty_like(found).index_copy(0, places, found)


def _given_matrices(structure: SkeletonBatch, actional: Actional) -> tuple[Tensor, ...]:
    links = actional.links
    if isinstance(links, LinkMatrices) and links.norm == actional.norm:
        return links.matrices
    weight = links.weight if isinstance(links, LinkMatrices) else links
    assert isinstance(weight, Tensor)
    return _matrices(structure, weight, actional.norm)


def _matrices(structure: SkeletonBatch, weight: Tensor, norm: str) -> tuple[Tensor, ...]:
    """Normalized (units, C, J, J) of each group of units."""
    return tuple(_normalized(dense_links(group, weight), norm) for group in structure.pairs)


def _normalized(links: Tensor, norm: str) -> Tensor:
    """Normalize (units, C, J, J) link matrices; a zero row stays zero."""
    if norm == "none":
        return links
    if norm == "self_loop":
        links = links + torch.eye(links.shape[-1], dtype=links.dtype, device=links.device)
    total = links.sum(dim=-1, keepdim=True)
    return links / torch.where(total == 0, torch.ones_like(total), total)


def _link_bias(actional: Actional | None, links: Tensor | None) -> Tensor | None:
    """What the biases of the types add, (V, B, 1, O)."""
    if actional is None or actional.bias is None or links is None:
        return None
    share = links.sum(dim=-1)  # (B, C, V)
    return torch.einsum("bcv,co->vbo", share, actional.bias.to(share.dtype)).unsqueeze(2)


def _add(out: Tensor, bias: Tensor | None) -> Tensor:
    if bias is None:
        return out
    bias = bias.to(out.dtype)
    return out + bias if torch.is_grad_enabled() else out.add_(bias)


def _places(builder: GraphBuilder, wanted: tuple[str, ...], kind: str) -> tuple[int, ...]:
    """Return the numbers of edge types among all of the builder's."""
    # torch.compile warns of caches.
    find = _find if torch.compiler.is_compiling() else _found
    return find(builder, wanted, kind)


def _find(builder: GraphBuilder, wanted: tuple[str, ...], kind: str) -> tuple[int, ...]:
    there: tuple[str, ...] = getattr(builder, kind)
    check_etypes(wanted, there)
    return tuple(there.index(etype) for etype in wanted)


_found = lru_cache(maxsize=256)(_find)


def _dense(part: Part, relations: tuple[int, ...], value: Tensor, offset: Tensor | None) -> Tensor:
    """Return operator entries (S,) as matrices (R, V, V) of some relations, offsets included."""
    joints, count = part.layout.num_joints, len(part.template.bounds) - 1
    flat = value.new_zeros(count * joints * joints)
    dense = flat.scatter(0, part.place, value).view(-1, joints, joints)
    if relations != tuple(range(count)):
        dense = torch.stack([dense[number] for number in relations])
    if offset is None:
        return dense
    first = dense[: len(offset)] + offset.to(dense.dtype)
    return torch.cat([first, dense[len(offset) :]])


def of_structure(table: Mapping[int, Tensor] | None, key: int, what: str) -> Tensor | None:
    """Return what a layer holds for a structure by its key; ValueError if it knows no such one."""
    if table is None:
        return None
    if key not in table:
        raise ValueError(
            f"the graph holds a structure (key {key}) that is none of the layer's {len(table)} "
            f"layouts with {what}: construct the layer with that layout too, and with the graph "
            "builder's max_hop, construction and norm"
        )
    return table[key]
