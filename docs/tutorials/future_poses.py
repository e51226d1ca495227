"""# Predict how a motion continues

The prediction head continues a motion: from what a body did it computes the poses to come. This
tutorial trains it alone, with a loop of your own instead of the command, and compares its error
frame by frame with *zero velocity*, that is with repeating the last pose, which is hard to beat
for the first frames.

The motions are made up: a dog of nine joints that trots, each at its own pace, stride and size.
For recordings, {py:class}`asgcn_dgl.data.SkeletonDataset` with `mode="observed"` gives `feat`,
`last` and `future` of the same shapes; [what is future](../data.md#what-is-future) tells how.
"""

# %%
# A larger job: `STEPS = 3000` and `CHANNELS = (64, 64, 128, 128)`, with a stride for each.
import numpy as np
import torch

from asgcn_dgl import viz
from asgcn_dgl.metrics import mpjpe_per_horizon
from asgcn_dgl.models import ASGCN
from asgcn_dgl.skeleton import SkeletonLayout

STEPS, BATCH, TEST_CLIPS = 150, 24, 60
PAST, FUTURE = 20, 10  # frames
CHANNELS, STRIDES = (24, 32), (1, 2)

# %% Motions and their futures
# `feat` is what the model sees, (clips x joints, frames, coordinates), `future` what follows it,
# and the last pose of `feat` is where zero velocity stays.
dog = SkeletonLayout.from_bones(
    "dog",
    [
        ("withers", "head"),
        ("head", "nose"),
        ("withers", "hip"),
        ("hip", "tail"),
        ("withers", "left_elbow"),
        ("withers", "right_elbow"),
        ("hip", "left_knee"),
        ("hip", "right_knee"),
    ],
    center="withers",
)
PLACES = {
    "nose": (4, 0, 3),
    "head": (3, 0, 3),
    "withers": (2, 0, 2),
    "hip": (0, 0, 2),
    "tail": (-1, 0, 3),
    "left_elbow": (2, 1, 1),
    "right_elbow": (2, -1, 1),
    "left_knee": (0, 1, 1),
    "right_knee": (0, -1, 1),
}
rest = np.array([PLACES[joint] for joint in dog.joints], dtype=np.float64)
legs = [dog.index(name) for name in ("left_elbow", "right_elbow", "left_knee", "right_knee")]


def trot(count, rng):
    """Draw clips (count, joints, frames, coordinates), one unit a hand's breadth."""
    size, stride, pace, start = (
        rng.uniform(low, high, size=(count, 1, 1))
        for low, high in ((0.9, 1.1), (0.5, 1.5), (0.15, 0.4), (0.0, 2 * np.pi))
    )
    phase = pace * np.arange(PAST + FUTURE) + start  # count, 1, frames
    pos = np.repeat((size[..., None] * rest[None, :, None]), PAST + FUTURE, axis=2)
    swing = phase + np.array([0, np.pi, np.pi, 0])[:, None]  # diagonal legs together
    x, z = pos[..., 0], pos[..., 2]
    x[:, legs] += stride * np.sin(swing)
    z += 0.2 * stride * np.sin(2 * phase)  # the whole body, twice a stride
    return pos + rng.normal(scale=0.01, size=pos.shape)


def draw(count, rng):
    pos = torch.tensor(trot(count, rng), dtype=torch.float32).flatten(0, 1)
    return pos[:, :PAST], pos[:, PAST:]


# %% A model with one head in use
# The recognition head stays untrained. Links are those of evaluation (`steady`), so that nothing
# is drawn at random. Beside positions the backbone is given their change from frame to frame.
torch.manual_seed(0)
model = ASGCN(
    dog,
    num_classes=1,
    channels=CHANNELS,
    strides=STRIDES,
    max_hop=2,
    num_actional=1,
    link_mode="steady",
    streams=("joint", "joint_motion"),
    aim_frames=PAST,
    aim_hidden=16,
    dropout=0.0,
    future_frames=FUTURE,
    future_channels=32,
)

# %% Training
# The last pose is taken from `feat`; where recordings have gaps, give it as `last`.
rng = np.random.default_rng(0)
graph = model.graph_builder.structure(dog, num_bodies=[1] * BATCH)
optimizer = torch.optim.Adam(model.parameters())
schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1e-2, total_steps=STEPS)
losses = []
for step in range(1, STEPS + 1):
    feat, future = draw(BATCH, rng)
    loss = (model(graph, feat).future - future).square().sum(dim=-1).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    schedule.step()
    losses.append(float(loss.detach()))
    if step % max(STEPS // 5, 1) == 0:
        print(f"step {step}: squared error {np.mean(losses[-20:]):.3f}")

# %% The error, frame by frame
# Mean distance over the joints, of dogs that the model has not seen.
model.eval()
feat, truth = draw(TEST_CLIPS, np.random.default_rng(1))
with torch.no_grad():
    future = model(model.graph_builder.structure(dog, num_bodies=[1] * TEST_CLIPS), feat).future
still = feat[:, -1:].expand_as(truth)
errors = {
    name: mpjpe_per_horizon(poses.numpy(), truth.numpy())
    for name, poses in (("model", future), ("zero velocity", still))
}
print("frame         " + "".join(f"{frame:6d}" for frame in range(1, FUTURE + 1)))
for name, values in errors.items():
    print(f"{name:14}" + "".join(f"{value:6.2f}" for value in values))

# %% Draw one
# Predicted over true poses, as in the paper's figure 10, of the first test clip.
first = slice(0, dog.num_joints)
figure = viz.draw_prediction(
    dog,
    future[first].numpy().swapaxes(0, 1),
    truth[first].numpy().swapaxes(0, 1),
    last=feat[first, -1].numpy(),
    frames=[2, 4, 6, 8, 10],
    up="z",
)
viz.save_figure(figure, "future.png")
