"""The command line: see ./dev help."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys

from .chaos import Settings, run_chaos
from .load import Profile
from .processes import Failure, Options
from .selftest import self_test


def positive(text: str) -> float:
    value = float(text)
    if value <= 0:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return value


def count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is below 1")
    return value


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="./dev")
    commands = top.add_subparsers(dest="command", required=True)
    chaos = commands.add_parser("chaos", help="faults under load, then conservation and liveness from the outside")
    length = chaos.add_mutually_exclusive_group()
    length.add_argument("--minutes", type=positive, help="how long faults are injected; default 2")
    length.add_argument("--seconds", type=positive)
    chaos.add_argument("--seed", type=int, default=1, help="decides faults and load; default 1")
    chaos.add_argument("--members", type=count, default=3, help="collectors; default 3")
    chaos.add_argument("--cluster", action="store_true", help="three brokers with three replicas instead of one")
    chaos.add_argument("--rate", type=positive, default=1000, help="events a second, at the most; default 1000")
    chaos.add_argument("--ttl", type=positive, help="time to live of members in seconds; default 5, 2 below a minute")
    chaos.add_argument("--no-disorder", action="store_true", help="every run in order")
    chaos.add_argument("--self-test", action="store_true", help="only show that the verifier can fail")
    scenario = commands.add_parser("scenario", help="one of the long-running proofs")
    scenario.add_argument("name", choices=("scale", "restart", "outage", "giant"))
    scenario.add_argument("--seed", type=int, default=1)
    scenario.add_argument("--scale", type=positive, default=1.0, help="factor on all amounts, for a quick try")
    return top


def settings(arguments: argparse.Namespace) -> Settings:
    seconds = arguments.seconds or (arguments.minutes or 2) * 60
    options = Options(
        members=arguments.members,
        cluster=arguments.cluster,
        member_ttl=arguments.ttl or (5 if seconds >= 60 else 2),
    )
    profile = Profile(events_per_second=arguments.rate)
    if arguments.no_disorder:
        profile.disorder = 0
    return Settings(seconds, arguments.seed, options, profile)


async def supervised(coroutine) -> bool:  # noqa: ANN001 (a coroutine)
    """SIGTERM ends it as Ctrl-C does: with everything cleaned up."""
    task = asyncio.ensure_future(coroutine)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await task


def main() -> int:
    arguments = parser().parse_args()
    if arguments.command == "chaos" and arguments.self_test:
        return 0 if self_test() else 1
    if arguments.command == "chaos":
        coroutine = run_chaos(settings(arguments))
    else:
        from .scenarios import run_scenario

        coroutine = run_scenario(arguments.name, arguments.seed, arguments.scale)
    try:
        return 0 if asyncio.run(supervised(coroutine)) else 1
    except Failure as failure:
        print(f"{arguments.command}: {failure}", file=sys.stderr)
        return 1
    except (KeyboardInterrupt, asyncio.CancelledError):
        return 130


if __name__ == "__main__":
    sys.exit(main())
