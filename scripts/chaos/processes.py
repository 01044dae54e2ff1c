"""Servers, members and sinks as processes of their own: started, killed, paused and always cleaned up by pid."""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from servers import Failure, free_ports, say

from .schema import ROOT

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def http_get(url: str, data: bytes | None = None, timeout: float = 5) -> tuple[int, bytes]:
    """Status and body; 0 when nobody answers."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data=data), timeout=timeout) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()
    except (OSError, ValueError):
        return 0, b""


def _die_with_parent() -> None:
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Process:
    """A program that can be started again and again with the same arguments and log."""

    def __init__(self, name: str, command: list[str], log: Path, environment: dict[str, str] | None = None) -> None:
        self.name = name
        self.command = command
        self.log_path = log
        self.environment = environment
        self.paused = False
        self._popen: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._popen is not None
        return self._popen.pid

    @property
    def running(self) -> bool:
        return self._popen is not None and self._popen.poll() is None

    @property
    def exit_code(self) -> int | None:
        return None if self._popen is None else self._popen.poll()

    def start(self) -> None:
        """Only from the main thread: the child is killed when the thread that started it ends."""
        assert not self.running
        with open(self.log_path, "ab") as log:
            self._popen = subprocess.Popen(
                self.command,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_die_with_parent,
            )
        self.paused = False

    def send(self, number: signal.Signals) -> None:
        if self.running:
            os.kill(self.pid, number)

    def pause(self) -> None:
        self.send(signal.SIGSTOP)
        self.paused = True

    def resume(self) -> None:
        self.send(signal.SIGCONT)
        self.paused = False

    def kill(self) -> None:
        """SIGKILL, also when paused, and waits for the end."""
        if self._popen is not None:
            self.send(signal.SIGKILL)
            self._popen.wait()

    async def terminate(self, seconds: float) -> bool:
        """SIGTERM; whether the process ended in time. It is killed when it did not."""
        self.send(signal.SIGTERM)
        deadline = time.monotonic() + seconds
        while self.running and time.monotonic() < deadline:
            await asyncio.sleep(0.05)
        in_time = not self.running
        self.kill()
        return in_time

    def log_tail(self, lines: int = 15) -> str:
        text = self.log_path.read_text(errors="replace") if self.log_path.exists() else ""
        return "\n".join(text.splitlines()[-lines:])

    def memory_mb(self, key: str = "VmRSS") -> float:
        """`VmRSS` now or `VmHWM`, the peak since the start; 0 when the process is gone."""
        try:
            status = Path(f"/proc/{self.pid}/status").read_text()
        except OSError:
            return 0
        line = next((line for line in status.splitlines() if line.startswith(f"{key}:")), None)
        return int(line.split()[1]) / 1024 if line else 0


class Member(Process):
    """A collector."""

    def __init__(self, name: str, command: list[str], log: Path, environment: dict[str, str], port: int) -> None:
        super().__init__(name, command, log, environment)
        self.url = f"http://127.0.0.1:{port}"
        #: Whether the harness wants it to run; another end is the collector's own doing.
        self.wanted = False

    def start(self) -> None:
        super().start()
        self.wanted = True

    def ready(self) -> tuple[bool, str]:
        status, body = http_get(f"{self.url}/readyz", timeout=2)
        return status == 200, body.decode(errors="replace").strip()

    def metric(self, name: str, label: str = "") -> float:
        """Sum of a metric's series that have `label` in them."""
        _, body = http_get(f"{self.url}/metrics", timeout=5)
        total = 0.0
        for line in body.decode(errors="replace").splitlines():
            if line.split("{")[0].split(" ")[0] == name and label in line:
                total += float(line.rsplit(" ", 1)[1])
        return total

    def owns(self, owner: str) -> bool:
        """Whether `owner`, as it stands in task records, is this process: members log the first digits of their own ids so."""
        return bool(owner) and f"member={owner[:8]}".encode() in self.log_path.read_bytes()


class Sink(Process):
    """An OTLP/HTTP backend that records spans and misbehaves on demand; see sink.py."""

    def __init__(self, name: str, log: Path, port: int) -> None:
        command = [sys.executable, "-m", "chaos.sink", "--port", str(port)]
        super().__init__(name, command, log, {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"})
        self.url = f"http://127.0.0.1:{port}"

    @property
    def answers(self) -> bool:
        return http_get(self.url + "/control/figures")[0] == 200

    def ask(self, path: str, data: bytes | None = None) -> bytes:
        status, body = http_get(self.url + path, data, timeout=120)
        if status != 200:
            raise Failure(f"the sink {self.name} answers {status} on {path}:\n{self.log_tail()}")
        return body

    def set_mode(self, mode: str) -> None:
        self.ask("/control/mode", mode.encode())

    def figures(self) -> dict[str, float]:
        return json.loads(self.ask("/control/figures"))


@dataclass
class Options:
    """What a world is made of."""

    members: int = 3
    cluster: bool = False
    member_ttl: float = 5.0
    checkpoint_millis: int = 1000
    events_max_bytes: int = 4 << 30
    processed_max_bytes: int = 16 << 30
    partitions: int = 8
    sinks: tuple[str, ...] = ("openinference", "full")


@dataclass
class World:
    """A broker (or three), members and sinks below one directory. Use it with `with`."""

    options: Options
    directory: Path = field(init=False)
    brokers: list[Process] = field(default_factory=list)
    members: list[Member] = field(default_factory=list)
    sinks: list[Sink] = field(default_factory=list)
    keep: bool = False

    def __enter__(self) -> World:
        self.directory = Path(tempfile.mkdtemp(prefix="skein-chaos-"))
        try:
            self._prepare_brokers()
            self._prepare_sinks()
            for _ in range(self.options.members):
                self.add_member()
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise
        return self

    def __exit__(self, kind: type | None, *_: object) -> None:
        for process in [*self.members, *self.sinks, *self.brokers]:
            process.kill()
        if self.keep or (kind is not None and kind not in (KeyboardInterrupt, asyncio.CancelledError)):
            say(f"logs and data are kept in {self.directory}")
        else:
            shutil.rmtree(self.directory, ignore_errors=True)

    @property
    def urls(self) -> list[str]:
        return [f"nats://127.0.0.1:{port}" for port in self._client_ports]

    @property
    def binary(self) -> Path:
        return Path(os.environ.get("SKEIN_BINARY") or ROOT / ".build" / "release" / "skein")

    def _prepare_brokers(self) -> None:
        server = os.environ.get("SKEIN_NATS_SERVER") or str(ROOT / ".tools" / "nats" / "bin" / "nats-server")
        for path in [server, self.binary]:
            if not Path(path).is_file():
                raise Failure(f"no such file: {path}")
        count = 3 if self.options.cluster else 1
        ports = free_ports(3 * count)
        self._client_ports, routes, self._monitor_ports = ports[:count], ports[count : 2 * count], ports[2 * count :]
        for number in range(count):
            data = self.directory / f"nats-{number + 1}"
            command = [server, "-a", "127.0.0.1", "-p", str(self._client_ports[number]), "-js", "-sd", str(data)]
            command += ["-m", str(self._monitor_ports[number]), "-n", f"n{number + 1}"]
            if self.options.cluster:
                command += ["--cluster_name", "chaos", "--cluster", f"nats://127.0.0.1:{routes[number]}"]
                command += ["--routes", ",".join(f"nats://127.0.0.1:{port}" for port in routes)]
            self.brokers.append(Process(f"nats-{number + 1}", command, self.directory / f"nats-{number + 1}.log"))

    def _prepare_sinks(self) -> None:
        for name, port in zip(self.options.sinks, free_ports(len(self.options.sinks))):
            self.sinks.append(Sink(name, self.directory / f"sink-{name}.log", port))

    def add_member(self) -> Member:
        """A further member, not started yet."""
        number = len(self.members) + 1
        port = free_ports(1)[0]
        configuration = self.directory / f"member-{number}.toml"
        configuration.write_text(self._configuration(port))
        environment = {key: value for key, value in os.environ.items() if key != "SKEIN_NATS_URL"}
        command = [str(self.binary), "collect", "--config", str(configuration)]
        member = Member(f"member-{number}", command, self.directory / f"member-{number}.log", environment, port)
        self.members.append(member)
        return member

    def _configuration(self, port: int) -> str:
        options = self.options
        endpoints = "".join(
            f"""
[[components.config.opentelemetry.endpoints]]
type = "{sink.name}"
endpoint = "{sink.url}/v1/traces"
service_name = "skein-chaos"
timeout_millis = 2000
"""
            for sink in self.sinks
        )
        return f"""version = 1

[nats]
urls = {json.dumps(self.urls)}

[collector]
partitions = {options.partitions}
replicas = {3 if options.cluster else 1}
events_max_bytes = {options.events_max_bytes}
processed_max_bytes = {options.processed_max_bytes}
processed_keep_seconds = 86400
checkpoint_interval_millis = {options.checkpoint_millis}
member_ttl_millis = {int(options.member_ttl * 1000)}
linger_millis = 2000
idle_seconds = 1800
max_age_seconds = 7200

[http]
listen = "127.0.0.1:{port}"

[[components]]
kind = "observability"

[components.config]
version = 4

[components.config.atif]
enabled = true

[components.config.opentelemetry]
enabled = true
{endpoints}"""

    async def start_brokers_and_sinks(self) -> None:
        for process in [*self.brokers, *self.sinks]:
            process.start()
        await self.wait("the brokers", lambda: self.brokers_healthy, 30)
        await self.wait("the sinks", lambda: all(sink.answers for sink in self.sinks), 30)

    @property
    def brokers_healthy(self) -> bool:
        """Every node answers and has caught up."""
        return all(http_get(f"http://127.0.0.1:{port}/healthz", timeout=2)[0] == 200 for port in self._monitor_ports)

    async def start_members(self) -> None:
        """Starts those that do not run, again when they end at once, and waits until all of them work."""
        deadline = time.monotonic() + 60
        while True:
            for member in self.members:
                if not member.running:
                    if member.wanted:
                        say(f"{member.name} ended with {member.exit_code} at its start: {member.log_tail(1)}")
                    member.start()
            if await asyncio.to_thread(lambda: all(member.ready()[0] for member in self.members)):
                return
            if time.monotonic() > deadline:
                raise Failure("\n".join(["the members were not ready within 60 s", *map(self._state, self.members)]))
            await asyncio.sleep(0.2)

    @staticmethod
    def _state(member: Member) -> str:
        return f"{member.name}: {member.ready()[1]}\n{member.log_tail(5)}"

    async def wait(self, what: str, condition: Callable[[], bool], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not await asyncio.to_thread(condition):
            if time.monotonic() > deadline:
                raise Failure(f"{what} were not ready within {seconds:.0f} s")
            await asyncio.sleep(0.1)
