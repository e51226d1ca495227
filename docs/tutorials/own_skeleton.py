"""Train on your own skeleton: a dog of nine joints tells wagging, trotting and nodding apart.

``python own_skeleton.py --help`` explains the options; the defaults take a few seconds.
"""

from __future__ import annotations

import argparse
import functools
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F
from torch.utils.data import DataLoader

from asgcn_dgl import viz
from asgcn_dgl.data import Center, Clip, Compose, RandomRotate, SkeletonDataset, collate
from asgcn_dgl.models import ASGCN
from asgcn_dgl.skeleton import SkeletonLayout

ACTIONS = ("wag", "trot", "nod")


def make_layout() -> SkeletonLayout:
    """Say which joints there are, which bones join them, and which joint is the centre."""
    return SkeletonLayout.from_bones(
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
        mirror=[("left_elbow", "right_elbow"), ("left_knee", "right_knee")],
    )


def make_clips(dog: SkeletonLayout, dogs: list[int], takes: int, seed: int) -> list[Clip]:
    """Make up recordings; in their place stands the reader of your own files."""
    rest = {
        "head": (3, 0, 3),
        "nose": (4, 0, 3),
        "withers": (2, 0, 2),
        "hip": (0, 0, 2),
        "tail": (-1, 0, 3),
        "left_elbow": (2, 1, 1),
        "right_elbow": (2, -1, 1),
        "left_knee": (0, 1, 1),
        "right_knee": (0, -1, 1),
    }
    stance = np.array([rest[name] for name in dog.joints], dtype=float)
    legs = [dog.index(name) for name in ("left_elbow", "right_elbow", "left_knee", "right_knee")]
    clips = []
    for number in dogs:
        rng = np.random.default_rng([seed, number])
        size = rng.uniform(0.8, 1.2)
        for take in range(takes):
            label = take % len(ACTIONS)
            time = np.arange(40)[:, None] * rng.uniform(0.2, 0.4) + rng.uniform(0, 6)
            pos = np.repeat(size * stance[None], 40, axis=0)
            if ACTIONS[label] == "wag":
                pos[:, [dog.index("tail")], 1] += np.sin(2 * time)
            elif ACTIONS[label] == "trot":
                pos[:, legs, 0] += np.sin(time + np.array([0, np.pi, np.pi, 0]))
            else:
                pos[:, [dog.index("head"), dog.index("nose")], 2] += 0.5 * np.sin(time)
            pos += rng.normal(scale=0.05, size=pos.shape)
            clips.append(Clip.from_positions(f"dog{number}_{take}", dog, pos[None], label=label))
    return clips


def loaders(
    train: list[Clip], test: list[Clip], model: ASGCN, batch_size: int
) -> tuple[DataLoader, DataLoader]:
    """Cut every clip to 32 frames, turn those of the training a little, and make batches."""
    join = functools.partial(collate, builder=model.graph_builder)
    turned = Compose(Center(), RandomRotate(15.0))
    seen = SkeletonDataset(train, num_frames=32, transform=turned, training=True)
    unseen = SkeletonDataset(test, num_frames=32, transform=Center())
    return (
        DataLoader(seen, batch_size, shuffle=True, collate_fn=join),
        DataLoader(unseen, batch_size, collate_fn=join),
    )


def train_links(model: ASGCN, loader: DataLoader, epochs: int) -> None:
    """Warm up the inference module of the A-links: it learns to predict poses along them."""
    optimizer = torch.optim.Adam(model.aim.parameters(), lr=2e-3)
    for epoch in range(epochs):
        for batch in loader:
            loss = model.aim.loss(
                batch.graph, batch.feat, batch.mask, kl_weight=(epoch + 1) / epochs
            ).loss
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


def train(model: ASGCN, loader: DataLoader, epochs: int) -> None:
    """Train recognition, the A-links flowing through."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, nesterov=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    for epoch in range(epochs):
        model.train()
        total = 0.0
        for batch in loader:
            out = model(batch.graph, batch.feat, batch.mask, predict=False)
            loss = F.cross_entropy(out.logits, batch.label)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(batch)
        schedule.step()
        print(f"epoch {epoch + 1}: loss {total / len(loader.dataset):.3f}")


@torch.no_grad()
def accuracy(model: ASGCN, loader: DataLoader) -> float:
    """Share of clips that are recognised, in per cent."""
    model.eval()
    right = total = 0
    for batch in loader:
        out = model(batch.graph, batch.feat, batch.mask, predict=False)
        right += int((out.logits.argmax(dim=1) == batch.label).sum())
        total += len(batch)
    return 100 * right / total


@torch.no_grad()
def draw(model: ASGCN, dog: SkeletonLayout, clip: Clip, folder: Path) -> None:
    """Draw the dog, its S-links, and the A-links that were inferred for a clip."""
    (sample,) = SkeletonDataset([clip], num_frames=32, transform=Center())
    batch = collate([sample], model.graph_builder)
    prob = model(batch.graph, batch.feat, batch.mask, predict=False).links.prob
    links = np.zeros((dog.num_joints, dog.num_joints))
    links[~np.eye(dog.num_joints, dtype=bool)] = 1 - prob[:, 0].numpy()
    figures = {
        "dog": viz.draw_skeleton(dog, names=True),
        "s_links": viz.draw_structural_links(dog, "tail", max_hop=3),
        "a_links": viz.draw_actional_links(dog, links, threshold=None, strongest=12),
    }
    for name, figure in figures.items():
        viz.save_figure(figure, folder / f"{name}.png")


def main(arguments: list[str] | None = None) -> dict[str, float]:
    """Train, test on a dog that was not seen, draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dogs", type=int, default=4, help="training dogs; one more tests")
    parser.add_argument("--takes", type=int, default=12, help="recordings of each dog")
    parser.add_argument("--epochs", type=int, default=16)
    parser.add_argument("--preset", default="small", choices=["small", "paper"])
    parser.add_argument("--channels", type=int, nargs="+", default=[16, 32], help="of the blocks")
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("dog"))
    options = parser.parse_args(arguments)
    torch.manual_seed(options.seed)

    dog = make_layout()
    seen = make_clips(dog, list(range(options.dogs)), options.takes, options.seed)
    unseen = make_clips(dog, [options.dogs], options.takes, options.seed)
    model = ASGCN.preset(
        options.preset,
        dog,
        num_classes=len(ACTIONS),
        channels=options.channels,
        strides=[2] * len(options.channels),
        max_hop=3,
        num_actional=2,
        links="steady",
        future_frames=0,
        dropout=0.0,
    )
    train_loader, test_loader = loaders(seen, unseen, model, options.batch_size)
    train_links(model, train_loader, epochs=2)
    train(model, train_loader, options.epochs)
    result = accuracy(model, test_loader)
    print(f"a dog that was not seen: {result:.0f} % (chance {100 / len(ACTIONS):.0f} %)")
    draw(model, dog, unseen[0], options.out)
    return {"top1": result}


if __name__ == "__main__":
    main()
