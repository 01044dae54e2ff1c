internal import ATOF
internal import Stages

/// Runs of agents as a real producer records them, always the same ones: an agent scope, LLM calls with OpenAI chat payloads whose history
/// grows, tool calls, a mark. An event is 1 KB on average.
struct BenchmarkWorkload {
    /// Events of a run from the start to the end of its agent.
    static let eventsPerRun = 20
    static let eventsPerMessage = 64
    static let tenant = "bench"

    private static let producers = 64
    private static let turns = 4
    private static let words = [
        "lighthouse", "harbour", "keeper", "granite", "lantern", "the", "of", "a", "and", "was", "built", "metres",
        "height", "source",
        "survey", "coast", "in", "tower", "signal", "light", "archive", "which", "record", "oldest", "stone", "report",
        "is", "at",
    ]

    /// SplitMix64: the same on every machine.
    private var seed: UInt64 = 1
    /// Whether each event holds an address of mail, a number of a card and an address of the network.
    private let holdsSecrets: Bool

    init(holdsSecrets: Bool = false) { self.holdsSecrets = holdsSecrets }

    /// Messages for EVENTS with `count` events in all, in the order in which they are published. A producer's runs follow each other in
    /// its messages, and the producers take turns.
    static func messages(events count: Int, holdingSecrets: Bool = false) -> [(key: String, payload: [UInt8])] {
        var workload = BenchmarkWorkload(holdsSecrets: holdingSecrets)
        var waiting = [[[UInt8]]](repeating: [], count: producers)
        var messages: [(key: String, payload: [UInt8])] = []
        var rest = count
        while rest > 0 {
            for producer in 0..<producers where rest > 0 {
                let size = min(eventsPerMessage, rest)
                while waiting[producer].count < size { waiting[producer] += workload.run() }
                messages.append(("producer-\(producer)", batch(waiting[producer][..<size])))
                waiting[producer].removeFirst(size)
                rest -= size
            }
        }
        return messages
    }

    /// A message with the events of a run that goes on: all but the end of its agent.
    mutating func openRun() -> [UInt8] { BenchmarkWorkload.batch(run().dropLast()) }

    private static func batch(_ events: some Sequence<[UInt8]>) -> [UInt8] {
        var writer = EventBatchWriter()
        for event in events { writer.append(packed: event) }
        return writer.bytes
    }

    // MARK: A run

    /// The packed events of the next run.
    private mutating func run() -> [[UInt8]] {
        var run = Run(agent: uuid(), milliseconds: 1_772_000_000_000 + number(below: 1_000_000_000))
        run.holdsSecrets = holdsSecrets
        let question = text(30)
        run.append(.scopeStart, run.agent, "agent", "research-agent", data: #"{"question":"\#(question)"}"#)
        converse(about: question, &run)
        run.append(.scopeEnd, run.agent, "agent", "research-agent", data: #"{"answer":"\#(text(50))"}"#)
        return run.events
    }

    /// The packed events of one agent that has conversation after conversation: one trajectory with so many events.
    mutating func giantRun(events count: Int) -> [[UInt8]] {
        var run = Run(agent: uuid(), milliseconds: 1_772_000_000_000)
        run.append(.scopeStart, run.agent, "agent", "research-agent", data: "{}")
        while run.events.count < count { converse(about: text(30), &run) }
        return Array(run.events.prefix(count))
    }

    /// LLM calls with a history that grows, the tool calls that they ask for, and a mark.
    private mutating func converse(about question: String, _ run: inout Run) {
        var history =
            #"{"role":"system","content":"You are a careful research assistant. \#(text(40))"},{"role":"user","content":"\#(question)"}"#
        for turn in 1...BenchmarkWorkload.turns {
            let call = "call_\(turn)"
            let query = text(16)
            let request =
                #"{"id":"\#(call)","type":"function","function":{"name":"web_search","arguments":"{\"query\": \"\#(query)\"}"}}"#
            let reply = #"{"role":"assistant","content":"\#(text(24))","tool_calls":[\#(request)]}"#
            callModel(history: history, reply: reply, finish: "tool_calls", &run)
            let tool = uuid()
            let result = text(60)
            run.append(
                .scopeStart, tool, "tool", "web_search", data: #"{"query":"\#(query)"}"#,
                profile: #"{"tool_call_id":"\#(call)"}"#)
            run.append(
                .scopeEnd, tool, "tool", "web_search", data: #"[{"title":"\#(text(6))","snippet":"\#(result)"}]"#,
                profile: #"{"tool_call_id":"\#(call)"}"#, metadata: #"{"otel.status_code":"OK"}"#)
            history += #",\#(reply),{"role":"tool","tool_call_id":"\#(call)","content":"\#(result)"}"#
        }
        callModel(history: history, reply: #"{"role":"assistant","content":"\#(text(50))"}"#, finish: "stop", &run)
        run.append(.mark, uuid(), nil, "research.finished", data: #"{"steps":5,"sources":4}"#)
    }

    private mutating func callModel(history: String, reply: String, finish: String, _ run: inout Run) {
        let call = uuid()
        let profile = #"{"model_name":"gpt-4.1-mini"}"#
        let tools =
            #"[{"type":"function","function":{"name":"web_search","description":"Search the web and return titles, addresses and snippets.","#
            + #""parameters":{"type":"object","properties":{"query":{"type":"string"}},"required":["query"]}}}]"#
        let input = 300 + number(below: 2000)
        let output = 20 + number(below: 200)
        run.append(
            .scopeStart, call, "llm", "openai",
            data:
                #"{"content":{"model":"gpt-4.1-mini","temperature":0.2,"messages":[\#(history)],"tools":\#(tools)},"headers":{}}"#,
            profile: profile)
        run.append(
            .scopeEnd, call, "llm", "openai",
            data:
                #"{"id":"chatcmpl-\#(input)","object":"chat.completion","created":1772442848,"model":"gpt-4.1-mini-2025-04-14","#
                + #""choices":[{"index":0,"finish_reason":"\#(finish)","message":\#(reply)}],"usage":{"prompt_tokens":\#(input),"#
                + #""completion_tokens":\#(output),"total_tokens":\#(input + output),"prompt_tokens_details":{"cached_tokens":0}}}"#,
            profile: profile, metadata: #"{"otel.status_code":"OK"}"#)
    }

    private struct Run {
        let agent: EventUUID
        var milliseconds: Int64
        var holdsSecrets = false
        var events: [[UInt8]] = []

        init(agent: EventUUID, milliseconds: Int64) {
            self.agent = agent
            self.milliseconds = milliseconds
        }

        mutating func append(
            _ kind: Event.Kind, _ uuid: EventUUID, _ category: String?, _ name: String, data: String,
            profile: String = "",
            metadata: String = #"{"session_id":"bench","user_id":"bench"}"#
        ) {
            milliseconds += 40
            var fields = EventFields(
                kind: kind, uuid: uuid, timestamp: EventTime(epochMicroseconds: milliseconds * 1000), name: name)
            fields.category = category
            fields.parentUUID = uuid == agent ? nil : agent
            fields.propagationRootUUID = agent
            fields.data = Array((holdsSecrets ? Run.withSecrets(data) : data).utf8)
            fields.categoryProfile = Array(profile.utf8)
            fields.metadata = Array(metadata.utf8)
            events.append(fields.packed())
        }

        /// In front of an object's members, or of an array's elements.
        private static func withSecrets(_ data: String) -> String {
            let text = #""ask jane.doe@example.org at 192.168.17.4, she pays with 4111 1111 1111 1111 as always""#
            let member = data.hasPrefix("{") ? #""contact":\#(text)"# : text
            return "\(data.prefix(1))\(member)\(data.utf8.count > 2 ? "," : "")\(data.dropFirst())"
        }
    }

    // MARK: Pseudo-random parts

    private mutating func next() -> UInt64 {
        seed &+= 0x9E37_79B9_7F4A_7C15
        var value = seed
        value = (value ^ value >> 30) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ value >> 27) &* 0x94D0_49BB_1331_11EB
        return value ^ value >> 31
    }

    private mutating func number(below limit: UInt64) -> Int64 { Int64(next() % limit) }

    private mutating func uuid() -> EventUUID { EventUUID(high: next(), low: next()) }

    private mutating func text(_ count: Int) -> String {
        var text = ""
        for index in 0..<count {
            if index > 0 { text += " " }
            text += BenchmarkWorkload.words[Int(next() % UInt64(BenchmarkWorkload.words.count))]
        }
        return text
    }
}
