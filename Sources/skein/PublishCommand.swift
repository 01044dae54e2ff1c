internal import ArgumentParser
internal import Collector
internal import Foundation
internal import NATSTransport
internal import Stages

struct PublishCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "publish", abstract: "Publish ATOF JSON Lines to the bus as protobuf.",
        discussion: """
            Example: skein publish run.jsonl --tenant acme

            Events of one run go to one key, in order. Lines that are no events are named and left out; the exit code is 1 then.
            """)

    @OptionGroup var connection: ConnectionOptions

    @Argument(help: "Files with one ATOF event a line; - is standard input.")
    var files: [String]

    @Option(help: "Tenant that the events belong to: a-z, 0-9, _ and -.")
    var tenant = "default"

    @Option(parsing: .unconditional, help: "Events in a message, at most.")
    var batch = 64

    @Option(
        help: "Bytes of an event, at most; what is larger than a message of the server goes in chunks.")
    var maxEventBytes = 64 << 20

    @Option(help: "Form of the summary: text or json.")
    var format = OutputFormat.text

    func validate() throws {
        guard batch >= 1, batch <= 10_000 else {
            throw ValidationError("--batch must be between 1 and 10000, is \(batch)")
        }
        guard maxEventBytes >= 1024, maxEventBytes <= 1 << 30 else {
            throw ValidationError("--max-event-bytes must be between 1024 and 1073741824, is \(maxEventBytes)")
        }
        try check(tenant: tenant)
        if files.isEmpty { throw ValidationError("name at least one file of ATOF JSON Lines") }
    }

    func run() async throws {
        let lines = try files.map { ($0, try LineReader(path: $0)) }
        let connected = try await connection.connect()
        let jetStream = JetStream(connected)
        let summary: EventPublisher.Summary
        do {
            _ = try await jetStream.lastSequence(ofExisting: SkeinSubjects.eventsStream)
            summary = try await publish(
                lines,
                EventPublisher(
                    jetStream, tenant: tenant, batch: batch, maximumEventBytes: maxEventBytes))
        } catch {
            await connected.close()
            throw error
        }
        await connected.close()
        switch format {
        case .text:
            Terminal.out(
                "published \(summary.events) events in \(summary.messages) messages, refused \(summary.refused) lines")
        case .json:
            Terminal.out(
                "{\"events\":\(summary.events),\"messages\":\(summary.messages),\"refused\":\(summary.refused)}")
        }
        if summary.refused > 0 {
            throw CommandFailure("\(summary.refused) lines were not published")
        }
    }

    private func publish(_ lines: [(String, LineReader)], _ publisher: EventPublisher) async throws
        -> EventPublisher.Summary
    {
        for (path, reader) in lines {
            while let line = try reader.next() {
                if let complaint = try await publisher.add(line: line) {
                    Terminal.error("\(path):\(reader.number): \(complaint)")
                }
                if reader.number % 1000 == 0 { Terminal.progress("\(path): \(reader.number) lines") }
            }
        }
        Terminal.endProgress()
        return try await publisher.finish()
    }
}

/// Reads a file line by line without holding all of it.
final class LineReader {
    private let handle: FileHandle
    private var buffer: [UInt8] = []
    private var start = 0
    private var isAtEnd = false
    /// Of the line that `next` returned last, counted from 1 with blank lines.
    private(set) var number = 0

    init(path: String) throws {
        if path == "-" {
            handle = .standardInput
            return
        }
        var isDirectory: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) else {
            throw UsageError("the file \(path) does not exist; name a file of ATOF JSON Lines")
        }
        guard !isDirectory.boolValue, let opened = FileHandle(forReadingAtPath: path) else {
            throw UsageError("\(path) cannot be read as a file; name a readable file of ATOF JSON Lines")
        }
        handle = opened
    }

    /// The next line without its line feed; blank lines are left out.
    func next() throws -> [UInt8]? {
        while true {
            if let end = buffer[start...].firstIndex(of: UInt8(ascii: "\n")) {
                defer { start = end + 1 }
                number += 1
                if let line = LineReader.content(buffer[start..<end]) { return line }
            } else if isAtEnd {
                if start == buffer.count { return nil }
                defer { start = buffer.count }
                number += 1
                return LineReader.content(buffer[start...])
            } else {
                buffer.removeFirst(start)
                start = 0
                if let more = try handle.read(upToCount: 1 << 20), !more.isEmpty {
                    buffer += more
                } else {
                    isAtEnd = true
                }
            }
        }
    }

    private static func content(_ line: ArraySlice<UInt8>) -> [UInt8]? {
        line.allSatisfy { $0 == 0x20 || $0 == 0x09 || $0 == 0x0D } ? nil : Array(line)
    }
}
