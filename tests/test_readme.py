"""The README's code runs, its commands are the ones that CI runs, its links lead somewhere."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from strategies import needs_dgl

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CI = (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", README, flags=re.DOTALL | re.MULTILINE)


@needs_dgl
def test_example_runs_as_printed():
    (example,) = blocks("python")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", example],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "torch.Size([3, 5])"


@needs_dgl
def test_example_runs_under_autocast():
    (example,) = blocks("python")
    lines = [
        f"    {line}" if line.startswith("logits =") else line for line in example.splitlines()
    ]
    place = next(n for n, line in enumerate(lines) if line.startswith("    logits ="))
    lines.insert(place, "with torch.autocast('cpu', torch.bfloat16):")
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "torch.Size([3, 5])"


def test_set_up_takes_two_commands():
    setup = [block.strip() for block in blocks("sh") if "pip install" in block]
    assert len(setup) == 2
    for command in setup:
        assert "\n" not in command
        assert "-c constraints.txt" in command
    assert setup[0].endswith("asgcn-dgl demo")
    assert setup[1].endswith("pytest")


def test_ci_runs_the_readmes_test_command():
    (command,) = [block.strip() for block in blocks("sh") if "pytest" in block]
    taken = re.search(r"readme_test_command=\$\((grep .*) README\.md\)", CI)
    assert taken, "CI must take the command from the README"
    found = subprocess.run(
        ["bash", "-c", f"{taken.group(1)} README.md"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    assert found.stdout.strip() == command


def test_commands_exist():
    pytest.importorskip("jsonargparse")
    from asgcn_dgl.cli import build_parser

    help_text = build_parser().format_help()
    used = set(re.findall(r"asgcn-dgl (\w+)", README))
    assert used >= {"demo", "train", "evaluate", "predict"}
    for command in used:
        assert command in help_text


def test_links_lead_to_files():
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", README):
        assert (ROOT / target).exists(), target


def test_ci_script_is_valid_bash():
    subprocess.run(["bash", "-n", str(ROOT / ".ci" / "run")], check=True)
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
