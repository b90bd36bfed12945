"""The command line: help, exit codes, one line per error, and the verbs' own output."""

import io
import json
import os
import shlex
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

import lung_srad
from lung_srad.cli import VERBS, app, machine, screen
from lung_srad.errors import DataError
from lung_srad.evaluation import Table, measured, score_predictions

RUN = CliRunner()


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself_with_an_example(verb: str) -> None:
    result = RUN.invoke(app, [verb, "--help"])
    assert result.exit_code == 0
    assert f"Example: lung-srad {verb}" in result.stdout


@pytest.mark.parametrize("arguments", [["chek"], ["check"], ["doctor", "--jason"]])
def test_wrong_usage_exits_with_2(arguments: list[str]) -> None:
    assert RUN.invoke(app, arguments).exit_code == 2


def test_the_version_is_that_of_the_package() -> None:
    assert RUN.invoke(app, ["--version"]).stdout.strip() == lung_srad.__version__


def test_an_error_of_ours_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise DataError("a.csv, line 2: 'x'; a number; mend it")

    monkeypatch.setattr(machine, "facts", fail)
    result = RUN.invoke(app, ["doctor"])
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "error: a.csv, line 2: 'x'; a number; mend it\n"


def test_an_error_that_is_not_ours_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "facts", lambda: 1 / 0)
    assert isinstance(RUN.invoke(app, ["doctor"]).exception, ZeroDivisionError)


def test_a_stop_by_the_keyboard(monkeypatch: pytest.MonkeyPatch) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(machine, "facts", stop)
    result = RUN.invoke(app, ["doctor"])
    assert (result.exit_code, result.stderr) == (130, "stopped\n")


def test_a_real_interrupt_leaves_with_130() -> None:
    code = """
import signal, time
from lung_srad.cli import machine, main
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell starts its background jobs deaf to it
machine.facts = lambda: print("ready", flush=True) or time.sleep(30)
main()
"""
    command = [sys.executable, "-c", code, "doctor"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
        assert run.stdout.readline() == "ready\n"
        run.send_signal(signal.SIGINT)
        _, error = run.communicate(timeout=20)
    assert (run.returncode, error) == (130, "stopped\n")


# --- doctor


def test_doctor_as_json() -> None:
    result = RUN.invoke(app, ["doctor", "--json"])
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    assert set(found["packages"]) == set(machine.PACKAGES)
    assert found["packages"]["torch"].startswith("2.")
    assert "plain torch" in found["kernels"]["torch"]
    assert sorted([*found["kernels"], *found["not_running"]]) == ["cpu", "torch", "triton"]
    assert found["threads"]["torch"] >= 1
    assert found["threads"]["OMP_NUM_THREADS"] == os.environ.get("OMP_NUM_THREADS")
    assert found["python"] == sys.version.split()[0]


@pytest.mark.parametrize(
    ("native", "line"), [(True, "by oneDNN"), (False, "not by oneDNN on this CPU: no faster than float32")]
)
def test_doctor_says_whether_the_cpu_multiplies_in_bfloat16(
    native: bool, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lung_srad.kernels.linear.multiplies_bfloat16", lambda: native)
    assert f"bf16 products     {line}" in RUN.invoke(app, ["doctor"]).stdout.splitlines()
    assert json.loads(RUN.invoke(app, ["doctor", "--json"]).stdout)["bf16_products"] is native


def test_doctor_names_every_package_once() -> None:
    output = RUN.invoke(app, ["doctor"]).stdout.splitlines()
    assert [line.split()[0] for line in output[2 : 2 + len(machine.PACKAGES)]] == list(machine.PACKAGES)


def test_doctor_says_how_to_install_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    there = machine.installed
    monkeypatch.setattr(machine, "installed", lambda name: None if name == "soxr" else there(name))
    output = RUN.invoke(app, ["doctor"]).stdout
    assert "soxr              not installed" in output
    assert "missing           extra audio: pip install 'lung-srad[audio]'" in output


def test_doctor_knows_the_extras_of_the_project() -> None:
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    of_developers = ("dev", "browser", "fuzz")
    every = project["optional-dependencies"].items()
    extras = {name: packages for name, packages in every if name not in of_developers}
    named = {extra: tuple(name.partition(">")[0] for name in packages) for extra, packages in extras.items()}
    assert named == machine.EXTRAS


def test_doctor_names_the_instruction_set_of_the_compiled_scan() -> None:
    compiled = pytest.importorskip("lung_srad_kernels")
    scan = next(line for line in RUN.invoke(app, ["doctor"]).stdout.splitlines() if line.startswith("scan "))
    assert f" cpu: compiled for {compiled.ISA}, " in scan
    assert scan.index("cpu:") < scan.index("torch:")  # the preferred one comes first


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        ("API = 99", "lung-srad-kernels answers calls of version 99, version 1 is needed"),
        ("raise ImportError('_kernels.so: undefined symbol: x')", "_kernels.so: undefined symbol: x"),
    ],
)
def test_doctor_explains_a_compiled_scan_that_does_not_run(tmp_path: Path, module: str, reason: str) -> None:
    (tmp_path / "lung_srad_kernels.py").write_text(module, encoding="utf-8")
    code = "import sys; from lung_srad.cli import main; sys.argv = ['lung-srad', 'doctor']; main()"
    environment = os.environ | {"PYTHONPATH": str(tmp_path), "CUDA_VISIBLE_DEVICES": "", "TRITON_INTERPRET": "0"}
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    lines = dict(line.split(maxsplit=1) for line in run.stdout.splitlines())
    assert lines["scan"].startswith("torch: plain torch")
    assert f"not running       cpu: {reason}" in run.stdout
    assert "faster scan       cpu: pip install --force-reinstall --no-deps" in run.stdout


def test_the_faster_scan_comes_from_the_clone_or_an_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clone = Path(__file__).parents[1] / "kernels_cpp"
    command = "pip install --force-reinstall --no-deps"
    expected = {"cpu": f"{command} {shlex.quote(str(clone))}  # needs a C++ compiler"}
    assert machine.faster(("cpu", "triton"), cuda=False) == expected
    monkeypatch.setattr(machine, "__file__", str(tmp_path / "lung_srad" / "cli" / "machine.py"))
    expected = {"cpu": f"{command} lung-srad-kernels", "triton": "pip install triton"}
    assert machine.faster(("cpu", "triton"), cuda=True) == expected
    assert machine.faster((), cuda=True) == {}


# --- check


def test_check_on_the_annotations_alone(shared: Path) -> None:
    data = shared / "data"
    split_file = str(data / "icbhi_subset" / "official_split.txt")
    result = RUN.invoke(app, ["check", str(data / "icbhi_annotations"), "--split-file", split_file])
    assert result.exit_code == 0, result.output
    for number in ("920", "126", "6,898", "3,642", "1,864", "886", "506", "4,142", "2,756"):
        assert number in result.stdout
    assert "patient 156" in result.stdout
    assert "patient 218" in result.stdout


def test_check_leaves_with_1_and_names_the_file_of_a_defect(tmp_path: Path) -> None:
    table = tmp_path / "mine.csv"
    table.write_text("path,start,end,label,patient,split\nabsent.wav,0,1,normal,p1,train\n", encoding="utf-8")
    result = RUN.invoke(app, ["check", f"table:{table}"])
    assert result.exit_code == 1
    assert "absent.wav" in result.output


def test_check_of_a_place_that_is_not_there(tmp_path: Path) -> None:
    result = RUN.invoke(app, ["check", str(tmp_path / "absent")])
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1


# --- tables on the terminal

TABLE = Table(
    (measured("tiny [bold]", [score_predictions([0, 1], [0, 1], num_classes=2)], rule="last epoch", cycles=1270),),
    title="Systems",
    notes=("A note.",),
)


def test_a_terminal_gets_a_drawn_table(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = io.StringIO()
    monkeypatch.setattr(screen, "Console", lambda: Console(file=terminal, force_terminal=True, width=150))
    screen.show(TABLE)
    drawn = terminal.getvalue()
    for text in ("Systems", "tiny [bold]", "1,270", "100.00", "A note."):
        assert text in drawn
    assert "|" not in drawn


def test_a_pipe_gets_markdown(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = io.StringIO()
    monkeypatch.setattr(screen, "Console", lambda: Console(file=pipe))
    screen.show(TABLE)
    assert pipe.getvalue() == TABLE.markdown()


def test_the_progress_bar_is_silent_where_nobody_looks(capsys: pytest.CaptureFixture[str]) -> None:
    with screen.progress("decoding") as moved:
        moved(1, 2)
    assert capsys.readouterr() == ("", "")
