"""The folder of a simulated corpus: its settings, its files, and what may be in it."""

import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import soundfile

from lung_srad.datasets.icbhi_files import SIMULATION_FILE
from lung_srad.datasets.simulated.metadata import annotation_text, side_files
from lung_srad.datasets.simulated.plan import DIFFICULTIES, RecordingPlan
from lung_srad.datasets.simulated.render import render
from lung_srad.datasets.simulated.schedule import plan_corpus
from lung_srad.datasets.simulated.truth import FOLDER, truth_text
from lung_srad.errors import DataError, message
from lung_srad.files import remove_leftovers, replacing

VERSION = 1  # of what a seed stands for: any change of a sample or a label is a new version
NOTE = "SYNTHETIC: simulated lung sounds; nobody was recorded. Never quote scores on them beside scores on patients."
AUDIO = "audio_and_txt_files"


@dataclass(frozen=True, slots=True)
class Settings:
    """What a corpus depends on, and nothing else."""

    size: str
    difficulty: str
    confound: float
    leak: str | None
    seed: int

    def plan(self) -> tuple[RecordingPlan, ...]:
        """Returns every recording of the corpus."""
        return plan_corpus(self.size, self.difficulty, self.confound, self.leak, self.seed)


def read_settings(root: Path) -> Settings | None:
    """Returns the settings of the corpus in a folder; None where it is of another version or cannot be understood.

    Raises:
        OSError: there is none.
    """
    try:
        found: Any = json.loads((root / SIMULATION_FILE).read_text(encoding="utf-8"))
        return Settings(**found["settings"]) if found["version"] == VERSION else None
    except (ValueError, TypeError, KeyError):
        return None


def prepare(root: Path, settings: Settings, plans: Sequence[RecordingPlan]) -> None:
    """Makes the folders and writes everything but the recordings.

    Raises:
        DataError: the folder holds something else.
        OSError: it cannot be written.
    """
    _require_ours(root, settings, {path.name for plan in plans for path in files_of(root, plan)})
    facts = {
        "note": NOTE,
        "version": VERSION,
        "settings": asdict(settings),
        "patients": len({plan.patient.number for plan in plans}),
        "recordings": len(plans),
        "cycles": sum(len(plan.cycles) for plan in plans),
    }
    root.mkdir(parents=True, exist_ok=True)
    # the settings first: by them the folder is known as ours, whenever this is stopped
    texts = {SIMULATION_FILE: json.dumps(facts, indent=2) + "\n", **side_files(plans, settings.seed)}
    for name, text in texts.items():
        with replacing(root / name) as file:
            file.write(text.encode())
    for folder in (root, root / AUDIO, root / FOLDER):
        folder.mkdir(exist_ok=True)
        remove_leftovers(folder)


def _require_ours(root: Path, settings: Settings, names: set[str]) -> None:
    """Returns nothing; refuses a folder that holds anything but this simulation, or nothing yet."""
    if not root.exists():
        return
    if not root.is_dir():
        raise DataError(message(root, "is a file", "allowed: a folder", "choose another path"))
    if not (root / SIMULATION_FILE).exists():
        if others := sorted(path.name for path in root.iterdir() if not path.name.startswith(".")):
            seen = f"holds {len(others)} other file(s), first {others[0]}"
            raise DataError(message(root, seen, "allowed: a new or empty folder", "choose another folder"))
        return
    if (there := read_settings(root)) != settings:
        seen = f"holds a simulation of {_differing(there, settings) if there else 'another version'}"
        allowed = f"allowed: a new folder, or one of {_differing(settings, there)}"
        raise DataError(message(root, seen, allowed, "choose another folder, or remove this one"))
    for path in sorted((root / AUDIO).glob("[!.]*")):
        if path.name not in names:
            remedy = "move it out of the folder, or choose another folder"
            raise DataError(message(path, "is no file of this simulation", "allowed: its recordings", remedy))


def _differing(one: Settings, other: Settings | None) -> str:
    """Returns ``"size small, seed 1"``: the settings of one that are not those of the other, if it has any."""
    if other is None:
        return f"version {VERSION}"
    return ", ".join(f"{name} {value}" for name, value in asdict(one).items() if asdict(other)[name] != value)


def files_of(root: Path, plan: RecordingPlan) -> tuple[Path, Path, Path]:
    """Returns the paths of truth, annotation and audio."""
    folder = root / AUDIO
    return root / FOLDER / f"{plan.name}.json", folder / f"{plan.name}.txt", folder / f"{plan.name}.wav"


def finished(root: Path, plan: RecordingPlan) -> bool:
    """Returns whether a recording, its annotation and its truth are there; each is written in one step."""
    return all(path.exists() for path in files_of(root, plan))


def write_recordings(root: Path, plans: Sequence[RecordingPlan], settings: Settings) -> Iterator[str]:
    """Yields the name of each recording when its three files are there; the audio comes last.

    Raises:
        OSError: a file cannot be written.
    """
    for plan in plans:
        rendered = render(plan, DIFFICULTIES[settings.difficulty])
        # in memory first: a full disk would be lost in libsndfile's callbacks
        sound = io.BytesIO()
        soundfile.write(sound, rendered.wave, rendered.rate, format="WAV", subtype=rendered.subtype)
        truth, annotation, audio = files_of(root, plan)
        for path, content in (
            (truth, truth_text(plan, rendered).encode()),
            (annotation, annotation_text(plan).encode()),
            (audio, sound.getvalue()),
        ):
            with replacing(path) as file:
                file.write(content)
        yield plan.name


def not_writable(root: Path, error: OSError) -> DataError:
    """Returns what is said when the system refuses: a full disk, a folder without permission."""
    where, seen = error.filename or root, error.strerror or str(error)
    remedy = "mend that and give the same command again, finished recordings are kept; or choose another folder"
    return DataError(message(where, seen, "allowed: a folder that can be written, with room", remedy))
