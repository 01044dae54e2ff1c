import Foundation
import NATSTransport
import Synchronization
import Testing

@testable import Collector

@Suite("Stream provisioner", .timeLimit(.minutes(1)))
struct ProvisionerTests {
    @Test(
        "knows which servers lack subject transforms",
        arguments: [
            ("2.9.10", true), ("2.9", true), ("1.4.1", true), ("v2.9.25", true), ("2.10.0", false), ("2.12.8", false),
            ("3.0.0-beta", false), ("v2.10.1", false), ("unknown", false), ("", false),
        ])
    func versions(version: String, isTooOld: Bool) {
        #expect(StreamProvisioner.isTooOld(version) == isTooOld)
    }

    /// JetStream of nats-server 2.9, as far as it is asked here: it says no version and leaves out the subject transform.
    private static func answer(_ request: NATSMessage) -> String {
        if request.subject.contains(".STREAM.CREATE.") {
            return """
                {"config":{"name":"x","subjects":["x"],"storage":"memory","retention":"limits","discard":"old"},\
                "created":"2026-01-01T00:00:00Z","state":{"messages":0,"bytes":0,"first_seq":0,"last_seq":0,\
                "consumer_count":0}}
                """
        }
        if request.subject.contains(".STREAM.DELETE.") { return "{\"success\":true}" }
        return "{\"error\":{\"code\":404,\"err_code\":10059,\"description\":\"stream not found\"}}"
    }

    @Test("finds out an old server that does not say so, before it creates anything of Skein's")
    func silentOldServer() async throws {
        let account = """
            accounts { OLD: { users: [
              { user: u, password: p, permissions: { publish: { deny: ["$SYS.>"] }, subscribe: ">" } }
            ] } }
            no_auth_user: u
            """
        try await Rig.with(configuration: account) { rig in
            let connection = rig.jetStream.connection
            let requests = Mutex<[String]>([])
            let fake = try await connection.subscribe(subject: "$JS.API.>")
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    for await request in fake {
                        requests.withLock { $0.append(request.subject) }
                        let answer = Array(ProvisionerTests.answer(request).utf8)
                        try await connection.publish(subject: request.reply ?? "nobody", payload: answer)
                    }
                }
                let error = await #expect(throws: CollectorError.self) {
                    try await StreamProvisioner(rig.jetStream, CollectorConfiguration().streams).prepare()
                }
                #expect(error?.description.contains("is older than 2.10") == true, "\(error?.description ?? "")")
                group.cancelAll()
            }
            let created = requests.withLock { $0 }.filter { $0.contains(".STREAM.CREATE.") }
            #expect(created.count == 1 && created.allSatisfy { $0.contains("SKEIN_PROBE_") }, "\(created)")
            let deleted = requests.withLock { $0 }.filter { $0.contains(".STREAM.DELETE.SKEIN_PROBE_") }
            #expect(deleted.count == 1)
        }
    }
}
