import CLibFuzzer
import Foundation
import Fuzzing

// What libFuzzer calls. The target and the seeds come in the environment, because the arguments belong to libFuzzer.

private enum Fuzzed {
    static let target: FuzzTarget = {
        let name = ProcessInfo.processInfo.environment["SKEIN_FUZZ_TARGET"] ?? ""
        guard let target = FuzzTarget(rawValue: name) else {
            fatalError("SKEIN_FUZZ_TARGET is \"\(name)\", which is no target")
        }
        return target
    }()
}

/// Once, before all others. With `SKEIN_FUZZ_LIST` it prints the targets and ends; with `SKEIN_FUZZ_SEEDS`, directories that are
/// separated by colons, it writes the seeds of their recordings into `SKEIN_FUZZ_CORPUS` and ends.
@_cdecl("LLVMFuzzerInitialize")
public func initialize(
    _ count: UnsafeMutablePointer<CInt>,
    _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>>>
) -> CInt {
    let environment = ProcessInfo.processInfo.environment
    if environment["SKEIN_FUZZ_LIST"] != nil {
        for target in FuzzTarget.allCases { print(target.rawValue) }
        exit(0)
    }
    if let folders = environment["SKEIN_FUZZ_SEEDS"], let corpus = environment["SKEIN_FUZZ_CORPUS"] {
        do {
            try writeSeeds(of: folders.split(separator: ":").map { URL(fileURLWithPath: String($0)) }, to: corpus)
        } catch {
            fatalError("seeds cannot be written: \(error)")
        }
        exit(0)
    }
    return 0
}

private func writeSeeds(of folders: [URL], to corpus: String) throws {
    var number = 0
    for folder in folders {
        let files = FileManager.default.enumerator(at: folder, includingPropertiesForKeys: nil)
        for case let file as URL in files ?? .init() where file.pathExtension == "jsonl" {
            for seed in Fuzzed.target.seeds(from: Array(try Data(contentsOf: file))) {
                number += 1
                try Data(seed).write(to: URL(fileURLWithPath: corpus).appendingPathComponent("seed-\(number)"))
            }
        }
    }
}

/// One input. A failure ends the process: libFuzzer then keeps the input.
@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    do {
        try Fuzzed.target.run(Array(UnsafeBufferPointer(start: start, count: count)))
    } catch {
        fatalError("\(Fuzzed.target.rawValue): \(error)")
    }
    return 0
}

/// Half of the changes are libFuzzer's own, the others are made with JSON in mind.
@_cdecl("LLVMFuzzerCustomMutator")
public func mutate(_ data: UnsafeMutablePointer<UInt8>, _ count: Int, _ limit: Int, _ seed: UInt32) -> Int {
    guard Fuzzed.target.isJSON, seed % 2 == 0 else { return LLVMFuzzerMutate(data, count, limit) }
    var mutator = InputMutator(seed: UInt64(seed))
    let mutated = mutator.mutated(Array(UnsafeBufferPointer(start: data, count: count)), limit: limit)
    _ = UnsafeMutableBufferPointer(start: data, count: mutated.count).update(fromContentsOf: mutated)
    return mutated.count
}
