#!/usr/bin/env python3
"""Compares redaction, prices and diagnostics with the recorded pairs of the middleware.

usage: check-middleware.py BINARY CASES     CASES holds check_middleware.py of the shared conformance cases

Runs the shared checker twice. With SKEIN_COMPATIBILITY=strict every pair must pass. Without it the pairs that fail must be
those that Tests/Conformance/deviations-middleware.json explains, and each of these must fail.
"""
import fnmatch, json, os, re, subprocess, sys


def failing(binary, cases, strict):
    environment = {k: v for k, v in os.environ.items() if k != "SKEIN_COMPATIBILITY"}
    if strict:
        environment["SKEIN_COMPATIBILITY"] = "strict"
    checker = os.path.join(cases, "check_middleware.py")
    result = subprocess.run(
        [sys.executable, checker, "--binary", binary, "--root", cases], capture_output=True, text=True, env=environment
    )
    if not re.search(r"^\d+ passed, \d+ failed$", result.stdout, re.M):
        sys.exit(f"{checker} did not finish: {(result.stderr or result.stdout).strip()[-500:]}")
    return set(re.findall(r"^FAIL  (\S+):", result.stdout, re.M)), result.stdout


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    binary, cases = sys.argv[1:]
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    with open(os.path.join(here, "Tests/Conformance/deviations-middleware.json"), encoding="utf-8") as file:
        explained = json.load(file)
    problems = []
    strict, output = failing(binary, cases, strict=True)
    if strict:
        print(output)
    problems += [f"{name} fails in strict compatibility" for name in sorted(strict)]
    default, output = failing(binary, cases, strict=False)
    used = set()
    for name in sorted(default):
        rows = [n for n, row in enumerate(explained) if fnmatch.fnmatch(name, row["pair"])]
        used.update(rows)
        if not rows:
            problems.append(f"{name} fails and nothing explains it")
    problems += [f"{row['pair']} is explained and passes" for n, row in enumerate(explained) if n not in used]
    for problem in problems:
        print(problem)
    print(f"strict: {len(strict)} fail; default: {len(default)} fail, {len(explained)} explanations")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
