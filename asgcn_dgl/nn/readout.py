"""Readout: means over the joints, frames and bodies that exist."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from asgcn_dgl.ops.frames import as_mask, clip_index, frame_sums, group_mean
from asgcn_dgl.skeleton.graph import structure_of

AXES = ("joints", "frames", "bodies")


class MeanReadout(nn.Module):
    r"""Mean over the joints, frames and bodies that exist (Sec. 4.4).

    .. math::

        y_b = \frac{\sum_{(i, t) \in b} m_{i,t} \, x_{i,t}}{\sum_{(i, t) \in b} m_{i,t}}

    where :math:`m_{i,t}` is 1 where joint i exists in frame t and 0 elsewhere, and the sums run
    over one clip b, or over what is left of it by `over`.

    Parameters
    ----------
    over
        What to average over: some of ``"joints"``, ``"frames"`` and ``"bodies"``. ``"bodies"``
        needs ``"joints"`` too.

    Raises
    ------
    ValueError
        If `over` is empty, or holds something else, or ``"bodies"`` without ``"joints"``.

    Examples
    --------
    >>> import torch
    >>> from asgcn_dgl.nn import MeanReadout
    >>> from asgcn_dgl.skeleton import GraphBuilder
    >>> graph = GraphBuilder().structure("coco17", [1, 3])
    >>> feat = torch.randn(68, 10, 8)
    >>> MeanReadout()(graph, feat).shape, MeanReadout(over=("joints", "frames"))(graph, feat).shape
    (torch.Size([2, 8]), torch.Size([4, 8]))
    """

    def __init__(self, over: Sequence[str] = AXES) -> None:
        super().__init__()
        chosen = (over,) if isinstance(over, str) else tuple(over)
        if not chosen or set(chosen) - set(AXES) or len(set(chosen)) < len(chosen):
            raise ValueError(f"over must be some of {AXES}, got {over!r}")
        if "bodies" in chosen and "joints" not in chosen:
            raise ValueError(f"over must hold 'joints' where it holds 'bodies', got {over!r}")
        self.over = chosen

    def forward(self, graph: Any, feat: Tensor, mask: Tensor | None = None) -> Tensor:
        """Average (N, T, D), or (N, D) of one frame.

        The result is (B, D) over joints and bodies, (M, D) over joints, (N, D) over frames alone;
        (B, T, D) and (M, T, D) where frames are kept. It is 0 where nothing exists. A mean over
        joints but not bodies needs a graph of a :class:`~asgcn_dgl.skeleton.GraphBuilder`.
        """
        if feat.dim() not in (2, 3) or feat.shape[0] != graph.num_nodes():
            raise ValueError(
                f"feat must be (joints, frames, features) or (joints, features) with "
                f"{graph.num_nodes()} joints, got shape {tuple(feat.shape)}"
            )
        mask = as_mask(mask, feat)
        total, count = frame_sums(feat, mask, keep_frames="frames" not in self.over)
        if "joints" not in self.over:
            return (total / count.clamp(min=1).unsqueeze(-1)).to(feat.dtype)
        if "bodies" in self.over:
            index, groups = clip_index(graph), graph.batch_size
        else:
            index, groups = _body_index(graph)
        return group_mean(total, count, index, groups).to(feat.dtype)

    def extra_repr(self) -> str:
        """Say what is averaged over."""
        return f"over={self.over}"


def _body_index(graph: Any) -> tuple[Tensor, int]:
    """Return which body each joint is of, (N,), and how many bodies there are."""
    structure = structure_of(graph)
    if structure is None:
        raise ValueError(
            "graph must be made by GraphBuilder for a mean over joints but not bodies: it does "
            "not say which body a joint is of"
        )
    joint = structure.in_graph_order().joint
    index = (joint == 0).long().cumsum(dim=0) - 1
    if structure.joints_first:
        index = structure.rows_joints_first(index)
    return index, sum(part.bodies for part in structure.parts)
