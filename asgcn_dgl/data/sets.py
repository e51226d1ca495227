"""The data sets by name: their files, readers, classes, protocols and splits."""

from __future__ import annotations

import itertools
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from asgcn_dgl.data import nw_ucla
from asgcn_dgl.data.clip import Clip, RecordingName
from asgcn_dgl.data.formats.files import is_recording
from asgcn_dgl.data.formats.source import Origin
from asgcn_dgl.data.ntu import parse_ntu_name, read_ntu, read_sample_names
from asgcn_dgl.data.ntu_classes import NTU60_CLASS_NAMES, NTU120_CLASS_NAMES
from asgcn_dgl.errors import InputError
from asgcn_dgl.skeleton import SkeletonLayout, get_layout

logger = logging.getLogger(__name__)

#: Training subjects of NTU RGB+D 60, cross-subject.
NTU60_SUBJECTS = frozenset(
    (1, 2, 4, 5, 8, 9, 13, 14, 15, 16, 17, 18, 19, 25, 27, 28, 31, 34, 35, 38)
)

#: Training subjects of NTU RGB+D 120, cross-subject: those of the 60 and 33 more.
NTU120_SUBJECTS = NTU60_SUBJECTS.union(
    (45, 46, 47, 49, 50, *range(52, 60), 70, 74, 78, *range(80, 87), 89, *range(91, 96)),
    (97, 98, 100, 103),
)

#: Names under which the published lists of recordings with missing skeletons come.
NTU60_MISSING = "NTU_RGBD_samples_with_missing_skeletons.txt"
NTU120_MISSING = "NTU_RGBD120_samples_with_missing_skeletons.txt"


@dataclass(frozen=True)
class Protocol:
    """Which recordings train; all others test.

    Attributes
    ----------
    field
        What decides: ``"subject"``, ``"camera"`` or ``"setup"``.
    train
        Its numbers that train.
    """

    field: str
    train: frozenset[int]

    def trains(self, name: RecordingName) -> bool:
        """Tell whether a recording is for training."""
        return getattr(name, self.field) in self.train

    def __str__(self) -> str:
        """What trains, in words."""
        numbers = [str(number) for number in sorted(self.train)]
        more = [] if len(numbers) <= 60 else ["..."]
        return f"{self.field}s {', '.join(numbers[:60] + more)}"


class ClipSet(ABC):
    """What a training wants of a data set, whether it is a folder of files or a store.

    Attributes
    ----------
    name
        Name of the set.
    class_names
        K names, by label.
    default_protocol
        The split that is taken where none is asked for.
    """

    name: str
    class_names: tuple[str, ...]
    default_protocol: str

    @property
    @abstractmethod
    def layout(self) -> SkeletonLayout:
        """Skeleton of the set's bodies."""

    @property
    def layouts(self) -> tuple[SkeletonLayout, ...]:
        """All skeletons of the set's bodies; a joined set has several."""
        return (self.layout,)

    @property
    def origins(self) -> tuple[Origin, ...]:
        """Formats and options that the recordings were read with, where they are known."""
        return ()

    @property
    def num_classes(self) -> int:
        """K."""
        return len(self.class_names)

    @property
    @abstractmethod
    def splits(self) -> Collection[str]:
        """Names of the set's splits."""

    @abstractmethod
    def read(self, path: str | Path) -> Clip:
        """Read one of the files that :meth:`list_files` found."""

    @abstractmethod
    def list_files(self, root: str | Path, drop: str | Path | None = None) -> list[Path]:
        """Find the set's files, sorted by name."""

    @abstractmethod
    def split(
        self, files: Sequence[Path], protocol: str | None = None
    ) -> tuple[list[Path], list[Path]]:
        """Part files into training and test files."""

    @abstractmethod
    def numbers(self, path: Path) -> RecordingName:
        """Return subject, camera and set-up of a file."""

    def validation_split(
        self, files: Sequence[Path], share: float = 0.1, by: str = "subject", seed: int = 0
    ) -> tuple[list[Path], list[Path]]:
        """Part training files into those to train on and those to validate on.

        Parameters
        ----------
        files
            Training files.
        share
            Share of the files to validate on, at least; within (0, 1).
        by
            ``"subject"``, ``"camera"`` or ``"setup"``: whole groups are held out, drawn until the
            share is reached. ``"random"``: single files are.
        seed
            Seed of the draw.

        Returns
        -------
        train, validation
            In the order of the files; neither is empty.

        Raises
        ------
        InputError
            If there are too few files or groups to hold one out.
        ValueError
            If ``share`` or ``by`` is out of range.
        """
        if not 0 < share < 1:
            raise ValueError(f"share must be within (0, 1), got {share}")
        if by not in ("subject", "camera", "setup", "random"):
            raise ValueError(f"by must be subject, camera, setup or random, got {by!r}")
        group = [
            index if by == "random" else int(getattr(self.numbers(path), by))
            for index, path in enumerate(files)
        ]
        names, sizes = np.unique(group, return_counts=True)
        if len(names) < 2:
            raise InputError(
                f"{len(files)} training files of {len(names)} {by}(s): none can be held out for "
                "validation; add files" + ("" if by == "random" else " or split by 'random'")
            )
        order = np.random.default_rng(seed).permutation(len(names))
        enough = 1 + int(np.searchsorted(np.cumsum(sizes[order]), share * len(files)))
        held = set(names[order[: min(enough, len(names) - 1)]].tolist())
        held_files = {path for path, name in zip(files, group, strict=True) if name in held}
        validation, train = _part(files, lambda path: path in held_files)
        return train, validation


@dataclass(frozen=True)
class SkeletonSet(ClipSet):
    """A data set: where its files are, how they are read and split.

    Attributes
    ----------
    name
        Name for :func:`get_set`.
    layout_name
        Layout of its bodies.
    class_names
        K names, by label.
    protocols
        Published splits by name.
    default_protocol
        The one that figures are compared by.
    pattern
        Glob pattern of its files, looked for in the root and all folders below.
    reader
        Reader of one file.
    parse
        Reader of one file name.
    max_setup
        Files of a higher set-up number belong to another set; None takes all.
    missing_lists
        Names of the lists of recordings to drop, any of which will do.
    counts
        For each number of files that the whole set can have (with the recordings that are to be
        dropped, and without): the training and test files of each protocol.
    """

    name: str
    layout_name: str
    class_names: tuple[str, ...]
    protocols: Mapping[str, Protocol]
    default_protocol: str
    pattern: str
    reader: Callable[[Path], Clip] = field(repr=False)
    parse: Callable[[Path], RecordingName] = field(repr=False)
    max_setup: int | None = None
    missing_lists: tuple[str, ...] = ()
    counts: Mapping[int, Mapping[str, tuple[int, int]]] = field(default_factory=dict, repr=False)

    @property
    def layout(self) -> SkeletonLayout:
        """Skeleton of the set's bodies."""
        return get_layout(self.layout_name)

    @property
    def splits(self) -> Collection[str]:
        """Names of the published splits."""
        return self.protocols

    def numbers(self, path: Path) -> RecordingName:
        """Return what a file's name says."""
        return self.parse(path)

    def read(self, path: str | Path) -> Clip:
        """Read one file.

        Raises
        ------
        InputError
            If it is not usable or its label is not one of the set's classes.
        """
        clip = self.reader(Path(path))
        if clip.label >= self.num_classes:
            clip.check(self.num_classes)
        return clip

    def list_files(self, root: str | Path, drop: str | Path | None = None) -> list[Path]:
        """Find the set's files, sorted by name, without those to be dropped.

        Parameters
        ----------
        root
            Folder that holds the files, at any depth.
        drop
            List of recordings to leave out, one name a line. By default the published lists are
            used where they lie in the root, beside it, or in a folder ``meta`` of either.

        Returns
        -------
        list of Path
            At least one.

        Raises
        ------
        InputError
            If the folder is absent, holds no file of the set, holds a file twice, or a file is
            named in another way than the set's.
        """
        root = Path(root)
        if not root.is_dir():
            what = "is a file" if root.exists() else "does not exist"
            raise InputError(f"{root}: {what}; give the folder that holds {self.name}")
        found = sorted(root.rglob(self.pattern), key=lambda path: (path.name, str(path)))
        files = [path for path in found if is_recording(path) and self._belongs(path)]
        for first, second in itertools.pairwise(files):
            if first.name == second.name:
                raise InputError(f"{second}: stands in {first.parent} too; keep one of the two")
        dropped = self._dropped(root, drop)
        files = [path for path in files if path.stem not in dropped]
        if not files:
            raise InputError(
                f"{root}: no file {self.pattern} of {self.name} in it; give the folder that holds "
                "the set's files"
            )
        if self.counts and len(files) not in self.counts:
            logger.warning(
                "%s: %d files of %s, where the whole set has %s; figures of a part of it cannot be "
                "compared with published ones",
                root,
                len(files),
                self.name,
                " or ".join(map(str, self.counts)),
            )
        return files

    def split(
        self, files: Sequence[Path], protocol: str | None = None
    ) -> tuple[list[Path], list[Path]]:
        """Part files into training and test files.

        Parameters
        ----------
        files
            Files of the set.
        protocol
            Name of a published split, by default the set's default.

        Returns
        -------
        train, test
            In the order of the files; the test files may be none.

        Raises
        ------
        InputError
            If the set has no such protocol or no file is for training, or the set is whole and its
            parts have not the published sizes.
        """
        chosen = self.protocol(protocol)
        train, test = _part(files, lambda path: chosen.trains(self.parse(path)))
        if not train:
            raise InputError(
                f"none of the {len(files)} files is for training under protocol "
                f"{protocol or self.default_protocol!r}, which trains on {chosen}; add such files "
                f"or choose another protocol ({', '.join(self.protocols)})"
            )
        self.check_counts(protocol or self.default_protocol, len(train), len(test))
        return train, test

    def check_counts(self, protocol: str, train: int, test: int) -> None:
        """Compare the parts of a protocol with the published ones, where the set is whole.

        Raises
        ------
        InputError
            If they have other sizes; the message names both.
        """
        expected = self.counts.get(train + test, {}).get(protocol)
        if expected is not None and expected != (train, test):
            raise InputError(
                f"{self.name}: the {train + test} files are the whole set, which protocol "
                f"{protocol!r} parts into {expected[0]} training and {expected[1]} test files, but "
                f"their names part into {train} and {test}; files are renamed or stand in for "
                "others: copy the set again from its source"
            )

    def protocol(self, name: str | None = None) -> Protocol:
        """Return a protocol by name, by default the set's default.

        Raises
        ------
        InputError
            If the set has no such protocol.
        """
        name = name or self.default_protocol
        if name not in self.protocols:
            raise InputError(
                f"{self.name} has no protocol {name!r}; choose one of {', '.join(self.protocols)}"
            )
        return self.protocols[name]

    def _belongs(self, path: Path) -> bool:
        name = self.parse(path)
        return self.max_setup is None or name.setup <= self.max_setup

    def _dropped(self, root: Path, drop: str | Path | None) -> frozenset[str]:
        if drop is not None:
            return read_sample_names(drop)
        places = (root, root / "meta", root.parent, root.parent / "meta")
        known = (place / name for place in places for name in self.missing_lists)
        lists = [path for path in known if path.is_file()]
        if self.missing_lists and not lists:
            logger.warning(
                "no list of recordings with missing skeletons (%s) in or beside %s: all are kept",
                " or ".join(self.missing_lists),
                root,
            )
        return frozenset().union(*(read_sample_names(path) for path in lists))


def _part(files: Sequence[Path], rule: Callable[[Path], bool]) -> tuple[list[Path], list[Path]]:
    yes = [rule(path) for path in files]
    first = [path for path, holds in zip(files, yes, strict=True) if holds]
    return first, [path for path, holds in zip(files, yes, strict=True) if not holds]


def _nw_ucla() -> SkeletonSet:
    return SkeletonSet(
        name="nw_ucla",
        layout_name="kinectv1_20",
        class_names=nw_ucla.CLASS_NAMES,
        protocols={"xview": Protocol("camera", frozenset((1, 2)))},
        default_protocol="xview",
        pattern="a??_s??_e??_v??.json",
        reader=nw_ucla.read_nw_ucla,
        parse=nw_ucla.parse_nw_ucla_name,
        counts={1484: {"xview": (1020, 464)}},
    )


def _ntu(name: str, class_names: tuple[str, ...], **others: object) -> SkeletonSet:
    facts: dict = {
        "layout_name": "ntu25",
        "default_protocol": "xsub",
        "pattern": "*.skeleton",
        "reader": read_ntu,
        "parse": parse_ntu_name,
        **others,
    }
    return SkeletonSet(name=name, class_names=class_names, **facts)


def _ntu60() -> SkeletonSet:
    return _ntu(
        "ntu60",
        NTU60_CLASS_NAMES,
        protocols={
            "xsub": Protocol("subject", NTU60_SUBJECTS),
            "xview": Protocol("camera", frozenset((2, 3))),
        },
        max_setup=17,
        missing_lists=(NTU60_MISSING, NTU120_MISSING),
        counts={
            56_880: {"xsub": (40_320, 16_560), "xview": (37_920, 18_960)},
            56_578: {"xsub": (40_091, 16_487), "xview": (37_646, 18_932)},  # without the 302
        },
    )


def _ntu120() -> SkeletonSet:
    return _ntu(
        "ntu120",
        NTU120_CLASS_NAMES,
        protocols={
            "xsub": Protocol("subject", NTU120_SUBJECTS),
            "xset": Protocol("setup", frozenset(range(2, 33, 2))),
        },
        missing_lists=(NTU120_MISSING,),  # the 302 of the 60 are among its 535
        counts={
            114_480: {},
            113_945: {"xsub": (63_026, 50_919), "xset": (54_468, 59_477)},  # without the 535
        },
    )


def _synthetic() -> SkeletonSet:
    from asgcn_dgl.data import synthetic

    return _ntu(
        "synthetic",
        tuple(synthetic.CLASS_NAMES),
        protocols={
            "xsub": Protocol("subject", frozenset(synthetic.TRAIN_SUBJECTS)),
            "xview": Protocol("camera", frozenset(synthetic.TRAIN_CAMERAS)),
        },
    )


_SETS: dict[str, Callable[[], SkeletonSet]] = {
    "nw_ucla": _nw_ucla,
    "ntu60": _ntu60,
    "ntu120": _ntu120,
    "synthetic": _synthetic,
}

#: Names for :func:`get_set`.
SET_NAMES = tuple(_SETS)


def get_set(name: str) -> SkeletonSet:
    """Return a data set by name.

    Parameters
    ----------
    name
        One of :data:`SET_NAMES`.

    Returns
    -------
    SkeletonSet
        Its files, reader, classes and splits.

    Raises
    ------
    InputError
        If there is no such set.

    Examples
    --------
    >>> ntu = get_set("ntu60")
    >>> ntu.num_classes, ntu.layout.name, list(ntu.protocols), ntu.class_names[22]
    (60, 'ntu25', ['xsub', 'xview'], 'hand waving')
    """
    if name not in _SETS:
        raise InputError(f"unknown data set {name!r}; choose one of {', '.join(SET_NAMES)}")
    return _SETS[name]()
