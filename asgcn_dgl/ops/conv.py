"""One function in front of both engines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from asgcn_dgl.ops import message_passing, regular
from asgcn_dgl.ops.plan import (
    ActionalPlan,
    Part,
    StructuralPlan,
    actional_plan,
    structural_plan,
)
from asgcn_dgl.ops.structural import StructuralOperators, structural_operators

ENGINES = ("auto", "regular", "message_passing")
NORMALISATIONS = ("paper", "self_loop", "none")

_engine = "auto"


@contextmanager
def use_engine(name: str) -> Iterator[None]:
    """Choose the engine inside a ``with`` block: for tests, benchmarks and the curious.

    Parameters
    ----------
    name
        ``"auto"`` (the regular-batch engine wherever the graph allows it), ``"regular"`` (an error
        where it does not) or ``"message_passing"`` (DGL, any graph).

    Examples
    --------
    >>> with use_engine("message_passing"):
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
    """The structural half of a convolution.

    Attributes
    ----------
    etypes
        R edge types.
    weight
        (R, D, O).
    mask
        Flat mask table, or None.
    mask_offsets
        Where each structure's masks begin in the table, by structure key.
    """

    etypes: Sequence[str]
    weight: Tensor
    mask: Tensor | None = None
    mask_offsets: Mapping[int, int] | None = None


@dataclass(frozen=True)
class Actional:
    """The actional half of a convolution.

    Attributes
    ----------
    etypes
        C edge types.
    weight
        (C, D, O), with λ and ``scale`` in it.
    links
        (E, C) link strengths, or C tensors (E_c,) where the types have edges of their own.
    normalise
        ``"paper"`` (D^-1 A), ``"self_loop"`` (D^-1 (A + I)) or ``"none"`` (A).
    """

    etypes: Sequence[str]
    weight: Tensor
    links: Tensor | Sequence[Tensor]
    normalise: str = "paper"


def relational_conv(
    graph: Any,
    feat: Tensor,
    structural: Structural | None = None,
    actional: Actional | None = None,
) -> Tensor:
    """Sum of the structural and the actional convolution (Eq. 4 and 5).

    Parameters
    ----------
    graph
        DGL heterograph of N joints.
    feat
        (N, ..., D); what stands between the first and the last axis is carried along.
    structural, actional
        The halves; at least one.

    Returns
    -------
    Tensor
        (N, ..., O).

    Raises
    ------
    ValueError
        If the features do not fit the graph, or an edge type is missing.
    """
    if feat.dim() < 2 or feat.shape[0] != graph.num_nodes():
        raise ValueError(
            f"feat must be (joints, ..., D) with {graph.num_nodes()} joints as the graph has, "
            f"got shape {tuple(feat.shape)}"
        )
    device = feat.device.type
    if torch.is_autocast_enabled(device):
        dtype = torch.get_autocast_dtype(device)
        with torch.autocast(device, enabled=False):
            structural, actional = _cast_structural(structural, dtype), _cast(actional, dtype)
            return _convolve(graph, feat.to(dtype), structural, actional)
    return _convolve(graph, feat, structural, actional)


def _convolve(
    graph: Any, feat: Tensor, structural: Structural | None, actional: Actional | None
) -> Tensor:
    halves = [half for half in (structural, actional) if half is not None]
    for half in halves:
        _check_fit(feat, half.weight)
    nodes, middle, out_feats = feat.shape[0], feat.shape[1:-1], halves[0].weight.shape[-1]
    if structural is not None and not _has_edges(graph, structural):
        structural = None  # no edges, no messages
    if feat.numel() == 0 or (structural is None and actional is None):
        return feat.new_zeros(nodes, *middle, out_feats)
    flat = feat.reshape(nodes, middle.numel(), feat.shape[-1])  # (N, F, D)
    terms = _regular_terms(graph, flat, structural, actional)
    out = terms if terms is not None else _any_terms(graph, flat, structural, actional)
    return out.view(nodes, *middle, out_feats)


def _has_edges(graph: Any, structural: Structural) -> bool:
    plan = _structural_plan(graph, structural)
    return any(relation.src.numel() for relation in plan.relations)


def _check_fit(feat: Tensor, weight: Tensor) -> None:
    if feat.shape[-1] != weight.shape[1]:
        raise ValueError(
            f"feat must have {weight.shape[1]} features as the layer has, got {feat.shape[-1]}"
        )
    if feat.dtype != weight.dtype:
        raise ValueError(f"feat must be of the layer's type {weight.dtype}, got {feat.dtype}")


def _cast_structural(structural: Structural | None, dtype: torch.dtype) -> Structural | None:
    if structural is None:
        return None
    return replace(structural, weight=structural.weight.to(dtype))


def _cast(actional: Actional | None, dtype: torch.dtype) -> Actional | None:
    if actional is None:
        return None
    links = actional.links
    cast = links.to(dtype) if isinstance(links, Tensor) else [each.to(dtype) for each in links]
    return replace(actional, weight=actional.weight.to(dtype), links=cast)


def _regular_terms(
    graph: Any, feat: Tensor, structural: Structural | None, actional: Actional | None
) -> Tensor | None:
    """Both halves by the regular-batch engine, None where the graph or the user forbids it."""
    if _engine == "message_passing":
        return None
    bones = () if structural is None else _structural_plan(graph, structural).parts
    links = () if actional is None else actional_plan(graph, actional.etypes).parts
    fits = (structural is None or bones) and (actional is None or links) and _is_stacked(actional)
    if not fits:
        if _engine == "regular":
            raise ValueError("the graph is not a batch of equal units: use the 'auto' engine")
        return None
    total = None
    for bone, link in _jobs(bones, links):
        nodes = (bone or link).nodes  # type: ignore[union-attr]
        rows = feat if nodes is None else feat.index_select(0, nodes)
        out = _on_units(rows, bone, structural, link, actional)
        if nodes is not None:
            base = out.new_zeros(len(feat), *out.shape[1:]) if total is None else total
            total = base.index_add(0, nodes, out)
        else:
            total = out if total is None else total + out
    return total


def _jobs(
    bones: Sequence[Part], links: Sequence[Part]
) -> Iterator[tuple[Part | None, Part | None]]:
    """Parts of both halves that are computed in one pass: those of the same units."""
    rest = list(links)
    for bone in bones:
        match = next((link for link in rest if _same_units(bone, link)), None)
        if match is not None:
            rest.remove(match)
        yield bone, match
    # Links from person to person: their unit is a clip, that of the bones a body.
    yield from ((None, link) for link in rest)


def _same_units(bone: Part, link: Part) -> bool:
    if bone.plan.num_joints != link.plan.num_joints:
        return False
    if bone.nodes is None or link.nodes is None:
        return bone.nodes is link.nodes
    return torch.equal(bone.nodes, link.nodes)


def _on_units(
    feat: Tensor,
    bone: Part | None,
    structural: Structural | None,
    link: Part | None,
    actional: Actional | None,
) -> Tensor:
    """Run the regular-batch engine on the (n, F, D) features of a part."""
    plan: StructuralPlan | None = None
    operators: StructuralOperators | None = None
    links: regular.LinkOperators | None = None
    unit: StructuralPlan | ActionalPlan | None = None
    if link is not None and actional is not None:
        unit = link.plan
        assert isinstance(actional.links, Tensor)
        chosen = actional.links
        if link.edges is not None:
            chosen = chosen.index_select(0, link.edges)
        dense = regular.dense_links(chosen, unit.num_units, unit.num_joints)
        links = regular.LinkOperators(_normalise_dense(dense, actional.normalise), actional.weight)
    if bone is not None and structural is not None:
        assert isinstance(bone.plan, StructuralPlan)
        unit = plan = bone.plan
        operators = structural_operators(plan, structural.weight, structural.mask, feat.dtype)
    assert unit is not None
    shaped = feat.reshape(unit.num_units, unit.num_joints, *feat.shape[1:])
    out = regular.relational_conv(shaped, plan, operators, links)
    return out.view(feat.shape[0], feat.shape[1], -1)


def _any_terms(
    graph: Any, feat: Tensor, structural: Structural | None, actional: Actional | None
) -> Tensor:
    parts = []
    if structural is not None:
        plan = _structural_plan(graph, structural)
        parts.append(message_passing.structural_sum(plan, feat, structural.weight, structural.mask))
    if actional is not None:
        a_plan = actional_plan(graph, actional.etypes)
        links, loops = _normalise_edges(a_plan, feat.shape[0], actional)
        parts.append(message_passing.actional_sum(a_plan, feat, actional.weight, links, loops))
    return parts[0] if len(parts) == 1 else parts[0] + parts[1]


def _structural_plan(graph: Any, structural: Structural) -> StructuralPlan:
    offsets = structural.mask_offsets if structural.mask is not None else None
    return structural_plan(graph, structural.etypes, offsets)


def _is_stacked(actional: Actional | None) -> bool:
    return actional is None or isinstance(actional.links, Tensor)


def _normalise_dense(links: Tensor, normalise: str) -> Tensor:
    """Normalise (B, C, V, V) link matrices."""
    if normalise == "none":
        return links
    if normalise == "self_loop":
        links = links + torch.eye(links.shape[-1], dtype=links.dtype, device=links.device)
    return links / _safe(links.sum(dim=-1, keepdim=True))


def _normalise_edges(
    plan: ActionalPlan, num_nodes: int, actional: Actional
) -> tuple[list[Tensor], Tensor | None]:
    """Normalise link strengths on edges: (E_c,) for each type and (N, C) self-loops."""
    given = actional.links
    links = list(given.unbind(dim=1)) if isinstance(given, Tensor) else list(given)
    if actional.normalise == "none":
        return links, None
    loop = 1.0 if actional.normalise == "self_loop" else 0.0
    loops = []
    for number, (_, dst) in enumerate(plan.edges):
        total = links[number].new_full((num_nodes,), loop).index_add(0, dst, links[number])
        total = _safe(total)
        links[number] = links[number] / total[dst]
        loops.append(loop / total)
    return links, torch.stack(loops, dim=1) if loop else None


def _safe(total: Tensor) -> Tensor:
    """Replace zero totals by 1: a zero row stays zero."""
    return torch.where(total == 0, torch.ones_like(total), total)
