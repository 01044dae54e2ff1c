"""Prints what comes out of Skein, from the oldest message on: `subscribe.py processed` or `subscribe.py trajectories`.
Needs what publish.py needs. With --new it begins with what comes now, with --durable NAME it goes on where NAME stopped;
docs/contract.md explains the rest."""

import argparse, asyncio, json, os, uuid
import nats, nats.js.errors
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from skein.v1 import event_pb2 as skein

options = argparse.ArgumentParser(description=__doc__)
options.add_argument("what", choices=["processed", "trajectories"])
options.add_argument("--tenant", default="*", help="only this tenant")
options.add_argument("--agent", help="only trajectories of this agent, or events of its runs that begin meanwhile")
options.add_argument("--new", action="store_true", help="begin with what comes from now on")
options.add_argument("--durable", help="the server remembers under this name how far it came")
options.add_argument("--count", type=int, default=None, help="end after so many messages")
options = options.parse_args()
if options.what == "processed" and options.agent and options.durable:
    raise SystemExit("who goes on in the middle of a run does not know its agent: --agent or --durable")

runs = {}  # whose a run is: its first agent's; a program that runs for long forgets those that are over


async def whole(stream, message):
    """The body; of an event in parts only the last one has it: the others are stored then, and can be acknowledged as they come."""
    headers, body = message.headers or {}, message.data
    number, count = map(int, headers.get("Skein-Chunk", "1/1").split("/"))
    if number < count:
        return b""
    try:
        while number > 1:
            number, before = number - 1, int(headers["Nats-Expected-Last-Subject-Sequence"])
            part = await stream.get_msg("SKEIN_PROCESSED", before)
            headers, body = part.headers, part.data + body
    except nats.js.errors.NotFoundError:
        return b""  # older than what the stream keeps
    return body


async def processed(stream, message):
    if "Skein-Stage" in (message.headers or {}) or ".processed._." in message.subject:
        return  # between collectors: a replayed dead letter of one stage, the time, counters
    for event in skein.EventBatch.FromString(await whole(stream, message)).events:
        run, phase = uuid.UUID(bytes=event.root_uuid), skein.Phase.Name(event.phase).removeprefix("PHASE_")
        if event.category == b"agent" and phase == "START":
            runs.setdefault(run, event.name.decode())
        if options.agent and runs.get(run) != options.agent:
            continue
        print(run, event.name.decode(), event.category.decode() or "mark", phase.lower(), flush=True)


async def trajectories(stream, message):
    headers = message.headers or {}
    if options.agent and headers.get("Skein-Agent") != options.agent:
        return
    body = message.data
    if "Skein-Chunks" in headers:  # a manifest: the document is larger than a message
        body = f"{message.subject}.body.{headers['Skein-Revision']}"
        names = [f"{body}.{number + 1}" for number in range(int(headers["Skein-Chunks"]))]
        try:
            body = b"".join([(await stream.get_last_msg("SKEIN_TRAJECTORIES", name)).data for name in names])
        except nats.js.errors.NotFoundError:
            return  # a newer revision has replaced it, and comes next
    document = json.loads(body)
    print(headers["Skein-State"], "revision", headers["Skein-Revision"], "of", headers.get("Skein-Agent"), flush=True)
    print(json.dumps(document, indent=2), flush=True)


async def main():
    bus = await nats.connect(os.environ.get("SKEIN_NATS_URL", "nats://127.0.0.1:4222"))
    stream = bus.jetstream()
    name, subject, show = {
        "processed": ("SKEIN_PROCESSED", f"skein.v1.processed.{options.tenant}.*.*", processed),
        "trajectories": ("SKEIN_TRAJECTORIES", f"skein.v1.trajectories.{options.tenant}.*", trajectories),
    }[options.what]
    policy = DeliverPolicy.NEW if options.new else DeliverPolicy.ALL
    # Explicit acknowledgements: a message that this program did not finish comes again.
    position = ConsumerConfig(deliver_policy=policy, ack_policy=AckPolicy.EXPLICIT)
    reader = await stream.pull_subscribe(subject, durable=options.durable, stream=name, config=position)
    seen = 0
    while seen != options.count:
        try:
            messages = await reader.fetch(1 if options.count else 64, timeout=5)
        except asyncio.TimeoutError:  # nats-py raises this or a subclass of its own when nothing has come
            continue
        for message in messages:
            seen += 1
            await show(stream, message)
            await message.ack()
    await bus.close()


asyncio.run(main())
