internal import ArgumentParser
internal import Collector
internal import Foundation

struct ValidateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "validate", abstract: "Check a configuration file and print every complaint with its key.",
        discussion: "Example: skein validate --config skein.toml --format json")

    @Option(name: .shortAndLong, help: "Configuration file (TOML); NeMo Relay's plugins.toml works too.")
    var config: String

    @Option(help: "text or json.")
    var format = OutputFormat.text

    func run() async throws {
        let diagnostics: [Diagnostic]
        var isValid = true
        do throws(ConfigurationError) {
            diagnostics = try ConfigurationReader.read(file: config, environment: ProcessInfo.processInfo.environment).1
        } catch {
            diagnostics = error.diagnostics
            isValid = false
        }
        switch format {
        case .text:
            for diagnostic in diagnostics { Terminal.out("\(diagnostic)") }
            if isValid { Terminal.out("\(config) is valid") }
        case .json:
            let report: [String: Any] = [
                "valid": isValid,
                "diagnostics": diagnostics.map {
                    ["level": $0.level.rawValue, "code": $0.code, "field": $0.field, "message": $0.message]
                },
            ]
            Terminal.out(
                String(
                    decoding: try JSONSerialization.data(withJSONObject: report, options: .sortedKeys), as: UTF8.self))
        }
        if !isValid { throw ExitCode(2) }
    }
}
