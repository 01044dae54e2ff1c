internal import ATOF

extension ConfigurationDocument {
    /// What a collector that runs can take from a new document is the policy. All else is read once, at the start.
    ///
    /// - Throws: `ConfigurationError` that names each section and component that differs otherwise.
    func checkRestart(since before: ConfigurationDocument) throws(ConfigurationError) {
        let plugins: Set = ["version", "policy", "components"]
        let sections = Set(root.keys + before.root.keys).subtracting(plugins).sorted()
            .filter { root[$0] != before.root[$0] }
            .map { ($0, "[\($0)] has changed") }
        let components = Set(kinds + before.kinds)
            .filter { ComponentReader.of($0)?.changesAtRunTime != true && component($0) != before.component($0) }
            .sorted()
            .map { ("components", "the component \($0) has changed") }
        let diagnostics = (sections + components).map { field, change in
            var diagnostic = Diagnostic(
                .error, "configuration.needs_restart", field: field,
                "\(change), which needs a restart; take it back, or restart this collector")
            diagnostic.file = file(of: field)
            return diagnostic
        }
        if !diagnostics.isEmpty { throw ConfigurationError(diagnostics: diagnostics) }
    }

    private var kinds: [String] { root["components"]?.arrayValue?.compactMap { $0["kind"]?.stringValue } ?? [] }

    /// The settings of a kind; nil when it is off or absent.
    private func component(_ kind: String) -> JSONValue? {
        let component = root["components"]?.arrayValue?.first { $0["kind"]?.stringValue == kind }
        guard let component, component["enabled"] != false else { return nil }
        return component["config"] ?? [:]
    }
}
