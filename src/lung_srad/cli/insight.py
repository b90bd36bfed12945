"""Verbs that look into a trained model: calibrate, explain, embed."""

from pathlib import Path
from typing import Annotated

import typer

from lung_srad.cli.recordings import require_new

Chosen = Annotated[str, typer.Option(help="A model that ships, a run's folder, or a weights file.")]


def explain(
    recording: Annotated[Path, typer.Argument(metavar="FILE", help="A recording.")],
    out: Annotated[Path, typer.Option(metavar="PNG", help="The picture; a new file.")],
    model: Chosen = "demo",
    at: Annotated[float, typer.Option(help="Seconds at which the window begins, about.")] = 0.0,
    label: Annotated[str | None, typer.Option(help="The class to explain; by default the answer.")] = None,
    check: Annotated[bool, typer.Option(help="Compare the map with chance, and with that of shuffled weights.")] = True,
) -> None:
    """Draws which parts of a window an answer hangs on. This is no clinical evidence.

    Example: lung-srad explain recording.wav --at 4 --out map.png
    """
    from lung_srad.inference import load
    from lung_srad.inference.explanation import LABEL, draw
    from lung_srad.inference.explanation import check as check_map
    from lung_srad.inference.explanation import explain as explain_window

    require_new(out)
    loaded = load(model)
    found = explain_window(loaded, recording, at=at, label=label)
    draw(found, out, title=recording.name, notice=loaded.notice)
    typer.echo(f"{found.start:g}-{found.end:g} s: {found.label}, log-odds {found.log_odds:.2f}; {LABEL}")
    if check:
        sane = check_map(loaded, found)
        verdict = "passed" if sane.ok else "FAILED: do not trust this map"
        fall = f"covered in the order of the map, the log-odds fall by {-sane.deletion:.2f} in the mean"
        chance = f"in random order by {-sane.random:.2f}"
        typer.echo(f"checks {verdict}: {fall}, {chance}; rank correlation with shuffled weights {sane.correlation:.2f}")
    typer.echo(f"wrote {out}; {loaded.notice}")


def embed(
    paths: Annotated[list[Path], typer.Argument(metavar="FILES...", help="Recordings, or folders of them.")],
    out: Annotated[Path, typer.Option(metavar="NPZ", help="ids, embeddings and the model's hash; a new file.")],
    model: Chosen = "demo",
    hop: Annotated[float, typer.Option(help="Seconds from one window to the next.")] = 2.0,
) -> None:
    """Writes the feature vector of every window that classify hears, for analyses of one's own.

    Example: lung-srad embed ward/ --out features.npz
    """
    from lung_srad.inference import find_recordings, load
    from lung_srad.inference.features import embed as embed_recordings

    require_new(out)
    loaded = load(model)
    found = embed_recordings(loaded, find_recordings(paths), hop=hop)
    found.save(out)
    typer.echo(f"wrote {out}: {len(found.ids)} windows, {found.vectors.shape[1]} numbers each; {loaded.notice}")


def calibrate(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a finished run.")],
    data: Annotated[str | None, typer.Option(metavar="KIND:PATH", help="What it was trained on, as for train.")] = None,
    split: Annotated[str | None, typer.Option(help="The split of the run; official by default.")] = None,
    least: Annotated[float, typer.Option(help="Probability that an answer needs; 0 answers always.")] = 0.0,
) -> None:
    """Finds the temperature of a run's probabilities and, with its data, what is foreign to it; writes weights.trust.

    Example: lung-srad calibrate runs/lung_srad/seed1 --data icbhi:ICBHI_final_database
    """
    from lung_srad.cli.screen import work
    from lung_srad.datasets import open_dataset
    from lung_srad.inference.calibration import calibrate as calibrate_run

    dataset = None if data is None else open_dataset(data, split=split)
    with work() as report:
        found = calibrate_run(run, dataset, least=least, progress=lambda done, total: report("hearing", done, total))
    foreign = f"foreign from {found.threshold:.2f} on" if found.known else "nothing is foreign (give --data)"
    typer.echo(f"temperature {found.temperature:.3f}; {foreign}; {found.origin}")
    typer.echo(f"wrote {run / 'weights.trust'}")
