from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

# The tests' tensors are small: more threads only wait for each other, above all on a busy machine.
# The processes that tests start take as many, so that their results agree bit for bit.
os.environ["OMP_NUM_THREADS"] = "1"
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the real data sets; a test that asks for it is skipped where there is none."""
    default = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("ASGCN_DGL_SHARED_DATA", default))
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder} (set ASGCN_DGL_SHARED_DATA to its folder)")
    return folder
