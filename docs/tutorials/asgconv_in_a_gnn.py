"""# ASGConv in a GNN of your own

The layers take `(graph, feat, ...)` as DGL's own do, so one of them can replace a `GraphConv`
in a model that has nothing to do with recognizing actions. The job here is to **fill in
joints that the camera did not see**: a network looks at what is left of a pose and tells where the
hidden joints are. It is first written with `dgl.nn.GraphConv`, then with `ASGConv`.
"""

# %%
# A larger job: `TAKES = 20`, `STEPS = 2000` and a width of 128.
import dgl
import numpy as np
import torch
from torch import nn

from asgcn_dgl.data.synthetic import ACTIONS, draw_subject, perform
from asgcn_dgl.nn import AIMEncoder, ASGConv
from asgcn_dgl.skeleton import GraphBuilder, get_layout

TAKES, FRAMES = 4, 12  # takes of each of the ten actions of one person
STEPS, BATCH, WIDTH = 80, 16, 32
HIDDEN_SHARE = 0.3
TYPES = 2

# %% Poses with holes
# Windows of movements, without noise, centered on the base of the spine. What is hidden is drawn
# again in each step, for a whole window; the input of a hidden joint is zero, and a fourth feature
# tells whether the joint was seen. Person 3 is kept for the test.
layout = get_layout("ntu25")
joints = layout.num_joints


def windows(people):
    rng = np.random.default_rng(people)
    found = []
    for action, (_, bodies, *_) in enumerate(ACTIONS):
        for take in range(TAKES if bodies == 1 else 0):
            who = draw_subject(0, people[take % len(people)])
            body = perform(action, who, who, rng)[0]  # frames, joints, coordinates
            start = rng.integers(len(body) - FRAMES)
            body = body[start : start + FRAMES]
            found.append(body - body[:1, :1])
    return torch.tensor(np.stack(found), dtype=torch.float32).transpose(1, 2)  # n, V, T, 3


def hide(pos, generator):
    """Give input (joints, T, 4), truth (joints, T, 3) and which joints are hidden (joints,)."""
    hidden = torch.rand(len(pos), joints, generator=generator) < HIDDEN_SHARE
    hidden[:, 0] = False  # something to hold on to
    seen = ~hidden[..., None, None]
    flag = seen.float().expand(*pos.shape[:3], 1)
    return torch.cat([pos * seen, flag], dim=-1).flatten(0, 1), pos.flatten(0, 1), hidden.flatten()


learn, test = windows([1, 2, 4, 5]), windows([3])
print(f"{len(learn)} windows to learn from, {len(test)} of another person")

# %% The model as it was
# Three graph convolutions over the bones, with a skip from the input. `bones` holds both
# directions of every bone, and a loop at every joint.


class BoneNet(nn.Module):
    def __init__(self):
        super().__init__()
        sizes = [4, WIDTH, WIDTH, WIDTH]
        self.convs = nn.ModuleList(dgl.nn.GraphConv(sizes[n], sizes[n + 1]) for n in range(3))
        self.out = nn.Linear(WIDTH + 4, 3)

    def forward(self, bones, feat):
        hidden = feat
        for conv in self.convs:
            hidden = conv(bones, hidden).relu()
        return self.out(torch.cat([hidden, feat], dim=-1))


def bone_graph(num_bodies):
    src, dst = torch.tensor(layout.bones).T
    one = dgl.add_self_loop(dgl.to_bidirected(dgl.graph((src, dst), num_nodes=joints)))
    return dgl.batch([one] * num_bodies)


# %% The same with ASGConv
# What changes: the graph comes from a `GraphBuilder`; a convolution looks up to `max_hop` bones
# far, towards the center and away from it with weights of their own, and along A-links, which the
# encoder infers from the poses with holes. The encoder is trained by the same loss as all the rest.


class SkeletonNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.links = AIMEncoder(4, TYPES, num_frames=FRAMES, hidden_feats=WIDTH, dropout=0.0)
        sizes = [4, WIDTH, WIDTH, WIDTH]
        self.convs = nn.ModuleList(
            ASGConv(sizes[n], sizes[n + 1], max_hop=4, num_actional=TYPES, layouts=layout)
            for n in range(3)
        )
        self.out = nn.Linear(WIDTH + 4, 3)

    def forward(self, graph, feat):
        weight = self.links(graph, feat).weight
        hidden = feat
        for conv in self.convs:
            hidden = conv(graph, hidden, weight).relu()
        return self.out(torch.cat([hidden, feat], dim=-1))


builder = GraphBuilder(max_hop=4, num_actional=TYPES)


def skeleton_graph(num_bodies):
    return builder.structure(layout, num_bodies=[1] * num_bodies)


# %% Training and test
# One loop for both. The error is the mean distance of hidden joints; a hidden joint put at its mean
# place over all windows is what they have to beat. So few steps are a first impression, and the two
# models differ in size: with `STEPS = 2000` the comparison is worth more.


def train(model, make_graph):
    generator = torch.Generator().manual_seed(1)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    graph = make_graph(BATCH)
    for _ in range(STEPS):
        rows = torch.randint(len(learn), (BATCH,), generator=generator)
        feat, truth, hidden = hide(learn[rows], generator)
        loss = (model(graph, feat) - truth)[hidden].square().sum(dim=-1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model.eval()


@torch.no_grad()
def error(predict):
    feat, truth, hidden = hide(test, torch.Generator().manual_seed(2))
    return 1000 * float((predict(feat) - truth)[hidden].norm(dim=-1).mean())


mean_pose = learn.mean(dim=(0, 2))[:, None]  # joints, 1, coordinates
errors = {"mean place": error(lambda feat: mean_pose.repeat(len(test), FRAMES, 1))}
for name, kind, make_graph in (
    ("GraphConv", BoneNet, bone_graph),
    ("ASGConv", SkeletonNet, skeleton_graph),
):
    torch.manual_seed(0)
    model = train(kind(), make_graph)
    graph = make_graph(len(test))
    errors[name] = error(lambda feat, model=model, graph=graph: model(graph, feat))
for name, value in errors.items():
    print(f"{name:10} {value:4.0f} mm")

# %%
# Will your layer serve every order of joints, every batch? `asgcn_dgl.testing` asks it, as it asks
# ours: {py:func}`asgcn_dgl.testing.assert_symmetric`.
