import ATOF
import Collector
import Foundation
import HTTPTestServer
import HTTPTransport
import NATSTransport
import Stages
import Testing

@Suite("S3 stores", .timeLimit(.minutes(1)))
struct S3StoreTests {
    private static let credentials = AWSSignature.Credentials(
        accessKeyID: "AKIDEXAMPLE", secretAccessKey: "secret", sessionToken: "token")

    private static func store(_ sink: DocumentSink) -> CollectorConfiguration.Store {
        var store = CollectorConfiguration.Store(
            name: "s3", field: "storage[0]",
            destination: .s3(
                .init(
                    endpoint: sink.server.url, bucket: "runs", region: "eu-central-1", credentials: credentials)))
        if case .s3(var s3) = store.destination {
            s3.keyPrefix = "team a/"
            store.destination = .s3(s3)
        }
        store.initialBackoff = .milliseconds(20)
        return store
    }

    /// Whether the request is signed with the secret: the parts that were sent, signed again.
    private static func isSigned(_ request: HTTPTestServer.Request, port: UInt16) -> Bool {
        guard let time = request.headers["x-amz-date"], let type = request.headers["content-type"] else { return false }
        let formatter = DateFormatter()
        formatter.locale = Locale(identifier: "en_US_POSIX")
        formatter.timeZone = TimeZone(secondsFromGMT: 0)
        formatter.dateFormat = "yyyyMMdd'T'HHmmss'Z'"
        guard let date = formatter.date(from: time) else { return false }
        var again = HTTPRequest(
            method: request.method, url: "http://127.0.0.1:\(port)\(request.path)", headers: [("content-type", type)],
            body: request.body)
        AWSSignature.sign(
            &again, region: "eu-central-1", credentials: credentials, unixTime: Int(date.timeIntervalSince1970))
        return again.headers.allSatisfy { request.headers[$0.name.lowercased()] == $0.value }
    }

    private static func failure(_ status: Int, _ code: String) -> HTTPTestServer.Reply {
        .init(
            status, headers: ["Content-Type": "application/xml"],
            body: Array("<Error><Code>\(code)</Code><Message>words</Message></Error>".utf8))
    }

    @Test("get each document under its key, signed, and again while it is the credentials or the time that are wrong")
    func delivery() async throws {
        try await Rig.with { rig in
            let sink = DocumentSink { _ in Self.failure(403, "SignatureDoesNotMatch") }
            defer { sink.server.stop() }
            let run = Run(number: 1, tenant: "acme", calls: 2)
            let log = LogLines()
            try await rig.collecting(try rig.storing(Self.store(sink)), log: log) { collector in
                try await rig.publish(run, run.lines)
                try await eventually("it is refused") { collector.metrics.total("skein_store_failures_total") > 1 }
                sink.answer { _ in Self.failure(400, "ExpiredToken") }
                let failures = collector.metrics.total("skein_store_failures_total")
                try await eventually("it is refused again") {
                    collector.metrics.total("skein_store_failures_total") > failures + 1
                }
                sink.answer { _ in .init(200) }
                try await rig.catchUp(collector)
            }
            #expect(try await rig.letters().isEmpty)
            #expect(log.all.contains { $0.contains("status 403: SignatureDoesNotMatch: words") })
            let request = try #require(sink.taken.first)
            #expect(sink.taken.count == 1 && request.method == "PUT")
            #expect(request.path == "/runs/team%20a/nemo-relay-atif-\(run.id).json")
            #expect(request.body == (try await rig.document(of: run)))
            #expect(sink.server.requests.allSatisfy { Self.isSigned($0, port: sink.server.port) })
            #expect(!log.all.contains { $0.contains("secret") || $0.contains("token\"") })
        }
    }

    @Test("that find a document itself wrong leave a dead letter")
    func refused() async throws {
        try await Rig.with { rig in
            let sink = DocumentSink { _ in Self.failure(400, "EntityTooLarge") }
            defer { sink.server.stop() }
            let run = Run(number: 1, tenant: "acme", calls: 2)
            try await rig.collecting(try rig.storing(Self.store(sink))) { collector in
                try await rig.publish(run, run.lines)
                try await rig.catchUp(collector)
            }
            let letter = try #require(try await rig.letters().first)
            #expect(letter.reason == "refused_400" && letter.stage == "store-s3")
            #expect(letter.error.hasSuffix("status 400: EntityTooLarge: words"))
        }
    }
}
