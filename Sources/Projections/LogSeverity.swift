internal import ATOF

/// The severities of OTLP that marks can have (`otel-projections.md` 5.1); the number is OTLP's.
package enum LogSeverity: Int32, Sendable, Hashable, CaseIterable {
    case trace = 1
    case debug = 5
    case info = 9
    case warn = 13
    case error = 17

    /// Reads a word, with white space around it and in any case; `warning` is `warn`.
    package init?(word: String) {
        switch word.trimmed.asciiLowercased {
        case "trace": self = .trace
        case "debug": self = .debug
        case "info": self = .info
        case "warn", "warning": self = .warn
        case "error": self = .error
        default: return nil
        }
    }

    /// As it stands in a record.
    package var text: String {
        switch self {
        case .trace: "TRACE"
        case .debug: "DEBUG"
        case .info: "INFO"
        case .warn: "WARN"
        case .error: "ERROR"
        }
    }
}

extension LogSeverity: Comparable {
    package static func < (left: LogSeverity, right: LogSeverity) -> Bool { left.rawValue < right.rawValue }
}
