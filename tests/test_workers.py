from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from asgcn_dgl.errors import InputError
from asgcn_dgl.workers import pool_of, submit

PARENT = """
import os, signal, sys, time
from asgcn_dgl.workers import pool_of, submit
if __name__ == "__main__":
    with pool_of(1) as pool:
        print(submit(pool, os.getpid).result(), flush=True)
        submit(pool, time.sleep, 3600).result()
"""


def alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="asks the system for processes")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_workers_end_with_their_parent(tmp_path, number):
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    with subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        worker = int(process.stdout.readline())
        assert alive(worker)
        process.send_signal(number)
        error = process.communicate()[1]
    while alive(worker):  # a worker that stays is ended by the time limit of the tests alone
        time.sleep(0.01)
    # Ctrl-C is the parent's to answer
    assert error.count(b"Traceback") == (number == signal.SIGINT)


def test_a_killed_worker_is_told_in_a_line():
    with pytest.raises(InputError, match="a worker process was killed"), pool_of(1) as pool:
        submit(pool, os.kill, submit(pool, os.getpid).result(), signal.SIGKILL).result()
