"""./dev scenario: proofs that take minutes, each with figures and a yes or no."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from .bus import PROCESSED, TRAJECTORIES
from .load import TENANTS, Event, Load, Profile, publish_bulk, scope, text, whole_run
from .model import Run
from .processes import Failure, Options, World, say
from .session import Session, print_verdict, session

EVENTS_PER_MESSAGE = 64
#: What one member may use, whatever happens.
MEMORY_BOUND_MB = 600


@dataclass
class Case:
    """A running scenario: its rows are printed, its misses fail it."""

    test: Session
    rng: random.Random
    #: Factor on all amounts.
    scale: float
    rows: list[tuple[str, object]]
    misses: list[str]

    def row(self, name: str, value: object) -> None:
        self.rows.append((name, value))
        print(f"{name:34} {value}", flush=True)

    def target(self, name: str, value: float, bound: float, unit: str) -> None:
        """A figure that has to stay at or below its bound."""
        self.row(name, f"{value:.1f} {unit} (target: at most {bound:.1f} {unit})")
        if value > bound:
            self.misses.append(f"{name} is {value:.1f} {unit}, should be at most {bound:.1f} {unit}")

    def amount(self, count: float) -> int:
        return max(1, int(count * self.scale))

    async def finish(self, seconds: float) -> bool:
        """Waits for rest, checks conservation, prints the verdict."""
        settled = await self.test.settle(seconds)
        verdict = await self.test.verify()
        if settled is None:
            verdict.complain("liveness", [f"lag did not return to zero within {seconds:.0f} s"])
        verdict.complain("targets missed", self.misses)
        self.row("published and acknowledged", f"{self.test.published.events} events")
        self.row("processed", f"{self.test.seen.processed.total()} events")
        self.row("duplicates at the sinks", verdict.sink_duplicates)
        self.row("lost", verdict.lost)
        self.row("duplicated trajectories", verdict.duplicated_trajectories)
        print_verdict(verdict)
        return verdict.holds

    def batches(self, words: int = 20) -> Callable[[int], tuple[Run, list[Event]]]:
        return lambda _: whole_run(self.rng, EVENTS_PER_MESSAGE, words)


# MARK: scale


async def _totals(test: Session) -> dict[str, float]:
    """Events that passed each stage so far: `process`, `assemble` and the first export."""

    def processed_events() -> float:
        members = [member for member in test.world.members if member.running]
        return sum(member.metric("skein_events_processed_total", 'stage="process"') for member in members)

    return {
        "process": await asyncio.to_thread(processed_events),
        "assemble": len(test.trajectories.stored_at) * EVENTS_PER_MESSAGE,
        "export": (await asyncio.to_thread(test.world.sinks[0].figures))["distinct"] * 2,
    }


async def _pass(case: Case, messages: int) -> dict[str, float]:
    """Publishes as fast as it goes; events a second from the first publish until each stage has passed everything."""
    start, began = await _totals(case.test), time.monotonic()
    publishing = asyncio.create_task(publish_bulk(case.test.bus, case.test.published, messages, case.batches()))
    rates: dict[str, float] = {}
    while len(rates) < len(start):
        passed = time.monotonic() - began
        for stage, total in (await _totals(case.test)).items():
            if stage not in rates and total - start[stage] >= messages * EVENTS_PER_MESSAGE:
                rates[stage] = messages * EVENTS_PER_MESSAGE / passed
        if passed > 600:
            raise Failure(f"only {', '.join(rates) or 'nothing'} was done after 600 s")
        await asyncio.sleep(0.2)
    await publishing
    return rates


async def _share(case: Case, members: int) -> None:
    """Starts one more member, and waits until that many owners have tasks, even within one."""
    test = case.test
    began = time.monotonic()
    test.world.add_member().start()
    while True:
        tasks = sorted(len(tasks) for tasks in test.records.owners().values())
        if len(tasks) == members and tasks[-1] - tasks[0] <= 1:
            break
        if time.monotonic() - began > 60:
            case.misses.append(f"{members} members did not share the tasks evenly: {tasks}")
            break
        await asyncio.sleep(0.1)
    case.row(f"{members} members: tasks of each", f"{tasks}, {time.monotonic() - began:.1f} s after its start")


async def scale(case: Case) -> bool:
    """One member, then two, then three; each new one comes while the others are busy."""
    messages = case.amount(200_000 / EVENTS_PER_MESSAGE)
    for members in (1, 2, 3):
        if members > 1:
            await asyncio.gather(_pass(case, messages), _share(case, members))
        rates = await _pass(case, messages)
        case.row(f"{members} members, events/s", ", ".join(f"{stage} {rate:,.0f}" for stage, rate in rates.items()))
    return await case.finish(120)


# MARK: restart


async def restart(case: Case) -> bool:
    """A member that was killed with 100,000 open scopes comes back to a backlog of 1 GB."""
    test, member = case.test, case.test.world.members[0]
    scopes = 100
    runs = case.amount(100_000 / scopes)
    await publish_bulk(test.bus, test.published, runs, lambda _: whole_run(case.rng, scopes, open_scopes=True))
    if await test.settle(120) is None:
        case.misses.append("the open scopes were not processed within 120 s")
    case.row("open scopes", runs * scopes)
    case.row("memory with them", f"{member.memory_mb():.0f} MB")
    member.kill()
    say("publishing the backlog, no member runs")
    text_of_2kb = text(case.rng, 700)
    plan = case.batches()

    def large(number: int) -> tuple[Run, list[Event]]:
        run, events = plan(number)
        return run, [Event(**{**vars(event), "data": {"text": text_of_2kb}}) for event in events]

    before = (await test.bus.state("SKEIN_EVENTS"))["bytes"]
    await publish_bulk(test.bus, test.published, case.amount(4_300), large)
    backlog = (await test.bus.state("SKEIN_EVENTS"))["bytes"] - before
    case.row("backlog", f"{backlog / 1e9:.2f} GB")
    member.start()
    for what, seconds in (await _first_outputs(test)).items():
        case.target(f"reading again: {what}", seconds, 10, "s")
    holds = await case.finish(600)
    case.target("peak memory", member.memory_mb("VmHWM"), MEMORY_BOUND_MB, "MB")
    return holds and not case.misses


async def _first_outputs(test: Session) -> dict[str, float]:
    """Seconds until each stage has put out something new; infinite after a minute."""
    began = time.monotonic()

    async def of_stream(stream: str) -> float:
        return (await test.bus.state(stream))["last_seq"]

    def of_sink(number: int) -> Callable[[], Awaitable[float]]:
        async def accepted() -> float:
            return (await asyncio.to_thread(test.world.sinks[number].figures))["accepted"]

        return accepted

    probes: dict[str, Callable[[], Awaitable[float]]] = {
        "process": lambda: of_stream(PROCESSED),
        "assemble": lambda: of_stream(TRAJECTORIES),
        **{f"export-{sink.name}": of_sink(number) for number, sink in enumerate(test.world.sinks)},
    }
    start = {what: await probe() for what, probe in probes.items()}
    found: dict[str, float] = {}
    while len(found) < len(probes) and time.monotonic() - began < 60:
        for what, probe in probes.items():
            if what not in found and await probe() > start[what]:
                found[what] = time.monotonic() - began
        await asyncio.sleep(0.05)
    return {what: found.get(what, float("inf")) for what in probes}


# MARK: outage


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))] if values else float("nan")


async def outage(case: Case) -> bool:
    """One endpoint is down while 1,000,000 events pass; the other one must hardly notice."""
    test, member = case.test, case.test.world.members[0]
    healthy, broken = test.world.sinks
    rate = 4000

    async def publish(events: int, rate: int = rate) -> None:
        await publish_bulk(test.bus, test.published, case.amount(events / EVENTS_PER_MESSAGE), case.batches(), rate)

    # What a member remembers of closed runs and scopes is bounded, and fills with any load: a growth tells only after that.
    memory = [member.memory_mb()]
    await publish(1_280_000, 2 * rate)
    memory.append(member.memory_mb())
    began = time.time()
    await publish(80_000)
    memory.append(member.memory_mb())
    say(f"the endpoint {broken.name} goes down")
    broken.set_mode("close")
    down = time.time()
    # The endpoint's queues fill first, then only the backlog grows.
    await publish(160_000)
    memory.append(member.memory_mb())
    await publish(840_000)
    memory.append(member.memory_mb())
    say(f"the endpoint {broken.name} comes back")
    broken.set_mode("ok")
    back = time.time()
    while (behind := healthy.figures()["distinct"] - broken.figures()["distinct"]) > rate:
        if time.time() - back > 600:
            case.misses.append(f"{broken.name} is still {behind:.0f} spans behind after 600 s")
            break
        await publish_bulk(test.bus, test.published, rate // EVENTS_PER_MESSAGE, case.batches(), rate)
    caught_up = time.time()
    case.row("catch-up", f"{caught_up - back:.0f} s under the same load of {rate} events/s")
    phases = {"before": (began, down), "outage": (down, back), "catch-up": (back, caught_up)}
    latencies = await asyncio.to_thread(_latencies, healthy.ask("/control/latency"), phases)
    for phase, values in latencies.items():
        p50, p99 = percentile(values, 0.5), percentile(values, 0.99)
        case.row(f"{healthy.name}, {phase}", f"p50 {p50 * 1000:.0f} ms, p99 {p99 * 1000:.0f} ms of {len(values)} spans")
    p99 = {phase: percentile(values, 0.99) for phase, values in latencies.items()}
    case.target("p99 in the outage", p99["outage"] / p99["before"], 2, "times")
    case.target("p99 in the catch-up", p99["catch-up"] / p99["before"], 5, "times")
    case.row("memory, MB", "{:.0f} at first, {:.0f} and {:.0f} before, {:.0f} and {:.0f} in the outage".format(*memory))
    case.target("growth as its queues fill", max(0, memory[3] - memory[2]), 60, "MB")
    case.target("growth as the backlog grows", max(0, memory[4] - memory[3]), 30, "MB")
    case.target("peak memory", member.memory_mb("VmHWM"), MEMORY_BOUND_MB, "MB")
    return await case.finish(300)


def _latencies(packed: bytes, phases: dict[str, tuple[float, float]]) -> dict[str, list[float]]:
    """Seconds from a span's end to its arrival, by the phase in which it arrived."""
    values = memoryview(packed).cast("d")
    found: dict[str, list[float]] = {phase: [] for phase in phases}
    for arrival, latency in zip(values[::2], values[1::2]):
        for phase, (start, end) in phases.items():
            if start <= arrival < end:
                found[phase].append(latency)
    return found


# MARK: giant


async def giant(case: Case) -> bool:
    """One run of 1,000,000 events beside ordinary ones."""
    test, member = case.test, case.test.world.members[0]
    load = Load(test.bus, test.published, Profile(workers=2, events_per_second=500, poison=0, disorder=0), 1)
    publishing = test.background.add(load.run())
    quiet = max(5, 20 * case.scale)
    await asyncio.sleep(quiet)
    began = time.time()
    say("the giant begins")
    run = await _publish_giant(case)
    say("the giant has ended")
    await asyncio.sleep(quiet)
    load.stop()
    await publishing
    case.target("peak memory", member.memory_mb("VmHWM"), MEMORY_BOUND_MB, "MB")
    holds = await case.finish(600)
    p99 = {}
    for phase, with_giant in (("alone", False), ("beside the giant", True)):
        values = [
            test.trajectories.stored_at[other.root] - other.ended_at
            for other in test.published.runs.values()
            if other is not run and other.root in test.trajectories.stored_at
            and other.ended_at is not None and (other.ended_at >= began) == with_giant
        ]  # fmt: skip
        p99[phase] = percentile(values, 0.99)
        case.row(
            f"end of a run to its trajectory, {phase}",
            f"p50 {percentile(values, 0.5):.2f} s, p99 {p99[phase]:.2f} s of {len(values)} runs",
        )
    case.target("p99 beside the giant", p99["beside the giant"] / p99["alone"], 5, "times")
    if found := test.seen.trajectories.get(run.root):
        held = f"{len(found.events)} of {len(run.events)} events"
        case.row("the giant's document", f"revision {found.revision} with {held}")
    case.target("peak memory, at last", member.memory_mb("VmHWM"), MEMORY_BOUND_MB, "MB")
    return holds and not case.misses


async def _publish_giant(case: Case) -> Run:
    start, end = scope(case.rng, None, "giant", "agent", {"task": "everything"}, {"done": True})
    run = Run(TENANTS[1], start.uuid, beyond_bounds=True)
    messages = case.amount(1_000_000 / EVENTS_PER_MESSAGE)

    def plan(number: int) -> tuple[Run, list[Event]]:
        events: list[Event] = []
        for _ in range(EVENTS_PER_MESSAGE // 2):
            events += scope(case.rng, run.root, "search", "tool", {"n": number}, {"found": text(case.rng, 20)})
        return run, events

    async def one(events: list[Event]) -> None:
        await publish_bulk(case.test.bus, case.test.published, 1, lambda _: (run, events))

    await one([start])
    await publish_bulk(case.test.bus, case.test.published, messages, plan, events_per_second=8000)
    await one([end])
    return run


SCENARIOS: dict[str, tuple[Callable[[Case], Awaitable[bool]], Options]] = {
    "scale": (scale, Options(members=1, sinks=("openinference",))),
    "restart": (restart, Options(members=1)),
    "outage": (outage, Options(members=1)),
    "giant": (giant, Options(members=1)),
}


async def run_scenario(name: str, seed: int, factor: float) -> bool:
    """Whether everything that the scenario is to show was seen."""
    scenario, options = SCENARIOS[name]
    with World(options) as world:
        say(f"scenario {name}, seed {seed}")
        async with session(world) as test:
            case = Case(test, random.Random(f"{seed}/{name}"), factor, [], [])
            holds = await scenario(case)
        for miss in case.misses:
            print(f"missed: {miss}")
        world.keep = not holds
        return holds
