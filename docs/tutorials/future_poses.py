"""Future poses: train the prediction head, and measure it as the field does.

Someone walks; the model sees the beginning and predicts the next ten poses. Every error stands
beside that of repeating the last pose, which is hard to beat where little moves. With ``--store``
the clips are those of a store of your own, its split ``--split`` telling which of them test.
"""

from __future__ import annotations

import argparse
import functools
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader

from asgcn_dgl import viz
from asgcn_dgl.data import Center, Clip, SkeletonDataset, collate, open_store
from asgcn_dgl.models import ASGCN
from asgcn_dgl.skeleton import SkeletonLayout, get_layout


def walkers(layout: SkeletonLayout, count: int, rng: np.random.Generator) -> list[Clip]:
    """Make up people who walk on the spot, each with a stride and a speed of their own."""
    side = {"left": 0.0, "right": np.pi}
    clips = []
    for number in range(count):
        time = np.arange(40) * rng.uniform(0.25, 0.35) + rng.uniform(0, 2 * np.pi)
        size, stride = rng.uniform(0.8, 1.1, size=2)
        pos = np.zeros((40, layout.num_joints, 3))
        pos[..., :2] = 0.4 * size * np.asarray(layout.pose)
        for name, phase in side.items():
            swing = 0.25 * stride * np.sin(time + phase)
            for joint, share in (("knee", 0.5), ("ankle", 1.0), ("elbow", -0.4), ("wrist", -0.8)):
                pos[:, layout.index(f"{name}_{joint}"), 2] += share * swing
        pos += rng.normal(scale=0.005, size=pos.shape)
        clips.append(Clip.from_positions(f"walker{number}", layout, pos[None], label=0))
    return clips


def batches(clips: list[Clip], model: ASGCN, steps: int, batch_size: int, *, training: bool):
    """Give batches whose last ``steps`` frames are to be predicted from what precedes them."""
    dataset = SkeletonDataset(
        clips,
        num_frames=32,
        transform=Center(),
        mode="observed",
        future_frames=steps,
        training=training,
    )
    join = functools.partial(collate, builder=model.graph_builder)
    return DataLoader(dataset, batch_size, shuffle=training, collate_fn=join)


def train(model: ASGCN, loader: DataLoader, epochs: int) -> None:
    """Minimise the squared error of the future poses (Eq. 6), where they are known."""
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    for epoch in range(epochs):
        model.train()
        total = count = 0.0
        for batch in loader:
            future = model(batch.graph, batch.feat, batch.mask, batch.last).future
            known = batch.future_mask.unsqueeze(-1)
            error = ((future - batch.future).square() * known).sum()
            loss = error / known.sum().clamp(min=1)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total, count = total + error.item(), count + known.sum().item()
        schedule.step()
        if (epoch + 1) % max(1, epochs // 5) == 0:
            print(f"epoch {epoch + 1}: root of the mean squared error {(total / count) ** 0.5:.4f}")


@torch.no_grad()
def errors(model: ASGCN, loader: DataLoader) -> tuple[np.ndarray, np.ndarray]:
    """Mean distance to the true position by future frame: of the model, and of standing still."""
    model.eval()
    ours, still, weight = [], [], []
    for batch in loader:
        future = model(batch.graph, batch.feat, batch.mask, batch.last).future
        repeated = batch.last.unsqueeze(1).expand_as(future)
        ours.append((future - batch.future).norm(dim=-1))
        still.append((repeated - batch.future).norm(dim=-1))
        weight.append(batch.future_mask)
    known = torch.cat(weight)
    return tuple(
        ((torch.cat(each) * known).sum(dim=0) / known.sum(dim=0)).numpy() for each in (ours, still)
    )


@torch.no_grad()
def draw(model: ASGCN, loader: DataLoader, layout: SkeletonLayout, path: Path) -> None:
    """Draw the prediction of the first clip over what came (Fig. 10 of the paper)."""
    batch = next(iter(loader))
    future = model(batch.graph, batch.feat, batch.mask, batch.last).future
    body = slice(0, layout.num_joints)
    figure = viz.draw_prediction(
        layout,
        1000 * future[body].transpose(0, 1).numpy(),
        1000 * batch.future[body].transpose(0, 1).numpy(),
        mask=batch.future_mask[body].transpose(0, 1).numpy(),
        last=1000 * batch.last[body].numpy(),
        title=batch.names[0],
        unit="mm",
    )
    viz.save_figure(figure, path)


def main(arguments: list[str] | None = None) -> dict[str, float]:
    """Train, measure on people who were not seen, draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", type=Path, help="a store, made by 'asgcn-dgl prepare'")
    parser.add_argument("--split", help="name of its split; left out: the first")
    parser.add_argument("--steps", type=int, default=10, help="frames to predict")
    parser.add_argument("--clips", type=int, default=64, help="training clips that are made up")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--channels", type=int, nargs="+", default=[32, 32])
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("future"))
    options = parser.parse_args(arguments)
    torch.manual_seed(options.seed)

    if options.store is None:
        layout, rng = get_layout("coco17"), np.random.default_rng(options.seed)
        seen, unseen = walkers(layout, options.clips, rng), walkers(layout, 16, rng)
    else:
        store = open_store(options.store)
        split = store.splits[options.split or next(iter(store.splits))]
        seen, unseen = (
            [store.read(store.place(name)) for name in names] for names in (split.train, split.test)
        )
        layout = seen[0].layout
    model = ASGCN(
        layout,
        num_classes=1,
        in_feats=seen[0].pos.shape[3],
        channels=options.channels,
        strides=[2] * len(options.channels),
        max_hop=2,
        num_actional=1,
        links="steady",
        aim_hidden=16,
        aim_frames=16,
        dropout=0.0,
        future_frames=options.steps,
        future_channels=32,
    )
    loader = batches(seen, model, options.steps, options.batch_size, training=True)
    train(model, loader, options.epochs)
    test = batches(unseen, model, options.steps, options.batch_size, training=False)
    ours, still = errors(model, test)
    print("frame          " + "".join(f"{n + 1:8d}" for n in range(options.steps)))
    print("predicted  (mm)" + "".join(f"{1000 * value:8.1f}" for value in ours))
    print("last pose  (mm)" + "".join(f"{1000 * value:8.1f}" for value in still))
    draw(model, test, layout, options.out / "future.png")
    return {"mpjpe": float(ours.mean()), "zero_velocity": float(still.mean())}


if __name__ == "__main__":
    main()
