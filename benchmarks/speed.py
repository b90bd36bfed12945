"""Measures the scan and the networks against what else there is, and writes RESULTS.md beside this file.

    python benchmarks/speed.py            # about 20 minutes on two cores; needs the extra "baselines"
    python benchmarks/speed.py --quick    # small and short: shows that it runs, writes quick.md to the temporary folder

Each part runs in a process of its own, one per number of threads; what is compared takes turns inside one process.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).with_name("RESULTS.md")


def part(words: list[str], threads: int, quick: bool) -> Any:
    """Returns what one part measured in a process of its own, with a fixed number of threads."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.json"
        environment = os.environ | {name: str(threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
        command = [sys.executable, __file__, "--part", *words, "--threads", str(threads), "--out", str(out)]
        subprocess.run(command + ["--quick"] * quick, env=environment, check=True)
        return json.loads(out.read_text(encoding="utf-8"))


def run_part(words: list[str], threads: int, quick: bool) -> Any:
    """Returns what a part measures, in this process."""
    import torch  # only here, once the environment of this process is set

    from lung_srad.memory import keep_memory
    from settings import FULL, QUICK

    keep_memory()  # as the commands do; every contestant gains
    settings = QUICK if quick else FULL
    torch.set_num_threads(threads)
    match words:
        case ["scans"]:
            import scans

            return scans.measure(settings, threads)
        case ["agreement"]:
            import scans

            return scans.agreement()
        case ["networks"]:
            import networks

            return networks.measure(settings, threads)
        case ["growth", model, seconds, label]:
            import growth

            return growth.measure(settings, model, int(seconds), label)
        case _:
            import systems

            return systems.measure(settings)


def measure(quick: bool) -> dict[str, Any]:
    """Returns the results of all parts."""
    from settings import BACKENDS, BEST, FULL, QUICK

    settings = QUICK if quick else FULL
    most, durations = settings.threads[-1], settings.durations
    found: dict[str, Any] = {"backends": BACKENDS, "best": BEST, "frames": settings.frames, "unit": durations[0]}
    found["load"] = os.getloadavg()[0]
    for name in ("networks", "scans"):
        found[name] = {str(threads): part([name], threads, quick) for threads in settings.threads}
    long = [("DASS", seconds, "fp32") for seconds in durations]
    long += [("DASS", durations[-1], "bf16"), *(("AST", seconds, "fp32") for seconds in settings.attention)]
    found["growth"] = [part(["growth", model, str(seconds), label], most, quick) for model, seconds, label in long]
    found["systems"] = part(["systems"], most, quick)
    found["agreement"] = part(["agreement"], most, quick)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small and short, not a result")
    parser.add_argument("--part", nargs="+", help=argparse.SUPPRESS)
    parser.add_argument("--threads", type=int, default=1, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.part:
        args.out.write_text(json.dumps(run_part(args.part, args.threads, args.quick)), encoding="utf-8")
        return
    if find_spec("transformers") is None:
        sys.exit("error: transformers is not installed; AST is a baseline; pip install -e '.[baselines]'")
    start = time.perf_counter()
    results = measure(args.quick)
    from page import page

    minutes = (time.perf_counter() - start) / 60
    text = page(results, "python benchmarks/speed.py" + " --quick" * args.quick, minutes)
    out = Path(tempfile.gettempdir()) / "quick.md" if args.quick else RESULTS
    out.write_text(text, encoding="utf-8")
    print(text.split("\n## The scan")[0], f"\nwrote {out} in {minutes:.1f} minutes", sep="\n")


if __name__ == "__main__":
    main()
