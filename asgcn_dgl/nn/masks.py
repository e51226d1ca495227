"""Learnable edge masks M, kept for each layout."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from asgcn_dgl.skeleton import GraphBuilder, SkeletonLayout


class EdgeMasks(nn.Module):
    r"""Masks :math:`M^{(p,l)}` on the non-zeros of the structural operators (Eq. 5).

    One flat parameter for each layout, so that one layer serves clips of several layouts.

    Parameters
    ----------
    layouts
        Layouts whose graphs the layer will see.
    builder
        Builder of those graphs.

    Raises
    ------
    ValueError
        If no layout is given or two share a name.
    """

    def __init__(
        self, layouts: SkeletonLayout | Sequence[SkeletonLayout], builder: GraphBuilder
    ) -> None:
        super().__init__()
        layouts = as_layouts(layouts)
        self.values = nn.ParameterDict()
        self.offsets: dict[int, int] = {}
        begin = 0
        for layout in layouts:
            template = builder.template(layout)
            self.values[layout.name] = nn.Parameter(torch.empty(len(template.weight)))
            self.offsets.setdefault(template.key, begin)
            begin += len(template.weight)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set every mask to 1: the operator itself."""
        for value in self.values.values():
            nn.init.ones_(value)

    def forward(self) -> Tensor:
        """Flat table of the masks of all layouts, (S,)."""
        values = list(self.values.values())
        return values[0] if len(values) == 1 else torch.cat(values)

    def extra_repr(self) -> str:
        """Say which layouts there are masks for."""
        return f"layouts={list(self.values)}"


def as_layouts(layouts: SkeletonLayout | Sequence[SkeletonLayout]) -> tuple[SkeletonLayout, ...]:
    """One or several layouts as a tuple, names checked to be distinct."""
    found = (layouts,) if isinstance(layouts, SkeletonLayout) else tuple(layouts)
    names = [layout.name for layout in found]
    if not found or len(set(names)) != len(names):
        raise ValueError(f"layouts must be one or more with distinct names, got {names}")
    return found
