"""Shows that the verifier can fail: sound observations pass, and each way to spoil them is named."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable

from .ledger import Ledger, check_ledger
from .load import plan_run
from .model import Published, Run, event_key
from .observe import Observations, SpanRecord, Trajectory
from .schema import KIND_MARK, PHASE_NONE
from .verify import Verdict, verify

_SINK = "full"


def _sound() -> tuple[Published, Observations]:
    rng = random.Random(1)
    published, seen = Published(), Observations()
    for number in range(4):
        start, outgoing = plan_run(rng, disorder=number == 0)
        run = Run("default", start.uuid, ended_at=1.0)
        for message in outgoing:
            run.events.update(event.key for event in message.events)
            if message.disordered:
                run.disordered.update(event.uuid for event in message.events)
        published.add_run(run)
        for key in run.events:
            seen.processed[key] = 1
            seen.roots[key] = run.root
        seen.revisions[run.root, 1] = 1
        seen.trajectories[run.root] = Trajectory(1, sorted(run.events))
        spans = seen.spans.setdefault(_SINK, {})
        for uuid in run.scopes():
            spans[uuid[8:]] = [SpanRecord(run.root, 2, 0)]
    published.poison.add("poison-0000000000000001")
    seen.dead["poison-0000000000000001"] = 1
    return published, seen


def _first(values) -> object:  # noqa: ANN001 (any iterable)
    return next(iter(values))


def _lose_event(seen: Observations) -> None:
    del seen.processed[_first(seen.processed)]


def _repeat_event(seen: Observations) -> None:
    seen.processed[_first(seen.processed)] += 1


def _invent_event(seen: Observations) -> None:
    seen.processed[event_key(KIND_MARK, PHASE_NONE, bytes(16))] += 1


def _move_event(seen: Observations) -> None:
    seen.roots[_first(seen.roots)] = bytes(16)


def _lose_poison(seen: Observations) -> None:
    seen.dead.clear()


def _refuse_span(seen: Observations) -> None:
    seen.unexpected_dead["export-full: refused_400"] += 1


def _lose_trajectory(seen: Observations) -> None:
    del seen.trajectories[_first(seen.trajectories)]


def _repeat_trajectory(seen: Observations) -> None:
    seen.revisions[_first(seen.revisions)] += 1


def _shorten_trajectory(seen: Observations) -> None:
    _first(seen.trajectories.values()).events.pop()  # type: ignore[attr-defined]


def _abandon_trajectory(seen: Observations) -> None:
    _first(seen.trajectories.values()).complete = False  # type: ignore[attr-defined]


def _lose_span(seen: Observations) -> None:
    del seen.spans[_SINK][_first(seen.spans[_SINK])]


def _refuse_all(seen: Observations) -> None:
    _first(seen.spans[_SINK].values())[0].accepted = 0  # type: ignore[index]


def _change_span(seen: Observations) -> None:
    _first(seen.spans[_SINK].values())[0].changed = 1  # type: ignore[index]


def _invent_span(seen: Observations) -> None:
    seen.spans[_SINK][bytes(8)] = [SpanRecord(bytes(16), 1, 0)]


def _second_trace(seen: Observations) -> None:
    _first(seen.spans[_SINK].values()).append(SpanRecord(bytes(16), 1, 0))  # type: ignore[attr-defined]


#: How to spoil sound observations, and the category that must complain.
_SPOILED: list[tuple[Callable[[Observations], None], str]] = [
    (_lose_event, "events lost"),
    (_repeat_event, "events more than once"),
    (_invent_event, "unknown events"),
    (_move_event, "events with a wrong root"),
    (_lose_poison, "poison lost"),
    (_refuse_span, "unexpected dead letters"),
    (_lose_trajectory, "trajectories lost"),
    (_repeat_trajectory, "trajectories duplicated"),
    (_shorten_trajectory, "trajectories with events missing"),
    (_abandon_trajectory, "complete runs published as abandoned"),
    (_lose_span, "spans lost"),
    (_refuse_all, "spans lost"),
    (_change_span, "spans with changing content"),
    (_invent_span, "unknown spans"),
    (_second_trace, "spans with changing content"),
]


def _ledger_complaints(received: int) -> bool:
    published = Published(events=3, repeated=1, poison={"poison"})
    counts = {"received": received, "processed": 3, "deduplicated": 1, "dead_lettered": 1}
    verdict = Verdict()
    check_ledger(verdict, Ledger({"process": counts}), published)
    return not verdict.holds


def self_test() -> bool:
    """Whether the verifier says what it should in every case."""
    published, seen = _sound()
    sound = verify(published, seen)
    passed = sound.holds
    print(f"{'ok' if passed else 'WRONG'}: sound observations pass")
    for line in sound.lines():
        print(line)
    for spoil, category in _SPOILED:
        spoiled = copy.deepcopy(seen)
        spoil(spoiled)
        complaints = verify(published, spoiled).complaints
        named = len(complaints) == 1 and next(iter(complaints)).startswith(category)
        passed &= named
        name = spoil.__name__.strip("_").replace("_", " ")
        print(f"{'ok' if named else 'WRONG'}: {name} is reported as {', '.join(complaints) or 'nothing'}")
    for name, received, wrong in (("a sound ledger", 5, False), ("a ledger that counts too little", 4, True)):
        right = _ledger_complaints(received) == wrong
        passed &= right
        print(f"{'ok' if right else 'WRONG'}: {name} {'is reported' if wrong else 'passes'}")
    return passed
