"""OTLP requests as plain values that can be compared field by field."""

from __future__ import annotations


def value(any_value):
    """With its type, because 1, 1.0 and "1" are three values."""
    kind = any_value.WhichOneof("value")
    if kind is None:
        return {"none": True}
    content = getattr(any_value, kind)
    if kind == "array_value":
        content = [value(element) for element in content.values]
    elif kind == "kvlist_value":
        content = attributes(content.values)
    elif kind == "bytes_value":
        content = content.hex()
    return {kind.removesuffix("_value"): content}


def attributes(pairs):
    """Of a repeated key the last value: readers keep that, and NeMo Relay repeats keys in openinference."""
    return {pair.key: value(pair.value) for pair in pairs}


def resource(resource):
    """Without telemetry.sdk.*: those name the program that exports, which is another one."""
    return {key: kept for key, kept in attributes(resource.attributes).items() if not key.startswith("telemetry.sdk.")}


def spans(requests):
    for request in requests:
        for of_resource in request.resource_spans:
            for of_scope in of_resource.scope_spans:
                for span in of_scope.spans:
                    yield {
                        "traceId": span.trace_id.hex(), "spanId": span.span_id.hex(), "parentSpanId": span.parent_span_id.hex(),
                        "traceState": span.trace_state, "flags": span.flags, "name": span.name, "kind": span.kind,
                        "startTimeUnixNano": span.start_time_unix_nano, "endTimeUnixNano": span.end_time_unix_nano,
                        "attributes": attributes(span.attributes),
                        "status": {"code": span.status.code, "message": span.status.message},
                        "events": [
                            {"name": event.name, "timeUnixNano": event.time_unix_nano,
                             "attributes": attributes(event.attributes), "dropped": event.dropped_attributes_count}
                            for event in span.events],
                        "links": [
                            {"traceId": link.trace_id.hex(), "spanId": link.span_id.hex(), "attributes": attributes(link.attributes)}
                            for link in span.links],
                        "dropped": [
                            span.dropped_attributes_count, span.dropped_events_count, span.dropped_links_count],
                        "resource": resource(of_resource.resource),
                        "resourceSchema": of_resource.schema_url, "scopeSchema": of_scope.schema_url,
                        "scope": {"name": of_scope.scope.name, "version": of_scope.scope.version,
                                  "attributes": attributes(of_scope.scope.attributes)},
                    }


def logs(requests):
    for request in requests:
        for of_resource in request.resource_logs:
            for of_scope in of_resource.scope_logs:
                for record in of_scope.log_records:
                    # observed_time_unix_nano is left out: it is when the exporter heard of the mark.
                    yield {
                        "timeUnixNano": record.time_unix_nano, "severityNumber": record.severity_number,
                        "severityText": record.severity_text, "eventName": record.event_name, "body": value(record.body),
                        "attributes": attributes(record.attributes), "dropped": record.dropped_attributes_count,
                        "flags": record.flags, "traceId": record.trace_id.hex(), "spanId": record.span_id.hex(),
                        "resource": resource(of_resource.resource), "scope": {"name": of_scope.scope.name},
                    }


def mark(record):
    """What identifies a log record."""
    return record["attributes"].get("nemo_relay.mark.uuid", {}).get("string", "")


class Metrics:
    """The final state of cumulative series of several writers: counts are added up, of gauges the newest counts."""

    def __init__(self):
        self.series = {}

    def add(self, requests, tenant=None):
        """Requests of writers that name themselves, or all of one that does not, in their order; of a tenant alone if it is
        given. The instance that Skein names its writer by is no part of a series."""
        last = {}
        for request in requests:
            for of_resource in request.resource_metrics:
                owner = resource(of_resource.resource)
                instance = owner.pop("service.instance.id", None)
                if tenant and not instance["string"].endswith(f"/{tenant}"):
                    continue
                for of_scope in of_resource.scope_metrics:
                    for metric in of_scope.metrics:
                        kind = metric.WhichOneof("data")
                        data = getattr(metric, kind)
                        for point in data.data_points:
                            key = (metric.name, repr(sorted(attributes(point.attributes).items())))
                            last[repr(instance), key] = {
                                "unit": metric.unit, "description": metric.description, "type": kind, "resource": owner,
                                "scope": of_scope.scope.name, "temporality": getattr(data, "aggregation_temporality", 0),
                                "monotonic": getattr(data, "is_monotonic", False),
                                "attributes": attributes(point.attributes), "time": point.time_unix_nano, **self._numbers(kind, point),
                            }
        for (_, key), found in last.items():
            self._merge(key, found)

    @staticmethod
    def _numbers(kind, point):
        if kind != "histogram":
            number = point.WhichOneof("value")
            return {"number": {number: getattr(point, number)}}
        return {
            "count": point.count, "sum": point.sum, "buckets": list(point.bucket_counts), "bounds": list(point.explicit_bounds),
            "min": point.min if point.HasField("min") else None, "max": point.max if point.HasField("max") else None,
        }

    def _merge(self, key, new):
        old = self.series.get(key)
        if old is None:
            self.series[key] = new
        elif new["type"] == "gauge":
            self.series[key] = max(old, new, key=lambda state: state["time"])
        elif new["type"] == "sum":
            (kind, number), = new["number"].items()
            self.series[key] = {**new, "number": {kind: old["number"][kind] + number}}
        else:
            self.series[key] = {
                **new, "count": old["count"] + new["count"], "sum": old["sum"] + new["sum"],
                "min": min(old["min"], new["min"]), "max": max(old["max"], new["max"]),
                "buckets": [a + b for a, b in zip(old["buckets"], new["buckets"], strict=True)],
            }

    def state(self):
        """Without the times of points: they are when somebody collected."""
        return {
            f"{name}{{{labels}}}": {key: kept for key, kept in state.items() if key != "time"}
            for (name, labels), state in self.series.items()
        }
