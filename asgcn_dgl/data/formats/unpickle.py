"""Pickles of arrays from anywhere, read without running anything.

A pickle is a program that may call anything. Here :class:`pickle.Unpickler` finds stand-ins for
the few names that numpy's arrays and plain containers need, and nothing else. What could fill the
memory is refused in a first pass over the instructions.
"""

from __future__ import annotations

import math
import pickle
import pickletools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from asgcn_dgl.data.files import shown
from asgcn_dgl.errors import InputError
from asgcn_dgl.files import in_short, plain_file, unreadable

#: Instructions that are followed at most; a set of a hundred thousand recordings takes ten million.
MAX_STEPS = 40_000_000

#: Types of plain values: bool, integers, floats, bytes and texts of one length.
_PLAIN = re.compile(r"[<>|=]?[biufSU][1-9][0-9]{0,5}")


class _UnsafeError(pickle.UnpicklingError):
    """A pickle holds what no array needs."""


class _Name:
    """A name that may occur in a pickle; calling it makes plain values or an array."""

    __slots__ = ("_make", "_what")

    def __init__(self, what: str, make: Callable[..., Any] | None = None) -> None:
        self._what = what
        self._make = make

    def __call__(self, *args: Any) -> Any:
        try:
            if self._make is not None:
                return self._make(*args)
        except (TypeError, ValueError, AttributeError):
            pass
        raise _UnsafeError(f"a call of {self._what} in a way that numpy does not use")

    def __setstate__(self, state: Any) -> None:
        raise _UnsafeError(f"a state for {self._what}")


class _Dtype:
    """A type whose byte order is set after it is made."""

    __slots__ = ("dtype",)

    def __init__(self, code: str, *others: Any) -> None:
        if not _PLAIN.fullmatch(code):
            raise _UnsafeError(f"an array of type {shown(code)!r}")
        self.dtype = np.dtype(code)

    def __setstate__(self, state: Any) -> None:
        plain = isinstance(state, tuple) and len(state) > 6 and state[1] in ("<", ">", "|", "=")
        if not plain or any(part is not None for part in state[2:5]):
            raise _UnsafeError("an array of a type made of parts")
        self.dtype = self.dtype.newbyteorder(state[1])


class PickledArray:
    """An array in a pickle: its numbers ``array``, read-only."""

    __slots__ = ("array",)

    def __init__(self, array: np.ndarray | None = None) -> None:
        self.array = np.empty(0, dtype=np.uint8) if array is None else array

    @classmethod
    def of(cls, values: Any) -> PickledArray | None:
        """Make one of nested lists of numbers; None of anything else, an array as it is."""
        if not isinstance(values, list | tuple):
            return values if isinstance(values, cls) else None
        try:
            _count(values, MAX_STEPS, 4)
            return cls(np.asarray(values, dtype=np.float64))
        except (ValueError, TypeError, OverflowError):
            return None

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array."""
        return self.array.shape

    @property
    def kind(self) -> str:
        """Kind of its numbers, one of numpy's letters."""
        return self.array.dtype.kind

    def __setstate__(self, state: Any) -> None:
        if not isinstance(state, tuple) or len(state) != 5:
            raise _UnsafeError("a state that is not an array's")
        _, shape, dtype, fortran, data = state
        self.array = _array(shape, dtype, "F" if fortran is True else "C", data)


def _count(values: Any, most: int, depth: int) -> int:
    """Count what is in nested lists, which may hold one list a thousand times, up to a bound."""
    if not isinstance(values, list | tuple):
        return 1
    found = 1
    for each in values if depth else ():
        found += _count(each, most - found, depth - 1)
        if found > most:
            raise ValueError("too many")
    if not depth and values:
        raise ValueError("too deep")
    return found


def _array(shape: Any, dtype: Any, order: Any, data: Any) -> np.ndarray:
    """Make an array of the bytes that are there, if its shape needs as many."""
    data = data.encode("latin-1") if isinstance(data, str) else data  # of Python 2
    whole = isinstance(shape, tuple) and all(type(size) is int and size >= 0 for size in shape)
    if not whole or not isinstance(dtype, _Dtype) or not isinstance(data, bytes | bytearray):
        raise _UnsafeError("an array without a proper shape, type or content")
    if len(shape) > 8 or math.prod(shape) * dtype.dtype.itemsize != len(data):
        raise _UnsafeError(f"an array of {len(data)} bytes, which its shape does not take")
    if not data:
        return np.empty(shape, dtype=dtype.dtype)
    return np.frombuffer(data, dtype=dtype.dtype).reshape(shape, order=order)


def _reconstruct(cls: Any, shape: Any, code: Any) -> PickledArray:
    if cls is not _NDARRAY:
        raise TypeError("a subclass of arrays")
    return PickledArray()


def _frombuffer(data: Any, dtype: Any, shape: Any, order: Any, axes: Any = None) -> PickledArray:
    """Make an array of protocol 5; with order "K" its axes are then permuted."""
    if order not in ("C", "F", "K") or (order != "K" and axes is not None):
        raise ValueError("another order")
    array = _array(shape, dtype, "F" if order == "F" else "C", data)
    return PickledArray(array.transpose(axes) if order == "K" else array)


def _scalar(dtype: Any, data: Any) -> Any:
    return _array((), dtype, "C", data).item()


def _encode(text: Any, encoding: Any) -> bytes:
    if encoding not in ("latin1", "latin-1"):
        raise ValueError("another encoding")
    return str.encode(text, "latin-1")


def _bytes(data: Any = b"", encoding: Any = None) -> bytes:
    if encoding is None and isinstance(data, bytes | bytearray):
        return bytes(data)
    return _encode(data, encoding)


def _defaultdict(*factory: Any) -> dict[Any, Any]:
    if not all(isinstance(each, _Name) for each in factory):
        raise TypeError("a factory that is no type")
    return {}


_NDARRAY = _Name("ndarray")

#: Names that a pickle may use, and their replacements.
_NAMES: dict[tuple[str, str], _Name] = {
    ("numpy", "ndarray"): _NDARRAY,
    ("numpy", "dtype"): _Name("dtype", _Dtype),
    ("_codecs", "encode"): _Name("encode", _encode),
    ("collections", "OrderedDict"): _Name("dict", lambda: {}),
    ("collections", "defaultdict"): _Name("defaultdict", _defaultdict),
}
for _core in ("numpy.core", "numpy._core"):  # of numpy 1 and 2
    _NAMES[f"{_core}.multiarray", "_reconstruct"] = _Name("array", _reconstruct)
    _NAMES[f"{_core}.multiarray", "scalar"] = _Name("scalar", _scalar)
    _NAMES[f"{_core}.numeric", "_frombuffer"] = _Name("frombuffer", _frombuffer)
for _module in ("builtins", "__builtin__"):
    _NAMES |= {(_module, name): _Name(name, _bytes) for name in ("bytes", "bytearray")}
    _NAMES[_module, "list"] = _Name("list", lambda: [])
    _NAMES[_module, "dict"] = _Name("dict", lambda: {})
    _NAMES[_module, "tuple"] = _Name("tuple", lambda: ())


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        found = _NAMES.get((module, name))
        if found is None:
            raise _UnsafeError(f"a call of {shown(module)}.{shown(name)}, which is no array")
        return found


def read_pickle(path: str | Path) -> Any:
    """Read a pickle of plain containers, texts, numbers and numpy arrays, protocols 0 to 5.

    numpy's scalars become Python's, arrays :class:`PickledArray`. A file that asks for anything
    else is an InputError: nothing in it is run. It is read into memory.

    Examples
    --------
    >>> import pickle, tempfile
    >>> with tempfile.NamedTemporaryFile(suffix=".pkl") as file:
    ...     file.write(pickle.dumps({"names": ["a", "b"], "pos": np.ones((2, 3))})) > 0
    ...     file.flush()
    ...     content = read_pickle(file.name)
    ...     content["names"], content["pos"].shape
    True
    (['a', 'b'], (2, 3))
    """
    path = Path(path)
    if not plain_file(path).st_size:
        raise InputError(f"{path}: the file is empty; copy it again from its source")
    try:
        with path.open("rb") as file:
            _check_steps(file, plain_file(path).st_size)
            file.seek(0)
            return _Unpickler(file, encoding="latin1").load()
    except _UnsafeError as error:
        raise InputError(
            f"{path}: the pickle holds {error}; only arrays, numbers, texts and plain "
            "containers are read, and nothing in it was run. Get the file from a source that you "
            "trust, or save it again with these alone"
        ) from error
    except OSError as error:
        raise unreadable(path, error) from error
    except Exception as error:  # whatever a damaged program leads to
        raise InputError(
            f"{path}: not a pickle, or damaged ({type(error).__name__}: {in_short(error)}); copy "
            "it again from its source"
        ) from error


def _check_steps(file: BinaryIO, size: int) -> None:
    """Refuse a program that is too long, or reserves more memory than its own bytes fill."""
    for number, (step, value, _) in enumerate(pickletools.genops(file)):
        if number >= MAX_STEPS:
            raise _UnsafeError(f"more than {MAX_STEPS} instructions")
        if "PUT" in step.name and value is not None and int(value) > number:
            raise _UnsafeError(f"{value} as the number of a value that is kept")
        if step.name == "FRAME" and int(value or 0) > size:
            raise ValueError(f"a frame of {value} bytes: truncated")
