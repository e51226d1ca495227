from __future__ import annotations

import io
import os
import struct
import zipfile

import numpy as np
import pytest
from fuzz import check_reader
from hypothesis import given, settings
from hypothesis import strategies as st

from asgcn_dgl.data.formats.npz import read_npz
from asgcn_dgl.errors import InputError


class Evil:
    """What runs when it is unpickled."""

    def __reduce__(self):
        return os.mkdir, ("evil",)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.npz"


def member(path, data, name="keypoints.npy", **options):
    with zipfile.ZipFile(path, "w", **options) as archive:
        archive.writestr(name, data)


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("dtype", ["f2", "f4", ">f8", "i4", "u1", "?", "U5"])
def test_arrays_come_back(path, save, dtype):
    array = np.arange(24).reshape(2, 3, 4).astype(dtype)
    save(path, keypoints=array, turned=np.asfortranarray(array), none=array[:0], one=array[0, 0, 0])
    found = read_npz(path, ("keypoints", "turned", "none", "one", "absent"))
    assert set(found) == {"keypoints", "turned", "none", "one"}
    np.testing.assert_array_equal(found["keypoints"], array)
    np.testing.assert_array_equal(found["turned"], array)
    assert found["none"].shape == (0, 3, 4) and found["one"] == array[0, 0, 0]


def test_pickles_run_nothing(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez(path, keypoints=np.array([Evil()], dtype=object))
    with pytest.raises(InputError, match="is of type object, which is no plain number"):
        read_npz(path, ("keypoints",))
    np.savez(path, keypoints=np.zeros(2, dtype=[("a", "f4"), ("b", "O")]))
    with pytest.raises(InputError, match="no plain number"):
        read_npz(path, ("keypoints",))
    member(path, b"\x80\x04" + b"cos\nmkdir\n(S'evil'\ntR.")
    with pytest.raises(InputError, match=r"a\.npz"):
        read_npz(path, ("keypoints",))
    assert not (tmp_path / "evil").exists()


def test_bombs_are_not_unpacked(path):
    np.savez_compressed(path, keypoints=np.zeros(10**7, dtype="f4"))
    assert path.stat().st_size < 10**5
    with pytest.raises(InputError, match="its arrays take 40 MB, of 10 MB"):
        read_npz(path, ("keypoints",), limit=10**7)
    with zipfile.ZipFile(path, "w") as archive:  # a directory of many members
        for number in range(2000):
            archive.writestr(f"array_{number}.npy", b"")
    with pytest.raises(InputError, match="too many arrays"):
        read_npz(path, ("keypoints",))


def test_a_size_that_lies(path):
    np.savez(path, keypoints=np.zeros(100, dtype="f4"))
    data = path.read_bytes()
    real = struct.pack("<I", 528)
    assert real in data
    path.write_bytes(data.replace(real, struct.pack("<I", 10**8)))
    with pytest.raises(InputError, match=r"a\.npz"):
        read_npz(path, ("keypoints",))
    header = npy(np.zeros(100, dtype="f4"))
    member(path, header.replace(b"(100,)", b"(9**99,)"[:6]))
    with pytest.raises(InputError, match=r"a\.npz"):
        read_npz(path, ("keypoints",))
    member(path, header.replace(b"(100,), }   ", b"(10**9,), }"[:12].ljust(12)))
    with pytest.raises(InputError, match=r"a\.npz"):
        read_npz(path, ("keypoints",))
    member(path, header[:-8])
    with pytest.raises(InputError, match="not of the size"):
        read_npz(path, ("keypoints",))


def test_other_archives_are_refused(path):
    for data in (b"", b"x", b"PK\x05\x06", os.urandom(1000), npy(np.ones(3))):
        path.write_bytes(data)
        with pytest.raises(InputError, match=r"a\.npz"):
            read_npz(path, ("keypoints",))
    member(path, npy(np.ones(3)), compression=zipfile.ZIP_LZMA)
    with pytest.raises(InputError, match="packed in a way that numpy does not use"):
        read_npz(path, ("keypoints",))
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(path, "w") as archive:
        for _ in range(2):
            archive.writestr("keypoints.npy", npy(np.ones(3)))
    with pytest.raises(InputError, match="two arrays have one name"):
        read_npz(path, ("keypoints",))
    with pytest.raises(InputError, match="cannot be read"):
        read_npz(path.parent / "absent.npz", ("keypoints",))


def test_names_that_lead_out_of_the_archive_are_never_written(path, tmp_path):
    member(path, npy(np.ones(3)), name="../keypoints.npy")
    assert read_npz(path, ("keypoints",)) == {}
    assert [each.name for each in tmp_path.iterdir()] == ["a.npz"]


def test_messages_stay_short(path):
    """zipfile quotes as much of the file as a damaged length says."""
    np.savez(path, keypoints=np.zeros(500))
    data = bytearray(path.read_bytes())
    data[26:28] = struct.pack("<H", 4000)  # length of the name
    path.write_bytes(data)
    with pytest.raises(InputError) as caught:
        read_npz(path, ("keypoints",))
    assert len(str(caught.value)) < 500 and "\n" not in str(caught.value)


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_give_an_error(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "any.npz"
    path.write_bytes(data)
    with pytest.raises(InputError):
        read_npz(path, ("keypoints",))


@pytest.mark.slow
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_mutants(save):
    def make(folder):
        save(folder / "a.npz", keypoints=np.ones((2, 3, 3)), label="walk")
        return [folder / "a.npz"]

    def read(folder):
        read_npz(folder / "a.npz", ("keypoints", "label"))
        return []

    good, bad = check_reader(make, read, 20_000, seed=5)
    assert good > 500 and bad > 1000
