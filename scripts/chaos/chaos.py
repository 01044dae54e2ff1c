"""./dev chaos: a seeded time of faults under load, then both properties from the outside."""

from __future__ import annotations

import asyncio
import json
import subprocess
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass

from .bus import DEAD, EVENTS, PROCESSED, TRAJECTORIES, Bus, RecordWatcher, lag
from .faults import Injector, plan
from .load import Load, Profile
from .model import Published
from .observe import Observations, TrajectoryWatcher, collect
from .processes import Failure, Options, World, say
from .verify import Verdict, verify


@dataclass
class Settings:
    """What the command line says."""

    seconds: float
    seed: int
    options: Options
    profile: Profile
    settle_seconds: float = 120


class Background:
    """Tasks that run beside a test and end with it; one that fails is not missed."""

    def __init__(self) -> None:
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Background:
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def add(self, coroutine) -> asyncio.Task[None]:  # noqa: ANN001 (a coroutine)
        task = asyncio.create_task(coroutine)
        self._tasks.append(task)
        return task

    def check(self) -> None:
        """Raises what ended a task early."""
        for task in self._tasks:
            if task.done() and not task.cancelled() and (error := task.exception()):
                raise error


async def settle(bus: Bus, world: World, published: Published, watcher: TrajectoryWatcher, seconds: float) -> float | None:
    """Liveness: the time until nothing is left to do, or None when it took longer than `seconds`.

    Nothing is left when every task has reached the last message of its own, every complete run has a trajectory, and
    streams and sinks have not changed for three seconds.
    """
    began = time.monotonic()
    quiet_since, before = time.monotonic(), None
    while time.monotonic() - began < seconds:
        streams = [(await bus.state(stream))["last_seq"] for stream in (EVENTS, PROCESSED, TRAJECTORIES, DEAD)]
        now = (streams, [await asyncio.to_thread(sink.figures) for sink in world.sinks])
        behind = await lag(bus, await bus.task_records())
        seen = watcher.sequence == streams[2]
        missing = sum(run.ended and run.root not in watcher.stored_at for run in published.runs.values())
        if now != before or behind or not seen or missing:
            before, quiet_since = now, time.monotonic()
        elif time.monotonic() - quiet_since >= 3:
            return quiet_since - began
        await asyncio.sleep(0.5)
    say(f"not at rest: behind {behind or 'nothing'}, {missing} trajectories missing, streams at {streams}")
    return None


def ledger(world: World) -> tuple[dict | None, str]:
    """What `skein ledger` says, and a line about it."""
    configuration = world.directory / "member-1.toml"
    command = [str(world.binary), "ledger", "--config", str(configuration), "--format", "json"]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=60)
    if answer.returncode == 2:
        return None, "this skein has no ledger command"
    if answer.returncode != 0:
        return None, f"skein ledger ended with {answer.returncode}: {answer.stderr.strip()[:300]}"
    return json.loads(answer.stdout), answer.stdout.strip()[:2000]


async def run_chaos(settings: Settings) -> bool:
    """Whether conservation and liveness hold."""
    with World(settings.options) as world:
        holds = await _run(world, settings)
        world.keep = not holds
        return holds


async def _run(world: World, settings: Settings) -> bool:
    options, profile = settings.options, settings.profile
    say(f"seed {settings.seed}, {settings.seconds:.0f} s, {options.members} members, {len(world.brokers)} brokers")
    await world.start_brokers_and_sinks()
    await world.start_members()
    published, seen = Published(), Observations()
    async with AsyncExitStack() as stack:
        bus = await Bus.connect(world.urls)
        stack.push_async_callback(bus.close)
        background = await stack.enter_async_context(Background())
        records, trajectories = RecordWatcher(bus), TrajectoryWatcher(bus, seen)
        background.add(records.run())
        background.add(trajectories.run())
        load = Load(bus, published, profile, settings.seed)
        publishing = background.add(load.run())
        injector = Injector(world, bus, records)
        faults = plan(
            settings.seed, settings.seconds, options.members, len(world.brokers), len(world.sinks), options.member_ttl
        )
        await injector.run(*faults, settings.seconds)
        background.check()
        load.stop()
        await injector.heal()
        say(f"faults over after {published.events} events, waiting for lag to return to zero")
        await asyncio.wait_for(publishing, settings.settle_seconds)
        settled = await settle(bus, world, published, trajectories, settings.settle_seconds)
        background.check()
        await collect(bus, world.sinks, seen)
        verdict = verify(published, seen)
        equation, ledger_line = await asyncio.to_thread(ledger, world)
    _judge(verdict, injector, settled, settings)
    _check_ledger(verdict, equation, published)
    _print(settings, world, published, seen, injector, trajectories, verdict, settled, ledger_line)
    return verdict.holds


def _judge(verdict: Verdict, injector: Injector, settled: float | None, settings: Settings) -> None:
    if settled is None:
        verdict.complain("liveness", [f"lag did not return to zero within {settings.settle_seconds:.0f} s"])
    verdict.complain("members", injector.complaints)
    verdict.complain("members that ended by themselves", injector.deaths)


def _check_ledger(verdict: Verdict, equation: dict | None, published: Published) -> None:
    """Compares the totals of the ledger with what was published, as far as it names them."""


def _print(settings, world, published, seen, injector, trajectories, verdict, settled, ledger_line) -> None:  # noqa: ANN001
    injected = ", ".join(f"{kind} {count}" for kind, count in sorted(injector.injected.items()))
    peaks = ", ".join(f"{member.memory_mb('VmHWM'):.0f}" for member in world.members)
    duplicates = ", ".join(f"{sink} {count}" for sink, count in verdict.sink_duplicates.items())
    rows = [
        ("seed", settings.seed),
        ("faults injected", f"{injector.injected.total()}: {injected}"),
        ("published and acknowledged", f"{published.events} events in {published.messages} messages of {len(published.runs)} runs"),
        ("of them", f"{published.repeated} published again, {len(published.poison)} poison messages, {published.disordered_runs} runs out of order"),
        ("processed", f"{seen.processed.total()} events"),
        ("dead-lettered", f"{len(seen.dead)} ({verdict.repeated_letters} letters more than once)"),
        ("trajectories", f"{len(seen.trajectories)}, {verdict.late_revisions} later revisions, {trajectories.unseen} messages unseen"),
        ("spans", ", ".join(f"{sink} {len(spans)}" for sink, spans in seen.spans.items())),
        ("duplicates at the sinks", duplicates),
        ("ledger", ledger_line),
        ("recovery after a member's death", injector.recovery_line()),
        ("lag back to zero", "never" if settled is None else f"after {settled:.1f} s"),
        ("memory of the members, peak", f"{peaks} MB"),
        ("lost", verdict.lost),
        ("duplicated trajectories", verdict.duplicated_trajectories),
    ]
    for name, value in rows:
        print(f"{name:32} {value}")
    print("conservation and liveness hold" if verdict.holds else "\n".join(["WRONG", *verdict.lines()]), flush=True)


__all__ = ["Background", "Failure", "Settings", "ledger", "run_chaos", "settle"]
