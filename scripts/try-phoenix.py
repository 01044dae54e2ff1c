#!/usr/bin/env python3
"""Sends recorded runs through `skein up` to a real Arize Phoenix and compares what Phoenix lists with the recording.

What is expected is computed here from the events alone, not by Skein: a span for each scope, its kind from the scope's
category, its parent from the parent's UUID, its status and its token counts from the end event. Token counts are read
from OpenAI Chat usage or from a usage annotation. Run it as ./dev try-phoenix; it needs Python 3.11, installs Phoenix
below .tools the first time (850 MB, about two minutes), listens on 127.0.0.1 only, and stops what it started.
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PHOENIX_VERSION = "20.26.1"
ENVIRONMENT = ROOT / ".tools" / "phoenix"
RECORDINGS = [
    ROOT / "Tests" / "ProjectionsTests" / "Cases" / "03-nested-agents" / "events.jsonl",
    ROOT / "Tests" / "Demo" / "research-agent.jsonl",
]
KINDS = {
    "agent": "AGENT",
    "tool": "TOOL",
    "llm": "LLM",
    "retriever": "RETRIEVER",
    "embedder": "EMBEDDING",
    "reranker": "RERANKER",
    "guardrail": "GUARDRAIL",
    "evaluator": "EVALUATOR",
}
COLUMNS = ("name", "kind", "parent", "status", "prompt", "completion")


class Failure(Exception):
    """Something that the user reads as one sentence."""


def say(text):
    print(f"==> {text}", flush=True)


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def install_phoenix():
    python = ENVIRONMENT / "bin" / "python"
    question = "import importlib.metadata as m; print(m.version('arize-phoenix'))"
    if python.exists():
        answer = subprocess.run([python, "-c", question], capture_output=True, text=True)
        if answer.stdout.strip() == PHOENIX_VERSION:
            return python
    say(f"installing arize-phoenix {PHOENIX_VERSION} into {ENVIRONMENT.relative_to(ROOT)}, about two minutes")
    made = subprocess.run([sys.executable, "-m", "venv", "--clear", ENVIRONMENT])
    if made.returncode != 0:
        raise Failure("python3 -m venv failed: on Debian install python3-venv")
    package = f"arize-phoenix=={PHOENIX_VERSION}"
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", package]
    if subprocess.run(pip).returncode != 0:
        raise Failure(f"pip could not install {package}")
    return python


class Phoenix:
    """A Phoenix of our own with an empty database, for as long as the `with` block lasts."""

    def __init__(self, python, directory):
        port, grpc_port = free_ports(2)
        self.url = f"http://127.0.0.1:{port}"
        self.log_path = directory / "phoenix.log"
        environment = {
            **os.environ,
            "PHOENIX_PORT": str(port),
            "PHOENIX_GRPC_PORT": str(grpc_port),
            "PHOENIX_WORKING_DIR": str(directory / "phoenix"),
        }
        (directory / "phoenix").mkdir()
        with open(self.log_path, "wb") as log:
            command = [python, ROOT / "scripts" / "run-phoenix.py"]
            self.process = subprocess.Popen(
                command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
            )

    def __enter__(self):
        try:
            self.wait_until_ready(seconds=180)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()

    def wait_until_ready(self, seconds):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            try:
                with urllib.request.urlopen(f"{self.url}/readyz", timeout=5):
                    return
            except OSError:
                time.sleep(0.5)
        lines = self.log_path.read_text(errors="replace").splitlines()[-20:]
        raise Failure("\n".join([f"Phoenix was not ready within {seconds} s:", *lines]))

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def spans(self, project):
        """All spans of a project; none while Phoenix does not know it."""
        found, cursor = [], ""
        while True:
            url = f"{self.url}/v1/projects/{project}/spans?limit=500" + (f"&cursor={cursor}" if cursor else "")
            try:
                with urllib.request.urlopen(url, timeout=30) as answer:
                    page = json.load(answer)
            except urllib.error.HTTPError as error:
                if error.code == 404:
                    return found
                raise
            found += page["data"]
            cursor = page.get("next_cursor")
            if not cursor:
                return found

    def wait_for_rows(self, project, count, seconds):
        """Phoenix answers a trace request before its spans can be read: wait, with a bound."""
        deadline = time.monotonic() + seconds
        while True:
            rows = listed_rows(self.spans(project))
            if len(rows) >= count or time.monotonic() > deadline:
                return rows
            time.sleep(0.3)


def span_id(uuid):
    return uuid.replace("-", "")[16:]


def usage(end):
    annotated = ((end["category_profile"] or {}).get("annotated_response") or {}).get("usage")
    found = annotated or (end["data"] or {}).get("usage") or {}
    return found.get("prompt_tokens"), found.get("completion_tokens")


def expected_rows(path):
    """Span id to its row, for every scope that has a start and an end."""
    events = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    scopes = [event for event in events if event["kind"] == "scope"]
    started = {event["uuid"] for event in scopes if event["scope_category"] == "start"}
    rows = {}
    for end in scopes:
        if end["scope_category"] != "end" or end["uuid"] not in started:
            continue
        parent = end["parent_uuid"]
        prompt, completion = usage(end) if end["category"] == "llm" else (None, None)
        rows[span_id(end["uuid"])] = {
            "name": end["name"],
            "kind": KINDS.get(end["category"], "CHAIN"),
            "parent": span_id(parent) if parent in started else None,
            "status": (end["metadata"] or {}).get("otel.status_code", "UNSET"),
            "prompt": prompt,
            "completion": completion,
        }
    return rows


def listed_rows(spans):
    """The same rows from Phoenix's answer. Marks without a parent are spans as well: they are not compared."""
    rows = {}
    for span in spans:
        if span["name"].startswith("mark:"):
            continue
        attributes = span["attributes"]
        rows[span["context"]["span_id"]] = {
            "name": span["name"],
            "kind": span["span_kind"],
            "parent": span["parent_id"],
            "status": span["status_code"],
            "prompt": attributes.get("llm.token_count.prompt"),
            "completion": attributes.get("llm.token_count.completion"),
        }
    return rows


def compare(expected, listed):
    """Prints a row for each span; the number of spans that differ."""
    wrong = 0
    print(f"{'span':16}  {'name':16} {'kind':9} {'parent':16} {'status':6} {'prompt':>6} {'completion':>10}")
    for identifier in [*expected, *(listed.keys() - expected.keys())]:
        want, have = expected.get(identifier), listed.get(identifier)
        row = have or want
        cells = ["-" if row[column] is None else str(row[column]) for column in COLUMNS]
        line = "{:16.16} {:9} {:16} {:6} {:>6} {:>10}".format(*cells)
        if want == have:
            verdict = "ok"
        elif have is None:
            verdict = "MISSING in Phoenix"
        elif want is None:
            verdict = "NOT EXPECTED"
        else:
            differences = [f"{column} should be {want[column]}" for column in COLUMNS if want[column] != have[column]]
            verdict = "WRONG: " + ", ".join(differences)
        wrong += verdict != "ok"
        print(f"{identifier}  {line}  {verdict}")
    return wrong


def publish(skein, path, project, phoenix, directory):
    """Runs an embedded Skein that publishes the recording, exports it to Phoenix and ends."""
    nats_port, http_port = free_ports(2)
    configuration = directory / f"{project}.toml"
    configuration.write_text(
        f"""version = 1

[http]
listen = "127.0.0.1:{http_port}"

[[components]]
kind = "observability"
enabled = true

[components.config]
version = 4

[components.config.opentelemetry]
enabled = true

[[components.config.opentelemetry.endpoints]]
type = "openinference"
endpoint = "{phoenix.url}/v1/traces"
service_name = "skein-try-phoenix"
resource_attributes = {{ "openinference.project.name" = "{project}" }}
"""
    )
    command = [skein, "up", "--config", configuration, "--data", directory / project, "--port", str(nats_port)]
    command += ["--publish", path, "--exit"]
    try:
        status = subprocess.run(command, stdin=subprocess.DEVNULL, timeout=120).returncode
    except subprocess.TimeoutExpired:
        raise Failure(f"skein did not finish {path} within 120 s") from None
    if status != 0:
        raise Failure(f"skein ended with {status} on {path}")


def main():
    parser = argparse.ArgumentParser(description="Send recorded runs to a real Phoenix and compare what it lists.")
    parser.add_argument("--events", type=Path, action="append", default=[], help="one more recording (ATOF JSON Lines)")
    parser.add_argument("--skein", type=Path, default=ROOT / ".build" / "release" / "skein", help="the skein to try")
    arguments = parser.parse_args()
    recordings = [*RECORDINGS, *arguments.events]
    for path in [*recordings, arguments.skein]:
        if not path.is_file():
            raise Failure(f"no such file: {path}")

    python = install_phoenix()
    wrong = 0
    with tempfile.TemporaryDirectory(prefix="skein-phoenix-") as name:
        directory = Path(name)
        say("starting Phoenix")
        with Phoenix(python, directory) as phoenix:
            for number, path in enumerate(recordings, 1):
                project = f"skein-{number}-{path.stem}"
                say(f"{path} as Phoenix project {project}")
                expected = expected_rows(path)
                publish(arguments.skein, path, project, phoenix, directory)
                wrong += compare(expected, phoenix.wait_for_rows(project, len(expected), seconds=30))
    if wrong:
        raise Failure(f"{wrong} spans differ")
    say("Phoenix lists every span with its kind, parent, status and token counts")


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        print(f"try-phoenix: {failure}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
