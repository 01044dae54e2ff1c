"""Publishes one agent's run to Skein: protobuf over NATS JetStream. Needs nats-py, protobuf, and once
`protoc -Iproto --python_out=. skein/v1/event.proto`. docs/contract.md says what each field and header means."""

import asyncio, json, os, time, uuid
import nats
from skein.v1 import event_pb2 as skein

TENANT, PRODUCER = "default", f"python-{uuid.uuid4()}"  # a name for this process: it numbers what it publishes


def event(kind, name, scope, parent=None, phase=skein.PHASE_UNSPECIFIED, category=None, data=None, **profile):
    made = skein.Event(kind=kind, phase=phase, uuid=scope, name=name.encode(), atof_version=b"0.1")
    made.timestamp.seconds, made.timestamp.nanos = divmod(time.time_ns(), 1_000_000_000)
    if parent:
        made.parent_uuid = parent
    if category:
        made.category = category.encode()
    if data is not None:
        made.data = json.dumps(data).encode()
    if profile:
        made.category_profile = json.dumps(profile).encode()
    return made


def run():
    """An agent that asks a tool and marks what it thinks of the answer."""
    agent, tool = uuid.uuid4().bytes, uuid.uuid4().bytes
    scope, start, end = skein.KIND_SCOPE, skein.PHASE_START, skein.PHASE_END
    call = dict(category="tool", tool_call_id="call-1")
    return agent, [
        event(scope, "weather-agent", agent, phase=start, category="agent", data={"question": "Is it raining?"}),
        event(scope, "get_weather", tool, agent, start, data={"city": "Lisbon"}, **call),
        event(scope, "get_weather", tool, agent, end, data={"rain": False}, **call),
        event(skein.KIND_MARK, "decided", uuid.uuid4().bytes, agent, data={"umbrella": False}),
        event(scope, "weather-agent", agent, phase=end, category="agent", data={"answer": "No."}),
    ]


async def publish(stream, key, events, sequence):
    """Repeats until the broker has it: the id makes sure that it is stored once."""
    batch = skein.EventBatch(events=events, producer=PRODUCER.encode(), sequence=sequence)
    headers = {"Content-Type": "application/x-protobuf", "Nats-Msg-Id": f"{TENANT}/{PRODUCER}/{key}/{sequence}"}
    while True:
        try:
            return await stream.publish(f"skein.v1.events.{TENANT}.{key}", batch.SerializeToString(), headers=headers)
        except nats.errors.Error as error:
            print("not stored yet:", error)
            await asyncio.sleep(1)


async def main():
    bus = await nats.connect(os.environ.get("SKEIN_NATS_URL", "nats://127.0.0.1:4222"))
    root, events = run()
    key = str(uuid.UUID(bytes=root))  # all events of a run under one key: they stay in order
    ack = await publish(bus.jetstream(), key, events, sequence=1)
    print(f"run {key}: {len(events)} events, stored in {ack.stream} at {ack.seq}")
    await bus.close()


asyncio.run(main())
