/// How many of the times that were seen are below each of some bounds.
struct Histogram: Sendable {
    /// Seconds: what a question over the bus takes, and what is too long for it.
    private static let bounds = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5]

    private var counts = [Int](repeating: 0, count: bounds.count)
    private var count = 0
    private var sum = 0.0

    mutating func observe(_ seconds: Double) {
        count += 1
        sum += seconds
        if let index = Histogram.bounds.firstIndex(where: { seconds <= $0 }) { counts[index] += 1 }
    }

    /// - Parameter labels: in braces, or empty.
    func prometheusText(_ name: String, labels: String) -> String {
        let others = labels.isEmpty ? "" : labels.dropFirst().dropLast() + ","
        var text = ""
        var below = 0
        for (bound, count) in zip(Histogram.bounds, counts) {
            below += count
            text += "\(name)_bucket{\(others)le=\"\(bound)\"} \(below)\n"
        }
        text += "\(name)_bucket{\(others)le=\"+Inf\"} \(count)\n"
        return text + "\(name)_sum\(labels) \(sum)\n\(name)_count\(labels) \(count)\n"
    }
}
