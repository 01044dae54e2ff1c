"""Plants differences and asks whether the comparison finds them: a comparison that cannot fail would say nothing."""

from __future__ import annotations

import copy

from .compare import differences
from .documents import exact


def altered(value):
    """Copies of an object with one thing different: each member gone, each first leaf below a member changed, a member more."""
    for key in value:
        gone = dict(value)
        del gone[key]
        yield gone
        changed = copy.deepcopy(value)
        changed[key] = changed_leaf(changed[key])
        yield changed
    yield {**value, "planted": None}


def changed_leaf(value):
    if isinstance(value, dict):
        for key, member in value.items():
            return {**value, key: changed_leaf(member)}
        return {"planted": True}
    if isinstance(value, list):
        return [changed_leaf(value[0]), *value[1:]] if value else ["planted"]
    if isinstance(value, bool) or value is None:
        return "planted"
    return value + 1 if isinstance(value, (int, float)) else f"{value}!"


def missed(report, scenario, output, label, want):
    """How many of the planted differences nobody would hear of, and how many there were."""
    copies = list(altered(want))
    silent = 0
    for have in copies:
        found = ((f"{label}.{path}", *sides) for path, *sides in differences(want, have))
        silent += all(report.deviations.explains(scenario, output, *one) for one in found)
    return silent, len(copies)


def missed_steps(report, scenario, document, form):
    """The same for the steps of a document, compared in a form of `documents`."""
    want, silent, count = form(document), 0, 0
    for index, step in enumerate(document["steps"]):
        if form is not exact:
            # The other form leaves numbers out.
            step = {key: value for key, value in step.items() if key != "step_id"}
        for change in altered(step):
            if "source" not in change:
                continue  # That is no step.
            have = form({**document, "steps": [*document["steps"][:index], change, *document["steps"][index + 1:]]})
            found = ((f"docs.planted.{path}", *sides) for path, *sides in differences(want, have))
            silent += all(report.deviations.explains(scenario, "trajectories", *one) for one in found)
            count += 1
    return silent, count
