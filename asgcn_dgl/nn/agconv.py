"""Actional graph convolution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from asgcn_dgl.nn.sgconv import check_sizes, init_weight
from asgcn_dgl.ops import Actional, relational_conv
from asgcn_dgl.ops.conv import NORMALISATIONS
from asgcn_dgl.skeleton import actional_etypes


class AGConv(nn.Module):
    r"""Actional graph convolution (Sec. 4.1, Eq. 4).

    .. math::

        X_{\mathrm{act}} = \sum_{c=1}^{C} \hat A_{\mathrm{act}}^{(c)} X W_{\mathrm{act}}^{(c)},
        \qquad \hat A_{\mathrm{act}}^{(c)} = D^{-1} A_{\mathrm{act}}^{(c)}

    where :math:`A_{\mathrm{act}}^{(c)}` are the strengths of the A-links of type c. The ghost type
    carries no message. ``D^-1`` cancels the strength of links: a joint whose links are nearly all
    ghost still receives a full-strength average; hence the other normalisations.

    Parameters
    ----------
    in_feats, out_feats
        D and O.
    num_actional
        C, the number of actional types.
    normalise
        ``"paper"`` (:math:`D^{-1} A`; a zero row stays zero), ``"self_loop"``
        (:math:`D^{-1} (A + I)`) or ``"none"`` (:math:`A`).
    scale
        Factor on the result.
    etypes
        Names of the actional edge types, if the graphs are not the builder's.
    bias
        Add a bias.

    Raises
    ------
    ValueError
        For sizes below 1 or an unknown normalisation.

    Examples
    --------
    >>> import torch
    >>> from asgcn_dgl.nn import AGConv
    >>> from asgcn_dgl.skeleton import GraphBuilder, get_layout
    >>> graph = GraphBuilder(max_hop=1, num_actional=2).clip(get_layout("hand21"))
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
        normalise: str = "paper",
        scale: float = 1.0,
        etypes: Sequence[str] | None = None,
        bias: bool = False,
    ) -> None:
        super().__init__()
        check_sizes(in_feats=in_feats, out_feats=out_feats, num_actional=num_actional)
        if normalise not in NORMALISATIONS:
            raise ValueError(f"normalise must be one of {NORMALISATIONS}, got {normalise!r}")
        self.in_feats, self.out_feats = in_feats, out_feats
        self.normalise, self.scale = normalise, scale
        self.etypes = tuple(etypes) if etypes else actional_etypes(num_actional)
        self.weight = nn.Parameter(torch.empty(len(self.etypes), in_feats, out_feats))
        self.bias = nn.Parameter(torch.empty(out_feats)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the weights so that the sum over types keeps the variance."""
        init_weight(self.weight)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def term(self, edge_weight: Tensor | Sequence[Tensor], factor: float = 1.0) -> Actional:
        """What the engines need of this layer, times a factor (λ)."""
        self._check_links(edge_weight)
        factor = factor * self.scale
        weight = self.weight if factor == 1.0 else self.weight * factor
        return Actional(self.etypes, weight, edge_weight, self.normalise)

    def forward(self, graph: Any, feat: Tensor, edge_weight: Tensor | Sequence[Tensor]) -> Tensor:
        """Convolve.

        Parameters
        ----------
        graph
            DGL heterograph of N joints with the layer's actional edge types.
        feat
            (N, ..., D).
        edge_weight
            (E, C) strengths of the A-links, as ``AIMEncoder`` gives them; or C tensors (E_c,)
            where the types have edges of their own.

        Returns
        -------
        Tensor
            (N, ..., O).

        Raises
        ------
        ValueError
            If the links do not fit the layer or the graph.
        """
        check_links(graph, self.etypes, edge_weight)
        out = relational_conv(graph, feat, None, self.term(edge_weight))
        return out if self.bias is None else out + self.bias

    def _check_links(self, edge_weight: Tensor | Sequence[Tensor]) -> None:
        types = edge_weight.shape[1] if isinstance(edge_weight, Tensor) else len(edge_weight)
        if types != len(self.etypes):
            raise ValueError(
                f"edge_weight must hold {len(self.etypes)} actional types (no ghost), got {types}"
            )

    def extra_repr(self) -> str:
        """Say the sizes and options."""
        return (
            f"{self.in_feats}, {self.out_feats}, types={len(self.etypes)}, "
            f"normalise={self.normalise!r}, scale={self.scale}"
        )


def check_links(graph: Any, etypes: Sequence[str], edge_weight: Tensor | Sequence[Tensor]) -> None:
    """Raise ValueError where the links are not one for each edge of the graph."""
    if isinstance(edge_weight, Tensor) and edge_weight.dim() != 2:
        raise ValueError(
            f"edge_weight must be (edges, types), got shape {tuple(edge_weight.shape)}"
        )
    each = edge_weight.unbind(1) if isinstance(edge_weight, Tensor) else edge_weight
    for etype, links in zip(etypes, each, strict=False):
        if etype in graph.etypes and graph.num_edges(etype) != len(links):
            raise ValueError(
                f"edge_weight must hold a strength for each of the {graph.num_edges(etype)} edges "
                f"of type {etype!r}, got {len(links)}"
            )
