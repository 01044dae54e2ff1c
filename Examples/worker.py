"""A worker for Skein: hides e-mail addresses. Needs nats-py; docs/components/workers.md explains it."""
import asyncio, json, os, re, uuid, nats

NAME, DIGEST, EMAIL = "python-example", "v1", re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]+")

def hide(value):
    if isinstance(value, dict):
        return {key: hide(member) for key, member in value.items()}
    if isinstance(value, list):
        return [hide(element) for element in value]
    return EMAIL.sub("[email]", value) if isinstance(value, str) else value

def decide(item):
    if "value" in item:  # what a tool is called with; else an event
        return {"value": hide(item["value"])}
    return {"event": {key: hide(item["event"][key]) for key in ("data", "category_profile", "metadata")}}

async def answer(message):
    results = [decide(item) for item in json.loads(message.data)["items"]]
    await message.respond(json.dumps({"results": results}).encode())

async def main():
    bus = await nats.connect(os.environ.get("SKEIN_NATS_URL", "nats://127.0.0.1:4222"))
    await bus.subscribe(f"skein.v1.worker.invoke.{NAME}.{DIGEST}.*", queue=NAME, cb=answer)
    about = {"protocol": 1, "name": NAME, "instance": str(uuid.uuid4()), "config_digest": DIGEST, "heartbeat_millis": 2000}
    about["surfaces"] = [{"surface": surface} for surface in ("mark", "tool_request", "tool_intercept")]
    while True:  # JSON is the form in which it wants its calls
        await bus.publish(f"skein.v1.worker.announce.{NAME}", json.dumps(about).encode(), headers={"Content-Type": "application/json"})
        await asyncio.sleep(2)
asyncio.run(main())
