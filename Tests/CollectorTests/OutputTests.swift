import Foundation
import Testing

@Suite("Output of commands", .timeLimit(.minutes(1)))
struct OutputTests {
    /// Runs bash with `$1` the skein executable, and returns what `$2` holds afterwards.
    private static func shell(_ script: String) throws -> String {
        let directory = NSTemporaryDirectory() + "skein-output-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        try Run(number: 1, tenant: "acme", calls: 2).lines.joined(separator: "\n").write(
            toFile: directory + "/run.jsonl", atomically: true, encoding: .utf8)
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/bin/bash")
        process.arguments = ["-c", script, "bash", try SkeinProcess.executable(), "\(directory)/code"]
        process.currentDirectoryURL = URL(fileURLWithPath: directory)
        try process.run()
        process.waitUntilExit()
        return try String(contentsOfFile: directory + "/code", encoding: .utf8)
            .trimmingCharacters(in: .whitespacesAndNewlines)
    }

    @Test("that nobody reads any more ends the command quietly")
    func closedPipe() throws {
        // The reader is gone before anything is written.
        let code = try Self.shell(
            """
            mkfifo gone
            { read -r _ <gone; "$1" project run.jsonl --as openinference 2>errors; echo "$? $(wc -c <errors)" >"$2"; } | { exec <&-; echo >gone; }
            """)
        #expect(code == "0 0")
    }

    @Test("that cannot be written is an error, not a silence")
    func fullDisk() throws {
        let code = try Self.shell(
            #""$1" project run.jsonl --as openinference >/dev/full 2>errors; echo "$? $(cat errors)" >"$2""#)
        #expect(code.hasPrefix("1 error: standard output cannot be written"))
    }
}
