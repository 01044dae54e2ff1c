import ATOF
import Foundation
import Testing

/// Recorded streams beside the tests.
enum Recording {
    static let recorded = files(in: "Recorded")
    static let malformed = files(in: "Malformed")

    private static func files(in folder: String) -> [URL] {
        let folder = Bundle.module.bundleURL.appendingPathComponent(folder)
        let files = try? FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
        return (files ?? []).filter { $0.pathExtension == "jsonl" }.sorted {
            $0.lastPathComponent < $1.lastPathComponent
        }
    }

    static func lines(of files: some Sequence<URL>) throws -> [[UInt8]] {
        try files.flatMap { try Data(contentsOf: $0).split(separator: UInt8(ascii: "\n")).map(Array.init) }
    }
}

@Suite("Recorded events")
struct RecordingTests {
    @Test("are there")
    func present() throws {
        #expect(Recording.recorded.count == 45)
        #expect(try Recording.lines(of: Recording.recorded).count == 594)
        #expect(Recording.malformed.count == 5)
    }

    @Test("come back from protobuf byte for byte", arguments: Recording.recorded)
    func lossless(file: URL) throws {
        for line in try Recording.lines(of: [file]) {
            let packed = try EventJSONDecoder.decode(line).packed()
            let event = try Wire.event(packed)
            let written = EventJSONEncoder.line(event)
            #expect(String(decoding: written, as: UTF8.self) == String(decoding: line, as: UTF8.self))
            #expect(event.repaired() == nil)
            // And the other way round: the same packed event from the line.
            #expect(try EventJSONDecoder.decode(written).packed() == packed)
        }
    }

    @Test(
        "survive when they are malformed, with nothing changed but the form of the time", arguments: Recording.malformed
    )
    func survival(file: URL) throws {
        for line in try Recording.lines(of: [file]) {
            let event = try EventJSONDecoderTests.event(line)
            var expected = try #require(try JSONParser.parse(line).objectValue)
            expected["timestamp"] = .string(event.timestamp.rfc3339)
            #expect(EventJSONEncoder.value(of: event) == .object(expected))
        }
    }
}
