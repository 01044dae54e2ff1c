#!/usr/bin/env python3
"""Checks that nothing hides behind steps and events that are one place further than the reference's.

usage: check-moved-steps.py BINARY CONFORMANCE     CONFORMANCE holds check.py and the recorded cases

Where one step or event is left out, added or elsewhere, all behind it differ from the recorded ones of the same number, and
Tests/Conformance/deviations.json has to excuse their members. Here the lists are compared as what they hold: without their numbers,
all but as many as MOVED says must be equal.
"""
import importlib.util, json, os, sys

# Case and list: how many the reference alone has, and Skein alone.
MOVED = {
    ("31-compaction-and-skill-load", "steps"): (1, 1),
    ("48-metadata-injection", "steps"): (1, 1),
    ("59-pii-redaction", "steps"): (1, 1),
    ("34-all-scope-categories", "steps"): (1, 0),
    ("66-atif-tool-definitions", "steps"): (1, 1),
    ("20-guardrail-reject-tool", "steps"): (1, 2),
    ("25-intercepts", "events"): (0, 1),
    ("01-simple-agent-tool-llm--mangled", "steps"): (2, 1),
    ("03-nested-agents--orphan_parents", "steps"): (1, 2),
}


def items(document, kind):
    if kind == "events":
        return [json.dumps(event, sort_keys=True) for event in document["extra"]["observed_events"]]
    return [json.dumps({k: v for k, v in step.items() if k != "step_id"}, sort_keys=True) for step in document["steps"]]


def load_checker(folder):
    spec = importlib.util.spec_from_file_location("check", os.path.join(folder, "check.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    binary, folder = sys.argv[1:]
    check = load_checker(folder)
    os.environ.pop("SKEIN_COMPATIBILITY", None)
    problems, compared = [], 0
    for (name, kind), expected in MOVED.items():
        case = check.find_cases(folder, "malformed" if "--" in name else "cases", [name])[0]
        for output in ["atif", "trajectories"]:
            if output not in case.outputs or (kind == "events" and output == "atif"):
                continue
            got, problem = check.execute(case.command(binary, output), 60)
            if problem:
                problems.append(f"{name} {output}: {problem}")
                continue
            reference = case.expected(output)
            pairs = [(reference, got)] if output == "atif" else zip(reference, got, strict=True)
            for theirs, ours in pairs:
                theirs, ours = items(theirs, kind), items(ours, kind)
                found = (sum(x not in ours for x in theirs), sum(x not in theirs for x in ours))
                compared += 1
                if found != expected:
                    problems.append(f"{name} {output}: {kind} of one side alone are {found}, expected {expected}")
    for problem in problems:
        print(problem)
    print(f"{compared} lists compared, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
