"""Learnable edge masks M, kept for each layout."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from asgcn_dgl.skeleton import GraphBuilder, SkeletonLayout, get_layout


class EdgeMasks(nn.Module):
    """Masks :math:`M^{(p,l)}` on the non-zeros of the structural operators (Eq. 5).

    One flat parameter for each structure, so that one layer serves clips of several layouts;
    layouts of equal structure share theirs. ``builder`` is that of the graphs.
    """

    def __init__(
        self,
        layouts: SkeletonLayout | str | Sequence[SkeletonLayout | str],
        builder: GraphBuilder,
    ) -> None:
        super().__init__()
        self.values = nn.ParameterDict()
        self._owner: dict[str, str] = {}
        self._names: dict[int, str] = {}
        for layout in as_layouts(layouts):
            template = builder.template(layout)
            name = self._names.setdefault(template.key, parameter_name(layout))
            self._owner[layout.name] = name
            if name not in self.values:
                self.values[name] = nn.Parameter(torch.empty(len(template.weight)))
        self.reset_parameters()

    def __getitem__(self, layout: str) -> Tensor:
        """Return the masks of a layout, relation by relation, row by row, (S,)."""
        return self.values[self._owner[layout]]

    def reset_parameters(self) -> None:
        """Set every mask to 1: the operator itself."""
        for value in self.values.values():
            nn.init.ones_(value)

    def by_structure(self) -> dict[int, Tensor]:
        """Return the masks (S,) of each structure by its key."""
        return {key: self.values[name] for key, name in self._names.items()}

    def extra_repr(self) -> str:
        """Say which layouts there are masks for."""
        return f"layouts={list(self._owner)}"


def parameter_name(layout: SkeletonLayout) -> str:
    """Return the name of a layout's parameter: torch refuses dots and its own attributes."""
    return f"layout_{layout.name.replace('.', '_')}"


def as_layouts(
    layouts: SkeletonLayout | str | Sequence[SkeletonLayout | str],
) -> tuple[SkeletonLayout, ...]:
    """Return one or several layouts, or their names, as a tuple of distinctly named layouts."""
    given = (layouts,) if isinstance(layouts, SkeletonLayout | str) else tuple(layouts)
    found = tuple(get_layout(layout) for layout in given)
    names = [layout.name for layout in found]
    if not found or len(set(names)) != len(names):
        raise ValueError(f"layouts must be one or more with distinct names, got {names}")
    return found
