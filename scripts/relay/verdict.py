"""Waits for Skein to be done with what the applications sent, and compares."""

from __future__ import annotations

import time
from collections import Counter, defaultdict

from servers import say

from . import canaries, otlp
from .compare import Deviations, Report, short
from .configuration import TRACES
from .documents import by, event_key, exact, loose, observed, step_identity, subagents, with_subagents_steps

#: How long Skein may take after the last application has ended.
PATIENCE = 90


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
                for item in sink.items(run.name, output, read):
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
    for item in sink.items(mode, output, read):
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
                count = skein.count("processed", transport)
                if count < expected_events:
                    return f"{skein.mode} {transport}: {count} of {expected_events} events"
                found = skein.trajectories(transport)
                lacking = expected_documents - found.keys() - {inner["trajectory_id"] for inner in subagents(found.values())}
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
        roots = {}
        for event in want:
            roots.setdefault(event["uuid"], event.get("propagation_root_uuid"))
        # Two processes write one file: its order is an accident.
        if run.name != "propagation" and ordered(lines, roots) != ordered(want, roots):
            report.fail(run.name, transport, output, "the events are there in another order")
    for key in found.keys() - known:
        report.fail("?", transport, output, f"events.{found[key][0]['name']}@{key[0]} is of no application")


def ordered(events, roots):
    """What identifies the events, in their order within each run: runs are in partitions of their own. An end belongs to the run of
    its start, whatever it says: Relay names the run that is current when it tells of a call that was cancelled."""
    orders = defaultdict(list)
    for event in events:
        if event["uuid"] in roots:
            orders[roots[event["uuid"]]].append(event_key(event))
    return orders


def compare_trajectories(report, skein, transport, runs):
    output, found = "trajectories", skein.trajectories(transport)
    form = exact if skein.mode == "strict" else loose
    embedded = {document["trajectory_id"]: document for document in subagents(found.values())}
    owners = {}
    for run in runs:
        owners.update({event["uuid"]: run.name for event in run.events})
        for identifier, document in run.trajectories.items():
            have = found.pop(identifier, None)
            if have is None and identifier in embedded:
                # Relay cannot know in which trajectory of another process an agent belongs. The steps must be the same.
                want, have = form(document), form(embedded[identifier])
                for part in ("steps", "final_metrics"):
                    report.compare(run.name, transport, output, f"embedded.{identifier}.{part}", want[part], have[part])
                continue
            want, got = form(document), have and form(have)
            if have and form is loose:
                got = with_subagents_steps(want, got)
            report.compare(run.name, transport, output, by_name(document), want, got)
            if have:
                for what, names in (("observed events", observed), ("steps", lambda one: by(one["steps"], step_identity))):
                    common = names(document).keys() & names(have).keys()
                    orders = [[name for name in names(one) if name in common] for one in (document, have)]
                    if orders[0] != orders[1]:
                        report.compare(
                            run.name, transport, output, f"{by_name(document)}.order of {what}", *orders)
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
    failed = 0
    for skein in skeins:
        code = skein.process.stop(seconds=30)
        if code != 0:
            print(f"    skein ({skein.mode}) ended with {code}:\n{skein.process.log_tail(40)}")
            failed += 1
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
        if skein.mode == "strict":
            failed += plant(report, reference, exact)
        else:
            failed += plant(Report(Deviations(paths[:2])), reference, loose)
    for problem in sink.problems:
        print(f"    a request that is none: {problem}")
    return failed + len(sink.problems)


def plant(report, reference, form):
    """Whether planted differences are found; the number of those that are not. Only of an application of which nothing is explained
    by the reasons that are this script's own: those of deviations.json are for every application."""
    silent = count = 0
    run = reference.runs[0]
    checks = [canaries.missed_steps(report, run.name, document, form) for document in run.trajectories.values()]
    checks += [canaries.missed(report, run.name, "events", "events.planted", event) for event in run.events]
    for output, items in reference.items.items():
        for name, item in items.values():
            if name == run.name:
                checks.append(canaries.missed(report, name, output, f"{MULTIPLIED[output][2](item)}", item))
    for missed, planted in checks:
        silent, count = silent + missed, count + planted
    print(f"  planted differences: {count}, not found: {silent}")
    return silent


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
