"""Where a result comes from, without the name of a host or a user."""

import getpass
import json
import re
import socket
import subprocess
import sys

import pytest

from lung_srad.runs import machine_line, provenance
from lung_srad.runs.provenance import commit


def test_provenance_is_json_and_names_nobody():
    facts = provenance(seed=3)
    text = json.dumps(facts)
    assert facts["seed"] == 3
    assert {"command", "commit", "versions", "machine"} < set(facts)
    assert {"python", "torch", "numpy"} < set(facts["versions"])
    machine = json.dumps(facts["machine"])
    for name in {socket.gethostname(), getpass.getuser()} - {"localhost"}:
        assert not re.search(rf"\b{re.escape(name)}\b", machine)
    assert "threads" in text


def test_the_machine_line_is_one_line():
    line = machine_line()
    assert "\n" not in line
    for word in ("cores", "threads", "torch", "Python", "commit"):
        assert word in line


def test_the_commit_of_a_checkout_around_an_installed_package_is_not_ours(tmp_path, monkeypatch):
    module = sys.modules["lung_srad.runs.provenance"]
    package = tmp_path / "site-packages" / "lung_srad" / "runs"
    package.mkdir(parents=True)
    (package / "provenance.py").touch()
    (tmp_path / "own.txt").touch()

    def git(*words):
        identity = ["-c", "user.name=x", "-c", "user.email=x@y"]
        return subprocess.run(
            ["git", *identity, "-C", str(tmp_path), *words], check=True, capture_output=True, text=True
        )

    try:
        git("init", "-q")
    except OSError:
        pytest.skip("git is not installed")
    git("add", "own.txt")
    git("commit", "-qm", "x")
    monkeypatch.setattr(module, "__file__", str(package / "provenance.py"))
    assert commit() == "not a checkout"
    git("add", "-A")
    git("commit", "-qm", "y")
    head = git("rev-parse", "--short", "HEAD").stdout.strip()
    assert commit() == head
    (package / "provenance.py").write_text("# changed")
    assert commit() == f"{head}+"
