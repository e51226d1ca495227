"""# From dense code to ASGConv

You have the code of a paper: tensors `(N, C, T, V)`, a 1x1 convolution that makes a copy of the
channels for each adjacency, an `einsum` with adjacencies that are mostly zeros. This tutorial
replaces such a layer piece by piece, and asserts after each step that nothing has changed. At the
end the weights of a trained dense model are in the new layer, and the time of both is printed.
"""

# %%
# Make the constants larger for timings that say something about your machine: the paper's first
# blocks have 64 features and 300 frames.
import time

import numpy as np
import torch
from torch import nn

from asgcn_dgl.nn import AGConv, ASGConv, SGConv
from asgcn_dgl.skeleton import GraphBuilder, get_layout, structural_operators

CLIPS, FRAMES, IN_FEATS, OUT_FEATS = 4, 60, 16, 32
MAX_HOP, NUM_ACTIONAL, ACTIONAL_WEIGHT = 4, 3, 0.5
REPEATS = 3

# %% The dense layer
# This is how research code writes it. `adjacency` holds the S-links, (3 L, V, V), and `links` the
# A-links of each clip, (N, C, V, V), entry `[i, j]` being the message from joint j to joint i.


class DenseASGC(nn.Module):
    def __init__(self, adjacency, in_channels, out_channels, num_types):
        super().__init__()
        self.register_buffer("adjacency", adjacency)
        self.importance = nn.Parameter(torch.ones_like(adjacency))
        self.structural = nn.Conv2d(in_channels, len(adjacency) * out_channels, 1, bias=False)
        self.actional = nn.Conv2d(in_channels, num_types * out_channels, 1, bias=False)

    def structural_part(self, x):
        n, _, t, v = x.shape
        y = self.structural(x).view(n, len(self.adjacency), -1, t, v)
        return torch.einsum("nkctv,kwv->nctw", y, self.adjacency * self.importance)

    def actional_part(self, x, links):
        n, _, t, v = x.shape
        y = self.actional(x).view(n, links.shape[1], -1, t, v)
        transition = links / links.sum(dim=-1, keepdim=True)
        return torch.einsum("nkctv,nkwv->nctw", y, transition)

    def forward(self, x, links):
        return self.structural_part(x) + ACTIONAL_WEIGHT * self.actional_part(x, links)


# %%
# A "trained" one: its importance masks have moved away from 1.
torch.manual_seed(0)
layout = get_layout("ntu25")
joints = layout.num_joints
operators = structural_operators(layout, MAX_HOP)  # name of the relation: sparse matrix
adjacency = torch.stack([torch.from_numpy(a.toarray()).float() for a in operators.values()])
dense = DenseASGC(adjacency, IN_FEATS, OUT_FEATS, NUM_ACTIONAL)
with torch.no_grad():
    dense.importance.uniform_(0.5, 1.5)

x = torch.randn(CLIPS, IN_FEATS, FRAMES, joints)
links = torch.rand(CLIPS, NUM_ACTIONAL, joints, joints)
links = links * (1 - torch.eye(joints))  # no joint sends to itself over an A-link
share = (adjacency == 0).float().mean()
print(f"{len(adjacency)} adjacencies of {joints} x {joints}, {100 * share:.0f} % zeros")

# %% Step 1: the tensors
# Nodes come first and features last: `(N, C, T, V)` becomes `(N V, T, C)`. The batch is a graph. It
# has the adjacency as edge types, so that the layers need none.
builder = GraphBuilder(max_hop=MAX_HOP, num_actional=NUM_ACTIONAL)
graph = builder.structure(layout, num_bodies=[1] * CLIPS)


def to_joints(x):
    n, c, t, v = x.shape
    return x.permute(0, 3, 2, 1).reshape(n * v, t, c)


def to_dense(feat):
    return feat.unflatten(0, (CLIPS, joints)).permute(0, 3, 2, 1)


feat = to_joints(x)
assert graph.num_nodes() == len(feat) == CLIPS * joints
assert torch.equal(to_dense(feat), x)

# %% Step 2: the S-links
# {py:class}`asgcn_dgl.nn.SGConv` has a weight (relations, in, out) where the 1x1 convolution has
# (relations x out, in, 1, 1), and one mask value for each non-zero of each adjacency, relation by
# relation, row by row, where the dense code has a matrix. The relations are in the same order.
structural = SGConv(IN_FEATS, OUT_FEATS, MAX_HOP, layouts=layout)
assert list(structural.etypes) == list(operators)


def dense_weight(conv, out_channels):
    return conv.weight.detach().view(-1, out_channels, conv.in_channels).transpose(1, 2)


def take_structural(layer, dense):
    with torch.no_grad():
        layer.weight.copy_(dense_weight(dense.structural, OUT_FEATS))
        layer.masks[layout.name].copy_(dense.importance[dense.adjacency != 0])


take_structural(structural, dense)
torch.testing.assert_close(
    to_dense(structural(graph, feat)), dense.structural_part(x), atol=1e-4, rtol=1e-4
)
print("S-links: equal")

# %% Step 3: the A-links
# Matrices become a row for each ordered pair of joints, receiver by receiver, without the diagonal:
# what {py:class}`asgcn_dgl.nn.AIMEncoder` gives. To divide by row sums is the layer's business.
off_diagonal = ~torch.eye(joints, dtype=torch.bool)
edge_weight = links[:, :, off_diagonal].transpose(1, 2).flatten(0, 1)  # (N V (V - 1), C)
assert edge_weight.shape == (graph.num_edges("actional_1"), NUM_ACTIONAL)

actional = AGConv(IN_FEATS, OUT_FEATS, NUM_ACTIONAL)
with torch.no_grad():
    actional.weight.copy_(dense_weight(dense.actional, OUT_FEATS))
torch.testing.assert_close(
    to_dense(actional(graph, feat, edge_weight)),
    dense.actional_part(x, links),
    atol=1e-4,
    rtol=1e-4,
)
print("A-links: equal")

# %% Step 4: one layer
# {py:class}`asgcn_dgl.nn.ASGConv` is both, in one pass over the features. Its gradients are the
# dense layer's too, so that a training continues as it would have.
layer = ASGConv(
    IN_FEATS,
    OUT_FEATS,
    MAX_HOP,
    NUM_ACTIONAL,
    actional_weight=ACTIONAL_WEIGHT,
    layouts=layout,
)
take_structural(layer.structural, dense)
layer.actional.load_state_dict(actional.state_dict())

out, expected = layer(graph, feat, edge_weight), dense(x, links)
torch.testing.assert_close(to_dense(out), expected, atol=1e-4, rtol=1e-4)

direction = torch.randn_like(expected)  # any gradient that comes from above
(to_dense(out) * direction).sum().backward()
(expected * direction).sum().backward()
for ours, theirs in (
    (layer.structural.weight, dense.structural),
    (layer.actional.weight, dense.actional),
):
    gradient = theirs.weight.grad.view(-1, OUT_FEATS, IN_FEATS).transpose(1, 2)
    scale = gradient.abs().max()
    torch.testing.assert_close(ours.grad / scale, gradient / scale, atol=1e-4, rtol=1e-3)
print("ASGConv and its gradients: equal")

# %% Step 5: what is not there
# Research code computes a second person for every clip, and multiplies it by zero somewhere. Here
# a body that is absent is not in the graph. Two clips, of one person and of two:
pair = builder.structure(layout, num_bodies=[1, 2])
two = torch.randn(pair.num_nodes(), FRAMES, IN_FEATS)
weights = torch.rand(pair.num_edges("actional_1"), NUM_ACTIONAL)
assert layer(pair, two, weights).shape == (3 * joints, FRAMES, OUT_FEATS)  # 3 bodies, not 4

# %% Time
# Forward and backward of both, in turn; processor time, so that other programs count for less. The
# ratio depends on the sizes and on the allocator, see [the benchmarks](../benchmarks.md).


def seconds(work):
    start = time.process_time()
    work().sum().backward()
    return time.process_time() - start


def run_dense():
    return dense(x, links)


def run_sparse():
    return layer(graph, feat, edge_weight)


for work in (run_dense, run_sparse):
    seconds(work)  # once before it counts
times = np.array([[seconds(run_dense), seconds(run_sparse)] for _ in range(REPEATS)])
ratio = float(np.median(times[:, 0]) / np.median(times[:, 1]))
print(f"dense code takes {ratio:.1f} times as long as ASGConv")
