"""Starts Arize Phoenix on the loopback interface only; run by scripts/try-phoenix.py inside Phoenix's environment.

PHOENIX_HOST covers the web server alone: the gRPC server always listens on [::]. Phoenix has no setting for that, so
the address is replaced on its way into grpc. The ports and the data directory come from PHOENIX_PORT,
PHOENIX_GRPC_PORT and PHOENIX_WORKING_DIR.
"""

import os
import sys

from grpc.aio import _server as grpc_server

os.environ.update(
    PHOENIX_HOST="127.0.0.1",
    PHOENIX_TELEMETRY_ENABLED="false",
    PHOENIX_ALLOW_EXTERNAL_RESOURCES="false",
    PHOENIX_DISABLE_AGENT_ASSISTANT="true",
    PHOENIX_AGENTS_DISABLE_BASH="true",
    PHOENIX_AGENTS_DISABLE_WEB_ACCESS="true",
    PHOENIX_AGENTS_DISABLE_GITHUB="true",
    PHOENIX_ENABLE_MCP_SERVER="false",
)

listen_anywhere = grpc_server.Server.add_insecure_port


def listen_on_loopback(server, address):
    return listen_anywhere(server, "127.0.0.1:" + address.rpartition(":")[2])


grpc_server.Server.add_insecure_port = listen_on_loopback

from phoenix.server.main import main  # noqa: E402  (after the change above)

sys.argv = ["phoenix", "serve"]
main()
