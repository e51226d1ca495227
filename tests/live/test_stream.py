"""Poses come in as lines of JSON, and answers go out, whatever the writer and the reader do."""

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest
from live.conftest import NAMES, walk

from asgcn_dgl.cli import main
from asgcn_dgl.errors import InputError
from asgcn_dgl.live import Recognizer
from asgcn_dgl.live import stream as streams
from asgcn_dgl.live.engines import TorchEngine
from asgcn_dgl.live.stream import follow, live, parse_line
from asgcn_dgl.training.checkpoint import write_model


def line(frame, **others):
    return json.dumps({"keypoints": np.round(frame, 5).tolist(), **others}) + "\n"


@pytest.fixture
def model(restored, tmp_path):
    held = restored()
    return str(write_model(tmp_path / "model.ckpt", held.model, NAMES, held.config))


def command(*arguments):
    return [sys.executable, "-m", "asgcn_dgl.cli", "live", *arguments]


@pytest.fixture
def start():
    """Start the command with pipes, which are closed in the end."""
    started = []

    def begin(*arguments):
        pipes = {name: subprocess.PIPE for name in ("stdin", "stdout", "stderr")}
        process = subprocess.Popen(command(*arguments), text=True, **pipes)
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            with contextlib.suppress(BrokenPipeError):
                pipe.close()


def test_a_pipe_answers_through_all_that_a_writer_does(model, start):
    """Slow, garbled, two people who cross, a pause of seconds, and an end within a line."""
    process = start(model, "--window=20", "--every=2", "--future")
    answers, poses = [], walk(24, people=2)
    poses[:, 0, :, 0] += 0.4 * np.arange(24)[:, None]
    poses[:, 1, :, 0] -= 0.4 * np.arange(24)[:, None]

    def say(text):
        process.stdin.write(text)
        process.stdin.flush()

    for number, frame in enumerate(poses):
        text = line(frame, time=number / 30 + (4 if number >= 12 else 0))
        if number in (4, 6):  # in two pieces
            say(text[:40])
            time.sleep(0.2)
            text = text[40:]
        say(text)
        if number == 8:
            say('{"keypoints": [[1, 2\nnot json\n{"keypoints": [[1, 2, 3]]}\n\n')
            say("\x00\ufffd\n[]]\n")
        if number == 11:
            time.sleep(2)
        if number % 2:  # an answer comes before the next frame is written
            answers.append(json.loads(process.stdout.readline()))
    say('{"keypoints": [[0.5, 1')
    process.stdin.close()
    rest, complaints = process.stdout.read(), process.stderr.read().splitlines()
    assert process.wait(60) == 0 and rest == ""
    assert [each["frame"] for each in answers] == list(range(1, 24, 2))
    assert all(each["class"] in NAMES and len(each["top"]) == 3 for each in answers)
    assert all(sorted(each["people"]) == [0, 1] for each in answers)
    assert np.array(answers[-1]["future"]).shape == (2, 4, 25, 3)
    assert len(complaints) == 6 and all("line " in each for each in complaints)


def test_a_writer_that_is_killed_and_a_reader_that_goes_away(model, start, tmp_path):
    writer = (
        "import os, sys\n"
        "for text in open(sys.argv[1]): sys.stdout.write(text); sys.stdout.flush()\n"
        "sys.stdout.write('{\"keypoi'); sys.stdout.flush()\n"
        "os.kill(os.getpid(), 9)\n"
    )
    (tmp_path / "poses.jsonl").write_text("".join(map(line, walk(6))))
    sent = subprocess.Popen(
        [sys.executable, "-c", writer, str(tmp_path / "poses.jsonl")], stdout=subprocess.PIPE
    )
    done = subprocess.run(command(model), stdin=sent.stdout, capture_output=True, text=True)
    sent.stdout.close()
    sent.wait()
    assert done.returncode == 0 and len(done.stdout.splitlines()) == 6
    assert done.stderr.count("\n") == 1 and "line 7" in done.stderr
    process = start(model)
    process.stdout.close()
    with pytest.raises(BrokenPipeError):
        for frame in np.tile(walk(1), (5000, 1, 1, 1)):
            process.stdin.write(line(frame))
            process.stdin.flush()
    assert process.wait(60) == 0 and process.stderr.read() == ""


def test_ctrl_c_ends_it_without_a_word(model, start):
    process = start(model)
    process.stdin.write(line(walk(1)[0]))
    process.stdin.flush()
    assert json.loads(process.stdout.readline())["frame"] == 0
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 0
    assert process.stdout.read() == process.stderr.read() == ""


def test_a_file_that_grows(tmp_path, monkeypatch):
    path, pieces, clock = tmp_path / "poses.jsonl", ["o\n", "three\nfo", "ur"], [0.0]
    path.write_text("one\ntw")

    def sleep(seconds):
        """Write a piece each second; the clock is the test's own, and no machine is too slow."""
        clock[0] += seconds
        if clock[0] % 1 == 0 and pieces:
            with path.open("a") as file:
                file.write(pieces.pop(0))

    monkeypatch.setattr(streams, "time", SimpleNamespace(sleep=sleep, monotonic=lambda: clock[0]))
    found = list(follow(path, wait=True, idle=2.0, pause=0.25))
    assert clock == [5.0]
    assert found == [b"one\n", b"two\n", b"three\n", b"four"]
    assert list(follow(path)) == found
    with pytest.raises(InputError, match=r"none\.jsonl"):
        next(follow(tmp_path / "none.jsonl"))


def test_the_command_reads_a_file(model, tmp_path, capsys):
    path = tmp_path / "poses.jsonl"
    path.write_text("".join(line(frame, time=k / 10) for k, frame in enumerate(walk(9))))
    assert main(["live", model, str(path), "--every=3", "--rate=10", "--top=1"]) == 0
    answers = [json.loads(each) for each in capsys.readouterr().out.splitlines()]
    assert [each["frame"] for each in answers] == [2, 5, 8]
    assert [len(each["top"]) for each in answers] == [1, 1, 1]
    assert answers[0]["time"] == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--window=0"], "--window"),
        (["--smooth=2"], "--smooth"),
        (["--top=0"], "--top"),
        (["--layout=none"], "--layout"),
    ],
)
def test_mistakes_are_one_line(model, tmp_path, capsys, arguments, text):
    (tmp_path / "poses.jsonl").write_text("")
    assert main(["live", model, str(tmp_path / "poses.jsonl"), *arguments]) == 2
    error = capsys.readouterr().err
    assert text in error and error.count("\n") == 1


def test_a_line_that_is_too_long_is_left_out_once(restored, monkeypatch, tmp_path):
    monkeypatch.setattr(streams, "LONGEST_LINE", 4000)
    path, said, out = tmp_path / "poses.jsonl", [], io.StringIO()
    path.write_text("[" * 9000 + "\n" + line(walk(1)[0]))
    recognizer = Recognizer(TorchEngine(restored()))
    assert live(recognizer, path, out=out, complain=said.append) == 1
    assert len(said) == 1 and len(out.getvalue().splitlines()) == 1


def test_frames_of_all_forms():
    one = parse_line("[[1, 2], [3, null]]")
    assert one.keypoints.shape == (2, 2) and np.isnan(one.keypoints[1, 1])
    held = {"id": "x", "keypoints": [[1, 2]], "scores": [0.5]}
    frame = parse_line(json.dumps({"people": [held, {**held, "id": "y"}], "time": 2}))
    assert frame.keypoints.shape == (2, 1, 2) and frame.ids == ["x", "y"] and frame.time == 2.0
    assert frame.scores.shape == (2, 1)
    assert parse_line('{"people": []}').keypoints is None
    mark = {"x": 0.1, "y": 0.2, "z": 0.3, "visibility": 0.9, "presence": 1.0}
    frame = parse_line(json.dumps({"pose_landmarks": [[mark] * 33], "timestamp_ms": 40}), 2)
    assert frame.keypoints.shape == (1, 33, 2) and frame.time == 0.04
    assert frame.scores.tolist() == [[0.9] * 33]
    frame = parse_line(json.dumps({"pose_world_landmarks": [mark] * 33}), 3)
    assert frame.keypoints.shape == (1, 33, 3)
    assert parse_line('{"pose_landmarks": []}').keypoints is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "3",
        "{}",
        "{",
        '{"keypoints": [[1, "a"]]}',
        '{"keypoints": [[1], [1, 2]]}',
        '{"keypoints": [[1]], "time": "now"}',
        '{"keypoints": [[1]], "time": true}',
        '{"keypoints": [[1]], "ids": 3}',
        '{"keypoints": [[1]], "ids": [[]]}',
        '{"people": 3}',
        '{"people": [{}]}',
        '{"people": [{"keypoints": [[1]], "id": 1}, {"keypoints": [[1]]}]}',
        '{"pose_landmarks": [[3]]}',
        '{"pose_landmarks": [[{"x": 1}]]}',
        "[" * 100000,
        "\ud800",
    ],
)
def test_what_is_no_frame_is_refused(text):
    with pytest.raises(InputError):
        parse_line(text)


def test_standard_input_is_read_as_it_comes(restored, monkeypatch):
    read, write = os.pipe()
    with os.fdopen(write, "w") as file:
        file.write("".join(map(line, walk(3))))
    out = io.StringIO()
    with os.fdopen(read) as source:
        monkeypatch.setattr(sys, "stdin", source)
        assert live(Recognizer(TorchEngine(restored())), out=out) == 0
    assert [json.loads(each)["frame"] for each in out.getvalue().splitlines()] == [0, 1, 2]


def test_a_file_that_is_written_again_is_read_from_its_start(tmp_path, monkeypatch):
    path, clock = tmp_path / "poses.jsonl", [0.0]
    path.write_text("first\nsecond\n")

    def sleep(seconds):
        clock[0] += seconds
        if clock[0] == 1.0:
            path.write_text("anew\n")

    monkeypatch.setattr(streams, "time", SimpleNamespace(sleep=sleep, monotonic=lambda: clock[0]))
    found = list(follow(path, wait=True, idle=3.0, pause=1.0))
    assert found == [b"first\n", b"second\n", b"anew\n"]


def test_an_answer_holds_poses_and_a_bad_line_is_told_on_standard_error(restored, tmp_path, capsys):
    path = tmp_path / "poses.jsonl"
    path.write_text("none\n" + line(walk(1)[0]))
    assert live(Recognizer(TorchEngine(restored()), future=True), path) == 1
    said = capsys.readouterr()
    assert said.err.startswith("asgcn-dgl: line 1: not JSON") and said.err.count("\n") == 1
    assert np.shape(json.loads(said.out)["future"]) == (1, 4, 25, 3)
