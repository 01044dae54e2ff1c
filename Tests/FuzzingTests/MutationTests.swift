import Foundation
import Fuzzing
import Testing

/// The short version of ./dev fuzz: the same targets, without coverage to guide it.
@Suite("Mutated inputs")
struct MutationTests {
    private static let folders = ["ATOFTests/Recorded", "ATOFTests/Malformed", "LLMCodecsTests/Fixtures"]
    /// Larger ones take too long in a debug build.
    private static let largest = 5000
    private static func mutations(of target: FuzzTarget) -> Int {
        switch target {
        case .json, .eventLine, .eventBatch, .chunks, .snapshots, .process, .codecs, .streams, .pricing, .skills,
            .webSocket, .ingestLines, .fileNames, .patterns, .spool, .schemas:
            200
        case .full, .genAI, .openinference, .logs, .metrics, .atif, .assembler: 20
        }
    }

    private static func recordings() throws -> [[UInt8]] {
        let tests = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        return try folders.flatMap { folder in
            try FileManager.default.contentsOfDirectory(
                at: tests.appendingPathComponent(folder), includingPropertiesForKeys: nil
            ).filter { $0.pathExtension == "jsonl" }.sorted { $0.path < $1.path }.map {
                Array(try Data(contentsOf: $0))
            }
        }
    }

    @Test("do no harm", arguments: FuzzTarget.allCases)
    func mutated(_ target: FuzzTarget) throws {
        var random = SeededGenerator(seed: 4)
        let recordings = try Self.recordings().shuffled(using: &random)
        let mutations = Self.mutations(of: target)
        let seeds = recordings.lazy.flatMap(target.seeds).filter { $0.count <= Self.largest }.prefix(min(mutations, 40))
        #expect(!seeds.isEmpty)
        let inputs = Array(seeds)
        for number in 0..<mutations {
            let seed = inputs[number % inputs.count]
            let input =
                target.isJSON && number % 4 != 0
                ? mutateJSON(seed, &random) : mutateBytes(seed, &random)
            do {
                try target.run(input)
            } catch {
                Issue.record("\(error): \(String(decoding: input.prefix(2000), as: UTF8.self))")
                return
            }
        }
    }

    private func mutateJSON(_ seed: [UInt8], _ random: inout SeededGenerator) -> [UInt8] {
        var mutator = InputMutator(seed: random.next())
        return mutator.mutated(seed, limit: Self.largest)
    }

    private func mutateBytes(_ seed: [UInt8], _ random: inout SeededGenerator) -> [UInt8] {
        var bytes = seed
        for _ in 0..<Int.random(in: 1...8, using: &random) where !bytes.isEmpty {
            let place = Int.random(in: bytes.indices, using: &random)
            switch Int.random(in: 0..<4, using: &random) {
            case 0: bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
            case 1: bytes[place] = UInt8.random(in: 0...255, using: &random)
            case 2: bytes.insert(bytes[Int.random(in: bytes.indices, using: &random)], at: place)
            default: bytes.remove(at: place)
            }
        }
        return bytes
    }
}

/// Inputs that once failed.
@Suite("Found inputs")
struct FoundInputTests {
    private static func inputs(of target: FuzzTarget) throws -> [URL] {
        let folder = try #require(Bundle.module.resourceURL).appendingPathComponent("Found/\(target.rawValue)")
        guard FileManager.default.fileExists(atPath: folder.path) else { return [] }
        return try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
    }

    @Test("stay harmless", arguments: FuzzTarget.allCases)
    func found(_ target: FuzzTarget) throws {
        for input in try Self.inputs(of: target) {
            #expect(throws: Never.self, "\(input.lastPathComponent)") {
                try target.run(Array(try Data(contentsOf: input)))
            }
        }
    }
}
