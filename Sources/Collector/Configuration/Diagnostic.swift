/// A complaint about a configuration: what is wrong, where, and how to fix it, in one sentence.
package struct Diagnostic: Sendable, Hashable, CustomStringConvertible {
    package enum Level: String, Sendable {
        case warning
        case error
    }

    package let level: Level
    /// Stable, such as `observability.unknown_field`; NeMo Relay's own codes where it has one (`otel-projections.md` 7.4).
    package let code: String
    /// The key as a path, such as `components[0].config.opentelemetry.traces[1].endpoint`; with a file, as that file has it.
    package private(set) var field: String
    package let message: String
    /// The file that is to be mended; nil where there is none, or where the field names it.
    package var file: String?

    package init(_ level: Level, _ code: String, field: String, _ message: String) {
        self.level = level
        self.code = code
        self.field = field
        self.message = message
    }

    /// With the file that is to be mended, and the key as it is there.
    ///
    /// - Parameter document: that the complaint is about.
    func placed(in document: ConfigurationDocument) -> Diagnostic {
        var placed = self
        (placed.file, placed.field) = (document.file(of: field), document.place(of: field))
        return placed
    }

    package var description: String { "\(level.rawValue): \(sentence)" }

    /// Without its level, for where the level is told otherwise.
    package var sentence: String { "\(file.map { "\($0): " } ?? "")\(field): \(message) [\(code)]" }
}

/// What a policy of the plugins document makes of a complaint.
enum DiagnosticPolicy: String {
    case ignore
    case warn
    case error

    var level: Diagnostic.Level? {
        switch self {
        case .ignore: nil
        case .warn: .warning
        case .error: .error
        }
    }
}
