"""What every reader offers: recordings by number, read one at a time.

A reader is opened by :func:`asgcn_dgl.data.open_data`. Opening one looks at names and headers only.
The wrappers here make readers of readers: a part of one, several side by side, clips in memory.
"""

from __future__ import annotations

import importlib
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from asgcn_dgl.data.clip import Clip, RecordingName
from asgcn_dgl.data.files import check_choice
from asgcn_dgl.errors import InputError
from asgcn_dgl.skeleton import SkeletonLayout

#: What is known of a recording of which nothing is known.
UNKNOWN = RecordingName(-1, -1, -1, -1, -1)

#: How to say which recordings test.
HOW_TO_SPLIT = (
    "say which recordings train and which test: in a column 'split' of clips.csv, in the lists "
    "'split' of annotations, in arrays val_data beside train_data; then prepare again"
)

#: By what :meth:`Reader.hold_out` groups recordings.
GROUPS = ("subject", "camera", "setup", "replication", "random")

_APART = 10_000  # subjects, cameras and setups of the next joined set are numbered from here


@dataclass(frozen=True)
class Split:
    """Numbers of the recordings that train and that test, ascending; no number is in both."""

    train: tuple[int, ...]
    test: tuple[int, ...]

    @classmethod
    def of(cls, parts: Iterable[object]) -> Split:
        """Make a split of one entry a recording: ``"train"``, ``"test"``, or others for neither.

        Examples
        --------
        >>> Split.of(["train", "", "test", "train"])
        Split(train=(0, 3), test=(2,))
        """
        numbered = list(enumerate(parts))
        wanted = ("train", "test")
        return cls(*(tuple(n for n, part in numbered if part == which) for which in wanted))

    @classmethod
    def of_names(cls, names: Sequence[str], train: Iterable[str], test: Iterable[str]) -> Split:
        """Make a split of lists of names; names that are not among ``names`` are ignored."""
        number = {name: place for place, name in enumerate(names)}
        return cls(*(tuple(sorted(number[n] for n in p if n in number)) for p in (train, test)))


@dataclass(frozen=True)
class Origin:
    """The format that recordings were read in, and all of its options by name, as JSON has them.

    Examples
    --------
    >>> print(Origin.of("bvh", scale=0.01, step=1))
    bvh with scale=0.01, step=1
    """

    format: str
    options: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, name: str, /, **options: Any) -> Origin:
        """Make one of options as given in Python."""
        return cls(name, {option: _plain(value) for option, value in options.items()})

    @classmethod
    def from_dict(cls, values: Any) -> Origin:
        """Make one of what :meth:`to_dict` returned; ValueError for anything else."""
        match values:
            case {"format": str(name), "options": Mapping() as options}:
                return cls(name, dict(options))
            case {"format": str(name)}:
                raise ValueError(f"no options of the format {name[:40]!r}")
        raise ValueError("no format by name")

    def in_short(self, defaults: Mapping[str, Any]) -> str:
        """Return format, and the options that are not the defaults, as text."""
        usual = Origin.of(self.format, **defaults).options
        given = {n: value for n, value in self.options.items() if value != usual.get(n)}
        return str(Origin(self.format, given))

    def to_dict(self) -> dict[str, Any]:
        """Return plain containers, fit for JSON."""
        return {"format": self.format, "options": dict(self.options)}

    def __str__(self) -> str:
        given = ", ".join(f"{name}={value}" for name, value in self.options.items())
        return f"{self.format} with {given}" if given else self.format


def _plain(value: Any) -> Any:
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value


@dataclass(frozen=True)
class Reader(ABC):
    """Recordings of one format in one place.

    Recordings are read one at a time, so memory does not grow with their number. A reader can be
    pickled and given to worker processes.

    Attributes
    ----------
    names
        Name of each recording.
    layout
        Skeleton of all bodies; of a joined set, that of the first part.
    class_names
        K names by label; empty where the format does not say.
    splits
        Named splits that come with the recordings, the usual one first.
    labels
        Class of each recording, -1 where it is not known before the recording is read; empty
        where no label is.
    numbers
        Subject, camera, setup and replication of each recording, -1 where unknown; empty where
        nothing is known.
    origin
        Format and options; None where the reader was not opened by the format's name.
    place
        File or folder, for messages.
    """

    names: tuple[str, ...]
    layout: SkeletonLayout
    class_names: tuple[str, ...] = ()
    splits: Mapping[str, Split] = field(default_factory=dict)
    labels: Sequence[int] = field(default=(), kw_only=True)
    numbers: Sequence[RecordingName] = field(default=(), kw_only=True)
    origin: Origin | None = field(default=None, kw_only=True)
    place: str = field(default="the data", kw_only=True)

    @abstractmethod
    def read(self, index: int) -> Clip:
        """Read recording ``index``; InputError names file, place and remedy if it is unusable."""

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[Clip]:
        return (self.read(index) for index in range(len(self)))

    @property
    def layouts(self) -> tuple[SkeletonLayout, ...]:
        """All skeletons; a joined set has several."""
        return (self.layout,)

    @property
    def origins(self) -> tuple[Origin, ...]:
        """Formats and options that the recordings were read with, where they are known."""
        return () if self.origin is None else (self.origin,)

    @property
    def default_split(self) -> str:
        """The split that is taken where none is asked for; empty where there is none."""
        return next(iter(self.splits), "")

    def stamp(self) -> object:
        """Return what changes when the recordings do, as JSON values; None if nothing is known."""
        return None

    def recording(self, index: int) -> RecordingName:
        """Return the numbers of a recording, -1 where they are not known."""
        return self.numbers[index] if len(self.numbers) else UNKNOWN

    def find(self, name: str) -> int:
        """Return the number of a recording; InputError if there is none of that name."""
        if name not in self.names:
            raise InputError(
                f"{self.place}: no recording {name!r}; they are named like {self.names[0]}"
            )
        return self.names.index(name)

    def split(self, name: str | None = None) -> tuple[list[int], list[int]]:
        """Return the recordings that train and those that test, ascending; the latter may be none.

        ``name`` is by default :attr:`default_split`. Recordings without any split all train, except
        those without a label. InputError if there is no such split, or nothing in it to train on.
        """
        if not name and not self.splits:
            labels = self.labels if len(self.labels) else [0] * len(self)
            return [number for number, label in enumerate(labels) if label >= 0], []
        name = name or self.default_split
        if name not in self.splits:
            known = (
                f"its splits are {', '.join(self.splits)}"
                if self.splits
                else f"it has none: leave it out to train on all, or {HOW_TO_SPLIT}"
            )
            raise InputError(f"{self.place}: no split {name!r}; {known}")
        split = self.splits[name]
        if not split.train:
            raise InputError(
                f"{self.place}: split {name!r} holds nothing to train on; add recordings, or "
                f"choose another split ({', '.join(self.splits)})"
            )
        return list(split.train), list(split.test)

    def hold_out(
        self, indices: Sequence[int], share: float = 0.1, by: str = "subject", seed: int = 0
    ) -> tuple[list[int], list[int]]:
        """Split training recordings into those to train on and those to validate on.

        Parameters
        ----------
        indices
            Numbers of training recordings; both results are in their order, and not empty.
        share
            Share of the recordings to validate on, at least; within (0, 1).
        by
            ``"subject"``, ``"camera"``, ``"setup"`` or ``"replication"``: whole groups are held
            out, drawn until the share is reached. ``"random"``: single recordings are.
        seed
            Seed of the draw.
        """
        if not 0 < share < 1:
            raise ValueError(f"share must be within (0, 1), got {share}")
        check_choice("by", by, GROUPS)
        group = np.arange(len(indices))
        if by != "random":
            group = np.array([getattr(self.recording(index), by) for index in indices], dtype=int)
        names, sizes = np.unique(group, return_counts=True)
        if len(names) < 2:
            raise InputError(
                f"{len(indices)} training recordings of {len(names)} {by}(s): none can be held out "
                "for validation; add recordings"
                + ("" if by == "random" else ", or give --clips.validation random (or none)")
            )
        order = np.random.default_rng(seed).permutation(len(names))
        enough = 1 + int(np.searchsorted(np.cumsum(sizes[order]), share * len(indices)))
        held = np.isin(group, names[order[: min(enough, len(names) - 1)]])
        chosen = np.asarray(indices)
        return chosen[~held].tolist(), chosen[held].tolist()


def numbered_classes(labels: Sequence[int]) -> tuple[str, ...]:
    """Return names for classes that are known by number only."""
    return tuple(f"class {number}" for number in range(max(labels, default=-1) + 1))


def kind_of_error(message: str) -> str:
    """Return a message without the file and the place in it, so that similar ones count as one.

    Examples
    --------
    >>> kind_of_error("a.npz: coordinate 1 of joint 3 (tail) in frame 4 is nan; repair the file")
    'coordinate # of joint # in frame # is #; repair the file'
    """
    text = message.split(": ", 1)[-1]
    text = re.sub(r" \([^()]*\)|'[^']*'", "", text)
    return re.sub(r"(?<![A-Za-z])[-+]?(?:[0-9][0-9.e+-]*|nan|inf)(?![A-Za-z])", "#", text)


# Readers of readers ------------------------------------------------------------------------------


def progress_bar(items: Sequence[int], progress: bool) -> Iterable[int]:
    """Return the items, with a progress bar if one is wanted and ``tqdm`` is installed."""
    if not progress:
        return items
    try:
        tqdm = importlib.import_module("tqdm")  # an extra: reading works without it
    except ImportError:
        return items
    # disable=None: no bar where standard error is no terminal
    return tqdm.tqdm(items, desc="reading", unit="clip", leave=False, disable=None)


@dataclass(frozen=True)
class ClipList(Reader):
    """Clips in memory as a reader; see :meth:`of`."""

    clips: tuple[Clip, ...] = ()

    @classmethod
    def of(cls, clips: Iterable[Clip], class_names: Sequence[str] = ()) -> ClipList:
        """Make a reader of clips, at least one."""
        held = tuple(clips)
        if not held:
            raise InputError("no clip is given; check the folder and the split")
        return cls(
            tuple(clip.name for clip in held),
            held[0].layout,
            tuple(class_names),
            labels=tuple(clip.label for clip in held),
            clips=held,
        )

    @classmethod
    def load(
        cls, reader: Reader, indices: Iterable[int] | None = None, progress: bool = False
    ) -> ClipList:
        """Read all recordings, or those of ``indices``, into memory."""
        chosen = range(len(reader)) if indices is None else list(indices)
        clips = (reader.read(index) for index in progress_bar(chosen, progress))
        return cls.of(clips, reader.class_names)

    def read(self, index: int) -> Clip:
        """Return a clip."""
        return self.clips[index]

    @property
    def layouts(self) -> tuple[SkeletonLayout, ...]:
        """All skeletons of the clips."""
        return tuple(dict.fromkeys(clip.layout for clip in self.clips))


@dataclass(frozen=True)
class Derived(Reader):
    """Recordings of another reader, ``whole``, by their numbers there."""

    whole: Reader = field(kw_only=True)
    indices: Sequence[int] = ()

    @classmethod
    def _of(cls, whole: Reader, indices: Sequence[int], **own: Any) -> Any:
        """Make one that has what the other reader has, but for its ``own``."""
        values = {each.name: getattr(whole, each.name) for each in fields(Reader)}
        values["names"] = tuple(whole.names[index] for index in indices)
        values["numbers"] = ()
        if len(whole.labels):
            values["labels"] = tuple(int(whole.labels[index]) for index in indices)
        return cls(**{**values, **own}, whole=whole, indices=indices)

    @property
    def layouts(self) -> tuple[SkeletonLayout, ...]:
        """All skeletons of the other reader."""
        return self.whole.layouts

    @property
    def origins(self) -> tuple[Origin, ...]:
        """Those of the other reader."""
        return self.whole.origins

    def read(self, index: int) -> Clip:
        """Read one recording."""
        return self.whole.read(self.indices[index])

    def recording(self, index: int) -> RecordingName:
        """Return the numbers of a recording."""
        return self.whole.recording(self.indices[index])

    def stamp(self) -> object:
        """Return what changes when the recordings do."""
        return [list(self.indices), self.whole.stamp()]


@dataclass(frozen=True)
class Subset(Derived):
    """Some recordings of another reader, in any order, without splits; see :meth:`of`."""

    @classmethod
    def of(cls, whole: Reader, indices: Iterable[int]) -> Subset:
        """Choose recordings by number."""
        return cls._of(whole, tuple(indices), splits={})


@dataclass(frozen=True)
class Joined(Reader):
    """The recordings of several readers, one after another; see :meth:`of`.

    Classes are identified by name: readers that have a name share the class. A split takes each
    reader's own of that name, or its default where it has none of the name. Subjects, cameras and
    setups of different readers are different ones.
    """

    parts: tuple[Reader, ...] = ()

    @classmethod
    def of(cls, parts: Iterable[Reader]) -> Joined:
        """Join readers, at least one."""
        held = tuple(parts)
        if not held:
            raise InputError("no data set to join; give the folders of one or more")
        classes = tuple(dict.fromkeys(name for part in held for name in part.class_names))
        splits = {name: _joined_split(held, name) for part in held for name in part.splits}
        return cls(
            tuple(name for part in held for name in part.names),
            held[0].layout,
            classes,
            splits,
            labels=tuple(label for part in held for label in _joined_labels(part, classes)),
            place=" and ".join(part.place for part in held),
            parts=held,
        )

    def _own(self, index: int) -> tuple[int, Reader, int]:
        """Return which part a recording is of, the part, and its number there."""
        if not 0 <= index < len(self):
            raise IndexError(f"recording {index} of {len(self)}")
        starts = np.cumsum([0, *map(len, self.parts)])
        number = int(np.searchsorted(starts, index, side="right")) - 1
        return number, self.parts[number], index - int(starts[number])

    def read(self, index: int) -> Clip:
        """Read a recording; its label is that of the joined classes."""
        _, part, own = self._own(index)
        clip = part.read(own)
        if clip.label < 0:
            return clip
        return clip.with_label(self.class_names.index(part.class_names[clip.label]))

    def recording(self, index: int) -> RecordingName:
        """Return the numbers of a recording; those of different parts are kept apart."""
        number, part, own = self._own(index)
        known = part.recording(own)
        apart = {
            name: getattr(known, name) + number * _APART
            for name in ("subject", "camera", "setup")
            if getattr(known, name) >= 0
        }
        return known._replace(**apart)

    @property
    def layouts(self) -> tuple[SkeletonLayout, ...]:
        """All skeletons."""
        return tuple(dict.fromkeys(layout for part in self.parts for layout in part.layouts))

    @property
    def origins(self) -> tuple[Origin, ...]:
        """Those of all parts, each once."""
        every = [origin for part in self.parts for origin in part.origins]
        return tuple(origin for n, origin in enumerate(every) if origin not in every[:n])

    def stamp(self) -> object:
        """Return what changes when the recordings do."""
        return [part.stamp() for part in self.parts]


def _joined_split(parts: Sequence[Reader], name: str) -> Split:
    joined: list[str] = []
    for part in parts:
        own = part.splits.get(name, part.splits.get(part.default_split, Split((), ())))
        kinds = {**dict.fromkeys(own.train, "train"), **dict.fromkeys(own.test, "test")}
        joined += [kinds.get(index, "") for index in range(len(part))]
    return Split.of(joined)


def _joined_labels(part: Reader, classes: tuple[str, ...]) -> list[int]:
    if not len(part.labels):
        return [-1] * len(part)
    number = [classes.index(name) for name in part.class_names]
    return [number[label] if 0 <= label < len(number) else -1 for label in part.labels]


# Formats -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Format:
    """A format that :func:`asgcn_dgl.data.open_data` knows.

    ``open`` takes a folder or file, and options by name; ``recognizes`` tells whether an existing
    one looks like this format. ``title`` is for messages; ``file_options`` are the options for
    reading a single file; formats of one ``family`` have the same files.
    """

    name: str
    open: Callable[..., Reader]
    recognizes: Callable[[Path], bool]
    title: str
    file_options: tuple[str, ...] = ()
    family: str = ""
