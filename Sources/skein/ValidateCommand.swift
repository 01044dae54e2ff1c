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
              skein validate --config organisation.toml --config team.toml
              skein validate --atif trajectory.json

            Of a valid configuration it says what it comes to: layers, components, the chain that events pass, what is asked before the
            act, and the rules on runs.

            A trajectory is checked for more than its schema: totals equal sums, times do not run backwards, ids are
            unique, results belong to calls of their step, images that are files are there.
            """)

    @OptionGroup var files: ConfigurationOptions

    @Option(help: "File with one ATIF document, or an array of them; - is standard input.")
    var atif: String?

    @OptionGroup var report: ReportOptions

    func validate() throws {
        let isConfiguration = !files.config.isEmpty || files.inherit
        if isConfiguration == (atif != nil) { throw ValidationError("name one file: --config FILE or --atif FILE") }
    }

    func run() async throws {
        if let atif { try check(trajectories: atif) } else { try checkConfiguration() }
    }

    /// Ends with code 1 when there is a finding.
    private func check(trajectories path: String) throws {
        let documents = try documents(of: path)
        // Images stand beside the document.
        let folder = URL(fileURLWithPath: path == "-" ? "." : path).absoluteURL
        func hasFile(_ image: String) -> Bool {
            FileManager.default.fileExists(atPath: URL(fileURLWithPath: image, relativeTo: folder).path)
        }
        var findings: [DocumentFinding] = []
        for (index, document) in documents.enumerated() {
            let prefix = documents.count > 1 ? "\(index)." : ""
            findings += DocumentValidator.findings(in: document, hasFile: hasFile).map { $0.below(prefix) }
        }
        if documents.isEmpty { findings = [DocumentFinding("", "is an array without a trajectory")] }
        switch report.format {
        case .text:
            for finding in findings { Terminal.out("\(finding)") }
            if findings.isEmpty { Terminal.out("\(path) is valid") }
        case .json:
            try show([
                "valid": findings.isEmpty, "findings": findings.map { ["path": $0.path, "message": $0.what] },
            ])
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
        guard let value = try? JSONParser.parse(Array(data).withoutByteOrderMark) else {
            throw UsageError("--atif \(path) is not JSON; name a file with an ATIF document or an array of them")
        }
        return value.arrayValue ?? [value]
    }

    /// Ends with code 2 when something keeps the configuration from being used.
    private func checkConfiguration() throws {
        var diagnostics: [Diagnostic]
        var configuration: CollectorConfiguration?
        var explanation: ConfigurationExplanation?
        do throws(ConfigurationError) {
            (configuration, diagnostics) = try files.source.read()
            // What must not run has no chain to explain.
            if let configuration, configuration.obstacles.isEmpty {
                explanation = try ConfigurationExplanation(configuration)
            }
        } catch {
            diagnostics = error.diagnostics
            configuration = nil
        }
        let obstacles = configuration?.obstacles ?? []
        switch report.format {
        case .text:
            for diagnostic in diagnostics { Terminal.out("\(diagnostic)") }
            if configuration != nil {
                let names = files.config.joined(separator: ", ")
                Terminal.out("\(names.isEmpty ? "the configuration" : names) is valid")
                for line in explanation?.lines ?? [] { Terminal.out(line) }
            }
            for obstacle in obstacles { Terminal.out("does not run: \(obstacle)") }
        case .json:
            var report: [String: Any] = [
                "valid": configuration != nil, "diagnostics": diagnostics.map(entry),
                // Without codes and levels: they are no diagnostics.
                "runs": explanation != nil,
                "obstacles": obstacles.map { ["field": $0.field, "message": $0.message] },
            ]
            if let explanation { report.merge(explanation.report) { $1 } }
            try show(report)
        }
        if explanation == nil { throw ExitCode(2) }
    }

    private func entry(_ diagnostic: Diagnostic) -> [String: String] {
        var entry = [
            "level": diagnostic.level.rawValue, "code": diagnostic.code, "field": diagnostic.field,
            "message": diagnostic.message,
        ]
        entry["file"] = diagnostic.file
        return entry
    }

    private func show(_ report: [String: Any]) throws {
        Terminal.out(
            String(decoding: try JSONSerialization.data(withJSONObject: report, options: .sortedKeys), as: UTF8.self))
    }
}

extension ConfigurationExplanation {
    /// As tables.
    fileprivate var lines: [String] {
        var lines: [String] = []
        if files.count > 1 {
            lines.append("layers, the last one counts most:")
            lines += files.enumerated().map { "  \($0 + 1)  \($1)" }
        }
        if !components.isEmpty {
            lines.append("components:")
            lines += components.map { component in
                let from = component.layers.compactMap { files.indices.contains($0 - 1) ? files[$0 - 1] : nil }
                return
                    "  \(component.kind)  \(component.isEnabled ? "on" : "off")  from \(from.joined(separator: ", "))"
            }
        }
        lines.append("policy \(policy)")
        lines += table("chain, in the order in which events pass it:", chain)
        if !beforeAct.isEmpty { lines += table("asked before the act, in this order:", beforeAct) }
        if !onRuns.isEmpty { lines += table("rules on runs:", onRuns) }
        return lines
    }

    private func table(_ title: String, _ steps: [Step]) -> [String] {
        let width = steps.map(\.name.count).max() ?? 0
        return [title]
            + steps.map { step in
                let name = step.name.padding(toLength: width, withPad: " ", startingAt: 0)
                let priority = step.layer == nil ? "always" : "\(step.priority)"
                let place = [step.field, step.file].compactMap(\.self).joined(separator: " in ")
                return "  " + [name, priority, place].filter { !$0.isEmpty }.joined(separator: "  ")
            }
    }

    fileprivate var report: [String: Any] {
        [
            "files": files, "policy": policy,
            "components": components.map { component in
                [
                    "kind": component.kind, "enabled": component.isEnabled, "field": component.field,
                    "layers": component.layers,
                ] as [String: Any]
            },
            "chain": chain.map(entry), "before_act": beforeAct.map(entry), "on_runs": onRuns.map(entry),
        ]
    }

    private func entry(_ step: Step) -> [String: Any] {
        var entry: [String: Any] = ["name": step.name, "priority": step.priority]
        entry["component"] = step.component
        entry["field"] = step.field
        entry["layer"] = step.layer
        entry["file"] = step.file
        return entry
    }
}
