from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal, TypedDict

import pytest

from asgcn_dgl import schema
from asgcn_dgl.errors import InputError
from asgcn_dgl.schema import check_values, read_json


class Part(TypedDict):
    share: float | None


class Optional(TypedDict, total=False):
    word: Literal["a", "b"]


class Whole(Optional):
    name: str
    parts: list[Part]
    counts: dict[str, int]
    rest: Any


GOOD: dict[str, Any] = {"name": "x", "parts": [{"share": 1}, {"share": None}], "counts": {"a": 3}}
GOOD["rest"] = object()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"name": 3}, "name must be str, got 3"),
        ({"parts": {}}, "parts must be a list, got a dict"),
        ({"parts": [{"share": 1}, {}]}, r"there is no parts\[1\]\.share"),
        (
            {"parts": [{"share": float("nan")}]},
            r"parts\[0\]\.share must be a finite number, got nan",
        ),
        ({"parts": [{"share": True}]}, r"parts\[0\]\.share must be a finite number"),
        ({"counts": {"a": True}}, r"counts\.a must be int"),
        ({"counts": {"a": 1.5}}, r"counts\.a must be int, got 1\.5"),
        ({"counts": {3: 1}}, "counts must be entries by name"),
        ({"word": "c"}, "word must be one of a, b, got 'c'"),
    ],
)
def test_the_entry_is_named(change, told):
    check_values({**GOOD, "word": "a", "more": 1}, Whole, "file", "write it again")
    with pytest.raises(InputError, match=f"^file: {told}.*; write it again$"):
        check_values({**GOOD, **change}, Whole, "file", "write it again")


@pytest.mark.parametrize("text", ["", "[1]", "{", '{"share": NaN}', "[" * 10**5, "\xff"])
def test_what_is_no_json_object_is_refused(tmp_path, text):
    file = tmp_path / "a.json"
    file.write_text(text, encoding="latin-1")
    with pytest.raises(InputError, match=r"a\.json: .*; again"):
        read_json(file, Part, "again")


def test_only_plain_files_are_read(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    for name in ("fifo", ".", "absent"):
        with pytest.raises(InputError, match=name if name != "." else str(tmp_path)):
            read_json(tmp_path / name, Part, "again")


def test_names_that_must_be_there(tmp_path):
    (tmp_path / "a.json").write_text('{"share": 1}')
    assert read_json(tmp_path / "a.json", Part, "again", ["share"]) == {"share": 1}
    with pytest.raises(InputError, match="there is no top1"):
        read_json(tmp_path / "a.json", Part, "again", ["top1"])


def test_files_too_large_or_unreadable_are_named(tmp_path, monkeypatch):
    file = tmp_path / "a.json"
    file.write_text('{"share": 1}')

    def broken(path):
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", broken)
        with pytest.raises(InputError, match=r"a\.json: cannot be read \(input/output error\)"):
            read_json(file, Part, "again")
    monkeypatch.setattr(schema, "MAX_BYTES", 5)
    with pytest.raises(InputError, match=r"a\.json: is larger than"):
        read_json(file, Part, "again")


def test_the_error_of_a_worker_is_told_without_its_traceback():
    text = "Caught InputError in DataLoader worker process 0.\nOriginal Traceback (most recent):\n"
    assert str(InputError(f"{text}  ...\nasgcn_dgl.errors.InputError: x.npz: damaged\n")) == (
        "x.npz: damaged"
    )
