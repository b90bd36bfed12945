"""The forms of an answer: JSON as of ``lung-srad classify``, files for other programs, and what the page draws."""

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from lung_srad.errors import message
from lung_srad.serving.limits import LONGEST_NAME, NAME, RefusedError

if TYPE_CHECKING:
    from lung_srad.inference import Classification, Model
    from lung_srad.inference.sources import Opener

Form = Literal["json", "csv", "audacity", "raven", "html", "page"]
FILES: tuple[Form, ...] = ("json", "csv", "audacity", "raven")  # those that a page offers at once
MEDIA: dict[str, str] = {
    "json": "application/json",
    "csv": "text/csv; charset=utf-8",
    "audacity": "text/plain; charset=utf-8",
    "raven": "text/tab-separated-values; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "page": "application/x-ndjson",
}


class Asked(BaseModel):
    """What a request asks for, in its address; the meaning and the defaults are those of ``lung-srad classify``."""

    model_config = ConfigDict(extra="forbid")

    hop: float = Field(2.0, ge=0.25, le=60, description="seconds from one window to the next, up to its length")
    onset: float = Field(0.5, gt=0, lt=1, description="probability from which on an event begins")
    offset: float = Field(0.3, gt=0, lt=1, description="probability under which it ends; not above onset")
    format: Form = Field("json", description="of the answer; page: lines of JSON with the progress, for the page")
    name: str = Field(
        "recording",
        description="what a raw body is called, in printable characters; a form says it itself",
        json_schema_extra={"minLength": 1, "maxLength": LONGEST_NAME, "pattern": NAME},  # require_name looks
    )


def answer(
    model: "Model", recording: "Opener", asked: Asked, *, longest: float, watch: Callable[[float, float], None]
) -> str:
    """Returns the text of an answer.

    Raises:
        AudioError: the recording cannot be used.
        ConfigError: an event rule that cannot be.
        RefusedError: 413, it lasts longer than ``longest`` seconds.
    """
    from lung_srad.inference import EventRule
    from lung_srad.inference.listening import hear_windows
    from lung_srad.inference.report import recording_page
    from lung_srad.inference.sources import open_sound, require_length

    rule = EventRule(onset=asked.onset, offset=asked.offset)
    with open_sound(recording, None) as sound:
        require_length(sound)
        if sound.seconds > longest:
            seen, allowed = f"{sound.seconds:.0f} s", f"up to {longest:g} s"
            remedy = "split it, or use lung-srad classify on this machine"
            raise RefusedError(413, message(sound.name, seen, allowed, remedy))
        found = hear_windows(model, sound, hop=asked.hop, batch_size=8, watch=watch)
    found = replace(found, rule=rule)
    if asked.format == "html":
        return recording_page(found, recording)
    if asked.format == "page":
        return json.dumps(drawn(found, recording, watch))
    return as_file(found, asked.format)


def as_file(found: "Classification", form: Form) -> str:
    """Returns the text of a file that ``lung-srad classify`` writes of a recording."""
    from lung_srad.inference import as_audacity, as_csv, as_raven

    forms: dict[str, Callable[[Classification], str]] = {
        "json": lambda each: each.to_json_text(),
        "csv": lambda each: as_csv([each]),
        "audacity": as_audacity,
        "raven": as_raven,
    }
    return forms[form](found)


def drawn(found: "Classification", recording: "Opener", watch: Callable[[float, float], None]) -> dict[str, Any]:
    """Returns the answer with what the page draws and offers for download."""
    cells = [[cell.start, cell.end, list(cell.probabilities)] for cell in found.timeline]
    files = {form: as_file(found, form) for form in FILES}
    picture = spectrogram(recording, found.seconds, watch)
    return {"classification": found.to_dict(), "timeline": cells, "spectrogram": picture, "files": files}


def spectrogram(recording: "Opener", seconds: float, watch: Callable[[float, float], None]) -> dict[str, Any]:
    """Returns loudness as bytes, 255 the loudest, from low to high frequencies, each row over time."""
    from lung_srad.analysis.timeline import FLOOR_DB, TOP_HERTZ, Levels
    from lung_srad.inference.listening import mono
    from lung_srad.inference.sources import open_sound

    with open_sound(recording, None) as sound:
        levels = Levels(sound.rate, seconds)
        for block in sound.blocks:
            levels.hear(mono(block))
            watch(seconds, seconds)
    grid = levels.close()  # (frequencies, columns), from -FLOOR_DB to 0
    loud = ((grid / FLOOR_DB + 1) * 255).round().astype("uint8")
    data = base64.b64encode(loud.tobytes()).decode("ascii")
    return {"rows": loud.shape[0], "columns": loud.shape[1], "hertz": TOP_HERTZ, "data": data}
