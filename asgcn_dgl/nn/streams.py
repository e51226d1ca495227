"""Several input streams in one model: joints, bones and their motions, made from positions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from asgcn_dgl.nn.masks import as_layouts
from asgcn_dgl.skeleton import GraphBuilder, SkeletonLayout
from asgcn_dgl.skeleton.batch import Part
from asgcn_dgl.skeleton.graph import structure_of

FOUR_STREAMS = ("joint", "bone", "joint_motion", "bone_motion")
INPUT_STREAMS = (*FOUR_STREAMS, "long_bone", "long_bone_motion")


class StreamFeatures(nn.Module):
    """Features of streams from positions, frame by frame; there are no parameters.

    A bone is a joint minus its parent toward the layout's center, 0 at the center; a long bone is a
    joint minus its parent's parent, where the center is its own parent; a motion is the next frame
    minus this one, 0 in the last frame. A bone exists where both its ends do, a motion where both
    its frames do (the last frame counts with its own).

    Parameters
    ----------
    layouts
        Layouts whose graphs the module will see.
    builder
        Builder of those graphs.
    streams
        Names out of ``joint``, ``bone``, ``joint_motion``, ``bone_motion``, ``long_bone``,
        ``long_bone_motion``, each once.

    Examples
    --------
    >>> import torch
    >>> from asgcn_dgl.nn import StreamFeatures
    >>> from asgcn_dgl.skeleton import GraphBuilder, SkeletonLayout
    >>> pair = SkeletonLayout.from_bones("pair", [(0, 1)], center=0)
    >>> builder = GraphBuilder(max_hop=1, num_actional=0)
    >>> feat = torch.tensor([[[1.0], [1.0]], [[3.0], [4.0]]])
    >>> (bone, _), (motion, _) = StreamFeatures(pair, builder, ("bone", "joint_motion"))(
    ...     builder.structure(pair), feat)
    >>> bone.squeeze(-1).tolist(), motion.squeeze(-1).tolist()
    ([[0.0, 0.0], [2.0, 3.0]], [[0.0, 0.0], [1.0, 0.0]])
    """

    def __init__(
        self,
        layouts: SkeletonLayout | str | Sequence[SkeletonLayout | str],
        builder: GraphBuilder,
        streams: Sequence[str] = FOUR_STREAMS,
    ) -> None:
        super().__init__()
        unknown = set(streams) - set(INPUT_STREAMS)
        if not streams or unknown or len(set(streams)) != len(streams):
            raise ValueError(
                f"streams must be names out of {INPUT_STREAMS}, each once, got {tuple(streams)}"
            )
        self.streams = tuple(streams)
        self._keys: list[int] = []
        for number, layout in enumerate(as_layouts(layouts)):
            parents = np.asarray(layout.parents)
            step = np.where(parents < 0, 0, parents - np.arange(layout.num_joints))
            # From a joint to its parent, in joints; a buffer, to go where the model goes.
            self.register_buffer(f"_steps_{number}", torch.from_numpy(step), persistent=False)
            self._keys.append(builder.template(layout).key)

    def forward(
        self, graph: Any, feat: Tensor, mask: Tensor | None = None
    ) -> list[tuple[Tensor, Tensor | None]]:
        """Return features (N, T, D) and mask (N, T), or None, of each stream."""
        made = {"joint": (feat, mask)}
        for kind in ("bone", "long_bone"):
            if any(name.startswith(kind) for name in self.streams):
                there, end = mask, feat
                for _ in range(1 if kind == "bone" else 2):
                    there = None if there is None else self._at_parents(graph, there)
                    end = self._at_parents(graph, end)
                exists = None if mask is None or there is None else mask & there
                made[kind] = (feat - end, exists)
        for name in ("joint_motion", "bone_motion", "long_bone_motion"):
            if name in self.streams:
                made[name] = _motion(*made[name.removesuffix("_motion")])
        return [made[name] for name in self.streams]

    def _at_parents(self, graph: Any, rows: Tensor) -> Tensor:
        """Return the rows (N, ...) of each joint's parent; the center's is itself."""
        structure = structure_of(graph)
        if structure is None:
            return rows.index_select(0, self._parents(graph))

        def parents(part: Part) -> Tensor:
            steps: Tensor = getattr(self, f"_steps_{self._keys.index(part.template.key)}")
            return steps + torch.arange(len(steps), device=steps.device)

        return structure.at_joints(rows, parents)

    def _parents(self, graph: Any) -> Tensor:
        """Return the node of each joint's parent in a DGL graph, (N,); the center's is itself."""
        joint, structure = graph.ndata["joint"], graph.ndata["structure"]
        node = torch.arange(len(joint), device=joint.device)
        step = torch.zeros_like(node)
        for number, key in enumerate(self._keys):
            steps = getattr(self, f"_steps_{number}")
            step = torch.where(structure == key, steps[joint.clamp(max=len(steps) - 1)], step)
        return node + step

    def extra_repr(self) -> str:
        """Say the streams."""
        return f"streams={self.streams}"


def _motion(feat: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """Return the next frame minus this one, 0 in the last, and where both exist."""
    moved = torch.cat([feat[:, 1:] - feat[:, :-1], torch.zeros_like(feat[:, :1])], dim=1)
    if mask is None:
        return moved, None
    return moved, torch.cat([mask[:, :-1] & mask[:, 1:], mask[:, -1:]], dim=1)
