"""Checks that every layer on skeleton graphs should pass, for the tests of ours and of others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from asgcn_dgl.skeleton import GraphBuilder, SkeletonLayout
from asgcn_dgl.skeleton.graph import dgl_installed

Layer = Callable[[Any, Tensor, "Tensor | None"], Tensor]

__all__ = ["assert_symmetric", "symmetry_errors"]


def symmetry_errors(
    layer: Layer,
    builder: GraphBuilder,
    layout: SkeletonLayout,
    in_feats: int,
    *,
    num_frames: int = 4,
    seed: int = 0,
) -> dict[str, float]:
    """Return the largest violation of each symmetry that a layer on skeleton graphs should have.

    ``relabelling``: the joints numbered in another way give the same, numbered in that way (for
    layers without parameters of single joints, such as edge masks). ``edge_order``: the order in
    which edges are stored does not matter. Both only where DGL is installed. ``batch``: a batch
    gives what its clips give one by one. ``body_order``: two bodies swapped give the same, swapped.

    The layer, in evaluation mode, is called as ``layer(graph, feat, edge_weight)`` with features
    (N, ``num_frames``, ``in_feats``) on graphs of ``builder`` and ``layout``; ``edge_weight`` is
    None where the builder has no actional types. ``seed`` is that of features, links and
    permutations.

    Examples
    --------
    >>> from asgcn_dgl.nn import ASGConv
    >>> from asgcn_dgl.skeleton import get_layout
    >>> conv = ASGConv(3, 4, max_hop=2, num_actional=1)
    >>> builder = GraphBuilder(max_hop=2, num_actional=1)
    >>> errors = symmetry_errors(conv, builder, get_layout("coco17"), 3)
    >>> max(errors.values()) < 1e-5
    True
    """
    generator = torch.Generator().manual_seed(seed)
    graph = builder.structure(layout, [2])
    count = graph.num_nodes()
    feat = torch.randn(count, num_frames, in_feats, generator=generator)
    links: Tensor | None = None
    if builder.num_actional:
        edges = graph.num_edges("actional_1")
        links = torch.rand(edges, builder.num_actional, generator=generator)
    out = layer(graph, feat, links)
    errors = {}
    if dgl_installed():
        for name, nodes in (
            ("relabelling", torch.randperm(count, generator=generator)),
            ("edge_order", torch.arange(count)),
        ):
            other, moved = _permuted_edges(graph.graph, nodes, links, generator)
            given = torch.empty_like(feat).index_copy(0, nodes, feat)
            errors[name] = _difference(out, layer(other, given, moved)[nodes])
    single, both = builder.structure(layout), builder.structure(layout, [1, 1])
    joined, parts = None, [None, None]
    if links is not None:
        # A clip of two bodies whose links go from person to person has more than two clips' links.
        parts = links.split(single.num_edges("actional_1"))[:2]
        joined = torch.cat(parts)
    apart = [layer(single, *each) for each in zip(feat.chunk(2), parts, strict=True)]
    errors["batch"] = _difference(torch.cat(apart), layer(both, feat, joined))
    swapped = None if links is None else _swapped(links)
    if links is not None and builder.across_bodies:  # other links are tied to the order of bodies
        links = swapped = torch.ones_like(links)
        out = layer(graph, feat, links)
    errors["body_order"] = _difference(out, _swapped(layer(graph, _swapped(feat), swapped)))
    return errors


def assert_symmetric(
    layer: Layer,
    builder: GraphBuilder,
    layout: SkeletonLayout,
    in_feats: int,
    *,
    tolerance: float = 1e-5,
    skip: tuple[str, ...] = (),
    **options: int,
) -> None:
    """Assert the :func:`symmetry_errors` to be within ``tolerance``, but those in ``skip``."""
    errors = symmetry_errors(layer, builder, layout, in_feats, **options)
    broken = {
        name: error for name, error in errors.items() if name not in skip and not error <= tolerance
    }
    if broken:
        found = ", ".join(f"{name} by {error:.2e}" for name, error in broken.items())
        raise AssertionError(f"symmetries broken: {found} (tolerance {tolerance:.0e})")


def _swapped(rows: Tensor) -> Tensor:
    """Return the rows of the second body before those of the first."""
    return torch.cat(rows.chunk(2)[::-1])


def _difference(left: Tensor, right: Tensor) -> float:
    return float((left - right).detach().abs().max()) if left.numel() else 0.0


def _permuted_edges(
    graph: Any, nodes: Tensor, links: Tensor | None, generator: torch.Generator
) -> tuple[Any, Tensor | None]:
    """Give every joint n the number ``nodes[n]`` and shuffle the edges of every type."""
    from asgcn_dgl._dgl import dgl

    data, orders = {}, {}
    shared: Tensor | None = None
    for name in graph.canonical_etypes:
        src, dst = graph.edges(etype=name, order="eid")
        order = torch.randperm(len(src), generator=generator)
        if name[1].startswith("actional_"):
            # All actional types have the same pairs and share one table of links.
            shared = order if shared is None else shared
            order = shared
        data[name] = (nodes[src[order]], nodes[dst[order]])
        orders[name] = order
    other = dgl.heterograph(data, {"joint": graph.num_nodes()})
    other.set_batch_num_nodes(graph.batch_num_nodes())
    other.set_batch_num_edges({name: graph.batch_num_edges(name) for name in data})
    for key, value in graph.ndata.items():
        other.ndata[key] = torch.empty_like(value).index_copy(0, nodes, value)
    for name, order in orders.items():
        for key, value in graph.edges[name].data.items():
            other.edges[name].data[key] = value[order]
    return other, None if links is None or shared is None else links[shared]
