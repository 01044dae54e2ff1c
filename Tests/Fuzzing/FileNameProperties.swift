internal import ATOF
internal import Trajectories

enum FileNameProperties {
    static let seeds = [
        #"nemo-relay-atif-{session_id}.json"#,
        #"{metadata.tenant}/{metadata.run.name:-none}/{session_id}.json"# + "\n"
            + #"{"tenant":"a.b","run":{"name":"x/y"}}"#,
        #"a{metadata.a:-.}{metadata.b}{session_id}{other}"# + "\n" + #"{"a":null,"b":"~-_."}"#,
    ].map { Array($0.utf8) }

    /// A name never leads out of its directory.
    static func check(_ input: [UInt8]) throws(FuzzFailure) {
        let parts = input.split(separator: UInt8(ascii: "\n"), maxSplits: 1, omittingEmptySubsequences: false)
        guard let first = parts.first, let template = try? FileNameTemplate(String(decoding: first, as: UTF8.self))
        else {
            return
        }
        let metadata = parts.count > 1 ? Array(parts[1]).withUnsafeBufferPointer { JSONPolicy.value(of: $0) } : nil
        let sessionID = "0195f1e0-0000-7000-8000-000000000001"
        guard let name = try? template.render(sessionID: sessionID, tenant: "t", metadata: metadata) else { return }
        try FuzzFailure.unless(name.contains(sessionID), "\(name) has no session id")
        try FuzzFailure.unless(
            !name.hasPrefix("/") && !name.split(separator: "/").contains(".."), "\(name) leads out of its directory")
    }
}
