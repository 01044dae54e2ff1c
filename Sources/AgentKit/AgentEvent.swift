internal import ATOF

/// An event that is about to be published, as injectors, sanitizers and subscribers see it.
public struct AgentEvent: Sendable {
    public enum Kind: Sendable, Hashable {
        case scopeStart, scopeEnd, mark
    }

    /// What an event sanitizer may replace: these three and nothing else.
    public struct Payloads: Sendable {
        public var data: JSON
        public var categoryProfile: JSON
        public var metadata: JSON
    }

    public let kind: Kind
    public let uuid: EventUUID
    public let parentUUID: EventUUID?
    public let name: String
    /// Nil on marks without one.
    public let category: String?
    public let attributes: [String]
    public internal(set) var payloads: Payloads

    public var data: JSON { payloads.data }
    public var categoryProfile: JSON { payloads.categoryProfile }
    public var metadata: JSON { payloads.metadata }

    init(_ fields: EventFields) {
        kind =
            switch fields.kind {
            case .scopeStart: .scopeStart
            case .scopeEnd: .scopeEnd
            case .mark: .mark
            }
        uuid = fields.uuid
        parentUUID = fields.parentUUID
        name = fields.name
        category = fields.category
        attributes = fields.attributes
        payloads = Payloads(
            data: .encoded(fields.data), categoryProfile: .encoded(fields.categoryProfile),
            metadata: .encoded(fields.metadata))
    }
}
