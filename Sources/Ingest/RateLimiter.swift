/// Counts what producers use against what they may: a bucket for each, which fills as time passes and may run into debt once.
package struct RateLimiter: Sendable {
    private struct Bucket {
        var level: Double
        var at: Duration
    }

    private let perSecond: Double
    private let burst: Double
    private let maximumBuckets: Int
    private var buckets: [String: Bucket] = [:]

    /// - Parameters:
    ///   - burst: what may be used at once by who has used nothing.
    ///   - maximumBuckets: producers that are remembered; beyond it, those that have used the least lately are forgotten.
    package init(perSecond: Double, burst: Double, maximumBuckets: Int = 10_000) {
        self.perSecond = perSecond
        self.burst = burst
        self.maximumBuckets = maximumBuckets
    }

    /// How long a producer has to wait until it may use more; nil when it may now.
    ///
    /// - Parameter now: since any fixed moment.
    package func wait(_ key: String, now: Duration) -> Duration? {
        guard let bucket = buckets[key] else { return nil }
        let level = self.level(bucket, now)
        return level >= 0 ? nil : .seconds(-level / perSecond)
    }

    package mutating func use(_ amount: Int, _ key: String, now: Duration) {
        let level = buckets[key].map { self.level($0, now) } ?? burst
        if buckets[key] == nil, buckets.count >= maximumBuckets { forget(now) }
        buckets[key] = Bucket(level: level - Double(amount), at: now)
    }

    private func level(_ bucket: Bucket, _ now: Duration) -> Double {
        min(burst, bucket.level + (now - bucket.at) / .seconds(1) * perSecond)
    }

    /// Makes room for many at once.
    private mutating func forget(_ now: Duration) {
        let levels = buckets.mapValues { level($0, now) }
        buckets = buckets.filter { levels[$0.key, default: 0] < burst }
        guard buckets.count >= maximumBuckets else { return }
        let kept = levels.filter { buckets[$0.key] != nil }.sorted { $0.value < $1.value }.prefix(maximumBuckets / 2)
        let keys = Set(kept.map(\.key))
        buckets = buckets.filter { keys.contains($0.key) }
    }
}
