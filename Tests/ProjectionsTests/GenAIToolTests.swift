import ATOF
import Testing

@testable import Projections

/// The reference's answers are those of nemo-relay 0.10.4 to the same metadata; `./dev try-relay` has a coding agent that sends it.
@Suite("gen_ai tools")
struct GenAIToolTests {
    private func span(
        _ start: String, end: String = "", profile: String = "", endProfile: String = ""
    ) throws -> ProjectedSpan {
        var run = Run(ProjectionConfiguration(projection: .genAI))
        try run.receive(
            Events.fields(
                .scopeStart, Events.uuid(1), name: "t", category: "tool", data: "", metadata: start, profile: profile))
        let fields = Events.fields(
            .scopeEnd, Events.uuid(1), name: "t", category: "tool", data: "", metadata: end,
            profile: endProfile)
        return try #require(try run.receive(fields).first)
    }

    @Test(
        "takes strings that are not blank from the metadata itself, and the agent that calls among them",
        arguments: [
            (#"{"gen_ai.agent.name":"x"}"#, "x"), (#"{"agent_name":"y"}"#, "y"),
            (#"{"agent_name":"second","gen_ai.agent.name":"first"}"#, "first"),
            (#"{"agent_name":"second","gen_ai.agent.name":7}"#, "second"),
            (#"{"agent_name":"second","gen_ai.agent.name":""}"#, "second"),
            (#"{"gen_ai.agent.name":"  "}"#, nil), (#"{"gen_ai.agent.name":" p "}"#, " p "),
            (#"{"gen_ai.agent.name":true}"#, nil), (#"{"request":{"gen_ai.agent.name":"x"}}"#, nil),
            (#"{"nemo_relay.tool.execution.defaults":{"gen_ai.agent.name":"x"}}"#, nil),
        ] as [(String, String?)])
    func agentNames(_ metadata: String, _ name: String?) throws {
        #expect(try span(metadata)["gen_ai.agent.name"] == name.map { .string($0) })
    }

    @Test("looks for one key after the other, for each in the profile and then in the metadata")
    func order() throws {
        let span = try span(
            #"{"gen_ai.tool.description":"m","tool_type":"m"}"#, profile: #"{"description":"p","tool_type":"p"}"#)
        #expect(span["gen_ai.tool.description"] == .string("m"))
        #expect(span["gen_ai.tool.type"] == .string("p"))
    }

    @Test("takes the id of its call from the end's profile, then from its metadata, if the start had none")
    func idAtEnd() throws {
        let key = "gen_ai.tool.call.id"
        let end = #"{"tool_call_id":"m"}"#
        #expect(try span("", end: end, endProfile: #"{"tool_call_id":"e"}"#)[key] == .string("e"))
        #expect(try span("", end: end)[key] == .string("m"))
        let both = try span("", profile: #"{"tool_call_id":"s"}"#, endProfile: #"{"tool_call_id":"e"}"#)
        #expect(both[key] == .string("s"))
    }

    @Test(
        "reads types, descriptions and ids alike",
        arguments: [
            (#"{"gen_ai.tool.type":""}"#, "gen_ai.tool.type", nil),
            (#"{"gen_ai.tool.type":5}"#, "gen_ai.tool.type", nil),
            (#"{"gen_ai.tool.type":[1],"tool_type":"b"}"#, "gen_ai.tool.type", "b"),
            (#"{"tool_description":7}"#, "gen_ai.tool.description", nil),
            (#"{"gen_ai.tool.description":"","description":"x"}"#, "gen_ai.tool.description", "x"),
            (#"{"gen_ai.tool.call.id":"","tool_call_id":"x"}"#, "gen_ai.tool.call.id", "x"),
            (#"{"gen_ai.tool.name":" "}"#, "gen_ai.tool.name", "t"),
            (#"{"gen_ai.tool.name":5}"#, "gen_ai.tool.name", "t"),
            (#"{"gen_ai.tool.name":"n"}"#, "gen_ai.tool.name", "n"),
        ] as [(String, String, String?)])
    func facts(_ metadata: String, _ key: String, _ value: String?) throws {
        #expect(try span(metadata)[key] == value.map { .string($0) })
    }

    @Test("takes from the end what the start did not say")
    func ends() throws {
        let end =
            #"{"gen_ai.tool.type":"late","tool_description":"d","tool_call_id":"c","agent_name":"a","gen_ai.tool.name":"n","session_id":"s"}"#
        let late = try span("", end: end)
        #expect(late.name == "execute_tool t")
        #expect(late["gen_ai.tool.type"] == .string("late") && late["gen_ai.tool.description"] == .string("d"))
        #expect(late["gen_ai.tool.call.id"] == .string("c") && late["gen_ai.agent.name"] == .string("a"))
        #expect(late["gen_ai.tool.name"] == .string("t") && late["gen_ai.conversation.id"] == nil)
        let early = try span(#"{"gen_ai.tool.type":"early","gen_ai.agent.name":5}"#, end: end)
        #expect(early["gen_ai.tool.type"] == .string("early") && early["gen_ai.agent.name"] == .string("a"))
        let known = try span("", end: end, profile: #"{"tool_call_id":"p"}"#)
        #expect(known["gen_ai.tool.call.id"] == .string("p"))
    }

    @Test("prefers the producer's own keys of the profile")
    func profiles() throws {
        #expect(
            try span(#"{"gen_ai.tool.type":"m"}"#, profile: #"{"gen_ai.tool.type":"p"}"#)["gen_ai.tool.type"]
                == .string("p"))
        #expect(
            try span(#"{"gen_ai.tool.type":"m"}"#, profile: #"{"gen_ai.tool.type":""}"#)["gen_ai.tool.type"]
                == .string("m"))
    }

    @Test(
        "a provider's error in the place of an answer fails a span whose end says nothing, unless the reference is followed"
    )
    func providerErrors() throws {
        let error = #"{"error":{"message":"no","type":"rate_limit_error"}}"#
        for (compatibility, metadata, status) in [
            (Compatibility.skein, "", ProjectedSpan.Status.error(message: "no")),
            (.skein, #"{"otel.status_code":"ERROR"}"#, .error(message: "no")),
            (.skein, #"{"otel_status_code":"ERROR"}"#, .error(message: "no")),
            (.skein, #"{"otel.status_code":"weird"}"#, .error(message: "no")),
            (.skein, #"{"otel.status_code":"OK"}"#, .ok), (.skein, #"{"otel_status_code":"OK"}"#, .ok),
            (.strict, "", .unset),
        ] {
            var configuration = ProjectionConfiguration(projection: .genAI)
            configuration.compatibility = compatibility
            var run = Run(configuration)
            try run.receive(Events.fields(.scopeStart, Events.uuid(1), name: "openai", category: "llm", data: ""))
            let fields = Events.fields(
                .scopeEnd, Events.uuid(1), name: "openai", category: "llm", data: error, metadata: metadata)
            let span = try #require(try run.receive(fields).first)
            #expect(span.status == status)
            #expect(span["error.type"] == (status == .error(message: "no") ? .string("rate_limit_error") : nil))
        }
    }
}
