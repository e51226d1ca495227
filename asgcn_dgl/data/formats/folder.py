"""Published sets that come as a folder of one file a recording, whose name says what it shows."""

from __future__ import annotations

import itertools
import json
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from asgcn_dgl.data.clip import Clip, RecordingName
from asgcn_dgl.data.files import is_recording, read_lines, stamp_files
from asgcn_dgl.data.reader import Reader, Split
from asgcn_dgl.errors import InputError
from asgcn_dgl.skeleton import get_layout

logger = logging.getLogger(__name__)

#: Names of the classes of published sets, in the order of the labels.
CLASS_NAMES: Mapping[str, tuple[str, ...]] = {
    name: tuple(classes)
    for name, classes in json.loads(
        resources.files("asgcn_dgl.data.formats").joinpath("classes.json").read_text()
    ).items()
}


@dataclass(frozen=True)
class Protocol:
    """Recordings train whose ``field`` (subject, camera or setup) is one of ``train``."""

    field: str
    train: frozenset[int]

    def trains(self, name: RecordingName) -> bool:
        """Return whether a recording is for training."""
        return getattr(name, self.field) in self.train


@dataclass(frozen=True)
class FolderReader(Reader):
    """Recordings read by ``read_file(files, **options, **own)``, with ``own`` options each.

    A recording is of one file, or of a tuple of files.
    """

    files: tuple[Any, ...] = ()
    read_file: Callable[..., Clip] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    own: tuple[Mapping[str, Any], ...] = ()

    def read(self, index: int) -> Clip:
        """Read one recording; its label must be one of the set's classes."""
        assert self.read_file is not None
        own = self.own[index] if self.own else {}
        clip = self.read_file(self.files[index], **self.options, **own)
        known = len(self.class_names)
        return clip.check(known) if known and clip.label >= known else clip

    def stamp(self) -> object:
        """Sizes and times of all files, the options, and the splits."""
        paths = [
            path for each in self.files for path in (each if isinstance(each, tuple) else [each])
        ]
        splits = {name: [split.train, split.test] for name, split in self.splits.items()}
        own = [dict(own) for own in self.own]
        return [stamp_files(dict.fromkeys(paths)), dict(self.options), own, splits]


@dataclass(frozen=True)
class PublishedSet:
    """A published set: where its files are, how they are named, read and split.

    ``protocols`` are the published splits, the one that figures are compared by first; ``pattern``
    is the glob pattern of the files, at any depth; ``read`` reads a file; ``stem`` is the pattern
    of a name without ``ending``, ``form`` says it in words; ``label`` is the label of a name.
    Files above ``max_setup`` belong to another set, and those that ``keep`` does not take are left
    out, so that ``part`` of the set remains. ``missing_lists`` names the lists of recordings to
    drop, of which any will do; ``counts`` gives for each size of the whole set the training and
    test files of each protocol.
    """

    name: str
    layout_name: str
    class_names: tuple[str, ...]
    protocols: Mapping[str, Protocol]
    pattern: str
    read: Callable[..., Clip] = field(repr=False)
    stem: re.Pattern[str] = field(repr=False)
    form: str
    label: Callable[[RecordingName], int] = field(repr=False)
    ending: str = ""
    max_setup: float = float("inf")
    keep: Callable[[str, RecordingName], bool] | None = field(default=None, repr=False)
    part: str = ""
    missing_lists: tuple[str, ...] = ()
    counts: Mapping[int, Mapping[str, tuple[int, int]]] = field(default_factory=dict, repr=False)

    def name_of(self, path: str | Path) -> str:
        """Return the name of the recording in a file."""
        return Path(path).stem.removesuffix(self.ending)

    def number(self, path: str | Path) -> RecordingName | None:
        """Read the numbers of a file's name, named groups of the pattern; None of another name."""
        match = self.stem.fullmatch(self.name_of(path))
        if match is None:
            return None
        return RecordingName(**{"camera": 0, **{k: int(v) for k, v in match.groupdict().items()}})

    def parse(self, path: str | Path) -> RecordingName:
        """Read the numbers of a file's name; InputError for another name."""
        number = self.number(path)
        if number is None:
            raise InputError(
                f"{path}: the name is not of the form {self.form}; rename the file as the data set "
                "has it, or move it out of the folder"
            )
        return number

    def facts(self, path: Path) -> tuple[int, dict[str, Any]]:
        """Return label and ``meta`` of a file, as far as its name says them."""
        number = self.number(path)
        known = {} if number is None else number._asdict()
        return -1 if number is None else self.label(number), {"path": str(path), **known}

    def is_in(self, folder: Path) -> bool:
        """Tell whether files of the set are in a folder."""
        return next(folder.rglob(self.pattern), None) is not None

    def open(
        self, root: str | Path, drop: str | Path | None = None, **options: Any
    ) -> FolderReader:
        """Find the files of the set in a folder, sorted by name, or take one file of any name.

        ``drop`` lists the recordings to leave out, one name a line. By default the published lists
        are used where they are in the root, beside it, or in a folder ``meta`` of either.
        """
        root = Path(root)
        numbers = {} if root.is_file() else self._find(root, drop)
        splits = {}
        for name, protocol in self.protocols.items() if numbers else ():
            splits[name] = Split.of(
                "train" if protocol.trains(each) else "test" for each in numbers.values()
            )
            self.check_counts(name, splits[name])
        files = tuple(numbers) or (root,)
        return FolderReader(
            tuple(map(self.name_of, files)),
            get_layout(self.layout_name),
            self.class_names,
            splits,
            files,
            self.read,
            options,
            labels=tuple(map(self.label, numbers.values())),
            numbers=tuple(numbers.values()),
        )

    def check_counts(self, protocol: str, split: Split) -> None:
        """Refuse a whole set whose split does not have the published sizes."""
        train, test = len(split.train), len(split.test)
        expected = self.counts.get(train + test, {}).get(protocol)
        if expected is not None and expected != (train, test):
            raise InputError(
                f"{self.name}: the {train + test} files are the whole set, which protocol "
                f"{protocol!r} splits into {expected[0]} training and {expected[1]} test files, "
                f"but their names say {train} and {test}; files are renamed or replaced by "
                "others: copy the set again from its source"
            )

    def _find(self, root: Path, drop: str | Path | None) -> dict[Path, RecordingName]:
        """Return the files and what their names say."""
        if not root.is_dir():
            raise InputError(f"{root}: does not exist; give the folder that holds {self.name}")
        found = sorted(root.rglob(self.pattern), key=lambda path: (path.name, str(path)))
        numbers = {path: self.parse(path) for path in found if is_recording(path)}
        numbers = {path: each for path, each in numbers.items() if each.setup <= self.max_setup}
        for first, second in itertools.pairwise(numbers):
            if first.name == second.name:
                raise InputError(f"{second}: also in {first.parent}; keep one of the two")
        dropped = self._dropped(root, drop)
        numbers = {path: each for path, each in numbers.items() if path.stem not in dropped}
        if numbers and self.counts and len(numbers) not in self.counts:
            logger.warning(
                "%s: %d files of %s, where the whole set has %s; figures of a part of it cannot be "
                "compared with published ones",
                *(root, len(numbers), self.name, " or ".join(map(str, self.counts))),
            )
        if not numbers:
            raise InputError(
                f"{root}: no file {self.pattern} of {self.name} in it; give the folder of its files"
            )
        if self.keep:
            numbers = {p: n for p, n in numbers.items() if self.keep(self.name_of(p), n)}
        if not numbers:
            raise InputError(f"{root}: no sequence of {self.part} in it; give the whole set")
        return numbers

    def _dropped(self, root: Path, drop: str | Path | None) -> frozenset[str]:
        if drop is not None:
            return read_names(drop, self.stem)
        places = (root, root / "meta", root.parent, root.parent / "meta")
        known = (place / name for place in places for name in self.missing_lists)
        lists = [path for path in known if path.is_file()]
        if self.missing_lists and not lists:
            logger.warning(
                "no list of recordings with missing skeletons (%s) in or beside %s: all are kept",
                *(" or ".join(self.missing_lists), root),
            )
        return frozenset().union(*(read_names(path, self.stem) for path in lists))


def read_names(path: str | Path, stem: re.Pattern[str]) -> frozenset[str]:
    """Read all names of the pattern ``stem`` in a text file; other text is ignored."""
    found = frozenset(match[0] for line in read_lines(path) for match in stem.finditer(line))
    if not found:
        raise InputError(f"{path}: no name of a recording in it; give a list of recordings")
    return found
