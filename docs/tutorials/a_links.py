"""# A-links as a tool of their own

Which joints move together, and which follow which? The inference module answers that without any
labels: its encoder says for every ordered pair of joints how probable a link is, its decoder
predicts each pose from the one before with messages along those links, and a link that helps to
predict is worth what it costs. Here the module is trained alone on clips in which it is known who
follows whom, so that its answer can be checked, beside that of correlation.

The recordings are of a puppet with six joints. In every clip other pairs are linked, so that
nothing can be memorized: the encoder learns to see a link in a motion.
"""

# %%
# A harder job: `COUPLINGS = ("lagged", "turned", "square")` with 1200 steps of 64 clips, 30 frames
# and three types. That takes minutes; the area under the curve below is then above 0.85.
import numpy as np
import torch
from sklearn.metrics import roc_auc_score

from asgcn_dgl import viz
from asgcn_dgl.data import coupled_motion
from asgcn_dgl.nn import AIMDecoder, AIMEncoder, aim_loss
from asgcn_dgl.skeleton import GraphBuilder, SkeletonLayout

STEPS, BATCH, TEST_CLIPS = 150, 32, 200
FRAMES, DIMS, TYPES = 20, 2, 2
COUPLINGS = ("turned",)
GHOST_PRIOR, VARIANCE = 0.9, 3e-3

# %% Clips
# Use your own: an array (clips, joints, frames, coordinates), centered, in a unit that makes
# movements about 0.1 to 1 large. `coupled_motion` makes clips with three links each: one frame
# later a follower does in y what its leader did in x, and in x the opposite of what that did in y.
puppet = SkeletonLayout.from_bones(
    "puppet",
    [("hip", "chest"), ("chest", "head"), ("chest", "left"), ("chest", "right"), ("hip", "foot")],
    pose=[(0, 0), (0, 0.7), (0, 1.1), (0.5, 0.5), (-0.5, 0.5), (0.1, -0.7)],
)


def draw_clips(count, rng):
    return coupled_motion(
        count,
        puppet,
        FRAMES,
        num_dims=DIMS,
        num_links=3,
        couplings=COUPLINGS,
        max_lag=3,
        smoothness=1.5,
        rng=rng,
    )


def joints_of(positions):  # (clips, joints, frames, d) to (all joints, frames, d)
    return torch.from_numpy(positions).flatten(0, 1)


# %% Encoder and decoder
# The graph of the clips needs edges between all ordered pairs of joints; bones play no part.
torch.manual_seed(0)
builder = GraphBuilder(max_hop=1, num_actional=TYPES)
encoder = AIMEncoder(DIMS, TYPES, num_frames=FRAMES, hidden_feats=32, dropout=0.0)
decoder = AIMDecoder(DIMS, TYPES, hidden_feats=32)

# %% The warm-up
# The loss is the squared error of the predicted poses and the divergence of the links from their
# prior, which holds 0.9 for "no link". At full weight from the first step the divergence closes
# all links before the decoder has learned what they are good for: let it rise.
rng = np.random.default_rng(0)
optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=1e-2)
graph = builder.structure(puppet, num_bodies=[1] * BATCH)
errors = []
for step in range(1, STEPS + 1):
    feat = joints_of(draw_clips(BATCH, rng).positions)
    links = encoder(graph, feat)
    pred = decoder(graph, feat, links.weight)
    loss = aim_loss(
        pred,
        feat[:, 1:],
        links.logits,
        ghost_prior=GHOST_PRIOR,
        variance=VARIANCE,
        kl_weight=min(1.0, step / (0.4 * STEPS)),
    )
    optimizer.zero_grad()
    loss.loss.backward()
    optimizer.step()
    errors.append(float(loss.reconstruction.detach()))
    if step % max(STEPS // 5, 1) == 0:
        print(f"step {step}: error {np.mean(errors[-20:]):.1f}, divergence {loss.kl:.2f}")

# %% Read the links
# In evaluation there is no noise: the same clip has the same links every time. `prob` has a row for
# each ordered pair, receiver by receiver, and a column for each type, the ghost first.
encoder.eval()
test = draw_clips(TEST_CLIPS, np.random.default_rng(1))
with torch.no_grad():
    found = encoder(
        builder.structure(puppet, num_bodies=[1] * TEST_CLIPS), joints_of(test.positions)
    ).prob
size = puppet.num_joints
prob = np.zeros((TEST_CLIPS, TYPES, size, size))  # [clip, type, receiver, sender]
off_diagonal = ~np.eye(size, dtype=bool)
prob[:, :, off_diagonal] = found[:, 1:].view(TEST_CLIPS, -1, TYPES).transpose(1, 2).numpy()
linked = prob.sum(axis=1)

# %% Are they right?
# A pair of joints counts once, whichever of the two follows, since correlation knows no direction.
# The area under the ROC curve is 0.5 for a guess, and 1 where every linked pair has a higher
# probability than every other pair.


def area(score):
    either = np.maximum(score, score.transpose(0, 2, 1))
    truth = test.links | test.links.transpose(0, 2, 1)
    pairs = np.triu(off_diagonal)
    return float(roc_auc_score(truth[:, pairs].ravel(), either[:, pairs].ravel()))


x = test.positions
z = (x - x.mean(axis=2, keepdims=True)) / x.std(axis=2, keepdims=True)
correlation = np.abs(np.einsum("bitd,bjtd->bijd", z, z)).max(axis=-1) / FRAMES
auc = {"A-links": area(linked), "correlation": area(correlation)}
for name, value in auc.items():
    print(f"{name}: area under the curve {value:.2f}")

# %% Draw them
# The clip in which the module is surest, on the layout's drawing pose; every arc bends to the left
# of its way from sender to receiver.
surest = int(linked.max(axis=(1, 2)).argmax())
figure = viz.draw_actional_links(
    puppet, prob[surest], threshold=0.5, title=f"A-links of clip {surest}"
)
viz.save_figure(figure, "a_links.png")
for follower, leader in np.argwhere(test.links[surest]):
    print(
        f"in truth {puppet.joints[follower]} follows {puppet.joints[leader]}; probability found: "
        f"{linked[surest, follower, leader]:.2f}"
    )
