internal import ATOF
internal import LLMCodecs

/// Measures the codecs on one thread: CPU for a body of each surface, from its JSON text to the common form.
struct CodecBenchmark {
    private static let rounds = 2000
    private static let repetitions = 3

    /// The surfaces that are decoded, request and response.
    func run() throws -> [BenchmarkReport.Codec] {
        try BenchmarkBodies.all.flatMap { bodies in
            let surface = bodies.surface
            return [
                try figure("\(surface.rawValue) request", bodies.request) { _ = try surface.decodeRequest($0) },
                try figure("\(surface.rawValue) response", bodies.response) { _ = try surface.decodeResponse($0) },
            ]
        }
    }

    /// The best of some repetitions.
    private func figure(_ name: String, _ text: String, _ decode: (JSONValue) throws -> Void) throws
        -> BenchmarkReport.Codec
    {
        let bytes = Array(text.utf8)
        var best = Duration.seconds(Int64.max)
        for _ in 0..<Self.repetitions {
            let start = ResourceUsage.threadCPU
            for _ in 0..<Self.rounds { try decode(JSONParser.parse(bytes)) }
            best = min(best, ResourceUsage.threadCPU - start)
        }
        return .init(
            name: name, bytes: bytes.count, cpuMicrosecondsPerBody: best / .microseconds(1) / Double(Self.rounds))
    }
}
