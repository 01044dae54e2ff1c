internal import Synchronization

/// Counters, gauges and histograms of the process, in Prometheus' text format. Counted once a message or batch, never once an event.
package final class Metrics: Sendable {
    private struct Series {
        var values: [String: Double] = [:]
        var isCounter = true
    }

    private let state = Mutex<[String: Series]>([:])
    private let histograms = Mutex<[String: [String: Histogram]]>([:])

    package init() {}

    /// - Parameters:
    ///   - name: `skein_<noun>_<unit>_total`.
    ///   - labels: of low cardinality; in the order in which they are shown.
    package func add(_ name: String, _ amount: Int = 1, _ labels: KeyValuePairs<String, String> = [:]) {
        guard amount != 0 else { return }
        let key = Metrics.text(of: labels)
        state.withLock { $0[name, default: Series()].values[key, default: 0] += Double(amount) }
    }

    package func set(_ name: String, _ value: Double, _ labels: KeyValuePairs<String, String> = [:]) {
        let key = Metrics.text(of: labels)
        state.withLock { series in
            series[name, default: Series()].values[key] = value
            series[name]?.isCounter = false
        }
    }

    /// Counts a time in a histogram.
    ///
    /// - Parameter name: `skein_<noun>_seconds`.
    package func observe(_ name: String, _ time: Duration, _ labels: KeyValuePairs<String, String> = [:]) {
        let key = Metrics.text(of: labels)
        histograms.withLock { $0[name, default: [:]][key, default: Histogram()].observe(time / .seconds(1)) }
    }

    /// Takes back what a part of the collector that is gone has shown as its state.
    package func remove(_ name: String, _ labels: KeyValuePairs<String, String>) {
        let key = Metrics.text(of: labels)
        state.withLock { _ = $0[name]?.values.removeValue(forKey: key) }
    }

    /// Takes back every gauge with exactly these labels.
    package func remove(_ labels: KeyValuePairs<String, String>) {
        let key = Metrics.text(of: labels)
        state.withLock { series in
            for name in series.keys where series[name]?.isCounter == false { series[name]?.values[key] = nil }
        }
    }

    /// The sum of a metric over all labels.
    package func total(_ name: String) -> Double {
        state.withLock { $0[name]?.values.values.reduce(0, +) ?? 0 }
    }

    package func prometheusText() -> String {
        let all = state.withLock { $0 }
        var text = ""
        for (name, series) in all.sorted(by: { $0.key < $1.key }) {
            text += "# TYPE \(name) \(series.isCounter ? "counter" : "gauge")\n"
            for (labels, value) in series.values.sorted(by: { $0.key < $1.key }) {
                let number = value == value.rounded() && abs(value) < 1e15 ? String(Int64(value)) : String(value)
                text += "\(name)\(labels) \(number)\n"
            }
        }
        for (name, series) in histograms.withLock({ $0 }).sorted(by: { $0.key < $1.key }) {
            text += "# TYPE \(name) histogram\n"
            for (labels, histogram) in series.sorted(by: { $0.key < $1.key }) {
                text += histogram.prometheusText(name, labels: labels)
            }
        }
        return text
    }

    private static func text(of labels: KeyValuePairs<String, String>) -> String {
        if labels.isEmpty { return "" }
        let pairs = labels.map { name, value in
            let escaped = value.map { character -> String in
                switch character {
                case "\\": "\\\\"
                case "\"": "\\\""
                case "\n": "\\n"
                default: String(character)
                }
            }
            return "\(name)=\"\(escaped.joined())\""
        }
        return "{\(pairs.joined(separator: ","))}"
    }
}
