"""The convolution beside the dense formula: ``python -m benchmarks.layers``."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn

from asgcn_dgl.nn import ASGCNBlock, ASGConv, SGConv
from asgcn_dgl.ops import use_engine
from asgcn_dgl.skeleton import GraphBuilder, get_layout
from benchmarks.measure import Call, Work, run
from benchmarks.rivals import DenseASGC

LAYOUT = "ntu25"
DENSE = "dense 1x1 convolution and einsum in (B, D, T, V) layout"


@dataclass(frozen=True)
class Size:
    """A size of the layer, and what is timed of it."""

    bodies: int
    frames: int
    feats: int
    backward: bool
    max_hop: int = 4
    num_actional: int = 3

    def __str__(self) -> str:
        """Say the size."""
        way = "forward + backward" if self.backward else "forward"
        return (
            f"{self.feats}->{self.feats}, {self.bodies} x 25 x {self.frames}, "
            f"L={self.max_hop} C={self.num_actional}, {way}"
        )

    @property
    def builder(self) -> GraphBuilder:
        """Graphs of this size."""
        return GraphBuilder(max_hop=self.max_hop, num_actional=self.num_actional)

    @property
    def flop(self) -> float:
        """Multiplications and additions of the transforms that no formula can do without.

        One for each joint where relations are diagonal, one for each joint on the smaller side of
        every other structural relation, one for each joint and actional type.
        """
        layout = get_layout(LAYOUT)
        template = GraphBuilder(max_hop=self.max_hop).template(layout)
        transforms = layout.num_joints * (1 + self.num_actional)
        for low, high in zip(template.bounds[:-1], template.bounds[1:], strict=True):
            src, dst = template.src[low:high], template.dst[low:high]
            if not (src == dst).all():
                transforms += min(len(set(src)), len(set(dst)))
        passes = 3 if self.backward else 1
        return 2.0 * passes * transforms * self.bodies * self.frames * self.feats**2


def ours(size: Size) -> Call:
    """The library's layer."""
    layout = get_layout(LAYOUT)
    graph = size.builder.structure(layout, [1] * size.bodies)
    layer = ASGConv(size.feats, size.feats, size.max_hop, size.num_actional, layouts=layout)
    feat = torch.randn(graph.num_nodes(), size.frames, size.feats)
    if not size.num_actional:
        return timed(size.backward, layer, [feat], lambda: layer(graph, feat))
    links = torch.rand(graph.num_edges("actional_1"), size.num_actional)
    return timed(size.backward, layer, [feat, links], lambda: layer(graph, feat, links))


def dense(size: Size) -> Call:
    """The dense formula."""
    layout = get_layout(LAYOUT)
    joints = layout.num_joints
    layer = DenseASGC(layout, size.feats, size.feats, size.builder)
    feat = torch.randn(size.bodies, size.feats, size.frames, joints)
    if not size.num_actional:
        return timed(size.backward, layer, [feat], lambda: layer(feat))
    links = torch.rand(size.bodies, size.num_actional, joints, joints)
    return timed(size.backward, layer, [feat, links], lambda: layer(feat, links))


def any_graph(size: Size) -> Call:
    """The library's layer by its DGL engine, structural relations alone."""
    layout = get_layout(LAYOUT)
    graph = size.builder.structure(layout, [1] * size.bodies)
    layer = SGConv(size.feats, size.feats, size.max_hop)
    feat = torch.randn(graph.num_nodes(), size.frames, size.feats)

    def forward() -> Tensor:
        with use_engine("message_passing"):
            return layer(graph, feat)

    return timed(size.backward, layer, [feat], forward)


def hetero(size: Size) -> Call:
    """What a user of DGL would write: one GraphConv for each relation."""
    from asgcn_dgl._dgl import dgl

    graph = size.builder.batch(get_layout(LAYOUT), [1] * size.bodies)
    etypes = SGConv(1, 1, size.max_hop).etypes
    weight = {
        etype: {"edge_weight": graph.edges[etype].data["weight"].view(-1, 1, 1)} for etype in etypes
    }
    layer = dgl.nn.HeteroGraphConv(
        {
            etype: dgl.nn.GraphConv(
                size.feats, size.feats, norm="none", bias=False, allow_zero_in_degree=True
            )
            for etype in etypes
        }
    )
    graph = graph.edge_type_subgraph(list(etypes))
    feat = torch.randn(graph.num_nodes(), size.frames, size.feats)
    return timed(
        size.backward,
        layer,
        [feat],
        lambda: layer(graph, {"joint": feat}, mod_kwargs=weight)["joint"],
    )


def timed(
    backward: bool, module: nn.Module, inputs: Iterable[Tensor], forward: Callable[[], Tensor]
) -> Call:
    """Forward without gradients, or forward and backward to all parameters and inputs."""
    if not backward:
        return torch.no_grad()(forward)
    wanted = [*module.parameters(), *(tensor.requires_grad_() for tensor in inputs)]

    def both_ways() -> Any:
        out = forward()
        return torch.autograd.grad(out, wanted, torch.ones_like(out))

    return both_ways


def block(bodies: int) -> Call:
    """The library's whole block: convolution, norms, temporal convolution, residual."""
    layout = get_layout(LAYOUT)
    graph = GraphBuilder(max_hop=4, num_actional=3).structure(layout, [1] * bodies)
    layer = ASGCNBlock(64, 64, 9, conv={"layouts": layout})
    feat = torch.randn(graph.num_nodes(), 300, 64)
    links = torch.rand(graph.num_edges("actional_1"), 3)
    return timed(True, layer, [feat, links], lambda: layer(graph, feat, links))


def geometric(bodies: int) -> Call:
    """The block that PyTorch Geometric Temporal has for skeletons: 2s-AGCN's, 3 relations."""
    attention = import_module("torch_geometric_temporal.nn.attention")
    layout = get_layout(LAYOUT)
    bones = torch.tensor(layout.bones).t()
    layer = attention.AAGCN(64, 64, bones, layout.num_joints)
    feat = torch.randn(bodies, 64, 300, layout.num_joints)
    return timed(True, layer, [feat], lambda: layer(feat))


def against_dense(size: Size) -> Work:
    """ASGConv beside the dense formula."""
    return Work(
        f"ASGConv {size}", DENSE, lambda: ours(size), lambda: dense(size), size.bodies, size.flop
    )


FULL = [
    Size(16, frames, feats, backward)
    for frames, feats in ((300, 64), (150, 128), (75, 256))
    for backward in (False, True)
]
STGCN = Size(16, 300, 64, True, max_hop=1, num_actional=0)
STRUCTURAL = Size(16, 300, 64, True, num_actional=0)
WORKS = [
    *(against_dense(size) for size in FULL),
    Work(
        f"ASGConv {FULL[1]} (against ST-GCN)",
        "dense ST-GCN layer of 3 relations",
        lambda: ours(FULL[1]),
        lambda: dense(STGCN),
        FULL[1].bodies,
        FULL[1].flop,
    ),
    Work(
        f"any-graph engine {STRUCTURAL}",
        "dgl.nn.HeteroGraphConv of GraphConvs",
        lambda: any_graph(STRUCTURAL),
        lambda: hetero(STRUCTURAL),
        STRUCTURAL.bodies,
        needs=("dgl",),
    ),
    Work(
        "ASGCNBlock 64->64, 16 x 25 x 300, L=4 C=3, forward + backward",
        "torch_geometric_temporal's AAGCN block: 3 relations, adaptive, attention",
        lambda: block(16),
        lambda: geometric(16),
        16,
        needs=("torch_geometric_temporal", "torch_sparse"),
    ),
]


if __name__ == "__main__":
    run("benchmarks.layers", __doc__ or "", WORKS, WORKS[:2])
