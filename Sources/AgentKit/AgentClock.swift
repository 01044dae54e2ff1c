package import ATOF
internal import Synchronization

#if canImport(Glibc)
    internal import Glibc
#else
    internal import Musl
#endif

/// Where times and identifiers come from; tests have their own.
package struct AgentClock: Sendable {
    package var now: @Sendable () -> EventTime
    /// Seconds on a clock that is never set.
    package var elapsed: @Sendable () -> Double
    package var makeUUID: @Sendable (EventTime) -> EventUUID

    package init(
        now: @escaping @Sendable () -> EventTime, elapsed: @escaping @Sendable () -> Double,
        makeUUID: @escaping @Sendable (EventTime) -> EventUUID
    ) {
        self.now = now
        self.elapsed = elapsed
        self.makeUUID = makeUUID
    }

    package static let system = AgentClock(
        now: {
            let time = read(CLOCK_REALTIME)
            return EventTime(epochMicroseconds: Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000)
        },
        elapsed: {
            let time = read(CLOCK_MONOTONIC)
            return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
        },
        makeUUID: { random.makeUUID($0) })

    private static func read(_ clock: clockid_t) -> timespec {
        var time = timespec()
        clock_gettime(clock, &time)
        return time
    }

    private static let random = RandomSource()
}

/// Random bits without a lock and without the kernel: a counter whose steps are mixed (SplitMix64), from seeds of the system.
private final class RandomSource: Sendable {
    private let counter: Atomic<UInt64>
    private let key: UInt64

    init() {
        var system = SystemRandomNumberGenerator()
        counter = Atomic(system.next())
        key = system.next()
    }

    func makeUUID(_ time: EventTime) -> EventUUID {
        let step = counter.wrappingAdd(0x9E37_79B9_7F4A_7C15, ordering: .relaxed).newValue
        return EventUUID(
            version7: time, random: (RandomSource.mixed(step ^ key), RandomSource.mixed(step)))
    }

    private static func mixed(_ value: UInt64) -> UInt64 {
        var value = value
        value = (value ^ value >> 30) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ value >> 27) &* 0x94D0_49BB_1331_11EB
        return value ^ value >> 31
    }
}
