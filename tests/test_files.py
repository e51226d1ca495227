from __future__ import annotations

import errno
import os
import stat

import numpy as np
import pytest

from asgcn_dgl import files
from asgcn_dgl.errors import InputError
from asgcn_dgl.files import append_line, atomic_path, in_short, locked, write_json, write_npz


def test_failed_writing_leaves_the_old_file_alone(tmp_path):
    path = tmp_path / "metrics.json"
    write_json(path, {"top1": 1.0})
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, {"top1": float("nan")})
    with pytest.raises(RuntimeError), atomic_path(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == '{\n  "top1": 1.0\n}\n'
    assert os.listdir(tmp_path) == ["metrics.json"]


def test_files_can_be_read_like_any_other(tmp_path):
    plain = tmp_path / "plain"
    plain.touch()
    write_npz(tmp_path / "deep" / "scores.npz", logits=np.zeros(3))
    mode = (tmp_path / "deep" / "scores.npz").stat().st_mode
    assert stat.S_IMODE(mode) == stat.S_IMODE(plain.stat().st_mode)
    assert np.load(tmp_path / "deep" / "scores.npz")["logits"].shape == (3,)


def test_only_plain_files_are_replaced_and_links_are_followed(tmp_path):
    (tmp_path / "real").mkdir()
    link, real = tmp_path / "link.json", tmp_path / "real" / "file.json"
    link.symlink_to(real)
    for value in (1, 2):  # a link to nothing yet, then to a file
        write_json(link, value)
        assert link.is_symlink() and real.read_text() == f"{value}\n"
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "device").symlink_to("/dev/null")
    for name in ("real", "fifo", "device"):
        before = (tmp_path / name).stat()
        with pytest.raises(InputError, match=f"{name}: is .* and is not replaced"):
            write_json(tmp_path / name, 3)
        assert (tmp_path / name).stat().st_ino == before.st_ino
    assert sorted(os.listdir(tmp_path)) == ["device", "fifo", "link.json", "real"]


def test_a_line_takes_the_place_of_half_a_line(tmp_path):
    file = tmp_path / "log"
    append_line(file, "one")
    with file.open("ab") as log:
        log.write(b"hal")  # a full disk
    append_line(file, "two \udcff")
    assert file.read_text() == "one\ntwo \\udcff\n"


def test_a_lock_names_its_process(hold_lock, tmp_path):
    file = tmp_path / "lock"
    with hold_lock(file) as holder:
        with pytest.raises(InputError, match=f"there: process {holder.pid} is writing"):  # noqa: SIM117
            with locked(file, "there"):
                pass
        holder.communicate()  # it ends
    assert not file.exists()
    with locked(file, "there"), locked(file, "there"):  # once more by the same process
        assert file.read_text() == str(os.getpid())
    assert not file.exists()


def test_the_lock_of_a_dead_process_is_taken_over(hold_lock, tmp_path):
    with hold_lock(tmp_path / "lock") as holder:
        holder.kill()
        holder.wait()
    assert (tmp_path / "lock").read_text() == str(holder.pid)
    with locked(tmp_path / "lock", "there"):
        assert (tmp_path / "lock").read_text() == str(os.getpid())


def test_a_long_message_is_cut_between_words():
    short = in_short(ValueError("right_front " * 90))
    assert short.endswith(" right_front ...") and 480 < len(short) < 510
    assert len(in_short(ValueError("x" * 900))) < 510


def test_a_lock_that_its_owner_removes_meanwhile_is_made_again(tmp_path, monkeypatch):
    file, lockf, calls = tmp_path / "lock", files.fcntl.lockf, []

    def removed(handle, how):
        lockf(handle, how)
        if not calls:
            file.unlink()
        calls.append(handle)

    monkeypatch.setattr(files.fcntl, "lockf", removed)
    with locked(file, "there"):
        assert file.read_text() == str(os.getpid())
    assert len(calls) == 2


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EAGAIN])
def test_a_disk_without_locks_is_no_obstacle_and_a_lock_without_a_number_is_waited_for(
    tmp_path, monkeypatch, number
):
    def refused(handle, how):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(files.fcntl, "lockf", refused)
    monkeypatch.setattr(files, "_TRIES", 2)
    if number == errno.ENOLCK:
        with locked(tmp_path / "lock", "there"):
            pass
        assert not (tmp_path / "lock").exists()
        return
    with pytest.raises(InputError, match="there: another process is writing"):  # noqa: SIM117
        with locked(tmp_path / "lock", "there"):
            pass


def test_a_lock_in_a_folder_that_cannot_be_written_is_an_error_of_the_system(tmp_path):
    (tmp_path / "lock").mkdir()
    with pytest.raises(IsADirectoryError):  # noqa: SIM117
        with locked(tmp_path / "lock", "there"):
            pass
