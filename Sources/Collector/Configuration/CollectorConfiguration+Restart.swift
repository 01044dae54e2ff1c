internal import ATOF

extension CollectorConfiguration {
    /// What a collector that runs can take from a new configuration is the policy. All else is read once, at the start.
    ///
    /// - Throws: `ConfigurationError` that names each section and component that differs otherwise.
    func checkRestart(since before: CollectorConfiguration) throws(ConfigurationError) {
        let changed = components(otherThan: before) { change in
            switch change {
            case .fromFiles, .atStart: true
            case .whileRunning: false
            case .whileRunningUnless(let differs): differs(before, self)
            }
        }
        try refuse(
            document.sections(otherThan: before.document) + changed, "configuration.needs_restart",
            "has changed, which needs a restart; take it back, or restart this collector")
    }

    /// A collector that starts takes all policy from the shared document, also what one that runs could not take. What it was connected and
    /// set up with before it could read the document stays the files'.
    ///
    /// - Throws: `ConfigurationError` that names each section and component that differs otherwise.
    func checkShared(with files: CollectorConfiguration) throws(ConfigurationError) {
        let changed = components(otherThan: files) { change in
            switch change {
            case .fromFiles: true
            case .atStart, .whileRunning, .whileRunningUnless: false
            }
        }
        try refuse(
            document.sections(otherThan: files.document) + changed, "configuration.needs_file",
            "is no policy, and is read from the files only; take it out of the shared document")
    }

    private func refuse(
        _ differences: [(field: String, what: String)], _ code: String, _ what: String
    ) throws(ConfigurationError) {
        let diagnostics = differences.map { difference in
            var diagnostic = Diagnostic(.error, code, field: difference.field, "\(difference.what) \(what)")
            diagnostic.file = document.file(of: difference.field)
            return diagnostic
        }
        if !diagnostics.isEmpty { throw ConfigurationError(diagnostics: diagnostics) }
    }

    private func components(
        otherThan before: CollectorConfiguration, where isRefused: (ComponentReader.Change) -> Bool
    ) -> [(field: String, what: String)] {
        Set(document.kinds + before.document.kinds).sorted()
            .filter { kind in
                // A file that the document names may differ though the document does not.
                let isSame =
                    document.component(kind) == before.document.component(kind)
                    && (kind != "pricing" || pricing == before.pricing)
                return !isSame && isRefused(ComponentReader.of(kind)?.change ?? .whileRunning)
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
