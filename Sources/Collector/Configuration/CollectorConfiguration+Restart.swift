internal import ATOF

extension CollectorConfiguration {
    /// What a collector that runs can take from a new configuration is the policy. All else is read once, at the start.
    ///
    /// - Throws: `ConfigurationError` that names each section and component that differs otherwise.
    func checkRestart(since before: CollectorConfiguration) throws(ConfigurationError) {
        let diagnostics = (document.sections(otherThan: before.document) + components(otherThan: before)).map {
            field, what in
            var diagnostic = Diagnostic(
                .error, "configuration.needs_restart", field: field,
                "\(what) has changed, which needs a restart; take it back, or restart this collector")
            diagnostic.file = document.file(of: field)
            return diagnostic
        }
        if !diagnostics.isEmpty { throw ConfigurationError(diagnostics: diagnostics) }
    }

    private func components(otherThan before: CollectorConfiguration) -> [(field: String, what: String)] {
        Set(document.kinds + before.document.kinds).sorted()
            .filter { kind in
                // A file that the document names may differ though the document does not.
                let isSame =
                    document.component(kind) == before.document.component(kind)
                    && (kind != "pricing" || pricing == before.pricing)
                if isSame { return false }
                switch ComponentReader.of(kind)?.change ?? .whileRunning {
                case .atStart: return true
                case .whileRunning: return false
                case .whileRunningUnless(let differs): return differs(before, self)
                }
            }
            .map { kind in
                (
                    document.field(of: kind) ?? "components",
                    "what the component \(kind) says for the life of a collector"
                )
            }
    }
}

extension ConfigurationDocument {
    /// Sections besides the plugins document.
    fileprivate func sections(otherThan before: ConfigurationDocument) -> [(field: String, what: String)] {
        Set(root.keys + before.root.keys).subtracting(["version", "policy", "components"]).sorted()
            .filter { root[$0] != before.root[$0] }
            .map { ($0, "[\($0)]") }
    }

    fileprivate var kinds: [String] { components.compactMap { $0["kind"]?.stringValue } }

    fileprivate func field(of kind: String) -> String? {
        components.firstIndex { $0["kind"]?.stringValue == kind }.map { "components[\($0)]" }
    }

    /// The settings of a kind; nil when it is off or absent.
    fileprivate func component(_ kind: String) -> JSONValue? {
        let component = components.first { $0["kind"]?.stringValue == kind }
        guard let component, component["enabled"] != false else { return nil }
        return component["config"] ?? [:]
    }

    private var components: [JSONValue] { root["components"]?.arrayValue ?? [] }
}
