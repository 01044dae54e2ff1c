import NATSTransport
import Stages
import Synchronization
import Testing

@testable import AgentKit

@Suite("Subscription source", .timeLimit(.minutes(1)))
struct SubscriptionSourceTests {
    @Test(
        "begins where the stream ended when it was made, and tries again what could not be read",
        arguments: [SkeinSubscriber.Place.now, .durable("reader")])
    func place(place: SkeinSubscriber.Place) async throws {
        try await PublisherRig.with { rig in
            try await rig.connected { jetStream in
                func publish(_ number: UInt8) async throws {
                    _ = try await jetStream.publish(subject: "skein.v1.events.acme.key", payload: [number])
                }
                if place == .now { try await publish(0) }
                let failures = Mutex(2)
                let source = try await SubscriptionSource<UInt8>.open(
                    jetStream, SubscriberConfiguration(urls: [rig.server.url]), stream: SkeinSubjects.eventsStream,
                    filter: "skein.v1.events.*.*", place: place
                ) { message in
                    let fails = failures.withLock { failures in
                        failures -= 1
                        return failures >= 0
                    }
                    if fails { throw NATSError(.timeout, "no answer") }
                    return message.payload.first
                }
                for number in 1...3 as ClosedRange<UInt8> { try await publish(number) }
                var seen: [UInt8] = []
                for _ in 1...3 {
                    let delivery = try await source.next()
                    seen.append(delivery.value)
                    try await delivery.acknowledge()
                }
                #expect(seen == [1, 2, 3])
            }
        }
    }
}
