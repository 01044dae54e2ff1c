"""The seeded plan of faults, and what carries it out."""

from __future__ import annotations

import asyncio
import random
import signal
import statistics
import time
from collections import Counter
from dataclasses import dataclass, field

from .bus import EVENTS, Bus, RecordWatcher
from .processes import Member, World, say

MEMBER_FAULTS = ("kill", "pause", "stop")
BROKER_FAULTS = ("broker", "broker stop")
SINK_FAULTS = ("error", "throttle", "hang", "close")


@dataclass(frozen=True)
class Fault:
    """`target` counts members, brokers or sinks; the fault lasts from `at` for `seconds`."""

    at: float
    kind: str
    target: int
    seconds: float


def plan(
    seed: int, duration: float, members: int, brokers: int, sinks: int, ttl: float
) -> tuple[list[Fault], list[Fault]]:
    """Faults of members and brokers, one after the other, and faults of sinks, which run beside them."""
    rng = random.Random(f"{seed}/faults")
    infrastructure: list[Fault] = []
    now, deck = 2.0, []
    while True:
        if not deck:
            deck = [*MEMBER_FAULTS, *BROKER_FAULTS]
            rng.shuffle(deck)
        kind = deck.pop()
        away = rng.uniform(0.3, 2 if brokers == 1 else 5)
        seconds = {
            "kill": rng.uniform(0.2, ttl + 3),
            "pause": ttl + rng.uniform(0.5, 3),
            "stop": rng.uniform(0.2, 2),
            "broker": away,
            "broker stop": away,
        }[kind]
        if now + seconds > duration:
            break
        target = rng.randrange(brokers if kind in BROKER_FAULTS else members)
        infrastructure.append(Fault(now, kind, target, seconds))
        # Room to recover, so that each recovery can be told from the next fault's; less in a short test.
        now += max(seconds, 0 if kind in BROKER_FAULTS else ttl) + rng.uniform(2, 5) * min(1, duration / 60)
    return infrastructure, _sink_plan(rng, duration, sinks)


def _sink_plan(rng: random.Random, duration: float, sinks: int) -> list[Fault]:
    faults: list[Fault] = []
    for target in range(sinks):
        now, deck = rng.uniform(1, 3), []
        while True:
            if not deck:
                deck = list(SINK_FAULTS)
                rng.shuffle(deck)
            seconds = rng.uniform(1, 6)
            if now + seconds > duration:
                break
            faults.append(Fault(now, deck.pop(), target, seconds))
            now += seconds + rng.uniform(2, 8)
    return sorted(faults, key=lambda fault: fault.at)


@dataclass
class Recovery:
    """How long it took until others did a member's work."""

    at: float
    kind: str
    member: str
    seconds: float | None
    #: The task that was taken up last.
    last: str = ""


@dataclass
class Injector:
    """Carries out a plan against a world, and measures recoveries."""

    world: World
    bus: Bus
    watcher: RecordWatcher
    injected: Counter[str] = field(default_factory=Counter)
    recoveries: list[Recovery] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    #: Members that ended without being told to.
    deaths: list[str] = field(default_factory=list)

    async def run(self, infrastructure: list[Fault], sinks: list[Fault], duration: float) -> None:
        start = time.monotonic()
        supervisor = asyncio.create_task(self._supervise())
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._play(infrastructure, start, group))
                for number in range(len(self.world.sinks)):
                    group.create_task(self._play([f for f in sinks if f.target == number], start, group))
            await asyncio.sleep(max(0, start + duration - time.monotonic()))
        finally:
            supervisor.cancel()

    async def heal(self) -> None:
        """Waits until everything is well: the plan has ended all its faults."""
        await self.world.wait("the brokers", lambda: self.world.brokers_healthy, 30)
        await self.world.start_members()

    async def _play(self, faults: list[Fault], start: float, group: asyncio.TaskGroup) -> None:
        for fault in faults:
            await asyncio.sleep(max(0, start + fault.at - time.monotonic()))
            self.injected[f"sink {fault.kind}" if fault.kind in SINK_FAULTS else fault.kind] += 1
            if fault.kind in SINK_FAULTS:
                await self._trouble_sink(fault)
            elif fault.kind in BROKER_FAULTS:
                await self._restart_broker(fault)
            else:
                await self._trouble_member(fault, group)

    async def _trouble_sink(self, fault: Fault) -> None:
        sink = self.world.sinks[fault.target]
        say(f"{fault.at:6.1f} s  {sink.name} sink: {fault.kind} for {fault.seconds:.1f} s")
        await asyncio.to_thread(sink.set_mode, fault.kind)
        await asyncio.sleep(fault.seconds)
        await asyncio.to_thread(sink.set_mode, "ok")

    async def _restart_broker(self, fault: Fault) -> None:
        broker = self.world.brokers[fault.target]
        # An orderly end takes another way through the broker's files than a kill, with defects of its own.
        number = signal.SIGTERM if fault.kind == "broker stop" else signal.SIGKILL
        say(f"{fault.at:6.1f} s  {broker.name}: {number.name}, back after {fault.seconds:.1f} s")
        if number == signal.SIGKILL:
            broker.kill()
        elif not await broker.terminate(30):
            self.complaints.append(f"{broker.name} did not end within 30 s of SIGTERM:\n{broker.log_tail()}")
        await asyncio.sleep(fault.seconds)
        broker.start()
        # In a cluster only one node is down at a time: the next fault waits until this one has caught up.
        await self.world.wait("the brokers", lambda: self.world.brokers_healthy, 60)

    async def _trouble_member(self, fault: Fault, group: asyncio.TaskGroup) -> None:
        member = self.world.members[fault.target]
        say(f"{fault.at:6.1f} s  {member.name}: {fault.kind} for {fault.seconds:.1f} s")
        if not member.running:
            member.start()
        if fault.kind == "stop":
            member.wanted = False
            if not await member.terminate(20):
                self.complaints.append(f"{member.name} did not end within 20 s of SIGTERM:\n{member.log_tail()}")
            elif member.exit_code != 0:
                self.complaints.append(f"{member.name} ended with {member.exit_code} on SIGTERM:\n{member.log_tail()}")
        else:
            ends = (await self.bus.state(EVENTS))["last_seq"]
            recovery = Recovery(fault.at, fault.kind, member.name, None)
            self.recoveries.append(recovery)
            if fault.kind == "kill":
                member.wanted = False
                member.kill()
            else:
                member.pause()
            group.create_task(self._measure(recovery, member, ends))
        await asyncio.sleep(fault.seconds)
        if fault.kind == "pause":
            member.resume()
        else:
            member.start()

    async def _measure(self, recovery: Recovery, member: Member, events_end: int) -> None:
        """Recovered: no task is left to the dead member, and `process` has passed what EVENTS held then.

        The load goes on, so every partition has something newer. Records are written at checkpoints: what is measured
        includes up to one interval of them.
        """
        began = time.monotonic()
        records = self.watcher.records
        unread = {key for key in records if key[0] == "process"}
        # A paused member that is alone can only go on itself.
        alone = recovery.kind == "pause" and len(self.world.members) == 1
        owned = {} if alone else {key: r.epoch for key, r in records.items() if member.owns(r.owner)}
        deadline = began + self.world.options.member_ttl + 60
        while time.monotonic() < deadline:
            if left := sorted({*unread, *owned}):
                recovery.last = "{}.{}".format(*left[-1])
            unread = {key for key in unread if records[key].position <= events_end}
            owned = {key: epoch for key, epoch in owned.items() if records[key].epoch <= epoch}
            if not unread and not owned:
                recovery.seconds = time.monotonic() - began
                return
            await asyncio.sleep(0.1)
        left = ", ".join(f"{stage}.{partition}" for stage, partition in sorted({*unread, *owned}))
        self.complaints.append(f"nobody did these tasks of {member.name} within 60 s of its {recovery.kind}: {left}")

    async def _supervise(self) -> None:
        """Starts members again that ended by themselves, as an init system would, and takes note."""
        while True:
            for member in self.world.members:
                if member.wanted and not member.running:
                    self.deaths.append(f"{member.name} ended with {member.exit_code}:\n{member.log_tail()}")
                    member.start()
            await asyncio.sleep(0.5)

    def recovery_line(self) -> str:
        times = [recovery.seconds for recovery in self.recoveries if recovery.seconds is not None]
        if not times:
            return "none measured"
        target = self.world.options.member_ttl + 5
        slow = [
            f"{recovery.seconds:.1f} s after the {recovery.kind} of {recovery.member} at {recovery.at:.1f} s, "
            f"{recovery.last} last"
            for recovery in self.recoveries
            if recovery.seconds is not None and recovery.seconds >= target
        ]
        return (
            f"median {statistics.median(times):.1f} s, maximum {max(times):.1f} s of {len(self.recoveries)} "
            f"(target: below {target:.0f} s){'; ' if slow else ''}{'; '.join(slow)}"
        )


