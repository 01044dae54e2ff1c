"""What `skein ledger` says, against what was published."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass, field

from .model import Published
from .processes import World
from .verify import Verdict

_OUTCOMES = {
    "process": ("processed", "dropped", "deduplicated", "dead_lettered"),
    "assemble": ("assembled", "unassembled"),
}
_EXPORT_OUTCOMES = ("delivered", "not_projected", "rejected", "expired")


@dataclass
class Ledger:
    """Counts by stage; empty when this skein has no ledger."""

    stages: dict[str, dict[str, int]] = field(default_factory=dict)
    pending: dict[str, int] = field(default_factory=dict)
    #: What the command said instead.
    note: str = ""

    def lines(self) -> list[str]:
        """The equation of each stage, in the order in which events pass them."""
        names = sorted(self.stages, key=lambda name: (name != "process", name != "assemble", name))
        return [self._equation(name) for name in names] or [self.note]

    def _equation(self, stage: str) -> str:
        counts = self.stages[stage]
        outcomes = _OUTCOMES.get(stage, _EXPORT_OUTCOMES)
        right = " + ".join(f"{name} {counts.get(name, 0)}" for name in outcomes)
        line = f"{stage}: received {counts.get('received', 0)} + injected {counts.get('injected', 0)} = {right}"
        line += f" + pending {self.pending.get(stage, 0)}"
        return line + (f", missing {counts['missing']}" if counts.get("missing") else "")


def ask_ledger(world: World) -> Ledger:
    """Runs the command as a user would."""
    configuration = str(world.directory / "member-1.toml")
    command = [str(world.binary), "ledger", "--config", configuration, "--format", "json", "--timeout", "10"]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=60)
    if answer.returncode == 2:
        return Ledger(note="this skein has no ledger command")
    try:
        document = json.loads(answer.stdout)
    except ValueError:
        return Ledger(note=f"skein ledger ended with {answer.returncode}: {answer.stderr.strip()[:300]}")
    stages = document.get("stages", {})
    note = f"no answer for {', '.join(document['silent'])}" if document.get("silent") else ""
    return Ledger(
        {name: stage["counts"] for name, stage in stages.items()},
        {name: stage["pending"] for name, stage in stages.items()},
        note,
    )


def check_ledger(verdict: Verdict, ledger: Ledger, published: Published) -> None:
    """The ledger must say exactly what was published, whatever died meanwhile."""
    if not ledger.stages:
        return
    expected = {
        "process": {
            "received": published.events + published.repeated + len(published.poison),
            "processed": published.events,
            "deduplicated": published.repeated,
            "dead_lettered": len(published.poison),
            "dropped": 0,
            "missing": 0,
        }
    }
    # Every event of the load has a place in a document and in a span.
    nowhere = {"unassembled": 0, "not_projected": 0, "rejected": 0, "expired": 0}
    for stage in ledger.stages.keys() - {"process"}:
        expected[stage] = {"received": published.events, **nowhere}
    for stage, counts in expected.items():
        found = ledger.stages.get(stage, {})
        verdict.complain(
            "ledger",
            (
                f"{stage}: {name} is {found.get(name, 0)}, should be {count}"
                for name, count in counts.items()
                if found.get(name, 0) != count
            ),
        )
        if pending := ledger.pending.get(stage):
            verdict.complain("ledger", [f"{stage}: pending is {pending} at rest"])
    if ledger.note:
        verdict.complain("ledger", [ledger.note])
