import platform
import subprocess
import sys

import pytest

from asgcn_dgl.cli import main
from asgcn_dgl.training import allocator


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has these settings")
def test_a_large_buffer_is_taken_from_the_heap_again():
    """In a process of its own, since the settings hold for its life."""
    code = """
from asgcn_dgl.training.allocator import reuse_memory
import ctypes
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]
libc.sbrk.restype = ctypes.c_void_p
size = 64 << 20
assert reuse_memory()
end = libc.sbrk(0)
libc.free(libc.malloc(size))
grown = libc.sbrk(0) - end
print(grown >= size, libc.sbrk(0) >= end + size)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "True"]


def test_other_c_libraries_are_left_alone(monkeypatch):
    monkeypatch.setattr(platform, "libc_ver", lambda: ("musl", "1"))
    assert allocator.reuse_memory() is False


@pytest.mark.parametrize("wanted", [True, False])
def test_training_reuses_memory_and_says_so_unless_told_not_to(tiny, wanted, monkeypatch, tmp_path):
    calls = []
    monkeypatch.setattr("asgcn_dgl.training.run.reuse_memory", lambda: calls.append(1) or True)
    options = ["--aim.epochs=0", "--trainer.epochs=1", f"--trainer.reuse_memory={wanted}"]
    assert main([*tiny, *options, "--no-evaluate", f"--out={tmp_path / 'run'}"]) == 0
    assert len(calls) == wanted
    log = (tmp_path / "run" / "train.log").read_text()
    assert ("memory of large tensors is kept for reuse" in log) == wanted


def test_other_commands_leave_the_allocator_alone(trained, monkeypatch):
    monkeypatch.setattr("asgcn_dgl.training.run.reuse_memory", lambda: pytest.fail("called"))
    assert main(["runs", str(trained.parent)]) == 0
    assert main(["evaluate", str(trained)]) == 0
