import platform
import subprocess
import sys

import pytest

from asgcn_dgl import cli
from asgcn_dgl.training import allocator

# Page faults of a layer that is used over and over, after the first few times.
FAULTS = """
import resource, sys
import torch
from asgcn_dgl.training.allocator import reuse_memory
if sys.argv[1] == "reusing":
    assert reuse_memory()
layer, feat = torch.nn.Linear(64, 256), torch.randn(100_000, 64)
for step in range(10):
    if step == 5:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    layer(feat).relu().square().mean().backward()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has these settings")
def test_large_buffers_are_kept():
    def faults(kind):
        command = [sys.executable, "-c", FAULTS, kind]
        return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

    assert faults("default") > 4 * faults("reusing") > -1


def test_other_c_libraries_are_left_alone(monkeypatch):
    monkeypatch.setattr(platform, "libc_ver", lambda: ("musl", "1"))
    assert allocator.reuse_memory() is False


@pytest.mark.parametrize(("options", "expected"), [([], 1), (["--allocator", "default"], 0)])
def test_the_command_reuses_memory_unless_told_not_to(options, expected, monkeypatch, tmp_path):
    calls = []
    monkeypatch.setattr(cli, "reuse_memory", lambda: calls.append(1))
    assert cli.main([*options, "runs", str(tmp_path)]) == 2  # no run in it
    assert len(calls) == expected
