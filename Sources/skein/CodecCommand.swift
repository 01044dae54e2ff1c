internal import ArgumentParser
internal import Collector
internal import Foundation

struct CodecCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "codec", abstract: "Show the common form of provider requests and responses.")

    @Flag(
        help:
            "Read JSON Lines {id, kind, surface, input} from standard input, answer each with {id, output} or {id, error}."
    )
    var batch = false

    func run() async throws {
        let reader = try LineReader(path: "-")
        while let line = try reader.next() {
            Terminal.out(try OfflineCodec.answer(line: line))
        }
    }
}
