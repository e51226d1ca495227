"""Every block of code of the documentation runs or is parsed; links inside lead somewhere.

Python blocks run page by page, in one namespace a page; commands are parsed with their options. A
tutorial's page is made of a script, which ``test_tutorials.py`` runs.
"""

import importlib
import re
import shlex
from pathlib import Path

import pytest
import torch
from scripts import script_page

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
TUTORIALS = sorted((DOCS / "tutorials").glob("*.py"))
PAGES = sorted(path for path in DOCS.rglob("*.md") if "_build" not in path.parts)
OTHERS = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "benchmarks/README.md")]
BLOCK = re.compile(r"^```python\n(.*?)^```$", flags=re.DOTALL | re.MULTILINE)


def read(page):
    text = page.read_text(encoding="utf-8")
    return script_page(text) if page.suffix == ".py" else text


def blocks(page):
    text = page.read_text(encoding="utf-8")
    for found in BLOCK.finditer(text):
        line = text.count("\n", 0, found.start()) + 1
        # Empty lines before the code, so that a traceback names the line of the page.
        yield "\n" * line + found.group(1)


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, marks=[pytest.mark.slow] if page.name == "export.md" else [])
        for page in PAGES
        if BLOCK.search(page.read_text(encoding="utf-8"))
    ],
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


@pytest.mark.parametrize("page", [*PAGES, *TUTORIALS, *OTHERS], ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page):
    for target in re.findall(r"\]\((?!https?:)([^)#\s]+)", without_code(read(page))):
        assert (page.parent / target).exists(), target


def without_code(text):
    return re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)


ROOMS = {f"asgcn_dgl.{path.parent.name}" for path in (ROOT / "asgcn_dgl").glob("*/__init__.py")}
ROOMS |= {f"asgcn_dgl.{name}" for name in ("data.synthetic", "errors", "metrics", "testing")}
ROOMS -= {"asgcn_dgl.configs"}  # YAML files
IMPORT = re.compile(r"^ *from (asgcn_dgl[\w.]*) import (\([^)]*\)|.*)$", flags=re.MULTILINE)


def test_the_reference_lists_the_public_names():
    text = "".join(read(page) for page in (DOCS / "reference").glob("*.md"))
    assert sorted(re.findall(r"automodule:: (\S+)", text)) == sorted(ROOMS)
    alone = re.findall(r"auto(?!module)\w+:: (\S+)", text)
    assert set(alone) == {
        "asgcn_dgl.load_model",
        "asgcn_dgl.predict_clip",
        "asgcn_dgl.options.RENAMED",
    }
    for name in ROOMS:
        room = importlib.import_module(name)
        assert not [public for public in room.__all__ if public.startswith("_")]


@pytest.mark.parametrize("page", [*PAGES, *TUTORIALS, *OTHERS], ids=lambda page: page.name)
def test_documentation_imports_public_names(page):
    rooms = {name.removeprefix("asgcn_dgl.") for name in ROOMS}
    for module, names in IMPORT.findall(page.read_text(encoding="utf-8")):
        if (module, names) == ("asgcn_dgl.cli", "main"):
            continue  # the command
        assert module in ROOMS | {"asgcn_dgl"}, f"{module} lists no public names"
        public = set(importlib.import_module(module).__all__)
        public |= rooms if module == "asgcn_dgl" else set()
        assert set(re.findall(r"\w+", re.sub(r" as \w+|#.*", "", names))) <= public


FENCE = re.compile(r"^(`{3,}|~{3,})(.*)$", flags=re.MULTILINE)
SHOWN = {"yaml", "text", "json", "csv", ""}  # what is neither code nor a command


@pytest.mark.parametrize("page", [*PAGES, *TUTORIALS, *OTHERS], ids=lambda page: page.name)
def test_no_block_escapes(page):
    """Blocks are written in the one way that the tests find; languages are ones they know."""
    text = read(page)
    fences = FENCE.findall(text)
    assert len(fences) % 2 == 0, "a block is not closed"
    for fence, info in fences[::2]:
        assert fence == "```", f"{fence}{info}: write ```"
        directive = re.fullmatch(r"\{(toctree|eval-rst|include)\}.*", info)
        assert directive or info in SHOWN | {"python", "sh"}, f"no test knows blocks of {info!r}"
    assert not re.search(r"^[ \t>]+(```|~~~)", text, flags=re.MULTILINE), "an indented block"
    for match in re.finditer(r"^```(\S*)\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE):
        if match.group(1) in {"", "text"}:
            first = {line.split()[0] for line in match.group(2).splitlines() if line.strip()}
            assert not first & (TOOLS | {"import", "from", ">>>", "$"}), match.group()
    assert text.count("```python\n") == len(BLOCK.findall(text))
    assert text.count("```sh\n") == len(SHELL.findall(text))


@pytest.mark.parametrize("page", [*PAGES, *TUTORIALS, *OTHERS], ids=lambda page: page.name)
def test_every_line_of_shell_is_known(page):
    """A command is ours, whose options are parsed below, a module of ours, or a known tool."""
    for block in SHELL.findall(read(page)):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if not words:
                continue
            program = words[0].rsplit("/", 1)[-1]
            assert program in TOOLS, f"{line!r}: no test knows {program}"
            if words[1:2] == ["-m"] and words[2].startswith("benchmarks."):
                assert (ROOT / f"{words[2].replace('.', '/')}.py").is_file(), line


TOOLS = {
    *("asgcn-dgl", "torchrun", "srun", "tensorboard", "python", "python3", "pip", "cp", "chromium"),
    *("bash", "pytest", "ruff", "mypy", "lint-imports", "sphinx-build", "jupyter"),
}


def test_every_page_with_python_is_run():
    """README's block has a test of its own; every other page is run here or is a script."""
    elsewhere = [page for page in OTHERS if BLOCK.search(read(page))]
    assert elsewhere == [ROOT / "README.md"]


SHELL = re.compile(r"^```sh\n(.*?)^```$", flags=re.DOTALL | re.MULTILINE)


def commands(page):
    """What follows the command's name in each line of shell that runs it."""
    for block in SHELL.findall(read(page)):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            for name in ("asgcn-dgl", "asgcn_dgl.cli"):
                if name in words:
                    yield words[words.index(name) + 1 :]


@pytest.mark.parametrize("page", [*PAGES, *TUTORIALS, *OTHERS], ids=lambda page: page.name)
def test_commands_parse(page, tmp_path, monkeypatch):
    pytest.importorskip("jsonargparse")
    from asgcn_dgl.cli import build_parser, run_options

    monkeypatch.chdir(tmp_path)
    for options in re.findall(r"^```yaml\n(.*?)^```$", read(page), flags=re.DOTALL | re.MULTILINE):
        Path("mine.yaml").write_text(options, encoding="utf-8")  # as the pages call it
    parser = build_parser()
    for words in commands(page):
        given = parser.parse_args(words, defaults=False)
        options = given[given.command].as_dict()
        if given.command in ("train", "tables", "find-lr") and not options.get("resume"):
            run_options(options, given.command).config()  # the options fit the configuration


def test_commands_are_found():
    found = [words[0] for words in commands(DOCS / "training.md")]
    assert found.count("train") >= 3 and {"find-lr", "evaluate", "fuse"} < set(found)
    launched = [words[0] for words in commands(DOCS / "several_gpus.md")]
    assert launched == ["train"] * 3  # by torchrun and by srun
