#!/usr/bin/env python3
"""Runs the targets of skein-fuzz one after the other under libFuzzer, and says what they found.

Run it as ./dev fuzz, which builds skein-fuzz. The corpus of each target stays below .build/fuzz, so that the next run goes on
where this one ended. An input that crashes, hangs or takes too much memory is kept, and its path is printed.
"""

import argparse
import os
import random
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WORK = ROOT / ".build" / "fuzz"
BINARY = WORK / "release" / "skein-fuzz"
RECORDINGS = [
    ROOT / "Tests" / "ATOFTests" / "Recorded",
    ROOT / "Tests" / "ATOFTests" / "Malformed",
    ROOT / "Tests" / "LLMCodecsTests" / "Fixtures",
]
# Bounds for one input: seconds, resident MiB of the process, bytes.
TIMEOUT, MEMORY, LENGTH = 10, 1024, 65536
# What was freed is kept apart for a while; without this bound it would be most of the memory. Leaks show as memory that
# grows: to the leak sanitizer Swift's tagged pointers are none.
ASAN = "quarantine_size_mb=32:detect_leaks=0"


def run(environment, *arguments, **options):
    environment = {"SWIFT_BACKTRACE": "enable=no", "ASAN_OPTIONS": ASAN, **environment}
    return subprocess.run([BINARY, *arguments], env={**os.environ, **environment}, text=True, **options)


def fuzz(target, seconds, seed, seeds):
    """Fuzzes one target; the path of what it found, or None."""
    corpus, found = WORK / "corpus" / target, WORK / "found"
    for directory in (corpus, found):
        directory.mkdir(parents=True, exist_ok=True)
    folders = ":".join(str(folder) for folder in seeds)
    run({"SKEIN_FUZZ_TARGET": target, "SKEIN_FUZZ_SEEDS": folders, "SKEIN_FUZZ_CORPUS": str(corpus)}, check=True)
    before = set(found.iterdir())
    log = WORK / f"{target}.log"
    with open(log, "w") as output:
        status = run(
            {"SKEIN_FUZZ_TARGET": target},
            *(corpus, f"-max_total_time={seconds}", f"-seed={seed}", f"-timeout={TIMEOUT}", f"-rss_limit_mb={MEMORY}"),
            *(f"-max_len={LENGTH}", f"-artifact_prefix={found}/{target}-", "-print_final_stats=1", "-reload=0"),
            stdout=output,
            stderr=subprocess.STDOUT,
        ).returncode
    text = log.read_text(errors="replace")
    executed = re.findall(r"^#(\d+)", text, re.MULTILINE)
    coverage = re.findall(r"cov: (\d+)", text)
    memory = re.findall(r"rss: (\d+)Mb", text)
    figures = f"{executed[-1] if executed else 0} inputs, {coverage[-1] if coverage else 0} edges, "
    figures += f"{memory[-1] if memory else '?'} MB"
    if status == 0:
        print(f"  {target:14} ok      {figures}", flush=True)
        return None
    inputs = sorted(set(found.iterdir()) - before)
    reason = re.findall(r"Fatal error: .*|ERROR: .*", text)
    print(f"  {target:14} FAILED  {figures}: {reason[0] if reason else f'exit code {status}'}", flush=True)
    for path in [*inputs, log]:
        print(f"    {path}", flush=True)
    return inputs[0] if inputs else log


def main():
    targets = run({"SKEIN_FUZZ_LIST": "1"}, capture_output=True, check=True).stdout.split()
    parser = argparse.ArgumentParser(prog="./dev fuzz", description="Fuzz what reads other people's bytes.")
    parser.add_argument("--minutes", type=float, default=10, help="for all targets together (default 10)")
    parser.add_argument("--target", action="append", choices=targets, help="only this one; may be repeated")
    parser.add_argument("--seed", type=int, help="of the random numbers; printed when it is not given")
    parser.add_argument("--seeds", type=Path, action="append", default=[], help="a directory with more recordings")
    parser.add_argument("--input", type=Path, help="run --target on this file alone, as it was found")
    arguments = parser.parse_args()
    if not arguments.minutes > 0:
        parser.error(f"--minutes is {arguments.minutes:g}, must be above 0")
    chosen = arguments.target or targets
    if arguments.input:
        if len(chosen) != 1:
            parser.error("--input needs one --target")
        return run({"SKEIN_FUZZ_TARGET": chosen[0]}, arguments.input, f"-timeout={TIMEOUT}").returncode
    for folder in arguments.seeds:
        if not folder.is_dir():
            parser.error(f"no such directory: {folder}")
    seed = arguments.seed if arguments.seed is not None else random.randrange(1, 1 << 31)
    seconds = max(1, round(arguments.minutes * 60 / len(chosen)))
    print(f"==> {len(chosen)} targets, {seconds} s each, seed {seed}", flush=True)
    found = [fuzz(target, seconds, seed, [*RECORDINGS, *arguments.seeds]) for target in chosen]
    failed = sum(path is not None for path in found)
    if failed:
        print(f"fuzz: {failed} targets failed; ./dev fuzz --target T --input FILE repeats one", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
