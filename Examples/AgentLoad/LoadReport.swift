import AgentKit
import Foundation

/// What a load has measured, for scripts.
struct LoadReport: Encodable {
    struct Percentiles: Encodable {
        let count: Int
        let p50: UInt32
        let p99: UInt32
        let p999: UInt32
        let most: UInt32

        init(_ times: [UInt32]) {
            let sorted = times.sorted()
            func at(_ share: Double) -> UInt32 {
                sorted.isEmpty ? 0 : sorted[min(sorted.count - 1, Int(Double(sorted.count) * share))]
            }
            (count, p50, p99, p999, most) = (sorted.count, at(0.5), at(0.99), at(0.999), sorted.last ?? 0)
        }
    }

    let flushed: Bool
    let appended: Int
    let acknowledged: Int
    let spooled: Int
    let replayed: Int
    let found: Int
    let dropped: [String: Int]
    let failedMessages: Int
    let peakMemoryBytes: Int
    let diskBytes: Int
    let residentBytes: Int
    /// Nanoseconds of the caller.
    let calm: Percentiles
    let away: Percentiles

    init(_ statistics: PublisherStatistics, _ times: Load.Times, isFlushed: Bool, resident: Int) {
        flushed = isFlushed
        appended = statistics.appended
        acknowledged = statistics.acknowledged
        spooled = statistics.spooled
        replayed = statistics.replayed
        found = statistics.found
        dropped = Dictionary(uniqueKeysWithValues: statistics.dropped.map { ($0.key.rawValue, $0.value) })
        failedMessages = statistics.failedMessages
        peakMemoryBytes = statistics.peakMemoryBytes
        diskBytes = statistics.diskBytes
        residentBytes = resident
        calm = Percentiles(times.calm)
        away = Percentiles(times.away)
    }

    func json() throws -> String {
        let encoder = JSONEncoder()
        encoder.keyEncodingStrategy = .convertToSnakeCase
        encoder.outputFormatting = .sortedKeys
        return String(decoding: try encoder.encode(self), as: UTF8.self)
    }
}
