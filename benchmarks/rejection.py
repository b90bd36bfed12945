"""Writes how well sounds that are no lung are told from lung sounds into docs/results.md.

    python benchmarks/rejection.py --data icbhi:CORPUS                      # lungs of the corpus that the model knows
    python benchmarks/rejection.py --data icbhi:CORPUS --real icbhi:PATH    # and of another one

`make rejection` does it.
"""

import argparse
from itertools import groupby, islice
from pathlib import Path

import numpy as np
import torch

from foreign import KINDS, foreign_waves
from lung_srad.datasets import Dataset, open_dataset
from lung_srad.inference import Model, load
from lung_srad.inference.calibration import fit_known, rows_of
from lung_srad.inference.features import windows
from lung_srad.inference.trust import Known
from lung_srad.runs import machine_line
from parts import write_part
from timing import say
from transfer_page import grid

HERE = "<!-- what follows: python benchmarks/rejection.py -->"
HEAD = """\
## Sounds that are no lung

Made by `{command}` at {machine}, with the model `{model}` ({system}), {seconds:g} s.

The area under the ROC curve with which a score tells windows of lung recordings ({lungs}) from {count} sounds of each
kind; 0.5 is chance. The sounds come from `benchmarks/foreign.py`: half of them hold nothing above 1.9 kHz, each lies
over the steady noise of a room. *Silence* is that noise alone. *Descriptions* are 48 numbers that say what a sound is
like (`inference/descriptors.py`); their distance from those of the training part is the `ood_score` of `classify`,
which rejects at 1. The other rows are what it was chosen from.
"""
USED = "distance of descriptions (used)"
Rows = dict[str, np.ndarray]


def heard(model: Model, waves: list[torch.Tensor]) -> Rows:
    """Returns feature vectors, descriptions and logits of waves that are not silent."""
    rows = rows_of(model, waves)
    with torch.inference_mode():
        rows["logits"] = model.net.head(torch.from_numpy(rows["embedding"]).float()).double().numpy()
    return rows


def lungs(model: Model, dataset: Dataset, recordings: int) -> Rows:
    """Returns what is heard in windows of some test recordings, spread over the corpus."""
    paths = [path for path, _ in groupby(sorted(dataset.cycles("test"), key=lambda c: str(c.path)), lambda c: c.path)]
    chosen = paths[:: max(1, len(paths) // recordings)][:recordings]
    parts = []
    for path in chosen:
        clips = windows(model, path, hop=model.frontend.seconds)
        parts.append(heard(model, [clip.wave for clip in clips if clip.wave is not None]))
    return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}


def scores(rows: Rows, known: dict[str, Known]) -> dict[str, np.ndarray]:
    """Returns every score of how foreign some rows are, by its name."""
    logits = rows["logits"]
    total = np.logaddexp.reduce(logits, axis=1)
    distances = {name: each.distance(rows[name]) for name, each in known.items()}
    return {
        "1 − largest probability": 1 - np.exp(logits.max(1) - total),
        "energy": -total,
        "distance of feature vectors": distances["embedding"],
        "the greater of both": np.max(list(distances.values()), axis=0),
        USED: distances["sound"],
    }


def area(inside: np.ndarray, outside: np.ndarray) -> float:
    """Returns the area under the ROC curve: how often what is outside has the greater score; ties count half."""
    order = np.sort(inside)
    below, above = (np.searchsorted(order, outside, side=side) for side in ("left", "right"))
    return float((below + above).mean() / 2 / len(inside))


def table(name: str, inside: Rows, outside: dict[str, Rows], known: dict[str, Known]) -> str:
    """Returns areas by score and kind, and what share of each is rejected."""
    own, others = scores(inside, known), {kind: scores(rows, known) for kind, rows in outside.items()}
    lines = [(score, *(f"{area(own[score], others[kind][score]):.3f}" for kind in outside), "") for score in own]
    rejected = (f"{100 * np.mean(each[USED] >= 1):.0f}" for each in (*others.values(), own))
    lines.append(("rejected by classify, %", *rejected))
    return f"### {name}\n\n{grid(('score', *outside, 'lungs'), lines)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="demo")
    parser.add_argument("--data", required=True, help="the corpus that the model was trained on")
    parser.add_argument("--real", help="another one; what is known is then found on its training part")
    parser.add_argument("--count", type=int, default=100, help="sounds of each kind")
    parser.add_argument("--recordings", type=int, default=60, help="test recordings of each corpus")
    parser.add_argument("--out", type=Path, default=Path("docs/results.md"))
    args = parser.parse_args()
    model = load(args.model)
    outside = {}
    for kind in KINDS:
        waves = islice(foreign_waves(kind, model.frontend.seconds), args.count)
        outside[kind] = heard(model, [torch.from_numpy(wave) for wave in waves])
        say(f"heard {kind}")
    sections, sizes = [], []
    for name, source in (("The corpus of its training", args.data), ("Another corpus", args.real)):
        if source is None:
            continue
        dataset = open_dataset(source)
        inside = lungs(model, dataset, args.recordings)
        sizes.append(f"{len(inside['logits'])} of {source.partition(':')[2].rstrip('/').rpartition('/')[2]}")
        say(f"heard {sizes[-1]}")
        known, count = fit_known(model, dataset.cycles("train"))
        heading = f"{name}: {sizes[-1]} windows, known from {count:,} clips of its training part"
        sections.append(table(heading, inside, outside, known))
    head = HEAD.format(
        command="python benchmarks/rejection.py --data icbhi:CORPUS" + (" --real icbhi:PATH" if args.real else ""),
        machine=machine_line(),
        model=model.name,
        system=model.system,
        seconds=model.frontend.seconds,
        lungs=" and ".join(sizes),
        count=args.count,
    )
    write_part(args.out, HERE, head + "\n" + "\n".join(sections))
    say(f"wrote {args.out}")


if __name__ == "__main__":
    main()
