import ATOF
import Middleware
import Testing

@Suite("Workers in the chain")
struct WorkerStepTests {
    private static func scope(
        _ category: String, _ phase: String, data: String = #"{"q":"x"}"#, profile: String = "null"
    ) throws -> Event {
        try WorkerMessages.event(
            """
            {"kind":"scope","scope_category":"\(phase)","category":"\(category)","atof_version":"0.1","name":"search","attributes":[],\
            "uuid":"018f0000-0000-7000-8000-000000000001","timestamp":1,"data":\(data),"metadata":{"m":1},\
            "category_profile":\(profile)}
            """)
    }

    private static let mark =
        #"{"kind":"mark","atof_version":"0.1","uuid":"018f0000-0000-7000-8000-000000000002","#
        + #""name":"m","timestamp":1,"data":1,"metadata":{"m":1},"category_profile":{"p":1}}"#

    private static func chain(
        _ surfaces: [WorkerSurface], before: [any ChainStep] = [], _ change: (inout WorkerSettings) -> Void = { _ in }
    ) -> MiddlewareChain {
        var settings = WorkerSettings(name: "w", surfaces: surfaces)
        change(&settings)
        return MiddlewareChain(before + WorkerStep.steps(of: settings))
    }

    /// Plans and asks until nothing is asked any more, then applies for good.
    private static func run(
        _ chain: MiddlewareChain, _ event: Event, tenant: String = "t",
        answer: (WorkerExchange.Question) -> WorkerAnswer
    ) throws -> (outcome: MiddlewareChain.Outcome, notes: ChainNotes, rounds: Int) {
        var exchange = WorkerExchange()
        var rounds = 0
        while true {
            var planning = chain
            var notes = ChainNotes()
            notes.workers = exchange
            notes.workers.isPlanning = true
            _ = planning.apply(event, tenant: tenant, &notes)
            let questions = notes.workers.questions
            if questions.isEmpty { break }
            rounds += 1
            try #require(rounds < 10)
            exchange = notes.workers
            exchange.answered(questions.map(answer))
        }
        var chain = chain
        var notes = ChainNotes()
        exchange.isPlanning = false
        notes.workers = exchange
        return (chain.apply(event, tenant: tenant, &notes), notes, rounds)
    }

    private static func event(_ outcome: MiddlewareChain.Outcome) throws -> Event {
        guard case .changed(let packed) = outcome else { throw NotChanged() }
        var writer = EventBatchWriter()
        writer.append(packed: packed)
        return try EventBatch(unpacking: writer.bytes).event(at: 0)
    }

    private struct NotChanged: Error {}

    @Test(
        "each surface gets its events and no others",
        arguments: [
            ("tool", "start", [WorkerSurface.metadataInjector, .scopeStart, .toolRequest]),
            ("tool", "end", [.metadataInjector, .scopeEnd, .toolResponse]),
            ("llm", "start", [.llmRequest, .metadataInjector, .scopeStart]),
            ("llm", "end", [.llmResponse, .metadataInjector, .scopeEnd]),
            ("agent", "start", [.metadataInjector, .scopeStart]),
        ])
    func surfaces(_ category: String, _ phase: String, _ expected: [WorkerSurface]) throws {
        var asked: [WorkerSurface] = []
        let result = try Self.run(Self.chain(WorkerSurface.allCases), try Self.scope(category, phase)) {
            asked.append($0.place.surface)
            return .success(.unchanged)
        }
        #expect(asked.sorted { $0.rawValue < $1.rawValue } == expected)
        #expect(result.outcome == .unchanged && result.notes.failures.isEmpty)
    }

    @Test("a mark is asked about as it is, and what is answered takes the place of exactly three payloads")
    func replacement() throws {
        let event = try WorkerMessages.event(Self.mark)
        let result = try Self.run(Self.chain([.mark]), event) { question in
            #expect(question.item == .event(event.packed.array) && question.tenant == "t")
            return .success(.replacement(data: "new", categoryProfile: nil, metadata: ["n": 2]))
        }
        let changed = try Self.event(result.outcome)
        #expect(changed.data?.value == "new" && changed.categoryProfile == nil && changed.metadata?.value == ["n": 2])
        #expect(changed.uuid == event.uuid && changed.name == "m" && changed.timestamp == event.timestamp)
        #expect(result.notes.changes == ["workers/w/mark": 1])
    }

    private struct Redaction: ChainStep {
        let name = "redaction"
        var priority: Int32 = 1
        func apply(_ draft: inout EventDraft, _ notes: inout ChainNotes) -> ChainDecision {
            draft.data = "redacted"
            return .pass
        }
    }

    @Test("a worker sees what the steps before it have left, and a later worker what the earlier one answered")
    func order() throws {
        var later = WorkerSettings(name: "later", surfaces: [.mark])
        later.priority = 300
        let chain = MiddlewareChain(
            [Redaction()] + WorkerStep.steps(of: later)
                + WorkerStep.steps(of: WorkerSettings(name: "earlier", surfaces: [.mark])))
        var seen: [String: JSONValue] = [:]
        let result = try Self.run(chain, try WorkerMessages.event(Self.mark)) { question in
            guard case .event(let packed) = question.item else { return .failure(.wrongReply) }
            var writer = EventBatchWriter()
            writer.append(packed: packed)
            let data = (try? EventBatch(unpacking: writer.bytes).event(at: 0))?.data?.value
            seen[question.place.worker] = data
            return .success(
                .replacement(data: .string("by \(question.place.worker)"), categoryProfile: nil, metadata: nil))
        }
        #expect(seen == ["earlier": "redacted", "later": "by earlier"] && result.rounds == 2)
        #expect(try Self.event(result.outcome).data?.value == "by later")
    }

    @Test(
        "a value takes the place of a payload, and the annotation that says the same goes with it",
        arguments: [
            ("llm", "start", WorkerSurface.llmRequest, "annotated_request"),
            ("llm", "end", .llmResponse, "annotated_response"),
            ("tool", "end", .toolResponse, "tool_result_annotation"),
        ])
    func value(_ category: String, _ phase: String, _ surface: WorkerSurface, _ key: String) throws {
        let event = try Self.scope(category, phase, profile: #"{"\#(key)":{"a":1},"model_name":"m"}"#)
        let result = try Self.run(Self.chain([surface]), event) { question in
            #expect(question.item == .value(["q": "x"], name: "search"))
            return .success(.value(["q": "y"]))
        }
        let changed = try Self.event(result.outcome)
        #expect(changed.data?.value == ["q": "y"] && changed.categoryProfile?.value["model_name"] == "m")
        #expect(changed.categoryProfile?.value[key] == nil && changed.metadata?.value == ["m": 1])
        // The same value changes nothing, the annotation neither.
        let same = try Self.run(Self.chain([surface]), event) { _ in .success(.value(["q": "x"])) }
        #expect(same.outcome == .unchanged)
        // An omitted payload takes its annotation with it.
        let omitted = try Self.event(try Self.run(Self.chain([surface]), event) { _ in .success(.omitted) }.outcome)
        #expect(omitted.data == nil && omitted.categoryProfile?.value == ["model_name": "m"])
    }

    @Test(
        "what fails closed removes what the surface governs, what fails open nothing; both are told",
        arguments: WorkerFailure.allCases)
    func failures(_ failure: WorkerFailure) throws {
        let mark = try WorkerMessages.event(Self.mark)
        let closed = try Self.run(Self.chain([.mark]), mark) { _ in .failure(failure) }
        let cleared = try Self.event(closed.outcome)
        #expect(cleared.data == nil && cleared.metadata == nil && cleared.categoryProfile == nil)
        #expect(closed.notes.failures.map(\.step) == ["workers/w/mark"])
        // A step behind it still has its say.
        var redaction = Redaction()
        redaction.priority = 200
        let behind = try Self.run(Self.chain([.mark], before: [redaction]), mark) { _ in .failure(failure) }
        #expect(try Self.event(behind.outcome).data?.value == "redacted")

        let open = try Self.run(Self.chain([.mark]) { $0.onFailure[.mark] = .open }, mark) { _ in .failure(failure) }
        #expect(open.outcome == .unchanged)
        #expect(open.notes.failures == [.init(step: "workers/w/mark", reason: failure.rawValue)])

        let injector = try Self.run(Self.chain([.metadataInjector]), mark) { _ in .failure(failure) }
        #expect(injector.outcome == .unchanged && injector.notes.failures.count == 1)

        let payload = try Self.run(Self.chain([.toolRequest]), try Self.scope("tool", "start")) { _ in .failure(failure)
        }
        let omitted = try Self.event(payload.outcome)
        #expect(omitted.data == nil && omitted.metadata?.value == ["m": 1])
        #expect(payload.notes.failures == [.init(step: "workers/w/tool_request", reason: failure.rawValue)])
    }

    @Test(
        "an injector adds and never replaces; one wrong member spoils all",
        arguments: [
            (#"{"team":"a","m":2,"a.b":[1,2.5]}"#, #"{"a.b":[1,2.5],"m":1,"team":"a"}"#), (#"{"m":2}"#, ""), ("{}", ""),
            (#"{"a..b":1}"#, ""), (#"{"a b":1}"#, ""), (#"{"x":null}"#, ""), (#"{"x":[1,"a"]}"#, ""),
            (#"{"x":{"y":1}}"#, ""), (#"{"ok":1,"":1}"#, ""), (#"{"x":[[]]}"#, ""),
            (#"{"x":18446744073709551615}"#, ""),
        ])
    func injection(_ additions: String, _ expected: String) throws {
        let object = try #require(try JSONParser.parse(additions).objectValue)
        let result = try Self.run(Self.chain([.metadataInjector]), try WorkerMessages.event(Self.mark)) { _ in
            .success(.metadata(object))
        }
        if expected.isEmpty {
            #expect(result.outcome == .unchanged)
        } else {
            #expect(try Self.event(result.outcome).metadata?.value.compactText == expected)
        }
    }

    @Test("events of other tenants are not asked about")
    func tenants() throws {
        let chain = Self.chain([.mark]) { $0.tenants = ["a"] }
        let mark = try WorkerMessages.event(Self.mark)
        let other = try Self.run(chain, mark, tenant: "b") { _ in .failure(.gone) }
        let own = try Self.run(chain, mark, tenant: "a") { _ in .success(.unchanged) }
        #expect(other.rounds == 0 && own.rounds == 1)
    }

    @Test("a chain in which nobody can be asked decides by the policy")
    func unasked() throws {
        var chain = Self.chain([.mark])
        var notes = ChainNotes()
        let outcome = chain.apply(try WorkerMessages.event(Self.mark), tenant: "t", &notes)
        #expect(try Self.event(outcome).data == nil && notes.failures.count == 1)
    }

    @Test(
        "a result that the surface does not allow is a failure of its item alone",
        arguments: [
            (WorkerSurface.mark, WorkerResult.value(1)), (.mark, .metadata(JSONObject())), (.mark, .omitted),
            (.toolRequest, .replacement(data: nil, categoryProfile: nil, metadata: nil)),
            (.metadataInjector, .verdict(isAllowed: true, reason: "")), (.llmConditional, .unchanged),
            (.toolConditional, .value(1)),
        ])
    func allowed(_ surface: WorkerSurface, _ result: WorkerResult) {
        #expect(WorkerReply.results([result]).answers(for: surface, count: 1) == [.failure(.wrongReply)])
        let failed = WorkerReply.results([.failed(code: "x"), result]).answers(for: surface, count: 2)
        #expect(failed == [.failure(.workerError), .failure(.wrongReply)])
        #expect(WorkerReply.failed(code: "x").answers(for: surface, count: 2).count == 2)
    }

    @Test("questions go together by worker, surface and tenant, in their order, within the bounds of a call")
    func batches() {
        func question(_ surface: WorkerSurface, _ number: Int, bytes: Int, tenant: String = "t")
            -> WorkerExchange.Question
        {
            WorkerExchange.Question(
                place: .init(
                    worker: "w", surface: surface, event: EventUUID(high: 1, low: UInt64(number)), kind: .mark),
                tenant: tenant, item: .event(Array(repeating: 0, count: bytes)))
        }
        let questions = [
            question(.mark, 0, bytes: 30), question(.scopeEnd, 1, bytes: 30), question(.mark, 2, bytes: 30),
            question(.mark, 3, bytes: 30), question(.mark, 4, bytes: 500), question(.mark, 5, bytes: 30, tenant: "u"),
        ]
        let batches = WorkerBatch.batches(of: questions, maximumBytes: 100)
        #expect(batches.map(\.members) == [[0, 2], [3], [1], [5]])
        #expect(batches.map(\.tenant) == ["t", "t", "t", "u"])
        #expect(WorkerBatch.batches(of: questions, maximumBytes: 1000).map(\.members) == [[0, 2, 3, 4], [1], [5]])
        let many = (0..<3000).map { question(.mark, $0, bytes: 1) }
        #expect(WorkerBatch.batches(of: many, maximumBytes: 1 << 20).map(\.members.count) == [1024, 1024, 952])
    }

    @Test(
        "an annotation without its payload is asked about in its place",
        arguments: [
            ("llm", "start", WorkerSurface.llmRequest, "annotated_request"),
            ("llm", "end", .llmResponse, "annotated_response"),
            ("tool", "end", .toolResponse, "tool_result_annotation"),
        ])
    func annotationAlone(_ category: String, _ phase: String, _ surface: WorkerSurface, _ key: String) throws {
        let event = try Self.scope(category, phase, data: "null", profile: #"{"\#(key)":{"a":1},"model_name":"m"}"#)
        let chain = Self.chain([surface])
        let result = try Self.run(chain, event) { question in
            #expect(question.item == .value(["a": 1], name: "search"))
            return .success(.value(["a": 2]))
        }
        let changed = try Self.event(result.outcome)
        #expect(changed.data == nil && changed.categoryProfile?.value == [key: ["a": 2], "model_name": "m"])
        let same = try Self.run(chain, event) { _ in .success(.value(["a": 1])) }
        #expect(same.outcome == .unchanged)
        for answer in [WorkerAnswer.success(.omitted), .failure(.gone)] {
            let without = try Self.event(try Self.run(chain, event) { _ in answer }.outcome)
            #expect(without.categoryProfile?.value == ["model_name": "m"])
        }
        let nothing = try Self.scope(category, phase, data: "null", profile: #"{"\#(key)":null,"model_name":"m"}"#)
        let silent = try Self.run(chain, nothing) { _ in .failure(.gone) }
        #expect(silent.rounds == 0 && silent.outcome == .unchanged)
    }
}
