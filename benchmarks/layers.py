"""ASGConv beside the dense formula: ``python -m benchmarks.layers``."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch

from asgcn_dgl.nn import ASGConv
from asgcn_dgl.skeleton import GraphBuilder, get_layout
from benchmarks.measure import ALLOCATORS, child, in_turn, matmul_peak, parser, peak_mib, report
from benchmarks.rivals import DenseASGC

LAYOUT = "ntu25"


@dataclass(frozen=True)
class Case:
    """A size of the layer, and what is timed of it."""

    bodies: int
    frames: int
    feats: int
    backward: bool
    max_hop: int = 4
    num_actional: int = 3

    @property
    def name(self) -> str:
        """Say the size."""
        way = "forward + backward" if self.backward else "forward"
        return (
            f"ASGConv {self.feats}->{self.feats}, {self.bodies} x 25 x {self.frames}, "
            f"L={self.max_hop} C={self.num_actional}, {way}"
        )

    @property
    def useful_flop(self) -> float:
        """Multiplications and additions of the transforms that no formula can do without.

        One for each joint where relations are diagonal, one for each joint on the smaller side of
        every other structural relation, one for each joint and actional type.
        """
        layout = get_layout(LAYOUT)
        template = GraphBuilder(max_hop=self.max_hop).template(layout)
        transforms = layout.num_joints * (1 + self.num_actional)
        for low, high in zip(template.bounds[:-1], template.bounds[1:], strict=True):
            src, dst = template.src[low:high], template.dst[low:high]
            if not (src == dst).all():
                transforms += min(len(set(src)), len(set(dst)))
        passes = 3 if self.backward else 1
        return 2.0 * passes * transforms * self.bodies * self.frames * self.feats**2


CASES = [
    Case(16, frames, feats, backward)
    for frames, feats in ((300, 64), (150, 128), (75, 256))
    for backward in (False, True)
]


def calls(case: Case) -> dict[str, Callable[[], Any]]:
    """What is timed: ours and the rival, each ready to be called."""
    torch.manual_seed(0)
    layout = get_layout(LAYOUT)
    builder = GraphBuilder(max_hop=case.max_hop, num_actional=case.num_actional)
    return {"ours": _ours(case, layout, builder), "rival": _rival(case, layout, builder)}


def _ours(case: Case, layout: Any, builder: GraphBuilder) -> Callable[[], Any]:
    graph = builder.batch(layout, [1] * case.bodies)
    layer = ASGConv(case.feats, case.feats, case.max_hop, case.num_actional, layouts=layout)
    feat = torch.randn(graph.num_nodes(), case.frames, case.feats)
    links = torch.rand(graph.num_edges("actional_1"), case.num_actional)
    return _timed(case, layer.parameters(), [feat, links], lambda: layer(graph, feat, links))


def _rival(case: Case, layout: Any, builder: GraphBuilder) -> Callable[[], Any]:
    joints = layout.num_joints
    layer = DenseASGC(layout, case.feats, case.feats, builder)
    feat = torch.randn(case.bodies, case.feats, case.frames, joints)
    links = torch.rand(case.bodies, case.num_actional, joints, joints)
    return _timed(case, layer.parameters(), [feat, links], lambda: layer(feat, links))


def _timed(case: Case, parameters: Any, inputs: list[Any], run: Callable[[], Any]) -> Any:
    if not case.backward:
        return torch.no_grad()(run)
    wanted = [*parameters, *(tensor.requires_grad_() for tensor in inputs)]

    def both_ways() -> None:
        out = run()
        torch.autograd.grad(out, wanted, torch.ones_like(out))

    return both_ways


def _child(request: dict[str, Any]) -> Any:
    """Answer the parent: seconds of both in turn, or the peak memory of one."""
    torch.set_num_threads(request["threads"])
    case = Case(**request["case"])
    if request["only"] is None:
        return {**in_turn(calls(case), request["repeats"]), "peak": matmul_peak()}
    layout = get_layout(LAYOUT)
    builder = GraphBuilder(max_hop=case.max_hop, num_actional=case.num_actional)
    call = (_ours if request["only"] == "ours" else _rival)(case, layout, builder)
    before = peak_mib()
    call()
    call()
    return peak_mib() - before


def measure(case: Case, allocator: str, repeats: int, threads: int) -> dict[str, Any]:
    """One row of the table, from child processes."""

    def ask(only: str | None) -> Any:
        request = {"case": asdict(case), "repeats": repeats, "threads": threads, "only": only}
        return child("benchmarks.layers", ["--child", json.dumps(request)], allocator)

    seconds = ask(None)
    return {
        "work": case.name,
        "rival": "dense 1x1 convolution and einsum in (B, D, T, V) layout",
        "allocator": allocator,
        "ours_seconds": seconds["ours"],
        "rival_seconds": seconds["rival"],
        "ratio": seconds["rival"] / seconds["ours"],
        "ours_peak_mib": ask("ours"),
        "rival_peak_mib": ask("rival"),
        "peak_share": case.useful_flop / seconds["ours"] / seconds["peak"],
    }


def main() -> None:
    """Measure and report."""
    if sys.argv[1:2] == ["--child"]:
        print(json.dumps(_child(json.loads(sys.argv[2]))))
        return
    options = parser(__doc__ or "").parse_args()
    cases = CASES[:2] if options.quick else CASES
    repeats = min(options.repeats, 3) if options.quick else options.repeats
    rows = [
        measure(case, allocator, repeats, options.threads)
        for case in cases
        for allocator in ALLOCATORS
    ]
    report(rows, options.json)


if __name__ == "__main__":
    main()
