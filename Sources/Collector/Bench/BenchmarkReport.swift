/// What a benchmark has measured. CPU is user and system time of this process, in microseconds for each event; nats-server and the
/// backend are not in it.
package struct BenchmarkReport: Encodable, Sendable {
    package struct Workload: Encodable, Sendable {
        package var events: Int
        package var messages: Int
        package var bytesPerEvent: Double
    }

    /// What the machine does with the same messages when nobody looks into them.
    package struct Ceiling: Encodable, Sendable {
        package var name: String
        package var eventsPerSecond: Double
        package var cpuMicrosecondsPerEvent: Double
    }

    /// A stage on all partitions through the broker, alone.
    package struct Stage: Encodable, Sendable {
        package var name: String
        package var eventsPerSecond: Double
        /// The ceiling that does the same reading and writing.
        package var ceiling: String
        package var shareOfCeiling: Double
        package var eventsPerSecondPerCore: Double
        package var cpuMicrosecondsPerEvent: Double
    }

    /// The pure machines on one thread, without a broker.
    package struct InMemory: Encodable, Sendable {
        package var name: String
        package var cpuMicrosecondsPerEvent: Double
        /// What NeMo Relay 0.10.4 takes for the same, measured on a machine like that of the project.
        package var referenceMicroseconds: Double?
    }

    /// One provider body from JSON text to the common form.
    package struct Codec: Encodable, Sendable {
        package var name: String
        package var bytes: Int
        package var cpuMicrosecondsPerBody: Double
    }

    /// A whole collector: process, assemble and an openinference endpoint.
    package struct Memory: Encodable, Sendable {
        package var tasks: Int
        package var threads: Int
        package var idleMegabytes: Double
        /// Share of one core.
        package var idleCores: Double
        package var openTrajectories: Int
        package var openMegabytes: Double
    }

    /// What an agent waits for an answer before it acts.
    package struct Guarding: Encodable, Sendable {
        package var name: String
        package var requests: Int
        package var medianMicroseconds: Double
        package var p99Microseconds: Double
        /// Of what a bare request takes in the same run.
        package var medianRatio: Double
        package var p99Ratio: Double
    }

    /// An agent that publishes with AgentKit.
    package struct Publishing: Encodable, Sendable {
        package var events: Int
        /// CPU of the calling thread for each event of a scope: without a publisher, and with one.
        package var scopeMicroseconds: Double
        package var callerMicroseconds: Double
        /// What NeMo Relay 0.10.4 takes of the caller from Python.
        package var referenceMicroseconds: Double
        package var shareOfReference: Double
        /// Of the whole process, until the broker has everything.
        package var cpuMicrosecondsPerEvent: Double
        package var eventsPerSecond: Double
        package var eventsPerSecondPerCore: Double
    }

    package struct Target: Encodable, Sendable {
        package var name: String
        package var value: Double
        package var limit: Double
        package var unit: String
        package var isMet: Bool

        init(_ name: String, _ value: Double, atMost limit: Double, _ unit: String) {
            (self.name, self.value, self.limit, self.unit, isMet) = (name, value, limit, unit, value <= limit)
        }
    }

    package var workload: Workload
    package var ceilings: [Ceiling]
    package var stages: [Stage]
    package var inMemory: [InMemory]
    package var codecs: [Codec]
    package var memory: Memory
    package var guarding: [Guarding]
    package var publishing: Publishing
    package var targets: [Target]
}
