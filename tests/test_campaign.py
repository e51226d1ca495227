"""A short version of ``python tests/campaign.py``, which docs/faults.md tells about."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CAMPAIGN = Path(__file__).with_name("campaign.py")
SHORT = {"damaged": 20, "lines": 40, "kills": 6, "races": 5, "full": 3, "signals": 8}


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="commands are run in forks")
@pytest.mark.parametrize("part", SHORT)
def test_nothing_that_is_not_allowed(part):
    """In a process of its own, which has computed nothing: forks of this one could hang."""
    command = [sys.executable, str(CAMPAIGN), f"--{part}", str(SHORT[part])]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "not allowed 0" in done.stdout, done.stdout + done.stderr
