import ctypes
import platform
import subprocess
import sys

import pytest

from asgcn_dgl.cli import main
from asgcn_dgl.training import build

# Bytes that the C library has mapped for one large buffer alone, before and while there is one.
MAPPED = """
import ctypes, sys
from asgcn_dgl.training.build import reuse_memory
libc = ctypes.CDLL(None)
class Info(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in
                "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keep".split()]
libc.mallinfo2.restype = Info
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
if sys.argv[1] == "reusing":
    assert reuse_memory()
before = libc.mallinfo2().hblkhd
assert libc.malloc(64 << 20)
print(libc.mallinfo2().hblkhd - before)
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="needs glibc 2.33")
@pytest.mark.parametrize("kind", ["reusing", "default"])
def test_large_buffers_are_kept_in_the_heap(kind):
    """In a process of its own, since the settings hold for its life."""
    command = [sys.executable, "-c", MAPPED, kind]
    mapped = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert mapped == 0 if kind == "reusing" else mapped >= 64 << 20


def test_other_c_libraries_are_left_alone(monkeypatch):
    monkeypatch.setattr(platform, "libc_ver", lambda: ("musl", "1"))
    assert build.reuse_memory() is False


@pytest.mark.parametrize("wanted", [True, False])
def test_training_reuses_memory_and_says_so_unless_told_not_to(tiny, wanted, monkeypatch, tmp_path):
    calls = []
    monkeypatch.setattr("asgcn_dgl.training.run.reuse_memory", lambda: calls.append(1) or True)
    options = ["--aim.epochs=0", "--trainer.epochs=1", f"--trainer.reuse_memory={wanted}"]
    assert main([*tiny, *options, "--no-evaluate", f"--out={tmp_path / 'run'}"]) == 0
    assert len(calls) == wanted
    log = (tmp_path / "run" / "train.log").read_text()
    assert ("memory of large tensors is kept for reuse" in log) == wanted


def test_other_commands_leave_the_allocator_alone(own_run, monkeypatch):
    monkeypatch.setattr("asgcn_dgl.training.run.reuse_memory", lambda: pytest.fail("called"))
    assert main(["runs", str(own_run.parent)]) == 0
    assert main(["evaluate", str(own_run)]) == 0
