internal import ArgumentParser

struct BenchCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "bench", abstract: "Measure throughput against this machine's own ceiling.")
    func run() async throws {}
}
