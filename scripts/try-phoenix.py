#!/usr/bin/env python3
"""Sends recorded runs through `skein up` to a real Arize Phoenix and compares what Phoenix lists with the recording.

What is expected comes from `phoenix_expected`, which looks at the events and at the pricing of the case alone: a span for each
scope with its kind, parent and status, token counts and cost. Run it as ./dev try-phoenix; it needs Python 3.11, installs
Phoenix below .tools the first time (850 MB, about two minutes), listens on 127.0.0.1 only, and stops what it started.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import tomllib
import urllib.error
import urllib.request
from pathlib import Path

import phoenix_expected
from servers import ROOT, Failure, free_ports, say, toml

PHOENIX_VERSION = "20.26.1"
ENVIRONMENT = ROOT / ".tools" / "phoenix"
RECORDED = ROOT / "Tests" / "ATOFTests" / "Recorded"
CONFIGURATIONS = ROOT / "Tests" / "CollectorTests" / "Configurations"
DEMO = ROOT / "Tests" / "Demo" / "research-agent.jsonl"


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


def listed_rows(spans):
    """The rows of `phoenix_expected` from Phoenix's answer."""
    rows = {}
    for span in spans:
        attributes = span["attributes"]
        rows[span["context"]["span_id"]] = {
            "name": span["name"],
            "kind": span["span_kind"],
            "parent": span["parent_id"],
            "status": span["status_code"],
            "prompt": attributes.get("llm.token_count.prompt"),
            "completion": attributes.get("llm.token_count.completion"),
            "total": attributes.get("llm.token_count.total"),
            "cost": attributes.get("llm.cost.total"),
        }
    return rows


def is_same(column, want, have):
    if column == "cost" and want is not None and have is not None:
        return abs(want - have) <= 1e-9 * max(1, abs(want))
    return want == have


def compare(expected, listed):
    """Prints a line for each span that differs; their number."""
    wrong = 0
    for identifier in [*expected, *(listed.keys() - expected.keys())]:
        want, have = expected.get(identifier), listed.get(identifier)
        if have is None:
            verdict = "MISSING in Phoenix"
        elif want is None:
            verdict = "NOT EXPECTED"
        else:
            columns = [column for column in want if not is_same(column, want[column], have[column])]
            verdict = ", ".join(f"{column} should be {want[column]}, is {have[column]}" for column in columns)
        if verdict:
            wrong += 1
            print(f"    {identifier} {(want or have)['name']}: {verdict}")
    return wrong


class Recording:
    """A recorded run, and the configuration that it was recorded with, if there is one."""

    def __init__(self, name, events, configuration=None):
        self.name, self.events = name, events
        self.components = []
        if configuration and configuration.is_file():
            self.components = tomllib.loads(configuration.read_text(encoding="utf-8")).get("components", [])

    @property
    def pricing(self):
        return [component for component in self.components if component["kind"] == "pricing"]

    @property
    def catalogues(self):
        return [source["catalog"] for component in self.pricing for source in component["config"]["sources"]]

    @property
    def endpoint(self):
        """What the recording's openinference endpoint sets beside its address and its resource."""
        for component in self.components:
            for endpoint in component["config"].get("opentelemetry", {}).get("endpoints", []):
                if endpoint["type"] == "openinference":
                    kept = ("mark_projection", "attribute_mappings", "promote_metadata_prefixes")
                    return {key: value for key, value in endpoint.items() if key in kept}
        return {}


def recordings(cases):
    """Those beside the tests, or instead of them the cases of a directory, and the demo."""
    if cases:
        for case in sorted(path.parent for path in cases.glob("*/events.jsonl")):
            yield Recording(case.name, case / "events.jsonl", case / "config.toml")
    else:
        for events in sorted(RECORDED.glob("*.jsonl")):
            yield Recording(events.stem, events, CONFIGURATIONS / f"{events.stem}.toml")
    yield Recording("demo", DEMO)


def configuration(recording, http_port, project, phoenix):
    endpoint = {
        "type": "openinference",
        "endpoint": f"{phoenix.url}/v1/traces",
        "service_name": "skein-try-phoenix",
        "resource_attributes": {"openinference.project.name": project},
        **recording.endpoint,
    }
    observability = {
        "kind": "observability",
        "enabled": True,
        "config": {"version": 4, "opentelemetry": {"enabled": True, "endpoints": [endpoint]}},
    }
    components = toml([observability, *recording.pricing])
    return f'version = 1\ncomponents = {components}\n\n[http]\nlisten = "127.0.0.1:{http_port}"\n'


def publish(skein, recording, project, phoenix, directory):
    """Runs an embedded Skein that publishes the recording, exports it to Phoenix and ends."""
    nats_port, http_port = free_ports(2)
    path = directory / f"{project}.toml"
    path.write_text(configuration(recording, http_port, project, phoenix), encoding="utf-8")
    command = [skein, "up", "--config", path, "--data", directory / project, "--port", str(nats_port)]
    command += ["--publish", recording.events, "--exit"]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, timeout=120, capture_output=True, text=True)
    except subprocess.TimeoutExpired:
        raise Failure(f"skein did not finish {recording.name} within 120 s") from None
    if done.returncode != 0:
        raise Failure(f"skein ended with {done.returncode} on {recording.name}:\n{done.stderr[-2000:]}")


def try_recording(skein, recording, phoenix, directory):
    """Sends one recording and prints how it compares; its rows, and how many of them are wrong."""
    project = f"skein-{recording.name}"
    expected = phoenix_expected.rows(recording.events.read_text(encoding="utf-8"), recording.catalogues)
    publish(skein, recording, project, phoenix, directory)
    listed = phoenix.wait_for_rows(project, len(expected), seconds=30)
    wrong = compare(expected, listed)
    print(f"  {recording.name:36} {len(expected):3} spans, {wrong} wrong", flush=True)
    return list(expected.values()), wrong


def main():
    parser = argparse.ArgumentParser(description="Send recorded runs to a real Phoenix and compare what it lists.")
    parser.add_argument("--events", type=Path, action="append", default=[], help="one more recording (ATOF JSON Lines)")
    parser.add_argument("--cases", type=Path, help="a directory of cases with events.jsonl and config.toml, instead of Tests")
    parser.add_argument("--skein", type=Path, default=ROOT / ".build" / "release" / "skein", help="the skein to try")
    arguments = parser.parse_args()
    for path in [*arguments.events, arguments.skein]:
        if not path.is_file():
            raise Failure(f"no such file: {path}")
    chosen = [*recordings(arguments.cases), *(Recording(path.stem, path) for path in arguments.events)]
    if len(chosen) < 2:
        raise Failure(f"no cases in {arguments.cases}")

    python = install_phoenix()
    rows, wrong = [], 0
    with tempfile.TemporaryDirectory(prefix="skein-phoenix-") as name:
        directory = Path(name)
        say("starting Phoenix")
        with Phoenix(python, directory) as phoenix:
            say(f"{len(chosen)} recordings, each a project of Phoenix")
            for recording in chosen:
                found, differ = try_recording(arguments.skein, recording, phoenix, directory)
                rows += found
                wrong += differ
    if wrong:
        raise Failure(f"{wrong} of {len(rows)} spans differ")
    with_tokens = sum(row["prompt"] is not None or row["completion"] is not None for row in rows)
    with_cost = sum(row["cost"] is not None for row in rows)
    say(
        f"Phoenix lists {len(rows)} spans of {len(chosen)} recordings with their kinds, parents and states, "
        f"{with_tokens} with their token counts and {with_cost} with their cost"
    )


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        print(f"try-phoenix: {failure}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
