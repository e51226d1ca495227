"""# Several people

A handshake is not in one body: who acts and who answers shows in the pair. Here clips of one person
and of two share batches, bodies that are absent cost nothing, and A-links go from person to person.
"""

# %%
# A larger job: all thirteen actions (`ACTIONS = CLASS_NAMES`), `CLIPS = 60`, `EPOCHS = 40`.
import functools
import itertools

import numpy as np
import torch
from matplotlib.figure import Figure
from torch.utils.data import DataLoader

from asgcn_dgl.data import (
    Center,
    Clip,
    Compose,
    EpochSampler,
    SkeletonDataset,
    ViewNormalize,
    collate,
)
from asgcn_dgl.data.synthetic import CLASS_NAMES, make_clip
from asgcn_dgl.models import ASGCN
from asgcn_dgl.skeleton import get_layout

ACTIONS = ("wave", "handshake", "push", "high five")
CLIPS, SUBJECTS, WARM_UP, EPOCHS, BATCH = 18, 9, 30, 10, 16  # clips of each action
FRAMES = 16

# %% Clips
# A clip is an array (bodies, frames, joints, coordinates) with as many bodies as were seen. In a
# wave there is one, and now and then one who looks on; the other actions need two. The sensor loses
# people now and then (`losses`).
layout = get_layout("ntu25")


def record(label, number):
    who = number % SUBJECTS + 1
    action = CLASS_NAMES.index(ACTIONS[label]) + 1
    take = make_clip(action, who, 2, number // SUBJECTS + 1, losses=0.5)
    name, meta = f"{ACTIONS[label]} {number}", {"subject": who}
    return Clip.from_positions(name, layout, take.joints, label=label, meta=meta)


clips = [record(label, number) for label in range(len(ACTIONS)) for number in range(CLIPS)]
print("bodies:", [clip.num_bodies for clip in clips])


def make_dataset(clips, training):
    return SkeletonDataset(
        clips, num_frames=FRAMES, transform=Compose(Center(), ViewNormalize()), training=training
    )


train = make_dataset([clip for clip in clips if clip.meta["subject"] % 3], training=True)
test = make_dataset([clip for clip in clips if not clip.meta["subject"] % 3], training=False)

# %% A model with links across bodies
# `across_bodies` infers A-links over all joints of a clip together; a clip of two bodies then has
# 50 x 49 ordered pairs, and two of the four blocks of its link matrix lead to the other body.
# Without it each body has links of its own, and the bodies meet in the mean before the classifier.
torch.manual_seed(0)
model = ASGCN(
    layout,
    num_classes=len(ACTIONS),
    channels=(16, 32, 32),
    strides=(1, 2, 1),
    max_hop=2,
    num_actional=2,
    across_bodies=True,
    link_mode="steady",
    aim_frames=FRAMES,
    aim_hidden=16,
    dropout=0.0,
    future_frames=0,
)
make_batch = functools.partial(collate, builder=model.graph_builder)
batch = make_batch([train[0], train[len(train) - 1]])
print(
    f"{batch.num_bodies.tolist()} bodies: {batch.structure.num_nodes()} joints, "
    f"{batch.structure.num_pairs} pairs"
)

# %% Training
# Nothing in the loops knows how many bodies there are: the graph does. First the inference module
# is warmed up on its own loss, so that links are few and useful (see
# [A-links as a tool of their own](a_links.py)). Then the rest is trained on its links.


def batches(epoch):
    sampler.set_epoch(epoch)
    return DataLoader(train, BATCH, sampler=sampler, collate_fn=make_batch)


sampler = EpochSampler(len(train))
steps = (batch for epoch in itertools.count() for batch in batches(epoch))
optimizer = torch.optim.Adam(model.aim.parameters(), lr=5e-3)
model.aim.train()
for step, batch in enumerate(itertools.islice(steps, WARM_UP), start=1):
    loss = model.aim.loss(batch.structure, batch.feat, batch.mask, kl_weight=step / WARM_UP)
    optimizer.zero_grad()
    loss.loss.backward()
    optimizer.step()
print(f"warm-up: divergence {loss.kl:.1f}")

model.train()
rest = [each for name, each in model.named_parameters() if not name.startswith("aim.")]
optimizer = torch.optim.Adam(rest, lr=5e-3)
for epoch in range(EPOCHS):
    losses = []
    for batch in batches(epoch):
        out = model(batch.structure, batch.feat, batch.mask)
        loss = torch.nn.functional.cross_entropy(out.logits, batch.label)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    print(f"epoch {epoch + 1}: loss {np.mean(losses):.2f}")

# %% Other people
model.eval()
with torch.no_grad():
    batch = make_batch(list(test))
    out = model(batch.structure, batch.feat, batch.mask)
correct = (out.logits.argmax(dim=1) == batch.label).float().mean()
print(
    f"{100 * correct:.0f} % of {len(test)} clips of other people, chance {100 / len(ACTIONS):.0f} %"
)

# %%
# A clip's answer does not depend on the clips beside it, however many bodies they have:
with torch.no_grad():
    for place in (0, len(test) - 1):
        alone = make_batch([test[place]])
        logits = model(alone.structure, alone.feat, alone.mask).logits[0]
        torch.testing.assert_close(logits, out.logits[place], atol=1e-4, rtol=1e-4)

# %% Links from person to person
# The rows of `links.prob` are the pairs of clip after clip, receiver by receiver; within a clip
# joints are counted body by body.
joints = layout.num_joints


def link_matrices(out, batch):
    """Give (bodies, bodies, V, V) of each clip: receiving body, sending body, receiver, sender."""
    found, start = [], 0
    linked = 1 - out.links.prob[:, 0].numpy()
    for bodies in batch.num_bodies.tolist():
        size = bodies * joints
        matrix = np.zeros((size, size))
        pairs = ~np.eye(size, dtype=bool)
        matrix[pairs] = linked[start : start + pairs.sum()]
        start += pairs.sum()
        found.append(matrix.reshape(bodies, joints, bodies, joints).swapaxes(1, 2))
    assert start == len(linked)
    return found


matrices = link_matrices(out, batch)
for label, action in enumerate(ACTIONS):
    pairs = [
        matrix
        for matrix, truth in zip(matrices, batch.label.tolist(), strict=True)
        if truth == label and len(matrix) == 2
    ]
    if pairs:
        within = np.mean([[m[0, 0], m[1, 1]] for m in pairs])
        across = np.mean([[m[0, 1], m[1, 0]] for m in pairs])
        print(f"{action:10} mean link probability {within:.2f} within, {across:.2f} across")

# %%
# The strongest links from the second body to the first, in one clip of two:
first = next(n for n, matrix in enumerate(matrices) if len(matrix) == 2)
towards = matrices[first][0, 1]
for place in np.argsort(-towards.ravel())[:5]:
    receiver, sender = divmod(int(place), joints)
    print(
        f"{layout.joints[receiver]} of one from {layout.joints[sender]} of the other: "
        f"{towards[receiver, sender]:.2f}"
    )

# %%
# After so short a warm-up they say little about handshakes; a longer one, on more clips, says more.
# Drawn between two bodies side by side, the one who receives on the left. The library draws links
# within a body; this is matplotlib with the layout's drawing pose.
pose = np.asarray(layout.pose)
places = pose, pose + np.array([1.8, 0])
figure = Figure(figsize=(4, 2.6), layout="constrained")
axis = figure.add_subplot()
for points in places:
    for bone in layout.bones:
        axis.plot(*points[list(bone)].T, color="0.75", linewidth=2)
for place in np.argsort(-towards.ravel())[:12]:
    receiver, sender = divmod(int(place), joints)
    ends = np.stack([places[0][receiver], places[1][sender]])
    axis.plot(*ends.T, color="tab:purple", linewidth=2 * towards[receiver, sender])
axis.set_aspect("equal")
axis.axis("off")
axis.set_title(batch.names[first])
figure.savefig("across.png", dpi=150)
