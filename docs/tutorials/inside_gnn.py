"""ASGConv inside another GNN: a model of DGL's own layers gets one that also finds its links.

The task: two of a puppet's four limbs move fast, and the class is which two. Layers that look at
one frame after the other cannot see how fast anything moves; the encoder of the A-links sees the
whole motion of each pair of joints.
"""

from __future__ import annotations

import argparse
from itertools import combinations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from asgcn_dgl.nn import AIMEncoder, ASGConv
from asgcn_dgl.skeleton import GraphBuilder, SkeletonLayout

import dgl  # isort: skip  after asgcn_dgl, which chooses DGL's PyTorch backend

LIMBS = ("left_hand", "right_hand", "left_foot", "right_foot")
PAIRS = tuple(combinations(range(len(LIMBS)), 2))
FRAMES = 32
PUPPET = SkeletonLayout.from_bones(
    "puppet",
    [
        ("chest", "head"),
        ("chest", "left_hand"),
        ("chest", "right_hand"),
        ("chest", "hip"),
        ("hip", "left_foot"),
        ("hip", "right_foot"),
    ],
    center="chest",
    pose=[[0, 2], [0, 3], [-1, 1], [1, 1], [0, 0], [-1, -2], [1, -2]],
)
BUILDER = GraphBuilder(max_hop=2, num_actional=1)


class PlainNet(nn.Module):
    """A graph network as DGL's own layers make it: bones, a readout, a linear map."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.first = dgl.nn.GraphConv(2, hidden, allow_zero_in_degree=True)
        self.second = dgl.nn.GraphConv(hidden, hidden, allow_zero_in_degree=True)
        self.out = nn.Linear(hidden, len(PAIRS))

    def forward(self, graph: dgl.DGLGraph, feat: Tensor) -> Tensor:
        """Give (clips, classes) logits of (joints, frames, 2) positions."""
        bones = dgl.to_homogeneous(graph["centripetal_1"])
        bones = dgl.add_self_loop(dgl.to_bidirected(bones))
        hidden = F.relu(self.first(bones, feat))
        hidden = F.relu(self.second(bones, hidden)).mean(dim=1)
        return readout(graph, hidden, self.out)


class LinkedNet(nn.Module):
    """The same with the second layer an ``ASGConv``, over links that an encoder finds."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.links = AIMEncoder(2, num_actional=1, num_frames=FRAMES, hidden_feats=32, dropout=0.0)
        self.first = dgl.nn.GraphConv(2, hidden, allow_zero_in_degree=True)
        self.second = ASGConv(
            2 + hidden, hidden, max_hop=2, num_actional=1, layouts=PUPPET, normalise="none"
        )
        self.out = nn.Linear(hidden, len(PAIRS))

    def forward(self, graph: dgl.DGLGraph, feat: Tensor) -> Tensor:
        """Give (clips, classes) logits of (joints, frames, 2) positions."""
        links = self.links(graph, feat)
        hidden = F.relu(self.first(graph["centripetal_1"], feat))
        hidden = torch.cat([feat, hidden], dim=-1)
        hidden = F.relu(self.second(graph, hidden, links.weight)).mean(dim=1)
        return readout(graph, hidden, self.out)


def readout(graph: dgl.DGLGraph, hidden: Tensor, out: nn.Linear) -> Tensor:
    """Mean over the joints of each clip, then a linear map."""
    with graph.local_scope():
        graph.ndata["hidden"] = hidden
        return out(dgl.mean_nodes(graph, "hidden"))


def draw(count: int, rng: np.random.Generator) -> tuple[dgl.DGLGraph, Tensor, Tensor]:
    """Draw clips in which one pair of limbs moves fast, the others slowly."""
    label = rng.integers(len(PAIRS), size=count)
    place = [PUPPET.index(name) for name in LIMBS]
    speed = np.full((count, len(LIMBS)), 0.4)
    np.put_along_axis(speed, np.asarray(PAIRS)[label], 1.6, axis=1)
    speed *= rng.uniform(0.8, 1.25, speed.shape)
    phase = rng.uniform(0, 2 * np.pi, speed.shape)
    swing = 0.5 * np.sin(speed[..., None] * np.arange(FRAMES) + phase[..., None])
    pos = np.tile(np.asarray(PUPPET.pose)[:, None], (count, 1, FRAMES, 1))
    pos[..., 0][:, place] += swing
    pos += rng.normal(scale=0.03, size=pos.shape)
    feat = torch.from_numpy(pos.astype(np.float32)).flatten(0, 1)
    return BUILDER.batch(PUPPET, [1] * count), feat, torch.from_numpy(label)


def train(net: nn.Module, steps: int, batch_size: int, seed: int) -> float:
    """Train on clips drawn anew in every step; return the accuracy on others, in per cent."""
    rng = np.random.default_rng(seed)
    optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)
    for _ in range(steps):
        graph, feat, label = draw(batch_size, rng)
        loss = F.cross_entropy(net(graph, feat), label)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    net.eval()
    graph, feat, label = draw(600, np.random.default_rng(seed + 1))
    with torch.no_grad():
        return 100 * float((net(graph, feat).argmax(dim=1) == label).float().mean())


def main(arguments: list[str] | None = None) -> dict[str, float]:
    """Train both networks and compare them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=250)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--hidden", type=int, default=32)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    found = {}
    for name, kind in (("plain", PlainNet), ("linked", LinkedNet)):
        torch.manual_seed(options.seed)
        found[name] = train(kind(options.hidden), options.steps, options.batch_size, options.seed)
        print(f"{name}: {found[name]:.1f} % of unseen clips (chance {100 / len(PAIRS):.1f} %)")
    return found


if __name__ == "__main__":
    main()
