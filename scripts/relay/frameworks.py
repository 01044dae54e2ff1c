"""Agents built with LangChain and LangGraph that report through NeMo Relay's integrations; their model is a script."""

from __future__ import annotations

import asyncio
import operator
from typing import Annotated, TypedDict

from langchain.agents import create_agent
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.types import Command, interrupt
from nemo_relay.integrations import langchain, langgraph


class ScriptedModel(BaseChatModel):
    """Answers with the messages of a list, one after the other, and from the first again. NeMo Relay reads `model_name`."""

    model_name: str = "scripted-1"
    script: list[AIMessage]

    @property
    def _llm_type(self):
        return "scripted"

    def bind_tools(self, tools, **_):
        return self

    def _generate(self, messages, stop=None, run_manager=None, **_):
        answered = sum(isinstance(message, AIMessage) for message in messages)
        return ChatResult(generations=[ChatGeneration(message=self.script[answered % len(self.script)])])


def answer(text, *calls, tokens=(11, 7)):
    return AIMessage(
        content=text, tool_calls=[{"name": name, "args": arguments, "id": identifier} for identifier, name, arguments in calls],
        usage_metadata={"input_tokens": tokens[0], "output_tokens": tokens[1], "total_tokens": sum(tokens)},
        response_metadata={"finish_reason": "tool_calls" if calls else "stop", "model_name": "scripted-1"},
    )


@tool
def weather(city: str) -> str:
    """The weather of a city."""
    return f"Rain in {city}: 12 °C"


@tool
def broken(city: str) -> str:
    """A tool that fails."""
    raise ValueError(f"no such city: {city}")


async def langchain_agent():
    """An agent of LangChain, asked once at a time and once as a coroutine, with tools one after the other and two at once."""
    agent = create_agent(
        ScriptedModel(script=[
            answer("", ("call_1", "weather", {"city": "Köln"})),
            answer("", ("call_2", "weather", {"city": "Paris"}), ("call_3", "weather", {"city": "Oslo"})),
            answer("Rain everywhere.", tokens=(60, 4))]),
        tools=[weather], middleware=[langchain.NemoRelayMiddleware()], name="forecaster")
    config = {"callbacks": [langchain.NemoRelayCallbackHandler()]}
    question = {"messages": [HumanMessage("How is the weather? ☔")]}
    # The synchronous way runs its own event loop, so it needs a thread without one.
    await asyncio.to_thread(agent.invoke, question, config)
    await agent.ainvoke(question, config)


async def langchain_failure():
    """An agent of LangChain whose tool raises."""
    agent = create_agent(
        ScriptedModel(script=[answer("", ("call_1", "broken", {"city": "Atlantis"})), answer("Lost.")]),
        tools=[broken], middleware=[langchain.NemoRelayMiddleware()], name="explorer")
    try:
        await agent.ainvoke({"messages": [HumanMessage("Go.")]}, {"callbacks": [langchain.NemoRelayCallbackHandler()]})
    except ValueError:
        pass


async def langgraph_agent():
    """A graph of LangGraph with a node of tools and a subgraph that is an agent."""
    helper = create_agent(
        ScriptedModel(script=[answer("", ("call_7", "weather", {"city": "Rom"})), answer("Sun in Rome.")]),
        tools=[weather], middleware=[langgraph.NemoRelayMiddleware()], name="helper")
    script = [answer("", ("call_1", "weather", {"city": "Bonn"})), answer("Rain in Bonn.")]

    def model(state):
        answered = sum(isinstance(message, AIMessage) for message in state["messages"])
        return {"messages": [script[min(answered, 1)]]}

    graph = StateGraph(MessagesState)
    graph.add_node("model", model)
    graph.add_node("tools", langgraph.create_tool_node([weather]))
    graph.add_node("helper", helper)
    graph.add_edge(START, "model")
    graph.add_conditional_edges("model", lambda state: "tools" if state["messages"][-1].tool_calls else "helper")
    graph.add_edge("tools", "model")
    graph.add_edge("helper", END)
    await langgraph.configure_graph(graph.compile(name="travel")).ainvoke({"messages": [HumanMessage("Where is sun?")]})


class Plan(TypedDict):
    steps: Annotated[list[str], operator.add]


async def langgraph_interrupt():
    """A graph that fans out, waits for a person, and goes on."""
    graph = StateGraph(Plan)
    graph.add_node("split", lambda state: {"steps": ["split"]})
    for side in ("left", "right"):
        graph.add_node(side, lambda state, side=side: {"steps": [side]})
    graph.add_node("approve", lambda state: {"steps": [interrupt({"question": "Go on?"})]})
    graph.add_edge(START, "split")
    for side in ("left", "right"):
        graph.add_edge("split", side)
    graph.add_edge(["left", "right"], "approve")
    graph.add_edge("approve", END)
    compiled = langgraph.configure_graph(graph.compile(checkpointer=InMemorySaver(), name="approval"))
    config = {"configurable": {"thread_id": "thread-1"}}
    await compiled.ainvoke({"steps": []}, config)
    await compiled.ainvoke(Command(resume="yes"), config)


SCENARIOS = {
    function.__name__: function for function in (langchain_agent, langchain_failure, langgraph_agent, langgraph_interrupt)
}
