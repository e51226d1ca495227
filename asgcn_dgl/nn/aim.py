"""The A-link inference module as a whole, and its loss."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from asgcn_dgl.nn.decoder import AIMDecoder
from asgcn_dgl.nn.encoder import AIMEncoder, Links
from asgcn_dgl.ops.frames import as_mask, from_centers, sample_frames
from asgcn_dgl.ops.runtime import widened


class AIMLoss(NamedTuple):
    """Loss, reconstruction (squared error over 2 σ²) and divergence, by bodies times joints."""

    loss: Tensor
    reconstruction: Tensor
    kl: Tensor


def aim_loss(
    pred: Tensor,
    target: Tensor,
    logits: Tensor,
    *,
    ghost_prior: float = 0.95,
    variance: float = 5e-4,
    kl_weight: float = 1.0,
    mask: Tensor | None = None,
) -> AIMLoss:
    r"""Return the loss of the A-link inference module (Sec. 4.1).

    .. math::

        L_{\mathrm{AIM}} = \sum_i \sum_t \frac{\| x_i^t - \mu_i^t \|^2}{2 \sigma^2}
            + \sum_{ij} \sum_{c=0}^{C} \pi_{ij,c} \log \frac{\pi_{ij,c}}{A^0_c}

    both divided by (bodies times joints), where :math:`\pi` are the probabilities without noise and
    temperature, :math:`A^0_0 = P_0` and :math:`A^0_c = (1 - P_0) / C`. The paper's P0 / C for c >=
    1 cannot sum to one, and a divergence of a noisy sample does not vanish at the prior.

    Parameters
    ----------
    pred, target
        (N, T, D) means μ and positions x.
    logits
        (E, C + 1), the ghost first.
    ghost_prior
        P0 in [0, 1); at 0 there is no ghost type, and its logits must be -inf.
    variance
        σ², squared units of the positions.
    kl_weight
        Factor on the divergence; less than 1 while the decoder does not use the links yet.
    mask
        (N, T) bool, where the error counts; None for everywhere.
    """
    check_prior(ghost_prior)
    if not variance > 0:
        raise ValueError(f"variance must be positive, got {variance!r}")
    joints = max(pred.shape[0], 1)
    error = widened(target - pred).square().sum(dim=-1)
    if mask is not None:
        error = error * mask.to(error.dtype)
    reconstruction = error.sum() / (2.0 * variance * joints)
    kl = link_divergence(logits, ghost_prior).sum() / joints
    return AIMLoss(reconstruction + kl_weight * kl, reconstruction, kl)


def link_divergence(logits: Tensor, ghost_prior: float) -> Tensor:
    """Return the Kullback-Leibler divergence of each pair's link types from the prior, (E,)."""
    types = logits.shape[-1] - 1
    logits = widened(logits)
    if ghost_prior == 0.0:
        logits = logits[:, 1:]
    log_prob = torch.log_softmax(logits, dim=-1)
    share = log_prob - math.log((1.0 - ghost_prior) / types)
    if ghost_prior > 0.0:
        share = torch.cat([log_prob[:, :1] - math.log(ghost_prior), share[:, 1:]], dim=1)
    return (log_prob.exp() * share).sum(dim=-1)


def check_prior(ghost_prior: float) -> None:
    """Raise ValueError unless 0 <= P0 < 1."""
    if not 0.0 <= ghost_prior < 1.0:
        raise ValueError(f"ghost_prior must be in [0, 1), got {ghost_prior!r}")


class AIM(nn.Module):
    """A-link inference module (Fig. 4): encoder, decoder and their loss.

    Parameters
    ----------
    in_feats
        D, coordinates of a joint.
    num_actional
        C.
    num_frames
        Frames that the encoder sees and the decoder predicts.
    hidden_feats
        Width.
    dropout
        Dropout in the encoder.
    tau, hard, reduce
        See :class:`AIMEncoder`.
    ghost_prior
        P0; 0 for no ghost type.
    variance
        σ².
    motion
        See :class:`AIMEncoder` and :class:`AIMDecoder`. Joints are then taken relative to the
        center of their body, frame by frame, so that a body which moves as a whole links nothing;
        the graphs must be a :class:`~asgcn_dgl.skeleton.GraphBuilder`'s.

    Examples
    --------
    >>> import torch
    >>> from asgcn_dgl.nn import AIM
    >>> from asgcn_dgl.skeleton import GraphBuilder, get_layout
    >>> graph = GraphBuilder(num_actional=2).structure(get_layout("coco17"))
    >>> aim = AIM(2, num_actional=2, num_frames=10, hidden_feats=16)
    >>> bool(aim.loss(graph, torch.randn(17, 30, 2)).loss > 0)
    True
    """

    def __init__(
        self,
        in_feats: int,
        num_actional: int = 3,
        *,
        num_frames: int = 50,
        hidden_feats: int = 128,
        dropout: float = 0.5,
        tau: float = 0.5,
        hard: bool = False,
        reduce: str = "mean",
        ghost_prior: float = 0.95,
        variance: float = 5e-4,
        motion: bool = False,
    ) -> None:
        super().__init__()
        check_prior(ghost_prior)
        self.ghost_prior, self.variance = ghost_prior, variance
        self.encoder = AIMEncoder(
            in_feats,
            num_actional,
            num_frames=num_frames,
            hidden_feats=hidden_feats,
            reduce=reduce,
            dropout=dropout,
            tau=tau,
            hard=hard,
            ghost=ghost_prior > 0,
            motion=motion,
        )
        self.decoder = AIMDecoder(
            in_feats,
            num_actional,
            hidden_feats=hidden_feats,
            reduce=reduce,
            motion=motion,
        )

    def reset_parameters(self) -> None:
        """Draw all weights."""
        self.encoder.reset_parameters()
        self.decoder.reset_parameters()

    def forward(
        self,
        graph: Any,
        feat: Tensor,
        mask: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Links:
        """Infer A-links: the encoder alone."""
        return self.encoder(graph, *self._relative(graph, feat, mask), generator)

    def loss(
        self,
        graph: Any,
        feat: Tensor,
        mask: Tensor | None = None,
        *,
        pred_steps: int = 1,
        kl_weight: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> AIMLoss:
        """Return the loss of the warm-up on positions (N, T, D).

        At full ``kl_weight`` from the first step all links close before the decoder has learned to
        use them: let it rise from 0 to 1. ``pred_steps``: see :meth:`AIMDecoder.forward`.
        """
        links = self(graph, feat, mask, generator)
        return self.loss_of(links, graph, feat, mask, pred_steps=pred_steps, kl_weight=kl_weight)

    def loss_of(
        self,
        links: Links,
        graph: Any,
        feat: Tensor,
        mask: Tensor | None = None,
        *,
        pred_steps: int = 1,
        kl_weight: float = 1.0,
    ) -> AIMLoss:
        """Return the :meth:`loss` of links that were already inferred."""
        feat, mask = self._relative(graph, feat, mask)
        seen, there = sample_frames(graph, feat, self.encoder.num_frames, mask)
        pred = self.decoder(graph, seen, links.weight, pred_steps)
        return aim_loss(
            pred,
            seen[:, 1:],
            links.logits,
            ghost_prior=self.ghost_prior,
            variance=self.variance,
            kl_weight=kl_weight,
            mask=None if there is None else there[:, 1:],
        )

    def _relative(
        self, graph: Any, feat: Tensor, mask: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        mask = as_mask(mask, feat)
        return from_centers(graph, feat, mask) if self.encoder.motion else (feat, mask)
