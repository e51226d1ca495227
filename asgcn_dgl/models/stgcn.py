"""The ST-GCN baseline."""

from __future__ import annotations

from asgcn_dgl.models.asgcn import ASGCN


class STGCN(ASGCN):
    """Spatio-temporal GCN (Sec. 3.2, Eq. 1): one hop, no A-links, no prediction head.

    It takes the options of :class:`ASGCN`, except those that ST-GCN lacks; ``norm`` is
    ``"symmetric"`` (Eq. 1) unless it is given.

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

    name = "stgcn"
