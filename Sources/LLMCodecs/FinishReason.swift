package import ATOF

/// Why a model stopped (`codecs-and-pricing.md` 2.1, finish reasons).
package enum FinishReason: Sendable, Hashable {
    case complete
    case length
    case toolUse
    case contentFilter
    /// The provider's own word.
    case unknown(String)

    package var json: JSONValue {
        switch self {
        case .complete: "complete"
        case .length: "length"
        case .toolUse: "tool_use"
        case .contentFilter: "content_filter"
        case .unknown(let word): ["unknown": .string(word)]
        }
    }

    /// Reads the form that annotations have.
    init?(_ value: JSONValue) {
        switch value {
        case "complete": self = .complete
        case "length": self = .length
        case "tool_use": self = .toolUse
        case "content_filter": self = .contentFilter
        default:
            guard let object = value.objectValue, object.count == 1, let word = object["unknown"]?.stringValue else {
                return nil
            }
            self = .unknown(word)
        }
    }
}
