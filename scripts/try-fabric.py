"""Compares Skein's ingest with NVIDIA's Fabric collector (PyPI nemo-fabric-collector), answer by answer.

usage: try-fabric.py --skein BINARY --nats-server BINARY --fabric PYTHON

Both run on loopback; the same requests go to both, and statuses, content types and bodies must be equal. Where Skein is
stricter on purpose its exact answer is listed here, and anything else fails.
"""

import argparse
import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import uuid

NDJSON = {"content-type": "application/x-ndjson"}
JSON = {"content-type": "application/json"}


def event(**fields):
    record = {
        "kind": "scope", "scope_category": "start", "atof_version": "0.1", "uuid": str(uuid.uuid4()),
        "parent_uuid": None, "timestamp": "2026-01-01T00:00:00Z", "name": "agent", "category": "agent",
        "attributes": [], "data": None, "metadata": None,
    }
    record.update(fields)
    return record


ROOT = event(metadata={"nemo_fabric_request_id": "r1"})
CHILD = event(parent_uuid=ROOT["uuid"], name="tool", category="tool")
END = dict(ROOT, scope_category="end")
STRANGER = event(name="other")


def line(record):
    return json.dumps(record, separators=(",", ":"))


class Differs:
    """What Skein answers on purpose where Fabric says 200 to everything."""

    def __init__(self, status, detail, reason):
        self.status, self.detail, self.reason = status, detail, reason

    def holds(self, ours, theirs):
        return theirs["status"] == 200 and ours == {
            "status": self.status, "type": "application/json", "body": {"detail": self.detail}}


def dead_letter(why):
    return Differs(
        400, f"line 1: {why}; 1 of 1 lines are no events and become dead letters, 0 events are stored",
        "Fabric drops it in silence; Skein keeps it and says 400")


# name, method, path, headers, body, and how Skein's answer differs: not (None), its body says more ("body"), or as is said.
REQUESTS = [
    ("health", "GET", "/healthz", {}, None, None),
    ("health by POST", "POST", "/healthz", {}, "", "body"),
    ("no such path", "GET", "/nothing", {}, None, "body"),
    ("events by PUT", "PUT", "/v1/atof", NDJSON, "", "body"),
    ("an event", "POST", "/v1/atof", NDJSON, line(STRANGER) + "\n", None),
    ("an event without newline", "POST", "/v1/atof", NDJSON, line(STRANGER), None),
    ("an empty body", "POST", "/v1/atof", NDJSON, "", None),
    ("blank lines", "POST", "/v1/atof", NDJSON, "\n \n", None),
    ("a line that is no JSON", "POST", "/v1/atof", NDJSON, "no\n", dead_letter("the line is not one JSON object")),
    ("an object that is no event", "POST", "/v1/atof", NDJSON, "{}\n", dead_letter("kind: is missing")),
    ("a type that is none", "POST", "/v1/atof", {"content-type": "text/plain"}, line(STRANGER),
     Differs(415, "Content-Type must be application/x-ndjson or application/json", "Fabric takes any type; Skein says 415")),
    ("register nothing", "POST", "/v1/register", JSON, "", None),
    ("register a list", "POST", "/v1/register", JSON, "[]", None),
    ("register without id", "POST", "/v1/register", JSON, "{}", None),
    ("register an empty id", "POST", "/v1/register", JSON, '{"request_id":""}', None),
    ("register a number", "POST", "/v1/register", JSON, '{"request_id":5}', None),
    ("an unknown mode", "POST", "/v1/register", JSON, '{"request_id":"x","correlation_mode":"y"}', None),
    ("the Pi mode", "POST", "/v1/register", JSON, '{"request_id":"x","correlation_mode":"pi_turn_window"}', None),
    ("capture of a word", "POST", "/v1/register", JSON, '{"request_id":"x","capture_records":"y"}', None),
    ("no capture", "POST", "/v1/register", JSON, '{"request_id":"x","capture_records":false}', None),
    ("a token of nothing", "POST", "/v1/register", JSON, '{"request_id":"x","registration_token":""}', None),
    ("a token without mode", "POST", "/v1/register", JSON, '{"request_id":"x","registration_token":"t"}', None),
    ("register", "POST", "/v1/register", JSON, '{"request_id":"r1"}', None),
    ("register again", "POST", "/v1/register", JSON, '{"request_id":"r1"}', None),
    ("register by GET", "GET", "/v1/register", {}, None, "body"),
    ("stream of nobody", "GET", "/v1/stream/r2", {}, None, None),
    ("records", "POST", "/v1/atof", NDJSON, "\n".join(line(r) for r in [ROOT, STRANGER, CHILD, END]), None),
    ("deregister with a word", "DELETE", "/v1/deregister-request/r1?remove_queue=x", {}, None, None),
    ("deregister nobody", "DELETE", "/v1/deregister-request/r9", {}, None, None),
    ("deregister by GET", "GET", "/v1/deregister-request/r1", {}, None, "body"),
]


def ask(port, method, path, headers, body):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    text = answer.read()
    kind = (answer.getheader("content-type") or "").split(";")[0]
    try:
        content = json.loads(text) if kind == "application/json" else text.decode()
    except ValueError:
        content = text.decode(errors="replace")
    connection.close()
    return {"status": answer.status, "type": kind if text else "", "body": content}


def stream(port):
    """Reads the stream of r1, a second viewer is refused, then it is deregistered and ends."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("GET", "/v1/stream/r1")
    answer = connection.getresponse()
    lines = [json.loads(answer.readline()) for _ in range(3)]
    second = ask(port, "GET", "/v1/stream/r1", {}, None)
    gone = ask(port, "DELETE", "/v1/deregister-request/r1", {}, None)
    rest = answer.read().decode()
    after = ask(port, "GET", "/v1/stream/r1", {}, None)
    return {
        "status": answer.status, "type": answer.getheader("content-type").split(";")[0], "lines": lines,
        "second": second, "gone": gone, "rest": rest, "after": after,
    }


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait(port, process):
    for _ in range(300):
        if process.poll() is not None:
            sys.exit(f"try-fabric: {process.args[0]} ended with {process.returncode}")
        try:
            if ask(port, "GET", "/healthz", {}, None)["status"] == 200:
                return
        except OSError:
            pass
        time.sleep(0.1)
    sys.exit(f"try-fabric: nobody answers on port {port}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--skein", required=True)
    parser.add_argument("--nats-server", required=True)
    parser.add_argument("--fabric", required=True, help="a Python with nemo-fabric-collector")
    arguments = parser.parse_args()
    ports = [free_port(), free_port()]
    failures = 0
    with tempfile.TemporaryDirectory() as directory:
        configuration = os.path.join(directory, "skein.toml")
        with open(configuration, "w") as file:
            file.write(f'[http]\nenabled = false\n[ingest]\nlisten = "127.0.0.1:{ports[0]}"\n')
        log = open(os.path.join(directory, "log"), "w")
        processes = [
            subprocess.Popen(
                [arguments.skein, "up", "--config", configuration, "--data", os.path.join(directory, "data"),
                 "--port", "0", "--nats-server", arguments.nats_server], stdout=log, stderr=log),
            subprocess.Popen(
                [arguments.fabric, "-m", "nemo_fabric_collector", "--port", str(ports[1])], stdout=log, stderr=log),
        ]
        try:
            for port, process in zip(ports, processes):
                wait(port, process)
            equal = 0
            for name, method, path, headers, body, difference in REQUESTS:
                ours, theirs = (ask(port, method, path, headers, body) for port in ports)
                if difference == "body":
                    # Skein says what would be right too, and always in JSON.
                    same = ours["status"] == theirs["status"] and ours["type"] == "application/json" and \
                        ours["body"]["detail"].startswith(f"{theirs['body']}: ")
                    note = " (status; Skein's body says more)"
                elif difference:
                    same = difference.holds(ours, theirs)
                    note = f" differs on purpose: {difference.reason}"
                else:
                    same = ours == theirs
                    note = ""
                equal += same
                failures += not same
                print(f"{'ok  ' if same else 'FAIL'} {name}{note}")
                if not same:
                    print(f"     skein:  {ours}\n     fabric: {theirs}")
            ours, theirs = (stream(port) for port in ports)
            same = ours == theirs and ours["lines"] == [ROOT, CHILD, END]
            failures += not same
            print(f"{'ok  ' if same else 'FAIL'} a stream: records in order, one viewer, its end")
            if not same:
                print(f"     skein:  {ours}\n     fabric: {theirs}")
        finally:
            for process in processes:
                process.terminate()
            for process in processes:
                process.wait(20)
    print(f"{len(REQUESTS) + 1 - failures} of {len(REQUESTS) + 1} as they should be")
    sys.exit(1 if failures else 0)


main()
