"""Time and memory against size: ``python -m benchmarks.scaling``.

One size of an ASGConv layer, forward + backward, is changed at a time.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from asgcn_dgl.nn import ASGConv
from asgcn_dgl.skeleton import GraphBuilder, SkeletonLayout
from benchmarks.layers import timed
from benchmarks.measure import Call, call_mib, child, machine, parser, repeats_of, write_rows


@dataclass(frozen=True)
class Point:
    """A size of the layer."""

    bodies: int = 8
    frames: int = 75
    joints: int = 25
    max_hop: int = 4
    num_actional: int = 3
    feats: int = 64


SWEEPS: dict[str, tuple[int, ...]] = {
    "bodies": (1, 2, 4, 8, 16, 32),
    "frames": (20, 75, 150, 300),
    "joints": (17, 25, 68, 133, 543),
    "max_hop": (1, 2, 4, 8),
    "num_actional": (1, 2, 3, 5, 8),
}
QUICK = {name: values[:2] for name, values in SWEEPS.items()}
JOINTS_ALONE = replace(Point(), bodies=1, frames=30)  # 543 joints have 294,306 A-links a body


def points(sweeps: dict[str, tuple[int, ...]]) -> list[tuple[str, Point]]:
    """All sizes, each with the name of what is changed."""
    return [
        (name, replace(JOINTS_ALONE if name == "joints" else Point(), **{name: value}))
        for name, values in sweeps.items()
        for value in values
    ]


def tree(joints: int) -> SkeletonLayout:
    """A skeleton of any size: limbs of five joints on a spine."""
    bones = [
        (max(joint - 5, 0) if joint % 5 == 0 else joint - 1, joint) for joint in range(1, joints)
    ]
    return SkeletonLayout.from_bones(f"tree{joints}", bones, num_joints=joints)


def layer(point: Point) -> Call:
    """The layer of a size, forward + backward."""
    layout = tree(point.joints)
    graph = GraphBuilder(max_hop=point.max_hop, num_actional=point.num_actional).structure(
        layout, [1] * point.bodies
    )
    conv = ASGConv(point.feats, point.feats, point.max_hop, point.num_actional)
    feat = torch.randn(graph.num_nodes(), point.frames, point.feats)
    links = torch.rand(graph.num_edges("actional_1"), point.num_actional)
    return timed(True, conv, [feat, links], lambda: conv(graph, feat, links))


def _answer(request: dict[str, Any]) -> dict[str, float]:
    torch.set_num_threads(request["threads"])
    call = layer(Point(**request["point"]))
    mib = call_mib(call)
    times = []
    for _ in range(request["repeats"]):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return {"seconds": statistics.median(times), "peak_mib": mib}


def plot(rows: list[dict[str, Any]], file: Path) -> None:
    """Draw time and memory, a column for each size that is changed."""
    from matplotlib.figure import Figure

    names = list(dict.fromkeys(row["changed"] for row in rows))
    figure = Figure(figsize=(3 * len(names), 5), layout="constrained")
    axes = figure.subplots(2, len(names), squeeze=False, sharex="col")
    for column, name in enumerate(names):
        found = [row for row in rows if row["changed"] == name]
        sizes = [row[name] for row in found]
        for axis, key, label in zip(
            axes[:, column], ("seconds", "peak_mib"), ("seconds", "peak MiB"), strict=True
        ):
            axis.plot(sizes, [row[key] for row in found], "o-", color="#0072b2")
            axis.set(ylabel=label if column == 0 else None, xlim=(0, None), ylim=(0, None))
        axes[1, column].set_xlabel(name)
    figure.savefig(file)


def main() -> None:
    """Measure, print and draw."""
    if sys.argv[1:2] == ["--child"]:
        print(json.dumps(_answer(json.loads(sys.argv[2]))))
        return
    made = parser(__doc__ or "")
    made.add_argument("--plot", type=Path, metavar="FILE", help="draw time and memory into FILE")
    options = made.parse_args()
    repeats = repeats_of(options)
    print(machine(options.threads))
    print(f"{'changed':<13} {'size':>5} {'seconds':>9} {'MiB':>7}")
    rows = []
    for name, point in points(QUICK if options.quick else SWEEPS):
        request = {"point": vars(point), "repeats": repeats, "threads": options.threads}
        found = child("benchmarks.scaling", ["--child", json.dumps(request)], "default")
        rows.append({"changed": name, **vars(point), **found})
        print(
            f"{name:<13} {getattr(point, name):>5} {found['seconds']:>9.4f} "
            f"{found['peak_mib']:>7.0f}",
            flush=True,
        )
        write_rows(rows, options.json)
    if options.plot is not None:
        plot(rows, options.plot)


if __name__ == "__main__":
    main()
