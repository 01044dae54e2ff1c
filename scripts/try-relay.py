#!/usr/bin/env python3
"""Runs real NeMo Relay applications whose events go to Skein, and compares Skein's output with Relay's own, field by field.

Run it as ./dev try-relay; it needs Python 3.11, installs nemo-relay, its integrations and its command line below .tools the first
time (210 MB, half a minute), listens on 127.0.0.1 only, and stops what it started.

Each application runs in a process of its own with NeMo Relay's exporters (ATIF files, OTLP traces, logs and metrics) and with
`atof.sinks` that stream its events to two Skeins: one that is `strict`, one that is not. Each transport (`http_post`, `ndjson`,
`websocket`) is a tenant; a fourth, `file`, gets by `skein publish` what Relay's file sink wrote, so that a difference tells whether
the way in or the processing has made it. Compared are: every event in PROCESSED, and in order; every trajectory; every span
of four trace endpoints, once for each tenant; every log record; all metrics. Ids are compared as they are, they derive from scopes'.

Differences are explained by deviations-relay-strict.json of Tests/Conformance, and where the collector is not strict also by
deviations-relay.json and deviations.json. Anything else, an event that is missing, and an entry too much end the script with 1.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from servers import ROOT, Failure, Process, answers, free_ports, say

ENVIRONMENT = ROOT / ".tools" / "relay"
PACKAGES = ["nemo-relay[langchain,langgraph]==0.10.4", "nemo-relay-cli-bin==0.10.4", "opentelemetry-proto==1.45.2"]
TRANSPORTS = ("http_post", "ndjson", "websocket")
CONFORMANCE = ROOT / "Tests" / "Conformance"


def install():
    """A virtual environment with the pinned packages; its Python."""
    python, mark, wanted = ENVIRONMENT / "bin" / "python", ENVIRONMENT / "installed", " ".join(PACKAGES)
    if mark.exists() and mark.read_text() == wanted:
        return python
    say(f"installing {wanted} into {ENVIRONMENT.relative_to(ROOT)}, about half a minute")
    if subprocess.run([sys.executable, "-m", "venv", "--clear", ENVIRONMENT]).returncode != 0:
        raise Failure("python3 -m venv failed: on Debian install python3-venv")
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:", *PACKAGES]
    if subprocess.run(pip).returncode != 0:
        raise Failure(f"pip could not install {wanted}")
    mark.write_text(wanted)
    return python


def tenant(transport):
    return transport.replace("_", "-")


def json_lines(path):
    """What is there so far; a last line that is not complete is left out. Other line breaks, such as U+2028, end no line."""
    text = path.read_text(encoding="utf-8")
    return [json.loads(line) for line in text[: text.rfind("\n") + 1].split("\n") if line]


class Skein:
    """A collector with a broker of its own, for as long as the `with` block lasts."""

    def __init__(self, binary, mode, sink, directory):
        from relay import configuration

        nats_port, http_port, self.ingest_port = free_ports(3)
        self.binary, self.mode, self.directory = binary, mode, directory
        self.url, self.http = f"nats://127.0.0.1:{nats_port}", f"http://127.0.0.1:{http_port}"
        directory.mkdir()
        path = directory / "skein.toml"
        path.write_text(
            configuration.collector(f"{sink.url}/{mode}", "strict" if mode == "strict" else "skein", http_port, self.ingest_port))
        self.process = Process(
            [binary, "up", "--config", path, "--data", directory / "data", "--port", nats_port], directory / "skein.log")
        self.tails = []

    def __enter__(self):
        try:
            self.process.wait_until(lambda: answers(f"{self.http}/readyz"), 60, f"skein ({self.mode})")
            for what in ("processed", "trajectories"):
                for transport in (*TRANSPORTS, "file"):
                    command = [self.binary, "tail", what, "--all", "--format", "json", "--tenant", tenant(transport)]
                    command += ["--nats", self.url]
                    name = self.directory / f"{what}-{transport}"
                    self.tails.append(Process(command, name.with_suffix(".log"), stdout=name.with_suffix(".jsonl")))
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for process in [*self.tails, self.process]:
            process.stop()

    def lines(self, what, transport):
        """What was read so far."""
        return json_lines(self.directory / f"{what}-{transport}.jsonl")

    def count(self, what, transport):
        """How many lines there are so far."""
        return (self.directory / f"{what}-{transport}.jsonl").read_bytes().count(b"\n")

    def trajectories(self, transport):
        """The newest revision of each."""
        return {document["trajectory_id"]: document for document in self.lines("trajectories", transport)}

    def publish(self, events):
        command = [self.binary, "publish", events, "--tenant", tenant("file"), "--nats", self.url]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
        if done.returncode != 0:
            raise Failure(f"skein publish ended with {done.returncode}:\n{done.stdout}{done.stderr}")

    def streams(self):
        """`atof.sinks` of an application."""
        for transport in TRANSPORTS:
            scheme = "ws" if transport == "websocket" else "http"
            yield {
                "type": "stream", "name": f"{self.mode}-{transport}", "transport": transport,
                "url": f"{scheme}://127.0.0.1:{self.ingest_port}/t/{tenant(transport)}/v1/atof",
                # Also how long an application that ends waits for what it has not sent yet: with `http_post` that is a lot.
                "timeout_millis": 60_000,
            }


class Run:
    """An application that has run: its directory has what Relay itself wrote."""

    def __init__(self, name, directory):
        self.name, self.directory = name, directory

    @property
    def events_path(self):
        return self.directory / "events.jsonl"

    @property
    def events(self):
        return json_lines(self.events_path)

    @property
    def trajectories(self):
        documents = [json.loads(path.read_text(encoding="utf-8")) for path in (self.directory / "trajectories").glob("*.json")]
        return {document["trajectory_id"]: document for document in documents}


def run_application(name, command, directory, sink, skeins):
    """One application with a plugins.toml of its own."""
    from relay import configuration

    home = directory / name
    (home / "config" / "nemo-relay").mkdir(parents=True)
    # What nemo-relay starts as Claude Code.
    (home / "bin").mkdir()
    (home / "bin" / "claude").symlink_to(ROOT / "scripts" / "relay" / "stand_in_claude.py")
    streams = [stream for skein in skeins for stream in skein.streams()]
    (home / "config" / "nemo-relay" / "plugins.toml").write_text(
        configuration.application(f"{sink.url}/{name}", home, streams), encoding="utf-8")
    environment = {
        **os.environ, "PYTHONPATH": str(ROOT / "scripts"), "PYTHONDONTWRITEBYTECODE": "1", "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / "config"), "LANGSMITH_TRACING": "false",
        "PATH": f"{home / 'bin'}:{ENVIRONMENT / 'bin'}:{os.environ['PATH']}",
    }
    done = subprocess.run(
        command, cwd=home, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
    (home / "program.log").write_text(done.stdout + done.stderr, encoding="utf-8")
    if done.returncode != 0:
        raise Failure(f"the application {name} ended with {done.returncode}:\n{(done.stdout + done.stderr)[-3000:]}")
    run = Run(name, home)
    say(f"{name}: {len(run.events)} events, {len(run.trajectories)} trajectories")
    return run


def applications(chosen, provider):
    """Commands by name."""
    from relay import agents, frameworks

    # callee is the other process of propagation.
    names = [name for name in (*agents.SCENARIOS, *frameworks.SCENARIOS) if name != "callee"]
    commands = {name: [ENVIRONMENT / "bin" / "python", "-m", "relay.program", name] for name in names}
    commands["coding_agent"] = [
        "nemo-relay", "run", "--agent", "claude", "--anthropic-base-url", provider.url, "--", "-p", "List the files."]
    unknown = set(chosen) - commands.keys()
    if unknown:
        raise Failure(f"no such application: {', '.join(sorted(unknown))}; there are {', '.join(commands)}")
    return {name: command for name, command in commands.items() if not chosen or name in chosen}


def main():
    parser = argparse.ArgumentParser(description="Compare Skein with NeMo Relay's own exporters on real applications.")
    parser.add_argument("--skein", type=Path, default=ROOT / ".build" / "release" / "skein", help="the skein to try")
    parser.add_argument("--only", action="append", default=[], help="an application; may be repeated")
    parser.add_argument("--show", type=int, default=20, help="differences that are printed")
    parser.add_argument("--keep", action="store_true", help="keep configurations, events, documents and logs")
    arguments = parser.parse_args()
    arguments.skein = arguments.skein.resolve()
    if not arguments.skein.is_file():
        raise Failure(f"no such file: {arguments.skein}")
    python = install()
    if Path(sys.prefix) != ENVIRONMENT:
        os.execv(python, [python, "-B", *sys.argv])
    directory = Path(tempfile.mkdtemp(prefix="skein-relay-"))
    try:
        check(arguments, directory)
    except BaseException:
        say(f"configurations, events, documents and logs are kept in {directory}")
        raise
    if arguments.keep:
        say(f"configurations, events, documents and logs are kept in {directory}")
    else:
        shutil.rmtree(directory)


def check(arguments, directory):
    from relay.provider import Provider
    from relay.sink import Sink
    from relay.verdict import verdict

    sink, provider = Sink(), Provider()
    say("starting Skein, strict and not")
    with Skein(arguments.skein, "strict", sink, directory / "strict") as strict, \
            Skein(arguments.skein, "default", sink, directory / "default") as default:
        skeins = [strict, default]
        runs = [
            run_application(name, command, directory, sink, skeins)
            for name, command in applications(arguments.only, provider).items()]
        for skein in skeins:
            for run in runs:
                skein.publish(run.events_path)
        failed = verdict(runs, skeins, sink, CONFORMANCE, (*TRANSPORTS, "file"), arguments.show)
    if failed:
        raise Failure(f"{failed} differences that nobody explained")
    say("Skein tells what NeMo Relay itself tells")


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        print(f"try-relay: {failure}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
