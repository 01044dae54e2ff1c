"""What was published, and what must become of it."""

from __future__ import annotations

import uuid as uuids
from dataclasses import dataclass, field

from .schema import KIND_MARK, KIND_SCOPE, PHASE_END, PHASE_NONE, PHASE_START

#: Kind, phase and UUID of an event in 17 bytes: what makes it the same event.
EventKey = bytes


def event_key(kind: int, phase: int, uuid: bytes) -> EventKey:
    return bytes((kind << 4 | phase,)) + uuid


def json_event_key(event: dict) -> EventKey:
    """Of an ATOF event as it stands in a trajectory document."""
    uuid = uuids.UUID(event["uuid"]).bytes
    if event["kind"] == "mark":
        return event_key(KIND_MARK, PHASE_NONE, uuid)
    return event_key(KIND_SCOPE, PHASE_START if event["scope_category"] == "start" else PHASE_END, uuid)


def key_text(key: EventKey) -> str:
    kind = {KIND_SCOPE << 4 | PHASE_START: "start", KIND_SCOPE << 4 | PHASE_END: "end"}.get(key[0], "mark")
    return f"{kind} {uuids.UUID(bytes=key[1:])}"


@dataclass
class Run:
    """An agent's run. `root` is its first scope."""

    tenant: str
    root: bytes
    name: str = "run"
    #: Events that the broker acknowledged.
    events: set[EventKey] = field(default_factory=set)
    #: Scopes that came before their parents: their spans may begin traces of their own.
    disordered: set[bytes] = field(default_factory=set)
    #: When its last message was acknowledged; None while it is open.
    ended_at: float | None = None
    #: Whether it is too large for its document to hold every event.
    beyond_bounds: bool = False

    @property
    def ended(self) -> bool:
        return self.ended_at is not None

    def scopes(self) -> set[bytes]:
        """UUIDs of scopes with a start and an end: each becomes a span."""
        start, end = (bytes((KIND_SCOPE << 4 | phase,)) for phase in (PHASE_START, PHASE_END))
        return {key[1:] for key in self.events if key[:1] == start and end + key[1:] in self.events}

    def marks(self) -> set[bytes]:
        return {key[1:] for key in self.events if key[0] >> 4 == KIND_MARK}


@dataclass
class Published:
    """Everything that the broker acknowledged."""

    runs: dict[bytes, Run] = field(default_factory=dict)
    #: Tokens of messages and events that must end as dead letters.
    poison: set[str] = field(default_factory=set)
    messages: int = 0
    events: int = 0
    #: Events that were published again under another message id.
    repeated: int = 0
    disordered_runs: int = 0

    def add_run(self, run: Run) -> None:
        self.runs[run.root] = run

    def event_keys(self) -> set[EventKey]:
        return set().union(*(run.events for run in self.runs.values())) if self.runs else set()
