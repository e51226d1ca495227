"""Several sets as one: their classes by name, their clips side by side, of any layouts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from asgcn_dgl.data.clip import Clip, RecordingName
from asgcn_dgl.data.formats.source import Origin
from asgcn_dgl.data.sets import ClipSet
from asgcn_dgl.errors import InputError
from asgcn_dgl.skeleton import SkeletonLayout

__all__ = ["JoinedSet"]

_APART = 10_000  # subjects, cameras and set-ups of the next set are numbered from here on


class JoinedSet(ClipSet):
    """The clips of several sets.

    A class is told by its name: sets that have it share it. A split takes each set's own of that
    name, or its usual one where it has none of the name. Subjects, cameras and set-ups of different
    sets are different ones.

    Parameters
    ----------
    parts
        Sets and the folders of their files; none lies within another.

    Raises
    ------
    InputError
        If there is no set, or a folder lies within another.
    """

    def __init__(self, parts: Sequence[tuple[ClipSet, Path]]) -> None:
        if not parts:
            raise InputError("no set to join; give the folders of one or more")
        self.parts = tuple(parts)
        folders = [folder for _, folder in self.parts]
        for first, second in ((a, b) for a in folders for b in folders if a is not b):
            if second.is_relative_to(first):
                raise InputError(f"{second}: lies in {first}; give folders that are apart")
        self.name = "+".join(each.name for each, _ in self.parts)
        self.class_names = tuple(
            dict.fromkeys(name for each, _ in self.parts for name in each.class_names)
        )
        self.default_protocol = self.parts[0][0].default_protocol

    @property
    def layout(self) -> SkeletonLayout:
        """Skeleton of the first set."""
        return self.parts[0][0].layout

    @property
    def layouts(self) -> tuple[SkeletonLayout, ...]:
        """All skeletons."""
        return tuple(dict.fromkeys(layout for each, _ in self.parts for layout in each.layouts))

    @property
    def origins(self) -> tuple[Origin, ...]:
        """Those of all sets, each once."""
        found: list[Origin] = []
        for each, _ in self.parts:
            found += [origin for origin in each.origins if origin not in found]
        return tuple(found)

    def read(self, path: str | Path) -> Clip:
        """Read a file of any of the sets; its label is that of the joined classes."""
        each, _ = self.parts[self._part(Path(path))]
        clip = each.read(path)
        if clip.label < 0:
            return clip
        return clip.with_label(self.class_names.index(each.class_names[clip.label]))

    def list_files(self, root: str | Path, drop: str | Path | None = None) -> list[Path]:
        """Find the files of all sets, set by set."""
        return [path for each, folder in self.parts for path in each.list_files(folder, drop)]

    def split(
        self, files: Sequence[Path], protocol: str | None = None
    ) -> tuple[list[Path], list[Path]]:
        """Part the files of each set.

        Raises
        ------
        InputError
            If a set has no split at all, or nothing to train on.
        """
        train: list[Path] = []
        test: list[Path] = []
        owner = np.array([self._part(path) for path in files])
        for number, (each, _) in enumerate(self.parts):
            own = [files[place] for place in np.flatnonzero(owner == number).tolist()]
            if not own:
                continue
            known = protocol if protocol in each.splits else None
            more = each.split(own, known)
            train += more[0]
            test += more[1]
        return train, test

    def numbers(self, path: Path) -> RecordingName:
        """Return what is known of a file; numbers of different sets are kept apart."""
        part = self._part(path)
        name = self.parts[part][0].numbers(path)
        apart = {
            field: getattr(name, field) + part * _APART
            for field in ("subject", "camera", "setup")
            if getattr(name, field) >= 0
        }
        return name._replace(**apart)

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the splits that any of the sets has."""
        return tuple(dict.fromkeys(name for each, _ in self.parts for name in each.splits))

    def _part(self, path: Path) -> int:
        for number, (_, folder) in enumerate(self.parts):
            if path.is_relative_to(folder):
                return number
        raise InputError(f"{path}: is in none of {', '.join(str(f) for _, f in self.parts)}")
