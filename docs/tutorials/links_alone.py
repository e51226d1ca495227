"""A-links as an analysis tool: who follows whom in a motion, without any classes.

The inference module is trained by its own loss alone, that of predicting poses along the links.
Here the motions are made so that it is known which joint follows which; with ``--store`` they are
those of a store of your own.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from asgcn_dgl import viz
from asgcn_dgl.data import Center, Clip, SkeletonDataset, collate, open_store
from asgcn_dgl.data.coupled import coupled_motion
from asgcn_dgl.nn import AIM
from asgcn_dgl.skeleton import GraphBuilder, SkeletonLayout

FRAMES = 30
PUPPET = SkeletonLayout.from_bones(
    "puppet",
    [("hip", "chest"), ("chest", "head"), ("chest", "left"), ("chest", "right"), ("hip", "foot")],
)

Motion = Callable[[int], tuple[object, Tensor, Tensor | None]]


def planted(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw clips (B, V, T, 2) in each of which one joint follows another, and who does."""
    motion = coupled_motion(
        count,
        PUPPET,
        FRAMES,
        num_dims=2,
        num_links=1,
        couplings=("plain",),
        smoothness=1.5,
        rng=rng,
    )
    return motion.positions, motion.links


def made_up(rng: np.random.Generator, builder: GraphBuilder) -> Motion:
    """Give batches of such clips, new ones each time."""

    def draw(count: int) -> tuple[object, Tensor, None]:
        positions, _ = planted(rng, count)
        return builder.batch(PUPPET, [1] * count), torch.from_numpy(positions).flatten(0, 1), None

    return draw


def recorded(clips: list[Clip], rng: np.random.Generator, builder: GraphBuilder) -> Motion:
    """Give batches of recordings, cut to as many frames, bodies about their centre."""
    dataset = SkeletonDataset(clips, num_frames=FRAMES, transform=Center(), training=True)

    def draw(count: int) -> tuple[object, Tensor, Tensor | None]:
        batch = collate([dataset[int(n)] for n in rng.integers(len(dataset), size=count)], builder)
        return batch.graph, batch.feat, batch.mask

    return draw


def warm_up(aim: AIM, draw: Motion, steps: int, batch_size: int) -> None:
    """Train by AIM's own loss, the divergence from the prior rising to its full weight."""
    optimizer = torch.optim.Adam(aim.parameters(), lr=1e-2)
    for step in range(1, steps + 1):
        graph, feat, mask = draw(batch_size)
        losses = aim.loss(graph, feat, mask, kl_weight=min(1.0, step / (0.4 * steps)))
        optimizer.zero_grad()
        losses.loss.backward()
        optimizer.step()
        if step % max(1, steps // 5) == 0:
            print(f"step {step}: prediction {losses.reconstruction:.1f}, links {losses.kl:.2f}")
    aim.eval()


@torch.no_grad()
def link_probabilities(aim: AIM, graph: object, feat: Tensor, mask: Tensor | None) -> np.ndarray:
    """Probability that there is a link, (bodies, V, V): from the second joint to the first."""
    prob = aim(graph, feat, mask).prob
    pairs = prob[:, 0].numpy()
    joints = len(pairs) // len(feat) + 1  # each joint hears from all others of its body
    matrix = np.zeros((len(feat) // joints, joints, joints))
    matrix[:, ~np.eye(joints, dtype=bool)] = 1 - pairs.reshape(len(matrix), -1)
    return matrix


def hits(prob: np.ndarray, links: np.ndarray) -> float:
    """Share of clips whose most probable pair, either way, is the planted one, in per cent."""
    both, true = prob + prob.swapaxes(1, 2), links | links.swapaxes(1, 2)
    best = both.reshape(len(both), -1).argmax(axis=1)
    return 100 * float(true.reshape(len(true), -1)[np.arange(len(true)), best].mean())


def main(arguments: list[str] | None = None) -> dict[str, float]:
    """Train on motions, read out the links, draw them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", type=Path, help="a store of one skeleton, made by 'prepare'")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--hidden", type=int, default=32, help="128 in the paper")
    parser.add_argument("--types", type=int, default=1)
    parser.add_argument("--ghost-prior", type=float, default=0.9)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("links"))
    options = parser.parse_args(arguments)
    torch.manual_seed(options.seed)
    rng = np.random.default_rng(options.seed)

    builder = GraphBuilder(max_hop=1, num_actional=options.types)
    if options.store is None:
        layout, dims, draw = PUPPET, 2, made_up(rng, builder)
    else:
        store = open_store(options.store)
        clips = [store.read(number) for number in range(len(store))]
        layout, dims = clips[0].layout, clips[0].pos.shape[3]
        draw = recorded(clips, rng, builder)
    aim = AIM(
        dims,
        options.types,
        num_frames=FRAMES,
        hidden_feats=options.hidden,
        dropout=0.0,
        ghost_prior=options.ghost_prior,
        variance=3e-3,
    )
    warm_up(aim, draw, options.steps, options.batch_size)

    found = {}
    if options.store is None:
        positions, links = planted(np.random.default_rng(options.seed + 1), 400)
        graph = builder.batch(layout, [1] * len(positions))
        prob = link_probabilities(aim, graph, torch.from_numpy(positions).flatten(0, 1), None)
        found["hits"] = hits(prob, links)
        print(f"the planted pair is the most probable one in {found['hits']:.0f} % of new clips "
              "(chance 7 %)")  # fmt: skip
        shown = {f"clip {n}": prob[n] for n in range(3)}
    else:
        prob = link_probabilities(aim, *draw(64))
        shown = {"mean of 64 clips": prob.mean(axis=0)}
    strongest = 2 if options.store is None else 15
    figure = viz.draw_class_links(layout, shown, threshold=None, strongest=strongest)
    viz.save_figure(figure, options.out / "links.png")
    viz.save_figure(viz.draw_link_matrices(layout, prob.mean(axis=0)), options.out / "matrix.png")
    return found


if __name__ == "__main__":
    main()
