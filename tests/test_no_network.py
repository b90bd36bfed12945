"""At run time nothing is fetched: where every use of a socket ends the process, the commands do their work."""

import contextlib
import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

SOURCE = Path(__file__).parents[1] / "src"
BLOCKED = """
import os, sys

LISTENS = os.environ.get("TEST_LISTENS") == "1"  # a service opens a socket of this machine and waits for others

def refuse(event, arguments):
    if not event.startswith(("socket.", "urllib.", "http.client.", "ftplib.", "smtplib.", "poplib.", "imaplib.")):
        return
    if event == "socket.gethostname" or (LISTENS and event == "socket.__new__"):
        return
    if event == "socket.__new__" and arguments[1] == 1:  # AF_UNIX, between a process and its child
        return
    if event == "socket.sendmsg" and arguments[0].family == 1:  # the same, with an open file
        return
    if LISTENS and event == "socket.bind" and arguments[1][0] == "127.0.0.1":
        return
    os.write(2, f"the network was asked for: {event} {arguments}\\n".encode())
    os._exit(9)  # not an exception, which somebody might catch

sys.addaudithook(refuse)
"""
VERBS = """
import json, sys
from pathlib import Path
from lung_srad.cli import app

def run(*arguments):
    print("$", *arguments, flush=True)
    try:
        app(list(map(str, arguments)))
    except SystemExit as end:
        assert not end.code, (arguments, end.code)

here = Path.cwd()
small = ["training.epochs=1", "backbone.frames=32", "backbone.seconds=0.5", "augment.time_mask=10"]
sets = [part for each in small for part in ("--set", each)]
data, seed = "icbhi:corpus", "runs/dass_finetuning-small/seed1"
run("simulate", "corpus", "--size", "tiny", "--workers", "2")
run("check", data)
run("classify", "a.wav", "--out", "heard", "--html")
if sys.argv[1] == "all":
    run("presets", "--long")
    run("train", "dass_finetuning", "--data", data, "--profile", "small", "--weights", "random", "--no-refit", *sets)
    run("evaluate", seed, "--data", data)
    run("report", seed, "--out", "report")
    run("table", "runs")
    run("embed", "a.wav", "--out", "a.npz")
    run("explain", "a.wav", "--out", "a.png", "--no-check")
    run("spectrum", seed, "--data", data, "--out", "spectrum")
    run("export", "demo", "folder")
    run("export", "demo", "demo.onnx", "--check", "2")
    run("doctor")
print("all ran")
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Returns a folder with a recording, and one of what every Python process loads at its start."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(BLOCKED)
    wave = 0.1 * np.random.default_rng(0).standard_normal(9 * 4000)
    soundfile.write(tmp_path / "a.wav", wave, 4000)
    return tmp_path


def setting(place: Path, **more: str) -> dict[str, str]:
    """Returns an environment that blocks sockets in a process and in all that it starts."""
    paths = os.pathsep.join((str(place / "site"), str(SOURCE)))
    return os.environ | {"PYTHONPATH": paths, "LUNG_SRAD_CACHE": str(place / "cache")} | more


def in_a_child(code: str, place: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=900, cwd=place, env=setting(place))


def test_some_commands_run_without_a_network(place: Path) -> None:
    run = in_a_child(VERBS, place, "some")
    assert run.returncode == 0, (run.stdout + run.stderr)[-3000:]
    assert run.stdout.splitlines()[-1] == "all ran"


@pytest.mark.slow
def test_every_command_runs_without_a_network(place: Path) -> None:
    pytest.importorskip("onnx")
    run = in_a_child(VERBS, place, "all")
    assert run.returncode == 0, (run.stdout + run.stderr)[-3000:]
    assert run.stdout.splitlines()[-1] == "all ran"
    assert (place / "demo.onnx").is_file()
    assert (place / "report").exists()


SOCKET = "import socket; socket.socket()"


@contextlib.contextmanager
def served(place: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Yields a service that may listen, and call nobody, and its port."""
    command = [sys.executable, "-m", "lung_srad.cli", "serve", "--port", "0"]
    both = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=place, env=setting(place, TEST_LISTENS="1"), **both) as service:
        try:
            port = int(service.stdout.readline().rpartition(":")[2] or 0)
            while port and service.poll() is None and not _opens(port):
                time.sleep(0.1)
            yield service, port
        finally:
            service.terminate()


def _opens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=10).close()
    except ConnectionRefusedError:  # it has the port, and does not listen yet
        return False
    return True


def test_the_service_listens_and_calls_nobody(place: Path) -> None:
    pytest.importorskip("fastapi")
    with served(place) as (service, port):
        assert port, service.stderr.read()
        for method, path, body in (("POST", "/v1/classify", (place / "a.wav").read_bytes()), ("GET", "/", None)):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
            connection.request(method, path, body, {"Content-Type": "audio/wav"} if body else {})
            answer = connection.getresponse()
            text = answer.read()
            assert answer.status == 200, text
            assert not body or json.loads(text)["segments"]
            connection.close()
        service.terminate()
        said = service.communicate(timeout=60)[1]
    assert service.returncode != 9, said
    assert "the network was asked for" not in said


@pytest.mark.parametrize(
    "code",
    [
        "import socket; socket.create_connection(('127.0.0.1', 9))",
        "import urllib.request; urllib.request.urlopen('http://127.0.0.1:9')",
        "import socket; socket.getaddrinfo('localhost', 80)",
        f"import subprocess, sys; sys.exit(subprocess.run([sys.executable, '-c', {SOCKET!r}]).returncode)",
        "import http.client; http.client.HTTPConnection('127.0.0.1', 9).connect()",
        f"try:\n    {SOCKET}\nexcept BaseException: pass",
    ],
)
def test_a_use_of_the_network_would_be_seen(place: Path, code: str) -> None:
    run = in_a_child(code, place)
    assert run.returncode == 9
    assert "the network was asked for: " in run.stderr


CALLS = ["s.connect(('127.0.0.1', 9))", "s.bind(('0.0.0.0', 0))", "s.sendto(b'', ('127.0.0.1', 9))"]


@pytest.mark.parametrize("code", CALLS)
def test_a_service_that_calls_somebody_would_be_seen(place: Path, code: str) -> None:
    command = [sys.executable, "-c", f"import socket; s = socket.socket(type=socket.SOCK_DGRAM); {code}"]
    run = subprocess.run(command, capture_output=True, text=True, env=setting(place, TEST_LISTENS="1"), timeout=60)
    assert run.returncode == 9
    assert "the network was asked for: " in run.stderr
