"""Publishers: runs of agents with LLM calls, tools and marks, interleaved, repeated, out of order, and poison."""

from __future__ import annotations

import asyncio
import json
import random
import time
import uuid as uuids
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timezone

from .bus import Bus
from .model import EventKey, Published, Run, event_key
from .schema import KIND_MARK, KIND_SCOPE, PHASE_END, PHASE_NONE, PHASE_START, EventBatch

TENANTS = ("default", "acme", "umbrella")
_WORDS = "the agent asks a tool for the height of a lighthouse and compares two sources before it answers".split()


@dataclass(frozen=True)
class Event:
    """An event before its time is known."""

    kind: int
    phase: int
    uuid: bytes
    parent: bytes | None
    name: str
    category: str | None = None
    data: object = None
    profile: object = None

    @property
    def key(self) -> EventKey:
        return event_key(self.kind, self.phase, self.uuid)


@dataclass
class Outgoing:
    """A message of a run before it is published."""

    events: list[Event]
    #: Published by another producer under a key of its own, as a process that the run called.
    remote: bool = False
    #: Its scopes come before their parents.
    disordered: bool = False
    #: How long after the message before it.
    delay: float = 0


@dataclass
class Profile:
    """How much of what a load contains; probabilities per run or per message."""

    workers: int = 4
    runs_per_worker: int = 4
    events_per_second: float = 1500
    repeat: float = 0.03
    poison: float = 0.01
    json_lines: float = 0.25
    disorder: float = 0.2


def text(rng: random.Random, words: int) -> str:
    return " ".join(rng.choices(_WORDS, k=words))


def scope(
    rng: random.Random,
    parent: bytes | None,
    name: str,
    category: str,
    start: object,
    end: object,
    profile: object = None,
) -> tuple[Event, Event]:
    """Start and end of a new scope, with their data."""
    uuid = rng.randbytes(16)
    return (
        Event(KIND_SCOPE, PHASE_START, uuid, parent, name, category, start, profile),
        Event(KIND_SCOPE, PHASE_END, uuid, parent, name, category, end, profile),
    )


def llm_call(rng: random.Random, parent: bytes, tool: str | None = None) -> tuple[Event, Event]:
    """An OpenAI chat call; its answer asks for the tool call `tool`."""
    messages = [{"role": "system", "content": "You are helpful."}, {"role": "user", "content": text(rng, 40)}]
    request = {"headers": {}, "content": {"model": "gpt-4.1-mini", "messages": messages}}
    calls = [{"id": tool, "type": "function", "function": {"name": "search", "arguments": '{"query": "height"}'}}]
    message: dict[str, object] = {"role": "assistant", "content": None if tool else text(rng, 30)}
    if tool:
        message["tool_calls"] = calls
    response = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": "gpt-4.1-mini",
        "choices": [{"index": 0, "finish_reason": "tool_calls" if tool else "stop", "message": message}],
        "usage": {"prompt_tokens": 120, "completion_tokens": 30, "total_tokens": 150},
    }
    return scope(rng, parent, "openai", "llm", request, response, {"model_name": "gpt-4.1-mini"})


def tool_call(rng: random.Random, parent: bytes, call: str) -> tuple[Event, Event]:
    return scope(rng, parent, "search", "tool", {"query": "height"}, {"found": text(rng, 20)}, {"tool_call_id": call})


def mark(rng: random.Random, parent: bytes) -> Event:
    return Event(KIND_MARK, PHASE_NONE, rng.randbytes(16), parent, "progress", None, {"step": rng.randrange(100)})


def plan_run(rng: random.Random, disorder: bool) -> tuple[Event, list[Outgoing]]:
    """The messages of a run, and its opening event. In order, or with one kind of disorder."""
    start, end = scope(rng, None, "research-agent", "agent", {"question": text(rng, 12)}, {"answer": text(rng, 12)})
    root = start.uuid
    kind = rng.choice(("child-first", "opener-late", "remote", "late-mark")) if disorder else None
    events = [start, mark(rng, root)]
    outgoing: list[Outgoing] = []

    def flush() -> None:
        while events:
            size = rng.randint(2, 24)
            outgoing.append(Outgoing(events[:size]))
            del events[:size]

    if kind == "opener-late":
        outgoing.append(Outgoing(list(llm_call(rng, root)), disordered=True))
    steps = rng.randint(1, 8)
    for step in range(steps):
        call = f"call_{step}"
        events += llm_call(rng, root, call)
        tool_start, tool_end = tool_call(rng, root, call)
        if step == steps // 2 and kind in ("child-first", "remote"):
            flush()
            nested = Outgoing([*llm_call(rng, tool_start.uuid)], remote=kind == "remote", disordered=True)
            opening = Outgoing([tool_start])
            outgoing += [nested, opening] if kind == "child-first" else [opening, nested]
        else:
            events.append(tool_start)
            if rng.random() < 0.3:
                sub_start, sub_end = scope(rng, tool_start.uuid, "helper", "agent", {"task": "look"}, {"done": True})
                events += [sub_start, *llm_call(rng, sub_start.uuid), sub_end]
        events.append(tool_end)
        if rng.random() < 0.4:
            events.append(mark(rng, root))
    events += [*llm_call(rng, root), end]
    flush()
    if kind == "late-mark":
        # Within the time that a trajectory lingers, or after it: then it makes a further revision.
        outgoing.append(Outgoing([mark(rng, root)], delay=rng.uniform(0, 5)))
    return start, outgoing


def compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def encode_batch(events: list[Event], root: bytes, producer: str, sequence: int, now: float) -> bytes:
    batch = EventBatch(producer=producer.encode(), sequence=sequence)
    seconds, nanos = int(now), int((now % 1) * 1e9)
    for event in events:
        wire = batch.events.add(
            kind=event.kind,
            phase=event.phase,
            uuid=event.uuid,
            name=event.name.encode(),
            data=compact(event.data).encode(),
            propagation_root_uuid=root,
            atof_version=b"0.1",
        )
        wire.timestamp.seconds, wire.timestamp.nanos = seconds, nanos
        if event.parent is not None:
            wire.parent_uuid = event.parent
        if event.category is not None:
            wire.category = event.category.encode()
        if event.profile is not None:
            wire.category_profile = compact(event.profile).encode()
    return batch.SerializeToString()


def encode_lines(events: list[Event], root: bytes, now: float) -> bytes:
    timestamp = datetime.fromtimestamp(now, timezone.utc).isoformat(timespec="microseconds")
    lines = []
    for event in events:
        line = {
            "atof_version": "0.1",
            "kind": "mark" if event.kind == KIND_MARK else "scope",
            "uuid": str(uuids.UUID(bytes=event.uuid)),
            "parent_uuid": None if event.parent is None else str(uuids.UUID(bytes=event.parent)),
            "propagation_root_uuid": str(uuids.UUID(bytes=root)),
            "timestamp": timestamp,
            "name": event.name,
            "category": event.category,
            "category_profile": event.profile,
            "data": event.data,
            "data_schema": None,
            "metadata": None,
        }
        if event.kind == KIND_SCOPE:
            line |= {"attributes": [], "scope_category": "start" if event.phase == PHASE_START else "end"}
        lines.append(compact(line))
    return "\n".join(lines).encode()


class Pace:
    """Lets through a number of events a second, over all publishers; nothing is saved up for later."""

    def __init__(self, events_per_second: float) -> None:
        self.rate = events_per_second
        self._due = time.monotonic()

    async def wait(self, events: int) -> None:
        now = time.monotonic()
        self._due = max(self._due, now - 0.25) + events / self.rate
        if self._due > now:
            await asyncio.sleep(self._due - now)


@dataclass
class Producer:
    """Counts its events, and names its messages by them."""

    tenant: str
    name: str
    key: str
    sequence: int = 1

    async def publish(
        self, bus: Bus, events: list[Event], root: bytes, lines: bool = False, again: bool = False
    ) -> None:
        """Returns when the broker has acknowledged; with `again` two messages with the same events are stored."""
        now = time.time()
        body = (
            encode_lines(events, root, now) if lines else encode_batch(events, root, self.name, self.sequence, now)
        )
        for suffix in ("", "/again") if again else ("",):
            await self.send(bus, body, lines, suffix)
        self.sequence += len(events)

    async def send(self, bus: Bus, body: bytes, lines: bool, suffix: str = "") -> None:
        headers = {
            "Content-Type": "application/x-ndjson" if lines else "application/x-protobuf",
            "Nats-Msg-Id": f"{self.tenant}/{self.name}/{self.sequence}{suffix}",
        }
        await bus.publish(f"skein.v1.events.{self.tenant}.{self.key}", body, headers)


@dataclass
class _Active:
    run: Run
    outgoing: list[Outgoing]
    producer: Producer
    lines: bool
    #: When its next message may be published.
    due: float = 0


@dataclass
class Load:
    """All publishers of a test. `stop` lets them end the runs that are open; then `run` returns."""

    bus: Bus
    published: Published
    profile: Profile
    seed: int
    stopping: bool = False
    _pace: Pace = field(init=False)

    def __post_init__(self) -> None:
        self._pace = Pace(self.profile.events_per_second)

    def stop(self) -> None:
        self.stopping = True

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(self.profile.workers):
                group.create_task(self._work(number))

    async def _work(self, number: int) -> None:
        rng = random.Random(f"{self.seed}/load/{number}")
        own = [Producer(tenant, f"worker-{number}-{tenant}", f"worker-{number}") for tenant in TENANTS]
        active: list[_Active] = []
        while active or not self.stopping:
            while not self.stopping and len(active) < self.profile.runs_per_worker:
                active.append(self._begin(rng, own))
            due = [run for run in active if run.due <= time.monotonic()]
            if not due:
                await asyncio.sleep(0.05)
                continue
            current = rng.choice(due)
            await self._publish_next(rng, current)
            if current.outgoing:
                current.due = time.monotonic() + current.outgoing[0].delay
            else:
                current.run.ended_at = time.time()
                active.remove(current)

    def _begin(self, rng: random.Random, own: list[Producer]) -> _Active:
        disorder = rng.random() < self.profile.disorder
        start, outgoing = plan_run(rng, disorder)
        shared = rng.choice(own)
        run = Run(shared.tenant, start.uuid)
        self.published.add_run(run)
        self.published.disordered_runs += disorder
        lines = rng.random() < self.profile.json_lines
        if lines or rng.random() < 0.7:
            name = uuids.UUID(bytes=run.root)
            return _Active(run, outgoing, Producer(shared.tenant, f"run-{name}", str(name)), lines)
        return _Active(run, outgoing, shared, lines=False)

    async def _publish_next(self, rng: random.Random, active: _Active) -> None:
        message = active.outgoing.pop(0)
        run, producer = active.run, active.producer
        await self._pace.wait(len(message.events))
        if rng.random() < self.profile.poison:
            await self._publish_poison(rng, producer)
        if message.remote:
            name = f"remote-{message.events[0].uuid.hex()}"
            producer = Producer(run.tenant, name, name)
        again = rng.random() < self.profile.repeat
        await producer.publish(self.bus, message.events, run.root, active.lines, again)
        run.events.update(event.key for event in message.events)
        if message.disordered:
            run.disordered.update(event.uuid for event in message.events)
        self.published.messages += 1 + again
        self.published.events += len(message.events)
        self.published.repeated += len(message.events) if again else 0

    async def _publish_poison(self, rng: random.Random, producer: Producer) -> None:
        """A message of which nothing can be processed; its letter is recognised by the token."""
        token = f"poison-{rng.randbytes(8).hex()}"
        poisoner = Producer(producer.tenant, token, producer.key)
        kind = rng.choice(("undecodable", "uuid", "line"))
        if kind == "uuid":
            bad = Event(KIND_SCOPE, PHASE_START, b"short", None, token, "tool")
            await poisoner.publish(self.bus, [bad], b"")
        elif kind == "undecodable":
            await poisoner.send(self.bus, b"\xff\xff\xff" + token.encode(), lines=False)
        else:
            await poisoner.send(self.bus, f'{{"uuid": "{token}"'.encode(), lines=True)
        self.published.poison.add(token)
        self.published.messages += 1


async def publish_bulk(
    bus: Bus,
    published: Published,
    messages: int,
    plan: Callable[[int], tuple[Run, list[Event]]],
    events_per_second: float = float("inf"),
    in_flight: int = 16,
) -> None:
    """Publishes `messages` messages of `plan`, several at a time: for scenarios that need very many events."""
    pace = Pace(events_per_second)
    numbers = iter(range(messages))

    async def work() -> None:
        for number in numbers:
            run, events = plan(number)
            await pace.wait(len(events))
            name = f"bulk-{events[0].key.hex()}"
            await Producer(run.tenant, name, str(uuids.UUID(bytes=run.root))).publish(bus, events, run.root)
            run.events.update(event.key for event in events)
            if any(event.uuid == run.root and event.phase == PHASE_END for event in events):
                run.ended_at = time.time()
            published.add_run(run)
            published.messages += 1
            published.events += len(events)

    async with asyncio.TaskGroup() as group:
        for _ in range(in_flight):
            group.create_task(work())


def whole_run(rng: random.Random, events: int, words: int = 20, open_scopes: bool = False) -> tuple[Run, list[Event]]:
    """A run of `events` events that fits into a message: an agent and its tool calls; or only their starts."""
    start, end = scope(rng, None, "batch-agent", "agent", {"task": "all"}, {"done": True})
    run = Run(TENANTS[0], start.uuid)
    if open_scopes:
        return run, [start, *(tool_call(rng, run.root, "call_1")[0] for _ in range(events - 1))]
    inner: list[Event] = []
    for number in range(events // 2 - 1):
        inner += scope(rng, run.root, "search", "tool", {"n": number}, {"found": text(rng, words)})
    return run, [start, *inner, end]
