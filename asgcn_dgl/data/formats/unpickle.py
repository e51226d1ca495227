"""Pickles of arrays from anywhere, read without running anything.

A pickle is a program for a small stack machine, and what it calls may be anything. The machine here
calls nothing: it knows what numpy's arrays, numbers and types look like, makes a record of each,
and refuses every other name. The bytes of arrays stay in the file until they are asked for, so that
a set of any size is opened in little memory.

The instructions are those of Python's module ``pickletools``, protocols 0 to 5; numpy 1 writes
``numpy.core``, numpy 2 ``numpy._core``.
"""

from __future__ import annotations

import codecs
import math
import mmap
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import numpy as np

from asgcn_dgl.data.clip import plain_file
from asgcn_dgl.data.formats.files import check_memory, shown
from asgcn_dgl.errors import InputError

__all__ = ["PickledArray", "read_pickle"]

#: Instructions that are followed at most; a set of a hundred thousand recordings takes ten million.
MAX_STEPS = 40_000_000

#: Instructions that one which makes a container counts for, by the memory that it takes.
CONTAINER = 4

#: Depth of containers in containers.
MAX_DEPTH = 64

#: Longer bytes stay in the file.
INLINE = 256

#: Longer texts are no names.
MAX_TEXT = 2**20

#: Longer keys of dicts are refused.
MAX_KEY = 2**10

#: Types of plain values: bool, integers, floats, bytes and texts of one length.
_PLAIN = re.compile(r"[<>|=]?[biufSU][1-9][0-9]{0,5}")
_CORE = ("numpy.core", "numpy._core")

#: Names that a pickle may speak of, and what they are here.
_NAMES = {
    **{(f"{core}.multiarray", "_reconstruct"): "reconstruct" for core in _CORE},
    **{(f"{core}.multiarray", "scalar"): "scalar" for core in _CORE},
    **{(f"{core}.numeric", "_frombuffer"): "frombuffer" for core in _CORE},
    ("numpy", "ndarray"): "ndarray",
    ("numpy", "dtype"): "dtype",
    ("_codecs", "encode"): "encode",
    ("collections", "OrderedDict"): "dict",
    ("collections", "defaultdict"): "defaultdict",
    **{
        (module, name): name
        for module in ("builtins", "__builtin__")
        for name in ("list", "dict", "tuple", "bytearray", "bytes")
    },
}


class _Name(NamedTuple):
    """A name that may stand in a pickle."""

    what: str


class _Span(NamedTuple):
    """Bytes that lie in the file."""

    at: int
    size: int
    text: bool = False  # UTF-8 of a text that is meant as latin-1 bytes
    latin: bool = False


class _Dtype:
    """A type under construction."""

    def __init__(self, code: str) -> None:
        self.code = code
        self.order = "|"

    def make(self) -> np.dtype:
        return np.dtype(self.order + self.code.lstrip("<>|="))


class _Shell:
    """An array before its content is known; afterwards it holds it."""

    def __init__(self) -> None:
        self.array: PickledArray | None = None


@dataclass(frozen=True)
class PickledArray:
    """An array whose numbers lie in a file.

    Attributes
    ----------
    shape
        As numpy's.
    dtype
        Text of its type, such as ``"<f2"``.
    fortran
        Whether the first axis runs fastest.
    at, size
        Place of the bytes in the file, and their number.
    latin
        Whether they are written as UTF-8 of latin-1 letters (pickles of protocol 2).
    data
        The bytes themselves where they are few.
    axes
        Order in which the axes of ``shape`` lie in the bytes, where that is neither of the two; as
        the argument of numpy's ``transpose`` that puts them right.
    """

    shape: tuple[int, ...]
    dtype: str
    fortran: bool
    at: int = 0
    size: int = 0
    latin: bool = False
    data: bytes | None = None
    axes: tuple[int, ...] = ()

    def load(self, path: str | Path) -> np.ndarray:
        """Read the numbers.

        Parameters
        ----------
        path
            The file that the record was read from.

        Raises
        ------
        InputError
            If the file cannot be read or holds other bytes than the array needs.
        """
        dtype = np.dtype(self.dtype)
        count = math.prod(self.shape) * dtype.itemsize
        check_memory(path, count, f"an array of {self.shape}")
        data = self.data
        if data is None:
            try:
                with Path(path).open("rb") as file:
                    file.seek(self.at)
                    data = file.read(self.size)
                if self.latin:
                    data = data.decode("utf-8").encode("latin-1")
            except (OSError, ValueError) as error:
                raise InputError(f"{path}: an array in it cannot be read ({error})") from error
        if len(data) != count:
            raise InputError(
                f"{path}: an array of {self.shape} has {len(data)} bytes, not {count}; the file is "
                "truncated or damaged, copy it again from its source"
            )
        array = np.frombuffer(data, dtype=dtype)
        if self.axes:
            lying = [self.shape[self.axes.index(axis)] for axis in range(len(self.axes))]
            return array.reshape(lying).transpose(self.axes)
        return array.reshape(self.shape, order="F" if self.fortran else "C")


def read_pickle(path: str | Path) -> Any:
    """Read a pickle of plain containers, texts, numbers and numpy arrays.

    Parameters
    ----------
    path
        The file; protocols 0 to 5.

    Returns
    -------
    object
        Lists, tuples, dicts, texts, bytes, numbers, None; numpy's single numbers as Python's;
        :class:`PickledArray` for an array.

    Raises
    ------
    InputError
        If the file cannot be read, is damaged, or asks for anything else: nothing of it is run.

    Examples
    --------
    >>> import pickle, tempfile
    >>> with tempfile.NamedTemporaryFile(suffix=".pkl") as file:
    ...     file.write(pickle.dumps({"names": ["a", "b"], "pos": np.ones((2, 3))})) > 0
    ...     file.flush()
    ...     content = read_pickle(file.name)
    ...     content["names"], content["pos"].load(file.name).shape
    True
    (['a', 'b'], (2, 3))
    """
    path = Path(path)
    plain_file(path)
    try:
        with path.open("rb") as file:
            if not file.read(1):
                raise InputError(f"{path}: the file is empty; copy it again from its source")
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return _Machine(path, data).run()
    except InputError:
        raise
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise InputError(f"{path}: cannot be read ({reason}); check the path") from error
    except Exception as error:  # whatever a damaged program leads to
        raise InputError(
            f"{path}: not a pickle, or damaged ({type(error).__name__}); copy it again from its "
            "source"
        ) from error


class _Machine:
    """The stack machine."""

    def __init__(self, path: Path, data: mmap.mmap) -> None:
        self.path = path
        self.data = data
        self.size = len(data)
        self.at = 0
        self.stack: list[Any] = []
        self.outer: list[list[Any]] = []  # stacks below the marks
        self.memo: dict[int, Any] = {}
        self.left = MAX_STEPS

    def run(self) -> Any:
        data, steps = self.data, _STEPS
        while self.left > 0:
            self.left -= 1
            code = data[self.at]  # IndexError at the end: truncated
            self.at += 1
            if code == 0x2E:  # STOP
                return _value(self.stack.pop())
            step = steps.get(code)
            if step is None:
                self.refuse(f"instruction {code:#04x}, which no array needs")
            step(self)
        self.refuse(f"more than {MAX_STEPS} instructions")

    def refuse(self, what: str) -> NoReturn:
        raise InputError(
            f"{self.path}: the pickle holds {what}; only arrays, numbers, texts and plain "
            "containers are read, and nothing in it was run. Get the file from a source that you "
            "trust, or save it again with these alone"
        )

    # Reading -------------------------------------------------------------------------------------

    def take(self, size: int) -> bytes:
        if size < 0 or size > self.size - self.at:
            raise ValueError("truncated")
        found = self.data[self.at : self.at + size]
        self.at += size
        return found

    def number(self, form: str) -> int:
        return int(struct.unpack(form, self.take(struct.calcsize(form)))[0])

    def line(self) -> bytes:
        end = self.data.find(b"\n", self.at, self.at + MAX_TEXT)
        if end < 0:
            raise ValueError("a line without an end")
        found = self.data[self.at : end]
        self.at = end + 1
        return found

    def push_bytes(self, size: int, text: bool = False) -> None:
        """Push bytes or text; what is long stays in the file."""
        if size < 0 or size > self.size - self.at:
            raise ValueError("truncated")
        if size > INLINE:
            self.stack.append(_Span(self.at, size, text))
            self.at += size
        else:
            found = self.take(size)
            self.stack.append(found.decode("utf-8", "surrogatepass") if text else found)

    def text(self, value: Any) -> Any:
        """A key that lies in the file, in memory."""
        if isinstance(value, _Span) and value.text and value.size <= MAX_KEY:
            return self.data[value.at : value.at + value.size].decode("utf-8")
        return value

    # Stack ---------------------------------------------------------------------------------------

    def mark(self) -> None:
        if len(self.outer) >= MAX_DEPTH:
            self.refuse(f"containers nested more than {MAX_DEPTH} deep")
        self.outer.append(self.stack)
        self.stack = []

    def push(self, item: Any) -> None:
        self.left -= CONTAINER
        self.stack.append(item)

    def since_mark(self) -> list[Any]:
        items = self.stack
        self.stack = self.outer.pop()
        return [_value(item) for item in items]

    def pop(self) -> Any:
        return _value(self.stack.pop())

    def set_items(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) is not dict or len(items) % 2:
            self.refuse("entries for what is no dict")
        for key, value in zip(items[::2], items[1::2], strict=True):
            key = self.text(key)
            if not isinstance(key, (str, int, float, bytes, type(None))):
                self.refuse("a key that is neither text nor number")
            target[key] = value

    def add_items(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) is not list:
            self.refuse("items for what is no list")
        target.extend(items)

    def name(self, module: Any, name: Any) -> None:
        plain = isinstance(module, str) and isinstance(name, str)
        found = _NAMES.get((module, name)) if plain else None
        if found is None:
            self.refuse(f"a call of {shown(module)}.{shown(name)}, which is no array")
        self.stack.append(_Name(found))

    def keep(self, number: int) -> None:
        self.memo[number] = self.stack[-1]

    # Calls, none of which is made ----------------------------------------------------------------

    def call(self, function: Any, args: Any) -> Any:
        if not isinstance(function, _Name) or not isinstance(args, tuple):
            self.refuse("a call of what is no name")
        what = function.what
        if what == "reconstruct" and args[:1] == (_Name("ndarray"),) and len(args) == 3:
            return _Shell()
        if what == "dtype" and args and isinstance(args[0], str):
            return self.dtype(args[0])
        if what == "encode" and len(args) == 2 and args[1] in ("latin1", "latin-1"):
            return self.latin(args[0])
        if what == "scalar" and len(args) == 2 and isinstance(args[0], _Dtype):
            array = self.array((), args[0], False, args[1])
            return array.load(self.path).item()
        if what == "frombuffer" and len(args) == 4 and args[3] in ("C", "F"):
            return self.array(args[2], args[1], args[3] == "F", args[0])
        if what == "frombuffer" and len(args) == 5 and args[3] == "K":
            return self.turned(self.array(args[2], args[1], False, args[0]), args[4])
        if what in ("bytes", "bytearray"):
            if not args:
                return b""
            if len(args) == 1 and isinstance(args[0], (bytes, _Span)):
                return args[0]
            if len(args) == 2 and args[1] in ("latin1", "latin-1"):
                return self.latin(args[0])
        if what in ("dict", "list", "tuple") and not args:
            return {"dict": dict, "list": list, "tuple": tuple}[what]()
        if what == "defaultdict" and all(isinstance(each, _Name) for each in args):
            return {}
        self.refuse(f"a call of {what} in a way that numpy does not use")

    def dtype(self, code: str) -> _Dtype:
        if not _PLAIN.fullmatch(code):
            self.refuse(f"an array of type {code[:40]!r}")
        np.dtype(code)  # TypeError where there is no such size
        return _Dtype(code)

    def latin(self, value: Any) -> Any:
        if isinstance(value, str):
            return value.encode("latin-1")
        if isinstance(value, _Span) and value.text:
            return value._replace(text=False, latin=True)
        self.refuse("a text that is none")

    def turned(self, array: PickledArray, axes: Any) -> PickledArray:
        """An array whose axes lie in the file as ``shape`` says and are then exchanged."""
        whole = isinstance(axes, tuple) and all(type(axis) is int for axis in axes)
        if not whole or sorted(axes) != list(range(len(array.shape))):
            self.refuse("an array of axes that it does not have")
        shape = tuple(array.shape[axis] for axis in axes)
        return replace(array, shape=shape, axes=axes)

    def array(self, shape: Any, dtype: Any, fortran: Any, data: Any) -> PickledArray:
        whole = isinstance(shape, tuple) and all(
            isinstance(size, int) and 0 <= size < 2**40 for size in shape
        )
        if not whole or len(shape) > 8 or not isinstance(dtype, _Dtype):
            self.refuse("an array without a proper shape or type")
        kind = dtype.make()
        count = math.prod(shape) * kind.itemsize
        if isinstance(data, str):  # of Python 2, where bytes that can be read are text
            data = data.encode("latin-1")
        if isinstance(data, bytes):
            if len(data) != count:
                raise ValueError("an array of another size")
            return PickledArray(shape, kind.str, bool(fortran), data=data)
        # latin-1 letters take one byte or two in UTF-8
        most = 2 * count if isinstance(data, _Span) and data.latin else count
        if not isinstance(data, _Span) or data.text or not count <= data.size <= most:
            raise ValueError("an array of another size")
        return PickledArray(shape, kind.str, bool(fortran), data.at, data.size, data.latin)

    def build(self) -> None:
        state, target = self.pop(), self.stack[-1]
        if isinstance(target, _Shell) and isinstance(state, tuple) and len(state) == 5:
            _, shape, dtype, fortran, data = state
            target.array = self.array(shape, dtype, fortran, data)
        elif isinstance(target, _Dtype) and isinstance(state, tuple) and len(state) > 6:
            if state[1] not in ("<", ">", "|", "=") or any(part is not None for part in state[2:5]):
                self.refuse("an array of a type made of parts")
            target.order = state[1]
        else:
            self.refuse("a state for what has none")


def _value(item: Any) -> Any:
    """The array of a shell that is filled."""
    return item.array if isinstance(item, _Shell) and item.array is not None else item


def _push(value: Callable[[], Any]) -> Callable[[_Machine], None]:
    return lambda machine: machine.stack.append(value())


def _read(form: str) -> Callable[[_Machine], None]:
    return lambda machine: machine.stack.append(machine.number(form))


def _bytes(form: str, text: bool = False) -> Callable[[_Machine], None]:
    return lambda machine: machine.push_bytes(machine.number(form), text)


def _tuple(count: int) -> Callable[[_Machine], None]:
    def step(machine: _Machine) -> None:
        if len(machine.stack) < count:
            raise IndexError("stack")
        machine.left -= CONTAINER
        items = tuple(_value(item) for item in machine.stack[-count:])
        machine.stack[-count:] = [items]

    return step


def _whole(line: bytes) -> int | bool:
    """A number of protocol 0."""
    if line in (b"00", b"01"):
        return line == b"01"
    if len(line) > 30:
        raise ValueError("a number of too many digits")
    return int(line.removesuffix(b"L"))


def _float(machine: _Machine) -> None:
    machine.stack.append(struct.unpack(">d", machine.take(8))[0])


def _long(machine: _Machine) -> None:
    machine.stack.append(int.from_bytes(machine.take(machine.number("<B")), "little", signed=True))


def _string(machine: _Machine) -> None:
    """A quoted text of Python 2."""
    line = machine.line().strip()
    if len(line) < 2 or line[:1] != line[-1:] or line[:1] not in (b'"', b"'"):
        raise ValueError("a text without quotes")
    found = codecs.escape_decode(line[1:-1])[0]
    try:
        machine.stack.append(found.decode("ascii"))
    except UnicodeDecodeError:
        machine.stack.append(found)


def _old_bytes(form: str) -> Callable[[_Machine], None]:
    """A text or bytes of Python 2, which does not tell them apart."""

    def step(machine: _Machine) -> None:
        machine.push_bytes(machine.number(form))
        found = machine.stack[-1]
        if isinstance(found, bytes) and found.isascii() and found.decode("ascii").isprintable():
            machine.stack[-1] = found.decode("ascii")

    return step


def _append(machine: _Machine) -> None:
    item = machine.pop()
    machine.add_items([item])


def _set_item(machine: _Machine) -> None:
    value, key = machine.pop(), machine.pop()
    machine.set_items([key, value])


def _new_dict(machine: _Machine) -> None:
    items = machine.since_mark()
    machine.push({})
    machine.set_items(items)


def _global(machine: _Machine) -> None:
    module, name = machine.line().decode("utf-8"), machine.line().decode("utf-8")
    machine.name(module, name)


def _stack_global(machine: _Machine) -> None:
    name, module = machine.pop(), machine.pop()
    machine.name(module, name)


def _reduce(machine: _Machine) -> None:
    args, function = machine.pop(), machine.pop()
    machine.stack.append(machine.call(function, args))


def _pop(machine: _Machine) -> None:
    if machine.stack:
        machine.stack.pop()
    else:
        machine.stack = machine.outer.pop()


def _protocol(machine: _Machine) -> None:
    if machine.number("<B") > 5:
        machine.refuse("a protocol above 5")


def _recall(machine: _Machine, number: int) -> None:
    machine.stack.append(machine.memo[number])


_STEPS: dict[int, Callable[[_Machine], None]] = {
    ord(letter): step
    for letter, step in {
        "\x80": _protocol,
        "\x95": lambda machine: machine.take(8) and None,  # FRAME: a hint for readers of streams
        "(": _Machine.mark,
        "0": _pop,
        "1": lambda machine: machine.since_mark() and None,
        "2": lambda machine: machine.stack.append(machine.stack[-1]),
        "N": _push(lambda: None),
        "\x88": _push(lambda: True),
        "\x89": _push(lambda: False),
        "I": lambda machine: machine.stack.append(_whole(machine.line())),
        "L": lambda machine: machine.stack.append(_whole(machine.line())),
        "J": _read("<i"),
        "K": _read("<B"),
        "M": _read("<H"),
        "\x8a": _long,
        "F": lambda machine: machine.stack.append(float(machine.line())),
        "G": _float,
        "S": _string,
        "T": _old_bytes("<i"),
        "U": _old_bytes("<B"),
        "V": lambda machine: machine.stack.append(machine.line().decode("raw-unicode-escape")),
        "X": _bytes("<I", text=True),
        "\x8c": _bytes("<B", text=True),
        "\x8d": _bytes("<Q", text=True),
        "B": _bytes("<I"),
        "C": _bytes("<B"),
        "\x8e": _bytes("<Q"),
        "\x96": _bytes("<Q"),
        "]": lambda machine: machine.push([]),
        "}": lambda machine: machine.push({}),
        ")": _push(tuple),
        "l": lambda machine: machine.push(machine.since_mark()),
        "t": lambda machine: machine.push(tuple(machine.since_mark())),
        "d": _new_dict,
        "\x85": _tuple(1),
        "\x86": _tuple(2),
        "\x87": _tuple(3),
        "a": _append,
        "e": lambda machine: machine.add_items(machine.since_mark()),
        "s": _set_item,
        "u": lambda machine: machine.set_items(machine.since_mark()),
        "p": lambda machine: machine.keep(int(_whole(machine.line()))),
        "q": lambda machine: machine.keep(machine.number("<B")),
        "r": lambda machine: machine.keep(machine.number("<I")),
        "\x94": lambda machine: machine.keep(len(machine.memo)),
        "g": lambda machine: _recall(machine, int(_whole(machine.line()))),
        "h": lambda machine: _recall(machine, machine.number("<B")),
        "j": lambda machine: _recall(machine, machine.number("<I")),
        "c": _global,
        "\x93": _stack_global,
        "R": _reduce,
        "b": _Machine.build,
    }.items()
}
