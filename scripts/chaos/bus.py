"""What the harness needs of NATS: publishing until acknowledged, reading streams through restarts, task records."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import datetime

import nats
import nats.errors
from nats.aio.client import Client
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

EVENTS, PROCESSED = "SKEIN_EVENTS", "SKEIN_PROCESSED"
TRAJECTORIES, DEAD, STATE = "SKEIN_TRAJECTORIES", "SKEIN_DEAD", "KV_skein_state"
#: Stands in the tenant's place of what collectors tell themselves: ticks.
OWN_TENANT = "_"
_RECORDS = "$KV.skein_state.task.*.*"


@dataclass(frozen=True)
class Message:
    """A stored message."""

    subject: str
    sequence: int
    headers: dict[str, str]
    data: bytes
    time: float


@dataclass(frozen=True)
class TaskRecord:
    """The head record of a task, as far as it is looked at from the outside."""

    stage: str
    partition: int
    epoch: int
    owner: str
    position: int
    time: float


class BusError(Exception):
    """A refusal of the server."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code} {text}")
        self.code = code


def _headers(raw: bytes) -> dict[str, str]:
    lines = raw.decode(errors="replace").split("\r\n")[1:]
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines if line)}


def _timestamp(text: str) -> float:
    seconds, _, fraction = text.rstrip("Z").partition(".")
    return datetime.fromisoformat(seconds + "+00:00").timestamp() + float(f"0.{fraction or 0}")


class Bus:
    """One connection that survives restarts of the servers."""

    def __init__(self, client: Client) -> None:
        self.client = client

    @classmethod
    async def connect(cls, urls: list[str]) -> Bus:
        async def quiet(_: Exception) -> None:
            """Servers are killed here all the time."""

        client = await nats.connect(
            servers=urls,
            max_reconnect_attempts=-1,
            reconnect_time_wait=0.1,
            ping_interval=5,
            connect_timeout=2,
            error_cb=quiet,
            allow_reconnect=True,
            pending_size=64 << 20,
        )
        return cls(client)

    async def close(self) -> None:
        await self.client.close()

    async def _request(self, subject: str, body: bytes, headers: dict[str, str] | None = None) -> dict:
        message = await self.client.request(subject, body, timeout=3, headers=headers)
        answer = json.loads(message.data)
        if "error" in answer:
            raise BusError(answer["error"].get("code", 0), answer["error"].get("description", ""))
        return answer

    async def _insist(self, subject: str, body: bytes, headers: dict[str, str] | None = None) -> tuple[dict, int]:
        """The answer and how many tries it took: the broker may be away or without a leader.

        A refusal for good is raised.
        """
        for tries in itertools.count(1):
            try:
                return await self._request(subject, body, headers), tries
            except BusError as error:
                if error.code < 500:
                    raise
            except (nats.errors.Error, asyncio.TimeoutError, OSError):
                pass
            await asyncio.sleep(0.1)
        raise AssertionError("the loop has no end")

    async def publish(self, subject: str, body: bytes, headers: dict[str, str]) -> int:
        """Publishes under one message id until the broker acknowledges; the sequence in the stream."""
        answer, tries = await self._insist(subject, body, headers)
        if answer.get("duplicate") and tries == 1:
            raise BusError(0, f"the message id {headers['Nats-Msg-Id']} was used before")
        return answer["seq"]

    async def message(self, stream: str, sequence: int, subject: str = ">") -> Message | None:
        """The first stored message from `sequence` on that matches."""
        return await self._stored(stream, {"seq": sequence, "next_by_subj": subject})

    async def last_message(self, stream: str, subject: str) -> Message | None:
        return await self._stored(stream, {"last_by_subj": subject})

    async def _stored(self, stream: str, query: dict) -> Message | None:
        try:
            answer, _ = await self._insist(f"$JS.API.STREAM.MSG.GET.{stream}", json.dumps(query).encode())
        except BusError as error:
            if error.code == 404:
                return None
            raise
        found = answer["message"]
        return Message(
            found["subject"],
            found["seq"],
            _headers(base64.b64decode(found["hdrs"])) if "hdrs" in found else {},
            base64.b64decode(found.get("data", "")),
            _timestamp(found["time"]),
        )

    async def state(self, stream: str) -> dict:
        """Of the stream: messages, bytes, last_seq, …"""
        return (await self._insist(f"$JS.API.STREAM.INFO.{stream}", b""))[0]["state"]

    async def wait_for_stream(self, stream: str) -> None:
        """Until the collectors have created it."""
        while True:
            try:
                await self.state(stream)
                return
            except BusError:
                await asyncio.sleep(0.1)

    async def follow_all(self, stream: str) -> AsyncIterator[Message]:
        """Every message in order, for ever. One request each, so that no consumer has to survive restarts."""
        sequence = 1
        while True:
            last = (await self.state(stream))["last_seq"]
            if last < sequence:
                await asyncio.sleep(0.05)
                continue
            numbers = range(sequence, min(last, sequence + 31) + 1)
            for message in await asyncio.gather(*(self._stored(stream, {"seq": number}) for number in numbers)):
                if message is not None:
                    yield message
            sequence = numbers[-1] + 1

    async def follow(self, stream: str, subject: str) -> AsyncIterator[Message]:
        """The same for the messages of some subjects."""
        sequence = 1
        while True:
            message = await self.message(stream, sequence, subject)
            if message is None:
                await asyncio.sleep(0.05)
                continue
            yield message
            sequence = message.sequence + 1

    async def read_all(self, stream: str, receive: Callable[[str, dict[str, str], bytes], None]) -> int:
        """Hands over everything the stream holds now; how many messages. Only for when nothing is being killed."""
        count = (await self.state(stream))["messages"]
        if count == 0:
            return 0
        config = ConsumerConfig(
            ack_policy=AckPolicy.NONE, deliver_policy=DeliverPolicy.ALL, mem_storage=True, inactive_threshold=60
        )
        # Nothing may be dropped here, however large the messages are.
        subscription = await self.client.jetstream().pull_subscribe(
            "", stream=stream, config=config, pending_msgs_limit=-1, pending_bytes_limit=-1
        )
        read = 0
        while read < count:
            for message in await subscription.fetch(min(64, count - read), timeout=30):
                receive(message.subject, message.headers or {}, message.data)
                read += 1
        await subscription.unsubscribe()
        return read

    async def task_records(self) -> list[TaskRecord]:
        """All head records of now."""
        try:
            answer, _ = await self._insist(
                f"$JS.API.STREAM.INFO.{STATE}", json.dumps({"subjects_filter": _RECORDS}).encode()
            )
        except BusError:
            return []
        subjects = answer["state"].get("subjects") or {}
        messages = [await self.last_message(STATE, subject) for subject in subjects]
        return [record for message in messages if message and (record := parse_record(message))]

    async def follow_records(self) -> AsyncIterator[TaskRecord]:
        async for message in self.follow(STATE, _RECORDS):
            if record := parse_record(message):
                yield record


def parse_record(message: Message) -> TaskRecord | None:
    """None for a deleted key."""
    if not message.data:
        return None
    value = json.loads(message.data)
    stage, partition = message.subject.removeprefix("$KV.skein_state.task.").rsplit(".", 1)
    return TaskRecord(
        stage, int(partition), value["epoch"], value.get("owner") or "", value["position"], message.time
    )


def stage_filter(stage: str, partition: int) -> tuple[str, str]:
    """The stream and the subjects that a task reads."""
    if stage == "process":
        return EVENTS, f"skein.v1.events.{partition}.>"
    return PROCESSED, f"skein.v1.processed.*.{partition}.*"


async def lag(bus: Bus, records: list[TaskRecord]) -> dict[str, int]:
    """Tasks that have not passed the last message of theirs, with how far it is in sequences. Ticks do not count."""
    behind = {}
    for record in records:
        stream, subject = stage_filter(record.stage, record.partition)
        tenant = 4 if stream == EVENTS else 3
        next_one = await bus.message(stream, record.position + 1, subject)
        while next_one is not None and next_one.subject.split(".")[tenant] == OWN_TENANT:
            next_one = await bus.message(stream, next_one.sequence + 1, subject)
        if next_one is not None:
            last = await bus.last_message(stream, subject)
            behind[f"{record.stage}.{record.partition}"] = (last or next_one).sequence - record.position
    return behind


class RecordWatcher:
    """Keeps the newest record of every task, with the local time at which its owner last changed."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self.records: dict[tuple[str, int], TaskRecord] = {}
        self.seen_at = time.monotonic()

    async def run(self) -> None:
        async for record in self._bus.follow_records():
            self.records[record.stage, record.partition] = record
            self.seen_at = time.monotonic()

    def owners(self) -> dict[str, list[str]]:
        """Owner to its tasks."""
        owners: dict[str, list[str]] = {}
        for (stage, partition), record in sorted(self.records.items()):
            owners.setdefault(record.owner, []).append(f"{stage}.{partition}")
        return owners
