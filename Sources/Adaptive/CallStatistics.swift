internal import ATOF

/// A mean that grows by one number after the other.
struct RunningMean: Sendable, Hashable {
    private(set) var count: UInt64 = 0
    private(set) var mean = 0.0

    init() {}

    init(count: UInt64, mean: Double) {
        self.count = count
        self.mean = mean
    }

    mutating func add(_ value: Double) {
        count += 1
        mean += (value - mean) / Double(count)
    }
}

/// What has been learned about calls of one place (`adaptive.md` 4.2). Of the reference's figures those that a hint is made of.
struct CallStatistics: Sendable, Hashable {
    private var remainingCalls = RunningMean()
    private var interarrival = RunningMean()
    private var sensitivity = RunningMean()
    private var outputTokens = TDigest()

    init() {}

    mutating func add(_ sample: CompletedRun.Sample) {
        remainingCalls.add(sample.remainingCalls)
        if let gap = sample.interarrival { interarrival.add(gap) }
        sensitivity.add(sample.sensitivity)
        outputTokens.add(sample.outputTokens)
    }

    /// From 1 to 5; 5 is the most sensitive.
    private var level: Double {
        let scale = 5.0
        return min(max((sensitivity.mean * (scale - 1)).rounded() + 1, 1), scale)
    }

    func hints(for question: HintQuestion) -> AgentHints {
        AgentHints(
            outputLength: UInt32(clampedTo: outputTokens.quantile(0.9)),
            interarrival: UInt32(clampedTo: interarrival.mean),
            latencySensitivity: level, prefixID: question.prefixID,
            totalRequests: UInt32(clampedTo: remainingCalls.mean.rounded() + Double(question.callIndex)))
    }

    // MARK: Storage

    func write(to writer: inout SnapshotWriter) {
        for mean in [remainingCalls, interarrival, sensitivity] {
            writer.write(mean.count)
            writer.write(mean.mean.bitPattern)
        }
        var digest = outputTokens
        if digest.centroids.count > TDigest.size { digest.compress() }
        writer.write(digest.centroids.count)
        for centroid in digest.centroids {
            writer.write(centroid.mean.bitPattern)
            writer.write(UInt64(centroid.weight))
        }
    }

    init(from reader: inout SnapshotReader) throws(SnapshotError) {
        func mean() throws(SnapshotError) -> RunningMean {
            let count = try reader.readTally()
            let mean = Double(bitPattern: try reader.readNumber())
            guard mean.isFinite else { throw SnapshotError("a mean of the model is no number") }
            return RunningMean(count: count, mean: mean)
        }
        remainingCalls = try mean()
        interarrival = try mean()
        sensitivity = try mean()
        var centroids: [TDigest.Centroid] = []
        for _ in 0..<(try reader.readCount()) {
            centroids.append(
                .init(
                    mean: Double(bitPattern: try reader.readNumber()),
                    weight: Double(try reader.readTally())))
        }
        outputTokens = TDigest(centroids)
    }
}

extension UInt32 {
    /// Rounded half away from zero; what is below it is 0.
    init(clampedTo value: Double) {
        self = value.isFinite ? UInt32(Swift.min(Swift.max(value.rounded(), 0), Double(UInt32.max))) : 0
    }
}
