import numpy as np
import pytest
import torch

from asgcn_dgl.live.engines import TorchEngine
from asgcn_dgl.models import ASGCN
from asgcn_dgl.training import ClipsConfig, RunConfig
from asgcn_dgl.training.checkpoint import Restored

NAMES = ["wave", "jump", "sit"]


@pytest.fixture
def restored():
    """A small model with A-links and future poses, of clips that are turned and sampled."""

    def make(layout="ntu25", dims=3, scored=False, future=4, **clips):
        torch.manual_seed(0)
        model = ASGCN(
            layout,
            len(NAMES),
            dims,
            channels=(6, 8),
            strides=(1, 2),
            aim_frames=5,
            aim_hidden=8,
            future_frames=future,
            future_channels=8,
        )
        with torch.no_grad():
            for name, value in model.named_buffers():
                if name.endswith("running_mean"):
                    value.normal_(std=0.3)
            model.recognition.linear.weight.normal_(std=2.0)
        options = {"num_frames": 16, "align": "view" if dims == 3 and not scored else "center"}
        config = RunConfig(clips=ClipsConfig(**{**options, **clips}))
        return Restored(model.eval(), NAMES, config, 0, (), scored)

    return make


@pytest.fixture
def engine(restored):
    return lambda **options: TorchEngine(restored(**options))


def walk(frames=40, joints=25, dims=3, people=1, seed=0):
    """Poses that move smoothly, (frames, people, joints, dims), about two apart."""
    rng = np.random.default_rng(seed)
    rest = rng.normal(size=(people, joints, dims)) / 2
    rest[..., 0] += 4.0 * np.arange(people)[:, None]
    phase = rng.uniform(0, 6, size=(people, joints, dims))
    time = np.arange(frames)[:, None, None, None] / 10
    return rest + 0.2 * np.sin(time + phase) + 3.0
