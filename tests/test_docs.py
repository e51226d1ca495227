"""Every Python block of the documentation runs, page by page, in one namespace a page."""

import re
import shlex
from pathlib import Path

import pytest
import torch

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGES = sorted(path for path in DOCS.rglob("*.md") if "_build" not in path.parts)
BLOCK = re.compile(r"^```python\n(.*?)^```$", flags=re.DOTALL | re.MULTILINE)


def blocks(page):
    text = page.read_text(encoding="utf-8")
    for found in BLOCK.finditer(text):
        line = text.count("\n", 0, found.start()) + 1
        # Empty lines before the code, so that a traceback names the line of the page.
        yield "\n" * line + found.group(1)


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if BLOCK.search(page.read_text(encoding="utf-8"))],
    ids=lambda page: page.relative_to(DOCS).as_posix(),
)
def test_blocks_run(page, monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("asgcn_dgl.skeleton.layouts._REGISTRY", _registry())
    torch.manual_seed(0)
    namespace = {"__name__": "docs"}
    for code in blocks(page):
        exec(compile(code, str(page), "exec"), namespace)


def _registry():
    """A copy, so that layouts that a page registers are gone afterwards."""
    from asgcn_dgl.skeleton import layouts

    return dict(layouts._REGISTRY)


def test_links_between_pages_lead_somewhere():
    for page in PAGES:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


SHELL = re.compile(r"^```sh\n(.*?)^```$", flags=re.DOTALL | re.MULTILINE)


def commands(page):
    """What follows the command's name in each line of shell that runs it."""
    for block in SHELL.findall(page.read_text(encoding="utf-8")):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            for name in ("asgcn-dgl", "asgcn_dgl.cli"):
                if name in words:
                    yield words[words.index(name) + 1 :]


@pytest.mark.parametrize("page", [*PAGES, DOCS.parent / "README.md"], ids=lambda page: page.stem)
def test_commands_parse(page):
    pytest.importorskip("jsonargparse")
    from asgcn_dgl.cli import build_parser, train_config

    parser = build_parser()
    for words in commands(page):
        given = parser.parse_args(words, defaults=False)
        options = given[given.command].as_dict()
        if given.command in ("train", "tables", "find-lr") and not options.get("resume"):
            train_config(options, given.command)  # the options fit the configuration


def test_commands_are_found():
    found = [words[0] for words in commands(DOCS / "training.md")]
    assert found.count("train") >= 4 and {"find-lr", "evaluate", "fuse"} < set(found)
