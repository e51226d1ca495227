"""The A-link inference module as published implementations compute it."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from asgcn_dgl.nn import AIMDecoder, AIMEncoder
from asgcn_dgl.nn.mlp import MLP


def pair_index(joints: int, device: torch.device | str = "cpu") -> tuple[Tensor, Tensor]:
    """Receivers and senders of all ordered pairs, receiver-major."""
    receiver, sender = torch.meshgrid(
        torch.arange(joints, device=device), torch.arange(joints, device=device), indexing="ij"
    )
    off = receiver != sender
    return receiver[off], sender[off]


def perceptron(mlp: MLP, feat: Tensor) -> Tensor:
    """A perceptron of torch's own layers, on weights of the library's."""
    out = F.elu(mlp.second(mlp.dropout(F.elu(mlp.first(feat)))))
    return out if mlp.norm is None else mlp.norm(out)


class ConcatenatingEncoder(nn.Module):
    """Encoder that concatenates both joints, and the link before, on every edge.

    Parameters
    ----------
    encoder
        Gives the weights, which are shared with it.
    """

    def __init__(self, encoder: AIMEncoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, feat: Tensor) -> Tensor:
        """Logits (B, V (V - 1), C + 1) of (B, V, F) flattened positions."""
        encoder = self.encoder
        joints = feat.shape[1]
        receiver, sender = pair_index(joints, feat.device)
        joint, link = feat, None
        for joint_map, link_map in zip(encoder.joint_maps, encoder.link_maps, strict=True):
            hidden = perceptron(joint_map, joint)
            both = [hidden[:, receiver], hidden[:, sender]]
            parts = both if link is None else [*both, link]
            link = perceptron(link_map, torch.cat(parts, dim=-1))
            fan = link.view(feat.shape[0], joints, joints - 1, -1)
            pooled = fan.mean(dim=2) if encoder.reduce == "mean" else fan.amax(dim=2)
            joint = torch.cat([pooled, joint], dim=-1)
        return encoder.out(link)


class StepwiseDecoder(nn.Module):
    """Decoder that goes frame by frame, concatenates on edges and loops over types.

    Parameters
    ----------
    decoder
        Gives the weights, which are shared with it; its ``reduce`` must be ``"mean"``.
    """

    def __init__(self, decoder: AIMDecoder) -> None:
        super().__init__()
        if decoder.reduce != "mean":
            raise ValueError(f"reduce must be 'mean' in the rival, got {decoder.reduce!r}")
        self.decoder = decoder

    def forward(self, feat: Tensor, links: Tensor) -> Tensor:
        """Means (B, V, T - 1, D) from positions (B, V, T, D) and links (B, V (V - 1), C)."""
        decoder = self.decoder
        bodies, joints, frames, _ = feat.shape
        receiver, sender = pair_index(joints, feat.device)
        state: Tensor | None = None
        means = []
        for frame in range(frames - 1):
            pose = feat[:, :, frame]
            message = self._message(pose, links, receiver, sender)
            seen = torch.cat([message, pose], dim=-1).flatten(0, 1).unsqueeze(1)
            hidden, state = decoder.gru(seen, state)
            change = decoder.out(hidden[:, 0]).view(bodies, joints, -1)
            means.append(pose + change if decoder.residual else change)
        return torch.stack(means, dim=2)

    def _message(self, pose: Tensor, links: Tensor, receiver: Tensor, sender: Tensor) -> Tensor:
        decoder = self.decoder
        bodies, joints, _ = pose.shape
        width = decoder.hidden_feats
        total: Tensor | float = 0.0
        for kind in range(decoder.num_actional):
            rows = slice(kind * width, (kind + 1) * width)
            hidden = F.elu(
                F.linear(pose, decoder.joint_first.weight[rows], decoder.joint_first.bias[rows])
            )
            hidden = hidden @ decoder.joint_second.weight[kind] + decoder.joint_second.bias[kind]
            both = torch.cat([hidden[:, receiver], hidden[:, sender]], dim=-1)
            weight = torch.cat(
                [decoder.link_receiver.weight[kind], decoder.link_sender.weight[kind]]
            )
            link = F.elu(both @ weight + decoder.link_receiver.bias[kind])
            link = link @ decoder.link_second.weight[kind] + decoder.link_second.bias[kind]
            total = total + links[..., kind : kind + 1] * link
        assert isinstance(total, Tensor)
        return total.view(bodies, joints, joints - 1, -1).mean(dim=2)
