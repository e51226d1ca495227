"""The A-link inference module beside its published form: ``python -m benchmarks.aim``."""

from __future__ import annotations

import torch

from asgcn_dgl.nn import AIMDecoder, AIMEncoder
from asgcn_dgl.skeleton import GraphBuilder, get_layout
from benchmarks.layers import timed
from benchmarks.measure import Call, Work, run
from benchmarks.rivals import ConcatenatingEncoder, StepwiseDecoder

LAYOUT, DIMS, TYPES, FRAMES = "ntu25", 3, 3, 50


def encoder(bodies: int) -> Call:
    """The library's encoder, up to the logits."""
    layout = get_layout(LAYOUT)
    graph = GraphBuilder(num_actional=TYPES).structure(layout, [1] * bodies)
    layer = AIMEncoder(DIMS, TYPES, num_frames=FRAMES)
    feat = torch.randn(graph.num_nodes(), FRAMES, DIMS)
    return timed(True, layer, [feat], lambda: layer.infer(graph, feat))


def concatenating(bodies: int) -> Call:
    """The encoder that concatenates on edges."""
    rival = ConcatenatingEncoder(AIMEncoder(DIMS, TYPES, num_frames=FRAMES))
    feat = torch.randn(bodies, get_layout(LAYOUT).num_joints, FRAMES * DIMS)
    return timed(True, rival, [feat], lambda: rival(feat))


def decoder(bodies: int) -> Call:
    """The library's decoder under teacher forcing."""
    graph = GraphBuilder(num_actional=TYPES).structure(get_layout(LAYOUT), [1] * bodies)
    layer = AIMDecoder(DIMS, TYPES)
    feat = torch.randn(graph.num_nodes(), FRAMES + 1, DIMS)
    links = torch.rand(graph.num_edges("actional_1"), TYPES)
    return timed(True, layer, [feat, links], lambda: layer(graph, feat, links))


def stepwise(bodies: int) -> Call:
    """The decoder that goes frame by frame."""
    rival = StepwiseDecoder(AIMDecoder(DIMS, TYPES))
    joints = get_layout(LAYOUT).num_joints
    feat = torch.randn(bodies, joints, FRAMES + 1, DIMS)
    links = torch.rand(bodies, joints * (joints - 1), TYPES)
    return timed(True, rival, [feat, links], lambda: rival(feat, links))


def _works(encoded: int, decoded: int) -> list[Work]:
    return [
        Work(
            f"AIMEncoder, {encoded} x 25 x {FRAMES}, forward + backward",
            "encoder that concatenates on edges",
            lambda: encoder(encoded),
            lambda: concatenating(encoded),
            encoded,
        ),
        Work(
            f"AIMDecoder, {decoded} bodies, {FRAMES} steps, teacher forcing, forward + backward",
            "decoder stepwise, concatenating, looping over types",
            lambda: decoder(decoded),
            lambda: stepwise(decoded),
            decoded,
        ),
    ]


WORKS = _works(64, 16)


if __name__ == "__main__":
    run("benchmarks.aim", __doc__ or "", WORKS, _works(16, 2))
