"""Learnable parts that are added to the structural operators, kept for each layout."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from asgcn_dgl.nn.masks import as_layouts, parameter_name
from asgcn_dgl.skeleton import GraphBuilder, SkeletonLayout

SPREAD = 1e-3  # of the offsets to begin with: links that are not there yet hardly weigh


class StructuralOffsets(nn.Module):
    r"""Matrices :math:`B^{(r)}` added to structural operators (2s-AGCN's learnt graph).

    .. math::

        X' = \sum_{r} B^{(r)} X W^{(r)}

    is what they add to Eq. 5, with the weights :math:`W^{(r)}` of the first relations. A mask M
    can only weigh links that the skeleton has; an offset can join any two joints of a body.

    Shi et al., *Two-Stream Adaptive Graph Convolutional Networks*, CVPR 2019 (there
    :math:`B_k`).

    Parameters
    ----------
    layouts
        Layouts whose graphs the layer will see; those of equal structure share theirs.
    builder
        Builder of those graphs.
    relations
        Relations that get an offset, the first of the layer's.

    Raises
    ------
    ValueError
        If no layout is given or two share a name.
    """

    def __init__(
        self,
        layouts: SkeletonLayout | str | Sequence[SkeletonLayout | str],
        builder: GraphBuilder,
        relations: int,
    ) -> None:
        super().__init__()
        self.relations = relations
        self.values = nn.ParameterDict()
        self._names: dict[int, str] = {}
        for layout in as_layouts(layouts):
            key = builder.template(layout).key
            if key not in self._names:
                self._names[key] = parameter_name(layout)
                shape = (relations, layout.num_joints, layout.num_joints)
                self.values[self._names[key]] = nn.Parameter(torch.empty(shape))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw small offsets: with zeros the weights' and their gradients could not tell apart."""
        for value in self.values.values():
            nn.init.normal_(value, std=SPREAD)

    def forward(self, graph: Any, feat: Tensor, weight: Tensor) -> Tensor:
        """Sum over the relations that have an offset.

        Parameters
        ----------
        graph
            Batch of a :class:`~asgcn_dgl.skeleton.GraphBuilder`.
        feat
            (N, ..., D).
        weight
            (R, D, O) of all relations of the layer.

        Returns
        -------
        Tensor
            (N, ..., O).
        """
        flat = feat.reshape(feat.shape[0], -1, feat.shape[-1])  # (N, F, D)
        chosen = weight[: self.relations]
        if len(self.values) == 1:
            out = self._mix(flat, next(iter(self.values.values())), chosen)
        else:
            out = flat.new_zeros(*flat.shape[:2], weight.shape[-1])
            for key, name in self._names.items():
                place = (graph.ndata["structure"] == key).nonzero().squeeze(-1)
                part = self._mix(flat[place], self.values[name], chosen)
                out = out.index_copy(0, place, part.to(out.dtype))
        return out.reshape(*feat.shape[:-1], weight.shape[-1])

    @staticmethod
    def _mix(feat: Tensor, offset: Tensor, weight: Tensor) -> Tensor:
        """All bodies of one layout: (N, F, D), (R, V, V) and (R, D, O) to (N, F, O)."""
        relations, joints, _ = offset.shape
        nodes, frames, feats = feat.shape
        bodies = feat.reshape(nodes // joints, joints, frames * feats)
        # (R V, V) @ (bodies, V, F D): every relation's sum in one product
        sums = torch.matmul(offset.reshape(relations * joints, joints), bodies)
        sums = sums.view(nodes // joints, relations, joints, frames, feats)
        total = torch.matmul(sums[:, 0], weight[0])
        for number in range(1, relations):
            total = total + torch.matmul(sums[:, number], weight[number])
        return total.reshape(nodes, frames, weight.shape[-1])

    def extra_repr(self) -> str:
        """Say for how many relations there are offsets."""
        return f"relations={self.relations}"
