from __future__ import annotations

from pathlib import Path

import pytest
import torch


@pytest.fixture
def weights():
    """Read the weights of a checkpoint."""

    def read(folder: Path, name: str = "last") -> dict[str, torch.Tensor]:
        path = folder / "checkpoints" / f"{name}.ckpt"
        return torch.load(path, weights_only=True)["state_dict"]

    return read
