package import ATOF
package import LLMCodecs

/// A trajectory whose events are decided, for now: a late one makes a further revision.
package struct FinishedTrajectory: Sendable {
    /// How it came to its end.
    package enum State: Sendable, Hashable {
        /// Its opener ended.
        case complete
        case abandoned(Reason)

        package var isComplete: Bool { self == .complete }
    }

    /// Why a trajectory was closed without its opener's end.
    package enum Reason: String, Sendable, Hashable {
        /// Nothing came for too long.
        case idle
        /// It was open for too long.
        case maximumAge = "max_age"
        /// Too many were open.
        case maximumOpen = "max_open"
        case endOfInput = "end_of_input"
    }

    /// An event of the trajectory.
    package struct Member: Sendable {
        package let reference: EventReference
        /// Nil when it is not held and must be read again from where it is stored.
        package let packed: [UInt8]?
    }

    /// Numbers for `extra.skein`.
    package struct Counts: Sendable, Hashable {
        /// Repeats of its events.
        package var duplicate: UInt64 = 0
        /// Events that came after it was closed; they are among its events.
        package var late: UInt64 = 0
        /// Events beyond its maximum.
        package var overLimit: UInt64 = 0
        /// Events whose parents never came; they are the last of its events.
        package var orphaned: UInt64 = 0
    }

    /// The UUID of the scope that opened it.
    package let id: EventUUID
    /// Empty when there are none.
    package let tenant: String
    /// The name of the scope that opened it.
    package let agentName: String
    /// From 1.
    package let revision: UInt64
    package let state: State
    /// In the order of their arrival, and then those whose parents never came.
    package let members: [Member]
    package let counts: Counts
    /// Whether it was among those whose progress was told.
    package let hadProgress: Bool

    package var eventCount: Int { members.count }
}

extension FinishedTrajectory {
    /// Where it is part of the document: its opener's metadata, from which file names are made.
    package struct Document: Sendable {
        /// Its payloads are not parsed yet.
        package let draft: JSONDraft
        package var document: JSONValue { draft.value }
        package let openerMetadata: JSONValue?
        /// How many bytes the text has at most, as a rule: payloads are in it once or twice, with more space between them.
        package let expectedBytes: Int
    }

    /// Builds the document as the reference's dispatcher does.
    ///
    /// - Parameters:
    ///   - pricing: prices of calls whose cost nobody reported.
    ///   - events: the packed bytes of its members that are to be had, in their order.
    package func document(
        by agent: AgentDescription, _ compatibility: Compatibility, pricing: PricingSources = PricingSources(),
        of events: [[UInt8]]
    ) -> Document {
        let expected = events.reduce(4096) { $0 + 4 * $1.count }
        let events = FinishedTrajectory.unpacked(events)
        let builder = TrajectoryBuilder(
            origin: .dispatcher(opener: id), agent: agent, compatibility: compatibility, pricing: pricing)
        let opening = events.first { $0.uuid == id && $0.kind == .scopeStart }
        return Document(
            draft: builder.draft(of: events), openerMetadata: opening?.metadata?.value,
            expectedBytes: expected)
    }

    /// Builds the document and says in `extra.skein` what a collector knows about it.
    ///
    /// - Parameter unavailable: members that could not be read again.
    package func document(
        by agent: AgentDescription, _ compatibility: Compatibility, pricing: PricingSources = PricingSources(),
        of events: [[UInt8]], unavailable: [EventReference]
    ) -> Document {
        let built = document(by: agent, compatibility, pricing: pricing, of: events)
        guard case .object(var document) = built.draft, case .object(var extra)? = document["extra"] else {
            return built
        }
        var skein = JSONObject([
            ("revision", .int(Int64(clamping: revision))),
            (
                "events",
                .object(
                    JSONObject([
                        ("assembled", .int(Int64(members.count - unavailable.count))),
                        ("duplicate", .int(Int64(clamping: counts.duplicate))),
                        ("late", .int(Int64(clamping: counts.late))),
                        ("over_limit", .int(Int64(clamping: counts.overLimit))),
                        ("orphaned", .int(Int64(clamping: counts.orphaned))),
                        ("unavailable", .int(Int64(unavailable.count))),
                    ]))
            ),
        ])
        switch state {
        case .complete: skein["state"] = "complete"
        case .abandoned(let reason):
            skein["state"] = "abandoned"
            skein["reason"] = .string(reason.rawValue)
        }
        if !unavailable.isEmpty {
            // Enough to find them; a document must not grow by what it lacks.
            skein["unavailable"] = .array(unavailable.prefix(20).map { .string($0.description) })
        }
        extra["skein"] = .value(.object(skein))
        document["extra"] = .object(extra)
        return Document(
            draft: .object(document), openerMetadata: built.openerMetadata, expectedBytes: built.expectedBytes)
    }

    /// The payloads that are held: not of members that were dropped from memory or came before what they belong to.
    package var heldEvents: [[UInt8]] { members.compactMap(\.packed) }

    /// Events that were read once from these bytes can be read again, so nothing is lost here.
    private static func unpacked(_ packed: [[UInt8]]) -> [Event] {
        var events: [Event] = []
        events.reserveCapacity(packed.count)
        for start in stride(from: 0, to: packed.count, by: EventBatch.maximumCount) {
            var writer = EventBatchWriter()
            for bytes in packed[start..<min(start + EventBatch.maximumCount, packed.count)] {
                writer.append(packed: bytes)
            }
            guard let batch = try? EventBatch(unpacking: writer.bytes) else { continue }
            for index in 0..<batch.count {
                if let event = try? batch.event(at: index) { events.append(event) }
            }
        }
        return events
    }
}
