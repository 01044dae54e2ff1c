"""What the scripts share that start servers of their own: on 127.0.0.1 only, and stopped by their process ids."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


class Failure(Exception):
    """Something that the user reads as one sentence."""


def say(text):
    """Progress goes to standard output at once, also when that is a pipe."""
    print(f"==> {text}", flush=True)


def free_ports(count):
    """Ports of the loopback interface that nobody listens on now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def answers(url):
    """Whether a GET is answered with 200."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False


def toml(value):
    """A value as TOML on one line."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(key)} = {toml(member)}" for key, member in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value)


class Process:
    """A program of our own for as long as the `with` block lasts; it logs into a file."""

    def __init__(self, command, log, environment=None, stdout=None):
        """`stdout` is a path for standard output; without one it goes into the log."""
        self.log_path = log
        with open(log, "wb") as file, open(stdout or os.devnull, "wb") as output:
            self.process = subprocess.Popen(
                [str(part) for part in command], env=environment, stdin=subprocess.DEVNULL,
                stdout=output if stdout else file, stderr=file, cwd=log.parent)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self, seconds=15):
        """SIGTERM; its exit code, which is negative when a signal ended it. It is killed when it did not end in time."""
        self.process.terminate()
        try:
            self.process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        return self.process.returncode

    def log_tail(self, lines=20):
        return "\n".join(self.log_path.read_text(errors="replace").splitlines()[-lines:])

    def wait_until(self, condition, seconds, what):
        """Fails with the end of the log when the condition does not come true in time, or the process ends."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self.process.poll() is None:
            if condition():
                return
            time.sleep(0.1)
        problem = f"was not ready within {seconds} s" if self.process.poll() is None else "ended"
        raise Failure(f"{what} {problem}:\n{self.log_tail()}")
