"""Decoder of the A-link inference module."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from asgcn_dgl.nn.agconv import check_links
from asgcn_dgl.nn.dropout import Dropout
from asgcn_dgl.nn.mlp import MLP
from asgcn_dgl.nn.sgconv import check_sizes
from asgcn_dgl.ops.pairs import REDUCTIONS, Pairs, in_pieces, pairs_of, recomputed


class AIMDecoder(nn.Module):
    r"""Predict poses along A-links (Sec. 4.1, steps a to d).

    .. math::

        Q_{ij}^t &= \sum_{c=1}^{C} A_{ij,c}\, f_e^{(c)}\left(
            f_v^{(c)}(x_i^t) \oplus f_v^{(c)}(x_j^t) \right) \\
        p_i^t &= F(Q_{i:}^t) \oplus x_i^t \\
        S_i^{t+1} &= \mathrm{GRU}(S_i^t, p_i^t) \\
        \mu_i^{t+1} &= x_i^t + f_{\mathrm{out}}(S_i^{t+1})

    where :math:`f_v, f_e` are two-layer perceptrons of each type, F the mean or maximum over j.
    The messages depend on poses alone, so that under teacher forcing those of all frames are made
    at once; only roll-out goes step by step.

    Parameters
    ----------
    in_feats
        D, coordinates of a joint.
    num_actional
        C.
    hidden_feats
        Width of the perceptrons and of the state S.
    reduce
        F: ``"mean"`` or ``"max"``.
    residual
        Predict the change of the pose, not the pose.
    dropout
        Dropout inside the perceptrons.
    motion
        Send :math:`f_e^{(c)}(f_v^{(c)}(\Delta x_j^t)) - f_e^{(c)}(f_v^{(c)}(0))`, where
        :math:`\Delta x_j^t = x_j^t - x_j^{t-1}`, and let F be the sum. In messages as above joint i
        hears of itself, whoever sends, and how strong a link is tells it something, so that links
        to joints at rest pay. A joint at rest sends no message of motion.
    etype
        Name of the edge type that holds the ordered pairs.

    Examples
    --------
    >>> import torch
    >>> from asgcn_dgl.nn import AIMDecoder
    >>> from asgcn_dgl.skeleton import GraphBuilder, get_layout
    >>> graph = GraphBuilder(num_actional=2).structure(get_layout("coco17"))
    >>> decoder = AIMDecoder(2, num_actional=2, hidden_feats=16)
    >>> links = torch.rand(graph.num_edges("actional_1"), 2)
    >>> decoder(graph, torch.randn(17, 10, 2), links).shape
    torch.Size([17, 9, 2])
    """

    def __init__(
        self,
        in_feats: int,
        num_actional: int = 3,
        *,
        hidden_feats: int = 128,
        reduce: str = "mean",
        residual: bool = True,
        dropout: float = 0.0,
        motion: bool = False,
        etype: str = "actional_1",
    ) -> None:
        super().__init__()
        check_sizes(in_feats=in_feats, num_actional=num_actional, hidden_feats=hidden_feats)
        if motion and reduce == "max":
            raise ValueError("reduce must be 'mean' for messages of motion, got 'max'")
        self.motion = motion
        if reduce not in REDUCTIONS:
            raise ValueError(f"reduce must be 'mean' or 'max', got {reduce!r}")
        self.in_feats, self.num_actional, self.hidden_feats = in_feats, num_actional, hidden_feats
        self.reduce, self.residual, self.etype = reduce, residual, etype
        types, width = num_actional, hidden_feats
        self.dropout = Dropout(dropout)
        # f_v of all types; f_e's first map parted into what receiver and sender contribute.
        self.joint_first = nn.Linear(in_feats, types * width)
        self.joint_second = TypedLinear(types, width, width)
        self.link_receiver = None if motion else TypedLinear(types, width, width)
        self.link_sender = TypedLinear(types, width, width, bias=motion)
        self.link_second = TypedLinear(types, width, width, bias=not motion)
        self.gru = nn.GRU(width + in_feats, width, batch_first=True)
        self.out = MLP(width, width, in_feats, dropout=dropout)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all weights; the output starts near zero, so that the last pose is guessed."""
        self.joint_first.reset_parameters()
        for layer in (self.joint_second, self.link_receiver, self.link_sender, self.link_second):
            if layer is not None:
                layer.reset_parameters()
        self.gru.reset_parameters()
        self.out.reset_parameters()
        nn.init.normal_(self.out.second.weight, std=1e-2)
        nn.init.zeros_(self.out.second.bias)

    def forward(self, graph: Any, feat: Tensor, edge_weight: Tensor, pred_steps: int = 1) -> Tensor:
        """Return the means μ of frames 2..T, (N, T - 1, D), of positions (N, T, D) with T >= 2.

        Every ``pred_steps`` frames the true pose is the input, predictions between; 1 is teacher
        forcing.
        """
        self._check(graph, feat, edge_weight)
        if feat.shape[1] < 2:
            raise ValueError(f"feat must have at least 2 frames, got {feat.shape[1]}")
        if pred_steps < 1:
            raise ValueError(f"pred_steps must be at least 1, got {pred_steps!r}")
        pairs = pairs_of(graph, self.etype)
        shown = feat[:, :-1]
        if pred_steps == 1:
            means, _ = self._step(pairs, shown, edge_weight, None)
            return means
        steps = []
        state: Tensor | None = None
        guess = before = shown[:, :1]
        for frame in range(shown.shape[1]):
            pose = shown[:, frame : frame + 1] if frame % pred_steps == 0 else guess
            guess, state = self._step(pairs, pose, edge_weight, state, before)
            before = pose
            steps.append(guess)
        return torch.cat(steps, dim=1)

    def rollout(self, graph: Any, feat: Tensor, edge_weight: Tensor, num_steps: int) -> Tensor:
        """Continue a motion (N, T, D) by ``num_steps`` predictions, (N, num_steps, D)."""
        self._check(graph, feat, edge_weight)
        check_sizes(num_steps=num_steps)
        pairs = pairs_of(graph, self.etype)
        means, state = self._step(pairs, feat, edge_weight, None)
        steps, before = [means[:, -1:]], feat[:, -1:]
        while len(steps) < num_steps:
            guess, state = self._step(pairs, steps[-1], edge_weight, state, before)
            before = steps[-1]
            steps.append(guess)
        return torch.cat(steps, dim=1)

    def _step(
        self,
        pairs: Pairs,
        feat: Tensor,
        edge_weight: Tensor,
        state: Tensor | None,
        before: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Return the means after each of the frames (N, T, D), and the state after the last.

        ``before`` is the pose (N, 1, D) before them; without it the joints were at rest.
        """
        if self.motion:
            start = feat[:, :1] if before is None else before
            moved = torch.cat([start, feat], dim=1).diff(dim=1)
            message = self._messages_of_motion(pairs, moved, edge_weight)
        else:
            message = self._messages(pairs, feat, edge_weight)
        hidden, state = self.gru(torch.cat([message, feat], dim=-1), state)
        change = self.out(hidden)
        return (feat + change if self.residual else change), state

    def _messages(self, pairs: Pairs, feat: Tensor, edge_weight: Tensor) -> Tensor:
        """Return F over j of Q_ij, (N, T, H), all types and frames at once."""
        assert self.link_receiver is not None
        hidden = self._hidden(feat)
        shape = (self.num_actional, *feat.shape[:2], self.hidden_feats)
        receiver = self._link_first(self.link_receiver, hidden).view(shape)
        sender = self._link_first(self.link_sender, hidden).view(shape)
        if self.reduce == "max":
            size = self.num_actional * self.hidden_feats * len(edge_weight)
            parts = [
                recomputed(partial(self._largest, pairs), near, far, edge_weight)
                for near, far in in_pieces(receiver, sender, dim=2, size=size)
            ]
            return torch.cat(parts, dim=1)
        # f_e's second map is linear: it follows the mean over senders.
        mean = pairs.average(receiver.flatten(2), sender.flatten(2), edge_weight)  # (C, N, T H)
        mapped = self._mapped(mean, feat)
        assert self.link_second.bias is not None
        strength = pairs.reduce(edge_weight, "mean").to(mapped.dtype)  # (N, C)
        offset = strength @ self.link_second.bias.squeeze(1).to(mapped.dtype)  # (N, H)
        return mapped + offset.unsqueeze(1)

    def _messages_of_motion(self, pairs: Pairs, moved: Tensor, edge_weight: Tensor) -> Tensor:
        """Return the sum over j of A_ij times what joint j says of its movement, (N, T, H)."""
        rest = moved.new_zeros(1, 1, moved.shape[2])
        shape = (self.num_actional, *moved.shape[:2], self.hidden_feats)
        said = F.elu(self._link_first(self.link_sender, self._hidden(moved))).view(shape)
        nothing = F.elu(self._link_first(self.link_sender, self._hidden(rest)))
        heard = pairs.mix((said - nothing.unsqueeze(2)).flatten(2), edge_weight)  # (C, N, T H)
        return self._mapped(heard, moved)

    def _hidden(self, feat: Tensor) -> Tensor:
        """Return the hidden layer of f_v of all types, (C, N T, H)."""
        hidden = self.dropout(F.elu(self.joint_first(feat)))  # (N, T, C H)
        rows: Tensor = hidden.flatten(0, 1).unflatten(1, (self.num_actional, -1)).transpose(0, 1)
        return rows

    def _mapped(self, mean: Tensor, feat: Tensor) -> Tensor:
        """Apply f_e's second map without its bias to (C, N, T H), and add the types, (N, T, H)."""
        joints, frames, _ = feat.shape
        rows = mean.reshape(self.num_actional, joints * frames, -1)
        return torch.bmm(rows, self.link_second.weight).sum(dim=0).view(joints, frames, -1)

    def _link_first(self, link: TypedLinear, hidden: Tensor) -> Tensor:
        """Apply f_e's first map after f_v's second: both are linear, and multiplied once."""
        second = self.joint_second
        assert second.bias is not None
        weight = torch.bmm(second.weight, link.weight)
        offset = torch.bmm(second.bias, link.weight)
        if link.bias is not None:
            offset = offset + link.bias
        return torch.baddbmm(offset, hidden, weight)

    def _largest(
        self, pairs: Pairs, receiver: Tensor, sender: Tensor, edge_weight: Tensor
    ) -> Tensor:
        """Return the maximum over j of Q_ij, pair by pair: (C, N, T, H) to (N, T, H)."""
        pair = F.elu(pairs.sum(receiver.transpose(0, 1), sender.transpose(0, 1)))  # (E, C, T, H)
        edges, types, frames, _ = pair.shape
        mapped = self.link_second(pair.transpose(0, 1).flatten(1, 2))
        mapped = mapped.view(types, edges, frames, self.hidden_feats)
        link = torch.einsum("cetd,ec->etd", mapped, edge_weight.to(mapped.dtype))
        return pairs.reduce(link, "max")

    def _check(self, graph: Any, feat: Tensor, edge_weight: Tensor) -> None:
        if feat.dim() != 3 or feat.shape[0] != graph.num_nodes() or feat.shape[2] != self.in_feats:
            raise ValueError(
                f"feat must be (joints, frames, {self.in_feats}) with {graph.num_nodes()} joints, "
                f"got shape {tuple(feat.shape)}"
            )
        check_links(graph, (self.etype,), edge_weight)
        if edge_weight.shape[1] != self.num_actional:
            raise ValueError(
                f"edge_weight must hold {self.num_actional} actional types (no ghost), "
                f"got {edge_weight.shape[1]}"
            )

    def extra_repr(self) -> str:
        """Say the options."""
        return (
            f"{self.in_feats}, num_actional={self.num_actional}, hidden_feats={self.hidden_feats}, "
            f"reduce={self.reduce!r}, residual={self.residual}, motion={self.motion}"
        )


class TypedLinear(nn.Module):
    """A linear map for each actional type: (C, rows, D) to (C, rows, O) in one batched product."""

    def __init__(self, num_types: int, in_feats: int, out_feats: int, bias: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(num_types, in_feats, out_feats))
        self.bias = nn.Parameter(torch.empty(num_types, 1, out_feats)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Uniform weights as in :class:`torch.nn.Linear`, zero bias."""
        bound = 1.0 / math.sqrt(self.weight.shape[1])
        nn.init.uniform_(self.weight, -bound, bound)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(self, rows: Tensor) -> Tensor:
        """Map the rows of every type."""
        if self.bias is None:
            return torch.bmm(rows, self.weight)
        return torch.baddbmm(self.bias, rows, self.weight)
