"""A run's folder: what it says of itself, and that only one process works in it."""

import errno
import io
import json
import os
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from lung_srad.errors import BusyError, RunError
from lung_srad.runs import RunFolder
from lung_srad.runs import folder as module


@pytest.fixture
def run(tmp_path):
    return RunFolder(tmp_path / "lung_srad" / "seed1")


def test_a_run_says_how_far_it_is(run, model):
    assert (run.started, run.finished) == (False, False)
    with pytest.raises(RunError, match=r"seed1: no run here \(no config.toml\)"):
        run.result()
    run.path.mkdir(parents=True)
    facts = dict.fromkeys(("seed", "data", "class_names", "normal", "start", "processes"), 1)
    run.write_config(model.preset, facts)
    assert (run.started, run.finished) == (True, False)
    assert run.config() == model.preset
    assert run.facts() == facts
    with pytest.raises(RunError, match=r"the run is not finished; .*--resume"):
        run.result()
    result = dict.fromkeys(("rules", "selected_epoch", "headline", "train_cycles"), 1.5)
    module.write_json(run.path / "result.json", result)
    assert run.finished
    assert run.result() == result
    module.write_json(run.path / "result.json", {"rules": []})
    with pytest.raises(RunError, match=r"result.json: lacks headline, selected_epoch, train_cycles; .*train again"):
        run.result()


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe"])
def test_a_damaged_file_is_one_message(run, model, content):
    run.path.mkdir(parents=True)
    run.write_config(model.preset, {})
    (run.path / "provenance.json").write_bytes(content)
    with pytest.raises(RunError, match=r"provenance.json: cannot be read \(.*; a JSON file that train wrote"):
        run.facts()


# --- the lock


def owner(**change):
    return json.dumps({"host": socket.gethostname(), "pid": os.getpid(), "token": "x"} | change)


def dead_process():
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    return done.pid


def plant(run, content, age=0.0):
    run.path.mkdir(parents=True, exist_ok=True)
    lock = run.path / "lock"
    lock.write_text(content)
    os.utime(lock, (time.time() - age,) * 2)
    return lock


def test_a_lock_is_held_and_given_back(run):
    with run.lock():
        assert json.loads((run.path / "lock").read_text())["pid"] == os.getpid()
        with pytest.raises(
            BusyError, match=r"seed1: another process works on this run; one at a time; wait, or remove"
        ):
            run.lock().__enter__()
        assert (run.path / "lock").exists()
    assert not (run.path / "lock").exists()
    with run.lock():
        pass


def test_a_lock_is_given_back_after_an_error(run):
    with pytest.raises(ZeroDivisionError), run.lock():
        raise ZeroDivisionError
    assert not (run.path / "lock").exists()


def test_a_full_disk_leaves_no_lock_that_says_nothing(run, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", lambda path, *_, **__: Full(path, "w"))
        with pytest.raises(RunError, match=r"cannot be written \(No space left on device\); .*make room"):
            run.lock().__enter__()
    assert not (run.path / "lock").exists()
    with run.lock():
        pass


def test_a_file_in_the_place_of_a_folder_needs_another_place_and_no_room(run):
    run.path.parent.mkdir(parents=True, exist_ok=True)
    run.path.write_text("a note")
    with pytest.raises(RunError, match="cannot be written") as refused, run.lock():
        pass
    assert "choose another --out" in str(refused.value)
    assert "make room" not in str(refused.value)


class Full(io.FileIO):
    """A file on a full disk: it can be made."""

    def write(self, text):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_another_process_is_refused_and_the_lock_of_a_dead_one_is_taken_over(run):
    code = f"""
import sys
from pathlib import Path
from lung_srad.runs import RunFolder
with RunFolder(Path({str(run.path)!r})).lock():
    print("held", flush=True)
    sys.stdin.read()
"""
    holder = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(BusyError):
            run.lock().__enter__()
        holder.kill()
        holder.wait()
    assert (run.path / "lock").exists()
    with run.lock():
        assert json.loads((run.path / "lock").read_text())["pid"] == os.getpid()


@pytest.mark.parametrize(
    ("content", "age", "void"),
    [
        (owner(), 0, False),
        (owner(pid=1), 0, False),  # lives, and is somebody else's or ours
        (owner(host="elsewhere"), 0, False),
        (owner(host="elsewhere"), module.STALE + 60, True),
        (owner(), module.STALE + 60, True),  # its number is now another's: a holder shows life
        ("", 0, False),  # being written
        ("", 60, True),
        ("{", 60, True),
        ("[1]", 60, True),
        ('{"host": "x"}', 60, True),
        ('{"host": "x", "pid": "y"}', 60, True),
    ],
)
def test_which_locks_are_void(run, content, age, void):
    plant(run, content, age)
    if void:
        with run.lock():
            pass
    else:
        with pytest.raises(BusyError):
            run.lock().__enter__()
        assert (run.path / "lock").read_text() == content


def test_the_lock_of_a_dead_process_elsewhere_is_not_void_by_its_number(run):
    plant(run, owner(host="elsewhere", pid=dead_process()))
    with pytest.raises(BusyError):
        run.lock().__enter__()


def test_a_sign_of_life_renews_the_lock(run):
    with run.lock() as alive:
        os.utime(run.path / "lock", (0, 0))
        alive()
        assert time.time() - (run.path / "lock").stat().st_mtime < 60


def test_whoever_was_silent_and_was_replaced_hears_of_it_and_leaves_the_lock(run):
    with run.lock() as alive:
        lock = plant(run, owner(token="another"))
        with pytest.raises(BusyError, match="another process has taken this run over"):
            alive()
    assert lock.read_text() == owner(token="another")
    lock.unlink()
    with run.lock() as alive:
        lock.unlink()
        with pytest.raises(BusyError, match="taken this run over"):
            alive()


def test_of_many_that_find_a_void_lock_one_goes_on(run):
    """Several may take it over at once; by their first sign of life all but one know that they have lost it."""
    dead, went_on = owner(pid=dead_process()), []
    for _ in range(20):
        lock, holders, start = plant(run, dead), [], threading.Barrier(4)

        def take(holders=holders, start=start):
            start.wait()
            held = run.lock()
            with suppress(BusyError):
                holders.append((held, held.__enter__()))

        threads = [threading.Thread(target=take) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        alive = 0
        for _, show_life in holders:
            with suppress(BusyError):
                show_life()
                alive += 1
        went_on.append(alive)
        lock.unlink(missing_ok=True)
    assert max(went_on) == 1
    assert sum(went_on) >= 15


def test_what_a_killed_writer_left_is_removed_with_the_lock(run):
    run.path.mkdir(parents=True)
    left, other = run.path / ".result.json.1234.tmp", run.path / "notes.tmp"
    left.touch()
    other.touch()
    with run.lock():
        assert not left.exists()
        assert other.exists()
