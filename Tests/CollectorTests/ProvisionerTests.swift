import Foundation
import NATSTransport
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

    @Test("does not wait for JetStream where the account has none")
    func accountWithout() async throws {
        let account = """
            accounts { NONE: { users: [ { user: u, password: p } ] } }
            no_auth_user: u
            """
        try await Rig.with(configuration: account) { rig in
            let error = await #expect(throws: NATSError.self) {
                try await StreamProvisioner(rig.jetStream, CollectorConfiguration().streams).prepare()
            }
            #expect(error?.description.contains("not enabled for account") == true, "\(error?.description ?? "")")
        }
    }
}
