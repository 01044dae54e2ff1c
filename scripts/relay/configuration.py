"""The plugins.toml of a NeMo Relay application, and the configuration of a Skein that exports the same."""

from __future__ import annotations

from servers import toml

#: The outputs that are compared: name, type of the endpoint, what the endpoint sets beside its address.
TRACES = [
    ("full", "full", {}),
    ("gen_ai", "gen_ai", {}),
    ("openinference", "openinference", {}),
    ("full-tool", "full", {"mark_projection": "tool", "promote_metadata_prefixes": ["team", "session_"]}),
]
AGENT = {"agent_name": "try-relay", "agent_version": "1.0", "model_name": "unknown-model", "extra": {"team": "tests"}}


def telemetry(url, endpoint_list, names):
    """`opentelemetry` of both: the same endpoints below another address."""
    resource = {
        "service_name": "try-relay", "service_namespace": "tests", "service_version": "1.2", "instrumentation_scope": "scope",
        "resource_attributes": {"deployment.environment": "test"},
    }
    traces = []
    for name, kind, more in TRACES:
        named = {"name": name} if names else {}
        traces.append({"type": kind, "endpoint": f"{url}/{name}/v1/traces", **named, **resource, **more})
    return {
        "enabled": True,
        endpoint_list: traces,
        "logs": {
            "enabled": True, "minimum_severity": "trace", "endpoints": [{"endpoint": f"{url}/logs/v1/logs", **resource}]},
        "metrics": {
            "enabled": True, "export_interval_millis": 1000,
            "endpoints": [{"endpoint": f"{url}/metrics/v1/metrics", **resource}]},
    }


def document(config):
    component = {"kind": "observability", "enabled": True, "config": {"version": 4, **config}}
    return f"version = 1\ncomponents = {toml([component])}\n"


def application(sink_url, directory, streams):
    """plugins.toml: NeMo Relay's own exporters, and its events into a file and to the streams."""
    sinks = [{"type": "file", "output_directory": str(directory), "filename": "events.jsonl", "mode": "append"}, *streams]
    return document({
        "atof": {"enabled": True, "sinks": sinks},
        "atif": {"enabled": True, "output_directory": str(directory / "trajectories"), **AGENT},
        "opentelemetry": telemetry(sink_url, "endpoints", names=False),
    })


def collector(sink_url, compatibility, http_port, ingest_port):
    """A Skein for any number of applications."""
    return document({
        "atif": {"enabled": True, **AGENT},
        "opentelemetry": telemetry(sink_url, "traces", names=True),
    }) + f"""
[collector]
compatibility = "{compatibility}"
partitions = 2
linger_millis = 1000
idle_seconds = 20

[http]
listen = "127.0.0.1:{http_port}"
""" + (f"""
[ingest]
listen = "127.0.0.1:{ingest_port}"
""" if ingest_port else "")
