"""Several persons: whether someone follows the other person, or themselves.

Two people with a head and two hands each. In every clip one joint follows another, of the same
person or of the other. ``across_bodies`` infers A-links over all joints of a clip together, so
that a link can lead from body to body; links within bodies cannot tell the two apart.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from asgcn_dgl import viz
from asgcn_dgl.data.coupled import coupled_motion
from asgcn_dgl.models import ASGCN
from asgcn_dgl.nn import AIM
from asgcn_dgl.skeleton import GraphBuilder, SkeletonLayout

FRAMES, BODIES = 30, 2
KINDS = ("follows oneself", "follows the other")
PERSON = SkeletonLayout.from_bones(
    "person",
    [("head", "left_hand"), ("head", "right_hand")],
    center="head",
    pose=[[0, 2], [1, 0], [-1, 0]],
)
JOINTS = PERSON.num_joints
BUILDER = GraphBuilder(max_hop=1, num_actional=1, across_bodies=True)


def draw(count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw positions (B, M V, T, 2) and who follows whom, (B, M V, M V)."""
    motion = coupled_motion(
        count,
        BODIES * JOINTS,
        FRAMES,
        num_dims=2,
        num_links=1,
        couplings=("plain",),
        smoothness=1.5,
        rng=rng,
    )
    return motion.positions, motion.links


def as_batch(positions: np.ndarray) -> tuple[object, Tensor]:
    """Join clips of two bodies each; nodes stand in the order clip, body, joint."""
    graph = BUILDER.batch(PERSON, [BODIES] * len(positions))
    return graph, torch.from_numpy(positions).flatten(0, 1)


def warm_up(aim: AIM, steps: int, batch_size: int, rng: np.random.Generator) -> None:
    """Train the links by their own loss: poses are predicted along them."""
    optimizer = torch.optim.Adam(aim.parameters(), lr=1e-2)
    for step in range(1, steps + 1):
        graph, feat = as_batch(draw(batch_size, rng)[0])
        loss = aim.loss(graph, feat, kl_weight=min(1.0, step / (0.4 * steps))).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    aim.eval()


@torch.no_grad()
def infer(aim: AIM, positions: np.ndarray) -> np.ndarray:
    """Probability of a link, (B, M V, M V), entry [b, i, j] being that from joint j to joint i."""
    graph, feat = as_batch(positions)
    prob = aim(graph, feat).prob[:, 1].numpy()
    size = BODIES * JOINTS
    links = np.zeros((len(positions), size, size))
    links[:, ~np.eye(size, dtype=bool)] = prob.reshape(len(positions), -1)
    return links


def leads_across(links: np.ndarray) -> np.ndarray:
    """Whether the strongest link of each clip joins the two bodies, (B,)."""
    receiver, sender = np.divmod(links.reshape(len(links), -1).argmax(axis=1), links.shape[1])
    return receiver // JOINTS != sender // JOINTS


def show(positions: np.ndarray, links: np.ndarray, kind: int, folder: Path) -> None:
    """Show a clip in motion, the links between the persons drawn: a GIF and a page."""
    bodies = positions.reshape(BODIES, JOINTS, FRAMES, 2).swapaxes(1, 2)
    place = np.asarray(PERSON.pose)[None, None] + [[[[0, 0]]], [[[4, 0]]]]
    exhibit = viz.Exhibit(
        KINDS[kind],
        PERSON,
        place + bodies,
        np.ones(bodies.shape[:3], dtype=bool),
        links=links[None],
    )
    viz.animate(folder / "persons.gif", exhibit, threshold=0.5, rate=10, dpi=60)
    row = viz.Row(exhibit.name, bodies=BODIES, frames=FRAMES)
    page = viz.Page("Two persons", "links across bodies", [row], [exhibit])
    viz.write_page(folder / "persons.html", page)


def make_model(aim: AIM, classes: int, hidden: int) -> ASGCN:
    """Make a recogniser that starts from the links; its graph builder joins bodies too."""
    model = ASGCN(
        PERSON,
        classes,
        in_feats=2,
        channels=[16, 16],
        strides=[2, 1],
        max_hop=1,
        num_actional=1,
        across_bodies=True,
        aim_frames=FRAMES,
        aim_hidden=hidden,
        future_frames=0,
    )
    model.aim.load_state_dict(aim.state_dict())
    return model


def main(arguments: list[str] | None = None) -> dict[str, float]:
    """Train the links, tell the two kinds of clips apart by them, show one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--hidden", type=int, default=32, help="128 in the paper")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("persons"))
    options = parser.parse_args(arguments)
    torch.manual_seed(options.seed)
    aim = AIM(
        2,
        num_actional=1,
        num_frames=FRAMES,
        hidden_feats=options.hidden,
        dropout=0.0,
        ghost_prior=0.9,
        variance=3e-3,
    )
    warm_up(aim, options.steps, options.batch_size, np.random.default_rng(options.seed))
    positions, planted = draw(400, np.random.default_rng(options.seed + 1))
    links = infer(aim, positions)
    truth = leads_across(planted)
    right = 100 * float((leads_across(links) == truth).mean())
    always = 100 * max(truth.mean(), 1 - truth.mean())
    print(f"who is followed: right in {right:.0f} % of new clips (the commoner: {always:.0f} %)")
    clip = int(np.flatnonzero(truth)[0])
    show(positions[clip], links[clip], 1, options.out)

    model = make_model(aim, len(KINDS), options.hidden).eval()
    with torch.no_grad():
        out = model(*as_batch(positions[:4]))
    print(f"a recogniser over these links: {tuple(out.logits.shape)} logits for 4 clips")
    return {"right": right, "always": always}


if __name__ == "__main__":
    main()
