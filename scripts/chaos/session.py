"""A running world with everything that watches it from the outside."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from .bus import DEAD, TRAJECTORIES, Bus, RecordWatcher, lag
from .model import Published
from .observe import Observations, TrajectoryWatcher, collect
from .processes import World, say
from .verify import Verdict, verify


class Background:
    """Tasks that run beside a test and end with it; one that fails is not missed."""

    def __init__(self) -> None:
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Background:
        return self

    async def __aexit__(self, *_: object) -> None:
        # Python 3.11's `wait_for` can lose a cancellation that comes as its answer does, so once is not always enough.
        while pending := [task for task in self._tasks if not task.done()]:
            for task in pending:
                task.cancel()
            await asyncio.wait(pending, timeout=1)

    def add(self, coroutine) -> asyncio.Task[None]:  # noqa: ANN001 (a coroutine)
        task = asyncio.create_task(coroutine)
        self._tasks.append(task)
        return task

    def check(self) -> None:
        """Raises what ended a task early."""
        for task in self._tasks:
            if task.done() and not task.cancelled() and (error := task.exception()):
                raise error


@dataclass
class Session:
    """One test: the world, what was published, what was seen."""

    world: World
    bus: Bus
    background: Background
    records: RecordWatcher
    trajectories: TrajectoryWatcher
    seen: Observations
    published: Published = field(default_factory=Published)

    async def settle(self, seconds: float) -> float | None:
        """Liveness: the time until nothing is left to do, or None when it took longer than `seconds`.

        Nothing is left when every task has reached the last message of its own, every complete run has a trajectory,
        and outputs have not changed for three seconds.
        """
        began = quiet_since = said = time.monotonic()
        before = None
        while time.monotonic() - began < seconds:
            self.background.check()
            streams = [(await self.bus.state(name))["last_seq"] for name in (TRAJECTORIES, DEAD)]
            now = (streams, [await asyncio.to_thread(sink.figures) for sink in self.world.sinks])
            behind = await lag(self.bus, await self.bus.task_records())
            stored = self.trajectories.stored_at
            missing = sum(run.ended and root not in stored for root, run in self.published.runs.items())
            if now != before or behind or missing or self.trajectories.sequence != streams[0]:
                before, quiet_since = now, time.monotonic()
            elif time.monotonic() - quiet_since >= 3:
                return quiet_since - began
            if time.monotonic() - said > 30:
                said = time.monotonic()
                say(f"not at rest: {sum(behind.values())} messages behind, {missing} trajectories missing")
            await asyncio.sleep(0.5)
        say(f"not at rest: behind {behind or 'nothing'}, {missing} trajectories missing, streams at {streams}")
        return None

    async def verify(self) -> Verdict:
        """Conservation, once everything has come to rest."""
        say("comparing what was published with what came out")
        await collect(self.bus, self.world.sinks, self.seen)
        return await asyncio.to_thread(verify, self.published, self.seen)


@asynccontextmanager
async def session(world: World) -> AsyncIterator[Session]:
    """Starts everything, and watches until the end of the `async with`."""
    await world.start_brokers_and_sinks()
    await world.start_members()
    bus = await Bus.connect(world.urls)
    try:
        async with Background() as background:
            seen = Observations()
            made = Session(world, bus, background, RecordWatcher(bus), TrajectoryWatcher(bus, seen), seen)
            background.add(made.records.run())
            background.add(made.trajectories.run())
            yield made
    finally:
        await bus.close()


def print_table(rows: list[tuple[str, object]]) -> None:
    for name, value in rows:
        print(f"{name:34} {value}")


def print_verdict(verdict: Verdict) -> None:
    print("conservation and liveness hold" if verdict.holds else "\n".join(["WRONG", *verdict.lines()]), flush=True)
