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
    case = _Case(builder, layout, in_feats, num_frames, generator)
    errors = {}
    if dgl_installed():
        errors["relabelling"] = _relabelling(layer, case, generator)
        errors["edge_order"] = _edge_order(layer, case, generator)
    return {**errors, "batch": _batch(layer, case), "body_order": _body_order(layer, case)}


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


class _Case:
    """Two bodies of one clip with random features and links."""

    def __init__(
        self,
        builder: GraphBuilder,
        layout: SkeletonLayout,
        in_feats: int,
        num_frames: int,
        generator: torch.Generator,
    ) -> None:
        self.builder, self.layout = builder, layout
        self.graph = builder.structure(layout, [2])
        nodes = self.graph.num_nodes()
        self.feat = torch.randn(nodes, num_frames, in_feats, generator=generator)
        self.links: Tensor | None = None
        if builder.num_actional:
            edges = self.graph.num_edges("actional_1")
            self.links = torch.rand(edges, builder.num_actional, generator=generator)


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


def _relabelling(layer: Layer, case: _Case, generator: torch.Generator) -> float:
    nodes = torch.randperm(case.graph.num_nodes(), generator=generator)
    graph, links = _permuted_edges(case.graph.graph, nodes, case.links, generator)
    feat = torch.empty_like(case.feat).index_copy(0, nodes, case.feat)
    return _difference(layer(case.graph, case.feat, case.links), layer(graph, feat, links)[nodes])


def _edge_order(layer: Layer, case: _Case, generator: torch.Generator) -> float:
    same = torch.arange(case.graph.num_nodes())
    graph, links = _permuted_edges(case.graph.graph, same, case.links, generator)
    return _difference(layer(case.graph, case.feat, case.links), layer(graph, case.feat, links))


def _batch(layer: Layer, case: _Case) -> float:
    single = case.builder.structure(case.layout)
    both = case.builder.structure(case.layout, [1, 1])
    feats = case.feat.chunk(2)
    if case.links is None:
        apart = [layer(single, feat, None) for feat in feats]
        joined = layer(both, case.feat, None)
    else:
        # A clip of two bodies whose links go from person to person has more than two clips' links.
        links = case.links.split(single.num_edges("actional_1"))[:2]
        apart = [layer(single, feat, link) for feat, link in zip(feats, links, strict=True)]
        joined = layer(both, case.feat, torch.cat(links))
    return _difference(torch.cat(apart), joined)


def _body_order(layer: Layer, case: _Case) -> float:
    if case.builder.across_bodies and case.links is not None:
        links: Tensor | None = torch.ones_like(case.links)  # any other links are tied to the order
        swapped = links
    else:
        links = case.links
        swapped = None if links is None else torch.cat(list(reversed(links.chunk(2))))
    feat = torch.cat(list(reversed(case.feat.chunk(2))))
    out = layer(case.graph, feat, swapped)
    return _difference(layer(case.graph, case.feat, links), torch.cat(list(reversed(out.chunk(2)))))
