from __future__ import annotations

import contextlib
import zlib

import numpy as np
import pytest
from fuzz import check_reader
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import io

from asgcn_dgl.data.formats.utkinect import read_mat
from asgcn_dgl.errors import InputError


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.mat"


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8"])
def test_scipys_files_are_read(path, packed, dtype):
    arrays = {
        "a": np.arange(6).reshape(2, 3).astype(dtype),
        "long_name": np.arange(24).reshape(2, 3, 4).astype(dtype),
        "one": np.ones((1, 1), dtype=dtype),
        "none": np.ones((0, 3), dtype=dtype),
    }
    io.savemat(path, arrays, do_compression=packed)
    found = read_mat(path, (*arrays, "absent"))
    assert set(found) == set(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)


def test_what_is_no_matrix_of_numbers_is_passed_over(path):
    others = {
        "text": "abc",
        "cell": np.array([[1, "a"]], dtype=object),
        "struct": {"x": 1},
        "wave": np.ones((2, 2)) * 1j,
    }
    io.savemat(path, {**others, "a": np.ones((2, 2))})
    assert set(read_mat(path, (*others, "a"))) == {"a"}


def test_other_files_are_refused(path):
    io.savemat(path, {"a": np.ones((9, 9))})
    good = path.read_bytes()
    bad = {
        "level 5": good[:124] + b"\0\2" + good[126:],
        "KeyError|IM|damaged": b"MATLAB 7.3 MAT-file" + bytes(300),
        "bytes are left|are left": good[:-9],
        "in a matrix of": good.replace(b"\x09\0\0\0\x09\0\0\0", b"\x09\0\0\0\xff\xff\xff\x7f", 1),
    }
    for told, data in bad.items():
        path.write_bytes(data)
        with pytest.raises(InputError, match=told):
            read_mat(path, ("a",))


def test_bombs_are_not_unpacked(path):
    io.savemat(path, {"a": np.zeros((2000, 2000))}, do_compression=True)
    assert path.stat().st_size < 2**16
    with pytest.raises(InputError, match="are left"):
        read_mat(path, ("a",))
    path.write_bytes(path.read_bytes() * 20)
    with pytest.raises(InputError, match="are read at once"):
        read_mat(path, ("a",))


@settings(deadline=None)
@given(st.binary(max_size=200), st.booleans())
def test_any_elements_give_matrices_or_an_error(tmp_path_factory, data, packed):
    path = tmp_path_factory.getbasetemp() / "any.mat"
    if packed:
        inner = zlib.compress(data)
        data = b"\x0f\0\0\0" + len(inner).to_bytes(4, "little") + inner
    path.write_bytes(b"MATLAB 5.0".ljust(124) + b"\0\1IM" + data)
    with contextlib.suppress(InputError):
        assert isinstance(read_mat(path, ("a",)), dict)


@pytest.mark.slow
@pytest.mark.parametrize("packed", [False, True])
def test_mutants(packed):
    def make(folder):
        io.savemat(folder / "a.mat", {"a": np.ones((3, 2)), "b": np.ones((2, 2), dtype=np.uint8)},
                   do_compression=packed)  # fmt: skip
        return [folder / "a.mat"]

    def read(folder):
        read_mat(folder / "a.mat", ("a", "b"))
        return []

    good, bad = check_reader(make, read, 20_000, seed=9)
    assert good > 500 and bad > 500
