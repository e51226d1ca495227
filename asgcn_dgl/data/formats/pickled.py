"""Pickles as data: read without running anything.

A pickle is a program for a stack machine that may import and call whatever it names, so one from
the internet can do anything. The machine here knows plain containers, text, numbers and numeric
numpy arrays; what a pickle names beyond these is refused, and nothing is ever imported or called on
its behalf. Arrays are not even read: the machine notes where in the file their numbers stand, and
:meth:`Stored.read` fetches one when it is asked for. A file of many gigabytes is thus opened in a
small part of its size.

Opcodes are those of Python's own ``pickletools`` (protocols 0 to 5); what numpy 1 and 2 write into
them is ``numpy.core`` or ``numpy._core``: ``_reconstruct``, ``scalar`` and ``_frombuffer``.
"""

from __future__ import annotations

import codecs
import math
import mmap
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from asgcn_dgl.errors import InputError

__all__ = ["Stored", "open_pickle"]

MAX_STEPS = 40_000_000  # opcodes; each makes 200 bytes at most
MAX_MARKS = 100  # containers within containers
MAX_TEXT = 2**16  # bytes that are read while the pickle is looked through
MAX_DIGITS = 40

_AGAIN = "the file is truncated or damaged, copy it again from its source"

#: What a pickle may name, and the part that it plays.
_KNOWN = {
    ("numpy", "ndarray"): "ndarray",
    ("numpy", "dtype"): "dtype",
    ("_codecs", "encode"): "encode",
    ("collections", "OrderedDict"): "dict",
    **{
        (f"numpy.{core}.{module}", name): name.removeprefix("_")
        for core in ("core", "_core")
        for module, name in (
            ("multiarray", "_reconstruct"),
            ("multiarray", "scalar"),
            ("numeric", "_frombuffer"),
        )
    },
    **{
        (module, name): name
        for module in ("builtins", "__builtin__")
        for name in ("set", "frozenset", "bytes", "bytearray")
    },
}

_DTYPE = re.compile(r"[fiu][1248]|b1")
_FORMATS = {1: "<B", 2: "<H", 4: "<I", 8: "<Q"}


@dataclass(frozen=True)
class Bytes:
    """Bytes of the file that are not read yet.

    Attributes
    ----------
    at, size
        Where they stand, and how many they are.
    text
        They are UTF-8 text whose letters stand for bytes, as old protocols write them.
    """

    at: int
    size: int
    text: bool = False


@dataclass
class _DType:
    code: str
    order: str = "="

    def __str__(self) -> str:
        return ("<" if self.order in "=|" else self.order) + self.code


@dataclass(frozen=True)
class _Name:
    """Something that the pickle names: a part of :data:`_KNOWN`."""

    part: str


@dataclass
class Stored:
    """An array in a pickle; its numbers stay in the file.

    Attributes
    ----------
    dtype
        As numpy writes it, such as ``"<f4"``.
    shape
        Sizes of its axes.
    order
        ``"C"`` or ``"F"``.
    axes
        How its axes are to be exchanged after it is read; empty: not at all.
    data
        Where its numbers stand, or they themselves if they are few.
    """

    dtype: str = ""
    shape: tuple[int, ...] = ()
    order: str = "C"
    axes: tuple[int, ...] = ()
    data: Bytes | bytes | None = None

    def __post_init__(self) -> None:
        if self.axes:  # of what is read, so that shape says what there will be
            self.shape = tuple(self.shape[axis] for axis in self.axes)

    def read(self, path: Path) -> np.ndarray:
        """Fetch the numbers from the file.

        Parameters
        ----------
        path
            The pickle.

        Returns
        -------
        ndarray
            Of the array's own type; not writable.

        Raises
        ------
        InputError
            If they are not as many as the shape says.
        """
        data = self.data
        if isinstance(data, Bytes):
            data = _fetch(path, data)
        dtype = np.dtype(self.dtype or "u1")
        if data is None or len(data) != math.prod(self.shape) * dtype.itemsize:
            found = "no number" if data is None else f"{len(data)} bytes"
            raise InputError(
                f"{path}: {found} for an array of {dtype} of shape {self.shape}; {_AGAIN}"
            )
        shape = self.shape
        if self.axes:
            shape = tuple(shape[self.axes.index(axis)] for axis in range(len(shape)))
        order: Any = self.order
        array = np.frombuffer(data, dtype).reshape(shape, order=order)
        return array.transpose(self.axes) if self.axes else array


def open_pickle(path: str | Path) -> Any:
    """Look through a pickle.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    object
        What it holds, of dict, list, tuple, set, str, bytes, int, float, bool and None; arrays as
        :class:`Stored`. Strings of Python 2 are bytes: :func:`text` reads both.

    Raises
    ------
    InputError
        If the file cannot be read, is no pickle, is damaged, or asks for more than data needs.
        Nothing that it names is imported or run.
    """
    path = Path(path)
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _Machine(path, data).run()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise InputError(f"{path}: cannot be read ({reason}); check the path") from error
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: the file is empty; copy it again from its source") from error


def text(value: Any) -> str | None:
    """Return a text, whichever Python wrote it; None if it is none.

    Examples
    --------
    >>> text(b"wave"), text("wave"), text(3)
    ('wave', 'wave', None)
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            return value.decode("latin-1")
    return None


def _fetch(path: Path, place: Bytes) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(place.at)
            data = file.read(place.size)
        return _letters(data) if place.text else data
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise InputError(f"{path}: cannot be read ({reason}); check the path") from error
    except UnicodeError as error:
        raise InputError(f"{path}, byte {place.at}: an array is no bytes; {_AGAIN}") from error


def _letters(data: bytes) -> bytes:
    return data.decode("utf-8", "surrogatepass").encode("latin-1")


class _Refused(Exception):
    """The pickle asks for something that data does not need."""


class _Machine:
    """The stack machine. Each opcode is a method; what it cannot do is an error of the file."""

    def __init__(self, path: Path, data: mmap.mmap) -> None:
        self.path = path
        self.data = data
        self.size = len(data)
        self.at = 0
        self.stack: list[Any] = []
        self.below: list[list[Any]] = []  # stacks under the marks
        self.memo: dict[int, Any] = {}

    def run(self) -> Any:
        data, table = self.data, _TABLE
        started = 0
        try:
            for _ in range(MAX_STEPS):
                started = self.at
                code = data[started]
                self.at = started + 1
                if code == 46:  # STOP
                    return self._end()
                table[code](self)
            raise _Refused(f"it has more than {MAX_STEPS} steps")
        except _Refused as error:
            raise InputError(
                f"{self.path}, byte {started}: {error}; the file was not used and nothing of it "
                "was run"
            ) from None
        except (
            IndexError, KeyError, TypeError, ValueError, AttributeError, OverflowError, struct.error
        ) as error:  # fmt: skip
            raise InputError(f"{self.path}, byte {started}: not a pickle; {_AGAIN}") from error

    def _end(self) -> Any:
        (value,) = self.stack
        if self.below:
            raise ValueError
        return value

    # Bytes of the file

    def _take(self, size: int) -> bytes:
        end = self.at + size
        if end > self.size:
            raise ValueError
        found = self.data[self.at : end]
        self.at = end
        return found

    def _line(self) -> bytes:
        end = self.data.find(b"\n", self.at, self.at + MAX_TEXT)
        if end < 0:
            raise ValueError
        found = self.data[self.at : end]
        self.at = end + 1
        return found

    def _count(self, width: int) -> int:
        return int(struct.unpack(_FORMATS[width], self._take(width))[0])

    def _place(self, width: int) -> Bytes | bytes:
        """Bytes behind their number; they themselves only if they are few."""
        size = self._count(width)
        if size <= MAX_TEXT // 1024:
            return self._take(size)
        if self.at + size > self.size:
            raise ValueError
        place = Bytes(self.at, size)
        self.at += size
        return place

    def bytes(self, width: int) -> None:
        self.stack.append(self._place(width))

    def unicode(self, width: int) -> None:
        size = self._count(width)
        if size <= MAX_TEXT // 16:
            self.stack.append(self._take(size).decode("utf-8", "surrogatepass"))
            return
        if self.at + size > self.size:
            raise ValueError
        self.stack.append(Bytes(self.at, size, text=True))
        self.at += size

    def string_line(self) -> None:
        line = self._line().strip()
        if len(line) < 2 or line[:1] != line[-1:] or line[:1] not in (b"'", b'"'):
            raise ValueError
        self.stack.append(codecs.escape_decode(line[1:-1])[0])  # type: ignore[attr-defined]

    def unicode_line(self) -> None:
        self.stack.append(self._line().decode("raw-unicode-escape"))

    def protocol(self) -> None:
        if self._count(1) > 5:
            raise _Refused("it is of a protocol that is not known")

    def frame(self) -> None:
        self._take(8)

    # Numbers

    def int_line(self) -> None:
        line = self._line().rstrip(b"L")
        if len(line) > MAX_DIGITS:
            raise ValueError
        self.stack.append({b"00": False, b"01": True}.get(line, int(line)))

    def float_line(self) -> None:
        self.stack.append(float(self._line()[:MAX_DIGITS]))

    def float8(self) -> None:
        self.stack.append(struct.unpack(">d", self._take(8))[0])

    def int4(self) -> None:
        self.stack.append(struct.unpack("<i", self._take(4))[0])

    def uint(self, width: int) -> None:
        self.stack.append(self._count(width))

    def long(self, width: int) -> None:
        size = self._count(width)
        if size > MAX_DIGITS:
            raise ValueError
        self.stack.append(int.from_bytes(self._take(size), "little", signed=True))

    def constant(self, value: Any) -> None:
        self.stack.append(value)

    # The stack and the memo

    def mark(self) -> None:
        if len(self.below) >= MAX_MARKS:
            raise _Refused(f"it holds containers within containers, more than {MAX_MARKS} deep")
        self.below.append(self.stack)
        self.stack = []

    def _popped(self) -> list[Any]:
        items = self.stack
        self.stack = self.below.pop()
        return items

    def pop(self) -> None:
        if self.stack:
            self.stack.pop()
        else:
            self._popped()

    def pop_mark(self) -> None:
        self._popped()

    def dup(self) -> None:
        self.stack.append(self.stack[-1])

    def put_line(self) -> None:
        self.memo[self._number()] = self.stack[-1]

    def put(self, width: int) -> None:
        self.memo[self._count(width)] = self.stack[-1]

    def memoize(self) -> None:
        self.memo[len(self.memo)] = self.stack[-1]

    def get_line(self) -> None:
        self.stack.append(self.memo[self._number()])

    def get(self, width: int) -> None:
        self.stack.append(self.memo[self._count(width)])

    def _number(self) -> int:
        line = self._line()
        if len(line) > MAX_DIGITS:
            raise ValueError
        return int(line)

    # Containers

    def empty(self, kind: Callable[[], Any]) -> None:
        self.stack.append(kind())

    def tuple_of(self, size: int) -> None:
        if len(self.stack) < size:
            raise IndexError
        items = tuple(self.stack[-size:])
        del self.stack[-size:]
        self.stack.append(items)

    def marked(self, kind: Callable[[Any], Any]) -> None:
        items = kind(self._popped())
        self.stack.append(items)

    def append(self) -> None:
        item = self.stack.pop()
        self._top(list).append(item)

    def appends(self) -> None:
        items = self._popped()
        self._top(list).extend(items)

    def set_item(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self._top(dict)[_key(key)] = value

    def set_items(self) -> None:
        items = self._popped()
        self._top(dict).update(_pairs(items))

    def add_items(self) -> None:
        items = self._popped()
        self._top(set).update(_key(item) for item in items)

    def _top(self, kind: type) -> Any:
        if type(self.stack[-1]) is not kind:
            raise TypeError
        return self.stack[-1]

    # Names, and what is made of them

    def global_line(self) -> None:
        module, name = self._line(), self._line()
        self._named(module.decode("utf-8"), name.decode("utf-8"))

    def stack_global(self) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        if not (isinstance(name, str) and isinstance(module, str)):
            raise TypeError
        self._named(module, name)

    def _named(self, module: str, name: str) -> None:
        if (module, name) not in _KNOWN:
            asked = f"{module[:60]}.{name[:60]}"
            raise _Refused(
                f"it asks for {asked!r}, which numbers and text do not need and which could do "
                "anything"
            )
        self.stack.append(_Name(_KNOWN[module, name]))

    def reduce(self) -> None:
        arguments, function = self.stack.pop(), self.stack.pop()
        if type(function) is not _Name or type(arguments) is not tuple:
            raise TypeError
        make = _MAKERS.get(function.part)
        if make is None:
            raise TypeError
        self.stack.append(make(*arguments))

    def build(self) -> None:
        state, made = self.stack.pop(), self.stack[-1]
        if type(made) is _DType:
            _, order, *_ = state
            if text(order) not in ("<", ">", "=", "|"):
                raise ValueError
            made.order = str(text(order))
        elif type(made) is Stored and made.data is None:
            *_, shape, dtype, fortran, data = state
            _fill(made, shape, dtype, "F" if fortran else "C", data)
        else:
            raise TypeError

    def refused(self) -> None:
        raise _Refused("it makes objects of other kinds than numbers, text and their containers")

    def unknown(self) -> None:
        raise ValueError


def _key(value: Any) -> Any:
    found = text(value)
    if found is not None:
        return found
    if not isinstance(value, (int, float, type(None))):
        raise TypeError
    return value


def _pairs(items: list[Any]) -> dict[Any, Any]:
    return {_key(key): value for key, value in zip(items[::2], items[1::2], strict=True)}


def _keys(items: Any = ()) -> set[Any]:
    if type(items) not in (list, tuple):
        raise TypeError
    return {_key(item) for item in items}


def _make_dtype(code: Any, align: Any = False, copy: Any = True) -> _DType:
    name = text(code)
    if name is None or not _DTYPE.fullmatch(name):
        what = "objects" if name is not None and name[:1] == "O" else f"type {str(name)[:20]!r}"
        raise _Refused(f"it holds an array of {what}, where only numbers are read")
    return _DType(name)


def _make_array(kind: Any, shape: Any, typecode: Any) -> Stored:
    if kind != _Name("ndarray"):
        raise TypeError
    return Stored()


def _make_buffer(data: Any, dtype: Any, shape: Any, order: Any, axes: Any = ()) -> Stored:
    order = text(order)
    if order not in ("C", "F") and not (order == "K" and axes):
        raise ValueError
    if order != "K":
        axes = ()
    elif type(axes) is not tuple or sorted(axes) != list(range(len(shape))):
        raise ValueError
    made = Stored()
    _fill(made, shape, dtype, "F" if order == "F" else "C", data)
    if axes:
        made.axes = axes
        made.__post_init__()
    return made


def _fill(made: Stored, shape: Any, dtype: Any, order: str, data: Any) -> None:
    sizes = type(shape) is tuple and len(shape) <= 8
    if not sizes or not all(type(size) is int and 0 <= size < 2**40 for size in shape):
        raise ValueError
    if type(data) is str:
        data = data.encode("latin-1")
    if type(dtype) is not _DType or type(data) not in (bytes, Bytes):
        raise TypeError
    count = data.size if isinstance(data, Bytes) else len(data)
    text_of_bytes = isinstance(data, Bytes) and data.text
    wanted = math.prod(shape) * int(dtype.code[1])
    # Text is 1 or 2 bytes for each of the array's; how many exactly is seen when it is read.
    if wanted != count and not (text_of_bytes and wanted <= count <= 2 * wanted):
        raise ValueError
    made.dtype, made.shape, made.order, made.data = str(dtype), shape, order, data


def _make_scalar(dtype: Any, data: Any) -> Any:
    if type(data) is str:
        data = data.encode("latin-1")
    if type(dtype) is not _DType or type(data) is not bytes or len(data) != int(dtype.code[1]):
        raise TypeError
    return np.frombuffer(data, str(dtype))[0].item()


def _make_encoded(value: Any, encoding: Any) -> Any:
    if text(encoding) not in ("latin1", "latin-1"):
        raise ValueError
    if type(value) is str:
        return value.encode("latin-1")
    if type(value) is Bytes and value.text:
        return value
    raise TypeError


def _make_bytes(value: Any = b"") -> Any:
    if type(value) not in (bytes, Bytes):
        raise TypeError
    return value


def _make_dict(items: Any = ()) -> dict[Any, Any]:
    if type(items) not in (list, tuple):
        raise TypeError
    return {_key(key): value for key, value in items}


_MAKERS: dict[str, Callable[..., Any]] = {
    "dtype": _make_dtype,
    "reconstruct": _make_array,
    "frombuffer": _make_buffer,
    "scalar": _make_scalar,
    "encode": _make_encoded,
    "dict": _make_dict,
    "set": _keys,
    "frozenset": _keys,
    "bytes": _make_bytes,
    "bytearray": _make_bytes,
}


def _table() -> list[Callable[[_Machine], None]]:
    """Opcodes by their byte."""
    machine = _Machine

    def with_(method: Callable[..., None], value: Any) -> Callable[[_Machine], None]:
        return lambda self: method(self, value)

    known: dict[bytes, Callable[[_Machine], None]] = {
        b"\x80": machine.protocol,
        b"\x95": machine.frame,
        b"(": machine.mark,
        b"0": machine.pop,
        b"1": machine.pop_mark,
        b"2": machine.dup,
        b"N": with_(machine.constant, None),
        b"\x88": with_(machine.constant, True),
        b"\x89": with_(machine.constant, False),
        b"I": machine.int_line,
        b"L": machine.int_line,
        b"J": machine.int4,
        b"K": with_(machine.uint, 1),
        b"M": with_(machine.uint, 2),
        b"\x8a": with_(machine.long, 1),
        b"\x8b": with_(machine.long, 4),
        b"F": machine.float_line,
        b"G": machine.float8,
        b"S": machine.string_line,
        b"T": with_(machine.bytes, 4),
        b"U": with_(machine.bytes, 1),
        b"B": with_(machine.bytes, 4),
        b"C": with_(machine.bytes, 1),
        b"\x8e": with_(machine.bytes, 8),
        b"\x96": with_(machine.bytes, 8),
        b"V": machine.unicode_line,
        b"X": with_(machine.unicode, 4),
        b"\x8c": with_(machine.unicode, 1),
        b"\x8d": with_(machine.unicode, 8),
        b")": with_(machine.empty, tuple),
        b"]": with_(machine.empty, list),
        b"}": with_(machine.empty, dict),
        b"\x8f": with_(machine.empty, set),
        b"t": with_(machine.marked, tuple),
        b"l": with_(machine.marked, list),
        b"d": with_(machine.marked, _pairs),
        b"\x91": with_(machine.marked, _keys),
        b"\x85": with_(machine.tuple_of, 1),
        b"\x86": with_(machine.tuple_of, 2),
        b"\x87": with_(machine.tuple_of, 3),
        b"a": machine.append,
        b"e": machine.appends,
        b"s": machine.set_item,
        b"u": machine.set_items,
        b"\x90": machine.add_items,
        b"p": machine.put_line,
        b"q": with_(machine.put, 1),
        b"r": with_(machine.put, 4),
        b"\x94": machine.memoize,
        b"g": machine.get_line,
        b"h": with_(machine.get, 1),
        b"j": with_(machine.get, 4),
        b"c": machine.global_line,
        b"\x93": machine.stack_global,
        b"R": machine.reduce,
        b"b": machine.build,
        # persistent objects, instances, extensions, buffers from elsewhere
        **dict.fromkeys(
            (b"P", b"Q", b"i", b"o", b"\x81", b"\x92", b"\x82", b"\x83", b"\x84", b"\x97", b"\x98"),
            machine.refused,
        ),
    }
    return [known.get(bytes([code]), machine.unknown) for code in range(256)]


_TABLE = _table()
