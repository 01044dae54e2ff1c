internal import ATOF
internal import ArgumentParser
internal import Collector
internal import Foundation
internal import Trajectories

struct ValidateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "validate",
        abstract: "Check a configuration file or a trajectory, and print every complaint with its place.",
        discussion: """
            Examples:
              skein validate --config skein.toml --format json
              skein validate --atif trajectory.json

            A trajectory is checked for more than its schema: totals equal sums, times do not run backwards, ids are
            unique, results belong to calls of their step.
            """)

    @Option(name: .shortAndLong, help: "Configuration file (TOML); NeMo Relay's plugins.toml works too.")
    var config: String?

    @Option(help: "File with one ATIF document, or an array of them; - is standard input.")
    var atif: String?

    @Option(help: "text or json.")
    var format = OutputFormat.text

    func validate() throws {
        if (config == nil) == (atif == nil) { throw ValidationError("name one file: --config FILE or --atif FILE") }
    }

    func run() async throws {
        if let config { try check(configuration: config) }
        if let atif { try check(trajectories: atif) }
    }

    /// Ends with code 1 when there is a finding.
    private func check(trajectories path: String) throws {
        let documents = try documents(of: path)
        var findings: [DocumentFinding] = []
        for (index, document) in documents.enumerated() {
            let prefix = documents.count > 1 ? "\(index)." : ""
            findings += DocumentValidator.findings(in: document).map { $0.below(prefix) }
        }
        switch format {
        case .text:
            for finding in findings { Terminal.out("\(finding)") }
            if findings.isEmpty { Terminal.out("\(path) is valid") }
        case .json:
            try report(
                isValid: findings.isEmpty, "findings", findings.map { ["path": $0.path, "message": $0.what] })
        }
        if !findings.isEmpty { throw ExitCode(1) }
    }

    /// - Throws: `UsageError` for a file that cannot be read or is not JSON.
    private func documents(of path: String) throws -> [JSONValue] {
        let data: Data
        if path == "-" {
            data = try FileHandle.standardInput.readToEnd() ?? Data()
        } else {
            guard let content = FileManager.default.contents(atPath: path) else {
                throw UsageError("--atif \(path) cannot be read as a file; name a file with an ATIF document")
            }
            data = content
        }
        guard let value = try? JSONParser.parse(Array(data)) else {
            throw UsageError("--atif \(path) is not JSON; name a file with an ATIF document or an array of them")
        }
        return value.arrayValue ?? [value]
    }

    private func check(configuration config: String) throws {
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
            try report(
                isValid: isValid, "diagnostics",
                diagnostics.map {
                    ["level": $0.level.rawValue, "code": $0.code, "field": $0.field, "message": $0.message]
                })
        }
        if !isValid { throw ExitCode(2) }
    }

    private func report(isValid: Bool, _ key: String, _ complaints: [[String: String]]) throws {
        let report: [String: Any] = ["valid": isValid, key: complaints]
        Terminal.out(
            String(decoding: try JSONSerialization.data(withJSONObject: report, options: .sortedKeys), as: UTF8.self))
    }
}
