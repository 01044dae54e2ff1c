"""What differs between NeMo Relay's own output and Skein's, and which of it is explained."""

from __future__ import annotations

import fnmatch
import json
import re
from dataclasses import dataclass, field

ABSENT = "(absent)"


def is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def embedded(text):
    """The value of a text that holds a JSON object or array, else None."""
    if not text.lstrip().startswith(("{", "[")):
        return None
    try:
        return json.loads(text)
    except ValueError:
        return None


def differences(want, have, path=""):
    """(path, wanted, found) of all that differs. A number equals another only with its value; texts of JSON, whose members
    have no order, are compared as JSON."""
    def below(part):
        return f"{path}.{part}" if path else str(part)

    if isinstance(want, dict) and isinstance(have, dict):
        for key in sorted(want.keys() | have.keys()):
            if key not in have:
                yield below(key), want[key], ABSENT
            elif key not in want:
                yield below(key), ABSENT, have[key]
            else:
                yield from differences(want[key], have[key], below(key))
    elif isinstance(want, list) and isinstance(have, list):
        if len(want) != len(have):
            yield below("length"), len(want), len(have)
        for index in range(max(len(want), len(have))):
            if index >= len(have):
                yield below(index), want[index], ABSENT
            elif index >= len(want):
                yield below(index), ABSENT, have[index]
            else:
                yield from differences(want[index], have[index], below(index))
    elif isinstance(want, str) and isinstance(have, str):
        if want != have:
            inner = embedded(want), embedded(have)
            if None in inner:
                yield path, want, have
            else:
                yield from differences(*inner, path + "~json")
    elif is_number(want) and is_number(have):
        # repr tells 1 from 1.0 and -0.0 from 0.0.
        if repr(want) != repr(have):
            yield path, want, have
    elif type(want) is not type(have) or want != have:
        yield path, want, have


def is_shortened(want, have):
    """The same instant in microseconds instead of nanoseconds."""
    if not isinstance(want, str) or not isinstance(have, str):
        return False
    microseconds = re.sub(r"(\.\d{6})\d{3}", r"\1", want)
    return have in (microseconds, microseconds.replace("000+", "+"), microseconds.replace(".000000+", "+"))


def is_hollow(value):
    """A trajectory in which nothing was done, a step that only calls such a one, or several of them: what `documents.loose` makes
    of the nodes of a graph that are agents without models and tools."""
    if not isinstance(value, dict):
        return False
    if "steps" in value:
        return all(map(is_hollow, [*value["steps"].values(), *value.get("subagent_trajectories", {}).values()]))
    if "source" in value:
        return value.get("llm_call_count") == 0 and not value["message"] and "llm_request" not in value["extra"]
    return bool(value) and all(map(is_hollow, value.values()))


#: What an entry may ask of the two values besides the place where they are.
RULES = {
    "microseconds": is_shortened,
    "additional": lambda want, have: want == ABSENT,
    "missing": lambda want, have: have == ABSENT,
    "hollow": lambda want, have: have == ABSENT and is_hollow(want),
    "wrapped": lambda want, have: have in ({"value": want}, {"raw": want}),
}


class Deviations:
    """Entries {"case", "output", "path", "reason"} with globs, as in Tests/Conformance; here also with a "rule" for both values, or
    the value that is "wanted"."""

    def __init__(self, paths):
        self.entries = [entry for path in paths for entry in json.loads(path.read_text(encoding="utf-8"))]
        self.used = {}

    def explains(self, case, output, path, want, have):
        """Whether there is a reason; nothing is counted."""
        used = dict(self.used)
        found = self.reason(case, output, path, want, have)
        self.used = used
        return found is not None

    def reason(self, case, output, path, want, have):
        for entry in self.entries:
            globs = ((case, entry["case"]), (output, entry["output"]), (path, entry["path"]))
            follows = RULES[entry["rule"]](want, have) if "rule" in entry else entry.get("wanted", want) == want
            if follows and all(fnmatch.fnmatchcase(text, glob) for text, glob in globs):
                self.used[entry["reason"]] = self.used.get(entry["reason"], 0) + 1
                return entry["reason"]
        return None


@dataclass
class Row:
    """What became of one output of one scenario."""

    compared: int = 0
    equal: int = 0
    explained: int = 0
    different: int = 0


@dataclass
class Report:
    """Rows by scenario, transport and output, and every difference that nobody explained."""

    deviations: Deviations
    rows: dict = field(default_factory=dict)
    problems: list = field(default_factory=list)

    def row(self, scenario, transport, output):
        return self.rows.setdefault((scenario, transport, output), Row())

    def compare(self, scenario, transport, output, label, want, have):
        """One document or span; None for one that is not there."""
        row = self.row(scenario, transport, output)
        row.compared += 1
        if want is None or have is None:
            found = [(label, ABSENT if want is None else "(one)", ABSENT if have is None else "(one)")]
        else:
            found = [(f"{label}.{path}" if path else label, *sides) for path, *sides in differences(want, have)]
        open_ones = [one for one in found if self.deviations.reason(scenario, output, *one) is None]
        if not found:
            row.equal += 1
        elif not open_ones:
            row.explained += 1
        else:
            row.different += 1
            self.problems += [(scenario, transport, output, *one) for one in open_ones]

    def fail(self, scenario, transport, output, text):
        self.row(scenario, transport, output).different += 1
        self.problems.append((scenario, transport, output, text, "", ""))


def short(value, limit=200):
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
    return text if len(text) <= limit else text[: limit - 1] + "…"
