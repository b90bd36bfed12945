"""Many machines: the same answers in parts, restartable; Ray itself where it is installed."""

import hashlib
import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from lung_srad.cli import app
from lung_srad.cli.recordings import _worker
from lung_srad.errors import DataError, MissingExtraError, RunError
from lung_srad.inference import Model, cluster, find_recordings
from lung_srad.inference.bulk import Options, OutFolder, classify_all, plan, settings_of
from lung_srad.inference.cluster import Store, classify_on_cluster, parts_of, plan_anywhere
from lung_srad.inference.tables import tables_of_folder

TABLES = ("table.csv", "patients.csv", "windows.csv", "events.csv", "index.html")


@pytest.fixture
def ward(tmp_path: Path) -> Path:
    folder, draw = tmp_path / "ward", np.random.default_rng(0)
    folder.mkdir()
    for number in range(5):
        soundfile.write(folder / f"10{number}_1b1_Al_sc_Meditron.wav", 0.1 * draw.standard_normal(9 * 4000), 4000)
    (folder / "broken.wav").write_bytes(b"RIFF")
    return folder


@pytest.fixture
def build(model: Model) -> Callable:
    return partial(_worker, "unused", Options(), Path(), {}, model)


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Takes the place of Ray: parts are answered in this process; returns their numbers as they are."""
    done = []

    def answer(work, parts, address, workers):
        worker = work()
        for part in reversed(parts):
            done.append(part.number)
            yield json.loads(worker({"part": json.dumps(cluster.asdict(part))})["line"])

    monkeypatch.setattr(cluster, "_on_ray", answer)
    return done


def single(model: Model, ward: Path, out: Path, build: Callable) -> None:
    tasks, folder = plan([ward], find_recordings), OutFolder(out, settings_of(model, Options()))
    worker = partial(_worker, "unused", Options(), out, {}, model)()
    list(classify_all(partial(map, worker), tasks, folder))
    tables_of_folder(folder, tasks, model.class_names)


@pytest.mark.parametrize("url", [False, True])
def test_the_tables_are_those_of_one_machine(model: Model, ward: Path, tmp_path: Path, build, here, url: bool) -> None:
    single(model, ward, tmp_path / "one", build)
    place = f"file://{tmp_path}/many" if url else str(tmp_path / "many")
    rows = classify_on_cluster(build, plan_anywhere([str(ward)]), place, settings_of(model, Options()), size=2)
    assert [row["status"] for row in rows].count("failed") == 1
    for name in TABLES:
        assert (tmp_path / "many" / name).read_bytes() == (tmp_path / "one" / name).read_bytes(), name
    manifest = json.loads((tmp_path / "many" / "manifest.json").read_text())
    assert (manifest["schema"], manifest["version"]) == ("lung_srad.parts", 1)
    assert [(part["part"], part["files"], part["failed"]) for part in manifest["parts"]] == [
        (0, 2, 0),
        (1, 2, 0),
        (2, 2, 1),
    ]
    for part in manifest["parts"]:
        content = (tmp_path / "many" / part["name"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == part["sha256"]
        first, *rest = [json.loads(line) for line in content.splitlines()]
        assert first["part"] == part["part"]
        assert all(each["answer"]["schema"] == "lung_srad.classification" for each in rest if each["answer"])


def test_only_missing_parts_are_answered_again(model: Model, ward: Path, tmp_path: Path, build, here) -> None:
    place, tasks, settings = tmp_path / "many", plan_anywhere([str(ward)]), settings_of(model, Options())
    classify_on_cluster(build, tasks, str(place), settings, size=2)
    before = {path.name: path.read_bytes() for path in place.rglob("*") if path.is_file()}
    assert here == [2, 1, 0]
    (place / "parts" / "part-00001.jsonl").unlink()
    (place / "manifest.json").unlink()
    classify_on_cluster(build, tasks, str(place), settings, size=2)
    assert here == [2, 1, 0, 1]
    assert {path.name: path.read_bytes() for path in place.rglob("*") if path.is_file()} == before
    classify_on_cluster(build, tasks[:5], str(place), settings, size=2)
    assert here == [2, 1, 0, 1, 2]  # the last part holds other files now
    with pytest.raises(RunError, match="begun with another model or other options"):
        classify_on_cluster(build, tasks, str(place), settings_of(model, Options(hop=4.0)), size=2)


def test_recordings_in_an_object_store(model: Model, ward: Path, tmp_path: Path, build, here) -> None:
    tasks = plan_anywhere([f"file://{ward}"])
    assert len(tasks) == 6
    assert tasks[0].path == f"file://{ward}/100_1b1_Al_sc_Meditron.wav"
    rows = classify_on_cluster(build, tasks, str(tmp_path / "many"), settings_of(model, Options()))
    assert [row["patient"] for row in rows] == ["100", "101", "102", "103", "104", ""]
    assert rows[-1]["error"].startswith(f"file://{ward}/broken.wav: ")
    (ward / "broken.wav").unlink()
    again = classify_on_cluster(build, tasks, str(tmp_path / "again"), settings_of(model, Options()))
    assert "cannot be read (No such file" in again[-1]["error"]
    with pytest.raises(DataError, match="no recording there"):
        plan_anywhere([f"file://{tmp_path}/empty"])
    with pytest.raises((DataError, MissingExtraError)):
        plan_anywhere(["nonsense://bucket/x"])


def test_marks_tell_parts_apart(ward: Path) -> None:
    tasks = plan_anywhere([str(ward)])
    marks = {part.mark for size in (2, 3) for hop in (2, 4) for part in parts_of(tasks, size, {"hop": hop})}
    assert len(marks) == 2 * (3 + 2)


def test_a_store_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    store = Store(str(tmp_path / "file"))
    with pytest.raises(RunError, match="cannot be written"):
        store.write("x/y", b"")
    assert Store(str(tmp_path)).read("absent") is None


def test_without_ray_the_extra_is_named(run: Path, ward: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    words = ["classify", str(ward), "--model", str(run), "--out", str(tmp_path / "out"), "--cluster", "local"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 1
    assert "pip install 'lung-srad[cluster]'" in result.stderr
    assert CliRunner().invoke(app, [*words, "--html"]).exit_code == 2


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # those of Ray
def test_two_actors_of_ray(run: Path, model: Model, ward: Path, tmp_path: Path, build) -> None:
    pytest.importorskip("ray.data")
    single(model, ward, tmp_path / "one", build)
    places = tmp_path / "many", tmp_path / "again"
    settings, tasks = settings_of(model, Options()), plan_anywhere([str(ward)])
    loading = partial(_worker, str(run), Options(), Path(), {})
    for place in places:
        classify_on_cluster(loading, tasks, str(place), settings, workers=2, size=2)
        (place / "parts" / "part-00000.jsonl").unlink()
        classify_on_cluster(loading, tasks, str(place), settings, workers=2, size=2)
        for name in TABLES:
            assert (place / name).read_bytes() == (tmp_path / "one" / name).read_bytes(), name
