"""The fuzzing: a few hundred mutants for each reader, and that the harness notices a crash, a hang and a memory hog."""

import os
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from fuzz import main, page, replay, row, rows_of
from fuzzing.children import FAULTS, Fate, Limits, fates, mutant, warm_up
from fuzzing.mutators import BYTES, CHUNKS, HEADER, MOST, TEXT
from fuzzing.seeds import SEEDS, Seeds
from fuzzing.targets import TARGETS, BrokenPromiseError, Target, require_refusal
from lung_srad.errors import DataError

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are confined as Linux does")
KEPT = sorted((Path(__file__).parents[2] / "benchmarks" / "fuzzing" / "kept").iterdir())
FEW = {"wav": 200, "annotations": 400, "toml": 60, "safetensors": 60, "multipart": 300}
BUSY, IDLE = Limits(seconds=0.3), Limits(waiting=1.0)


@pytest.fixture(scope="module")
def seeds() -> dict[str, Seeds]:
    return {name: make() for name, make in SEEDS.items()}


@pytest.mark.parametrize("name", TARGETS)
def test_a_few_hundred_mutants_break_nothing(seeds: dict[str, Seeds], name: str) -> None:
    target = TARGETS[name]
    warm_up(target, seeds[name])
    found = list(fates(name, target, seeds[name], 2, range(FEW[name])))
    assert [fate.number for fate in found] == list(range(FEW[name]))
    assert [fate for fate in found if fate.outcome in FAULTS] == []
    assert all(0 < fate.peak < 2**30 for fate in found)
    assert (
        sum(fate.outcome == "accepted" for fate in found) >= len(found) / 50
    )  # all refused at once would find nothing


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.name)
def test_what_once_failed_does_not_fail_again(path: Path) -> None:
    fate = replay(str(path))
    assert fate.outcome in ("accepted", "refused"), fate.text


def test_shares_make_a_whole() -> None:
    assert sum(target.share for target in TARGETS.values()) == pytest.approx(1)
    assert TARGETS.keys() == SEEDS.keys()


@pytest.mark.parametrize("name", SEEDS)
def test_seeds_are_the_same_every_time(seeds: dict[str, Seeds], name: str) -> None:
    assert SEEDS[name]() == seeds[name]


def test_a_number_is_a_mutant(seeds: dict[str, Seeds]) -> None:
    target = TARGETS["wav"]
    some = [mutant("wav", target, seeds["wav"], 1, number) for number in range(50)]
    assert some == [mutant("wav", target, seeds["wav"], 1, number) for number in range(50)]
    assert len(set(some)) > 45
    assert mutant("wav", target, seeds["wav"], 2, 0) != some[0]


@pytest.mark.parametrize("mutators", [BYTES, CHUNKS, TEXT, HEADER])
def test_nothing_at_all_can_be_mutated_and_nothing_grows_for_ever(mutators: tuple) -> None:
    target = Target(mutators, lambda path: None, 1.0)
    for content in (b"", b"\0", b"x" * 9, b"\xff" * 300):
        sizes = [len(mutant("t", target, {"a.b": content}, 1, number)[1]) for number in range(200)]
        assert max(sizes) <= MOST


# --- the harness can fail


def crash(path: Path) -> None:
    raise IndexError("from a mutant")


def bad_message(path: Path) -> None:
    require_refusal("it does not work", "it")


def abort(path: Path) -> None:
    os.abort()


def leave(path: Path) -> None:
    os._exit(3)


def spin(path: Path) -> None:
    while True:
        pass


def wait(path: Path) -> None:
    time.sleep(60)


def hog(path: Path) -> None:
    held = bytearray(2**30)
    held[:: 2**12] = b"x" * len(held[:: 2**12])


def hidden_hog(path: Path) -> None:
    """Takes what it cannot get for an unreadable file, as a broad except would."""
    from fuzzing.targets import refused

    def read() -> None:
        try:
            hog(path)
        except MemoryError as error:
            raise DataError("a file: it cannot be read; a whole file; copy it again") from error

    refused(read)


@pytest.mark.parametrize(
    ("take", "outcome", "words"),
    [
        (crash, "crash", "IndexError: from a mutant (test_fuzz.py:"),
        (bad_message, "crash", "BrokenPromiseError"),
        (abort, "crash", "the process ended: SIGABRT"),
        (leave, "crash", "the process ended: exit code 3"),
        (spin, "hang", "more than 0.3 s of the processor"),
        (wait, "hang", "waits for more than 1 s"),
        (hog, "memory", "MemoryError"),
        (hidden_hog, "memory", "a file: it cannot be read"),
    ],
)
def test_a_fault_is_noticed_and_the_next_mutant_still_runs(take, outcome: str, words: str) -> None:
    def at_some(path: Path) -> bool:
        if path.read_bytes()[:1] == b"!":
            take(path)
        return True

    target = Target((lambda draw, content, others: draw.choice(("!", ".", ".")).encode(),), at_some, 1.0)
    numbers = range(6)
    bad = [number for number in numbers if mutant("t", target, {"a.b": b""}, 1, number)[1] == b"!"]
    assert 0 < len(bad) < 6
    found = list(fates("t", target, {"a.b": b""}, 1, numbers, IDLE if take is wait else BUSY))
    assert [fate.number for fate in found] == list(numbers)
    assert [fate.number for fate in found if fate.outcome == outcome] == bad
    assert all(words in fate.text for fate in found if fate.number in bad)
    assert all(fate.outcome == "accepted" for fate in found if fate.number not in bad)


@pytest.mark.parametrize(
    "text",
    [
        "no place",
        "a.wav: seen; allowed",
        "a.wav: seen\n; allowed; remedy",
        "b.wav: seen; allowed; remedy",
        "a.wav: ;" * 999,
    ],
)
def test_a_refusal_has_to_be_one(text: str) -> None:
    with pytest.raises(BrokenPromiseError):
        require_refusal(text, "a.wav")


def test_a_seed_that_is_refused_is_noticed() -> None:
    with pytest.raises(BrokenPromiseError, match=r"the seed a\.txt is refused"):
        warm_up(TARGETS["annotations"], {"a.txt": b""})


def test_a_campaign_saves_what_fails_and_shows_it_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    broken = replace(TARGETS["annotations"], take=lambda path: crash(path) if b"9" in path.read_bytes() else True)
    monkeypatch.setitem(TARGETS, "annotations", broken)
    monkeypatch.setitem(SEEDS, "annotations", lambda: {"a.txt": b"1234"})
    monkeypatch.setattr(sys, "argv", ["fuzz.py", "--only", "annotations", "--mutants", "1500", "--out", "page.md"])
    with pytest.raises(SystemExit, match=r"error: [0-9]+ mutants have a fault"):
        main()
    saved = sorted((tmp_path / "fuzz-failures").iterdir())
    assert saved
    assert all(b"9" in path.read_bytes() for path in saved)
    assert "saved as fuzz-failures/annotations-1-" in capsys.readouterr().out
    assert "Not reached." in (tmp_path / "page.md").read_text()
    name, seed, number = saved[0].stem.split("-")
    for which in (str(saved[0]), f"{name}:{seed}:{number}"):
        assert replay(which).outcome == "crash"
    monkeypatch.setattr(sys, "argv", ["fuzz.py", "--replay", str(saved[0])])
    with pytest.raises(SystemExit, match="crash: IndexError: from a mutant"):
        main()


def test_the_page_says_what_was_found_and_is_read_again() -> None:
    quiet = [Fate(number, "refused", 0.01, 2**29) for number in range(49_999)]
    good = row([*quiet, Fate(1, "accepted", 1.25, 2**29 + 2**20)], 1, 3.21)
    bad = row([*quiet, Fate(1, "hang", 2.0)], 1, 3.21)
    assert good[:-1] == ["50,000", "1", "49,999", "0", "0", "0", "1.25", "513", "3.2", "1"]
    assert bad[:6] == ["50,000", "0", "49,999", "0", "1", "0"]
    text = page({"wav": good})
    assert "Seen: 50,000 mutants, 0 with a fault. Reached." in text
    assert "Seen: 49,999 mutants, 0 with a fault. Not reached." in page({"wav": row(quiet, 1, 3.21)})
    assert "Seen: 100,000 mutants, 1 with a fault. Not reached." in page({"wav": good, "toml": bad})
    assert rows_of(page({"wav": good, "toml": bad})) == {"wav": good, "toml": bad}
    assert rows_of("") == {}


def test_make_knows_it() -> None:
    text = (Path(__file__).parents[2] / "Makefile").read_text(encoding="utf-8")
    assert "slow-fuzz: install" in text
    assert "benchmarks/fuzz.py" in text
