/// Quantiles of a stream of numbers in little room: centroids that are small at the ends and large in the middle (`adaptive.md` 4.2).
package struct TDigest: Sendable, Hashable {
    package struct Centroid: Sendable, Hashable {
        package var mean: Double
        /// How many values it stands for.
        package var weight: Double

        package init(mean: Double, weight: Double) {
            self.mean = mean
            self.weight = weight
        }
    }

    /// Centroids after compression at the most; twice as many before.
    package static let size = 100

    /// By their means.
    package private(set) var centroids: [Centroid] = []
    private var weight = 0.0

    package init() {}

    /// - Parameter centroids: as `centroids` had them.
    package init(_ centroids: [Centroid]) {
        self.centroids = centroids.filter { $0.mean.isFinite && $0.weight.isFinite && $0.weight > 0 }
            .sorted { $0.mean < $1.mean }
        weight = self.centroids.reduce(0) { $0 + $1.weight }
    }

    package mutating func add(_ value: Double) {
        guard value.isFinite else { return }
        var (low, high) = (0, centroids.count)
        while low < high {
            let middle = (low + high) / 2
            if centroids[middle].mean <= value { low = middle + 1 } else { high = middle }
        }
        centroids.insert(Centroid(mean: value, weight: 1), at: low)
        weight += 1
        if centroids.count > TDigest.size * 2 { compress() }
    }

    /// Joins neighbours as long as what they become stays below what its place allows.
    package mutating func compress() {
        guard var current = centroids.first else { return }
        var joined: [Centroid] = []
        var before = 0.0
        for next in centroids.dropFirst() {
            let sum = current.weight + next.weight
            let quantile = (before + sum / 2) / weight
            let most = 2 * Double.pi * weight * (quantile * (1 - quantile)).squareRoot() / Double(TDigest.size)
            if sum <= most {
                current.mean += (next.mean - current.mean) * next.weight / sum
                current.weight = sum
            } else {
                joined.append(current)
                before += current.weight
                current = next
            }
        }
        joined.append(current)
        centroids = joined
    }

    /// - Returns: an estimate, exact as long as nothing was joined and the place is that of a value; 0 without any.
    package func quantile(_ quantile: Double) -> Double {
        guard let first = centroids.first, let last = centroids.last else { return 0 }
        let target = quantile * weight
        var before = 0.0
        var previous = (position: 0.0, mean: first.mean)
        for centroid in centroids {
            let position = before + centroid.weight / 2
            if target <= position {
                let width = position - previous.position
                let share = width > 0 ? (target - previous.position) / width : 1
                return previous.mean + (centroid.mean - previous.mean) * share
            }
            previous = (position, centroid.mean)
            before += centroid.weight
        }
        return last.mean
    }
}
