from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from asgcn_dgl.data import Clip
from asgcn_dgl.skeleton import SkeletonLayout, get_layout


@pytest.fixture
def chain() -> SkeletonLayout:
    """Hip (centre) with a left and a right hand, spine from hip to head."""
    return SkeletonLayout.from_bones(
        "chain4",
        [("hip", "head"), ("hip", "left"), ("hip", "right")],
        joints=["hip", "head", "left", "right"],
        center="hip",
        mirror=[("left", "right")],
        spine=("hip", "head"),
        shoulders=("right", "left"),
    )


@pytest.fixture
def make_clip() -> Callable[..., Clip]:
    """Random clip; ``hole`` is the share of missing joints."""

    def make(
        bodies: int = 1,
        frames: int = 30,
        layout: str | SkeletonLayout = "ntu25",
        *,
        dims: int = 3,
        seed: int = 0,
        hole: float = 0.0,
        label: int = -1,
    ) -> Clip:
        rng = np.random.default_rng(seed)
        skeleton = get_layout(layout)
        pos = rng.normal(size=(bodies, frames, skeleton.num_joints, dims))
        mask = rng.random(pos.shape[:3]) >= hole
        return Clip.from_positions(f"clip{seed}", skeleton, pos, mask, label)

    return make


def _ntu_text(frames: list[list[tuple[int, np.ndarray, int]]]) -> str:
    """Text of a recording; a frame is a list of (identity, (25, 3) positions, tracking state)."""
    lines = [str(len(frames))]
    for bodies in frames:
        lines.append(str(len(bodies)))
        for identity, joints, state in bodies:
            lines += [f"{identity} 0 1 1 1 1 0 0.01 -0.02 2", str(len(joints))]
            for x, y, z in joints:
                lines.append(f"{x:.6g} {y:.6g} {z:.6g} 200 200 900 500 0.1 0.2 0.3 0.4 {state}")
    return "\n".join(lines) + "\n"


@pytest.fixture
def ntu_text() -> Callable[[list[list[tuple[int, np.ndarray, int]]]], str]:
    return _ntu_text


@pytest.fixture
def write_ntu(tmp_path: Path) -> Callable[..., Path]:
    """Write a small valid recording of one moving body and return its path."""

    def write(
        name: str = "S001C001P001R001A001", frames: int = 3, folder: Path | None = None
    ) -> Path:
        rng = np.random.default_rng(0)
        path = (folder or tmp_path) / f"{name}.skeleton"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_ntu_text([[(7, rng.normal(size=(25, 3)), 2)] for _ in range(frames)]))
        return path

    return write


@pytest.fixture
def write_nw_ucla(tmp_path: Path) -> Callable[..., Path]:
    """Write a valid NW-UCLA sequence, or one with other entries, and return its path."""

    def write(name: str = "a08_s02_e01_v03", frames: int = 3, **entries: object) -> Path:
        pos = np.random.default_rng(0).normal(size=(frames, 20, 3))
        content = {"file_name": name, "skeletons": pos.tolist(), "label": 7, **entries}
        path = tmp_path / f"{name}.json"
        path.write_text(json.dumps({key: e for key, e in content.items() if e is not None}))
        return path

    return write
