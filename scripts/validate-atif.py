#!/usr/bin/env python3
"""Check the trajectories that Skein makes of recorded runs with the validators of others.

Harbor's validator and NVIDIA's models (PyPI `harbor` and `nvidia-nat-atif`) judge every document of every case, made in
the default mode by `skein project --as atif` and `--as trajectories`; `skein validate --atif` judges it as well.

  ./dev validate-atif [--cases DIRECTORY]... [--skein BINARY]

A case is a directory with events.jsonl and, if it needs one, config.toml. Those of the tests are always checked.

The validators are installed below .tools/atif the first time. Harbor asks for Python 3.12 or newer: such a python is
looked for on PATH and among pyenv's versions. Where there is none, Python 3.11 is used, and that is said: what is
imported of Harbor, its models and its validator, needs nothing but pydantic and works there as well.
"""
import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = ROOT / ".tools" / "atif"
PACKAGES = ["nvidia-nat-atif[full]==1.9.0", "harbor==0.25.0"]
WANTED = (3, 12)
MINIMUM = (3, 11)
# NVIDIA's package does not allow later ones.
MAXIMUM = (3, 13)


def say(text):
    print(f"==> {text}", flush=True)


def version(python):
    """(major, minor) of an interpreter; None for one that does not run."""
    try:
        output = subprocess.run([python, "-c", "import sys; print(*sys.version_info[:2])"],
                                capture_output=True, text=True, timeout=30, check=True).stdout
        return tuple(int(part) for part in output.split())
    except (OSError, ValueError, subprocess.SubprocessError):
        return None


def find_python():
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    candidates = []
    for minor in range(MAXIMUM[1], MINIMUM[1] - 1, -1):
        name = f"python3.{minor}"
        candidates += [str(path) for path in sorted(pyenv.glob(f"3.{minor}.*/bin/{name}"), reverse=True)]
        found = shutil.which(name)
        if found:
            candidates.append(found)
    candidates += [sys.executable, "python3"]
    for least in (WANTED, MINIMUM):
        for candidate in candidates:
            found = version(candidate)
            if found and least <= found <= MAXIMUM:
                return candidate, found
    sys.exit(f"validate-atif: no Python from {MINIMUM[0]}.{MINIMUM[1]} to {MAXIMUM[0]}.{MAXIMUM[1]} found: install one")


def install():
    python = ENVIRONMENT / "bin" / "python"
    stamp = ENVIRONMENT / "installed"
    interpreter, found = find_python()
    wanted = " ".join([*PACKAGES, interpreter])
    if stamp.exists() and stamp.read_text() == wanted:
        return python
    say(f"installing {', '.join(PACKAGES)} with Python {found[0]}.{found[1]} into {ENVIRONMENT.relative_to(ROOT)}")
    if found < WANTED:
        say("there is no Python 3.12 here, which Harbor asks for: its validator is run with this one all the same")
    shutil.rmtree(ENVIRONMENT, ignore_errors=True)
    subprocess.run([interpreter, "-m", "venv", str(ENVIRONMENT)], check=True)
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, PACKAGES[0]], check=True)
    # The validator needs pydantic only, which is there; Harbor's own list is for running agents in containers.
    subprocess.run([*pip, "--no-deps", "--ignore-requires-python", PACKAGES[1]], check=True)
    stamp.write_text(wanted)
    return python


# Runs in the environment: one line of JSON in for each document, one out with what is wrong.
JUDGE = """
import json, sys
from pathlib import Path
from harbor.utils.trajectory_validator import TrajectoryValidator
from nat.atif import Trajectory
for line in sys.stdin:
    path = Path(line.rstrip("\\n"))
    validator = TrajectoryValidator()
    complaints = [] if validator.validate(path) else [f"Harbor: {error}" for error in validator.errors]
    try:
        Trajectory.model_validate(json.loads(path.read_text()))
    except ValueError as error:
        complaints += [f"NVIDIA: {text}" for text in str(error).splitlines()]
    print(json.dumps(complaints), flush=True)
"""


def documents(skein, case):
    """What `skein project` makes of a case: name and document."""
    command = [skein, "project", str(case / "events.jsonl")]
    if (case / "config.toml").exists():
        command += ["--config", str(case / "config.toml")]
    environment = {key: value for key, value in os.environ.items() if key != "SKEIN_COMPATIBILITY"}
    for arguments in (["--as", "atif", "--session-id", f"session-{case.name}"], ["--as", "trajectories"]):
        result = subprocess.run(command + arguments, capture_output=True, env=environment)
        # Lines that are no events are left out, which is no success.
        if result.returncode not in (0, 1) or not result.stdout:
            sys.exit(f"validate-atif: {' '.join(command + arguments)} failed: {result.stderr.decode()}")
        made = json.loads(result.stdout)
        for document in made if isinstance(made, list) else [made]:
            yield f"{case.name} {arguments[1]} {document.get('trajectory_id')}", document


def main():
    parser = argparse.ArgumentParser(description="Check Skein's trajectories with the validators of others.")
    parser.add_argument("--cases", type=Path, action="append", help="directory of further cases; can be repeated")
    parser.add_argument("--skein", default=str(ROOT / ".build/release/skein"), help="the skein to use")
    options = parser.parse_args()
    for folder in options.cases or []:
        if not folder.is_dir():
            parser.error(f"no such directory: {folder}")
    folders = [ROOT / "Tests/TrajectoriesTests/Cases", *(options.cases or [])]
    cases = sorted(path.parent for folder in folders for path in folder.glob("*/events.jsonl"))
    if not cases:
        sys.exit(f"validate-atif: no case below {', '.join(map(str, folders))}")
    python = install()
    judge = subprocess.Popen([str(python), "-I", "-c", JUDGE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    checked, bad = 0, 0
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "trajectory.json"
        for case in cases:
            for name, document in documents(options.skein, case):
                path.write_text(json.dumps(document))
                judge.stdin.write(f"{path}\n")
                judge.stdin.flush()
                answer = judge.stdout.readline()
                if not answer:
                    sys.exit(f"validate-atif: the validators ended at {name}")
                complaints = json.loads(answer)
                ours = subprocess.run([options.skein, "validate", "--atif", str(path)], capture_output=True, text=True)
                if ours.returncode:
                    complaints += [f"skein: {line}" for line in (ours.stdout + ours.stderr).splitlines()]
                checked += 1
                bad += bool(complaints)
                for complaint in complaints:
                    print(f"{name}: {complaint}")
    judge.stdin.close()
    judge.wait()
    print(f"{checked - bad} passed, {bad} failed")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
