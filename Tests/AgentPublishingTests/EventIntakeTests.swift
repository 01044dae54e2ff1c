import ATOF
import AgentPublishing
import Dispatch
import Testing

@testable import AgentKit

@Suite("Event intake", .timeLimit(.minutes(1)))
struct EventIntakeTests {
    private static let key = PublisherRig.key(1)

    private static func intake(_ patience: Duration, _ wake: DispatchSemaphore) -> EventIntake {
        var configuration = PublisherConfiguration(urls: ["nats://127.0.0.1:4222"])
        configuration.memoryBytes = 256 << 10
        configuration.whenFull = .block(atMost: patience)
        return EventIntake(configuration, wake: wake)
    }

    private static func isSignalled(_ wake: DispatchSemaphore) -> Bool { wake.wait(timeout: .now()) == .success }

    @Test("who waits for room is not overtaken, and wakes the thread once, whatever the size of its event")
    func order() async throws {
        let wake = DispatchSemaphore(value: 0)
        let intake = Self.intake(.seconds(600), wake)
        intake.settle(bytes: 200_000, events: 2, reuse: [])
        /// Appends, and returns when that waits.
        func waiting(_ bytes: Int) async -> Task<Void, any Error> {
            _ = intake.prepareToSleep(looksAgain: false)
            let task = Task { try await intake.appendWaiting([UInt8](repeating: 0, count: bytes), key: Self.key) }
            await onThread { wake.wait() }
            return task
        }
        let large = await waiting(100_000)
        let small = await waiting(10)
        // Room for the small one only.
        intake.settle(bytes: 190_000, events: 2, reuse: [])
        #expect(!Self.isSignalled(wake))
        #expect(intake.take().events == 0)
        intake.settle(bytes: 100_000, events: 1, reuse: [])
        try await large.value
        try await small.value
        #expect(intake.take().chunks.joined().map(\.event.count) == [100_000, 10])
    }

    @Test("who waits too long is told and counted, and those behind it go on")
    func late() async throws {
        let wake = DispatchSemaphore(value: 0)
        let intake = Self.intake(.milliseconds(20), wake)
        intake.settle(bytes: 256 << 10, events: 1, reuse: [])
        await #expect(throws: PublisherError.self) {
            try await intake.appendWaiting([UInt8](repeating: 0, count: 100), key: Self.key)
        }
        await onThread { intake.append([UInt8](repeating: 0, count: 100), key: Self.key) }
        #expect(intake.turnedAway == [.timedOut: 2])
        intake.settle(bytes: 0, events: 0, reuse: [])
        #expect(intake.take().events == 0)
    }
}
