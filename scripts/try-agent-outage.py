#!/usr/bin/env python3
"""The broker is killed and away for a while under the load of an agent that uses AgentKit's publisher.

What has to come out: every event is in the stream once, each run in order; memory stays within its bound; and who appends events does not
notice: the ratio of the callers' 99th percentile while the broker is away to that before and after is printed. The exit code is 1 when
something was lost, came twice or out of order, or a bound was broken.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from chaos.bus import EVENTS, Bus  # noqa: E402
from chaos.processes import Process, free_ports, say  # noqa: E402
from chaos.schema import EventBatch  # noqa: E402

#: Of the caller, while the broker is away. A ratio of the 99th percentiles says little when both are below.
UNNOTICEABLE_NANOSECONDS = 50_000


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="dev try-agent-outage", description=__doc__.splitlines()[0])
    parser.add_argument("--load", required=True, type=Path, help="the AgentLoad executable")
    parser.add_argument("--away", type=float, default=30, help="seconds that the broker is away (default: 30)")
    parser.add_argument("--around", type=float, default=10, help="seconds of load before and after (default: 10)")
    parser.add_argument("--rate", type=int, default=2000, help="events a second (default: 2000)")
    parser.add_argument("--keys", type=int, default=50, help="runs at the same time (default: 50)")
    parser.add_argument("--bytes", type=int, default=1000, help="of an event, about (default: 1000)")
    parser.add_argument("--memory-bytes", type=int, default=16 << 20, help="the publisher's bound (default: 16 MiB)")
    return parser.parse_args()


async def stored(bus: Bus) -> tuple[dict[str, list[int]], int, int]:
    """The numbers of each run in the order of the stream, how many messages, and how many of their ids came twice."""
    numbers: dict[str, list[int]] = {}
    ids: set[str] = set()
    last = (await bus.state(EVENTS))["last_seq"]
    messages = repeated = 0
    if last == 0:
        return numbers, 0, 0
    async for message in bus.follow_all(EVENTS):
        messages += 1
        name = message.headers["Nats-Msg-Id"]
        repeated += name in ids
        ids.add(name)
        for event in EventBatch.FromString(message.data).events:
            run = message.subject.rsplit(".", 1)[1]
            numbers.setdefault(run, []).append(json.loads(event.data)["number"])
        if message.sequence >= last:
            break
    return numbers, messages, repeated


async def run(options: argparse.Namespace, directory: Path) -> list[str]:
    (port,) = free_ports(1)
    url = f"nats://127.0.0.1:{port}"
    server = Process(
        "nats",
        [os.environ["SKEIN_NATS_SERVER"], "-a", "127.0.0.1", "-p", str(port), "-js", "-sd", str(directory / "nats")],
        directory / "nats.log",
    )
    server.start()
    bus = await connect(url)
    await bus.client.jetstream().add_stream(name=EVENTS, subjects=["skein.v1.events.>"], duplicate_window=120)
    seconds = int(2 * options.around + options.away)
    say(f"{options.rate} events a second for {seconds} s, the broker is away for {options.away:.0f} s of them")
    with open(directory / "load.log", "wb") as log:
        load = subprocess.Popen(
            [
                str(options.load), "--url", url, "--rate", str(options.rate), "--seconds", str(seconds),
                "--keys", str(options.keys), "--bytes", str(options.bytes),
                "--memory-bytes", str(options.memory_bytes), "--spool", str(directory / "spool"),
            ],
            stdout=subprocess.PIPE, stderr=log,
        )  # fmt: skip
        try:
            await asyncio.sleep(options.around)
            say("the broker is killed")
            server.kill()
            began = time.monotonic()
            await asyncio.sleep(options.away)
            server.start()
            say(f"the broker is back after {time.monotonic() - began:.1f} s")
            output, _ = await asyncio.to_thread(load.communicate, None, options.around + 180)
        finally:
            if load.poll() is None:
                load.kill()
                load.wait()
    if load.returncode != 0:
        sys.stderr.write((directory / "load.log").read_text())
        return [f"the load ended with {load.returncode}"]
    report = json.loads(output.decode().strip().splitlines()[-1])
    numbers, messages, repeated = await stored(bus)
    await bus.close()
    server.kill()
    return judge(options, report, numbers, messages, repeated)


async def connect(url: str) -> Bus:
    deadline = time.monotonic() + 20
    while True:
        try:
            return await Bus.connect([url])
        except OSError:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.1)


def judge(
    options: argparse.Namespace, report: dict, numbers: dict[str, list[int]], messages: int, repeated: int
) -> list[str]:
    wrong: list[str] = []
    found = sum(len(run) for run in numbers.values())
    disordered = [run for run, of in numbers.items() if of != sorted(of)]
    incomplete = [run for run, of in numbers.items() if sorted(set(of)) != list(range(1, max(of) + 1))]
    twice = found - sum(len(set(of)) for of in numbers.values())
    calm, away = report["calm"], report["away"]
    ratio = away["p99"] / max(1, calm["p99"])
    print(f"events appended        {report['appended']}")
    print(f"events stored          {found} of {len(numbers)} runs in {messages} messages")
    print(f"lost / twice           {report['appended'] - found + twice} / {twice}")
    print(f"runs out of order      {len(disordered)}")
    print(f"went to disk and back  {report['spooled']} / {report['replayed']}")
    print(f"memory, at most        {report['peak_memory_bytes'] / 2**20:.1f} MiB of {options.memory_bytes / 2**20:.0f}")
    print(f"resident, at most      {report['resident_bytes'] / 2**20:.0f} MiB")
    for name, times in (("there", calm), ("away", away)):
        print(
            f"caller, broker {name:7s} p50 {times['p50']} ns, p99 {times['p99']} ns, p99.9 {times['p999']} ns, "
            f"longest {times['most'] / 1e6:.1f} ms, {times['count']} events"
        )
    print(f"caller's p99, ratio    {ratio:.2f}")
    if report["appended"] != found - twice:
        wrong.append(f"{report['appended'] - found + twice} events are lost")
    if twice or repeated:
        wrong.append(f"{twice} events and {repeated} message ids are there twice")
    if disordered:
        wrong.append(f"{len(disordered)} runs are out of order")
    if incomplete:
        wrong.append(f"{len(incomplete)} runs have gaps")
    if report["dropped"] or not report["flushed"]:
        wrong.append(f"the publisher gave up {report['dropped']}, flushed: {report['flushed']}")
    if report["disk_bytes"]:
        wrong.append(f"{report['disk_bytes']} bytes were left on disk")
    if report["peak_memory_bytes"] > options.memory_bytes:
        wrong.append("the publisher held more than its bound")
    if away["count"] < options.rate * options.away * 0.8:
        wrong.append(f"only {away['count']} events were appended while the broker was away")
    if ratio > 2 and away["p99"] > UNNOTICEABLE_NANOSECONDS:
        wrong.append(f"callers noticed: their 99th percentile is {ratio:.1f} times as long")
    return wrong


def main() -> int:
    options = arguments()
    directory = Path(tempfile.mkdtemp(prefix="skein-outage-"))
    try:
        wrong = asyncio.run(run(options, directory))
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    for complaint in wrong:
        print(f"try-agent-outage: {complaint}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
