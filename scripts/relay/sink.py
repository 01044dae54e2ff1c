"""A backend for OTLP/HTTP that keeps what it is sent, by the first part of the path."""

from __future__ import annotations

import gzip
import threading
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

REQUESTS = {
    "traces": ExportTraceServiceRequest,
    "logs": ExportLogsServiceRequest,
    "metrics": ExportMetricsServiceRequest,
}


class Sink(ThreadingHTTPServer):
    """Requests to /SOURCE/OUTPUT/v1/SIGNAL are in `requests` as (source, output), in the order of arrival."""

    daemon_threads = True

    def __init__(self):
        self.lock = threading.Lock()
        self.requests = defaultdict(list)
        self.problems = []
        self.read = {}
        super().__init__(("127.0.0.1", 0), self.Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"

    def taken(self, source, output):
        with self.lock:
            return list(self.requests[source, output])

    def items(self, source, output, read):
        """What `read` makes of all requests; of those that were there before it is remembered."""
        requests = self.taken(source, output)
        count, items = self.read.get((source, output), (0, []))
        items += read(requests[count:])
        self.read[source, output] = (len(requests), items)
        return items

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log_message(self, *_):
            pass

        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            try:
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                source, output, _, signal = self.path.strip("/").split("/")
                request = REQUESTS[signal].FromString(body)
                with self.server.lock:
                    self.server.requests[source, output].append(request)
                status = 200
            except Exception as error:  # noqa: BLE001 (whatever a request has wrong, the comparison must hear of it)
                with self.server.lock:
                    self.server.problems.append(f"{self.path}: {error}")
                status = 400
            self.send_response(status)
            self.send_header("content-type", "application/x-protobuf")
            self.send_header("content-length", "0")
            self.end_headers()
