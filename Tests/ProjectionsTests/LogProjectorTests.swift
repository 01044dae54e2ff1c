import ATOF
import Projections
import Testing

@Suite("Log projector")
struct LogProjectorTests {
    private struct Log {
        var projector: LogProjector
        var output = LogOutput()

        init(_ configuration: LogConfiguration = LogConfiguration(minimumSeverity: .trace)) {
            projector = LogProjector(configuration: configuration)
        }

        var records: [ProjectedLogRecord] { output.records.map(\.record) }

        mutating func receive(
            _ fields: EventFields, root: EventUUID? = nil, of tenant: String = "t", isExpired: Bool = false
        ) throws {
            projector.receive(
                try Events.event(Events.packed(fields, root: root)), of: tenant, isExpired: isExpired, into: &output)
        }

        func attribute(_ key: String) -> JSONValue? {
            records.last?.attributes.first { $0.key == "nemo_relay.\(key)" }?.value
        }

        /// The same, stopped and continued.
        func restored() throws -> Log {
            var log = self
            log.projector = try LogProjector(
                configuration: projector.configuration, snapshot: projector.snapshot())
            return log
        }
    }

    private static let key = "nemo_relay.log.severity"

    @Test(
        "takes the severity from the metadata",
        arguments: [
            ("", .info), ("[1]", .info), ("{}", .info), (#"{"\#(key)":"trace"}"#, .trace),
            (#"{"\#(key)":" Debug\n"}"#, .debug), (#"{"\#(key)":"INFO"}"#, .info), (#"{"\#(key)":"warn"}"#, .warn),
            (#"{"\#(key)":"Warning"}"#, .warn), (#"{"\#(key)":"error"}"#, .error), (#"{"\#(key)":"fatal"}"#, nil),
            (#"{"\#(key)":""}"#, nil), (#"{"\#(key)":9}"#, nil), (#"{"\#(key)":null}"#, nil),
        ] as [(String, LogSeverity?)])
    func severity(_ metadata: String, _ expected: LogSeverity?) throws {
        var log = Log()
        try log.receive(Events.fields(.mark, Events.uuid(1), metadata: metadata))
        #expect(log.records.map(\.severity) == (expected.map { [$0] } ?? []))
        #expect(log.projector.counters.invalidSeverities == (expected == nil ? 1 : 0))
        #expect((log.projector.diagnostics.entries["otel.log_mark_invalid_severity"] != nil) == (expected == nil))
        #expect(log.output.events.received.map(\.events) == [1])
        #expect(log.output.events.settled.map(\.events) == (expected == nil ? [1] : []))
    }

    @Test("leaves out what is below the minimum, and counts it", arguments: LogSeverity.allCases)
    func minimum(_ minimum: LogSeverity) throws {
        var log = Log(LogConfiguration(minimumSeverity: minimum))
        for (number, severity) in LogSeverity.allCases.enumerated() {
            try log.receive(
                Events.fields(
                    .mark, Events.uuid(UInt64(number)), metadata: #"{"\#(Self.key)":"\#(severity.text)"}"#))
        }
        #expect(log.records.map(\.severity) == LogSeverity.allCases.filter { $0 >= minimum })
        #expect(log.projector.counters.belowSeverity == UInt64(LogSeverity.allCases.filter { $0 < minimum }.count))
    }

    @Test(
        "leaves the severity out of the metadata, and metadata out that is empty then",
        arguments: [
            ("", nil), ("{}", nil), (#"{"\#(key)":"info"}"#, nil), (#"{"\#(key)":"info","a":null}"#, ["a": .null]),
            ("[1]", [1]), ("7", 7),
        ] as [(String, JSONValue?)])
    func metadata(_ metadata: String, _ expected: JSONValue?) throws {
        var log = Log()
        try log.receive(Events.fields(.mark, Events.uuid(1), metadata: metadata))
        #expect(log.attribute("mark.metadata") == expected)
    }

    @Test("writes its attributes in the order of the specification")
    func attributes() throws {
        var fields = Events.fields(
            .mark, Events.uuid(2), parent: Events.uuid(1), name: "m", category: "strange", data: #"{"a":null}"#,
            metadata: #"{"k":1}"#, profile: "{}", propagationRoot: Events.root)
        fields.dataSchema = .init(name: "s", version: "2")
        fields.atofVersion = "0.9"
        var log = Log()
        try log.receive(fields)
        #expect(
            log.records.first?.attributes == [
                .init("nemo_relay.atof.version", "0.1"), .init("nemo_relay.mark.name", "m"),
                .init("nemo_relay.mark.uuid", .string(Events.uuid(2).description)),
                .init("nemo_relay.session.instance_id", .string(Events.root.description)),
                .init("nemo_relay.mark.parent_uuid", .string(Events.uuid(1).description)),
                .init("nemo_relay.mark.category", "strange"), .init("nemo_relay.mark.category_profile", [:]),
                .init("nemo_relay.mark.data_schema.name", "s"), .init("nemo_relay.mark.data_schema.version", "2"),
                .init("nemo_relay.mark.metadata", ["k": 1]),
            ])
        #expect(log.records.first?.body == ["a": .null])
        try log.receive(Events.fields(.mark, Events.uuid(3), name: ""))
        #expect(log.records.last?.attributes.map(\.key).count == 3 && log.records.last?.body == nil)
    }

    @Test("makes no record of metric marks, valid or not, and of scopes")
    func others() throws {
        var log = Log()
        for version in ["1", "2"] {
            var fields = Events.fields(.mark, Events.uuid(1), data: "[]")
            fields.dataSchema = .init(name: "nemo.relay.metric_measurements", version: version)
            try log.receive(fields)
        }
        try log.receive(Events.fields(.scopeStart, Events.uuid(2)))
        try log.receive(Events.fields(.scopeEnd, Events.uuid(2)))
        #expect(log.records.isEmpty)
        #expect(log.output.events.settled.reduce(0) { $0 + $1.events } == 4)
    }

    @Test("drops what is before 1970, and what has waited for too long")
    func dropped() throws {
        var log = Log()
        try log.receive(Events.fields(.mark, Events.uuid(1), at: -2_000_000))
        try log.receive(Events.fields(.mark, Events.uuid(2)), isExpired: true)
        #expect(log.records.isEmpty && log.projector.counters.timestampsOutOfRange == 1)
        #expect(log.output.events.settled.map(\.fate) == [.notProjected, .expired])
    }

    // MARK: Trace context

    private static let (parent, child, mark) = (Events.uuid(1), Events.uuid(2), Events.uuid(3))

    private static func context(_ trace: EventUUID, _ span: EventUUID) -> ProjectedLogRecord.Context {
        .init(traceID: trace, spanID: span.low)
    }

    @Test("names a parent that ended long ago while the outermost agent goes on")
    func expiredParent() throws {
        var log = Log()
        let root = Events.uuid(7)
        try log.receive(Events.fields(.scopeStart, root, at: 0, category: "agent", propagationRoot: root))
        try log.receive(Events.fields(.scopeStart, Self.parent, parent: root, at: 0, propagationRoot: root))
        try log.receive(Events.fields(.scopeEnd, Self.parent, parent: root, at: 1, propagationRoot: root))
        try log.receive(Events.fields(.mark, Self.mark, parent: Self.parent, at: 90, propagationRoot: root))
        #expect(log.records.last?.context == Self.context(root, Self.parent))
        try log.receive(Events.fields(.scopeEnd, root, at: 91, propagationRoot: root))
        try log.receive(Events.fields(.mark, Self.mark, parent: Self.parent, at: 92, propagationRoot: root))
        #expect(log.records.last?.context == nil)
    }

    @Test("names the parent's span, whether it is open, has ended, or is in another process", arguments: [false, true])
    func context(restores: Bool) throws {
        var log = Log()
        try log.receive(Events.fields(.scopeStart, Self.parent, at: 0))
        try log.receive(Events.fields(.scopeStart, Self.child, parent: Self.parent, at: 1))
        if restores { log = try log.restored() }
        try log.receive(Events.fields(.mark, Self.mark, parent: Self.child, at: 2))
        #expect(log.records.last?.context == Self.context(Self.parent, Self.child))
        try log.receive(Events.fields(.scopeEnd, Self.child, parent: Self.parent, at: 3))
        if restores { log = try log.restored() }
        try log.receive(Events.fields(.mark, Self.mark, parent: Self.child, at: 63))
        #expect(log.records.last?.context == Self.context(Self.parent, Self.child))
        try log.receive(Events.fields(.mark, Self.mark, parent: Self.child, at: 63.1))
        #expect(log.records.last?.context == nil)
        #expect(log.projector.diagnostics.entries["otel.completed_log_context_expired"]?.count == 1)
        try log.receive(Events.fields(.mark, Self.mark, parent: Events.uuid(9), at: 0, propagationRoot: Events.root))
        #expect(log.records.last?.context == Self.context(Events.root, Events.uuid(9)))
        #expect(log.attribute("session.instance_id") == .string(Events.root.description))
        for (parent, root) in [(nil, nil), (Events.uuid(9), nil), (Events.uuid(9), Events.uuid(9))] {
            try log.receive(Events.fields(.mark, Self.mark, parent: parent, propagationRoot: root))
            #expect(log.records.last?.context == nil)
            #expect(log.attribute("session.instance_id") == root.map { .string($0.description) })
        }
        try log.receive(Events.fields(.mark, Self.mark, parent: Self.parent), of: "another")
        #expect(log.records.last?.context == nil)
    }

    @Test(
        "finds the trace of the run when the parent comes later, which the reference does not",
        arguments: Compatibility.allCases)
    func late(_ compatibility: Compatibility) throws {
        var log = Log(LogConfiguration(minimumSeverity: .trace, compatibility: compatibility))
        try log.receive(Events.fields(.scopeStart, Self.parent), root: Self.parent)
        try log.receive(Events.fields(.mark, Self.mark, parent: Self.child), root: Self.parent)
        let found = compatibility == .skein ? Self.context(Self.parent, Self.child) : nil
        #expect(log.records.last?.context == found)
    }

    @Test(
        "names the trace of a root that came after its child, which the reference does not",
        arguments: Compatibility.allCases, [false, true])
    func rootLast(_ compatibility: Compatibility, _ restores: Bool) throws {
        var log = Log(LogConfiguration(minimumSeverity: .trace, compatibility: compatibility))
        let (grandchild, ended) = (Events.uuid(4), Events.uuid(5))
        for (scope, parent) in [(Self.child, Self.parent), (grandchild, Self.child), (ended, Self.child)] {
            try log.receive(Events.fields(.scopeStart, scope, parent: parent), root: Self.parent)
        }
        try log.receive(Events.fields(.scopeEnd, ended, parent: Self.child), root: Self.parent)
        if restores { log = try log.restored() }
        try log.receive(Events.fields(.scopeStart, Self.parent, parent: Events.uuid(8)), root: Self.parent)
        if restores { log = try log.restored() }
        for scope in [Self.child, grandchild, ended] {
            try log.receive(Events.fields(.mark, Self.mark, parent: scope), root: Self.parent)
            let trace = compatibility == .skein ? Self.parent : Self.child
            #expect(log.records.last?.context == Self.context(trace, scope))
        }
    }

    @Test("takes no second start of an open scope, which the reference does", arguments: Compatibility.allCases)
    func repeated(_ compatibility: Compatibility) throws {
        var log = Log(LogConfiguration(minimumSeverity: .trace, compatibility: compatibility))
        try log.receive(Events.fields(.scopeStart, Self.parent))
        try log.receive(Events.fields(.scopeStart, Self.child, parent: Self.parent))
        try log.receive(Events.fields(.scopeStart, Self.child))
        try log.receive(Events.fields(.mark, Self.mark, parent: Self.child))
        let trace = compatibility == .skein ? Self.parent : Self.child
        #expect(log.records.last?.context == Self.context(trace, Self.child))
    }

    @Test("forgets the oldest open scopes, beyond a number and after a time")
    func bounds() throws {
        var log = Log(LogConfiguration(minimumSeverity: .trace, maximumOpenScopes: 2, maximumAge: 100))
        for number in 1...3 {
            log.projector.advance(to: UInt64(number * 10))
            try log.receive(Events.fields(.scopeStart, Events.uuid(UInt64(number))))
        }
        log = try log.restored()
        func knows(_ number: UInt64) throws -> Bool {
            var log = log
            try log.receive(Events.fields(.mark, Self.mark, parent: Events.uuid(number)))
            return log.records.last?.context != nil
        }
        #expect(try [1, 2, 3].map { try knows($0) } == [false, true, true])
        #expect(log.projector.nextDeadline() == 120)
        log.projector.advance(to: 120)
        #expect(try [2, 3].map { try knows($0) } == [false, true])
        #expect(log.projector.openScopeCount == 1 && log.projector.nextDeadline() == 130)
    }

    @Test("notes the time of the log as that of observation")
    func observed() throws {
        var log = Log()
        log.projector.advance(to: 7)
        try log.receive(Events.fields(.mark, Self.mark, at: 1))
        #expect(log.records.first?.observedTime == 7)
        #expect(log.records.first?.time == Events.time(1).epochNanoseconds)
    }
}
