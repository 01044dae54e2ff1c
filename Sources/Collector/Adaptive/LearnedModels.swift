internal import ATOF
internal import Adaptive
internal import NATSTransport
internal import SHA2
internal import Stages

/// Whose calls a model is about.
struct LearnedAgent: Hashable, Sendable {
    let tenant: String
    let agent: String

    /// The key in the bucket: a name may have any characters.
    var key: String {
        let digest = SHA256.digest(Array(agent.utf8)).prefix(16).flatMap {
            [String($0 >> 4, radix: 16), String($0 & 15, radix: 16)]
        }
        return SkeinSubjects.learnedKey(tenant: tenant, digest: digest.joined())
    }
}

/// A model as it is stored.
struct LearnedModel: Sendable {
    var model: PredictionModel
    /// 0 for one that is not stored yet.
    var revision: UInt64
    /// Bytes.
    var size: Int
}

extension KeyValueBucket {
    /// - Returns: nil when nothing has been learned about the agent.
    /// - Throws: `NATSError`; `SnapshotError` for what this version cannot read.
    func learned(_ agent: LearnedAgent) async throws -> LearnedModel? {
        guard let entry = try await get(agent.key, fromLeader: true) else { return nil }
        let model = try PredictionModel(entry.value)
        guard model.tenant == agent.tenant, model.agent == agent.agent else {
            throw SnapshotError("the model at \(agent.key) is another agent's")
        }
        return LearnedModel(model: model, revision: entry.revision, size: entry.value.count)
    }
}
