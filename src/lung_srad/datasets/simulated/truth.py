"""The truth about a simulated recording: a JSON beside the corpus with every event that was put into it."""

import json
from dataclasses import asdict
from pathlib import Path

from lung_srad.datasets.simulated.plan import RecordingPlan
from lung_srad.datasets.simulated.render import Event, Rendered
from lung_srad.errors import DataError, message

FOLDER = "truth"


def truth_text(plan: RecordingPlan, rendered: Rendered) -> str:
    """Returns the side-car of a recording: who, where, true and annotated state of every cycle, every event."""
    record = {
        "synthetic": True,
        "recording": plan.name,
        "device": plan.device,
        "site": plan.site,
        "session": plan.session,
        "patient": asdict(plan.patient),
        "cycles": [asdict(cycle) for cycle in plan.cycles],
        "events": [asdict(event) for event in rendered.events],
    }
    # JSON knows no infinity: null stands for the log-odds of what never happens
    record["patient"] |= {name: _finite(record["patient"][name]) for name in ("crackle_logit", "wheeze_logit")}
    return json.dumps(record, indent=None, separators=(",", ":"), allow_nan=False) + "\n"


def read_truth(path: str | Path) -> tuple[Event, ...]:
    """Returns the events of a simulated recording in the order in which they begin.

    Args:
        path: the recording, or its side-car in ``truth/``.

    Raises:
        DataError: there is no side-car, or it is none.
    """
    path = Path(path)
    if path.suffix != ".json":
        path = path.absolute().parents[1] / FOLDER / f"{path.stem}.json"
    try:
        events = [Event(**event) for event in json.loads(path.read_text(encoding="utf-8"))["events"]]
    except OSError as error:
        seen = f"cannot be read ({error.strerror})"
        remedy = "real recordings have none; make a corpus with lung-srad simulate"
        raise DataError(message(path, seen, "allowed: the truth of a simulated recording", remedy)) from error
    except (ValueError, TypeError, KeyError) as error:
        remedy = "remove the file and run lung-srad simulate again: it writes what is missing"
        raise DataError(message(path, "is no side-car of a simulation", "allowed: its JSON", remedy)) from error
    return tuple(sorted(events, key=lambda event: event.start))


def _finite(value: float) -> float | None:
    return value if abs(value) < float("inf") else None
