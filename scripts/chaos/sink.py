"""An OTLP/HTTP trace backend in a process of its own: records every span, and misbehaves as it is told.

POST /v1/traces         the backend
POST /control/mode      ok, error (500), throttle (429 with Retry-After), hang (no answer), close (no answer, closed)
GET  /control/figures   counts as JSON
GET  /control/spans     SPAN records, one for each (trace id, span id)
GET  /control/changes   spans that came with another content than the first time: span id to both contents, as JSON
GET  /control/latency   pairs of doubles: time of arrival, seconds from the span's end to its arrival
"""

from __future__ import annotations

import argparse
import array
import gzip
import hashlib
import json
import struct
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from .schema import ExportTraceServiceRequest

#: trace id, span id, hash of the first content, times accepted, times seen with another content
SPAN = struct.Struct(">16s8s16sII")
#: So many first contents are kept for comparison, and so many changes.
KEPT_CONTENTS, KEPT_CHANGES = 200_000, 50
MODES = ("ok", "error", "throttle", "hang", "close")


class Recorder:
    """What arrived. A refused request counts nothing, but its content is compared all the same."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.mode = "ok"
        self.mode_changed = threading.Event()
        self.spans: dict[bytes, list] = {}
        self.contents: dict[bytes, bytes] = {}
        self.changes: dict[str, list[str]] = {}
        self.latency = array.array("d")
        self.requests = self.refused = self.accepted = 0

    def record(self, body: bytes, accepted: bool) -> None:
        arrival = time.time()
        request = ExportTraceServiceRequest.FromString(body)
        with self.lock:
            self.requests += 1
            self.refused += not accepted
            for resource in request.resource_spans:
                for scope in resource.scope_spans:
                    for span in scope.spans:
                        self._record_span(span, accepted, arrival)

    def _record_span(self, span, accepted: bool, arrival: float) -> None:  # noqa: ANN001 (built at run time)
        content = span.SerializeToString(deterministic=True)
        digest = hashlib.blake2b(content, digest_size=16).digest()
        key = span.trace_id + span.span_id
        entry = self.spans.get(key)
        if entry is None:
            entry = self.spans[key] = [digest, 0, 0]
            if len(self.contents) < KEPT_CONTENTS:
                self.contents[key] = content
        entry[1] += accepted
        if digest != entry[0]:
            entry[2] += 1
            if len(self.changes) < KEPT_CHANGES and key in self.contents:
                self.changes[span.span_id.hex()] = [self.contents[key].hex(), content.hex()]
        if accepted:
            self.accepted += 1
            if entry[1] == 1:
                self.latency.extend((arrival, arrival - span.end_time_unix_nano / 1e9))

    def set_mode(self, mode: str) -> None:
        with self.lock:
            self.mode = mode
            changed, self.mode_changed = self.mode_changed, threading.Event()
        changed.set()

    def figures(self) -> dict[str, int]:
        with self.lock:
            return {
                "requests": self.requests,
                "refused": self.refused,
                "accepted": self.accepted,
                "distinct": len(self.latency) // 2,
            }

    def packed_spans(self) -> bytes:
        with self.lock:
            return b"".join(SPAN.pack(key[:16], key[16:], *entry) for key, entry in self.spans.items())

    def packed_latency(self) -> bytes:
        with self.lock:
            return self.latency.tobytes()


def handler(recorder: Recorder) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            answers = {
                "/control/figures": lambda: json.dumps(recorder.figures()).encode(),
                "/control/spans": recorder.packed_spans,
                "/control/changes": lambda: json.dumps(recorder.changes).encode(),
                "/control/latency": recorder.packed_latency,
            }
            answer = answers.get(self.path)
            self._answer(200, answer()) if answer else self._answer(404)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            if self.path == "/control/mode":
                mode = body.decode()
                if mode in MODES:
                    recorder.set_mode(mode)
                self._answer(200 if mode in MODES else 400)
                return
            with recorder.lock:
                mode, changed = recorder.mode, recorder.mode_changed
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            recorder.record(body, accepted=mode == "ok")
            if mode == "ok":
                self._answer(200)
            elif mode == "error":
                self._answer(500)
            elif mode == "throttle":
                self._answer(429, retry_after=1)
            else:
                if mode == "hang":
                    changed.wait()
                self.close_connection = True

        def _answer(self, status: int, body: bytes = b"", retry_after: int | None = None) -> None:
            self.send_response(status)
            if retry_after is not None:
                self.send_header("retry-after", str(retry_after))
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    return Handler


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    server = ThreadingHTTPServer(("127.0.0.1", parser.parse_args().port), handler(Recorder()))
    server.daemon_threads = True
    server.serve_forever()


if __name__ == "__main__":
    main()
