"""An AS-GCN layer as research code writes it: dense matrices, einsum, loops over samples.

The tutorial ``from_dense.py`` replaces it piece by piece. Written for this tutorial from the
paper's formulas, in the manner of published implementations.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

NUM_NODE = 25
INWARD = [
    (1, 2), (2, 21), (3, 21), (4, 3), (5, 21), (6, 5), (7, 6), (8, 7), (9, 21), (10, 9),
    (11, 10), (12, 11), (13, 1), (14, 13), (15, 14), (16, 15), (17, 1), (18, 17), (19, 18),
    (20, 19), (22, 23), (23, 8), (24, 25), (25, 12),
]  # fmt: skip
CENTER = 21 - 1


class Graph:
    """Adjacency matrices of the NTU skeleton: (3 L, V, V), partition by partition, hop by hop."""

    def __init__(self, max_hop=4):
        self.edge = [(i - 1, j - 1) for i, j in INWARD]
        self.hop_dis = self.get_hop_distance()
        self.A = self.get_adjacency(max_hop)

    def get_hop_distance(self):
        A = np.zeros((NUM_NODE, NUM_NODE))
        for i, j in self.edge:
            A[j, i] = 1
            A[i, j] = 1
        hop_dis = np.zeros((NUM_NODE, NUM_NODE)) + np.inf
        transfer_mat = [np.linalg.matrix_power(A, d) for d in range(NUM_NODE)]
        arrive_mat = np.stack(transfer_mat) > 0
        for d in range(NUM_NODE - 1, -1, -1):
            hop_dis[arrive_mat[d]] = d
        return hop_dis

    def get_adjacency(self, max_hop):
        root = np.zeros((NUM_NODE, NUM_NODE))
        close = np.zeros((NUM_NODE, NUM_NODE))
        further = np.zeros((NUM_NODE, NUM_NODE))
        for i in range(NUM_NODE):
            for j in range(NUM_NODE):
                if self.hop_dis[i, j] <= 1:
                    if self.hop_dis[j, CENTER] == self.hop_dis[i, CENTER]:
                        root[i, j] = 1
                    elif self.hop_dis[j, CENTER] < self.hop_dis[i, CENTER]:
                        close[i, j] = 1
                    else:
                        further[i, j] = 1
        A = []
        for partition in (root, close, further):
            transition = self.normalize_digraph(partition)
            power = np.eye(NUM_NODE)
            for _ in range(max_hop):
                power = np.dot(power, transition)
                A.append(power)
        return np.stack(A)

    def normalize_digraph(self, A):
        Dl = np.sum(A, 1)
        Dn = np.zeros((NUM_NODE, NUM_NODE))
        for i in range(NUM_NODE):
            if Dl[i] > 0:
                Dn[i, i] = Dl[i] ** (-1)
        return np.dot(Dn, A)


class SpatialConv(nn.Module):
    """ASGC: a 1x1 convolution to all relations at once, then einsum with the matrices."""

    def __init__(self, in_channels, out_channels, max_hop=4, num_type=3, lamda=0.5):
        super().__init__()
        A = torch.tensor(Graph(max_hop).A, dtype=torch.float32)
        self.register_buffer("A", A)
        self.edge_importance = nn.Parameter(torch.ones_like(A))
        self.num_type, self.lamda, self.out_channels = num_type, lamda, out_channels
        self.conv = nn.Conv2d(in_channels, out_channels * len(A), 1, bias=False)
        self.act_conv = nn.Conv2d(in_channels, out_channels * num_type, 1, bias=False)

    def get_actional(self, edges, batch):
        """Turn (N M, V (V - 1), C) link strengths into matrices, sample by sample."""
        B = torch.zeros(batch, self.num_type, NUM_NODE, NUM_NODE, device=edges.device)
        for n in range(batch):
            for c in range(self.num_type):
                e = 0
                for i in range(NUM_NODE):
                    for j in range(NUM_NODE):
                        if i != j:
                            B[n, c, i, j] = edges[n, e, c]
                            e += 1
                D = B[n, c].sum(1, keepdim=True)
                B[n, c] = B[n, c] / torch.where(D > 0, D, torch.ones_like(D))
        return B

    def forward(self, x, B):
        n, _, t, v = x.shape
        z = self.conv(x).view(n, len(self.A), self.out_channels, t, v)
        z = torch.einsum("nkctv,kwv->nctw", z, self.A * self.edge_importance)
        y = self.act_conv(x).view(n, self.num_type, self.out_channels, t, v)
        y = torch.einsum("nkctv,nkwv->nctw", y, B)
        return z + self.lamda * y


class Block(nn.Module):
    """ASGC, batch norm, ReLU, convolution over time, batch norm, residual, ReLU."""

    def __init__(self, in_channels, out_channels, kernel_size=7, stride=1, **options):
        super().__init__()
        self.gcn = SpatialConv(in_channels, out_channels, **options)
        self.tcn = nn.Sequential(
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(
                out_channels,
                out_channels,
                (kernel_size, 1),
                (stride, 1),
                ((kernel_size - 1) // 2, 0),
                bias=False,
            ),
            nn.BatchNorm2d(out_channels),
        )
        self.residual = nn.Sequential(
            nn.Conv2d(in_channels, out_channels, 1, (stride, 1), bias=False),
            nn.BatchNorm2d(out_channels),
        )
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x, B):
        res = self.residual(x)
        return self.relu(self.tcn(self.gcn(x, B)) + res)


def forward_clips(block, data, edges):
    """Run a block over (N, C, T, V, M) clips; a body that is not there is all zeros."""
    N, C, T, V, M = data.shape
    x = data.permute(0, 4, 1, 2, 3).contiguous().view(N * M, C, T, V)
    B = block.gcn.get_actional(edges, N * M)
    x = block(x, B)
    return x.view(N, M, *x.shape[1:])
