#!/usr/bin/env python3
"""Stands in for Claude Code below `nemo-relay run --agent claude`: it runs the hooks of the plugin that it is given, with what
Claude Code writes to them, and asks its model where ANTHROPIC_BASE_URL says.

One session: two prompts; in the first a tool, one that fails, and a subagent with a model call of its own; then a compaction.
"""

import json
import os
import subprocess
import sys
import urllib.request

SESSION = "5e551017-0000-4000-8000-000000000001"
MODEL = "claude-sonnet-4-5"


def argument(name):
    return sys.argv[sys.argv.index(name) + 1]


class Hooks:
    """Commands of hooks.json, run as Claude Code runs them: JSON on standard input, the answer on standard output."""

    def __init__(self, plugin):
        with open(os.path.join(plugin, "hooks", "hooks.json"), encoding="utf-8") as file:
            self.groups = json.load(file)["hooks"]

    def run(self, event, **members):
        told = {
            "session_id": SESSION, "transcript_path": os.path.join(os.getcwd(), "transcript.jsonl"), "cwd": os.getcwd(),
            "permission_mode": "default", "hook_event_name": event, **members}
        for group in self.groups.get(event, []):
            for hook in group["hooks"]:
                done = subprocess.run(
                    hook["command"], shell=True, input=json.dumps(told), capture_output=True, text=True, timeout=hook["timeout"])
                if done.returncode != 0:
                    raise SystemExit(f"the hook {event} ended with {done.returncode}: {done.stderr}")


def ask(messages, streamed=True, system="You are a coding agent."):
    """What Claude Code sends to the Messages API; the text of the answer, however it came."""
    body = {
        "model": MODEL, "max_tokens": 1024, "system": [{"type": "text", "text": system}], "messages": messages, "stream": streamed,
        "metadata": {"user_id": f"user_0_account_0_session_{SESSION}"},
        "tools": [{"name": "Bash", "description": "Runs a command.", "input_schema": {"type": "object"}}],
    }
    headers = {
        "content-type": "application/json", "anthropic-version": "2023-06-01", "x-api-key": "sk-ant-none",
        "user-agent": "claude-cli/2.1.200 (external, cli)", "x-app": "cli", "x-claude-code-session-id": SESSION,
    }
    for line in os.environ["ANTHROPIC_CUSTOM_HEADERS"].splitlines():
        name, _, value = line.partition(": ")
        headers[name] = value
    request = urllib.request.Request(
        os.environ["ANTHROPIC_BASE_URL"] + "/v1/messages?beta=true", data=json.dumps(body).encode(), headers=headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return answer.read()


def user(text):
    return {"role": "user", "content": [{"type": "text", "text": text}]}


def tool(hooks, identifier, name, arguments, response, failing=False):
    call = {"tool_name": name, "tool_input": arguments, "tool_use_id": identifier}
    hooks.run("PreToolUse", **call)
    if failing:
        hooks.run("PostToolUseFailure", **call, error=response)
    else:
        hooks.run("PostToolUse", **call, tool_response=response)


def main():
    if "--version" in sys.argv:
        print("2.1.200 (Claude Code)")
        return
    hooks = Hooks(argument("--plugin-dir"))
    hooks.run("SessionStart", source="startup", model=MODEL)
    hooks.run("UserPromptSubmit", prompt="List the files.")
    asked = [user("List the files.")]
    ask(asked)
    tool(hooks, "toolu_1", "Bash", {"command": "ls"}, {"stdout": "a.swift\nb.swift", "stderr": "", "interrupted": False})
    tool(hooks, "toolu_2", "Bash", {"command": "cat c.swift"}, "c.swift: No such file", failing=True)
    hooks.run("PreToolUse", tool_name="Task", tool_input={"prompt": "Look."}, tool_use_id="toolu_3")
    hooks.run("SubagentStart", agent_id="agent-1", agent_type="Explore")
    ask([user("Look.")], streamed=False, system="You explore.")
    hooks.run("SubagentStop", agent_id="agent-1", agent_type="Explore", stop_hook_active=False)
    hooks.run("PostToolUse", tool_name="Task", tool_input={"prompt": "Look."}, tool_use_id="toolu_3", tool_response="Nothing.")
    asked += [{"role": "assistant", "content": [{"type": "text", "text": "Looking."}]}, user("Go on.")]
    ask(asked)
    hooks.run("Stop", stop_hook_active=False)
    hooks.run("Notification", message="Claude is waiting", notification_type="idle_prompt")
    hooks.run("PreCompact", trigger="manual", custom_instructions="")
    hooks.run("PostCompact", trigger="manual", compact_summary="Files were listed.")
    hooks.run("UserPromptSubmit", prompt="Thanks, grüße 👋.")
    ask([user("Thanks, grüße 👋.")], streamed=False)
    hooks.run("Stop", stop_hook_active=False)
    hooks.run("SessionEnd", reason="other")


if __name__ == "__main__":
    main()
