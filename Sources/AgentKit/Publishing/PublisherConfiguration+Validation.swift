internal import AgentPublishing
internal import NATSTransport
internal import Stages

extension PublisherConfiguration {
    func validate() throws(PublisherError) {
        func complain(_ text: String) -> PublisherError { PublisherError(.configuration, text) }
        guard !urls.isEmpty else { throw complain("urls is empty; name the broker, such as nats://127.0.0.1:4222") }
        guard SkeinSubjects.isTenant(tenant), tenant.utf8.count <= 64 else {
            throw complain("tenant is \"\(tenant)\"; use up to 64 of a-z, 0-9, _ and -, and not _ alone")
        }
        let isName = producer.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."):
                true
            default: false
            }
        }
        guard isName, (1...64).contains(producer.utf8.count) else {
            throw complain("producer is \"\(producer)\"; use 1 to 64 letters, digits, -, _ and .")
        }
        for (name, value, range) in [
            ("batchEvents", batchEvents, 1...10_000), ("batchBytes", batchBytes, 1024...(64 << 20)),
            ("maximumEventBytes", maximumEventBytes, 1024...(1 << 30)),
            ("memoryBytes", memoryBytes, (256 << 10)...(1 << 40)), ("memoryEvents", memoryEvents, 64...(1 << 30)),
            ("spool.maximumBytes", spool?.maximumBytes ?? 1 << 30, (1 << 20)...(1 << 50)),
        ] where !range.contains(value) {
            throw complain("\(name) is \(value); choose \(range.lowerBound) to \(range.upperBound)")
        }
        guard
            maximumEventBytes <= memoryBytes / 2
                || maximumEventBytes == PublisherConfiguration(urls: []).maximumEventBytes
        else {
            throw complain(
                "maximumEventBytes is \(maximumEventBytes), more than half of memoryBytes (\(memoryBytes)); raise memoryBytes"
            )
        }
        for (name, value) in [("delay", delay), ("reconnectWait", reconnectWait)]
        where value < .zero || value > .seconds(60) {
            throw complain("\(name) is \(value); choose 0 to 60 s")
        }
        if let spool, spool.directory.isEmpty { throw complain("spool.directory is empty; name a directory") }
    }

    /// The largest event that is taken: half of the memory at most, or it could never leave.
    var eventLimit: Int { min(maximumEventBytes, memoryBytes / 2) }

    var limits: PublishLimits {
        var limits = PublishLimits()
        limits.memoryBytes = memoryBytes
        limits.memoryEvents = memoryEvents
        limits.batchEvents = batchEvents
        limits.batchBytes = min(batchBytes, memoryBytes / 16)
        limits.flightBytes = min(limits.flightBytes, max(memoryBytes / 4, batchBytes))
        switch whenFull {
        case .dropOldest: limits.policy = .dropOldest
        case .block: limits.policy = .wait
        }
        if let spool {
            limits.spooling = spool.mode == .always ? .always : .whenNeeded
            limits.diskBytes = spool.maximumBytes
            limits.segmentBytes = min(limits.segmentBytes, spool.maximumBytes / 8)
        }
        return limits
    }

    var natsOptions: NATSOptions {
        NATSOptions(
            urls: urls, name: "skein-agent \(producer)", authentication: authentication, tls: tls,
            reconnectWait: reconnectWait)
    }
}
