"""Makes the weights that ship: simulates a corpus, trains on it, copies the weights and writes their card.

    python benchmarks/weights.py
    python benchmarks/weights.py --only-copy --corpus CORPUS --run RUN       # of a run that is finished

What was simulated and trained before is kept, so a run that was stopped goes on.
"""

import argparse
import json
import re
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from lung_srad.files import replacing, sha256
from lung_srad.inference.model import SYNTHETIC_NOTICE
from lung_srad.inference.trust import read_trust, trust_file, write_trust
from lung_srad.runs import RunFolder, load_model, save_model
from lung_srad.runs.shipped import DEFAULT, SHIPPED
from lung_srad.training import results_table

LIMIT = 8_000_000  # bytes
SIMULATE = "lung-srad simulate {corpus} --size full --difficulty easy --seed 0"
TRAIN = "lung-srad train {preset} --profile small --no-refit --data icbhi:{corpus} --seeds 1 --out {out}"
CALIBRATE = "lung-srad calibrate {run}"  # without data: real lungs would be foreign to simulated ones
CARD = """\
---
name: {name}
license: Apache-2.0
synthetic: true
sha256: {sha256}
---

# {name}

{system}: {backbone}, {parameters:.2f} M parameters, classes {classes}. {Notice}.

**It has never heard a patient.** It was trained on simulated breathing, crackles and wheezes alone. It is here so that
`lung-srad classify recording.wav` answers right after installing, and so that a pipeline can be built and tested; what
it says of a real recording is not to be relied on. `docs/results.md` of the project tells how it fares on real ones.

## How it was made

```
{simulate}
{train}
python benchmarks/weights.py --only-copy
```

Corpus: {settings}; {recordings} recordings and {cycles} cycles of {patients} simulated patients.
Training: {train_cycles} cycles, {trained}, commit {commit}, {versions}.
Input: {seconds:g} s at 16 kHz, 128 mel bins. Format: safetensors, {bytes:,} bytes.

## What it scores on simulated test patients

{table}"""


def shell(command: str) -> None:
    """Runs a command of ours as it stands in the card."""
    print(f"$ {command}", flush=True)
    subprocess.run([sys.executable, "-m", "lung_srad.cli", *shlex.split(command)[1:]], check=True)


def portable(command: list[str]) -> str:
    """Returns a recorded command without the folders of the machine that it ran on."""
    return shlex.join(["lung-srad", *(re.sub(r"(^|:)/(?:[^/]+/)*([^/]+)/?$", r"\1\2", word) for word in command[1:])])


def card(weights: Path, run: RunFolder, corpus: Path) -> str:
    """Returns the card of weights that come from a finished run on a simulated corpus."""
    facts, result, preset, model = run.facts(), run.result(), run.config(), load_model(weights)
    simulation = json.loads((corpus / "simulation.json").read_text(encoding="utf-8"))
    settings = {key: value for key, value in simulation["settings"].items() if value is not None}
    options = " ".join(f"--{key} {value}" for key, value in settings.items())
    table = replace(results_table([run]), title="")
    return CARD.format(
        name=weights.stem,
        sha256=sha256(weights),
        system=preset.title,
        backbone=preset.backbone.name,
        parameters=sum(value.numel() for value in model.net.state_dict().values()) / 1e6,
        classes=", ".join(model.class_names),
        Notice=SYNTHETIC_NOTICE.capitalize(),
        simulate=f"lung-srad simulate {corpus.name} {options}",
        train=portable(facts["command"]),
        settings=", ".join(f"{key} {value}" for key, value in settings.items()),
        **{key: simulation[key] for key in ("recordings", "cycles", "patients")},
        train_cycles=result["train_cycles"],
        trained=f"epoch {result['selected_epoch']} of {preset.training.epochs} (chosen by {result['selected_by']})",
        commit=facts["commit"],
        versions=", ".join(f"{key} {facts['versions'][key]}" for key in ("lung-srad", "torch", "python")),
        seconds=model.net.backbone.frontend.seconds,
        bytes=weights.stat().st_size,
        table=table.markdown(),
    )


def ship(name: str, run: RunFolder, corpus: Path, folder: Path) -> None:
    """Copies a run's weights into a folder, with their card."""
    if not run.synthetic:
        raise SystemExit(f"{run.path} was not trained on simulated recordings, and no other weights may ship")
    if (size := run.weights.stat().st_size) > LIMIT:
        raise SystemExit(f"{run.weights} has {size:,} bytes; {LIMIT:,} may ship; take dass_tiny")
    folder.mkdir(exist_ok=True)
    weights = folder / f"{name}.safetensors"
    save_model(weights, replace(load_model(run.weights), synthetic=True))
    with replacing(weights.with_suffix(".md")) as file:
        file.write(card(weights, run, corpus).encode())
    trust_file(weights).unlink(missing_ok=True)  # that of other weights would be refused
    if trust_file(run.weights).is_file():
        found = read_trust(run.weights, sha256(run.weights))
        write_trust(trust_file(weights), found, sha256(weights))
    print(f"wrote {weights} and {weights.stem}.md")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="dass_finetuning")
    parser.add_argument("--corpus", type=Path, default=Path("runs/simulated-full"))
    parser.add_argument("--out", type=Path, default=Path("runs/weights"))
    parser.add_argument("--run", type=Path, help="a finished run to ship; by default the one trained here")
    parser.add_argument("--only-copy", action="store_true")
    args = parser.parse_args()
    if not args.only_copy:
        shell(SIMULATE.format(corpus=shlex.quote(str(args.corpus))))
        train = TRAIN.format(preset=args.preset, corpus=args.corpus, out=args.out)
        shell(f"{train} --resume")
    run = args.run or args.out / f"{args.preset}-small" / "seed1"
    if not args.only_copy:
        shell(CALIBRATE.format(run=shlex.quote(str(run))))
    ship(DEFAULT, RunFolder(run), args.corpus, SHIPPED)


if __name__ == "__main__":
    main()
