"""A worker for Skein: hides e-mail addresses and says who looked. Needs nats-py; docs/components/workers.md explains it."""

import asyncio, json, os, re, uuid
import nats

NAME, DIGEST, EMAIL = "python-example", "v1", re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]+")
SURFACES = ["mark", "tool_request", "metadata_injector"]


def hide(value):
    if isinstance(value, dict):
        return {key: hide(member) for key, member in value.items()}
    if isinstance(value, list):
        return [hide(element) for element in value]
    return EMAIL.sub("[email]", value) if isinstance(value, str) else value


def decide(surface, item):
    if surface == "metadata_injector":
        return {"metadata": {"checked.by": NAME}}
    if surface == "tool_request":
        return {"value": hide(item["value"])}
    return {"event": {key: hide(item["event"][key]) for key in ("data", "category_profile", "metadata")}}


async def main():
    bus = await nats.connect(os.environ.get("SKEIN_NATS_URL", "nats://127.0.0.1:4222"))
    about = {"protocol": 1, "name": NAME, "instance": str(uuid.uuid4()), "config_digest": DIGEST, "heartbeat_millis": 2000}
    about["surfaces"] = [{"surface": surface} for surface in SURFACES]

    async def announce(_=None):
        headers = {"Content-Type": "application/json"}
        await bus.publish(f"skein.v1.worker.announce.{NAME}", json.dumps(about).encode(), headers=headers)

    async def answer(message):
        call = json.loads(message.data)
        results = [decide(call["surface"], item) for item in call["items"]]
        await message.respond(json.dumps({"results": results}).encode())

    await bus.subscribe(f"skein.v1.worker.invoke.{NAME}.{DIGEST}.*", queue=NAME, cb=answer)
    await bus.subscribe("skein.v1.worker.hello", cb=announce)
    while True:
        await announce()
        await asyncio.sleep(2)


asyncio.run(main())
