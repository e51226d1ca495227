"""# Train with a plain PyTorch loop

A model is a `torch.nn.Module`, a dataset is a `torch.utils.data.Dataset`: nothing here needs
Lightning or any extra. This tutorial warms up the A-links, then trains both heads, in a loop that
can be read in one sitting.
"""

# %%
# The clips are made up: a puppet that waves, nods or kicks.
import functools

import numpy as np
import torch
from torch.nn import functional as F
from torch.utils.data import DataLoader

from asgcn_dgl import ASGCN, Clip, SkeletonDataset, SkeletonLayout, collate

puppet = SkeletonLayout.from_bones(
    "puppet",
    [("hip", "chest"), ("chest", "head"), ("chest", "hand"), ("hip", "foot")],
    center="hip",
)
PLACES = {"hip": (0, 0), "chest": (0, 1), "head": (0, 2), "hand": (1, 1), "foot": (0, -1)}
ACTIONS = {"wave": "hand", "nod": "head", "kick": "foot"}


def draw_clips(count, rng):
    rest = np.array([PLACES[joint] for joint in puppet.joints], dtype=float)
    clips = []
    for number in range(count):
        label = number % len(ACTIONS)
        joint = puppet.index(list(ACTIONS.values())[label])
        pos = rest + rng.normal(scale=0.1, size=(1, 40, *rest.shape))  # body, frame, joint, x y
        pos[0, :, joint, 0] += 0.4 * np.sin(rng.uniform(0.3, 0.6) * np.arange(40))
        clips.append(Clip.from_positions(f"clip{number}", puppet, pos, label=label))
    return clips


# %% Model and batches
# `collate` joins samples to a batch with its graph; the model's builder knows which links it needs.
torch.manual_seed(0)
clips = draw_clips(120, np.random.default_rng(0))
model = ASGCN(
    puppet,
    num_classes=len(ACTIONS),
    in_feats=2,
    channels=[16, 32],
    strides=[1, 2],
    max_hop=2,
    num_actional=1,
    aim_hidden=16,
    future_channels=16,
    dropout=0.1,
)
observed = {"num_frames": 24, "mode": "observed", "future_frames": 10}  # the end is predicted
join = functools.partial(collate, builder=model.graph_builder)
train = SkeletonDataset(clips[:90], **observed)
loader = DataLoader(train, batch_size=15, shuffle=True, collate_fn=join)
test = DataLoader(SkeletonDataset(clips[90:], **observed), batch_size=30, collate_fn=join)

# %% First phase: the inference module alone
optimizer = torch.optim.Adam(model.aim.parameters(), lr=2e-3)
for _ in range(2):
    for batch in loader:
        loss = model.aim.loss(batch.structure, batch.feat, batch.mask, pred_steps=10).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

# %% Second phase: both heads
# The loss is that of recognition and, with a weight, that of the predicted poses.
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, nesterov=True)
for epoch in range(8):
    for batch in loader:
        out = model(batch.structure, batch.feat, batch.mask, batch.last)
        error = (out.future - batch.future)[batch.future_mask].square().mean()
        loss = F.cross_entropy(out.logits, batch.label) + 0.1 * error
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch + 1}: loss {loss:.3f}")

# %% Evaluation
model.eval()
with torch.no_grad():
    (batch,) = test
    logits = model(batch.structure, batch.feat, batch.mask, batch.last, predict=False).logits
accuracy = float((logits.argmax(dim=1) == batch.label).float().mean())
print(f"accuracy on clips not seen in training: {accuracy:.0%}")
