"""Conservation: what was published against what came out. Pure, so that it can be shown to fail (selftest.py)."""

from __future__ import annotations

import uuid as uuids
from collections.abc import Iterable
from dataclasses import dataclass, field

from .model import Published, Run, key_text
from .observe import Observations, SpanRecord


@dataclass
class Verdict:
    """Complaints by category, and figures. Nothing is wrong when there are no complaints."""

    complaints: dict[str, list[str]] = field(default_factory=dict)
    lost: int = 0
    duplicated_trajectories: int = 0
    sink_duplicates: dict[str, int] = field(default_factory=dict)
    repeated_letters: int = 0
    late_revisions: int = 0
    #: Revisions that the next one replaced before they could be read.
    unseen_revisions: int = 0

    def complain(self, category: str, items: Iterable[str]) -> int:
        """How many complaints were added."""
        items = list(items)
        if items:
            self.complaints.setdefault(category, []).extend(items)
        return len(items)

    @property
    def holds(self) -> bool:
        return not self.complaints

    def lines(self, limit: int = 5) -> list[str]:
        """What is wrong, with the first examples of each category."""
        lines = []
        for category, items in self.complaints.items():
            lines.append(f"{category}: {len(items)}")
            lines += [f"    {item}" for item in items[:limit]]
        return lines


def verify(published: Published, seen: Observations, trajectories: bool = True) -> Verdict:
    """Both sides of conservation for events, dead letters, trajectories and spans."""
    verdict = Verdict()
    _verify_events(verdict, published, seen)
    _verify_dead_letters(verdict, published, seen)
    if trajectories:
        _verify_trajectories(verdict, published, seen)
    for sink, spans in seen.spans.items():
        _verify_spans(verdict, published, sink, spans, seen.changes)
    return verdict


def _verify_events(verdict: Verdict, published: Published, seen: Observations) -> None:
    expected = published.event_keys()
    processed = seen.processed
    verdict.lost += verdict.complain(
        "events lost: acknowledged and not in SKEIN_PROCESSED", map(key_text, expected - processed.keys())
    )
    verdict.complain("unknown events in SKEIN_PROCESSED", map(key_text, processed.keys() - expected))
    verdict.complain(
        "events more than once in SKEIN_PROCESSED",
        (f"{key_text(key)}: {count} times" for key, count in processed.items() if count > 1),
    )
    verdict.complain(
        "events with a wrong root",
        (
            f"{key_text(key)} has {seen.roots[key].hex()}, should be {run.root.hex()}"
            for run in published.runs.values()
            for key in run.events
            if key in seen.roots and seen.roots[key] != run.root
        ),
    )


def _verify_dead_letters(verdict: Verdict, published: Published, seen: Observations) -> None:
    verdict.lost += verdict.complain(
        "poison lost: acknowledged and not in SKEIN_DEAD", published.poison - seen.dead.keys()
    )
    verdict.complain("unknown dead letters", seen.dead.keys() - published.poison)
    verdict.complain("unexpected dead letters", (f"{what}: {count}" for what, count in seen.unexpected_dead.items()))
    verdict.repeated_letters = sum(count - 1 for count in seen.dead.values())


def _verify_trajectories(verdict: Verdict, published: Published, seen: Observations) -> None:
    repeated = [
        f"{uuids.UUID(bytes=root)} revision {revision}: {count} times"
        for (root, revision), count in seen.revisions.items()
        if count > 1
    ]
    verdict.duplicated_trajectories = verdict.complain("trajectories duplicated", repeated)
    verdict.late_revisions = sum(revision > 1 for _, revision in seen.revisions)
    newest = sum(trajectory.revision for trajectory in seen.trajectories.values())
    verdict.unseen_revisions = newest - len(seen.revisions)
    complete = {root: run for root, run in published.runs.items() if run.ended}
    verdict.lost += verdict.complain(
        "trajectories lost", (str(uuids.UUID(bytes=root)) for root in complete.keys() - seen.trajectories.keys())
    )
    verdict.complain(
        "trajectories of no run",
        (str(uuids.UUID(bytes=root)) for root in seen.trajectories.keys() - published.runs.keys()),
    )
    for root in complete.keys() & seen.trajectories.keys():
        _verify_document(verdict, complete[root], seen)


def _verify_document(verdict: Verdict, run: Run, seen: Observations) -> None:
    trajectory = seen.trajectories[run.root]
    name = f"{uuids.UUID(bytes=run.root)} revision {trajectory.revision}"
    held = set(trajectory.events)
    if (missing := run.events - held) and not run.beyond_bounds:
        verdict.lost += 1
        verdict.complain("trajectories with events missing", [f"{name}: {', '.join(map(key_text, list(missing)[:3]))}"])
    if foreign := held - run.events:
        verdict.complain("trajectories with foreign events", [f"{name}: {', '.join(map(key_text, list(foreign)[:3]))}"])
    if len(held) < len(trajectory.events):
        verdict.complain("trajectories with an event twice", [name])
    if not trajectory.complete:
        verdict.complain("complete runs published as abandoned", [name])


def _verify_spans(
    verdict: Verdict, published: Published, sink: str, spans: dict[bytes, list[SpanRecord]], changes: dict[str, str]
) -> None:
    expected: dict[bytes, set[bytes]] = {}
    optional: set[bytes] = set()
    for run in published.runs.values():
        for uuid in run.scopes():
            # A scope that came before its parent may have begun a trace of its own.
            expected[uuid[8:]] = {run.root, uuid} if uuid in run.disordered else {run.root}
        # A mark is a span only when its parent is not open.
        optional.update(uuid[8:] for uuid in run.marks())
    delivered = {span for span, records in spans.items() if any(record.accepted for record in records)}
    verdict.lost += verdict.complain(
        f"spans lost at {sink}", (span.hex() for span in expected.keys() - delivered)
    )
    verdict.complain(f"unknown spans at {sink}", (span.hex() for span in spans.keys() - expected.keys() - optional))
    verdict.complain(
        f"spans with changing content at {sink}",
        (
            f"{span.hex()} {changes.get(span.hex(), f'in {len(records)} traces')}"
            for span, records in spans.items()
            if len(records) > 1 or any(record.changed for record in records)
        ),
    )
    verdict.complain(
        f"spans in a wrong trace at {sink}",
        (
            f"{span.hex()} in {records[0].trace.hex()}"
            for span, records in spans.items()
            if span in expected and records[0].trace not in expected[span]
        ),
    )
    verdict.sink_duplicates[sink] = sum(
        record.accepted - 1 for records in spans.values() for record in records if record.accepted > 1
    )
