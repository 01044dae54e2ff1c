"""./dev chaos: a seeded time of faults under load, then both properties from the outside."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from .faults import Injector, plan
from .ledger import Ledger, ask_ledger, check_ledger
from .load import Load, Profile
from .processes import Options, World, say
from .session import Session, print_table, print_verdict, session
from .verify import Verdict


@dataclass
class Settings:
    """What the command line says."""

    seconds: float
    seed: int
    options: Options
    profile: Profile
    settle_seconds: float = 120


async def run_chaos(settings: Settings) -> bool:
    """Whether conservation and liveness hold."""
    options = settings.options
    with World(options) as world:
        say(f"seed {settings.seed}, {settings.seconds:.0f} s, {options.members} members, {len(world.brokers)} brokers")
        async with session(world) as test:
            injector = Injector(world, test.bus, test.records)
            settled = await _inject(test, injector, settings)
            verdict = await test.verify()
            ledger = await asyncio.to_thread(ask_ledger, world)
        if settled is None:
            verdict.complain("liveness", [f"lag did not return to zero within {settings.settle_seconds:.0f} s"])
        verdict.complain("members", injector.complaints)
        verdict.complain("members that ended by themselves", injector.deaths)
        check_ledger(verdict, ledger, test.published)
        _print(settings, test, injector, verdict, settled, ledger)
        world.keep = not verdict.holds
        return verdict.holds


async def _inject(test: Session, injector: Injector, settings: Settings) -> float | None:
    """Load and faults, then the time until nothing was left to do."""
    options, world = settings.options, test.world
    load = Load(test.bus, test.published, settings.profile, settings.seed)
    publishing = test.background.add(load.run())
    faults = plan(
        settings.seed, settings.seconds, options.members, len(world.brokers), len(world.sinks), options.member_ttl
    )
    await injector.run(*faults, settings.seconds)
    test.background.check()
    load.stop()
    await injector.heal()
    say(f"faults over after {test.published.events} events, waiting for lag to return to zero")
    await asyncio.wait_for(publishing, settings.settle_seconds)
    return await test.settle(settings.settle_seconds)


def _print(
    settings: Settings, test: Session, injector: Injector, verdict: Verdict, settled: float | None, ledger: Ledger
) -> None:
    published, seen = test.published, test.seen
    injected = ", ".join(f"{kind} {count}" for kind, count in sorted(injector.injected.items()))
    peaks = ", ".join(f"{member.memory_mb('VmHWM'):.0f}" for member in test.world.members)
    runs = f"{len(published.runs)} runs, {published.disordered_runs} of them out of order"
    revisions = f"{verdict.late_revisions} later revisions, {verdict.unseen_revisions} replaced before they were read"
    duplicates = [f"{sink} {count}" for sink, count in verdict.sink_duplicates.items()]
    print_table(
        [
            ("seed", settings.seed),
            ("faults injected", f"{injector.injected.total()}: {injected}"),
            ("published and acknowledged", f"{published.events} events in {published.messages} messages, {runs}"),
            ("published a second time", f"{published.repeated} events under other message ids"),
            ("poison", f"{len(published.poison)} messages"),
            ("processed", f"{seen.processed.total()} events"),
            ("dead-lettered", f"{len(seen.dead)}, {verdict.repeated_letters} letters more than once"),
            ("trajectories", f"{len(seen.trajectories)}, {revisions}"),
            ("spans", ", ".join(f"{sink} {len(spans)}" for sink, spans in seen.spans.items())),
            ("duplicates at the sinks", ", ".join(duplicates)),
            *(("ledger", line) for line in ledger.lines()),
            ("recovery after a member's death", injector.recovery_line()),
            ("lag back to zero", "never" if settled is None else f"{settled:.1f} s after the last event"),
            ("peak memory of the members", f"{peaks} MB"),
            ("lost", verdict.lost),
            ("duplicated trajectories", verdict.duplicated_trajectories),
        ]
    )
    print_verdict(verdict)
