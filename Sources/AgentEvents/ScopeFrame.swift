package import ATOF

/// A scope on a stack, and through `outer` the whole stack below it (`middleware-guardrails-pii.md` 1.1).
///
/// Nothing of a frame changes, so a stack is a value: pushing makes a new top, popping is to go on with the frame below. A task that
/// keeps a frame keeps the stack as it was.
package final class ScopeFrame: Sendable {
    package enum Origin: Sendable, Hashable {
        /// The bottom: a parent that is never published.
        case implicit
        /// Stands for a scope of another process; never published here.
        case propagated
        /// Published by this process.
        case explicit
    }

    package let uuid: EventUUID
    package let parentUUID: EventUUID?
    package let name: String
    package let category: String
    /// Sorted, each once.
    package let attributes: [String]
    package let metadata: JSON
    package let startedAt: EventTime
    package let origin: Origin
    package let outer: ScopeFrame?

    /// The root that came from another process.
    private let importedRoot: EventUUID?
    /// The outermost agent that this process opened.
    private let agentRoot: EventUUID?
    /// What events outside of any agent name as their root; nil below an import that names none.
    private let bareRoot: EventUUID?

    /// `propagation_root_uuid` of events below this frame and of the frame's own.
    package var propagationRoot: EventUUID? { importedRoot ?? agentRoot ?? bareRoot }

    /// The run of the other process, where it named one.
    private let importedRun: EventUUID?

    /// The root of the run as the collectors resolve it: what all events of a run have in common, in whichever order they come.
    package let run: EventUUID
    /// The root of a W3C trace: the imported one, else the first scope of this process (1.3); nil at the bottom.
    package let traceRoot: EventUUID?

    package var isAgent: Bool { category == "agent" }

    private init(
        uuid: EventUUID, parentUUID: EventUUID?, name: String, category: String, attributes: [String], metadata: JSON,
        startedAt: EventTime, origin: Origin, outer: ScopeFrame?, importedRoot: EventUUID?, agentRoot: EventUUID?,
        bareRoot: EventUUID?, importedRun: EventUUID? = nil, run: EventUUID, traceRoot: EventUUID?
    ) {
        self.uuid = uuid
        self.parentUUID = parentUUID
        self.name = name
        self.category = category
        self.attributes = attributes
        self.metadata = metadata
        self.startedAt = startedAt
        self.origin = origin
        self.outer = outer
        self.importedRoot = importedRoot
        self.agentRoot = agentRoot
        self.bareRoot = bareRoot
        self.importedRun = importedRun
        self.run = run
        self.traceRoot = traceRoot
    }

    /// A stack with nothing on it.
    package static func root(uuid: EventUUID, at time: EventTime) -> ScopeFrame {
        ScopeFrame(
            uuid: uuid, parentUUID: nil, name: "root", category: "agent", attributes: [], metadata: .null,
            startedAt: time, origin: .implicit, outer: nil, importedRoot: nil, agentRoot: nil, bareRoot: uuid,
            run: uuid, traceRoot: nil)
    }

    /// The stack that goes on below a scope of another process.
    package static func importing(_ context: PropagationContext, at time: EventTime) -> ScopeFrame {
        let (root, run) = (context.rootUUID, context.runUUID)
        let bottom = ScopeFrame(
            uuid: root ?? context.parentUUID, parentUUID: nil, name: root == nil ? "root" : "propagated-root",
            category: "agent", attributes: [], metadata: .null, startedAt: time,
            origin: root == nil ? .implicit : .propagated, outer: nil, importedRoot: root, agentRoot: nil,
            bareRoot: nil, importedRun: run, run: run ?? root ?? context.parentUUID, traceRoot: root)
        guard let root, root != context.parentUUID else { return bottom }
        return ScopeFrame(
            uuid: context.parentUUID, parentUUID: root, name: "propagated-parent", category: "unknown", attributes: [],
            metadata: .null, startedAt: time, origin: .propagated, outer: bottom, importedRoot: root, agentRoot: nil,
            bareRoot: nil, importedRun: run, run: run ?? root, traceRoot: root)
    }

    /// The stack with a scope on top.
    package func pushing(
        uuid: EventUUID, name: String, category: String, attributes: [String] = [], metadata: JSON = .null,
        at time: EventTime
    ) -> ScopeFrame {
        let agentRoot = agentRoot ?? (category == "agent" ? uuid : nil)
        let propagated = importedRoot ?? agentRoot ?? bareRoot
        return ScopeFrame(
            uuid: uuid, parentUUID: self.uuid, name: name, category: category,
            attributes: ScopeFrame.ordered(attributes), metadata: metadata, startedAt: time, origin: .explicit,
            outer: self, importedRoot: importedRoot, agentRoot: agentRoot, bareRoot: bareRoot,
            run: importedRun ?? (origin == .explicit ? run : propagated ?? self.uuid), traceRoot: traceRoot ?? uuid)
    }

    /// Attribute words sorted, each once.
    static func ordered(_ attributes: [String]) -> [String] {
        attributes.count < 2 ? attributes : Set(attributes).sorted()
    }

    /// The explicit agents from here outwards, the innermost first.
    package var agents: some Sequence<ScopeFrame> {
        sequence(first: self, next: \.outer).lazy.filter { $0.isAgent && $0.origin == .explicit }
    }

    /// The name of the innermost explicit agent.
    package var agentName: String? { agents.first { _ in true }?.name }

    // MARK: Events

    package func startEvent(input: JSON) -> EventFields {
        var fields = scopeEvent(.scopeStart, at: startedAt)
        fields.data = input.bytes
        fields.metadata = metadata.bytes
        return fields
    }

    /// - Parameters:
    ///   - metadata: the whole: what the frame has, merged with how it went.
    ///   - now: the end is at least a microsecond behind the start.
    package func endEvent(output: JSON, metadata: JSON, at now: EventTime) -> EventFields {
        var fields = scopeEvent(.scopeEnd, at: now.endTime(after: startedAt))
        fields.data = output.bytes
        fields.metadata = metadata.bytes
        return fields
    }

    private func scopeEvent(_ kind: Event.Kind, at time: EventTime) -> EventFields {
        var fields = EventFields(kind: kind, uuid: uuid, timestamp: time, name: name)
        fields.parentUUID = parentUUID
        fields.category = category
        fields.attributes = attributes
        fields.propagationRootUUID = propagationRoot
        return fields
    }

    /// A mark whose parent is this scope.
    package func mark(
        _ name: String, uuid: EventUUID, data: JSON = .null, metadata: JSON = .null,
        schema: EventSchema? = nil, at time: EventTime
    ) -> EventFields {
        var fields = EventFields(kind: .mark, uuid: uuid, timestamp: time, name: name)
        fields.parentUUID = self.uuid
        fields.data = data.bytes
        fields.metadata = metadata.bytes
        fields.dataSchema = schema.map { Event.DataSchema(name: $0.name, version: $0.version) }
        fields.propagationRootUUID = propagationRoot
        return fields
    }
}

extension EventTime {
    /// The time of an end: `max(now, start + 1 µs)`.
    func endTime(after start: EventTime) -> EventTime { max(self, start.adding(microseconds: 1)) }

    func adding(microseconds: Int) -> EventTime {
        let nanoseconds = Int64(self.nanoseconds) + Int64(microseconds) * 1000
        let (carry, rest) = nanoseconds.quotientAndRemainder(dividingBy: 1_000_000_000)
        return EventTime(seconds: seconds + carry, nanoseconds: UInt32(rest)) ?? self
    }
}
