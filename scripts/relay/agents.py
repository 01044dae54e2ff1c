"""Agents that use NeMo Relay's own API, one function for each scenario; `program.py` runs one in a process of its own.

Nothing in here knows of Skein: what is reported, and to whom, is in plugins.toml.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys

import nemo_relay
from nemo_relay import (
    DataSchema, LLMRequest, LogSeverity, MetricKind, MetricMeasurement, MetricValueType, ScopeType, ToolExecutionResult,
    codecs, guardrails, intercepts, llm, scope, tools,
)


def openai_answer(text, calls=(), usage=(120, 30)):
    message = {"role": "assistant", "content": text}
    if calls:
        message["tool_calls"] = [
            {"id": identifier, "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}
            for identifier, name, arguments in calls
        ]
    return {
        "id": "chatcmpl-1", "object": "chat.completion", "model": "gpt-4o-mini",
        "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls" if calls else "stop"}],
        "usage": {
            "prompt_tokens": usage[0], "completion_tokens": usage[1], "total_tokens": sum(usage),
            "prompt_tokens_details": {"cached_tokens": 40},
        },
    }


TOOLS = [{
    "type": "function",
    "function": {
        "name": "search", "description": "Searches.",
        "parameters": {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]},
    },
}]


def returning(value):
    """A provider's callback, or a tool's, that answers with the value."""
    async def callback(_):
        return value
    return callback


def found(value):
    return returning(ToolExecutionResult(value))


async def ask(messages, answer, codec=None, model="gpt-4o-mini", name="openai", **more):
    """A managed call in the form of OpenAI's chat completions."""
    codec = codec or codecs.OpenAIChatCodec()
    request = LLMRequest({"x-team": "search"}, {"model": model, "messages": messages, **more})
    return await llm.execute(name, request, returning(answer), model_name=model, codec=codec, response_codec=codec)


async def chat():
    """Two turns with tools, in the form of OpenAI's chat completions, one call at a time and two at once."""
    with scope.scope("researcher", ScopeType.Agent, input={"task": "compare"}, metadata={"team": "search", "n": 3}):
        messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What is new?"}]
        calls = [("call_1", "search", {"query": "news"}), ("call_2", "search", {"query": "weather"})]
        await ask(messages, openai_answer(None, calls), tools=TOOLS, temperature=0.25, max_tokens=300)
        messages.append(openai_answer(None, calls)["choices"][0]["message"])
        for identifier, name, arguments in calls:
            result = {"hits": [arguments["query"], 1, 2.5, None, True]}
            await tools.execute(name, arguments, found(result), tool_call_id=identifier, metadata={"cached": False})
            messages.append({"role": "tool", "tool_call_id": identifier, "content": json.dumps(result)})
        await ask(messages, openai_answer("Rain, and the rest as ever."), tools=TOOLS)
        messages += [{"role": "assistant", "content": "Rain."}, {"role": "user", "content": "And tomorrow?"}]
        await ask(messages, openai_answer("Sun.", usage=(200, 5)))


async def providers():
    """Calls in the forms of Responses, Anthropic and Gemini, with thoughts, tools and cached tokens."""
    with scope.scope("polyglot", ScopeType.Agent):
        codec = codecs.OpenAIResponsesCodec()
        request = LLMRequest({}, {
            "model": "gpt-5", "instructions": "Think.", "reasoning": {"effort": "low"},
            "input": [{"role": "user", "content": [{"type": "input_text", "text": "Two and two?"}]}],
        })
        answer = {
            "id": "resp_1", "object": "response", "status": "completed", "model": "gpt-5",
            "output": [
                {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Adding."}]},
                {"type": "function_call", "id": "fc_1", "call_id": "call_9", "name": "add", "arguments": "{\"a\":2,\"b\":2}"},
                {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Four.", "annotations": []}]},
            ],
            "usage": {
                "input_tokens": 20, "output_tokens": 9, "total_tokens": 29,
                "input_tokens_details": {"cached_tokens": 4}, "output_tokens_details": {"reasoning_tokens": 5},
            },
        }
        await llm.execute("openai", request, returning(answer), model_name="gpt-5", codec=codec, response_codec=codec)
        await tools.execute("add", {"a": 2, "b": 2}, found(4), tool_call_id="call_9")

        codec = codecs.AnthropicMessagesCodec()
        request = LLMRequest({}, {
            "model": "claude-sonnet-4-5", "max_tokens": 1000, "system": "Be kind.",
            "messages": [{"role": "user", "content": [{"type": "text", "text": "Look it up."}]}],
            "tools": [{"name": "look", "description": "Looks.", "input_schema": {"type": "object"}}],
        })
        answer = {
            "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5",
            "content": [
                {"type": "thinking", "thinking": "I should look.", "signature": "s"},
                {"type": "text", "text": "One moment."},
                {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"at": "sky"}},
            ],
            "stop_reason": "tool_use",
            "usage": {
                "input_tokens": 50, "output_tokens": 12, "cache_read_input_tokens": 30, "cache_creation_input_tokens": 10},
        }
        await llm.execute(
            "anthropic", request, returning(answer), model_name="claude-sonnet-4-5", codec=codec, response_codec=codec)
        await tools.execute("look", {"at": "sky"}, found("blue"), tool_call_id="toolu_1")

        codec = codecs.GeminiGenerateContentCodec()
        request = LLMRequest({}, {
            "model": "gemini-2.5-pro", "contents": [{"role": "user", "parts": [{"text": "Hello?"}]}],
            "generationConfig": {"temperature": 0.5},
        })
        answer = {
            "candidates": [{"content": {"role": "model", "parts": [{"text": "Hello."}]}, "finishReason": "STOP"}],
            "usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 2, "totalTokenCount": 7},
            "modelVersion": "gemini-2.5-pro",
        }
        await llm.execute(
            "gemini", request, returning(answer), model_name="gemini-2.5-pro", codec=codec, response_codec=codec)


async def nested():
    """An agent whose tool runs another agent, with scopes of other categories between them."""
    with scope.scope("planner", ScopeType.Agent, input="plan"):
        with scope.scope("prepare", ScopeType.Function, data={"stage": 1}):
            with scope.scope("documents", ScopeType.Retriever, input={"query": "plan"}):
                pass
            with scope.scope("vectors", ScopeType.Embedder):
                pass
        await ask([{"role": "user", "content": "Delegate."}], openai_answer(None, [("call_1", "delegate", {"to": "writer"})]))

        async def delegate(arguments):
            with scope.scope(arguments["to"], ScopeType.Agent, metadata={"session_id": "writer-1"}):
                await ask([{"role": "user", "content": "Write."}], openai_answer("Written."))
                with scope.scope("checker", ScopeType.Agent):
                    await ask([{"role": "user", "content": "Check."}], openai_answer("Checked."))
            return ToolExecutionResult({"done": True})

        await tools.execute("delegate", {"to": "writer"}, delegate, tool_call_id="call_1")
        await ask([{"role": "user", "content": "Sum up."}], openai_answer("Done."))
    with scope.scope("no-agent", ScopeType.Function):
        with scope.scope("below", ScopeType.Agent):
            await ask([{"role": "user", "content": "Nobody asked."}], openai_answer("True."))


async def errors():
    """Calls, tools and scopes that fail, one that is cancelled, one that is tried again."""
    async def broken(_):
        raise ValueError("the provider is away: é")

    async def slow(_):
        await asyncio.Event().wait()

    with scope.scope("clumsy", ScopeType.Agent):
        request = LLMRequest({}, {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Try."}]})
        try:
            await llm.execute("openai", request, broken, model_name="gpt-4o-mini")
        except ValueError:
            pass
        await ask([{"role": "user", "content": "Try."}], openai_answer(None, [("call_1", "break", {})]))
        try:
            await tools.execute("break", {}, broken, tool_call_id="call_1")
        except ValueError:
            pass
        task = asyncio.ensure_future(tools.execute("slow", {"seconds": 9}, slow))
        await asyncio.sleep(0.05)
        task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            pass
        try:
            with scope.scope("step", ScopeType.Function):
                raise RuntimeError("half way")
        except RuntimeError:
            pass
    try:
        with scope.scope("doomed", ScopeType.Agent):
            await ask([{"role": "user", "content": "Once."}], openai_answer("Once."))
            raise RuntimeError("the agent fell over")
    except RuntimeError:
        pass


async def rejections():
    """Guardrails that reject, sanitizers that change what is reported, an intercept that changes a request."""
    guardrails.register_tool_conditional_execution(
        "no-shell", 1, lambda name, arguments: "shell is not allowed" if name == "shell" else None)
    guardrails.register_llm_conditional_execution(
        "no-launch", 1, lambda request: "launch codes" if "launch" in json.dumps(request.content) else None)
    guardrails.register_tool_sanitize_request("hide", 1, lambda name, arguments: {**arguments, "token": "***"})

    def add_header(name, request, annotated):
        return nemo_relay.LLMRequestInterceptOutcome(
            LLMRequest({**request.headers, "x-intercepted": "yes"}, request.content), annotated)

    intercepts.register_llm_request("header", 1, False, add_header)
    with scope.scope("careful", ScopeType.Agent):
        await ask([{"role": "user", "content": "Hello."}], openai_answer(None, [("call_1", "shell", {"command": "rm"})]))
        for work in (
            lambda: tools.execute("shell", {"command": "rm"}, found("gone"), tool_call_id="call_1"),
            lambda: ask([{"role": "user", "content": "The launch code."}], openai_answer("0000")),
        ):
            try:
                await work()
            except RuntimeError:
                pass
        await tools.execute("search", {"query": "x", "token": "secret"}, found({"ok": 1}))
        await ask([{"role": "user", "content": "Good bye."}], openai_answer("Bye."))


async def streaming():
    """Streams that end, that fail in the middle, and that nobody reads to the end."""
    codec = codecs.OpenAIChatCodec()

    async def stream(read, failing=False):
        texts = []

        async def produce(_):
            for text in ("Once ", "upon ", "a time."):
                yield {"id": "c", "object": "chat.completion.chunk", "model": "gpt-4o-mini",
                       "choices": [{"index": 0, "delta": {"content": text}}]}
                if failing:
                    raise ConnectionError("the stream broke")

        def collect(chunk):
            texts.append(chunk["choices"][0]["delta"]["content"])

        request = LLMRequest({}, {
            "model": "gpt-4o-mini", "stream": True, "messages": [{"role": "user", "content": "A story."}]})
        running = await llm.stream_execute(
            "openai", request, produce, collect, lambda: openai_answer("".join(texts)), model_name="gpt-4o-mini",
            codec=codec, response_codec=codec)
        try:
            async for _ in running:
                read -= 1
                if read == 0:
                    break
        except Exception:  # noqa: BLE001 (what a provider's failure becomes is Relay's choice)
            pass
        await running.aclose()

    with scope.scope("teller", ScopeType.Agent):
        await stream(read=99)
        await stream(read=1)
        await stream(read=99, failing=True)


async def marks():
    """Marks with severities and schemas, measurements of each kind, marks outside any scope."""
    scope.event("before", data={"outside": True})
    with scope.scope("noisy", ScopeType.Agent) as agent:
        for severity in (LogSeverity.Trace, LogSeverity.Debug, LogSeverity.Info, LogSeverity.Warn, LogSeverity.Error):
            scope.event("said", data={"severity": str(severity)}, severity=severity, metadata={"by": "test"})
        scope.event("schema", data={"entries": 900}, data_schema=DataSchema(name="example.cache", version="1"))
        for data in (None, "text", 5, [1, "two", None], {"deep": {"er": [{}]}}):
            scope.event("plain", handle=agent, data=data)
        scope.metric("measured", [
            MetricMeasurement("queue.depth", MetricKind.Gauge, MetricValueType.U64, 7, "1", "How many wait."),
            MetricMeasurement("requests", MetricKind.Counter, MetricValueType.U64, 3, attributes={"kind": "a"}),
            MetricMeasurement("balance", MetricKind.UpDownCounter, MetricValueType.I64, -4),
            MetricMeasurement("latency", MetricKind.Histogram, MetricValueType.F64, 0.25, "s", boundaries=[0.1, 0.5, 1.0]),
        ])
        scope.metric("measured", [
            MetricMeasurement("requests", MetricKind.Counter, MetricValueType.U64, 2, attributes={"kind": "a"}),
            MetricMeasurement("requests", MetricKind.Counter, MetricValueType.U64, 5, attributes={"kind": "b"}),
            MetricMeasurement("latency", MetricKind.Histogram, MetricValueType.F64, 0.75, "s", boundaries=[0.1, 0.5, 1.0]),
        ])
        await ask([{"role": "user", "content": "Hm?"}], openai_answer("Hm."))
    scope.event("after", data={"outside": True})


async def concurrent():
    """Six agents at once, each on a stack of its own, with tools that run in parallel."""
    async def agent(number):
        with nemo_relay.use_scope_stack(nemo_relay.create_scope_stack()):
            with scope.scope(f"worker-{number}", ScopeType.Agent, metadata={"number": number}) as handle:
                calls = [(f"call_{number}_{index}", "search", {"query": str(index)}) for index in range(3)]
                await ask([{"role": "user", "content": f"Go {number}."}], openai_answer(None, calls))

                async def work(arguments):
                    await asyncio.sleep(0.01 * (3 - int(arguments["query"])))
                    return ToolExecutionResult({"number": number, **arguments})

                await asyncio.gather(*(
                    tools.execute(name, arguments, work, handle=handle, tool_call_id=identifier)
                    for identifier, name, arguments in calls))
                await ask([{"role": "user", "content": f"End {number}."}], openai_answer(f"Ended {number}."))

    await asyncio.gather(*(asyncio.create_task(agent(number)) for number in range(6)))


async def payloads():
    """Texts of many scripts, keys with dots, odd numbers, a megabyte."""
    strange = {
        "": "empty key", "a.b": {"c.d": 1}, "Grüße": "Ünïcödé 中文 العربية עברית 👩‍👩‍👧‍👦 \u200d\ufeff", "quote\"\\/": "\t\r\n\u0001\u007f",
        "numbers": [0, -1, 1.0, 2**53 + 1, -(2**63), 2**63 - 1, 2**64 - 1, 1e-7, 1.5e300, 0.1 + 0.2, -0.0, 5e-324],
        "nested": [[[[[[[[{}]]]]]]]], "null": None, "<script>": "</script>&amp;", "line\u2028separator": "\u2029",
    }
    with scope.scope("Weltreisende 🌍", ScopeType.Agent, input=strange, metadata={"a.b": "dotted", "ключ": "значение"}):
        scope.event("märk", data=strange)
        await ask([{"role": "user", "content": strange["Grüße"]}], openai_answer("次の「例」— …", [("ид", "sök", {"ключ": "值"})]))
        await tools.execute("sök", strange, found(strange), tool_call_id="ид")
        await tools.execute("large", {"text": "grün " * 2000}, found({"text": "0123456789 ünïcödé\n" * 50_000}))
        await tools.execute("list", [1, 2, 3], found([strange]))
        await tools.execute("text", "only a text", found("an answer"))


async def turns():
    """A session of two turns, each a trajectory of its own, with a subagent in the second."""
    for number in (1, 2):
        metadata = {"nemo_relay_scope_role": "turn", "session_id": "session-1", "turn_index": number}
        with scope.scope("session-turn", ScopeType.Custom, input=f"turn {number}", metadata=metadata):
            await ask([{"role": "user", "content": f"Turn {number}."}], openai_answer("Yes."))
            if number == 2:
                with scope.scope("helper", ScopeType.Agent, metadata={"nemo_relay_scope_role": "subagent"}):
                    await ask([{"role": "user", "content": "Help."}], openai_answer("Helped."))
            await tools.execute("note", {"turn": number}, found(None))


async def propagation():
    """An agent that hands its context to another process, which reports for itself."""
    with scope.scope("caller", ScopeType.Agent):
        await ask([{"role": "user", "content": "Ask the other."}], openai_answer(None, [("call_1", "remote", {})]))

        async def remote(_):
            context = nemo_relay.capture_propagation_context()
            sent = json.dumps([context.parent_uuid, context.root_uuid])
            done = await asyncio.to_thread(
                subprocess.run, [sys.executable, "-m", "relay.program", "callee"], check=True,
                env={**os.environ, "RELAY_CONTEXT": sent})
            return ToolExecutionResult({"exit": done.returncode})

        await tools.execute("remote", {}, remote, tool_call_id="call_1")
        await ask([{"role": "user", "content": "And?"}], openai_answer("Well."))


async def callee():
    """The other process of `propagation`."""
    parent, root = json.loads(os.environ["RELAY_CONTEXT"])
    stack = nemo_relay.create_scope_stack_from_propagation(nemo_relay.PropagationContext(parent, root))
    with nemo_relay.use_scope_stack(stack):
        with scope.scope("remote-step", ScopeType.Function):
            scope.event("remote-mark", data={"here": False})
        with scope.scope("callee", ScopeType.Agent):
            await ask([{"role": "user", "content": "From afar."}], openai_answer("Answered."))


async def many():
    """A run of more than two thousand events, as fast as Relay takes them."""
    with scope.scope("busy", ScopeType.Agent):
        for turn in range(50):
            calls = [(f"call_{turn}_{number}", "count", {"number": number}) for number in range(10)]
            await ask([{"role": "user", "content": f"Count, {turn}."}], openai_answer(None, calls))
            for identifier, name, arguments in calls:
                await tools.execute(name, arguments, found({"square": arguments["number"] ** 2}), tool_call_id=identifier)
                scope.event("counted", data=arguments)
                with scope.scope("inner", ScopeType.Function, data=arguments):
                    pass


SCENARIOS = {
    function.__name__: function
    for function in (
        chat, providers, nested, errors, rejections, streaming, marks, concurrent, payloads, turns, propagation, callee, many)
}
