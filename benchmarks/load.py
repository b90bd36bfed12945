"""Writes benchmarks/load.md: a service under load, sockets that drip, and clients that leave.

    python benchmarks/load.py [--share 0.1] [--out PAGE]

`make slow-load` does it. The service is `lung-srad serve` with the weights that ship, as a process of its own; what
it holds is read from /proc, so this needs Linux.
"""

import argparse
import asyncio
import datetime
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from breathing import recording
from clients import Client, Seen, drip, keep_asking, leave, request
from lung_srad.runs import machine_line
from lung_srad.serving.limits import Limits
from timing import say

CLIENTS, SECONDS, DRIPS, LEAVERS = 64, 180, 300, 500
ALONE_SECONDS, DRIP_SECONDS, SOUND = 30, 45, 9.5
BODY = recording(SOUND)


def process_facts(pid: int) -> dict[str, int]:
    """Returns what a process holds: MiB, threads, open files, and of those the ones without a name."""
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    names = []
    for each in os.listdir(f"/proc/{pid}/fd"):
        try:
            names.append(os.readlink(f"/proc/{pid}/fd/{each}"))
        except FileNotFoundError:  # closed meanwhile
            continue
    nameless = sum("(deleted)" in name for name in names)
    kib = int(status["VmRSS"].split()[0])
    return {"KiB": kib, "threads": int(status["Threads"]), "open files": len(names), "temporary files": nameless}


def processor_seconds(pid: int) -> float:
    """Returns what a process has computed so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Service:
    """The service as a process; ends with the block."""

    def __enter__(self) -> "Service":
        command = [sys.executable, "-m", "lung_srad.cli", "serve", "--port", "0", "--threads", "1"]
        self.begun = time.monotonic()
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.port = int(self.process.stdout.readline().rpartition(":")[2])
        return self

    def __exit__(self, *problem: object) -> None:
        self.process.terminate()
        self.process.communicate(timeout=60)

    @property
    def processes(self) -> list[int]:
        """The service and its decoder."""
        pid = self.process.pid
        tasks = Path(f"/proc/{pid}/task").iterdir()
        return [pid, *(int(child) for task in tasks for child in (task / "children").read_text().split())]

    def held(self) -> dict[str, int]:
        """Returns what both hold together."""
        facts = [process_facts(pid) for pid in self.processes]
        return {name: sum(each[name] for each in facts) for name in facts[0]}

    async def waiting(self) -> int:
        """Returns how many answers are coming; -1 before the model is loaded."""
        client = Client(self.port)
        status, _, body = await client.ask(request(b"", method="GET", path="/readyz"))
        await client.close()
        return json.loads(body)["waiting"] if status == 200 else -1

    async def idle(self) -> None:
        """Returns when nothing is waiting and what was closed is gone."""
        while await self.waiting():
            await asyncio.sleep(0.2)
        await asyncio.sleep(7)  # connections are kept for 5 s


async def crowd(port: int, count: int, seconds: float) -> Seen:
    """Returns what so many clients see."""
    seen, end = Seen(), time.monotonic() + seconds
    await asyncio.gather(*(keep_asking(port, request(BODY), end, seen) for _ in range(count)))
    return seen


async def watch(service: Service, memory: list[tuple[float, float]], seconds: float) -> None:
    """Notes the memory twice a second, and says now and then that it goes on."""
    begun = time.monotonic()
    while (passed := time.monotonic() - begun) < seconds:
        memory.append((passed, service.held()["KiB"] / 1024))
        if len(memory) % 40 == 1:
            say(f"{passed:.0f} of {seconds:.0f} s, {memory[-1][1]:.0f} MiB")
        await asyncio.sleep(0.5)


async def under_load(service: Service, seconds: float) -> dict[str, Any]:
    """Returns what many clients see, and what they cost."""
    memory: list[tuple[float, float]] = []
    before = sum(map(processor_seconds, service.processes)), time.process_time(), time.monotonic()
    watching = asyncio.create_task(watch(service, memory, seconds))
    seen = await crowd(service.port, CLIENTS, seconds)
    await watching
    after = sum(map(processor_seconds, service.processes)), time.process_time(), time.monotonic()
    wall = after[2] - before[2]
    settled = seconds / 6
    first = [each for passed, each in memory if settled / 2 <= passed <= settled * 1.5]
    last = [each for passed, each in memory if passed >= seconds - settled]
    shares = [(after[place] - before[place]) / wall for place in (0, 1)]
    ends = [sum(each) / len(each) for each in (first, last)]
    return {"seen": seen, "wall": wall, "shares": shares, "memory": ends, "settled": settled}


async def beside_drips(service: Service, seconds: float) -> dict[str, Any]:
    """Returns what one client sees beside sockets that drip, and when those were closed."""
    closed: list[float] = []
    head, body = request(b"", promised=1000), bytes(1000)
    halves = ((b"", head), (head, body))  # half of them drip their head, half their body
    slow = [asyncio.create_task(drip(service.port, *halves[count % 2], closed)) for count in range(DRIPS)]
    await asyncio.sleep(1)
    healthy = await crowd(service.port, 1, seconds)
    still = sum(not each.done() for each in slow)
    for each in slow:
        each.cancel()
    await asyncio.gather(*slow, return_exceptions=True)
    return {"healthy": healthy, "closed": sorted(closed), "still": still}


async def leavers(service: Service, count: int) -> dict[str, Any]:
    """Returns what is held before and after many clients that leave, half of them while they are heard."""
    await service.idle()
    before, long = service.held(), recording(60)
    uploading = heard = 0
    while uploading < count // 2:
        uploading += await leave(service.port, request(BODY, promised=2 * len(BODY)), 0.01)
    say(f"{uploading} left while they sent")
    while heard < count - count // 2:
        heard += await leave(service.port, request(long), 0.05)
    say(f"{heard} left while they were heard")
    begun = time.monotonic()
    client = Client(service.port)
    status = 503
    while status == 503:
        status, _, _ = await client.ask(request(BODY))
    after = time.monotonic() - begun
    await client.close()
    await service.idle()
    held = service.held()  # before another connection is opened to ask what waits
    counts = {"uploading": uploading, "heard": heard, "waiting": await service.waiting()}
    return counts | {"before": before, "after": held, "next": after}


async def measured(share: float) -> dict[str, Any]:
    """Returns everything."""
    with Service() as service:
        while await service.waiting() < 0:
            await asyncio.sleep(0.05)
        start = time.monotonic() - service.begun, sum(map(processor_seconds, service.processes))
        say(f"ready after {start[0]:.1f} s; one client")
        await crowd(service.port, 1, ALONE_SECONDS * share / 3)
        results: dict[str, Any] = {"start": start, "alone": await crowd(service.port, 1, ALONE_SECONDS * share)}
        say(f"{CLIENTS} clients")
        results |= await under_load(service, SECONDS * share)
        await service.idle()
        say(f"{DRIPS} sockets that drip")
        results |= await beside_drips(service, max(35.0, DRIP_SECONDS * share))
        say(f"{LEAVERS} clients that leave")
        return results | {"left": await leavers(service, round(LEAVERS * share))}


def goals(found: dict[str, Any]) -> list[tuple[str, str, bool]]:
    """Returns what is asked, what was seen, and whether that is enough."""
    alone, seen, healthy, left = found["alone"], found["seen"], found["healthy"], found["left"]
    others = sum(count for status, count in seen.statuses.items() if status not in (200, 503))
    times = seen.quantile(0.99) / alone.quantile(0.99)
    drift = found["memory"][1] / found["memory"][0] - 1
    kept = {name for name, count in left["after"].items() if name != "KiB" and count > left["before"][name]}
    answers = seen.answers | alone.answers | healthy.answers
    gone = left["uploading"] + left["heard"]
    leak = ", ".join(sorted(kept)) or "none"
    return [
        ("ready in less than 5 s of a core", f"{found['start'][1]:.1f} s", found["start"][1] < 5),
        (f"{CLIENTS} clients: no answer but 200 and 503", f"{others} others", not others),
        ("a full queue is 503 with Retry-After", f"{seen.without_retry} without", not seen.without_retry),
        ("p99 at most 5 times that of one client", f"{times:.1f} times", times <= 5),
        ("memory drifts by less than 5 %", f"{drift:+.1%}", drift < 0.05),
        ("the same answer every time", f"{len(answers)} different", len(answers) == 1),
        (f"{DRIPS} sockets drip: p99 under 2 s", f"{healthy.quantile(0.99):.2f} s", healthy.quantile(0.99) < 2),
        (f"{gone} leave: no file, thread, handle or place kept", leak, not kept and not left["waiting"]),
        ("the next answer within 1 s", f"{left['next']:.2f} s", left["next"] <= 1),
    ]


def line(name: str, seen: Seen, wall: float) -> str:
    """Returns a row of the table of times."""
    figures = (f"{seen.quantile(share):.2f}" for share in (0.5, 0.99, 1))
    return f"| {name} | {len(seen.seconds)} | {len(seen.seconds) / wall:.1f} | {' | '.join(figures)} |"


def page(found: dict[str, Any], command: str, minutes: float, share: float) -> str:
    """Returns the page."""
    alone, seen, healthy, left = found["alone"], found["seen"], found["healthy"], found["left"]
    asked, limits = sum(seen.statuses.values()), Limits()
    others = {status: count for status, count in seen.statuses.items() if status not in (200, 503)}
    rows = (line("1 client", alone, ALONE_SECONDS * share), line(f"{CLIENTS} clients", seen, found["wall"]))
    since = sorted(seen.since_asked)
    cores = len(os.sched_getaffinity(0))
    head = f"""\
# The service under load

Made {datetime.date.today().isoformat()} by `{command}` in {minutes:.1f} minutes, at {machine_line()}.

`lung-srad serve --threads 1` with the weights that ship and its usual limits ({limits.waiting} requests have an answer
coming, the others are told when to ask again). Service and clients, plain sockets in one process, share
{cores} core{"s" * (cores > 1)}, and every figure holds the work of both: while {CLIENTS} clients asked, the service
took {found["shares"][0]:.0%} of a core and they took {found["shares"][1]:.0%}; what is missing to 100 % was other work.
The service was ready {found["start"][0]:.1f} s after its start, by the clock. A recording is {SOUND:g} s at 4 kHz.
Times are seconds. What the service holds is that of its two processes, from /proc.
"""
    table = [f"| {asks} | {said} | {'yes' if enough else '**no**'} |" for asks, said, enough in goals(found)]
    text = [head, "| asked | seen | reached |\n|---|---|---|", *table]
    text += [
        f"\n## One client, then {CLIENTS}\n",
        "| | answers | per second | median | p99 | slowest |",
        "|---" * 6 + "|",
    ]
    text += [*rows, ""]
    text.append(
        f"From sending a request to the last byte of its answer. From the first time of asking, refusals and waits "
        f"included, it took {CLIENTS} clients {since[len(since) // 2]:.1f} in the median and {since[-1]:.1f} at most: "
        f"they ask for more than there is. Their p99 is {seen.quantile(0.99) / alone.quantile(0.5):.1f} times the "
        f"median of one client. {seen.statuses[503]} of {asked} requests were refused with 503; other "
        f"statuses: {others or 'none'}. Memory: {found['memory'][0]:.0f} MiB at the beginning, "
        f"{found['memory'][1]:.0f} MiB at the end (means over {found['settled']:.0f} s)."
    )
    text.append(f"\n## {DRIPS} sockets that drip\n")
    text.append(
        f"A byte a second, half of them of a head ({limits.head_seconds:g} s are given), half of a body "
        f"({limits.body_seconds:g} s). They were told so and closed {found['closed'][0]:.0f} to "
        f"{found['closed'][-1]:.0f} s after they opened; {found['still']} were left. Another client got "
        f"{len(healthy.seconds)} answers meanwhile, median {healthy.quantile(0.5):.2f} and p99 "
        f"{healthy.quantile(0.99):.2f}."
    )
    text.append(f"\n## {left['uploading'] + left['heard']} clients that leave\n")
    text.append(f"{left['uploading']} left while they sent, {left['heard']} while they were heard.\n")
    text.append("| held | before | after |\n|---|---|---|")
    text += [f"| {name} | {count} | {left['after'][name]} |" for name, count in left["before"].items()]
    text.append(f"| places in the queue | 0 | {left['waiting']} |\n\nThe next answer took {left['next']:.2f}.")
    return "\n".join(text) + "\n"


def main() -> int:
    """Returns 0 where everything that is asked was reached."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--share", type=float, default=1, help="of the time, to try it out")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("load.md"))
    arguments = parser.parse_args()
    begun = time.monotonic()
    found = asyncio.run(measured(arguments.share))
    command = "make slow-load" if arguments.share == 1 else f"python benchmarks/load.py --share {arguments.share:g}"
    text = page(found, command, (time.monotonic() - begun) / 60, arguments.share)
    arguments.out.write_text(text, encoding="utf-8")
    say(f"wrote {arguments.out}")
    return 0 if all(enough for _, _, enough in goals(found)) else 1


if __name__ == "__main__":
    sys.exit(main())
