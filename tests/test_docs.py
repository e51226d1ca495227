"""Every Python block of the documentation runs, page by page, in one namespace a page."""

import re
import runpy
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


FENCE = re.compile(r"^( *)(`{3,})(\S*)[^\n]*\n(.*?)^\1\2$", flags=re.DOTALL | re.MULTILINE)
# What becomes of a block: python runs (above), sh is parsed (below), yaml is the layout file of
# data/own.md, which tests/test_own_data_page.py follows to the letter; directives are Sphinx's;
# no language: a tree of files or a format, not code.
KINDS = {"python", "sh", "yaml", "", "{toctree}", "{eval-rst}", "{literalinclude}", "{include}",
         "{results}"}  # fmt: skip
# Programs of other makers, which are named but not ours to try.
OTHERS = {"cp", "chromium", "tensorboard", "pip", "python3", "pytest", "ruff", "mypy",
          "lint-imports", "sphinx-build"}  # fmt: skip
EVERY = [*PAGES, *(DOCS.parent / name for name in ("README.md", "CONTRIBUTING.md")),
         DOCS.parent / "benchmarks" / "README.md"]  # fmt: skip


@pytest.mark.parametrize("page", EVERY, ids=lambda page: page.relative_to(DOCS.parent).as_posix())
def test_no_block_escapes(page):
    text = page.read_text(encoding="utf-8")
    found = [(kind, body) for _, _, kind, body in FENCE.findall(text)]
    assert 2 * len(found) == len(re.findall(r"^ *```", text, flags=re.MULTILINE))
    for kind, body in found:
        assert kind in KINDS, f"{page.name}: a block of {kind!r} that no test runs"
        if not kind:  # else it looks like code that was not marked
            assert not re.search(r"^(import |from \w+ import|asgcn-dgl )", body, re.MULTILINE)
    assert len(BLOCK.findall(text)) == sum(kind == "python" for kind, _ in found)
    assert len(SHELL.findall(text)) == sum(kind == "sh" for kind, _ in found)
    if any(kind == "yaml" for kind, _ in found):
        assert page == DOCS / "data" / "own.md"


def lines(page):
    """Commands of the page's shell blocks, as words, without what sets the environment."""
    for block in SHELL.findall(page.read_text(encoding="utf-8")):
        for line in block.replace("\\\n", " ").splitlines():
            for part in re.split(r"&&", line):
                words = shlex.split(part, comments=True)
                while words and re.fullmatch(r"\w+=\S*", words[0]):
                    words = words[1:]
                if words:
                    yield words


class Parsed(Exception):  # noqa: N818
    """The options of a script were understood."""


@pytest.fixture
def understood(monkeypatch):
    """Have scripts stop once their options are parsed."""

    def parse(self, arguments=None, namespace=None):
        _, unknown = self.parse_known_args(arguments, namespace)
        assert not unknown, unknown
        raise Parsed

    monkeypatch.setattr("argparse.ArgumentParser.parse_args", parse)
    monkeypatch.syspath_prepend(str(DOCS / "tutorials"))

    def check(path, arguments):
        main = runpy.run_path(str(path))["main"]
        monkeypatch.setattr("sys.argv", [str(path), *arguments])
        with pytest.raises(Parsed):
            main()

    return check


@pytest.mark.parametrize("page", EVERY, ids=lambda page: page.relative_to(DOCS.parent).as_posix())
def test_every_command_is_known(page, understood):
    for words in lines(page):
        program, *arguments = words
        program = program.removeprefix(".venv/bin/")
        if "asgcn-dgl" in program or "asgcn_dgl.cli" in arguments or "asgcn-dgl" in arguments:
            continue  # parsed above, behind torchrun and srun too
        if program == "python" and arguments[0] == "-m" and arguments[1].startswith("benchmarks."):
            place = DOCS.parent.joinpath(*arguments[1].split(".")).with_suffix(".py")
            assert place.is_file(), words
        elif program == "python" and arguments[0].startswith("docs/tutorials/"):
            understood(DOCS.parent / arguments[0], arguments[1:])
        elif program == "python" and arguments[0] == "-c":
            compile(arguments[1], str(page), "exec")
        elif program == "python" and arguments == ["-m", "pytest"]:
            pass  # CI runs it, see tests/test_readme.py
        elif program == "bash":
            assert (DOCS.parent / arguments[0]).is_file()
        else:
            assert program in OTHERS, f"{page.name}: {shlex.join(words)}: no test knows this"


ROOMS = sorted(
    path.stem
    for path in (DOCS.parent / "asgcn_dgl").iterdir()
    if (path / "__init__.py").is_file() or (path.suffix == ".py" and path.name[0] != "_")
)


@pytest.mark.parametrize("room", sorted({*ROOMS} - {"cli", "configs", "files"}))
def test_every_room_is_in_the_reference(room):
    """The command explains itself, the configurations are in the page of training."""
    page = DOCS / "reference" / f"{room}.md"
    assert f"asgcn_dgl.{room}" in page.read_text(encoding="utf-8")
