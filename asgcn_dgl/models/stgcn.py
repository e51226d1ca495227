"""The ST-GCN baseline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from asgcn_dgl.models.asgcn import ASGCN
from asgcn_dgl.skeleton import SkeletonLayout


class STGCN(ASGCN):
    """Spatio-temporal GCN (Sec. 3.2, Eq. 1): one hop, no A-links, no prediction head.

    Parameters
    ----------
    layouts, num_classes, in_feats
        As for :class:`ASGCN`.
    normalization
        ``"symmetric"`` (Eq. 1) or ``"transition"``.
    **options
        Further options of :class:`ASGCN`, except those that ST-GCN lacks.

    Raises
    ------
    ValueError
        For an option that ST-GCN lacks.

    Examples
    --------
    >>> import torch
    >>> from asgcn_dgl.models import STGCN
    >>> from asgcn_dgl.skeleton import get_layout
    >>> model = STGCN(get_layout("ntu25"), num_classes=60, channels=(8, 8), strides=(1, 2))
    >>> graph = model.graph_builder.structure(get_layout("ntu25"), [1])
    >>> model(graph, torch.randn(25, 20, 3)).logits.shape
    torch.Size([1, 60])
    """

    FIXED: Mapping[str, int] = {"max_hop": 1, "num_actional": 0, "future_frames": 0}

    def __init__(
        self,
        layouts: SkeletonLayout | str | Sequence[SkeletonLayout | str],
        num_classes: int,
        in_feats: int = 3,
        *,
        normalization: str = "symmetric",
        **options: Any,
    ) -> None:
        for name, value in self.FIXED.items():
            if options.setdefault(name, value) != value:
                raise ValueError(f"{name} must be {value} in ST-GCN, got {options[name]!r}")
        super().__init__(layouts, num_classes, in_feats, normalization=normalization, **options)
