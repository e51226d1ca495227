"""The command ``asgcn-dgl``: from recordings to trained models, and to pictures of what they do.

Each subcommand is a function of :mod:`asgcn_dgl.commands`, whose signature is its command line.
Nothing heavy is imported before a command runs, so that ``--help`` answers at once.
"""

from __future__ import annotations

import errno
import inspect
import os
import re
import shlex
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from keyword import iskeyword
from typing import Any, Literal, get_args

from asgcn_dgl import __version__
from asgcn_dgl.commands import COMMANDS, RUN_OPTIONS, run_options
from asgcn_dgl.errors import InputError, did_you_mean
from asgcn_dgl.files import in_short
from asgcn_dgl.options import RENAMED
from asgcn_dgl.training import DivergenceError
from asgcn_dgl.training.config import OF_THE_DATA, SECTIONS, RunConfig, packaged_configs
from asgcn_dgl.training.sources import Sources

try:
    from jsonargparse import (
        ActionYesNo,
        ArgumentError,
        ArgumentParser,
        Namespace,
        set_parsing_settings,
    )
except ImportError as error:
    raise ImportError(
        "the command needs the extra 'train': pip install 'asgcn_dgl[train]'"
    ) from error

__all__ = ["build_parser", "main", "run_options"]

USAGE_ERROR, FAILURE, INTERRUPTED, TERMINATED = 2, 1, 130, 143
_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG)
_NO_MEMORY = ("can't allocate memory", "out of memory")  # in what torch says
#: How a command that was interrupted continues.
_WAY_ON = {
    "train": "; 'asgcn-dgl train --resume --out {out}' continues the training",
    **dict.fromkeys(("prepare", "demo", "tables"), "; the same command continues where it stopped"),
}
#: Options that have moved, for whoever gives them by their former names.
_MOVED = {**RENAMED, "early-stop": "trainer.early_stop", "allocator": "trainer.reuse_memory"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status.

    What the user can mend (an option, a file, a folder) gives one line on standard error and
    status 2; a training that diverged gives one line and status 1; Ctrl-C gives 130, SIGTERM 143.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a terminal may lack letters that a name or a table has
            stream.reconfigure(errors="backslashreplace")
    way_on = ""
    try:
        options = _parsed(sys.argv[1:] if arguments is None else arguments)
        command = options.command
        # Only what was given: the functions hold the defaults.
        given = options[command].as_dict()
        way_on = _WAY_ON.get(command, "").format(out=shlex.quote(given.get("out", "RUN_DIR")))
        if "run" in inspect.signature(COMMANDS[command]).parameters:
            own = {k: v for k, v in given.items() if k not in (*RUN_OPTIONS, "config")}
            given = {**own, "run": run_options(given, command)}
        # A parameter cannot have the name of a keyword of Python: --from is from_.
        with _terminable():
            COMMANDS[command](**{f"{k}_" if iskeyword(k) else k: v for k, v in given.items()})
        return 0
    except (ArgumentError, InputError) as error:
        text = _plain(str(error))
        moved = [f"; --{old} is now --{new}" for old, new in _MOVED.items() if f"--{old}" in text]
        return _fail("".join([text, *moved]), USAGE_ERROR)
    except BrokenPipeError:  # the reader of our output has closed it, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILURE
    except OSError as error:
        if error.filename is None and error.errno not in _DISK_ERRORS:
            raise  # neither about a file nor about the disk: a fault of ours
        place = "the output folder" if error.filename is None else os.fsdecode(error.filename)
        return _fail(f"{place}: {error.strerror}", USAGE_ERROR)
    except DivergenceError as error:
        return _fail(str(error), FAILURE)
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and not any(t in str(error) for t in _NO_MEMORY):
            raise
        return _fail("there is not enough memory; use smaller sizes or fewer workers", USAGE_ERROR)
    except KeyboardInterrupt:
        return _fail(f"interrupted{way_on}", INTERRUPTED)
    except _Terminated:
        return _fail(f"terminated{way_on}", TERMINATED)


def _parsed(words: Sequence[str]) -> Namespace:
    # Options before the command take no value: the first name of a command is the command.
    name = next((word for word in words if word in COMMANDS), "")
    try:
        return build_parser(name).parse_args(words, defaults=False)
    except ArgumentError as error:
        _, _, unknown = str(error).partition("unrecognized arguments: --")
        if not unknown:
            raise
        option = re.split(r"[ =]", unknown)[0]
        usage = _command_parser(COMMANDS[name]).format_usage() if name else ""
        close = did_you_mean(option, re.findall(r"--([\w.-]+)", usage))
        raise InputError(f"unknown option --{option}{close}") from error
    except Exception as error:  # YAML lets through what odd letters and deep brackets lead to
        text = f"an option cannot be read ({in_short(error)}); check what is given"
        raise InputError(text) from error


class _Terminated(BaseException):
    """The process was asked to end."""


@contextmanager
def _terminable() -> Iterator[None]:
    """Clean up on SIGTERM as on Ctrl-C, unless somebody else answers it."""

    def end(*_: object) -> None:
        raise _Terminated

    ours = threading.current_thread() is threading.main_thread()
    ours = ours and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    if ours:
        signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        if ours:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _fail(text: str, status: int) -> int:
    print(f"asgcn-dgl: error: {' '.join(text.split())}", file=sys.stderr)
    return status


def _plain(text: str) -> str:
    """Say in words what jsonargparse says of a value of another type."""
    found = re.match(r'Parser key "([^"]+)":', text)
    kinds = re.search(r"(?s)Subtypes: \[(.*?)\]\s+Errors|Expected an? (.*?)\. Got value", text)
    if not (found and kinds):
        return text
    value = text.rpartition("alue: ")[2].strip()
    wanted = kinds[2] or kinds[1].replace(", ", " or ")
    wanted = re.sub(r"<class '(\w+)'>", r"\1", wanted).replace("NoneType", "null")
    wanted = re.sub(r"typing\.Literal\[(.*?)\]", r"one of \1", wanted)
    return f"--{found[1]} must be {wanted}, got {value[:60]}"


def build_parser(only: str | None = None) -> ArgumentParser:
    """Make the parser of all commands from their signatures.

    ``only`` is the one command whose parameters are needed, which is faster; ``""`` for none.
    """
    parser = ArgumentParser(
        prog="asgcn-dgl",
        description="Actional-structural graph convolutions: recognize what a skeleton does, and "
        "predict its next poses.",
        version=__version__,
        allow_abbrev=False,
        exit_on_error=False,
    )
    commands = parser.add_subcommands(required=True, dest="command")
    for name, function in COMMANDS.items():
        sub = _command_parser(function, only in (None, name))
        commands.add_subcommand(name, sub, help=str(sub.description).splitlines()[0])
    return parser


def _command_parser(function: Callable[..., None], whole: bool = True) -> ArgumentParser:
    text = inspect.getdoc(function) or ""
    parser = ArgumentParser(description=text, allow_abbrev=False, exit_on_error=False)
    if whole:
        _add_parameters(parser, function)
    return parser


def _add_parameters(parser: ArgumentParser, function: Callable[..., None]) -> None:
    """Add what a function takes: positional arguments, options, and the options of a run."""
    # get_type_hints would make an annotation whose default is None another one on Python 3.10
    for name, parameter in inspect.signature(function, eval_str=True).parameters.items():
        if parameter.annotation is Sources:
            _add_run_options(parser)
            continue
        kind, text = get_args(parameter.annotation)
        required = parameter.default is parameter.empty
        options: dict[str, Any] = {"help": text}
        if kind is bool:
            options["action"] = ActionYesNo(no_prefix="no-") if parameter.default else "store_true"
        elif list[str] in (kind, *get_args(kind)):
            options |= {"type": str, "nargs": "+"}
        else:
            options["type"] = kind
        if not required:
            options["default"] = parameter.default
        if parameter.kind is parameter.KEYWORD_ONLY:
            options["required"] = required
            name = f"--{name.strip('_').replace('_', '-')}"
        elif not required:
            options["nargs"] = "?"
        parser.add_argument(name, **options)


def _add_run_options(parser: ArgumentParser) -> None:
    """Add the options of a run as they are declared, section by section."""
    set_parsing_settings(docstring_parse_attribute_docstrings=True)
    parser.add_argument(
        "--config",
        type=str,
        help="Configuration: one of the package's "
        f"({', '.join(packaged_configs())}) instead of that of the data set, or a YAML file that "
        "changes parts of that of the data set.",
    )
    parser.add_class_arguments(RunConfig, as_group=False, skip=set(SECTIONS))
    parser.add_argument(
        "--model.preset",
        type=Literal["paper", "small", "light"],
        help="Sizes to start from: nine blocks of 64 to 256 channels, six of 32 to 128, or six of "
        "32 to 64 with shared weights.",
    )
    for name, section in SECTIONS.items():
        parser.add_class_arguments(section, name, skip=set(OF_THE_DATA))


if __name__ == "__main__":
    sys.exit(main())
