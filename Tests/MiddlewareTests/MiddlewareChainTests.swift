import ATOF
import Middleware
import Testing

@Suite("Middleware chain")
struct MiddlewareChainTests {
    private struct Step: ChainStep {
        let name: String
        let priority: Int32

        func apply(_ draft: inout EventDraft, _ notes: inout ChainNotes) -> ChainDecision {
            draft.data = .array((draft.data?.arrayValue ?? []) + [.string(name)])
            return .pass
        }
    }

    private struct Failing: ChainStep {
        struct Broken: Error {}
        let name = "failing"
        let priority: Int32 = 0

        func apply(_ draft: inout EventDraft, _ notes: inout ChainNotes) throws -> ChainDecision {
            draft.data = "half done"
            throw Broken()
        }
    }

    private static func event() throws -> Event {
        let line = """
            {"kind":"mark","atof_version":"0.1","uuid":"018f0000-0000-7000-8000-000000000001","name":"m",\
            "timestamp":1,"metadata":{"secret":1}}
            """
        var writer = EventBatchWriter()
        writer.append(packed: try EventJSONDecoder.decode(Array(line.utf8)).packed())
        return try EventBatch(unpacking: writer.bytes).event(at: 0)
    }

    private static func unpack(_ packed: [UInt8]) throws -> Event {
        var writer = EventBatchWriter()
        writer.append(packed: packed)
        return try EventBatch(unpacking: writer.bytes).event(at: 0)
    }

    @Test("runs lower priorities first, then by name")
    func order() throws {
        var chain = MiddlewareChain([
            Step(name: "b", priority: 5), Step(name: "a", priority: 5), Step(name: "z", priority: -1),
        ])
        var notes = ChainNotes()
        guard case .changed(let packed) = chain.apply(try MiddlewareChainTests.event(), tenant: "t", &notes) else {
            Issue.record("the event was not changed")
            return
        }
        #expect(try MiddlewareChainTests.unpack(packed).data?.value == ["z", "a", "b"])
    }

    @Test("clears the payloads when a step fails, and says so")
    func failsClosed() throws {
        var chain = MiddlewareChain([Failing(), Step(name: "later", priority: 9)])
        var notes = ChainNotes()
        guard case .changed(let packed) = chain.apply(try MiddlewareChainTests.event(), tenant: "t", &notes) else {
            Issue.record("the event was not changed")
            return
        }
        let event = try MiddlewareChainTests.unpack(packed)
        #expect(event.data == nil)
        #expect(event.metadata == nil)
        #expect(notes.failures.map(\.step) == ["failing"])
    }

    @Test("an empty chain changes nothing")
    func empty() throws {
        var chain = MiddlewareChain()
        var notes = ChainNotes()
        #expect(chain.apply(try MiddlewareChainTests.event(), tenant: "t", &notes) == .unchanged)
    }
}
