"""From dense research code to ASGConv, a piece at a time, with the same numbers at each step.

``dense_code.py`` beside this file is the code to be replaced. Each step takes its weights over,
compares the results, and at the end both are timed.
"""

from __future__ import annotations

import argparse
import time

import torch
from dense_code import Block, Graph, forward_clips
from torch import Tensor

from asgcn_dgl.nn import ASGCNBlock, ASGConv, SGConv
from asgcn_dgl.skeleton import PARTITIONS, GraphBuilder, get_layout, structural_operators

HOPS, TYPES = 4, 3
LAYOUT = get_layout("ntu25")
BUILDER = GraphBuilder(max_hop=HOPS, num_actional=TYPES)


def difference(ours: Tensor, theirs: Tensor) -> float:
    """Largest difference, beside the largest value."""
    return float((ours - theirs).abs().max() / theirs.abs().max())


def graph_step() -> float:
    """Replace the 45 lines of ``Graph`` by the layout of that name."""
    theirs = torch.from_numpy(Graph(HOPS).A)
    names = [f"{partition}_{hop}" for partition in PARTITIONS for hop in range(1, HOPS + 1)]
    operators = structural_operators(LAYOUT, HOPS)
    ours = torch.stack([torch.from_numpy(operators[name].toarray()) for name in names])
    return difference(ours, theirs)


def weight_of(conv: torch.nn.Conv2d, relations: int) -> Tensor:
    """Turn the weight of a 1x1 convolution to all relations into (R, D, O)."""
    return conv.weight.detach().view(relations, -1, conv.in_channels).transpose(1, 2)


def as_nodes(x: Tensor) -> Tensor:
    """Turn (bodies, C, T, V) into (joints, T, C): the layout of the library."""
    return x.permute(0, 3, 2, 1).reshape(-1, x.shape[2], x.shape[1])


def structural_step(dense: Block, x: Tensor) -> float:
    """Replace the einsum over dense matrices by messages along the edges of the graph."""
    gcn = dense.gcn
    conv = SGConv(x.shape[1], gcn.out_channels, HOPS)
    order = [f"{p}_{hop}" for p in PARTITIONS for hop in range(1, HOPS + 1)]
    weight = dict(zip(order, weight_of(gcn.conv, len(order)), strict=True))
    conv.weight.data = torch.stack([weight[name] for name in conv.etypes])
    graph = BUILDER.batch(LAYOUT, [1] * len(x))
    no_links = torch.zeros(len(x), TYPES, LAYOUT.num_joints, LAYOUT.num_joints)
    return difference(conv(graph, as_nodes(x)), as_nodes(gcn(x, no_links)))


def take_weights(dense: Block, conv: ASGConv) -> None:
    """Copy the weights of both parts of the convolution."""
    order = [f"{p}_{hop}" for p in PARTITIONS for hop in range(1, HOPS + 1)]
    weight = dict(zip(order, weight_of(dense.gcn.conv, len(order)), strict=True))
    conv.structural.weight.data = torch.stack([weight[n] for n in conv.structural.etypes])
    conv.actional.weight.data = weight_of(dense.gcn.act_conv, TYPES).clone()


def links_step(dense: Block, x: Tensor, edges: Tensor) -> float:
    """Replace the loops over samples, types and pairs: link strengths are weights of edges."""
    conv = ASGConv(x.shape[1], dense.gcn.out_channels, HOPS, TYPES, layouts=LAYOUT)
    take_weights(dense, conv)
    graph = BUILDER.batch(LAYOUT, [1] * len(x))
    theirs = dense.gcn(x, dense.gcn.get_actional(edges, len(x)))
    return difference(conv(graph, as_nodes(x), edges.flatten(0, 1)), as_nodes(theirs))


def make_block(dense: Block) -> ASGCNBlock:
    """Make the library's block with the dense one's weights."""
    channels = dense.residual[0].in_channels, dense.gcn.out_channels
    block = ASGCNBlock(
        *channels,
        dense.tcn[2].kernel_size[0],
        dense.tcn[2].stride[0],
        conv={"max_hop": HOPS, "num_actional": TYPES, "layouts": LAYOUT},
    )
    take_weights(dense, block.spatial)
    block.spatial_norm.load_state_dict(dense.tcn[0].state_dict())
    block.temporal.weight.data = dense.tcn[2].weight.detach().transpose(2, 3).clone()
    block.temporal_norm.load_state_dict(dense.tcn[3].state_dict())
    block.shortcut.weight.data = dense.residual[0].weight.detach().flatten(1).clone()
    block.shortcut_norm.load_state_dict(dense.residual[1].state_dict())
    return block


def block_step(dense: Block, block: ASGCNBlock, x: Tensor, edges: Tensor) -> float:
    """Replace the block: normalisation, convolution over time, residual."""
    graph = BUILDER.batch(LAYOUT, [1] * len(x))
    theirs = dense(x, dense.gcn.get_actional(edges, len(x)))
    return difference(block(graph, as_nodes(x), edges.flatten(0, 1)), as_nodes(theirs))


def bodies_step(dense: Block, block: ASGCNBlock, data: Tensor, edges: Tensor) -> float:
    """Leave out the bodies that are not there: here the second one of every other clip."""
    clips, most = data.shape[0], data.shape[4]
    there = [1 + clip % 2 for clip in range(clips)]
    exists = torch.tensor([[body < count for body in range(most)] for count in there])
    data = data * exists[:, None, None, None, :]
    theirs = forward_clips(dense, data, edges)[exists]
    bodies = data.permute(0, 4, 1, 2, 3)[exists]
    links = edges.view(clips, most, -1, TYPES)[exists]
    ours = block(BUILDER.batch(LAYOUT, there), as_nodes(bodies), links.flatten(0, 1))
    return difference(ours, as_nodes(theirs))


def seconds(work, repeats: int) -> float:
    """Processor time of a pass there and back, the best of several."""
    best = float("inf")
    for _ in range(repeats + 1):
        start = time.process_time()
        work().square().mean().backward()
        best = min(best, time.process_time() - start)
    return best


def main(arguments: list[str] | None = None) -> dict[str, float]:
    """Replace the code step by step, then time both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=4, help="of two bodies each")
    parser.add_argument("--frames", type=int, default=60, help="300 in the paper")
    parser.add_argument("--channels", type=int, nargs=2, default=[16, 32], help="in and out")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    torch.manual_seed(options.seed)

    data = torch.randn(options.clips, options.channels[0], options.frames, LAYOUT.num_joints, 2)
    pairs = LAYOUT.num_joints * (LAYOUT.num_joints - 1)
    edges = torch.rand(2 * options.clips, pairs, TYPES)
    x = data.permute(0, 4, 1, 2, 3).flatten(0, 1)
    dense = Block(*options.channels, max_hop=HOPS, num_type=TYPES).eval()
    block = make_block(dense).eval()
    with torch.no_grad():
        found = {
            "graph": graph_step(),
            "structural links": structural_step(dense, x),
            "actional links": links_step(dense, x, edges),
            "block": block_step(dense, block, x, edges),
            "absent bodies": bodies_step(dense, block, data, edges),
        }
    for name, value in found.items():
        print(f"{name}: largest relative difference {value:.1e}")

    graph = BUILDER.batch(LAYOUT, [1] * len(x))
    feat, links = as_nodes(x).contiguous(), edges.flatten(0, 1)
    matrices = dense.gcn.get_actional(edges, len(x))
    dense.train(), block.train()
    theirs = seconds(lambda: dense(x, matrices), options.repeats)
    ours = seconds(lambda: block(graph, feat, links), options.repeats)
    print(f"forward and backward: {theirs / ours:.1f} times as fast as the dense block, "
          "its loops over the links not counted")  # fmt: skip
    return {**found, "speed": theirs / ours}


if __name__ == "__main__":
    main()
