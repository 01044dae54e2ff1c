public import ATOF

/// Who the caller is, as it crosses processes (`middleware-guardrails-pii.md` 1.3): only identity, no registrations.
public struct PropagationContext: Sendable, Hashable {
    /// The run's root; nil when the run has none that this process knows.
    public let rootUUID: EventUUID?
    /// The managed call under way, else the innermost scope.
    public let parentUUID: EventUUID
    /// What the events of the run are published under, where that is another than the root: an agent below a scope that is none names
    /// itself as the root. Nil in what other programs than Skein's write.
    public let runUUID: EventUUID?

    /// - Throws: `AgentKitError` when a UUID could not become the identity of a span: it is zero, or its last eight bytes are.
    public init(rootUUID: EventUUID?, parentUUID: EventUUID, runUUID: EventUUID? = nil) throws(AgentKitError) {
        for (name, uuid) in [("root_uuid", rootUUID), ("parent_uuid", parentUUID)] where uuid?.low == 0 {
            throw AgentKitError(.invalidArgument, "\(name) must not end with eight zero bytes: they become a span's id")
        }
        self.rootUUID = rootUUID
        self.parentUUID = parentUUID
        self.runUUID = runUUID
    }

    package init(root: EventUUID?, parent: EventUUID, run: EventUUID) {
        rootUUID = root
        parentUUID = parent
        runUUID = run == root ?? parent ? nil : run
    }

    /// `{"version":1,"root_uuid":…,"parent_uuid":…,"run_uuid":…}`; what is nil is left out.
    public var json: String {
        let root = rootUUID.map { #""root_uuid":"\#($0)","# } ?? ""
        let run = runUUID.map { #","run_uuid":"\#($0)""# } ?? ""
        return #"{"version":1,\#(root)"parent_uuid":"\#(parentUUID)"\#(run)}"#
    }

    /// Reads what `json` wrote.
    ///
    /// - Throws: `AgentKitError` that names the member.
    public init(json: String) throws(AgentKitError) {
        let value: JSONValue
        do throws(JSONRefusal) { value = try JSONParser.parse(json) } catch {
            throw AgentKitError(.invalidArgument, "the propagation context is no JSON (\(error))")
        }
        guard value["version"]?.uint64Value == 1 else {
            throw AgentKitError(.invalidArgument, "version of the propagation context must be 1")
        }
        guard let parent = value["parent_uuid"]?.stringValue.flatMap(EventUUID.init(_:)) else {
            throw AgentKitError(.invalidArgument, "parent_uuid of the propagation context must be a UUID")
        }
        func uuid(_ name: String) throws(AgentKitError) -> EventUUID? {
            guard let member = value[name]?.nonNull else { return nil }
            guard let uuid = member.stringValue.flatMap(EventUUID.init(_:)) else {
                throw AgentKitError(.invalidArgument, "\(name) of the propagation context must be a UUID")
            }
            return uuid
        }
        try self.init(rootUUID: try uuid("root_uuid"), parentUUID: parent, runUUID: try uuid("run_uuid"))
    }

    // MARK: W3C

    /// The value of the header `traceparent`.
    ///
    /// - Throws: `AgentKitError` when the context has no root.
    public func traceparent() throws(AgentKitError) -> String {
        guard let rootUUID else {
            throw AgentKitError(.invalidArgument, "a propagation context without a root has no traceparent")
        }
        return PropagationContext.traceparent(root: rootUUID, span: parentUUID)
    }

    package static func traceparent(root: EventUUID, span: EventUUID) -> String {
        let trace = root.description.split(separator: "-").joined()
        let hex = String(span.low, radix: 16)
        return "00-\(trace)-\(String(repeating: "0", count: 16 - hex.count))\(hex)-01"
    }

    /// What a request says that carries no more than `traceparent`: its trace is the root. A span's eight bytes are no UUID, so the root
    /// is the parent too.
    ///
    /// - Throws: `AgentKitError` for what is no header of version 00.
    public init(traceparent: String) throws(AgentKitError) {
        let parts = traceparent.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 4, parts[0] == "00", parts[1].count == 32, parts[2].count == 16, parts[3].count == 2,
            let trace = EventUUID(String(parts[1])), UInt64(parts[2], radix: 16) != nil
        else { throw AgentKitError(.invalidArgument, "traceparent must be 00-<32 hex>-<16 hex>-<2 hex>") }
        try self.init(rootUUID: trace, parentUUID: trace)
    }

    // MARK: Headers

    /// The name of the header that has the whole context.
    public static let headerName = "Skein-Context"

    /// What a message to another agent carries: the context, and `traceparent` for those who know no other.
    public var headers: [(name: String, value: String)] {
        var headers = [(name: PropagationContext.headerName, value: json)]
        if let rootUUID {
            headers.append(
                (name: "traceparent", value: PropagationContext.traceparent(root: rootUUID, span: parentUUID)))
        }
        return headers
    }

    /// Reads the headers of a request; names in any case.
    ///
    /// - Returns: nil when there is none of the two.
    /// - Throws: `AgentKitError` for one that cannot be read.
    public init?(headers: some Sequence<(name: String, value: String)>) throws(AgentKitError) {
        var context: String?
        var traceparent: String?
        for header in headers {
            switch header.name.asciiLowercased {
            case "skein-context": context = context ?? header.value
            case "traceparent": traceparent = traceparent ?? header.value
            default: break
            }
        }
        if let context {
            try self.init(json: context)
        } else if let traceparent {
            try self.init(traceparent: traceparent)
        } else {
            return nil
        }
    }
}
