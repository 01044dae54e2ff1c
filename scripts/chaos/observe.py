"""What came out: the processed events, dead letters, trajectories and spans, read as any subscriber would."""

from __future__ import annotations

import asyncio
import difflib
import json
import re
from collections import Counter
from dataclasses import dataclass, field

from .bus import DEAD, OWN_TENANT, PROCESSED, TRAJECTORIES, Bus, Message
from .model import EventKey, event_key, json_event_key
from .processes import Sink
from .schema import EventBatch, Span
from .sink import SPAN

_TOKEN = re.compile(rb"poison-[0-9a-f]{16}")


@dataclass
class SpanRecord:
    """What a sink says about a span."""

    trace: bytes
    accepted: int
    changed: int


@dataclass
class Trajectory:
    """The newest revision of a trajectory."""

    revision: int
    events: list[EventKey]
    complete: bool = True


@dataclass
class Observations:
    """Everything that is compared with what was published."""

    processed: Counter[EventKey] = field(default_factory=Counter)
    #: Root that `process` resolved, of each event.
    roots: dict[EventKey, bytes] = field(default_factory=dict)
    #: Tokens of poison in letters of `process`; other letters by stage and reason.
    dead: Counter[str] = field(default_factory=Counter)
    unexpected_dead: Counter[str] = field(default_factory=Counter)
    #: How often a revision of a trajectory was stored.
    revisions: Counter[tuple[bytes, int]] = field(default_factory=Counter)
    trajectories: dict[bytes, Trajectory] = field(default_factory=dict)
    #: Sink to span id to what it has; more than one when traces differ.
    spans: dict[str, dict[bytes, list[SpanRecord]]] = field(default_factory=dict)
    #: Span id in hexadecimal to what is different, in words.
    changes: dict[str, str] = field(default_factory=dict)

    def receive_processed(self, subject: str, _: dict[str, str], body: bytes) -> None:
        if subject.split(".")[3] == OWN_TENANT:
            return
        for event in EventBatch.FromString(body).events:
            key = event_key(event.kind, event.phase, event.uuid)
            self.processed[key] += 1
            self.roots[key] = event.root_uuid

    def receive_dead(self, subject: str, headers: dict[str, str], body: bytes) -> None:
        stage = subject.split(".")[3]
        token = _TOKEN.search(body)
        if stage == "process" and token:
            self.dead[token.group().decode()] += 1
        else:
            self.unexpected_dead[f"{stage}: {headers.get('Skein-Reason')}, {headers.get('Skein-Error', '')[:120]}"] += 1

    def receive_spans(self, sink: str, packed: bytes) -> None:
        spans = self.spans.setdefault(sink, {})
        for trace, span, _, accepted, changed in SPAN.iter_unpack(packed):
            spans.setdefault(span, []).append(SpanRecord(trace, accepted, changed))

    @property
    def dead_letters(self) -> int:
        return sum(self.dead.values()) + sum(self.unexpected_dead.values())


class TrajectoryWatcher:
    """Reads every message of SKEIN_TRAJECTORIES while it happens: the stream keeps only the last of a subject."""

    def __init__(self, bus: Bus, observations: Observations) -> None:
        self._bus = bus
        self._observations = observations
        self._chunks: dict[str, bytes] = {}
        #: Root to when its first revision was stored.
        self.stored_at: dict[bytes, float] = {}
        self._sequence = 0

    async def run(self) -> None:
        await self._bus.wait_for_stream(TRAJECTORIES)
        async for message in self._bus.follow_all(TRAJECTORIES):
            self._sequence = message.sequence
            self._receive(message)

    @property
    def sequence(self) -> int:
        return self._sequence

    def _receive(self, message: Message) -> None:
        tokens = message.subject.split(".")
        if len(tokens) > 5:
            if tokens[5] == "body":
                self._chunks[message.subject] = message.data
            return
        root = bytes.fromhex(tokens[4].replace("-", ""))
        revision = int(message.headers.get("Skein-Revision", "1"))
        body = message.data
        if "Skein-Chunks" in message.headers:
            names = [f"{message.subject}.body.{revision}.{n + 1}" for n in range(int(message.headers["Skein-Chunks"]))]
            body = b"".join(self._chunks.pop(name, b"") for name in names)
        self.stored_at.setdefault(root, message.time)
        self._observations.revisions[root, revision] += 1
        known = self._observations.trajectories.get(root)
        if known is None or revision >= known.revision:
            self._observations.trajectories[root] = _trajectory(revision, body)


def _trajectory(revision: int, body: bytes) -> Trajectory:
    try:
        document = json.loads(body)
        extra = document["extra"]
        state = (extra.get("skein") or {}).get("state")
        events = [json_event_key(event) for event in extra["observed_events"]]
        return Trajectory(revision, events, state != "abandoned")
    except (ValueError, KeyError):
        return Trajectory(revision, [])


async def collect(bus: Bus, sinks: list[Sink], observations: Observations) -> None:
    """Reads what the streams and the sinks hold when everything has come to rest."""
    await bus.read_all(PROCESSED, observations.receive_processed)
    await bus.read_all(DEAD, observations.receive_dead)
    for sink in sinks:
        packed = await asyncio.to_thread(sink.ask, "/control/spans")
        observations.receive_spans(sink.name, packed)
        changes = json.loads(await asyncio.to_thread(sink.ask, "/control/changes"))
        for span, contents in changes.items():
            first, second = (Span.FromString(bytes.fromhex(content)) for content in contents)
            observations.changes[span] = difference(first, second)


def difference(first, second) -> str:  # noqa: ANN001 (messages built at run time)
    """The lines in which two spans differ, in protobuf's text form."""
    lines = difflib.unified_diff(str(first).splitlines(), str(second).splitlines(), n=0, lineterm="")
    changed = [line for line in lines if not line.startswith(("---", "+++", "@@"))]
    name = first.name.decode(errors="replace")
    return f"{name}: " + " | ".join(line[:100] for line in changed[:8])
