"""The table ``clips.csv``: labels, subjects and splits of recordings of an own set."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from asgcn_dgl.data.clip import Clip, RecordingName
from asgcn_dgl.data.files import check_choice, is_there, plain_name, read_lines
from asgcn_dgl.data.formats.folder import FolderReader
from asgcn_dgl.data.formats.spreadsheet import read_cells
from asgcn_dgl.data.reader import UNKNOWN, Split, numbered_classes
from asgcn_dgl.errors import InputError
from asgcn_dgl.skeleton import SkeletonLayout

logger = logging.getLogger(__name__)

TABLE = "clips.csv"
CLASSES = "classes.txt"

#: Columns of whole numbers.
NUMBERS = tuple(name for name in RecordingName._fields if name != "action")

_COLUMNS = ("clip", "label", *NUMBERS, "fps", "split")

#: What others call the column ``label``.
_LABELS = ("class", "labels", "class_name", "action", "activity", "category", "behavior", "target")

#: Cells, in lower letters, that say nothing. A class may be called "none".
_EMPTY = ("", "na", "n/a", "#n/a", "nan", "<na>")

#: Words for what a recording is for.
_PARTS = {
    **{"": "", "train": "train", "training": "train", "test": "test", "testing": "test"},
    **{"val": "val", "valid": "val", "validation": "val", "dev": "val"},
}

_FRACTION = re.compile(r"([0-9]+)[.,]0*")

#: A number that is no label.
_NUMBER = re.compile(r"[-+]?[0-9]*\.?[0-9]+")

#: More classes than any set has: labels that are no classes.
MAX_CLASSES = 10_000


def is_label(value: object) -> bool:
    """Tell whether a value from a file is a class, counted from 0, or -1 for an unknown one."""
    return isinstance(value, int) and not isinstance(value, bool) and -1 <= value < MAX_CLASSES


def is_count(text: str) -> bool:
    """Tell whether a text is a whole number from 0 that memory can hold."""
    return text.isascii() and text.isdigit() and len(text) < 10


@dataclass(frozen=True)
class ClipTable:
    """The K class names, and by name of a recording its label and what else is known of it.

    ``facts`` are subject, camera, set-up, replication, and ``fps``, frames a second.
    """

    class_names: tuple[str, ...] = ()
    labels: Mapping[str, int] = field(default_factory=dict)
    facts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    splits: Mapping[str, Split] = field(default_factory=dict)

    @classmethod
    def of(
        cls, entries: Mapping[str, Mapping[str, str]], class_names: tuple[str, ...], place: str
    ) -> ClipTable:
        """Make a table of the cells of each recording by column; ``place`` is for messages."""
        labels = {name: _whole(entry.get("label", "")) for name, entry in entries.items()}
        class_names, known = number_labels(labels, class_names, place)
        facts: dict[str, dict[str, Any]] = {name: {} for name in entries}
        for column in NUMBERS:
            texts = {name: _whole(entry.get(column, "")) for name, entry in entries.items()}
            number_of = number_names(text for text in texts.values() if text)
            for name, text in texts.items():
                if text:
                    facts[name][column] = number_of[text]
        for name, entry in entries.items():
            if entry.get("fps"):
                facts[name]["fps"] = _rate(f"{place} ({name})", entry["fps"])
        splits: dict[str, Split] = {}
        for column in dict.fromkeys(column for entry in entries.values() for column in entry):
            if column == "split" or column.startswith("split_"):
                parts = [entry.get(column, "") for entry in entries.values()]
                splits |= splits_of(column.removeprefix("split_"), parts, place)
        return cls(class_names, known, facts, splits)


def tabled(
    files: Mapping[str, Path | tuple[Path, ...]],
    layout: SkeletonLayout,
    table: ClipTable,
    read_file: Callable[..., Clip],
    **options: Any,
) -> FolderReader:
    """Make a reader of recordings of one's own: their file or files, and facts, by name.

    ``read_file`` is called with these, ``name``, ``label`` and ``meta``, and the options.
    """
    labels = [table.labels.get(name, -1) for name in files]
    facts = [table.facts.get(name, {}) for name in files]
    numbers = [{key: each[key] for key in NUMBERS if key in each} for each in facts]
    return FolderReader(
        tuple(files),
        layout,
        table.class_names,
        table.splits,
        tuple(files.values()),
        read_file,
        options,
        tuple(
            {"name": name, "label": label, "meta": known}
            for name, label, known in zip(files, labels, facts, strict=True)
        ),
        labels=tuple(labels),
        numbers=tuple(UNKNOWN._replace(**number) for number in numbers),
    )


def path_names(folder: Path, files: Iterable[Path]) -> list[str]:
    """Return the names of recordings of a file each: paths in the folder without the suffix."""
    return [
        plain_name(path.relative_to(folder).with_suffix("").as_posix(), str(path)) for path in files
    ]


def known_facts(root: Path, names: Sequence[str], labels: str = "table") -> ClipTable:
    """Return what ``clips.csv`` says of recordings, whose names are paths in the folder ``root``.

    With ``labels`` ``"folder"``, a recording's class is the folder below the root that it is in.
    """
    check_choice("labels", labels, ("table", "folder"))
    if not root.is_dir():
        return ClipTable()
    if labels == "table":
        return find_table(root, names) or ClipTable()
    outside = [name for name in names if "/" not in name]
    if outside:
        raise InputError(
            f"{root}: {outside[0]!r} is in no folder, whose name would be its class; put it into "
            "one, or write clips.csv and leave --options.labels out"
        )
    entries = {name: {"label": name.split("/")[0]} for name in names}
    return ClipTable.of(entries, class_list(root), str(root))


def find_table(root: Path, names: Sequence[str]) -> ClipTable | None:
    """Read ``clips.csv`` of a folder, see the page "Your own data"; None where there is none."""
    path = root / TABLE
    if not is_there(path):
        return None
    (first, head), *rows = read_cells(path)[0]
    head = [_column(name) for name in head]
    _check_head(f"{path}, line {first}", head)
    known = set(names)
    entries: dict[str, dict[str, str]] = {}
    for line, row in rows:
        place = f"{path}, line {line}"
        if len(row) != len(head):
            raise InputError(f"{place}: {len(row)} fields where the first line has {len(head)}")
        entry = {
            column: "" if column != "clip" and text.lower() in _EMPTY else text
            for column, text in zip(head, row, strict=True)
        }
        name = plain_name(entry["clip"].rstrip("/\\"), place)
        plain = name.replace("\\", "/")  # the name of its file will do, and a path of Windows
        name = next((e for e in (name, plain, plain.rpartition(".")[0]) if e in known), name)
        if name in entries or name not in known:
            why = "is repeated" if name in entries else "is not among the recordings"
            like = f", which are called like {names[0]!r}" if names and name not in entries else ""
            raise InputError(f"{place}: {name!r} {why}{like}; remove the line or correct it")
        entries[name] = entry
    missing = [name for name in names if name not in entries]
    if missing:
        more = f" and {len(missing) - 1} more" if missing[1:] else ""
        raise InputError(f"{path}: no line of {missing[0]!r}{more}; add one (label may be empty)")
    return ClipTable.of({name: entries[name] for name in names}, class_list(root), str(path))


def splits_of(name: str, parts: Sequence[str], place: str) -> dict[str, Split]:
    """Make splits of ``"train"``, ``"val"``, ``"test"`` or empty, one a recording.

    ``val`` tests where nothing else does; where there are both, ``NAME_val`` trains on the same and
    tests on ``val``. No entry is no split.

    Examples
    --------
    >>> splits_of("split", ["train", "val", "test"], "here")
    {'split': Split(train=(0,), test=(2,)), 'split_val': Split(train=(0,), test=(1,))}
    """
    known = [_PARTS.get(part.lower()) for part in parts]
    if None in known:
        wrong = parts[known.index(None)]
        raise InputError(f"{place}: {name} is {wrong[:40]!r}, not train, val, test or nothing")
    if not any(known):
        return {}
    return {
        each: Split.of({test: "test", "train": "train"}.get(str(part), "") for part in known)
        for each, test in named_tests(name, known).items()
    }


def named_tests(name: str, parts: Collection[str | None]) -> dict[str, str]:
    """Return which part tests in a split, and in another one where there are val and test."""
    tests = [part for part in ("test", "val") if part in parts] or ["test"]
    return {f"{name}_{test}" if number else name: test for number, test in enumerate(tests)}


def _column(name: str) -> str:
    """Name of a column, in lower letters where it is one that is known."""
    lower = name.lower()
    return lower if lower in _COLUMNS or lower.startswith("split_") else name


def _check_head(place: str, head: list[str]) -> None:
    if "clip" not in head or len(set(head)) < len(head):
        raise InputError(f"{place}: a table needs a column 'clip', and each column once")
    for column in head:
        if column.startswith("split_") and not column.removeprefix("split_").isidentifier():
            raise InputError(f"{place}: {column[:40]!r} cannot be the name of a split; rename it")
    others = [name[:40] for name in head if name not in _COLUMNS and name[:6] != "split_"]
    if others:
        logger.warning(
            "%s: columns that are not used: %s; used are %s and split_NAME",
            *(place, ", ".join(others), ", ".join(_COLUMNS)),
        )
    likely = [name for name in others if name.lower() in _LABELS]
    if "label" not in head and likely:
        logger.warning(
            "%s: no column 'label': recordings have no classes; if %r has them, call it 'label'",
            *(place, likely[0]),
        )


def _whole(text: str) -> str:
    """Text of a whole number without the fraction that spreadsheet programs give it."""
    match = _FRACTION.fullmatch(text)
    return match[1] if match else text


def _rate(place: str, text: str) -> float:
    try:
        rate = float(text.replace(",", "."))
    except ValueError:
        rate = 0.0
    if not 0 < rate < 1e6:
        raise InputError(f"{place}: fps is {text[:40]!r}, no number of frames a second")
    return rate


def number_names(texts: Iterable[str]) -> dict[str, int]:
    """Give each text a number: its own where all are whole numbers, else from 1 in their order.

    Examples
    --------
    >>> number_names(["3", "12"]), number_names(["rex", "bella", "rex"])
    ({'12': 12, '3': 3}, {'bella': 1, 'rex': 2})
    """
    used = sorted(set(texts))
    if all(map(is_count, used)):
        return {text: int(text) for text in used}
    return {text: number for number, text in enumerate(used, start=1)}


def class_list(root: Path) -> tuple[str, ...]:
    """Read ``classes.txt`` of a folder; empty where there is none."""
    path = root / CLASSES
    if not is_there(path):
        return ()
    names = tuple(line.strip() for line in read_lines(path) if line.strip())
    for number, name in enumerate(names):
        if name in names[:number]:
            raise InputError(f"{path}: duplicate class {name[:40]!r}; remove one")
    return names


def number_labels(
    labels: Mapping[str, str], class_names: tuple[str, ...], place: str
) -> tuple[tuple[str, ...], dict[str, int]]:
    """Return the names of the classes, and each recording's label by number, -1 where it is empty.

    A label is a number from 0 or a name. Without ``class_names`` they follow from the labels,
    sorted.

    Examples
    --------
    >>> number_labels({"a": "sit", "b": "run", "c": ""}, (), "clips.csv")
    (('run', 'sit'), {'a': 1, 'b': 0, 'c': -1})
    """
    used = {text for text in labels.values() if text}
    numeric = set(filter(is_count, used))
    names = sorted(used - numeric - set(class_names))
    for text in filter(_NUMBER.fullmatch, names):
        raise InputError(f"{place}: label {text[:40]!r} is no class; count classes from 0")
    if not class_names and numeric and names:
        raise InputError(
            f"{place}: labels are numbers and names ({names[0][:40]!r}); use one of the two, or "
            f"give the classes in {CLASSES}"
        )
    if not class_names:
        most = max(map(int, numeric), default=-1)
        if most >= MAX_CLASSES:
            raise InputError(f"{place}: label {most} is no class; count from 0")
        class_names = numbered_classes([most]) if numeric else tuple(names)
    place_of = {text: int(text) for text in numeric if int(text) < len(class_names)}
    place_of |= {name: number for number, name in enumerate(class_names)}
    for text in used - place_of.keys():
        raise InputError(
            f"{place}: label {text[:40]!r} is none of the {len(class_names)} classes of "
            f"{CLASSES}; add it there or correct it"
        )
    alike = Counter(name.casefold() for name in class_names)
    doubtful = [name for name in class_names if alike[name.casefold()] > 1]
    if doubtful:
        logger.warning(
            "%s: classes differ in capital letters alone: %s; write them alike if they are one",
            *(place, ", ".join(doubtful)),
        )
    if len(class_names) > MAX_CLASSES:
        raise InputError(f"{place}: {len(class_names)} classes; labels must be classes")
    return class_names, {name: place_of.get(text, -1) for name, text in labels.items()}
