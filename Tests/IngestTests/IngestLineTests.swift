import ATOF
import Foundation
import Ingest
import Testing

@Suite("Lines of producers")
struct IngestLineTests {
    private static func mark(_ metadata: String = "null", name: String = "m") -> String {
        """
        {"atof_version":"0.1","kind":"mark","uuid":"0190f6a0-0000-7000-8000-000000000001","parent_uuid":null,\
        "timestamp":"2026-01-01T00:00:00Z","name":"\(name)","metadata":\(metadata)}
        """
    }

    private static func metadata(of line: String) throws -> String {
        guard case .event(let fields, _) = IngestLine(Array(line.utf8)) else { return "no event" }
        var writer = EventBatchWriter()
        writer.append(packed: fields.packed())
        let event = try EventBatch(unpacking: writer.bytes).event(at: 0)
        return event.metadata.map { $0.withBytes { String(decoding: $0, as: UTF8.self) } } ?? "null"
    }

    @Test("the doctor's probe is no event, white space is nothing, and what is wrong is said without the payload")
    func kinds() {
        let probe = IngestLineTests.mark("{\"source\":\"nemo-relay doctor\"}", name: IngestLine.probeName)
        if case .probe = IngestLine(Array(probe.utf8)) {} else { Issue.record("no probe") }
        if case .blank = IngestLine(Array(" \t\r".utf8)) {} else { Issue.record("not blank") }
        guard case .invalid(let error) = IngestLine(Array("{\"kind\":\"secret\"}".utf8)) else {
            Issue.record("not invalid")
            return
        }
        #expect(!error.description.contains("secret"))
    }

    private static func kinds(ofDocument text: String) -> [String] {
        ReadLine.document(Array(text.utf8), maximumLineBytes: 1000).map { line in
            switch line {
            case .read(_, .event(let fields, _)): fields.name
            case .read(_, .probe): "probe"
            case .read(_, .blank): "blank"
            case .read(_, .invalid): "invalid"
            case .tooLong: "too long"
            }
        }
    }

    @Test("a document is one event, or lines of which one at least is an event, or one thing that is none")
    func documents() {
        let mark = IngestLineTests.mark()
        #expect(IngestLineTests.kinds(ofDocument: mark) == ["m"])
        #expect(IngestLineTests.kinds(ofDocument: mark.replacingOccurrences(of: ",", with: ",\n")) == ["m"])
        #expect(IngestLineTests.kinds(ofDocument: "\(mark)\nno\n\n\(mark)") == ["m", "invalid", "blank", "m"])
        #expect(
            IngestLineTests.kinds(ofDocument: "\(mark)\n\(String(repeating: "x", count: 1001))") == ["m", "too long"])
        #expect(IngestLineTests.kinds(ofDocument: "{\n\"a\":\n1}") == ["invalid"])
        #expect(IngestLineTests.kinds(ofDocument: "no") == ["invalid"])
        #expect(IngestLineTests.kinds(ofDocument: "") == ["blank"])
    }

    /// `atif-trajectories.md` 7: what `replace_dots` makes of the reference's keys.
    static let restored: [(before: String, after: String)] = [
        (#"{"otel_status_code":"OK"}"#, #"{"otel.status_code":"OK"}"#),
        (
            #"{"a":1.0, "otel_status_code":"ERROR","otel_status_description":"no","error_type":"timeout","exception_type":"E"}"#,
            #"{"a":1.0,"otel.status_code":"ERROR","otel.status_description":"no","error.type":"timeout","exception.type":"E"}"#
        ),
        (#"{"nemo_relay_log_severity":"warn"}"#, #"{"nemo_relay.log.severity":"warn"}"#),
        // Somebody's own key.
        (#"{"error_type":"mine"}"#, #"{"error_type":"mine"}"#),
        // Who sends a dot has replaced none.
        (#"{"otel.status_code":"OK","otel_status_code":"x"}"#, #"{"otel.status_code":"OK","otel_status_code":"x"}"#),
        (#"{"otel_status_code":"x","b.c":1}"#, #"{"otel_status_code":"x","b.c":1}"#),
        // Only keys, and only at the top.
        (#"{"note":"otel_status_code"}"#, #"{"note":"otel_status_code"}"#),
        (#"{"n":{"otel_status_code":"x"}}"#, #"{"n":{"otel_status_code":"x"}}"#),
        (#"["otel_status_code"]"#, #"["otel_status_code"]"#),
        (
            #"{"big":18446744073709551616,"otel_status_code":"OK"}"#,
            #"{"big":18446744073709551616,"otel.status_code":"OK"}"#
        ),
    ]

    @Test("get back the dots that replace_dots has taken", arguments: restored)
    func dots(_ before: String, _ after: String) throws {
        #expect(try IngestLineTests.metadata(of: IngestLineTests.mark(before)) == after)
    }
}
