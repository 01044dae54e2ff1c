package import ATOF
package import LLMCodecs
package import Middleware
package import NATSTransport
internal import Projections

/// Everything that a collector has to know, with its defaults; read from TOML by `ConfigurationReader`.
package struct CollectorConfiguration: Sendable {
    package var nats = NATS()
    package var streams = Streams()
    /// Time between two checkpoints of a task.
    package var checkpointInterval = Duration.seconds(1)
    /// So many messages make a checkpoint due earlier.
    package var checkpointMessages = 10_000
    /// How long a member that says nothing counts as there: after that long the others take its tasks.
    package var memberTimeToLive: Duration {
        get { chosenTimeToLive ?? (streams.replicas > 1 ? .seconds(15) : .seconds(5)) }
        set { chosenTimeToLive = newValue }
    }
    /// Of a cluster the default outlives the election of a leader.
    private var chosenTimeToLive: Duration?
    /// Time between two ticks of an idle partition in which something waits for time to pass.
    package var tickInterval = Duration.seconds(1)
    /// Time between two tries of a task that an operator has to mend.
    package var failurePause = Duration.seconds(15)
    /// Time between two looks at what EVENTS and PROCESSED no longer need.
    package var trimInterval = Duration.seconds(5)
    /// How long a graceful stop waits for deliveries.
    package var stopTimeout = Duration.seconds(10)
    /// Bytes that all readers of the process together may have fetched ahead.
    package var prefetchBytes = 16 << 20
    package var runs = Runs()
    /// Bytes of the largest event: one that is larger than the server's max_payload comes in chunks.
    package var maximumEventBytes = 64 << 20
    /// How long the next chunk of a message may take.
    package var chunkTimeout = Duration.seconds(60)
    package var admin = Admin()
    package var ingest = Ingest()
    /// The document's `observability` component has ATIF on; without a configuration file trajectories are built.
    package var trajectories: TrajectoryOutput? = TrajectoryOutput()
    package var endpoints: [Endpoint] = []
    /// The document's `pricing` component: prices of model calls whose cost nobody reported.
    package var pricing = PricingSources()
    /// It stands behind `observability`: the reference tears it down before that, so what is unfinished at the end has no estimates there.
    var isPricingBehindObservability = false
    /// What stands in the files that it names.
    var pricingFiles: [String] = []
    /// The document's `adaptive` component; nil without one.
    package var adaptive: AdaptiveSettings?
    package var logEndpoints: [LogEndpoint] = []
    package var metricEndpoints: [MetricEndpoint] = []
    package var stores: [Store] = []
    /// Guardrails in code, asked before the act beside those of the document.
    package var deciders: [any GuardDecider] = []
    /// Questions of agents that a collector works on at once at the most.
    package var guardRequests = 256
    /// Whose answer counts where the reference is wrong.
    package var compatibility = Compatibility.skein
    /// The document's policy for all events.
    package var middleware = MiddlewareSettings()
    /// Whether a document in the bucket `skein_config` is the highest layer of all collectors.
    package var sharesPolicy = false
    /// What is valid and still keeps a collector from running, because it would run without a policy that it was given.
    package var obstacles: [Diagnostic] = []

    /// What all this was read from.
    package var document = ConfigurationDocument([])

    package init() {}

    /// How the collector reaches the bus.
    package struct NATS: Sendable {
        package var urls = ["nats://127.0.0.1:4222"]
        package var authentication = NATSOptions.Authentication.none
        package var tls: NATSOptions.TLS?
    }

    /// Shape and size of the streams when this collector creates them.
    package struct Streams: Sendable, Hashable {
        /// Partitions of EVENTS and of PROCESSED. Streams that exist keep theirs.
        package var partitions = 8
        package var replicas = 1
        package var eventsMaximumBytes: Int64 = 1 << 30
        package var processedMaximumBytes: Int64 = 1 << 30
        /// How long PROCESSED keeps what every cursor has passed.
        package var processedKeep = Duration.seconds(3600)
        package var trajectoriesMaximumAge = Duration.seconds(168 * 3600)
    }

    /// When a run counts as over, and how much of it is held.
    package struct Runs: Sendable, Hashable {
        /// How long a trajectory stays open for stragglers after its opening scope has ended.
        package var linger = Duration.seconds(2)
        /// A run of which nothing comes for so long is closed as abandoned.
        package var idle = Duration.seconds(1800)
        /// A run that is open for so long is closed as abandoned.
        package var maximumAge = Duration.seconds(86_400)
        /// How long after its end a trajectory is revised when something late comes; PROCESSED is kept for it that long.
        package var revise = Duration.seconds(600)
        /// Open trajectories of a task; one more closes the oldest.
        package var maximumOpen = 4096
        /// Further events of a trajectory are counted and left out.
        package var maximumEvents = 10_000
        /// Packed bytes of a trajectory beyond which further events are left out alike.
        package var maximumBytes = 128 << 20
        /// Payload bytes of a trajectory that are held in memory; beyond it they are read again from PROCESSED when it ends.
        package var maximumHeldBytes = 1 << 20
        /// Payload bytes of open runs that all tasks of the process together hold in memory, whatever is open; the same for each task.
        package var heldBytes = 96 << 20
        /// Of a task.
        package var taskHeldBytes = 4 << 20
        /// Time between two progress records of an open trajectory.
        package var progressInterval = Duration.seconds(5)
    }

    /// The HTTP server for probes and metrics.
    package struct Admin: Sendable, Hashable {
        package var host = "127.0.0.1"
        package var port: UInt16 = 9464
        package var isEnabled = true
    }

    /// `components.config.atif`.
    package struct TrajectoryOutput: Sendable {
        package var agentName = "NeMo Relay"
        package var agentVersion = SkeinVersion.current
        package var modelName: String?
        package var toolDefinitions: [JSONValue]?
        package var extra: JSONValue?
        package var fileNameTemplate = "nemo-relay-atif-{session_id}.json"
    }
}

extension CollectorConfiguration {
    /// To be asked before anything is made of events.
    ///
    /// - Throws: `ConfigurationError` when the chain would not be the one that was configured.
    package func checkActivation() throws(ConfigurationError) {
        if !obstacles.isEmpty { throw ConfigurationError(diagnostics: obstacles) }
    }

    /// What a collector that runs can take over from a new configuration.
    mutating func takePolicy(of other: CollectorConfiguration) {
        middleware = other.middleware
        pricing = other.pricing
        pricingFiles = other.pricingFiles
        document = other.document
    }

    /// Talks to a server on loopback that needs no credentials, whatever was configured.
    package mutating func useEmbeddedServer(url: String) {
        nats = NATS()
        nats.urls = [url]
    }

    /// Adds a backend for OpenInference traces that the command line names.
    ///
    /// - Throws: `ConfigurationError` that names the option.
    package mutating func addTraceEndpoint(url: String, option: String) throws(ConfigurationError) {
        guard let traces = OTLPSignal.traces.url(url) else {
            throw ConfigurationError(diagnostics: [
                Diagnostic(
                    .error, "observability.unsupported_value", field: option,
                    "must be an http:// or https:// URL, such as http://127.0.0.1:4318, is \"\(url)\"")
            ])
        }
        var name = "cli"
        while endpoints.contains(where: { $0.name == name }) { name += "-2" }
        endpoints.append(
            Endpoint(
                name: name, url: traces, projection: ProjectionConfiguration(projection: .openinference),
                resource: ResourceConfiguration(serviceName: "skein")))
    }
}

/// The version of this build.
package enum SkeinVersion {
    package static let current = "0.1.0"
}
