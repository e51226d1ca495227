"""The table ``clips.csv``: labels, subjects and splits of recordings of an own set."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from asgcn_dgl.data.clip import RecordingName
from asgcn_dgl.data.files import is_there, plain_name, read_lines
from asgcn_dgl.data.reader import UNKNOWN, Split
from asgcn_dgl.errors import InputError

__all__ = ["TABLE", "ClipTable", "class_list", "find_table", "is_label", "number_labels"]

TABLE = "clips.csv"
CLASSES = "classes.txt"

#: Columns of whole numbers.
NUMBERS = tuple(name for name in RecordingName._fields if name != "action")

#: A number that is no label.
_NUMBER = re.compile(r"[-+]?[0-9]*\.?[0-9]+")

#: More classes than any set has: labels that are no classes.
MAX_CLASSES = 10_000


def is_label(value: object) -> bool:
    """Tell whether a value from a file is a class, counted from 0, or -1 for an unknown one."""
    return isinstance(value, int) and not isinstance(value, bool) and -1 <= value < MAX_CLASSES


@dataclass(frozen=True)
class ClipTable:
    """What is known of recordings.

    Attributes
    ----------
    class_names
        K names, by label.
    labels
        Label of each recording, by name; -1 if unknown.
    numbers
        Subject, camera, set-up and replication of each, as far as they are known.
    splits
        Named splits.
    """

    class_names: tuple[str, ...] = ()
    labels: Mapping[str, int] = field(default_factory=dict)
    numbers: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    splits: Mapping[str, Split] = field(default_factory=dict)

    def facts(self, name: str) -> tuple[int, Mapping[str, int]]:
        """Label and numbers of a recording."""
        return self.labels.get(name, -1), self.numbers.get(name, {})

    def labels_of(self, names: Sequence[str]) -> tuple[int, ...]:
        """Label of each recording, -1 if unknown."""
        return tuple(self.labels.get(name, -1) for name in names)

    def numbers_of(self, names: Sequence[str]) -> tuple[RecordingName, ...]:
        """Numbers of each recording."""
        return tuple(UNKNOWN._replace(**self.numbers.get(name, {})) for name in names)

    def stamp(self) -> object:
        """All of it as JSON values."""
        splits = {name: [split.train, split.test] for name, split in self.splits.items()}
        numbers = {name: dict(known) for name, known in self.numbers.items()}
        return [self.class_names, dict(self.labels), numbers, splits]


def find_table(root: Path, names: Sequence[str]) -> ClipTable | None:
    """Read ``clips.csv`` of a folder, if it is there.

    Columns are ``clip`` (name of the recording), and any of ``label`` (a class by name, or by
    number from 0), ``subject``, ``camera``, ``setup``, ``replication`` (whole numbers) and
    ``split`` (``train``, ``test`` or empty); more splits are columns ``split_NAME``. A file
    ``classes.txt`` of one name a line gives the classes their order; without it names are sorted.

    Parameters
    ----------
    root
        The folder.
    names
        The recordings that are there.

    Returns
    -------
    ClipTable or None
        None where there is no table.

    Raises
    ------
    InputError
        If a line cannot be understood, or the table does not have each recording once.
    """
    path = root / TABLE
    if not is_there(path):
        return None
    lines = read_lines(path)
    rows = list(csv.reader(lines, strict=True)) if _readable(path, lines) else []
    head = [column.strip() for column in rows[0]]
    _check_head(path, head)
    known = set(names)
    labels: dict[str, str] = {}
    numbers: dict[str, dict[str, int]] = {}
    parts: dict[str, dict[str, str]] = {column: {} for column in head if column.startswith("split")}
    for line, row in enumerate(rows[1:], start=2):
        place = f"{path}, line {line}"
        if not any(row):
            continue
        if len(row) != len(head):
            raise InputError(f"{place}: {len(row)} fields where the first line has {len(head)}")
        entry = {column: text.strip() for column, text in zip(head, row, strict=True)}
        name = plain_name(entry["clip"], place)
        if name in labels or name not in known:
            why = "stands here twice" if name in labels else "is not among the recordings"
            raise InputError(f"{place}: {name!r} {why}; take the line out or correct it")
        labels[name] = entry.get("label", "")
        numbers[name] = {
            column: _whole(place, column, entry[column])
            for column in NUMBERS
            if entry.get(column, "")
        }
        for column, split in parts.items():
            part = entry[column]
            if part not in ("train", "test", ""):
                raise InputError(f"{place}: {part[:40]!r} where train, test or nothing should be")
            split[name] = part
    missing = [name for name in names if name not in labels]
    if missing:
        raise InputError(
            f"{path}: no line of {missing[0]!r}"
            + (f" and {len(missing) - 1} more" if missing[1:] else "")
            + "; add one (its label may be empty)"
        )
    class_names, found = number_labels(labels, class_list(root), str(path))
    return ClipTable(
        class_names,
        found,
        numbers,
        {
            column.removeprefix("split_"): Split.of(split[name] for name in names)
            for column, split in parts.items()
        },
    )


def _readable(path: Path, lines: list[str]) -> bool:
    try:
        count = sum(1 for _ in csv.reader(lines, strict=True))
    except csv.Error as error:
        raise InputError(f"{path}: not a CSV table ({error})") from error
    if count != len(lines):
        raise InputError(f"{path}: a field holds a line break; take it out")
    return True


def _check_head(path: Path, head: list[str]) -> None:
    allowed = ("clip", "label", *NUMBERS, "split")
    for column in head:
        named = column.startswith("split_") and column.removeprefix("split_").isidentifier()
        if column not in allowed and not named:
            raise InputError(
                f"{path}, line 1: unknown column {column[:40]!r}; columns are "
                f"{', '.join(allowed)} and split_NAME"
            )
    if "clip" not in head or len(set(head)) < len(head):
        raise InputError(f"{path}, line 1: a table needs a column 'clip', and each column once")


def _whole(place: str, column: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise InputError(f"{place}: {column} is {text[:40]!r}, not a whole number")
    return int(text)


def class_list(root: Path) -> tuple[str, ...]:
    """Read ``classes.txt`` of a folder; empty where there is none.

    Raises
    ------
    InputError
        If a name stands there twice.
    """
    path = root / CLASSES
    if not is_there(path):
        return ()
    names = tuple(line.strip() for line in read_lines(path) if line.strip())
    for number, name in enumerate(names):
        if name in names[:number]:
            raise InputError(f"{path}: the class {name[:40]!r} stands there twice; take one out")
    return names


def number_labels(
    labels: Mapping[str, str], class_names: tuple[str, ...], place: str
) -> tuple[tuple[str, ...], dict[str, int]]:
    """Give labels their numbers.

    Parameters
    ----------
    labels
        Text of each recording's label: a number from 0, a name, or empty.
    class_names
        The classes in order; empty: they follow from the labels, names sorted.
    place
        Where labels stand, for messages.

    Returns
    -------
    class_names, labels
        K names, and a number for each recording, -1 where the label is empty.

    Raises
    ------
    InputError
        If a label is no class, or some are numbers and some names.

    Examples
    --------
    >>> number_labels({"a": "sit", "b": "run", "c": ""}, (), "clips.csv")
    (('run', 'sit'), {'a': 1, 'b': 0, 'c': -1})
    """
    used = {text for text in labels.values() if text}
    numeric = {text for text in used if text.isascii() and text.isdigit() and len(text) < 10}
    for text in sorted(used - numeric - set(class_names)):
        if _NUMBER.fullmatch(text):
            raise InputError(f"{place}: label {text[:40]!r} is no class; count classes from 0")
    if class_names:
        place_of = {name: number for number, name in enumerate(class_names)}
        for text in used - set(class_names):
            if text not in numeric or int(text) >= len(class_names):
                raise InputError(
                    f"{place}: label {text[:40]!r} is none of the {len(class_names)} classes of "
                    f"{CLASSES}; add it there or correct it"
                )
            place_of[text] = int(text)
    elif numeric and numeric != used:
        name = sorted(used - numeric)[0]
        raise InputError(
            f"{place}: labels are numbers and names ({name[:40]!r}); use one of the two, or give "
            f"the classes in {CLASSES}"
        )
    elif numeric:
        place_of = {text: int(text) for text in used}
        if max(place_of.values()) >= MAX_CLASSES:
            raise InputError(f"{place}: label {max(place_of.values())} is no class; count from 0")
        class_names = tuple(f"class {n}" for n in range(max(place_of.values()) + 1))
    else:
        class_names = tuple(sorted(used))
        place_of = {name: number for number, name in enumerate(class_names)}
    if len(class_names) > MAX_CLASSES:
        raise InputError(f"{place}: {len(class_names)} classes; labels must be classes")
    return class_names, {name: place_of.get(text, -1) for name, text in labels.items()}
