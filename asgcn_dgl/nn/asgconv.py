"""Actional-structural graph convolution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from asgcn_dgl.nn.agconv import AGConv, EdgeWeight
from asgcn_dgl.nn.sgconv import SGConv, make_biases, zero_biases
from asgcn_dgl.ops import relational_conv
from asgcn_dgl.skeleton import SkeletonLayout


class ASGConv(nn.Module):
    r"""Actional-structural graph convolution (Sec. 4.3).

    .. math::

        \mathrm{ASGC}(X) = X_{\mathrm{struc}} + \lambda X_{\mathrm{act}}

    of :class:`SGConv` and :class:`AGConv`, in one pass over the features. It is linear in X for
    fixed links (Theorem 1) unless ``bias`` is set. It only convolves: norm, activation, dropout
    and residual are the block's.

    Parameters
    ----------
    in_feats, out_feats
        D and O, features of a joint before and after.
    max_hop
        L, the largest hop of the structural links.
    num_actional
        C, the number of actional types; 0 for structural links only.
    actional_weight
        λ.
    construction, layouts, truncated, norm
        See :class:`SGConv`.
    link_norm, scale
        See :class:`AGConv`.
    etypes, actional_etypes
        Names of the edge types, if the graphs are not a ``GraphBuilder``'s.
    bias
        True adds a bias (O,) to the result, ``"relation"`` one for each relation and type before
        aggregation, as the published codes do.
    offsets
        See :class:`SGConv`.
    shared
        See :class:`SGConv` and :class:`AGConv`.

    Examples
    --------
    >>> import torch
    >>> from asgcn_dgl.nn import AIMEncoder, ASGConv
    >>> from asgcn_dgl.skeleton import GraphBuilder, get_layout
    >>> graph = GraphBuilder(max_hop=2).structure(get_layout("ntu25"), [1, 2])
    >>> feat = torch.randn(graph.num_nodes(), 30, 3)
    >>> links = AIMEncoder(3, num_frames=30)(graph, feat)
    >>> ASGConv(3, 16, max_hop=2)(graph, feat, links.weight).shape
    torch.Size([75, 30, 16])
    """

    def __init__(
        self,
        in_feats: int,
        out_feats: int,
        max_hop: int = 4,
        num_actional: int = 3,
        *,
        actional_weight: float = 0.5,
        construction: str = "power",
        layouts: SkeletonLayout | str | Sequence[SkeletonLayout | str] | None = None,
        truncated: bool = False,
        norm: str = "transition",
        link_norm: str = "paper",
        scale: float = 1.0,
        etypes: Sequence[str] | None = None,
        actional_etypes: Sequence[str] | None = None,
        bias: bool | str = False,
        offsets: SkeletonLayout | str | Sequence[SkeletonLayout | str] | None = None,
        shared: bool = False,
    ) -> None:
        super().__init__()
        self.actional_weight = actional_weight
        self.structural = SGConv(
            in_feats,
            out_feats,
            max_hop,
            construction=construction,
            layouts=layouts,
            truncated=truncated,
            norm=norm,
            etypes=etypes,
            offsets=offsets,
            bias="relation" if bias == "relation" else False,
            shared=shared,
        )
        self.actional: AGConv | None = None
        if num_actional:
            self.actional = AGConv(
                in_feats,
                out_feats,
                num_actional,
                link_norm=link_norm,
                scale=scale,
                etypes=actional_etypes,
                bias="relation" if bias == "relation" else False,
                shared=shared,
            )
        self.bias, _ = make_biases(bias, 0, out_feats)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all weights."""
        self.structural.reset_parameters()
        if self.actional is not None:
            self.actional.reset_parameters()
        zero_biases(self.bias)

    def start_near_zero(self, std: float = 1e-3) -> None:
        """Draw small weights, for a convolution whose result changes something else."""
        for half in (self.structural, self.actional):
            if half is not None:
                nn.init.normal_(half.weight, std=std)

    def forward(self, graph: Any, feat: Tensor, edge_weight: EdgeWeight | None = None) -> Tensor:
        """Convolve (N, ..., D) to (N, ..., O).

        ``edge_weight`` may also be its :func:`~asgcn_dgl.ops.link_matrices`; it is None only for a
        layer without actional types.
        """
        actional = None
        if self.actional is not None:
            if edge_weight is None:
                raise ValueError(
                    f"edge_weight must hold the strengths of the {len(self.actional.etypes)} "
                    "actional types, got None: pass AIMEncoder's links.weight, or num_actional=0"
                )
            actional = self.actional.term(graph, edge_weight, self.actional_weight)
        out = relational_conv(graph, feat, self.structural.term(), actional)
        return out if self.bias is None else out + self.bias

    def extra_repr(self) -> str:
        """Say λ."""
        return f"actional_weight={self.actional_weight}"
