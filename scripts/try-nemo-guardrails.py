#!/usr/bin/env python3
"""Has Skein ask a real NeMo Guardrails server, and compares what agents and readers of PROCESSED get.

Run it as ./dev try-nemo-guardrails; it needs Python 3.11, installs nemoguardrails[server] below .tools the first time (320 MB,
half a minute), listens on 127.0.0.1 only, and stops what it started. The server's rails need no model: patterns and a flow of
our own. Its reports of use to its makers are off.

What is shown: model calls that the input rails block are rejected before they are made, changed ones are rewritten, others pass;
recorded responses and tool results that rails block are not in PROCESSED; each check has its marks; a server that is gone is an
error for the agent. `--record DIRECTORY` writes the exchanges that the unit tests read.
"""

import argparse
import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from servers import ROOT, Failure, Process, answers, free_ports, say

PACKAGES = ["nemoguardrails[server]==0.24.1"]
LIBRARY = ROOT / ".tools" / "nemoguardrails"

RAILS = {
    "config.yml": """models: []
rails:
  config:
    regex_detection:
      input:
        patterns: ["(?i)launch code"]
      output:
        patterns: ["sk-[a-zA-Z0-9]{8,}"]
  input:
    flows: [regex check input, plain words]
  output:
    flows: [regex check output]
  tool_input:
    flows: [check tool result]
""",
    "rails.co": """define subflow plain words
  if "colour" in $user_message
    $user_message = "Which paint is it?"

define bot refuse tool result
  "The tool's result is not allowed."

define subflow check tool result
  if "forbidden" in $tool_message
    bot refuse tool result
    stop
""",
}

# What an agent asks before a model call, and what it is told.
QUESTIONS = [
    ("hello", [{"role": "user", "content": "Hello."}], "allow", None),
    ("blocked", [{"role": "user", "content": "The LAUNCH code, please."}], "reject", "regex check input"),
    ("changed", [{"role": "user", "content": "Which colour is it?"}], "transform", "Which paint is it?"),
    ("history", [{"role": "user", "content": "launch code"}, {"role": "assistant", "content": "No."},
                 {"role": "user", "content": "Hello again."}], "allow", None),
    ("parts", [{"role": "user", "content": [{"type": "text", "text": "A launch code."}]}], "reject", "regex check input"),
    ("behind", [{"role": "user", "content": "launch code"}, {"role": "tool", "tool_call_id": "c", "content": "x"}], "reject",
     "regex check input"),
]

# What is recorded of a run, and whether its payload stays.
RECORDS = [
    ("llm", "a-model", {"object": "chat.completion", "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "All is fine."}, "finish_reason": "stop"}]}, True),
    ("llm", "a-model", {"object": "chat.completion", "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "It is sk-abcdefgh1234."}, "finish_reason": "stop"}]}, False),
    ("tool", "search", {"found": ["a", "b"]}, True),
    ("tool", "search", {"found": ["forbidden"]}, False),
]


def expect(condition, text, more=""):
    if not condition:
        raise Failure(f"not so: {text}{more and chr(10)}{more}")
    say(f"ok: {text}")


def install():
    mark, wanted = LIBRARY / "installed", " ".join(PACKAGES)
    if mark.exists() and mark.read_text() == wanted:
        return
    say(f"installing {wanted} into {LIBRARY.relative_to(ROOT)}, about half a minute")
    shutil.rmtree(LIBRARY, ignore_errors=True)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:"]
    pip += ["--root-user-action=ignore", "--target", LIBRARY, *PACKAGES]
    if subprocess.run(pip).returncode != 0:
        raise Failure(f"pip could not install {wanted}")
    mark.write_text(wanted)


def guardrails_server(directory, port):
    rails = directory / "rails" / "plain"
    rails.mkdir(parents=True)
    for name, text in RAILS.items():
        (rails / name).write_text(text, encoding="utf-8")
    # Its own command listens on all interfaces.
    program = (
        "import sys, uvicorn; from nemoguardrails.server import api; api.app.rails_config_path = sys.argv[1]; "
        "api.app.disable_chat_ui = True; uvicorn.run(api.app, host='127.0.0.1', port=int(sys.argv[2]), log_level='warning')"
    )
    environment = {
        **os.environ, "PYTHONPATH": str(LIBRARY), "PYTHONDONTWRITEBYTECODE": "1", "DO_NOT_TRACK": "1",
        "NEMO_GUARDRAILS_NO_USAGE_STATS": "1", "NEMO_GUARDRAILS_DISABLE_CHAT_UI": "true",
    }
    command = [sys.executable, "-c", program, str(rails.parent), str(port)]
    return Process(command, directory / "guardrails.log", environment)


class Recorder(ThreadingHTTPServer):
    """Stands between Skein and the server, and keeps what they say to each other."""

    daemon_threads = True

    def __init__(self, target):
        self.target = target
        self.exchanges = []
        super().__init__(("127.0.0.1", 0), self.Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            request = urllib.request.Request(
                self.server.target + self.path, data=body, headers={"Content-Type": self.headers["Content-Type"]})
            try:
                with urllib.request.urlopen(request, timeout=60) as answer:
                    status, reply = answer.status, answer.read()
            except urllib.error.HTTPError as error:
                status, reply = error.code, error.read()
            except OSError:
                # The server was stopped: whoever asks is told what a proxy would tell.
                status, reply = 502, b"{}"
            self.server.exchanges.append(
                {"path": self.path, "request": json.loads(body), "status": status, "reply": json.loads(reply)})
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(reply)))
            self.end_headers()
            self.wfile.write(reply)

        def log_message(self, *_):
            pass


def configuration(directory, endpoint, http_port):
    path = directory / "skein.toml"
    path.write_text(
        f"""version = 1

[http]
listen = "127.0.0.1:{http_port}"

[[components]]
kind = "nemo_guardrails"

[components.config]
mode = "remote"
codec = "openai_chat"
tool_output = true

[components.config.remote]
endpoint = "{endpoint}"
config_id = "plain"
timeout_millis = 20000
""",
        encoding="utf-8",
    )
    return path


def events():
    """A run whose scopes have the payloads of RECORDS at their ends."""
    agent = "01900000-0000-7000-8000-000000000001"

    def scope(number, phase, category, name, data, parent):
        return {
            "kind": "scope", "scope_category": phase, "category": category, "name": name, "atof_version": "0.1",
            "uuid": f"01900000-0000-7000-8000-{number:012d}", "parent_uuid": parent, "attributes": [], "data": data,
            "timestamp": f"2026-01-01T00:00:{number % 60:02d}Z",
        }

    lines = [scope(1, "start", "agent", "agent", None, None)]
    for number, (category, name, data, _) in enumerate(RECORDS, start=2):
        lines += [scope(number, phase, category, name, None if phase == "start" else data, agent) for phase in ("start", "end")]
    return lines + [scope(1, "end", "agent", "agent", None, None)]


async def ask(url, checks):
    import nats

    bus = await nats.connect(url)
    results = []
    for name, messages, *_ in checks:
        body = {"name": "chat", "request": {"headers": {}, "content": {"model": "a-model", "messages": messages, "tools": []}}}
        answer = await bus.request(
            "skein.v1.guard.default.llm", json.dumps(body).encode(), timeout=30,
            headers={"Content-Type": "application/json", "Skein-Timeout-Millis": "25000"})
        results.append((name, json.loads(answer.data)))
    await bus.close()
    return results


async def processed(url, count):
    import nats

    bus = await nats.connect(url)
    for line in events():
        await bus.jetstream().publish(
            "skein.v1.events.default.try", json.dumps(line).encode(), headers={"Content-Type": "application/x-ndjson"})
    await bus.close()


def run(arguments, directory, url, http_port, path):
    """An embedded Skein with the configuration."""
    command = [arguments.skein, "up", "--config", path, "--data", directory / "data", "--port", url.rsplit(":", 1)[1]]
    return Process(command, directory / "skein.log")


def check(arguments, directory):
    port, nats_port, http_port = free_ports(3)
    url = f"nats://127.0.0.1:{nats_port}"
    say("starting NeMo Guardrails")
    with guardrails_server(directory, port) as server:
        server.wait_until(lambda: answers(f"http://127.0.0.1:{port}/v1/health"), 90, "NeMo Guardrails")
        recorder = Recorder(f"http://127.0.0.1:{port}")
        path = configuration(directory, f"http://127.0.0.1:{recorder.server_port}/", http_port)
        with run(arguments, directory, url, http_port, path) as skein:
            skein.wait_until(lambda: answers(f"http://127.0.0.1:{http_port}/readyz"), 60, "skein")
            for (name, answer), (_, _, decision, detail) in zip(asyncio.run(ask(url, QUESTIONS)), QUESTIONS):
                text = json.dumps(answer)
                expect(answer["decision"] == decision, f"{name}: {decision}", text)
                expect(detail is None or detail in text, f"{name}: {detail or 'nothing more'}", text)
            check_events(arguments, directory, url)
            if arguments.record:
                record(arguments.record, recorder.exchanges)
            say("stopping NeMo Guardrails")
            server.stop()
            [(_, answer)] = asyncio.run(ask(url, QUESTIONS[:1]))
            expect(answer["decision"] == "error", "without the server an agent gets an error, and no allow", json.dumps(answer))


def check_events(arguments, directory, url):
    asyncio.run(processed(url, len(RECORDS)))
    command = [str(arguments.skein), "tail", "processed", "--all", "--format", "json", "--count", str(len(events()) + 2 * len(RECORDS))]
    done = subprocess.run(
        command, env={**os.environ, "SKEIN_NATS_URL": url}, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    ends = {line["uuid"]: line for line in lines if line.get("scope_category") == "end"}
    for number, (category, _, data, stays) in enumerate(RECORDS, start=2):
        end = ends.get(f"01900000-0000-7000-8000-{number:012d}")
        expect(end is not None, f"the end of {category} {number} was processed", done.stdout + done.stderr)
        expect(end["data"] == (data if stays else None), f"its payload {'stays' if stays else 'is removed'}", json.dumps(end))
    marks = [line["name"] for line in lines if line["kind"] == "mark"]
    expect(marks.count("nemo_guardrails.remote.start") == len(RECORDS), "each check has its mark at the start", str(marks))
    expect(marks.count("nemo_guardrails.remote.end") == len(RECORDS), "and at the end", str(marks))


def record(directory, exchanges):
    """One file for each exchange, without what differs from run to run."""
    directory.mkdir(parents=True, exist_ok=True)
    for old in directory.glob("*.json"):
        old.unlink()

    def steady(value):
        if isinstance(value, dict):
            volatile = ("created", "started_at", "finished_at", "id", "stats")
            return {
                key: steady(member) for key, member in value.items()
                if not (key in volatile or key.endswith("duration")) or key == "id" and str(member).startswith("nemo_")
            }
        return [steady(element) for element in value] if isinstance(value, list) else value

    for number, exchange in enumerate(exchanges, start=1):
        exchange["reply"] = steady(exchange["reply"])
        text = json.dumps(exchange, indent=1, ensure_ascii=False, sort_keys=True)
        (directory / f"{number:02d}.json").write_text(text + "\n", encoding="utf-8")
    say(f"wrote {len(exchanges)} exchanges to {directory}")


def main():
    parser = argparse.ArgumentParser(description="Have Skein ask a real NeMo Guardrails server.")
    parser.add_argument("--skein", type=Path, default=ROOT / ".build" / "release" / "skein", help="the skein to try")
    parser.add_argument("--record", type=Path, help="write the exchanges with the server here")
    arguments = parser.parse_args()
    arguments.skein = arguments.skein.resolve()
    if not arguments.skein.is_file():
        raise Failure(f"no such file: {arguments.skein}")
    install()
    sys.path.insert(0, str(ROOT / ".tools" / "python"))
    with tempfile.TemporaryDirectory(prefix="skein-nemo-") as name:
        check(arguments, Path(name))
    say("checks are made, obeyed and recorded as they should")


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        print(f"try-nemo-guardrails: {failure}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
