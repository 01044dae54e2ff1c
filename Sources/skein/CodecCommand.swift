internal import ATOF
internal import ArgumentParser
internal import Collector
internal import Foundation

struct CodecCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "codec", abstract: "Show the normalised form of a provider's request or response.",
        discussion: """
            Examples:
              skein codec request body.json
              skein codec request - --name anthropic
              skein codec response body.json --surface openai_chat
              skein codec --batch < fixtures.jsonl

            The surface is recognised by the shape of the body when none is named. It is one of
            \(OfflineCodec.surfaces.joined(separator: ", ")).
            SKEIN_COMPATIBILITY=strict reads bodies and streams as the reference does.
            """)

    @Argument(help: "request or response.")
    var direction: OfflineCodec.Direction?

    @Argument(help: "File with the provider's JSON body, or the data of an LLM start event; - is standard input.")
    var file: String?

    @Option(help: "The provider interface that the body belongs to.")
    var surface: String?

    @Option(help: "Name of the event that had the request; anthropic and oci hint at their surfaces.")
    var name: String?

    @Flag(help: "Answer each JSON line {id, kind, surface, input} of standard input with {id, output} or {id, error}.")
    var batch = false

    func validate() throws {
        if batch {
            guard direction == nil, surface == nil, name == nil else {
                throw ValidationError("--batch takes everything from the lines of standard input; leave out the rest")
            }
            return
        }
        guard let direction, file != nil else {
            throw ValidationError("name what to show, as in: skein codec request body.json, or use --batch")
        }
        if let surface, !OfflineCodec.surfaces.contains(surface) {
            throw ValidationError(
                "--surface is \"\(surface)\", must be one of \(OfflineCodec.surfaces.joined(separator: ", "))")
        }
        if name != nil, direction == .response { throw ValidationError("--name goes with request only") }
    }

    func run() async throws {
        guard let direction, let file else { return try answerLines() }
        let text = try CodecCommand.contents(of: file)
        let source = file == "-" ? "standard input" : file
        do {
            Terminal.out(
                try OfflineCodec.normalize(
                    direction, text: text, surface: surface, name: name ?? "", try CodecCommand.compatibility()))
        } catch let error as OfflineCodec.NotJSON {
            throw UsageError("\(source) \(error)")
        } catch let error as CollectorError {
            throw CommandFailure("\(source) \(error)")
        }
    }

    /// The environment says it as for all commands; there is no configuration to say it here.
    private static func compatibility() throws -> Compatibility {
        guard let word = Compatibility.word(of: ProcessInfo.processInfo.environment) else { return .skein }
        guard let compatibility = Compatibility(rawValue: word) else {
            throw UsageError("SKEIN_COMPATIBILITY is \"\(word)\", must be skein or strict")
        }
        return compatibility
    }

    private static func contents(of path: String) throws -> [UInt8] {
        if path == "-" { return Array(try FileHandle.standardInput.readToEnd() ?? Data()) }
        var isDirectory: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) else {
            throw UsageError("the file \(path) does not exist; name a file with one JSON body")
        }
        guard !isDirectory.boolValue, let data = FileManager.default.contents(atPath: path) else {
            throw UsageError("\(path) cannot be read as a file; name a readable file with one JSON body")
        }
        return Array(data)
    }

    /// Lines that are no requests are named and left out; the others are answered.
    private func answerLines() throws {
        let compatibility = try CodecCommand.compatibility()
        let reader = try LineReader(path: "-")
        var refused = 0
        while let line = try reader.next() {
            do {
                Terminal.out(try OfflineCodec.answer(line: line, compatibility))
            } catch let error as CollectorError {
                refused += 1
                Terminal.error("line \(reader.number) \(error)")
            }
        }
        if refused > 0 { throw CommandFailure("\(refused) of \(reader.number) lines could not be answered") }
    }
}

extension OfflineCodec.Direction: ExpressibleByArgument {}
