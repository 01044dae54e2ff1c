internal import ATOF

/// An event that is about to be published, as injectors, sanitizers and subscribers see it.
public struct AgentEvent: Sendable {
    /// What happened: a scope or call began or ended, or something was noted.
    public enum Kind: Sendable, Hashable {
        /// A scope or a call began.
        case scopeStart
        /// A scope or a call ended.
        case scopeEnd
        /// Something was noted.
        case mark
    }

    /// What an event sanitizer may replace: these three and nothing else.
    public struct Payloads: Sendable {
        /// The payload.
        public var data: JSON
        /// What belongs to the category; an object or null.
        public var categoryProfile: JSON
        /// What is said about the event; an object in most cases.
        public var metadata: JSON

        /// All three: what is left out is gone.
        public init(data: JSON = .null, categoryProfile: JSON = .null, metadata: JSON = .null) {
            self.data = data
            self.categoryProfile = categoryProfile
            self.metadata = metadata
        }
    }

    /// What happened.
    public let kind: Kind
    /// The scope's identity, the same on its start and end; a mark's own.
    public let uuid: EventUUID
    /// The scope that it belongs to.
    public let parentUUID: EventUUID?
    /// Of the scope, call or mark.
    public let name: String
    /// Nil on marks without one.
    public let category: String?
    /// Of scopes and calls; sorted.
    public let attributes: [String]
    /// As the sanitizers before have left them.
    public internal(set) var payloads: Payloads

    /// The payload.
    public var data: JSON { payloads.data }
    /// What belongs to the category.
    public var categoryProfile: JSON { payloads.categoryProfile }
    /// What is said about the event.
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
