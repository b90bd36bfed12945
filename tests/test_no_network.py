"""At run time nothing is fetched: where every use of a socket is an error, the model that ships still answers."""

import subprocess
import sys
from pathlib import Path

import pytest

BLOCKED = """
import sys

def refuse(event, arguments):
    if event.startswith(("socket.", "urllib.", "http.client.", "ftplib.", "smtplib.")):
        raise SystemExit(f"the network was asked for: {event} {arguments}")

sys.addaudithook(refuse)
"""
CLASSIFY = """
import numpy as np
import lung_srad as ls

model = ls.load("demo")
wave = 0.1 * np.random.default_rng(0).standard_normal(9 * 4000)
found = model.classify(wave, rate=4000)
assert len(found.segments) >= 1
print("answered", len(found.segments))
"""


def in_a_child(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", BLOCKED + code]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=folder)


def test_the_model_that_ships_answers_without_a_network(tmp_path: Path) -> None:
    run = in_a_child(CLASSIFY, tmp_path)
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith("answered")


@pytest.mark.parametrize(
    "code",
    [
        "import socket; socket.create_connection(('127.0.0.1', 9))",
        "import urllib.request; urllib.request.urlopen('http://127.0.0.1:9')",
        "import socket; socket.getaddrinfo('localhost', 80)",
    ],
)
def test_a_use_of_the_network_would_be_seen(tmp_path: Path, code: str) -> None:
    run = in_a_child(code, tmp_path)
    assert run.returncode == 1
    assert "the network was asked for: " in run.stderr
