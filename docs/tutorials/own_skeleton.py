"""# Train on a skeleton of your own

A dog of nine joints, from files to a model that tells what a dog that it has never seen is doing,
and to the links between joints that it found. The files are those of
[bring your own data](../data/own.md), where each is explained; this script makes them for dogs
that are made up, and runs the commands that you would type.
"""

# %%
# A larger job: `TAKES = 40`, and none of the options in `SMALL` (which leave out the prediction of
# poses, too).
import json
from pathlib import Path

import numpy as np

from asgcn_dgl import viz
from asgcn_dgl.cli import main
from asgcn_dgl.experiments import class_links, open_gallery
from asgcn_dgl.skeleton import SkeletonLayout

DOGS, TAKES, FRAMES = 4, 9, 30
SMALL = [
    "--clips.num_frames=20",
    "--clips.repeat=4",
    "--model.channels=[16,32]",
    "--model.strides=[1,2]",
    "--model.max_hop=2",
    "--model.num_actional=1",
    "--model.aim_frames=20",
    "--model.aim_hidden=16",
    "--model.future_frames=0",
    "--aim.epochs=1",
    "--trainer.epochs=8",
    "--optim.lr=0.05",
]

# %% The layout
# Joints in the order of the data, bones as pairs, and the center that S-links look to. Drawn once,
# a wrong bone is seen at once.
facts = {
    "name": "dog",
    "joints": [
        "head",
        "nose",
        "withers",
        "hip",
        "tail",
        "left_elbow",
        "right_elbow",
        "left_knee",
        "right_knee",
    ],
    "bones": [
        ["withers", "head"],
        ["head", "nose"],
        ["withers", "hip"],
        ["hip", "tail"],
        ["withers", "left_elbow"],
        ["withers", "right_elbow"],
        ["hip", "left_knee"],
        ["hip", "right_knee"],
    ],
    "center": "withers",
    "mirror": [["left_elbow", "right_elbow"], ["left_knee", "right_knee"]],
}
dog = SkeletonLayout.from_bones(**facts)
rest = np.array(  # one row of x, y and z for each joint
    [
        [3, 0, 3],
        [4, 0, 3],
        [2, 0, 2],
        [0, 0, 2],
        [-1, 0, 3],
        [2, 1, 1],
        [2, -1, 1],
        [0, 1, 1],
        [0, -1, 1],
    ],
    dtype=float,
)
viz.save_figure(viz.draw_skeleton(dog, rest, names=True, up="z"), "dog.png")

# %% The recordings and their table
# Three things a dog does. Trotting, diagonal legs go together: elbow and opposite knee.
# The last dog is kept for the test.


def wag(pos, time):
    pos[:, dog.index("tail"), 1] += np.sin(2 * time)


def trot(pos, time):
    legs = [dog.index(name) for name in ("left_elbow", "right_elbow", "left_knee", "right_knee")]
    pos[:, legs, 0] += np.sin(time[:, None] + [0, np.pi, np.pi, 0])


def nod(pos, time):
    for name, reach in (("head", 0.6), ("nose", 1.2)):
        pos[:, dog.index(name), 2] += reach * np.sin(time)


root = Path("dogs")
root.mkdir(exist_ok=True)
(root / "layout.json").write_text(json.dumps(facts))
rng = np.random.default_rng(0)
rows = ["clip,label,subject,split"]
for who in range(1, DOGS + 1):
    size = rng.uniform(0.9, 1.1)
    for take in range(TAKES):
        action = (wag, trot, nod)[take % 3]
        pos = np.repeat(size * rest[None], FRAMES, axis=0)  # frames, joints, coordinates
        action(pos, np.arange(FRAMES) / 4 + rng.uniform(0, 6))
        pos += rng.normal(scale=0.03, size=pos.shape)
        name = f"dog{who}_{action.__name__}{take}"
        np.savez_compressed(root / f"{name}.npz", keypoints=pos.astype(np.float32), fps=25)
        rows.append(f"{name},{action.__name__},{who},{'test' if who == DOGS else 'train'}")
(root / "clips.csv").write_text("\n".join(rows) + "\n")

# %% Training
# What you would type is
#
# ```sh
# asgcn-dgl prepare --data own --root dogs --out dogs.store
# asgcn-dgl train --data own --root dogs.store --out runs/dogs
# ```
#
# `prepare` reads everything once and says what it could not use. One of the training dogs is held
# out to choose by; the last dog is read once, at the end.
assert main(["prepare", "--data=own", "--root=dogs", "--out=dogs.store"]) == 0
assert main(["train", "--data=own", "--root=dogs.store", "--out=runs/dogs", *SMALL]) == 0
metrics = json.loads(Path("runs/dogs/metrics.json").read_text())
print(f"{metrics['top1']:.0f} % of the last dog's clips; chance is 33 %")

# %% New recordings
# In a shell: `asgcn-dgl predict runs/dogs FILE... --out new.json`. The files need no table.
files = sorted(str(path) for path in root.glob(f"dog{DOGS}_*.npz"))[:3]
assert main(["predict", "runs/dogs", *files, "--out=new.json"]) == 0
new = json.loads(Path("new.json").read_text())["clips"]
for clip in new:
    print(clip["name"], "->", clip["class"], f"({max(clip['probabilities']):.2f})")

# %% Which joints belong together
# A gallery is a run opened to be looked at: its exhibits are the test clips with what the model
# makes of them. Link probabilities are means over the clips of each action.
gallery = open_gallery("runs/dogs")
names = gallery.class_names
links = class_links(gallery.exhibits(range(len(gallery.names))))
figure = viz.draw_class_links(
    dog,
    {names[label]: prob for label, prob in links.items()},
    threshold=None,
    strongest=8,
    poses={name: rest for name in names},
    up="z",
)
viz.save_figure(figure, "links.png")

# %%
# `asgcn-dgl figures runs/dogs` and `asgcn-dgl report runs/dogs` draw this and more of any run, see
# [](../figures.md) and [](../report.md).
