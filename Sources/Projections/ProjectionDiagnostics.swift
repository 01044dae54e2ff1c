/// What could not be projected as the producer wanted, by code (`otel-projections.md` 7.4).
package struct ProjectionDiagnostics: Sendable, Hashable {
    /// How often a code occurred and what was said.
    package struct Entry: Sendable, Hashable {
        package fileprivate(set) var count: UInt64
        /// The distinct messages, sorted, of which as many are kept as fit 1024 characters. Keys are named, values
        /// never.
        package fileprivate(set) var messages: [String]

        package var text: String { messages.joined(separator: "\n") }
    }

    static let maximumCodes = 32
    static let maximumText = 1024

    package private(set) var entries: [String: Entry] = [:]

    mutating func record(_ code: String, _ message: @autoclosure () -> String) {
        if entries[code] == nil {
            guard entries.count < ProjectionDiagnostics.maximumCodes else { return }
            entries[code] = Entry(count: 0, messages: [])
        }
        entries[code]?.count += 1
        entries[code]?.add(message())
    }
}

extension ProjectionDiagnostics.Entry {
    fileprivate mutating func add(_ message: String) {
        if messages.contains(message) { return }
        var message = message
        if message.count > ProjectionDiagnostics.maximumText {
            message = message.prefix(ProjectionDiagnostics.maximumText - 1) + "…"
        }
        guard messages.reduce(message.count, { $0 + $1.count + 1 }) <= ProjectionDiagnostics.maximumText else { return }
        messages.insert(message, at: messages.firstIndex { $0 > message } ?? messages.endIndex)
    }
}

/// What a projector turned away or lost, by reason.
package struct ProjectionCounters: Sendable, Hashable {
    /// Ends of scopes that are not open: ended before, or never started here.
    package internal(set) var unmatchedEnds: UInt64 = 0
    /// Ends of scopes that were exported as abandoned.
    package internal(set) var lateEnds: UInt64 = 0
    /// Starts of scopes that are open already.
    package internal(set) var duplicateStarts: UInt64 = 0
    /// Events before 1970 or beyond OTLP's 64 bits of nanoseconds.
    package internal(set) var timestampsOutOfRange: UInt64 = 0
    /// Ends whose `otel.status_code` is a text outside OK, ERROR and UNSET.
    package internal(set) var unknownStatusCodes: UInt64 = 0
    /// Span events beyond 128 a span.
    package internal(set) var droppedSpanEvents: UInt64 = 0
    /// Spans that were exported although their scopes did not end.
    package internal(set) var abandoned: [AbandonReason: UInt64] = [:]
    /// Payloads that were dropped because too many bytes were held.
    package internal(set) var unloaded: UInt64 = 0
    /// Starts, ends and span events that were not held and could not be read again.
    package internal(set) var unreadableReferences: UInt64 = 0

    package init() {}
}
