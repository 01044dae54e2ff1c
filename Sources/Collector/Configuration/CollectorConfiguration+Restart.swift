internal import ATOF

extension CollectorConfiguration {
    /// What a collector that runs can take from a new configuration is the policy. All else is read once, at the start.
    ///
    /// - Throws: `ConfigurationError` that names each section and component that differs otherwise.
    func checkRestart(since before: CollectorConfiguration) throws(ConfigurationError) {
        let changed = components(otherThan: before) { change, all in
            switch change {
            case .fromFiles, .atStart: all
            case .whileRunning: nil
            case .whileRunningUnless(let what, let differs): differs(before, self) ? what : nil
            }
        }
        try refuse(
            document.sections(otherThan: before.document) + changed, "configuration.needs_restart",
            "has changed, which needs a restart; take it back, or restart this collector")
    }

    /// A file that was found is policy of somebody who does not start this collector: that it is gone, or emptied, is not taken for his wish.
    ///
    /// - Throws: `ConfigurationError` that names each such file.
    func checkLayers(since before: CollectorConfiguration) throws(ConfigurationError) {
        let gone = before.document.discovered.subtracting(document.discovered).sorted().map { file in
            Diagnostic(
                .error, "configuration.missing_layer", field: file,
                "was a layer of the policy and is no longer there, or empty; put it back, or restart this collector to go on without it"
            )
        }
        if !gone.isEmpty { throw ConfigurationError(diagnostics: gone) }
    }

    /// A collector that starts takes all policy from the shared document, also what one that runs could not take. What it was connected and
    /// set up with before it could read the document stays the files'.
    ///
    /// - Throws: `ConfigurationError` that names each section and component that differs otherwise.
    func checkShared(with files: CollectorConfiguration) throws(ConfigurationError) {
        let changed = components(otherThan: files) { change, all in
            switch change {
            case .fromFiles: all
            case .atStart, .whileRunning, .whileRunningUnless: nil
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
            Diagnostic(.error, code, field: difference.field, "\(difference.what) \(what)").placed(in: document)
        }
        if !diagnostics.isEmpty { throw ConfigurationError(diagnostics: diagnostics) }
    }

    /// - Parameter refused: what of a kind that differs must not; nil for nothing. Given a word for all of it.
    private func components(
        otherThan before: CollectorConfiguration, refused: (ComponentReader.Change, _ all: String) -> String?
    ) -> [(field: String, what: String)] {
        Set(document.kinds + before.document.kinds).sorted().compactMap { kind in
            guard document.component(kind) != before.document.component(kind),
                let what = refused(ComponentReader.of(kind)?.change ?? .whileRunning, "the component \(kind)")
            else { return nil }
            return (document.field(of: kind) ?? "components", what)
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
