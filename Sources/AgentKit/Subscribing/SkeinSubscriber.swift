internal import ATOF
internal import BusReading
internal import NATSTransport
internal import Stages

/// Reads what comes out of Skein: trajectories and processed events (`docs/contract.md`).
///
/// ```swift
/// let skein = try await SkeinSubscriber.connect(SubscriberConfiguration(urls: ["nats://127.0.0.1:4222"]))
/// let trajectories = try await skein.trajectories(tenant: "acme", agent: "planner", from: .durable("dashboard"))
/// for try await delivery in trajectories {
///     print(delivery.value.id, delivery.value.revision, delivery.value.json.count)
///     try await delivery.acknowledge()
/// }
/// ```
public final class SkeinSubscriber: Sendable {
    /// Where a subscription begins.
    public enum Place: Sendable, Hashable {
        /// With what is stored after the subscription was made.
        case now
        /// With the oldest that the stream holds.
        case oldest
        /// Where the last reader under this name has acknowledged, and with the oldest when there was none. Readers that use a name at
        /// the same time share the messages.
        case durable(String)
    }

    private let connection: NATSConnection
    private let configuration: SubscriberConfiguration

    private init(_ connection: NATSConnection, _ configuration: SubscriberConfiguration) {
        self.connection = connection
        self.configuration = configuration
    }

    /// - Throws: `SubscriberError` with code `configuration` or `refused`.
    public static func connect(_ configuration: SubscriberConfiguration) async throws -> SkeinSubscriber {
        do throws(NATSError) {
            return SkeinSubscriber(try await NATSConnection.connect(configuration.natsOptions), configuration)
        } catch {
            throw SubscriberError(error)
        }
    }

    /// Ends all subscriptions with code `closed`.
    public func close() async { await connection.close() }

    /// The trajectories that are finished: each revision of each as it is published.
    ///
    /// - Parameters:
    ///   - tenant: only this one's; nil takes all.
    ///   - agent: only those of agents of this name.
    /// - Returns: what has its place in the stream already, whenever it is iterated.
    /// - Throws: `SubscriberError`, and cancellation; a broker that is away is waited for.
    public func trajectories(
        tenant: String? = nil, agent: String? = nil, from place: Place = .now
    ) async throws -> Subscription<Trajectory> {
        let jetStream = JetStream(connection)
        return try await subscription(
            stream: SkeinSubjects.trajectoriesStream, tenant: tenant, rest: "*", place
        ) { message in
            // A letter on its way back to a store.
            guard let (tenant, id) = SkeinSubjects.trajectory(of: message.subject), tenant != SkeinSubjects.ownTenant,
                agent == nil || message.headers[SkeinHeaders.agent] == agent
            else { return nil }
            do {
                let body = try await TrajectoryBody.read(
                    jetStream, subject: message.subject, headers: message.headers, payload: message.payload)
                return Trajectory(
                    tenant: tenant, id: id, revision: TrajectoryBody.revision(message.headers),
                    isComplete: message.headers[SkeinHeaders.state] != "abandoned",
                    agent: message.headers[SkeinHeaders.agent] ?? "", json: body)
            } catch is ReplacedTrajectoryError {
                // Its successor follows.
                return nil
            }
        }
    }

    /// The events that have passed the policy, each once, in batches of a run's partition.
    ///
    /// - Parameters:
    ///   - tenant: only this one's; nil takes all.
    ///   - agent: only runs of agents of this name, from the start of the agent on: of a run that was under way when the subscription began,
    ///     nothing. So it cannot be durable: who goes on in the middle of a run does not know whose it is.
    /// - Returns: what has its place in the stream already, whenever it is iterated.
    /// - Throws: `SubscriberError`, and cancellation; a broker that is away is waited for.
    public func processed(
        tenant: String? = nil, agent: String? = nil, from place: Place = .now
    ) async throws -> Subscription<ProcessedEvents> {
        if agent != nil, case .durable = place {
            throw SubscriberError(
                .configuration,
                "Processed events of one agent cannot be durable; leave out the agent, or read from .now or .oldest.")
        }
        let reading = ProcessedReading(agent: agent)
        let connection = connection
        return try await subscription(
            stream: SkeinSubjects.processedStream, tenant: tenant, rest: "*.*", place
        ) { message in
            guard let body = try await ProcessedBody.read(JetStream(connection), message),
                let tenant = SkeinSubjects.tenant(ofProcessed: message.subject)
            else { return nil }
            let processed = reading.events(tenant: tenant, body: body)
            return processed.events.isEmpty && processed.complaint == nil ? nil : processed
        }
    }

    private func subscription<Value: Sendable>(
        stream: String, tenant: String?, rest: String, _ place: Place,
        read: @escaping SubscriptionSource<Value>.Read
    ) async throws -> Subscription<Value> {
        if let tenant, !SkeinSubjects.isTenant(tenant) {
            throw SubscriberError(.configuration, "The tenant is \"\(tenant)\"; use a-z, 0-9, _ and -.")
        }
        let base = stream == SkeinSubjects.trajectoriesStream ? "skein.v1.trajectories" : "skein.v1.processed"
        return Subscription(
            source: try await SubscriptionSource.open(
                JetStream(connection), configuration, stream: stream, filter: "\(base).\(tenant ?? "*").\(rest)",
                place: place, read: read))
    }
}
