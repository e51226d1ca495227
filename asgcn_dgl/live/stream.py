"""Poses as lines of JSON in, answers as lines of JSON out."""

from __future__ import annotations

import json
import math
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TextIO

import numpy as np

from asgcn_dgl.errors import InputError
from asgcn_dgl.files import in_short, unreadable
from asgcn_dgl.live.recognizer import Answer, Recognizer

LONGEST_LINE = 2**24  # bytes; a longer one is no frame
WAIT = 0.05  # seconds between two looks at a file that grows


class Frame(NamedTuple):
    """One line: what :meth:`Recognizer.update` takes."""

    keypoints: Any
    scores: Any = None
    time: float | None = None
    ids: list[Any] | None = None


def parse_line(line: str | bytes, coordinates: int | None = None) -> Frame:
    """Read a frame.

    A line holds one of

    - ``{"keypoints": [[x, y], ...], "scores": [...], "time": 0.04}``: one person, or with one more
      level of lists several, with ``"ids"`` where they are known;
    - ``{"people": [{"keypoints": ..., "scores": ..., "id": ...}, ...], "time": ...}``;
    - ``{"pose_landmarks": [[{"x": ..., "y": ..., "z": ..., "visibility": ...}, ...], ...],
      "timestamp_ms": ...}``, what MediaPipe gives, or its ``pose_world_landmarks``;
    - the keypoints alone.

    Parameters
    ----------
    line
        The line.
    coordinates
        Coordinates of a landmark that are taken, 2 or 3; None for all.

    Raises
    ------
    InputError
        If it is something else.
    """
    try:
        held = json.loads(line)
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise InputError(f"not JSON ({in_short(error)})") from error
    if isinstance(held, list):
        held = {"keypoints": held}
    if not isinstance(held, dict):
        raise InputError("no frame: neither an object nor a list")
    when = _time(held)
    if "people" in held:
        held = _people(held["people"])
    for name in ("pose_world_landmarks", "pose_landmarks"):
        if name in held:
            held = _landmarks(held[name], coordinates)
    if "keypoints" not in held:
        raise InputError("no frame: has none of keypoints, people, pose_landmarks")
    ids = held.get("ids")
    named = isinstance(ids, list) and all(isinstance(each, int | str) for each in ids)
    if ids is not None and not named:
        raise InputError("ids must be a list of numbers or words")
    return Frame(_numbers(held["keypoints"]), _numbers(held.get("scores")), when, ids)


def _time(held: Mapping[str, Any]) -> float | None:
    found, scale = held.get("time"), 1.0
    if found is None and held.get("timestamp_ms") is not None:
        found, scale = held["timestamp_ms"], 1000.0
    if found is None:
        return None
    if isinstance(found, bool) or not isinstance(found, int | float) or not math.isfinite(found):
        raise InputError("time must be a number of seconds")
    return float(found) / scale


def _people(people: Any) -> dict[str, Any]:
    if not isinstance(people, list) or not all(isinstance(each, dict) for each in people):
        raise InputError("people must be a list of objects")
    if any("keypoints" not in each for each in people):
        raise InputError("each of people must have keypoints")
    found: dict[str, Any] = {"keypoints": [each["keypoints"] for each in people] or None}
    for name in ("scores", "id"):
        given = [each[name] for each in people if name in each]
        if 0 < len(given) < len(people):
            raise InputError(f"all people must have {name}, or none")
        found["ids" if name == "id" else name] = given or None
    return found if people else {**found, "ids": []}


def _landmarks(people: Any, coordinates: int | None) -> dict[str, Any]:
    """Read MediaPipe's landmarks, of one person or of a list of them."""
    if isinstance(people, list) and people and isinstance(people[0], dict):
        people = [people]
    names = ("x", "y", "z")[:coordinates]
    try:
        places = [[[joint[name] for name in names] for joint in body] for body in people or ()]
        scores = [[joint.get("visibility", 1.0) for joint in body] for body in people or ()]
    except (AttributeError, KeyError, TypeError) as error:
        raise InputError("landmarks must be objects with x, y, z and visibility") from error
    return {"keypoints": places or None, "scores": scores or None}


def _numbers(values: Any) -> np.ndarray | None:
    """Return nested lists as an array; null is NaN."""
    if values is None:
        return None
    try:
        return np.array(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError("keypoints and scores must be numbers in lists of equal length") from error


def say(answer: Answer, class_names: Iterable[str], top: int) -> str:
    """Return an answer as a line of JSON."""
    names = list(class_names)
    order = np.argsort(-answer.probabilities, kind="stable")[:top]
    held: dict[str, Any] = {
        "frame": answer.frame,
        "time": answer.time,
        "class": answer.label,
        "top": [[names[index], round(float(answer.probabilities[index]), 6)] for index in order],
        "people": list(answer.people),
    }
    if answer.future is not None:
        held["future"] = np.round(answer.future.astype(np.float64), 6).tolist()
    return json.dumps(held)


def follow(
    path: str | Path, *, wait: bool = False, idle: float | None = None, pause: float = WAIT
) -> Iterator[bytes]:
    """Yield the lines of a file, and those that are written to it meanwhile.

    Parameters
    ----------
    path
        The file.
    wait
        Wait for more at its end.
    idle
        Seconds without anything new after which waiting ends; None: it does not.
    pause
        Seconds between two looks.

    Raises
    ------
    InputError
        If the file cannot be read.
    """
    try:
        file = open(path, "rb")  # noqa: SIM115
    except OSError as error:
        raise unreadable(path, error) from error
    with file:
        begun, since = b"", time.monotonic()
        while True:
            piece = file.readline(LONGEST_LINE)
            if piece:
                since = time.monotonic()
                begun += piece
                if begun.endswith(b"\n") or len(begun) >= LONGEST_LINE:
                    yield begun
                    begun = b""
                continue
            if not wait or (idle is not None and time.monotonic() - since >= idle):
                if begun:
                    yield begun
                return
            if os.fstat(file.fileno()).st_size < file.tell():  # cut short: written again
                file.seek(0)
                begun = b""
            time.sleep(pause)


def live(
    recognizer: Recognizer,
    source: str | Path = "-",
    *,
    out: TextIO | None = None,
    complain: Callable[[str], None] | None = None,
    top: int = 3,
    wait: bool = False,
    idle: float | None = None,
) -> int:
    """Answer the frames of a stream until it ends; return how many lines were no frames.

    Parameters
    ----------
    recognizer
        Answers.
    source
        A file, or ``-`` for standard input.
    out
        Where answers go, a line each, at once; None: standard output.
    complain
        Called with a line for each bad one; None: it goes to standard error.
    top
        Classes of an answer.
    wait, idle
        See :func:`follow`.
    """
    if str(source) == "-":
        lines = iter(lambda: sys.stdin.buffer.readline(LONGEST_LINE), b"")
    else:
        lines = follow(source, wait=wait, idle=idle)
    facts, bad, cut = recognizer.engine.facts, 0, False
    coordinates = facts.coordinates - bool(facts.scored)
    for number, line in enumerate(lines, start=1):
        rest, cut = cut, len(line) >= LONGEST_LINE and not line.endswith(b"\n")
        if rest or not line.strip():  # the end of a line that was too long, or nothing
            continue
        try:
            if cut:
                raise InputError(f"longer than {LONGEST_LINE >> 20} MiB")
            answer = recognizer.update(*parse_line(line, coordinates))
        except InputError as error:
            bad += 1
            text = f"line {number}: {' '.join(str(error).split())}; it is left out"
            if complain is None:
                print(f"asgcn-dgl: {text}", file=sys.stderr, flush=True)
            else:
                complain(text)
            continue
        if answer is not None:
            print(say(answer, recognizer.class_names, top), file=out or sys.stdout, flush=True)
    return bad


def run(
    model: str | Path,
    source: str = "-",
    *,
    top: int = 3,
    follow: bool = False,
    idle: float | None = None,
    **options: Any,
) -> None:
    """Run the command ``live``: Ctrl-C and a reader that goes away end it without a message.

    ``options`` are those of :meth:`Recognizer.load`, the others those of :func:`live`.
    """
    if top < 1:
        raise InputError(f"--top must be at least 1, got {top}")
    try:
        try:
            recognizer = Recognizer.load(model, **options)
        except InputError:
            raise
        except ValueError as error:
            raise InputError(f"--{error}") from error
        live(recognizer, source, top=top, wait=follow, idle=idle)
    except KeyboardInterrupt:
        return
    except BrokenPipeError:  # what is still held for the reader goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
