"""Waits for Skein to be done with what the applications sent, and compares."""

from __future__ import annotations

import time
from collections import Counter, defaultdict

from servers import say

from . import otlp
from .compare import Deviations, Report, short
from .configuration import TRACES

#: How long Skein may take after the last application has ended.
PATIENCE = 90


def event_key(event):
    return event["uuid"], event["kind"], event.get("scope_category")


def by_name(document):
    return f"docs.{document['trajectory_id']}"


def span_label(span):
    return f"spans.{span['name']}@{span['spanId']}"


def record_label(record):
    return f"records.{record['attributes'].get('nemo_relay.mark.name', {}).get('string')}@{otlp.mark(record)}"


#: Outputs whose items come once for each tenant, with nothing that says which: requests to items, what identifies one, its label.
MULTIPLIED = {
    **{name: (otlp.spans, lambda span: (span["spanId"], span["name"]), span_label) for name, _, _ in TRACES},
    "logs": (otlp.logs, otlp.mark, record_label),
}


class Reference:
    """What NeMo Relay itself made of the runs."""

    def __init__(self, runs, sink):
        self.runs = runs
        #: Of each output: the run and the item by what identifies it.
        self.items = {output: {} for output in MULTIPLIED}
        self.metrics = otlp.Metrics()
        for run in runs:
            for output, (read, identity, _) in MULTIPLIED.items():
                for item in read(sink.taken(run.name, output)):
                    self.items[output][identity(item)] = (run.name, item)
            for requests in by_writer(sink.taken(run.name, "metrics")):
                self.metrics.add(requests)
        self.traces = {item["traceId"]: run for run, item in self.items["full"].values()}

    def run_of(self, item):
        return self.traces.get(item.get("traceId"), "?")


def by_writer(requests):
    """Relay's own processes do not name themselves: requests of one have the same start time in their series."""
    writers = defaultdict(list)
    for request in requests:
        starts = [
            point.start_time_unix_nano
            for of_resource in request.resource_metrics for of_scope in of_resource.scope_metrics
            for metric in of_scope.metrics for point in getattr(metric, metric.WhichOneof("data")).data_points]
        writers[min(starts, default=0)].append(request)
    return writers.values()


def copies(sink, mode, output):
    read, identity, _ = MULTIPLIED[output]
    found = defaultdict(list)
    for item in read(sink.taken(mode, output)):
        found[identity(item)].append(item)
    return found


def tenant_metrics(sink, mode, transport):
    metrics = otlp.Metrics()
    metrics.add(sink.taken(mode, "metrics"), tenant=transport.replace("_", "-"))
    return metrics.state()


def wait(reference, skeins, sink, transports):
    """Until everything that is expected is there, with a bound."""
    expected_events = sum(len(run.events) for run in reference.runs)
    expected_documents = {identifier for run in reference.runs for identifier in run.trajectories}

    def missing():
        for skein in skeins:
            for transport in transports:
                if len(skein.lines("processed", transport)) < expected_events:
                    return f"{skein.mode} {transport}: {len(skein.lines('processed', transport))} of {expected_events} events"
                lacking = expected_documents - skein.trajectories(transport).keys()
                if lacking:
                    return f"{skein.mode} {transport}: {len(lacking)} of {len(expected_documents)} trajectories are missing"
            for output in MULTIPLIED:
                found = copies(sink, skein.mode, output)
                lacking = [key for key in reference.items[output] if len(found[key]) < len(transports)]
                if lacking:
                    return f"{skein.mode} {output}: {len(lacking)} of {len(reference.items[output])} are missing"
            for transport in transports:
                if tenant_metrics(sink, skein.mode, transport) != reference.metrics.state():
                    return f"{skein.mode} {transport}: metrics differ"
        return None

    deadline = time.monotonic() + PATIENCE
    while (text := missing()) and time.monotonic() < deadline:
        time.sleep(0.5)
    if text:
        say(f"after {PATIENCE} s: {text}")


def compare_events(report, skein, transport, runs):
    """Each event with each field, and the order of each run."""
    output, lines = "events", skein.lines("processed", transport)
    # `skein publish` has a key for each run, a stream one for all that a producer sends.
    order_of = (lambda event: event.get("propagation_root_uuid")) if transport == "file" else (lambda event: None)
    found = defaultdict(list)
    for line in lines:
        found[event_key(line)].append(line)
    known = set()
    for run in runs:
        want = run.events
        for event in want:
            known.add(event_key(event))
            label = f"events.{event['name']}@{event['uuid']}"
            got = found.get(event_key(event), [])
            report.compare(run.name, transport, output, label, event, got[0] if got else None)
            if len(got) > 1:
                report.fail(run.name, transport, output, f"{label} is there {len(got)} times")
        keys = {event_key(event) for event in want}
        # Two processes write one file: its order is an accident.
        if run.name != "propagation" and ordered(lines, keys, order_of) != ordered(want, keys, order_of):
            report.fail(run.name, transport, output, "the events are there in another order")
    for key in found.keys() - known:
        report.fail("?", transport, output, f"events.{found[key][0]['name']}@{key[0]} is of no application")


def ordered(events, keys, order_of):
    """What identifies the events, in their order within each of what has one."""
    orders = defaultdict(list)
    for event in events:
        if event_key(event) in keys:
            orders[order_of(event)].append(event_key(event))
    return orders


def observed(document):
    """The events that a document lists, by what identifies them."""
    return {" ".join(filter(None, event_key(event))): event for event in document["extra"]["observed_events"]}


def normal_document(document):
    """Without extra.skein, which says how the document came about and which Relay has not; observed events by their names, so
    that one more does not make all that follow differ."""
    extra = {key: value for key, value in document.get("extra", {}).items() if key != "skein"}
    return {**document, "extra": {**extra, "observed_events": observed(document)}}


def subagents(documents):
    """Those that are in others, at any depth."""
    for document in documents:
        for inner in document.get("subagent_trajectories", []):
            yield inner
            yield from subagents([inner])


def compare_trajectories(report, skein, transport, runs):
    output, found = "trajectories", skein.trajectories(transport)
    embedded = {document["trajectory_id"]: document for document in subagents(found.values())}
    owners = {}
    for run in runs:
        owners.update({event["uuid"]: run.name for event in run.events})
        for identifier, document in run.trajectories.items():
            have = found.pop(identifier, None)
            if have is None and identifier in embedded:
                # Relay cannot know in which trajectory of another process an agent belongs. The steps must be the same.
                have = embedded[identifier]
                for part in ("steps", "final_metrics"):
                    report.compare(run.name, transport, output, f"embedded.{identifier}.{part}", document[part], have[part])
                continue
            label = by_name(document)
            report.compare(run.name, transport, output, label, normal_document(document), have and normal_document(have))
            if have:
                common = observed(document).keys() & observed(have).keys()
                orders = [[key for key in observed(one) if key in common] for one in (document, have)]
                if orders[0] != orders[1]:
                    report.fail(run.name, transport, output, f"{label}: observed events are there in another order")
    for document in found.values():
        report.compare(
            owners.get(document["trajectory_id"], "?"), transport, "trajectories", by_name(document), None, document)


def compare_copies(report, reference, sink, mode, output, count):
    """Each item has to be there once for each tenant."""
    _, _, label = MULTIPLIED[output]
    everybody = f"all {count}"
    found = copies(sink, mode, output)
    for key, (run, want) in reference.items[output].items():
        got = found.pop(key, [])
        for have in got:
            report.compare(run, everybody, output, label(want), want, have)
        for _ in range(count - len(got)):
            report.compare(run, everybody, output, label(want), want, None)
        if len(got) > count:
            report.fail(run, everybody, output, f"{label(want)} is there {len(got)} times")
    for rest in found.values():
        for have in rest:
            report.compare(reference.run_of(have), everybody, output, label(have), None, have)


def verdict(runs, skeins, sink, conformance, transports, shown):
    """Prints what was compared; the number of differences without a reason."""
    reference = Reference(runs, sink)
    wait(reference, skeins, sink, transports)
    for skein in skeins:
        if not skein.process.stop(seconds=30):
            say(f"skein ({skein.mode}) did not end within 30 s")
    failed = 0
    for skein in skeins:
        paths = [conformance / "deviations-relay-strict.json"]
        if skein.mode != "strict":
            paths += [conformance / "deviations-relay.json", conformance / "deviations.json"]
        report = Report(Deviations(paths))
        for transport in transports:
            compare_events(report, skein, transport, runs)
            compare_trajectories(report, skein, transport, runs)
            report.compare(
                "all", transport, "metrics", "metrics", reference.metrics.state(), tenant_metrics(sink, skein.mode, transport))
        for output in MULTIPLIED:
            compare_copies(report, reference, sink, skein.mode, output, len(transports))
        show(skein.mode, report, shown)
        failed += len(report.problems)
    for problem in sink.problems:
        print(f"    a request that is none: {problem}")
    return failed + len(sink.problems)


def show(mode, report, shown):
    """A line for each application and output; transports that have the same figures share one."""
    say(f"{mode}: compared, equal, explained, different")
    lines = defaultdict(list)
    for (scenario, transport, output), row in report.rows.items():
        lines[scenario, output, row.compared, row.equal, row.explained, row.different].append(transport)
    order = list(dict.fromkeys(scenario for scenario, _, _ in report.rows))
    for (scenario, output, *figures), names in sorted(lines.items(), key=lambda line: order.index(line[0][0])):
        print(f"  {scenario:14} {output:14} {' '.join(names):32} {' '.join(f'{figure:6}' for figure in figures)}")
    for reason, times in sorted(report.deviations.used.items()):
        print(f"  explained {times:5} times: {reason}")
    groups = Counter((scenario, output, path) for scenario, _, output, path, _, _ in report.problems)
    for scenario, transport, output, path, want, have in report.problems[:shown]:
        print(f"    {scenario} {transport} {output} {path}: should be {short(want)}, is {short(have)}")
    if len(report.problems) > shown:
        print(f"    and {len(report.problems) - shown} more, {len(groups)} in all without the transports")
