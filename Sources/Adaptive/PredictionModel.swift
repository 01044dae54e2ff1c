package import ATOF

/// What has been learned about the model calls of one agent: statistics by the path of scopes and the call's name, and by how often the
/// name was called before in the run (`adaptive.md` 4).
package struct PredictionModel: Sendable, Hashable {
    private struct Node: Sendable, Hashable {
        var anyIndex = CallStatistics()
        var byIndex: [UInt32: CallStatistics] = [:]
    }

    /// Statistics at the most, for a model has to fit into a message. Beyond them no further places are learned, those that are there are.
    package static let entryLimit = 500
    /// Of a path: deeper places, and those of longer names, are not told apart.
    private static let depthLimit = 16
    private static let pathBytes = 512
    private static let version: UInt8 = 1

    package let tenant: String
    package let agent: String
    /// The empty path stands for all calls.
    private var nodes: [[String]: Node] = [:]
    private var entryCount = 0
    /// Up to which time of the log each partition has been learned: who reads it again learns nothing twice.
    private var learnedUntil: [Int: UInt64] = [:]

    package init(tenant: String, agent: String) {
        self.tenant = tenant
        self.agent = agent
    }

    package var isEmpty: Bool { nodes.isEmpty }

    // MARK: Learning

    /// - Parameters:
    ///   - runs: with the times of the messages that ended them, in their order.
    /// - Returns: how many were new.
    package mutating func learn(_ runs: [(time: UInt64, run: CompletedRun)], partition: Int) -> Int {
        let known = learnedUntil[partition] ?? 0
        let new = runs.filter { $0.time > known }
        for entry in new {
            for sample in entry.run.samples { add(sample) }
            learnedUntil[partition] = max(learnedUntil[partition] ?? 0, entry.time)
        }
        return new.count
    }

    private mutating func add(_ sample: CompletedRun.Sample) {
        for depth in 0...min(sample.path.count, PredictionModel.depthLimit) {
            let path = Array(sample.path.prefix(depth))
            if nodes[path] == nil {
                guard hasRoom, path.reduce(0, { $0 + $1.utf8.count }) <= PredictionModel.pathBytes else { return }
                nodes[path] = Node()
                entryCount += 1
            }
            nodes[path]?.anyIndex.add(sample)
            if nodes[path]?.byIndex[sample.callIndex] == nil {
                guard hasRoom else { continue }
                entryCount += 1
            }
            nodes[path]?.byIndex[sample.callIndex, default: CallStatistics()].add(sample)
        }
    }

    private var hasRoom: Bool { entryCount < PredictionModel.entryLimit }

    // MARK: Hints

    /// From the deepest place on the question's path of which something is known, for the same index where there is one (4.4).
    package func hints(for question: HintQuestion) -> AgentHints? {
        var found: CallStatistics?
        let path = question.scopePath + [question.callName]
        for depth in 0...path.count {
            guard let node = nodes[Array(path.prefix(depth))] else { break }
            found = node.byIndex[question.callIndex] ?? node.anyIndex
        }
        return found?.hints(for: question)
    }

    // MARK: Storage

    package func encoded() -> [UInt8] {
        var writer = SnapshotWriter(version: PredictionModel.version)
        writer.write(tenant)
        writer.write(agent)
        writer.write(learnedUntil.count)
        for (partition, time) in learnedUntil.sorted(by: { $0.key < $1.key }) {
            writer.write(partition)
            writer.write(time)
        }
        writer.write(nodes.count)
        for (path, node) in nodes.sorted(by: { $0.key.lexicographicallyPrecedes($1.key) }) {
            writer.write(path.count)
            for name in path { writer.write(name) }
            node.anyIndex.write(to: &writer)
            writer.write(node.byIndex.count)
            for (index, statistics) in node.byIndex.sorted(by: { $0.key < $1.key }) {
                writer.write(UInt64(index))
                statistics.write(to: &writer)
            }
        }
        return writer.bytes
    }

    /// - Throws: `SnapshotError` for what no version of this wrote.
    package init(_ bytes: [UInt8]) throws(SnapshotError) {
        var reader = try SnapshotReader(bytes, version: PredictionModel.version)
        tenant = try reader.readText()
        agent = try reader.readText()
        for _ in 0..<(try reader.readCount()) {
            guard let partition = Int(exactly: try reader.readNumber()) else {
                throw SnapshotError("a partition of the model is out of range")
            }
            learnedUntil[partition] = try reader.readNumber()
        }
        for _ in 0..<(try reader.readCount()) {
            var path: [String] = []
            for _ in 0..<(try reader.readCount()) { path.append(try reader.readText()) }
            var node = Node()
            node.anyIndex = try CallStatistics(from: &reader)
            for _ in 0..<(try reader.readCount()) {
                guard let index = UInt32(exactly: try reader.readNumber()) else {
                    throw SnapshotError("an index of the model is out of range")
                }
                node.byIndex[index] = try CallStatistics(from: &reader)
            }
            entryCount += 1 + node.byIndex.count
            nodes[path] = node
        }
        try reader.end()
    }
}
