"""# Poses while they come in

A camera does not hand over a file: it gives a pose at a time, now and then none, and never quite
evenly. Here a model learns from clips of MediaPipe's 33 landmarks, and answers while landmarks come
in as MediaPipe gives them. The recording is made here, from the generated set's bodies.
"""

# %%
# A larger job: all thirteen actions (`ACTIONS = CLASS_NAMES`), `TAKES = 8`, `EPOCHS = 40`.
import io
import json
import tempfile
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F
from torch.utils.data import DataLoader

from asgcn_dgl import Recognizer
from asgcn_dgl.data import (
    Center,
    Clip,
    Compose,
    RandomRotate,
    RandomScale,
    SkeletonDataset,
    collate,
)
from asgcn_dgl.data.synthetic import CLASS_NAMES, make_clip
from asgcn_dgl.live import live
from asgcn_dgl.models import STGCN
from asgcn_dgl.skeleton import get_layout
from asgcn_dgl.training import ClipsConfig, RunConfig, load_model, predict_clip

ACTIONS = ("wave", "clap", "kick", "sit down")
TAKES, SUBJECTS, EPOCHS = 2, 13, 20
FRAMES, RATE = 24, 30.0

# %% Clips of landmarks
# MediaPipe's world landmarks are in meters about the hips, y down. A landmark is made of the Kinect
# joint that lies nearest to it; a face is a point here, which the actions do not need.
layout, kinect = get_layout("mediapipe33"), get_layout("ntu25")


def source(name):
    side, _, rest = name.partition("_")
    found = {
        **{"shoulder": "shoulder", "elbow": "elbow", "wrist": "wrist", "hip": "hip"},
        **{"knee": "knee", "ankle": "ankle", "heel": "ankle", "foot_index": "foot"},
        **{"pinky": "hand", "index": "hand_tip", "thumb": "thumb"},
    }.get(rest)
    return kinect.joints.index(f"{side}_{found}" if found else "head")


NEAREST = [source(name) for name in layout.joints[:33]]


def landmarks(action, subject, take):
    joints = make_clip(CLASS_NAMES.index(action) + 1, subject, 2, take, losses=0).joints[:1]
    hips = joints[:, :, [kinect.joints.index("spine_base")]]
    return (joints - hips)[:, :, NEAREST] * [1, -1, 1]  # (1, T, 33, 3)


def record(action, subject, take):
    return Clip.from_positions(
        f"{action} {subject}",
        layout,
        landmarks(action, subject, take),
        label=ACTIONS.index(action),
    )


takes = [(a, s, t) for a in ACTIONS for s in range(1, SUBJECTS + 1) for t in range(1, TAKES + 1)]
clips = [record(*take) for take in takes if take[1] < SUBJECTS]
print(f"{len(clips)} clips of {min(c.num_frames for c in clips)} frames and more")

# %% A model
# `save_pretrained` keeps with the weights what the live answers need: the names of the classes, and
# how clips are prepared.
torch.manual_seed(0)
model = STGCN(layout, len(ACTIONS), channels=(24, 48), strides=(2, 2), dropout=0.1)
turned = Compose(Center(), RandomRotate((5.0, 60.0, 5.0)), RandomScale())
dataset = SkeletonDataset(clips, num_frames=FRAMES, transform=turned, training=True)
loader = DataLoader(
    dataset, 8, shuffle=True, collate_fn=lambda samples: collate(samples, model.graph_builder)
)
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
for _ in range(EPOCHS):
    for batch in loader:
        loss = F.cross_entropy(model(batch.structure, batch.feat, batch.mask).logits, batch.label)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

folder = Path(tempfile.mkdtemp())
model.class_names = ACTIONS
model.preparation = {
    "run": RunConfig(clips=ClipsConfig(num_frames=FRAMES, align="center")).to_dict()
}
model.save_pretrained(folder / "model")

# %% A recording as MediaPipe gives it
# Each result of its Pose Landmarker is a list of people, each a list of landmarks; a script that
# prints `json.dumps` of them, a line a frame, can be piped into `asgcn-dgl live MODEL`. This is one
# of a person that the training has not seen, who does two things with a pause between; frames come
# unevenly, some without anybody.
rng = np.random.default_rng(0)
stage = folder / "poses.jsonl"


def said(frame, milliseconds, seen=True):
    marks = [
        dict(zip(("x", "y", "z"), np.round(joint, 4).tolist(), strict=True), visibility=0.99)
        for joint in frame
    ]
    found = [marks] if seen else []
    return json.dumps({"timestamp_ms": milliseconds, "pose_world_landmarks": found})


lines, clock, actions = [], 0.0, []
for action in (ACTIONS[0], ACTIONS[2]):
    for frame in landmarks(action, SUBJECTS, 1)[0]:
        clock += rng.uniform(25, 42)
        lines.append(said(frame, round(clock), seen=rng.random() > 0.05))
        actions.append(action)
    clock += 3000
lines.insert(7, '{"timestamp_ms": 2')  # a line that was cut off
stage.write_text("\n".join(lines) + "\n")
print(lines[0][:100], "...")

# %% Answers
# The window should be about as long as the clips of the training; `rate` brings uneven frames to
# that of the training, and a pause of more than `max_pause` seconds clears the window.
length = int(np.median([clip.num_frames for clip in clips]))
recognizer = Recognizer.load(folder / "model", window=length, rate=RATE, every=10, smooth=0.3)
answers = io.StringIO()
complaints: list[str] = []
live(recognizer, stage, out=answers, complain=complaints.append, top=1)
parsed = [json.loads(line) for line in answers.getvalue().splitlines()]
for answer in parsed:
    (name, share), frame = answer["top"][0], answer["frame"]
    print(f"frame {frame:3d} ({answer['time']:5.2f} s): {name} {share:.2f}; done: {actions[frame]}")
print(complaints[0])

# %% Beside `predict` on the whole file
# An answer is that of `predict` on a file that holds the window and nothing else. At the end of an
# action the window holds nearly all of it, so that both agree; at its beginning the model has seen
# little, and may take a body that has not kicked yet for one that claps.
trained = load_model(folder / "model")
whole = [predict_clip(trained, record(a, SUBJECTS, 1)) for a in (ACTIONS[0], ACTIONS[2])]
for found in whole:
    print(
        f"whole file: {ACTIONS[int(found.probabilities.argmax())]} {found.probabilities.max():.2f}"
    )
window = Recognizer.load(folder / "model", window=length)
for frame in landmarks(ACTIONS[0], SUBJECTS, 1)[0]:
    last = window.update(frame)
part = landmarks(ACTIONS[0], SUBJECTS, 1)[:, -length:]
same = predict_clip(trained, Clip.from_positions("window", layout, part))
print(f"largest difference: {np.abs(last.probabilities - same.probabilities).max():.1e}")
