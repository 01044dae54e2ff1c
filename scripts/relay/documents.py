"""Trajectory documents in a form in which one step more or less does not make all that follow differ."""

from __future__ import annotations

from collections import defaultdict


def event_key(event):
    """What identifies an event."""
    return event["uuid"], event["kind"], event.get("scope_category")


def observed(document):
    """The events that a document lists, by what identifies them."""
    return {" ".join(filter(None, event_key(event))): event for event in document["extra"]["observed_events"]}


def subagents(documents):
    """Those that are in others, at any depth."""
    for document in documents:
        for inner in document.get("subagent_trajectories", []):
            yield inner
            yield from subagents([inner])


def comparable_extra(document):
    """`extra` without the member `skein`, which says how the document came about and which Relay has not; observed events by what
    identifies them."""
    if "observed_events" not in document.get("extra", {}):
        return {}
    extra = {key: value for key, value in document["extra"].items() if key != "skein"}
    return {"extra": {**extra, "observed_events": observed(document)}}


def exact(document):
    """The form in which a document of a strict collector is compared."""
    document = {**document, **comparable_extra(document), "steps": [exact_step(step) for step in document["steps"]]}
    if "subagent_trajectories" in document:
        document["subagent_trajectories"] = [exact(inner) for inner in document["subagent_trajectories"]]
    return document


def exact_step(step):
    """Results whose call is nowhere by what identifies them: Relay has them in the order of a hash table, another one in each run."""
    if step["source"] != "system" or "observation" not in step:
        return step
    return {**step, "observation": {"results": by(step["observation"]["results"], result_identity)}}


def result_identity(result):
    return result.get("extra", {}).get("event_uuid") or result.get("source_call_id", "none")


def by(items, identity):
    """A list as an object; those of one identity are told apart by their order."""
    found, times = {}, defaultdict(int)
    for item in items:
        name = identity(item)
        times[name] += 1
        found[name if times[name] == 1 else f"{name}#{times[name]}"] = item
    return found


def step_identity(step):
    """The call, scope or guardrail that a step is about, behind its source."""
    extra, calls = step.get("extra", {}), step.get("tool_calls", [])
    results = step.get("observation", {}).get("results", [])
    told = (
        extra.get("ancestry", {}).get("function_id"),
        extra.get("event_uuid"),
        *(call.get("extra", {}).get("event_uuid") for call in calls),
        *(call["tool_call_id"] for call in calls),
        # Whichever comes first.
        min(map(result_identity, results), default=None),
        "none",
    )
    return f"{step['source']}/{next(name for name in told if name)}"


def loose_step(step):
    """Without `step_id`, which counts; the order of steps is compared apart."""
    step = {key: value for key, value in step.items() if key != "step_id"}
    if "tool_calls" in step:
        step["tool_calls"] = by(step["tool_calls"], lambda call: call["tool_call_id"])
    if "observation" in step:
        step["observation"] = by(step["observation"]["results"], result_identity)
    extra = dict(step.get("extra", {}))
    for key, identity in (("tool_ancestry", "function_id"), ("tool_invocations", "invocation_id")):
        if key in extra:
            extra[key] = by(extra[key], lambda item: item[identity])
    return {**step, "extra": extra}


def loose(document):
    """The form of other ones: steps, calls, results and subagents by what identifies them."""
    document = {**document, **comparable_extra(document)}
    document["steps"] = {name: loose_step(step) for name, step in by(document["steps"], step_identity).items()}
    if "subagent_trajectories" in document:
        document["subagent_trajectories"] = by(
            map(loose, document["subagent_trajectories"]), lambda inner: inner["trajectory_id"])
    return document


def with_subagents_steps(want, have):
    """`have` with the steps that it has in subagents' documents, where `want` has one list for all: they are compared all the same."""
    elsewhere = {}
    for inner in loose_subagents(have):
        for name, step in inner["steps"].items():
            elsewhere.setdefault(name, step)
    moved = {name: elsewhere[name] for name in want["steps"] if name not in have["steps"] and name in elsewhere}
    return {**have, "steps": {**have["steps"], **moved}}


def loose_subagents(document):
    for inner in document.get("subagent_trajectories", {}).values():
        yield inner
        yield from loose_subagents(inner)
