"""Learnable parts that are added to the structural operators, kept for each layout."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from asgcn_dgl.nn.masks import as_layouts, parameter_name
from asgcn_dgl.skeleton import GraphBuilder, SkeletonLayout

SPREAD = 1e-3  # of the offsets to begin with: links that are not there yet hardly weigh


class StructuralOffsets(nn.Module):
    r"""Matrices :math:`B^{(r)}` added to structural operators (2s-AGCN's learned graph).

    .. math::

        X' = \sum_{r} B^{(r)} X W^{(r)}

    is what they add to Eq. 5, with the weights :math:`W^{(r)}` of the first ``relations``. A mask M
    can only weigh links that the skeleton has; an offset can join any two joints of a body. Layouts
    of equal structure share theirs; ``builder`` is that of the graphs.

    Shi et al., *Two-Stream Adaptive Graph Convolutional Networks*, CVPR 2019 (there :math:`B_k`).
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
        """Draw small offsets: with zeros the weights' and their gradients would be proportional."""
        for value in self.values.values():
            nn.init.normal_(value, std=SPREAD)

    def by_structure(self) -> dict[int, Tensor]:
        """Return the offsets (relations, V, V) of each structure by its key."""
        return {key: self.values[name] for key, name in self._names.items()}

    def extra_repr(self) -> str:
        """Say for how many relations there are offsets."""
        return f"relations={self.relations}"
