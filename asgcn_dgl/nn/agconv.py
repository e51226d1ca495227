"""Actional graph convolution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from asgcn_dgl.nn.sgconv import check_shared, check_sizes, init_weight, make_biases, zero_biases
from asgcn_dgl.ops.conv import LINK_NORMS, Actional, LinkMatrices, relational_conv
from asgcn_dgl.skeleton import actional_etypes
from asgcn_dgl.skeleton.graph import num_edges

#: A-links as a layer takes them: (E, C), their matrices, or (E_c,) for each type.
EdgeWeight = Tensor | LinkMatrices | Sequence[Tensor]


class AGConv(nn.Module):
    r"""Actional graph convolution (Sec. 4.1, Eq. 4).

    .. math::

        X_{\mathrm{act}} = \sum_{c=1}^{C} \hat A_{\mathrm{act}}^{(c)} X W_{\mathrm{act}}^{(c)},
        \qquad \hat A_{\mathrm{act}}^{(c)} = D^{-1} A_{\mathrm{act}}^{(c)}

    where :math:`A_{\mathrm{act}}^{(c)}` are the strengths of the A-links of type c. The ghost type
    carries no message. ``D^-1`` cancels the strength of links: a joint whose links are nearly all
    ghost still receives a full-strength average; hence the other normalizations.

    Parameters
    ----------
    in_feats, out_feats
        D and O.
    num_actional
        C, the number of actional types.
    link_norm
        ``"paper"`` (:math:`D^{-1} A`; a zero row stays zero), ``"self_loop"``
        (:math:`D^{-1} (A + I)`) or ``"none"`` (:math:`A`).
    scale
        Factor on the result.
    etypes
        Names of the actional edge types, if the graphs are not the builder's.
    bias
        True adds a bias (O,), ``"relation"`` one for each type before aggregation.
    shared
        Share one weight: :math:`W_{\mathrm{act}}^{(c)} = \beta_c W_{\mathrm{act}}` with learned
        factors :math:`\beta_c`, which begin at 1 / C. The types then merge into one matrix.

    Examples
    --------
    >>> import torch
    >>> from asgcn_dgl.nn import AGConv
    >>> from asgcn_dgl.skeleton import GraphBuilder, get_layout
    >>> graph = GraphBuilder(max_hop=1, num_actional=2).structure(get_layout("hand21"))
    >>> links = torch.rand(graph.num_edges("actional_1"), 2)
    >>> AGConv(3, 8, num_actional=2)(graph, torch.randn(21, 3), links).shape
    torch.Size([21, 8])
    """

    def __init__(
        self,
        in_feats: int,
        out_feats: int,
        num_actional: int = 3,
        *,
        link_norm: str = "paper",
        scale: float = 1.0,
        etypes: Sequence[str] | None = None,
        bias: bool | str = False,
        shared: bool = False,
    ) -> None:
        super().__init__()
        check_sizes(in_feats=in_feats, out_feats=out_feats, num_actional=num_actional)
        if link_norm not in LINK_NORMS:
            raise ValueError(f"link_norm must be one of {LINK_NORMS}, got {link_norm!r}")
        self.in_feats, self.out_feats = in_feats, out_feats
        self.link_norm, self.scale = link_norm, scale
        self.etypes = tuple(etypes) if etypes else actional_etypes(num_actional)
        check_shared(shared, bias, etypes)
        kinds = 1 if shared else len(self.etypes)
        self.weight = nn.Parameter(torch.empty(kinds, in_feats, out_feats))
        self.factors = nn.Parameter(torch.empty(len(self.etypes))) if shared else None
        self.bias, self.relation_bias = make_biases(bias, len(self.etypes), out_feats)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the weights so that the sum over types keeps the variance."""
        init_weight(self.weight)
        if self.factors is not None:
            nn.init.constant_(self.factors, 1 / len(self.factors))
        zero_biases(self.bias, self.relation_bias)

    def term(self, graph: Any, edge_weight: EdgeWeight, factor: float = 1.0) -> Actional:
        """Return what the convolution needs of this layer, times a factor (λ)."""
        _check_links(graph, self.etypes, edge_weight)
        return Actional(
            self.etypes,
            self.weight,
            edge_weight,
            self.link_norm,
            self.relation_bias,
            factor * self.scale,
            self.factors,
        )

    def forward(self, graph: Any, feat: Tensor, edge_weight: EdgeWeight) -> Tensor:
        """Convolve (N, ..., D) to (N, ..., O).

        ``edge_weight`` is (E, C), or C tensors (E_c,) where the types have edges of their own.
        """
        out = relational_conv(graph, feat, None, self.term(graph, edge_weight))
        return out if self.bias is None else out + self.bias

    def extra_repr(self) -> str:
        """Say the sizes and options."""
        return (
            f"{self.in_feats}, {self.out_feats}, types={len(self.etypes)}, "
            f"link_norm={self.link_norm!r}, scale={self.scale}"
        )


def check_links(graph: Any, etypes: Sequence[str], edge_weight: Tensor) -> None:
    """Raise ValueError unless the strengths (E, C) are one for each edge of the graph."""
    if edge_weight.dim() != 2:
        raise ValueError(
            f"edge_weight must be (edges, types), got shape {tuple(edge_weight.shape)}"
        )
    _check_lengths(graph, etypes, [edge_weight.shape[0]] * len(etypes))


def _check_links(graph: Any, etypes: Sequence[str], edge_weight: EdgeWeight) -> None:
    if isinstance(edge_weight, LinkMatrices):
        types = edge_weight.weight.shape[1]
    elif isinstance(edge_weight, Tensor):
        check_links(graph, etypes, edge_weight)
        types = edge_weight.shape[1]
    elif hasattr(edge_weight, "weight"):
        raise TypeError("edge_weight must be a tensor: pass links.weight")
    else:
        types = len(edge_weight)
        _check_lengths(graph, etypes, [len(each) for each in edge_weight])
    if types != len(etypes):
        raise ValueError(
            f"edge_weight must hold {len(etypes)} actional types (no ghost), got {types}"
        )


def _check_lengths(graph: Any, etypes: Sequence[str], lengths: Sequence[int]) -> None:
    for etype, length in zip(etypes, lengths, strict=False):
        edges = num_edges(graph, etype)
        if edges is not None and edges != length:
            raise ValueError(
                f"edge_weight must hold a strength for each of the {edges} edges of type "
                f"{etype!r}, got {length}"
            )
