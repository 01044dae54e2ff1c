"""Runs one scenario in this process, with the plugins.toml that NeMo Relay finds by itself: python -m relay.program NAME."""

import asyncio
import os
import sys

import nemo_relay


def scenario(name):
    from relay import agents

    if name in agents.SCENARIOS:
        return agents.SCENARIOS[name]
    from relay import frameworks

    return frameworks.SCENARIOS[name]


async def main(name):
    run = scenario(name)
    async with nemo_relay.plugin.activate({}) as host:
        found = "plugin.configuration_inherited"
        problems = [problem for problem in host.report["config"]["diagnostics"] if problem["code"] != found]
        if problems:
            raise SystemExit(f"NeMo Relay complains about its configuration: {problems}")
        await run()
        await nemo_relay.subscribers.flush_async()
        failures = host.report["config"].get("runtime_diagnostics")
        if failures:
            print(f"NeMo Relay reports: {failures}", file=sys.stderr)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
    sys.stdout.flush()
    sys.stderr.flush()
    # With NeMo Relay 0.10.4 Python now and then crashes in its very end (SIGSEGV), when everything is closed and written.
    os._exit(0)
