"""Writes benchmarks/simulator.md: how hard the simulated corpora are, and how like real ones.

    python benchmarks/simulator.py [--data ICBHI_FOLDER] [--annotations FOLDER] [--corpora FOLDER]

Without DATA the comparison with real recordings is left out and the figures stay as they are. Corpora go into a
temporary folder, or to FOLDER, where they stay and are used again: then nothing is said of the time that they took.
"""

import argparse
import datetime
import sys
import tempfile
import time
from pathlib import Path

from annotated import facts, read_annotations
from comparison import contrasts
from convolution import EPOCHS
from difficulty import DIVISIONS, Goal, goals, short_row
from hearing import Heard, hear
from lung_srad.datasets import ICBHI
from lung_srad.datasets.simulated import simulate
from lung_srad.runs import machine_line
from page import table
from pictures import draw_levels, draw_spectrograms
from timing import STARTED, say

CNN_SEEDS = 2
FIGURES = Path(__file__).parents[1] / "docs"
REMARKS = Path(__file__).with_name("simulator_remarks.md")
PAGE = """\
# The simulated corpus

**SYNTHETIC.** Scores on this page are of simulated recordings. They say how hard the simulation is, and nothing about
how well anything works on patients: never put one beside a Score on ICBHI.

Made {date} by `{command}` in {minutes:.0f} minutes, at {machine}.

## Goals

Size {size}, difficulty medium, seed 0, everything else as `lung-srad simulate` has it: {cycles} cycles.
Score = (Sp + Se) / 2 in per cent, Se of the exact class; mean ± standard deviation over splits or seeds. Unless a row
says otherwise the corpus is split as it brings it, no patient on both sides; nothing is chosen on the test part.

{goals}
- *log-mel statistics*: mean and deviation over time of 64 mel bins of a cycle, of their steps in time and of the steps
  from bin to bin. *LR* is a logistic regression, *HGB* gradient-boosted trees (scikit-learn); classes weigh the same.
  *Patients drawn*: {divisions} random divisions of the patients, *cycles drawn*: {divisions} of the cycles, 60 to 40
  both; the second over the first is what the leak adds.
- *small CNN*: four convolutions from scratch, {epochs} epochs, the last one, {seeds} seeds.
- *event truth*: the class that the side-car gives, against the annotation, which errs on purpose.
- *device alone*: the class that is commonest on the device, all classes weighing the same.
- *long-term spectrum and level*: 16 bands of a third of an octave of the whole cycle, and its level; logistic
  regression, unseen patients, area under the curve. A wheeze is part of that spectrum, so this is not only the colour
  of the recording. *Background* sees the quietest fifth over time of each band instead: what is left without events.

## Easy and hard

Size small (40 patients), seed 0; one seed each, so a point or two means nothing.

{others}
{real}{remarks}"""
OTHERS = ["difficulty", "cycles", "LR", "LR, patients drawn", "HGB", "HGB, patients drawn", "small CNN", "event truth"]


def corpus(folder: Path, size: str, difficulty: str) -> tuple[ICBHI, float | None]:
    """Returns a simulated corpus and the minutes that it took, or None where a part was there already."""
    out, start = folder / f"{size}-{difficulty}", time.perf_counter()
    known = out.exists()

    def report(what: str, done: int, total: int) -> None:
        if done % max(1, total // 10) == 0 or done == total:
            say(f"{size} {difficulty}: {what}, {done} of {total}")

    data = simulate(out, size=size, difficulty=difficulty, report=report)
    return data, None if known else (time.perf_counter() - start) / 60


def beside_real(real: Path, annotations: Path, simulated: Heard, folder: Path) -> str:
    """Returns the section that compares with real recordings, and draws both figures."""
    heard = hear(ICBHI(real), "real")
    draw_spectrograms(heard, simulated, FIGURES / "simulator_spectrograms.png")
    draw_levels(heard, simulated, FIGURES / "simulator_levels.png")
    public, own = facts(read_annotations(annotations)), facts(read_annotations(folder))
    lines = [[name, public[name], own[name]] for name in own]
    return "\n".join(
        [
            "## Beside real recordings\n",
            "Real recordings: ICBHI 2017 (Rocha et al. 2019).\n",
            "![spectrograms](../docs/simulator_spectrograms.png)\n",
            "![long-term spectra and levels](../docs/simulator_levels.png)\n",
            "Annotations:\n",
            table(["", "real", "simulated"], lines),
            contrasts(heard, simulated),
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="a folder of ICBHI recordings, all or some")
    parser.add_argument("--annotations", type=Path, help="all annotations of ICBHI, where DATA holds some")
    parser.add_argument("--corpora", type=Path, help="where corpora stay")
    parser.add_argument("--size", default="full", help="of the corpus of difficulty medium")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".md"))
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.corpora or Path(temporary)
        data, minutes = corpus(folder, args.size, "medium")
        heard = hear(data, "medium")
        lines = goals(heard, "medium", CNN_SEEDS)
        if minutes is not None and args.size == "full":
            lines.append(Goal("minutes to write the corpus", [minutes], None, 8))
        others = [short_row(hear(corpus(folder, "small", name)[0], name), name) for name in ("easy", "hard")]
        annotations = args.annotations or (args.data and ICBHI(args.data).folder)
        real = beside_real(args.data, annotations, heard, data.folder) if args.data else ""
    page = PAGE.format(
        date=datetime.date.today().isoformat(),
        command=" ".join(
            ["python benchmarks/simulator.py", *(f"{word} PATH" for word in sys.argv if word[:3] in ("--d", "--a"))]
        ),
        minutes=(time.perf_counter() - STARTED) / 60,
        machine=machine_line(),
        size=args.size,
        cycles=len(heard.cycles),
        goals=table(["", "asked", "reached", ""], [line.cells() for line in lines]),
        divisions=DIVISIONS,
        epochs=EPOCHS,
        seeds=CNN_SEEDS,
        others=table([*OTHERS, "device alone"], others),
        real=real,
        remarks=REMARKS.read_text(encoding="utf-8") if REMARKS.is_file() else "",
    )
    args.out.write_text(page, encoding="utf-8")
    say(f"wrote {args.out}")


if __name__ == "__main__":
    main()
