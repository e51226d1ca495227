from __future__ import annotations

import collections
import os
import pickle
import struct

import numpy as np
import pytest
from fuzz import check_reader
from hypothesis import given, settings
from hypothesis import strategies as st

from asgcn_dgl.data.formats import unpickle
from asgcn_dgl.data.formats.unpickle import PickledArray, read_pickle
from asgcn_dgl.errors import InputError


class Evil:
    """What runs when it is unpickled."""

    def __reduce__(self):
        return os.mkdir, ("evil",)


@pytest.fixture
def read(tmp_path):
    def read(data):
        path = tmp_path / "a.pkl"
        path.write_bytes(data)
        return read_pickle(path)

    return read


def loaded(value, path):
    if isinstance(value, PickledArray):
        return value.array
    if isinstance(value, dict):
        return {key: loaded(each, path) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(loaded(each, path) for each in value)
    return value


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("count", [3, 3000])
@pytest.mark.parametrize("dtype", ["f2", "f4", ">f8", "i4", "u1", "?", "U3", "S2"])
def test_arrays_come_back(tmp_path, protocol, count, dtype):
    array = (np.arange(2 * count) % 251).reshape(2, count).astype(dtype)
    content = {"c": array, "f": np.asfortranarray(array), "cut": array[:, ::2], "none": array[:0]}
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps(content, protocol))
    found = loaded(read_pickle(path), path)
    for key, expected in content.items():
        assert found[key].dtype == expected.dtype and found[key].shape == expected.shape
        np.testing.assert_array_equal(found[key], expected)


def test_numpy_1_and_python_2_names(tmp_path):
    array = np.arange(2000, dtype="f4").reshape(4, 500)
    for protocol in (2, 3):
        data = pickle.dumps([array, np.int64(7)], protocol)
        data = data.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
        assert b"numpy.core.multiarray" in data
        path = tmp_path / "a.pkl"
        path.write_bytes(data)
        found, seven = read_pickle(path)
        np.testing.assert_array_equal(found.array, array)
        assert seven == 7 and type(seven) is int


PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False)
    | st.text(max_size=20).filter(lambda text: text.isprintable())
    | st.binary(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text("abc", max_size=3), inner, max_size=3)
    ),
    max_leaves=20,
)


@settings(deadline=None)
@given(PLAIN, st.integers(2, 5))
def test_plain_values_come_back(tmp_path_factory, value, protocol):
    path = tmp_path_factory.getbasetemp() / "plain.pkl"
    path.write_bytes(pickle.dumps(value, protocol))
    assert read_pickle(path) == value


def test_values_of_protocol_0(read):
    value = {"a": [1, -2, 10**15, 1.5, None, True, False], "b": ("x", "ü"), "c": {}}
    assert read(pickle.dumps(value, 0)) == value
    assert read(b"(S'S001C001P001R001A001.skeleton'\nI5\ntp0\n.") == (
        "S001C001P001R001A001.skeleton",
        5,
    )
    assert read(b"U\x03abc.") == "abc"


def test_containers_by_name(read):
    value = collections.OrderedDict(a=[1])
    assert read(pickle.dumps(value, 4)) == {"a": [1]}
    value = collections.defaultdict(list, {"b": [2]})
    assert read(pickle.dumps(value, 4)) == {"b": [2]}
    assert read(pickle.dumps(bytearray(b"ab"), 3)) == b"ab"


#: A pickle's first part: an array that has not got its state.
ARRAY = b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85U\x01btR"


@pytest.mark.parametrize("protocol", range(6))
def test_hostile_pickles_run_nothing(read, tmp_path, monkeypatch, protocol):
    monkeypatch.chdir(tmp_path)
    for value in (Evil(), [1, {"a": Evil()}], np.array([Evil()], dtype=object)):
        with pytest.raises(InputError, match=r"a\.pkl: the pickle holds .*nothing in it was run"):
            read(pickle.dumps(value, protocol))
    assert not (tmp_path / "evil").exists()


@pytest.mark.parametrize(
    "data",
    [
        b"cos\nsystem\n(S'mkdir evil'\ntR.",
        b"(S'mkdir evil'\nios\nsystem\n.",  # INST
        b"c__builtin__\neval\n(S'1'\ntR.",
        b"\x80\x04\x8c\x08builtins\x8c\x04exec\x93\x8c\x011\x85R.",
        b"\x80\x04\x8c\x05numpy\x8c\x04load\x93\x8c\x01a\x85R.",
        b"\x80\x04cnumpy\nndarray\n(K\x01tR.",
        b"\x80\x02cbuiltins\nlist\n(]tR.",
        b"\x80\x02cnumpy\ndtype\nX\x01\x00\x00\x00O\x85R.",
        b"\x80\x02cnumpy\ndtype\nX\x05\x00\x00\x00f4,i4\x85R.",
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n}b.",  # BUILD of what is called
        b"\x80\x02Nr\xff\xff\xff\x7f.",  # LONG_BINPUT far beyond what there is
        b"\x80\x02cbuiltins\nbytes\nM\xff\xff\x85R.",  # bytes(65535)
        b"\x80\x02cbuiltins\nbytearray\nM\xff\xff\x85R.",
        b"\x80\x02cnumpy\ndtype\nX\x02\x00\x00\x00f4\x85R}b.",  # a state that no type has
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n(K\x01K\x00\x85U\x01btR.",
        ARRAY + b"}b.",  # states that no array has
        ARRAY + b"(K\x01K\x02\x85N\x89U\x02abtb.",
        b"\x80\x02cnumpy.core.numeric\n_frombuffer\n(U\x00NK\x00\x85U\x01AtR.",
        b"\x80\x02ccollections\ndefaultdict\nK\x05\x85R.",
    ],
)
def test_other_calls_are_refused(read, tmp_path, monkeypatch, data):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="the pickle holds"):
        read(data)
    assert not (tmp_path / "evil").exists()


@pytest.mark.parametrize(
    "data",
    [
        b"\x80\x04cnumpy\nndarray\n)\x81.",  # NEWOBJ
        b"\x80\x02\x82\x01.",  # EXT1
        b"Pevil\n.",  # PERSID
        b"\x80\x02]}b.",
        b"\x80\x02]K\x01K\x02s.",
        b"\x80\x02}]K\x02s.",
        b"\x80\x02}K\x02a.",
        b"\x80\x06N.",
        b"\x80\x04\x95\xff\xff\xff\xff\xff\x00\x00\x00N.",  # FRAME
    ],
)
def test_what_makes_no_sense_is_refused(read, data):
    with pytest.raises(InputError, match=r"a\.pkl: not a pickle, or damaged"):
        read(data)


def test_bombs(read, monkeypatch):
    with pytest.raises(InputError, match="damaged"):
        read(b"(" * 10**6)
    deep = read(b"N" + b"\x85" * 10**6 + b".")  # a tuple in a tuple ..., never walked
    assert type(deep) is tuple
    laughs = b"\x80\x04]\x94" + b"".join(
        b"](" + b"h" + bytes([n]) + (b"h" + bytes([n])) * 9 + b"e\x94" for n in range(60)
    )
    assert len(read(laughs + b".")) == 10
    with pytest.raises(InputError, match="damaged"):
        read(b"\x80\x04\x8e" + struct.pack("<Q", 2**60) + b"x.")
    with pytest.raises(InputError, match="damaged"):
        read(b"I" + b"9" * 10**6 + b"\n.")
    monkeypatch.setattr(unpickle, "MAX_STEPS", 1000)
    with pytest.raises(InputError, match="more than 1000 instructions"):
        read(b"]0" * 1000)


def test_an_array_whose_axes_were_exchanged(tmp_path):
    array = np.arange(4 * 3 * 5 * 2.0).reshape(4, 3, 5, 2).transpose(2, 0, 3, 1)
    assert not (array.flags.c_contiguous or array.flags.f_contiguous)
    path = tmp_path / "a.pkl"
    for protocol in range(6):
        path.write_bytes(pickle.dumps(array, protocol))
        found = read_pickle(path)
        assert found.shape == array.shape
        np.testing.assert_array_equal(found.array, array)
    data = pickle.dumps(array, 5)
    if b"K\x02K\x00K\x03K\x01" in data:  # as numpy from 2.3 on writes them
        for axes in (b"K\x02K\x00K\x03K\x02", b"K\x02K\x00K\x03K\x04"):
            path.write_bytes(data.replace(b"K\x02K\x00K\x03K\x01", axes))
            with pytest.raises(InputError, match="a call of frombuffer in a way"):
                read_pickle(path)


def test_numbers_of_python_2_that_look_like_text(read):
    """Its protocol 0 writes bytes and texts alike."""
    number = (
        b"cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\n(S'%s'\nI0\nI1\ntR"
        b"(I3\nS'<'\nNNNI-1\nI-1\nI0\ntbS'%s'\ntR."
    )
    assert read(number % (b"i8", b"\\x05" + b"\\x00" * 7)) == 5
    assert read(number % (b"u4", b"abcd")) == int.from_bytes(b"abcd", "little")


def test_what_would_take_forever_to_tell(read, tmp_path):
    """Containers that refer to others again and again are never written out."""
    laughs = b"\x80\x04]\x94" + b"".join(
        b"](" + (b"h" + bytes([n])) * 10 + b"e\x94" for n in range(60)
    )
    for end in (b"h\x3c\x93.", b"}h\x3cNs.", b"cnumpy\ndtype\nh\x3c\x85R."):
        with pytest.raises(InputError) as caught:
            read(laughs + end)
        assert len(str(caught.value)) < 400


def test_an_array_of_another_size(read, tmp_path):
    data = pickle.dumps(np.zeros(1000, dtype="f4"), 4)
    assert b"M\xe8\x03" in data
    for size in (b"M\xe9\x03", b"M\xe7\x03", b"M\xff\xff"):
        with pytest.raises(InputError, match="an array of 4000 bytes, which its shape does not"):
            read(data.replace(b"M\xe8\x03", size))
    for cut in (pickle.dumps(np.zeros(1000, dtype="f4"), 2), pickle.dumps("a" * 9000, 3)):
        with pytest.raises(InputError, match="damaged"):
            read(cut[:-2000])


@pytest.mark.parametrize("data", [b"", b"x", b".", b"0.", b"\x80\x04N", b"h\x05.", b"{}"])
def test_other_files_are_refused(read, data):
    with pytest.raises(InputError, match=r"a\.pkl"):
        read(data)


def test_absent_files(tmp_path):
    for path in (tmp_path / "absent.pkl", tmp_path):
        with pytest.raises(InputError, match="cannot be read"):
            read_pickle(path)


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_give_a_value_or_an_error(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "any.pkl"
    path.write_bytes(data)
    try:
        read_pickle(path)
    except InputError as error:
        assert str(path) in str(error)


@pytest.mark.slow
@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_mutants(protocol):
    content = {
        "split": {"train": ["a"], "val": ["b"]},
        "list": [np.float32(1), np.arange(200.0), {"x": np.ones((2, 2), dtype="f2")}],
    }

    def make(folder):
        (folder / "a.pkl").write_bytes(pickle.dumps(content, protocol))
        return [folder / "a.pkl"]

    def read(folder):
        read_pickle(folder / "a.pkl")
        return []

    good, bad = check_reader(make, read, 20_000, seed=7)
    assert good > 500 and bad > 1000
