"""Structural graph convolution."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from asgcn_dgl.nn.masks import EdgeMasks
from asgcn_dgl.nn.offsets import StructuralOffsets
from asgcn_dgl.ops import Structural, relational_conv
from asgcn_dgl.ops.kept import check_kept
from asgcn_dgl.skeleton import GraphBuilder, SkeletonLayout, structural_etypes

ONE_HOP = 3  # relations of one hop, which come first in either construction


class SGConv(nn.Module):
    r"""Structural graph convolution (Sec. 4.2, Eq. 5).

    .. math::

        X_{\mathrm{struc}} = \sum_{l=1}^{L} \sum_{p \in P}
            \left( M^{(p,l)} \circ (\hat A^{(p)})^l \right) X W^{(p,l)}

    where the operators :math:`(\hat A^{(p)})^l` come with the graph. The sum is linear in X.

    Parameters
    ----------
    in_feats, out_feats
        D and O, features of a joint before and after.
    max_hop
        L, the largest hop.
    construction
        ``"power"`` or ``"distance"``, see :func:`~asgcn_dgl.skeleton.structural_operators`.
    layouts
        Layouts to learn edge masks M for; None for no masks, and any graph.
    truncated, norm
        Options of the graphs' :class:`~asgcn_dgl.skeleton.GraphBuilder`; they matter for masks.
    etypes
        Names of the structural edge types, if the graphs are not the builder's.
    bias
        True adds a bias (O,) to the result, ``"relation"`` one for each relation to what is sent,
        before it is aggregated, as the published codes do; the operation is then affine.
    offsets
        Layouts to learn additive parts of the operators of one hop for, see
        :class:`StructuralOffsets`; None for none.
    shared
        Share weights over hops: :math:`W^{(p,l)} = \alpha^{(p,l)} W^{(p)}` with learned factors
        :math:`\alpha^{(p,l)}`, which begin at 1 / L. The operators of all hops of a partition then
        merge into one, and three transforms remain of 3 L.

    Raises
    ------
    ValueError
        For sizes below 1, unknown constructions, or masks, offsets or shared weights together with
        own ``etypes``; shared weights with a bias for each relation or another construction.

    Examples
    --------
    >>> import torch
    >>> from asgcn_dgl.nn import SGConv
    >>> from asgcn_dgl.skeleton import GraphBuilder, get_layout
    >>> graph = GraphBuilder(max_hop=2, num_actional=0).structure(get_layout("ntu25"))
    >>> conv = SGConv(3, 16, max_hop=2, layouts=get_layout("ntu25"))
    >>> conv(graph, torch.randn(25, 10, 3)).shape
    torch.Size([25, 10, 16])
    """

    def __init__(
        self,
        in_feats: int,
        out_feats: int,
        max_hop: int = 4,
        *,
        construction: str = "power",
        layouts: SkeletonLayout | str | Sequence[SkeletonLayout | str] | None = None,
        truncated: bool = False,
        norm: str = "transition",
        etypes: Sequence[str] | None = None,
        bias: bool | str = False,
        offsets: SkeletonLayout | str | Sequence[SkeletonLayout | str] | None = None,
        shared: bool = False,
    ) -> None:
        super().__init__()
        check_sizes(in_feats=in_feats, out_feats=out_feats)
        check_shared(shared, bias, etypes)
        if shared and construction != "power":
            raise ValueError(
                f"construction must be 'power' where weights are shared, got {construction!r}"
            )
        for name, given in (("layouts", layouts), ("offsets", offsets)):
            if etypes is not None and given is not None:
                raise ValueError(
                    f"{name} must be None with own etypes: they are made for the builder's"
                )
        self.in_feats, self.out_feats = in_feats, out_feats
        self.etypes = tuple(etypes) if etypes else structural_etypes(max_hop, construction)
        kinds = ONE_HOP if shared else len(self.etypes)
        self.weight = nn.Parameter(torch.empty(kinds, in_feats, out_feats))
        self.factors = nn.Parameter(torch.empty(len(self.etypes))) if shared else None
        self.bias, self.relation_bias = make_biases(bias, len(self.etypes), out_feats)
        self.masks: EdgeMasks | None = None
        self.offsets: StructuralOffsets | None = None
        builder = GraphBuilder(
            max_hop=max_hop,
            num_actional=0,
            construction=construction,
            truncated=truncated,
            norm=norm,
        )
        if layouts is not None:
            self.masks = EdgeMasks(layouts, builder)
        if offsets is not None:
            self.offsets = StructuralOffsets(offsets, builder, ONE_HOP)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the weights so that the sum over relations keeps the variance; masks to 1."""
        init_weight(self.weight)
        if self.factors is not None:
            nn.init.constant_(self.factors, len(self.weight) / len(self.factors))
        zero_biases(self.bias, self.relation_bias)
        if self.masks is not None:
            self.masks.reset_parameters()
        if self.offsets is not None:
            self.offsets.reset_parameters()

    def train(self, mode: bool = True) -> SGConv:
        """Set training mode."""
        check_kept()
        return super().train(mode)

    def term(self) -> Structural:
        """Return what the convolution needs of this layer."""
        return Structural(
            self.etypes,
            self.weight,
            None if self.masks is None else self.masks.by_structure(),
            None if self.offsets is None else self.offsets.by_structure(),
            self.relation_bias,
            self.factors,
        )

    def forward(self, graph: Any, feat: Tensor) -> Tensor:
        """Convolve (N, ..., D) to (N, ..., O); edges without ``weight`` average the senders."""
        out = relational_conv(graph, feat, self.term())
        return out if self.bias is None else out + self.bias

    def extra_repr(self) -> str:
        """Say the sizes."""
        return f"{self.in_feats}, {self.out_feats}, relations={len(self.etypes)}"


def check_sizes(**sizes: int) -> None:
    """Raise ValueError for a size that is not a whole number of at least 1."""
    for name, size in sizes.items():
        if int(size) != size or size < 1:
            raise ValueError(f"{name} must be a whole number of at least 1, got {size!r}")


def check_shared(shared: bool, bias: bool | str, etypes: Sequence[str] | None) -> None:
    """Raise ValueError where weights cannot be shared."""
    if shared and bias == "relation":
        raise ValueError("bias must not be 'relation' where weights are shared")
    if shared and etypes is not None:
        raise ValueError("etypes must be None where weights are shared")


def init_weight(weight: Tensor) -> None:
    """Draw weights (R, D, O) for a sum over R relations of D features each, before a ReLU."""
    relations, in_feats, _ = weight.shape
    nn.init.normal_(weight, std=math.sqrt(2.0 / (in_feats * max(relations, 1))))


def make_biases(
    bias: bool | str, relations: int, out_feats: int
) -> tuple[nn.Parameter | None, nn.Parameter | None]:
    """Return the bias (O,) of the result and that (R, O) of the relations, as an option asks."""
    if bias not in (True, False, "relation"):
        raise ValueError(f"bias must be True, False or 'relation', got {bias!r}")
    if bias == "relation":
        return None, nn.Parameter(torch.empty(relations, out_feats))
    return (nn.Parameter(torch.empty(out_feats)) if bias else None), None


def zero_biases(*biases: Tensor | None) -> None:
    """Set the biases that exist to zero."""
    for bias in biases:
        if bias is not None:
            nn.init.zeros_(bias)
