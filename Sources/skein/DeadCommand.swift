internal import ATOF
internal import ArgumentParser
internal import Collector
internal import Foundation
internal import NATSTransport
internal import Stages

struct DeadCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dead", abstract: "Dead letters: what could not be processed or delivered.",
        discussion: """
            Examples:
              skein dead list --since 2h                     what was given up lately
              skein dead show 17                             its headers and events
              skein dead replay --reason too_large           the normal way again, and out of the letters
              skein dead purge --tenant acme --until 2026-01-01T00:00:00Z --yes
            """,
        subcommands: [ListLetters.self, ShowLetter.self, ReplayLetters.self, PurgeLetters.self])

    struct Selection: ParsableArguments {
        @Option(help: "Only of this stage: process, assemble, export-<name>, store-<name>.")
        var stage: String?

        @Option(help: "Only of this tenant; _ when the tenant could not be told.")
        var tenant: String?

        @Option(help: "Only with this reason; docs/dead-letters.md lists them.")
        var reason: String?

        @Option(help: "Only from this time on: RFC 3339, or how long ago, such as 30m, 2h, 7d.")
        var since: String?

        @Option(help: "Only before this time: RFC 3339, or how long ago.")
        var until: String?

        @Option(parsing: .unconditional, help: "So many at most, the oldest first.")
        var limit: Int?

        func validate() throws {
            try check("--stage", name: stage)
            try check("--tenant", name: tenant)
            try check("--reason", name: reason)
            if let limit, limit < 1 { throw ValidationError("--limit must be at least 1, is \(limit)") }
            let filter = try filter(now: Date())
            if let since = filter.since, let until = filter.until, since >= until {
                throw ValidationError(
                    "--since must be before --until: nothing lies between \(self.since ?? "") and \(self.until ?? "")")
            }
        }

        func filter(now: Date) throws -> DeadLetterFilter {
            DeadLetterFilter(
                stage: stage, tenant: tenant, reason: reason,
                since: try since.map { try Selection.time($0, option: "--since", now) },
                until: try until.map { try Selection.time($0, option: "--until", now) })
        }

        /// Nanoseconds since 1970 of an instant, or of one so long ago.
        static func time(_ text: String, option: String, _ now: Date) throws -> Int64 {
            if let instant = EventTime(rfc3339: text)?.epochNanoseconds { return Int64(clamping: instant) }
            let units: [Character: Double] = ["s": 1, "m": 60, "h": 3600, "d": 86_400]
            if let unit = text.last.flatMap({ units[$0] }), let count = UInt32(text.dropLast()) {
                return Int64((now.timeIntervalSince1970 - Double(count) * unit) * 1e9)
            }
            throw ValidationError(
                "\(option) is \"\(text)\", must be a time such as 2026-01-31T12:00:00Z or a duration such as 2h")
        }
    }
}

extension ConnectionOptions {
    /// Runs the body with the letters, and closes the connection after it.
    fileprivate func withLetters<Result>(_ body: (DeadLetterBox) async throws -> Result) async throws -> Result {
        try await with { connected in
            let jetStream = JetStream(connected)
            _ = try await jetStream.lastSequence(ofExisting: SkeinSubjects.deadStream)
            return try await body(DeadLetterBox(jetStream))
        }
    }
}

private func letters(_ count: Int) -> String { count == 1 ? "1 letter" : "\(count) letters" }

struct ListLetters: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "List dead letters, the oldest first.")

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var selection: DeadCommand.Selection

    @OptionGroup var report: ReportOptions

    func run() async throws {
        let filter = try selection.filter(now: Date())
        let limit = selection.limit ?? .max
        var count = 0
        let stored = try await connection.withLetters { box in
            try await box.forEach(filter) { letter in
                Terminal.out(try letter.line(report.format))
                count += 1
                return count < limit
            }
            return try await box.messages()
        }
        if count == 0, stored > 0 {
            Terminal.error("no letter matches; skein dead list without filters shows what is there")
        } else if report.format == .text {
            Terminal.error(letters(count))
        }
    }
}

struct ShowLetter: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Show a dead letter: its headers, and its events without their payloads.")

    @OptionGroup var connection: ConnectionOptions

    @Argument(help: "The letter's number, as skein dead list shows it.")
    var sequence: UInt64

    @Flag(help: "Print the body as it is, and nothing else; it may hold what agents said.")
    var raw = false

    @OptionGroup var report: ReportOptions

    func validate() throws {
        if sequence == 0 { throw ValidationError("letters are numbered from 1") }
    }

    func run() async throws {
        try await connection.withLetters { box in
            guard let letter = try await box.letter(at: sequence) else {
                throw CommandFailure("there is no dead letter \(sequence); skein dead list shows those there are")
            }
            if raw { return Terminal.raw(letter.body) }
            switch report.format {
            case .json: Terminal.out(try letter.line(.json))
            case .text:
                for (name, value) in letter.fields { Terminal.out("\(name): \(value)") }
                for line in letter.eventLines { Terminal.out(line) }
            }
        }
    }
}

struct ReplayLetters: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "replay", abstract: "Send dead letters the normal way again, and remove those that are stored.",
        discussion: """
            Letters of process go to EVENTS, those of another stage to that stage only. What is wrong with them still is, unless a
            limit was raised or a collector updated: then they come back as new letters.
            """)

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var selection: DeadCommand.Selection

    @Flag(help: "Leave the letters where they are.")
    var keep = false

    @OptionGroup var report: ReportOptions

    func run() async throws {
        let filter = try selection.filter(now: Date())
        let limit = selection.limit ?? .max
        let attempt = Int(Date().timeIntervalSince1970 * 1000)
        var (replayed, refused) = (0, 0)
        try await connection.withLetters { box in
            try await box.forEach(filter) { letter in
                if let complaint = try await box.replay(letter, attempt: attempt) {
                    Terminal.error("letter \(letter.sequence) is not replayed: \(complaint)")
                    refused += 1
                } else {
                    if !keep { try await box.remove(letter) }
                    replayed += 1
                }
                return replayed + refused < limit
            }
        }
        switch report.format {
        case .text: Terminal.out("replayed \(letters(replayed)), left \(refused)")
        case .json: Terminal.out("{\"replayed\":\(replayed),\"left\":\(refused)}")
        }
        if refused > 0 { throw CommandFailure("\(letters(refused)) cannot be replayed and stay where they are") }
    }
}

struct PurgeLetters: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "purge", abstract: "Remove dead letters for good.")

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var selection: DeadCommand.Selection

    @Flag(help: "Remove every letter.")
    var all = false

    @OptionGroup var consent: ConsentOptions

    @OptionGroup var report: ReportOptions

    func validate() throws {
        if try selection.filter(now: Date()).isEmpty != all {
            throw ValidationError(
                all
                    ? "--all takes no filter"
                    : "say which letters with --stage, --tenant, --reason, --since or --until, or --all")
        }
    }

    func run() async throws {
        let filter = try selection.filter(now: Date())
        let limit = selection.limit ?? .max
        var count = 0
        try await connection.withLetters { box in
            try await box.forEach(filter) { letter in
                if consent.yes { try await box.remove(letter) }
                count += 1
                return count < limit
            }
        }
        guard consent.yes else {
            throw UsageError("this removes \(letters(count)) for good; say --yes to do it")
        }
        switch report.format {
        case .text: Terminal.out("removed \(letters(count))")
        case .json: Terminal.out("{\"removed\":\(count)}")
        }
    }
}

extension StoredLetter {
    fileprivate var when: String { EventTime(epochNanoseconds: UInt64(clamping: time)).rfc3339 }

    fileprivate var fields: [(String, String)] {
        [
            ("letter", String(sequence)), ("time", when), ("stage", stage), ("tenant", tenant), ("reason", reason),
            ("error", error), ("stream", stream), ("subject", subject), ("position", position),
            ("content type", contentType),
            (
                "body",
                "\(body.count) bytes\(sequences.count > 1 ? " in \(sequences.count) parts" : "")\(isIncomplete ? ", not whole" : "")"
            ),
        ]
    }

    fileprivate func line(_ format: OutputFormat) throws -> String {
        switch format {
        case .text: return "\(sequence)  \(when)  \(stage)  \(tenant)  \(reason)  \(body.count) bytes  \(error)"
        case .json:
            struct Line: Encodable {
                let letter: UInt64
                let time, stage, tenant, reason, error, stream, subject, position, contentType: String
                let bytes: Int
                let isWhole: Bool
            }
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
            encoder.keyEncodingStrategy = .convertToSnakeCase
            let line = Line(
                letter: sequence, time: when, stage: stage, tenant: tenant, reason: reason, error: error,
                stream: stream, subject: subject, position: position, contentType: contentType, bytes: body.count,
                isWhole: !isIncomplete)
            return String(decoding: try encoder.encode(line), as: UTF8.self)
        }
    }

    /// What can be read of its events, without payloads.
    fileprivate var eventLines: [String] {
        guard SkeinHeaders.mediaType(contentType) == SkeinHeaders.protobuf, !isIncomplete,
            let batch = try? EventBatch(unpacking: body)
        else { return [] }
        return (0..<batch.count).map { index in
            do throws(EventError) {
                let event = try batch.event(at: index)
                return
                    "event \(index): \(event.kind) \(event.uuid) \(event.category?.raw ?? "-") \(event.timestamp.rfc3339) \(event.packed.count) bytes"
            } catch {
                return "event \(index): \(error.description)"
            }
        }
    }
}
