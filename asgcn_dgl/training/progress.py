"""Progress bars where somebody watches, and Lightning kept quiet about what is intended."""

from __future__ import annotations

import logging
import sys
import threading
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from tqdm.auto import tqdm

from asgcn_dgl.training.config import RunConfig

_Item = TypeVar("_Item")


def progress_wanted(config: RunConfig) -> bool:
    """Tell whether to show progress bars."""
    if config.trainer.progress == "auto":  # training's bar is written to standard output
        return sys.stdout.isatty() and sys.stderr.isatty()
    return config.trainer.progress == "on"


def track(items: Iterable[_Item], label: str, config: RunConfig) -> Iterable[_Item]:
    """Return the items, with a progress bar if one is wanted."""
    return tqdm(items, desc=label, leave=False, disable=not progress_wanted(config))


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Keep Lightning from advising against what was chosen on purpose, and from greeting."""
    logger = logging.getLogger("pytorch_lightning")
    level = logger.level
    with warnings.catch_warnings():
        # clips.workers is the user's choice: clips are small, and 0 is often the fastest.
        warnings.filterwarnings("ignore", message=".*does not have many workers.*")
        # A frozen inference module is in evaluation mode on purpose: its links carry no noise.
        warnings.filterwarnings("ignore", message=".*in eval mode at the start of training.*")
        # The range test of learning rates does not validate.
        warnings.filterwarnings("ignore", message=".*have no `val_dataloader`.*")
        # Lightning 2.6 asks torch 2.13 in a way that torch is about to drop.
        warnings.filterwarnings("ignore", message=".*LeafSpec.*is deprecated.*")
        logger.setLevel(logging.WARNING)
        hook, threading.excepthook = threading.excepthook, _quiet_thread
        try:
            yield
        finally:
            logger.setLevel(level)
            threading.excepthook = hook


def _quiet_thread(given: threading.ExceptHookArgs) -> None:
    """Print no traceback of TensorBoard's thread on a full disk: its writer raises the error."""
    if not issubclass(given.exc_type, OSError):
        threading.__excepthook__(given)
