package import ATOF

/// The names on the bus: subjects, streams, buckets and headers. They are the contract with publishers and subscribers.
package enum SkeinSubjects {
    package static let eventsStream = "SKEIN_EVENTS"
    package static let processedStream = "SKEIN_PROCESSED"
    package static let trajectoriesStream = "SKEIN_TRAJECTORIES"
    package static let deadStream = "SKEIN_DEAD"
    package static let alertsStream = "SKEIN_ALERTS"
    package static let stateBucket = "skein_state"

    /// Where a publisher sends a batch. The server inserts the partition before it is stored.
    package static func events(tenant: String, key: String) -> String { "skein.v1.events.\(tenant).\(key)" }

    /// What a `process` task reads.
    package static func eventsFilter(partition: Int) -> String { "skein.v1.events.\(partition).>" }

    package static func processed(tenant: String, partition: Int, source: Int) -> String {
        "skein.v1.processed.\(tenant).\(partition).\(source)"
    }

    /// What a task behind PROCESSED reads.
    package static func processedFilter(partition: Int) -> String { "skein.v1.processed.*.\(partition).*" }

    /// Where the owner of a task behind PROCESSED tells an idle partition that time has passed.
    package static func tick(partition: Int) -> String { "skein.v1.processed.\(ownTenant).\(partition).tick" }

    /// Where the owner of a `process` task does so: the key is one that the server puts into the partition.
    package static func tick(eventsKey key: String) -> String { events(tenant: ownTenant, key: key) }

    /// The ticks of a partition of EVENTS as they are stored.
    package static func storedTicks(eventsPartition partition: Int) -> String {
        "skein.v1.events.\(partition).\(ownTenant).*"
    }

    /// Of the stored subject.
    package static func isTick(_ subject: String) -> Bool {
        tenant(ofProcessed: subject) == ownTenant || tenant(ofStoredEvents: subject) == ownTenant
    }

    /// Where a dead letter of a stage behind PROCESSED comes back to its partition.
    package static func replay(tenant: String, partition: Int) -> String {
        "skein.v1.processed.\(tenant).\(partition).replay"
    }

    /// Stands for no tenant: in ticks, and in dead letters whose tenant cannot be told.
    package static let ownTenant = "_"

    package static func trajectory(tenant: String, id: EventUUID) -> String { "skein.v1.trajectories.\(tenant).\(id)" }

    /// What a store reads: documents and manifests, no chunks and no progress.
    package static let trajectoriesFilter = "skein.v1.trajectories.*.*"

    package static func trajectoryChunk(tenant: String, id: EventUUID, revision: UInt64, number: Int) -> String {
        trajectoryChunk(of: trajectory(tenant: tenant, id: id), revision: revision, number: number)
    }

    /// - Parameter subject: of the trajectory.
    package static func trajectoryChunk(of subject: String, revision: UInt64, number: Int) -> String {
        "\(subject).body.\(revision).\(number)"
    }

    /// Where a dead letter of a store comes back to it: no trajectory of a tenant.
    package static func storeReplay(id: EventUUID) -> String { trajectory(tenant: ownTenant, id: id) }

    /// The tenant of a subject of TRAJECTORIES.
    package static func tenant(ofTrajectory subject: String) -> String? { token(3, of: subject) }

    /// Tenant and id of `skein.v1.trajectories.<tenant>.<id>`; nil for another subject.
    package static func trajectory(of subject: String) -> (tenant: String, id: String)? {
        let tokens = subject.split(separator: ".", omittingEmptySubsequences: false)
        guard tokens.count == 5, subject.hasPrefix("skein.v1.trajectories.") else { return nil }
        return (String(tokens[3]), String(tokens[4]))
    }

    /// Where the progress of a trajectory is told while it is open.
    package static func trajectoryOpen(tenant: String, id: EventUUID) -> String {
        "\(trajectory(tenant: tenant, id: id)).open"
    }

    package static func dead(stage: String, tenant: String) -> String { "skein.v1.dead.\(stage).\(tenant)" }

    /// Where it is told that a rule has fired.
    package static func alert(tenant: String, rule: String) -> String { "skein.v1.alerts.\(tenant).\(rule)" }

    /// Where a task of `watch` tells the one of another partition what it has counted: no event, and only for that stage.
    package static func shares(partition: Int) -> String { "skein.v1.processed.\(ownTenant).\(partition).shares" }

    /// The tenant of a stored EVENTS subject, `skein.v1.events.<partition>.<tenant>.<key>`.
    package static func tenant(ofStoredEvents subject: String) -> String? { token(4, of: subject) }

    /// The routing key of a stored EVENTS subject.
    package static func key(ofStoredEvents subject: String) -> String? { token(5, of: subject) }

    /// The partition of a PROCESSED subject.
    package static func partition(ofProcessed subject: String) -> Int? {
        subject.hasPrefix("skein.v1.processed.") ? token(4, of: subject).flatMap { Int($0) } : nil
    }

    /// The subjects of PROCESSED that one source writes.
    package static func chainsFilter(source: Int) -> String { "skein.v1.processed.*.*.\(source)" }

    /// Where members answer what their tasks' ledgers say.
    package static let ledger = "skein.v1.ledger"

    /// Where agents ask before they act. Any collector answers.
    package static func guarding(tenant: String, _ kind: GuardQuestion.Kind) -> String {
        "skein.v1.guard.\(tenant).\(kind.rawValue)"
    }

    /// What collectors subscribe to for that.
    package static func guardFilter(_ kind: GuardQuestion.Kind) -> String { guarding(tenant: "*", kind) }

    /// The tenant of a subject on which an agent asks.
    package static func tenant(ofGuard subject: String) -> String? { token(3, of: subject) }

    /// Where agents ask for hints before a model call. Any collector answers.
    package static func hints(tenant: String) -> String { "skein.v1.hint.\(tenant)" }

    /// The tenant of a subject on which an agent asks for hints.
    package static func tenant(ofHint subject: String) -> String? { token(3, of: subject) }

    /// Where a member counts calls against budgets for the others.
    package static func budgets(member: String) -> String { "skein.v1.budgets.\(member)" }

    /// The key of a tenant's counters in the state bucket.
    package static func budgetKey(tenant: String) -> String { "guard.\(tenant)" }

    /// A key beside it, which holds most of what the tenant's budgets stand at.
    package static func budgetBaseKey(tenant: String, slot: Int) -> String { "guard.\(tenant).\(slot)" }

    /// The key in the state bucket of what has been learned about an agent.
    ///
    /// - Parameter digest: of the agent's name in hexadecimal, for a name may have any characters.
    package static func learnedKey(tenant: String, digest: String) -> String { "adaptive.\(tenant).\(digest)" }

    /// The tenant of a PROCESSED subject, `skein.v1.processed.<tenant>.<partition>.<source>`.
    package static func tenant(ofProcessed subject: String) -> String? { token(3, of: subject) }

    /// Whether a PROCESSED subject has one writer, who sends an event again from its beginning when it was interrupted: it ends in the
    /// number of a source. Ticks and replayed letters come from anybody.
    package static func isChain(_ subject: String) -> Bool {
        subject.hasPrefix("skein.v1.processed.") && token(5, of: subject).flatMap { UInt($0) } != nil
    }

    private static func token(_ index: Int, of subject: String) -> String? {
        let tokens = subject.split(separator: ".", omittingEmptySubsequences: false)
        return index < tokens.count ? String(tokens[index]) : nil
    }

    /// Whether a publisher may use the tenant: any name but Skein's own.
    package static func isTenant(_ text: some StringProtocol) -> Bool { isName(text) && text != ownTenant }

    /// Tenants, endpoint names and keys of stages match `[a-z0-9_-]+`.
    package static func isName(_ text: some StringProtocol) -> Bool {
        !text.isEmpty
            && text.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"),
                    UInt8(ascii: "-"):
                    true
                default: false
                }
            }
    }
}

/// Names of the headers that Skein reads and writes.
package enum SkeinHeaders {
    package static let contentType = "Content-Type"
    package static let protobuf = "application/x-protobuf"
    package static let jsonLines = "application/x-ndjson"
    package static let json = "application/json"
    /// What tasks of `watch` have counted.
    package static let shares = "application/x-skein-shares"
    /// One encoded OTLP span, of a dead letter that an endpoint refused.
    package static let span = "application/x-skein-span"
    /// The same of a log record and of a metric.
    package static let logRecord = "application/x-skein-log-record"
    package static let metric = "application/x-skein-metric"

    /// The media type of a `Content-Type`, without parameters: in lower case, for types are compared without case (RFC 9110, 8.3.1).
    package static func mediaType(_ contentType: String) -> String {
        contentType.prefix { $0 != ";" && $0 != " " }.lowercased()
    }

    package static let messageID = "Nats-Msg-Id"
    package static let expectedLastSubjectSequence = "Nats-Expected-Last-Subject-Sequence"

    /// On PROCESSED: the last event of EVENTS that the message and all before it in its chain cover, `<sequence>.<index>`.
    package static let source = "Skein-Source"
    /// On PROCESSED: creation time of the EVENTS that `Skein-Source` counts in, nanoseconds since 1970.
    package static let sourceCreated = "Skein-Source-Created"
    /// On PROCESSED: the epoch of the writing task, so that a stale writer recognises its successor.
    package static let epoch = "Skein-Epoch"

    /// On trajectories: counted from 1; a higher one replaces a lower one.
    package static let revision = "Skein-Revision"
    package static let agent = "Skein-Agent"
    /// `complete`, `abandoned`, or of a progress record `open`.
    package static let state = "Skein-State"
    package static let eventCount = "Skein-Events"
    /// On trajectories: the name under which stores keep it, a relative path; absent when none can be made.
    package static let file = "Skein-File"
    /// On a manifest: the number of chunks that hold the body.
    package static let chunks = "Skein-Chunks"
    /// On a part of something that is larger than a message: `<n>/<count>`, counted from 1.
    package static let chunk = "Skein-Chunk"
    /// On a part of an event: the same on all of its parts, and no other's on the subject.
    package static let chunkID = "Skein-Chunk-Id"

    /// On a replayed dead letter of another stage than `process`: the only stage that takes it.
    package static let stage = "Skein-Stage"
    /// On a replayed dead letter: the sequence of the letter in `SKEIN_DEAD`.
    package static let replayOf = "Skein-Replay-Of"

    /// On an answer about the ledger: for how many tasks the member answers.
    package static let tasks = "Skein-Tasks"

    /// On a question before a call: how long the asker waits, milliseconds from now.
    package static let timeout = "Skein-Timeout-Millis"
    /// On a question before a call: until when the asker waits, RFC 3339. The earlier of both counts.
    package static let deadline = "Skein-Deadline"

    /// On dead letters.
    package static let reason = "Skein-Reason"
    package static let error = "Skein-Error"
    package static let originalSubject = "Skein-Subject"
    package static let originalStream = "Skein-Stream"
    package static let originalSequence = "Skein-Sequence"
    package static let eventIndex = "Skein-Event-Index"
}
