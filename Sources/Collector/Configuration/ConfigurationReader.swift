internal import ATOF
internal import Foundation
internal import NATSTransport
internal import TOMLKit

/// A configuration file that cannot be used, with all complaints.
package struct ConfigurationError: Error, Sendable, CustomStringConvertible {
    package let diagnostics: [Diagnostic]

    package var description: String { diagnostics.map(\.description).joined(separator: "\n") }
}

/// Reads one TOML file: Skein's `[nats]`, `[collector]` and `[http]`, and NeMo Relay's plugins document as it is.
package struct ConfigurationReader {
    /// Where secrets come from; the process's environment outside of tests.
    private let environment: [String: String]
    private var diagnostics: [Diagnostic] = []
    private var configuration = CollectorConfiguration()

    /// - Throws: `ConfigurationError` when there is a complaint of level error; warnings are returned.
    package static func read(
        file path: String, environment: [String: String]
    ) throws(ConfigurationError) -> (CollectorConfiguration, [Diagnostic]) {
        let text: String
        do {
            text = try String(contentsOfFile: path, encoding: .utf8)
        } catch {
            throw ConfigurationError(diagnostics: [
                Diagnostic(
                    .error, "configuration.unreadable", field: path,
                    FileManager.default.fileExists(atPath: path)
                        ? "cannot be read as UTF-8 text; check its permissions and encoding"
                        : "does not exist; give the path of a TOML file")
            ])
        }
        return try read(text: text, name: path, environment: environment)
    }

    package static func read(
        text: String, name: String, environment: [String: String]
    ) throws(ConfigurationError) -> (CollectorConfiguration, [Diagnostic]) {
        let root: JSONObject
        do {
            root = try JSONParser.parse(TOMLTable(string: text).convert(to: .json)).objectValue ?? JSONObject()
        } catch let error as TOMLParseError {
            throw ConfigurationError(diagnostics: [
                Diagnostic(
                    .error, "configuration.malformed",
                    field: "\(name):\(error.source.begin.line):\(error.source.begin.column)",
                    "is not valid TOML: \(error.description)")
            ])
        } catch {
            throw ConfigurationError(diagnostics: [
                Diagnostic(
                    .error, "configuration.malformed", field: name, "holds a value that is not a finite number or text")
            ])
        }
        var reader = ConfigurationReader(environment: environment)
        reader.read(root)
        if reader.diagnostics.contains(where: { $0.level == .error }) {
            throw ConfigurationError(diagnostics: reader.diagnostics)
        }
        return (reader.configuration, reader.diagnostics)
    }

    private init(environment: [String: String]) { self.environment = environment }

    private mutating func read(_ root: JSONObject) {
        let policies = ConfigurationPolicies(lenient: root["policy"])
        var document = ConfigurationSection(
            root, path: "",
            codes: .init(prefix: "configuration", unknownField: policies.unknownField, unsupportedValue: .error))
        if var section = document.section("policy") {
            ConfigurationPolicies.check(&section, code: "unsupported_value")
            document.finish(section)
        }
        if let version = document.integer("version"), version != 1 {
            report("unsupported_config_version", "version", "is \(version), must be 1")
        }
        readNATS(&document)
        readCollector(&document)
        readHTTP(&document)
        var kinds: Set<String> = []
        for section in document.sections("components") ?? [] {
            var section = section
            readComponent(&section, policies, seen: &kinds)
            document.finish(section)
        }
        document.close()
        diagnostics += document.diagnostics
    }

    // MARK: Plugins document

    /// A complaint of the host, which NeMo Relay calls by a code of its own.
    private mutating func report(
        _ code: String, _ field: String, _ message: String, level: Diagnostic.Level = .error
    ) { diagnostics.append(Diagnostic(level, "plugin.\(code)", field: field, message)) }

    private mutating func readComponent(
        _ section: inout ConfigurationSection, _ policies: ConfigurationPolicies, seen: inout Set<String>
    ) {
        let isEnabled = section.bool("enabled") ?? true
        let config = section.object("config") ?? JSONObject()
        guard let kind = section.string("kind") else {
            if !section.has("kind") {
                section.report(
                    .error, "missing_kind", "kind", "is missing; name the component, such as \"observability\"")
            }
            return
        }
        guard let reader = ComponentReader.of(kind) else {
            reportUnknown(kind, section.field("kind"), isEnabled: isEnabled, policies.unknownComponent)
            return
        }
        if !seen.insert(kind).inserted {
            report("duplicate_component", section.field("kind"), "there is more than one \(kind) component; keep one")
        }
        var component = Component(
            kind: kind, config: config, path: section.field("config"), isEnabled: isEnabled, document: policies,
            environment: environment, configuration: configuration)
        reader.read(&component)
        diagnostics += component.diagnostics
        configuration = component.configuration
        configuration.obstacles += component.obstacles
    }

    /// What a component of an unknown kind would have done to events nobody knows: it keeps a collector from running, unless
    /// the document says that it does not matter.
    private mutating func reportUnknown(_ kind: String, _ field: String, isEnabled: Bool, _ policy: DiagnosticPolicy) {
        guard let level = policy.level else { return }
        let known = ComponentReader.all.map(\.kind).joined(separator: ", ")
        guard isEnabled, !ComponentReader.ofProducers.contains(kind) else {
            let reason = isEnabled ? "acts in the agents' processes" : "is not known and is off"
            report("unknown_component", field, "\"\(kind)\" \(reason); it has no effect here", level: level)
            return
        }
        let message =
            "\"\(kind)\" is not a component of this version (\(known)); remove it, or set policy.unknown_component to ignore"
        report("unknown_component", field, message, level: level)
        if level == .warning {
            configuration.obstacles.append(
                Diagnostic(
                    .error, "plugin.unknown_component", field: field, "nothing runs without this component: \(message)")
            )
        }
    }

    // MARK: Skein's own sections

    private mutating func readNATS(_ document: inout ConfigurationSection) {
        if let url = environment["SKEIN_NATS_URL"], !url.isEmpty {
            configuration.nats.urls = [url]
            if !url.hasPrefix("nats://"), !url.hasPrefix("tls://") {
                document.complain("SKEIN_NATS_URL", "the environment variable must begin with nats:// or tls://")
            }
        }
        guard var section = document.section("nats") else { return }
        if let urls = section.strings("urls"), environment["SKEIN_NATS_URL"] == nil {
            if urls.isEmpty {
                section.complain("urls", "is empty; name at least one server, such as nats://127.0.0.1:4222")
            }
            for (index, url) in urls.enumerated() {
                let schemes = ["nats://", "tls://"]
                if !schemes.contains(where: { url.hasPrefix($0) }) {
                    section.complain("urls[\(index)]", "must begin with nats:// or tls://")
                } else if url.contains("@") {
                    section.complain(
                        "urls[\(index)]", "holds credentials; use user with password_env, token_env or a file instead")
                }
            }
            configuration.nats.urls = urls
        }
        readAuthentication(&section)
        if var tls = section.section("tls") {
            var options = NATSOptions.TLS()
            options.authorityFile = file(&tls, "ca_file")
            options.certificateFile = file(&tls, "certificate_file")
            options.keyFile = file(&tls, "key_file")
            options.verify = tls.bool("verify") ?? true
            if (options.certificateFile == nil) != (options.keyFile == nil) {
                tls.complain("certificate_file", "certificate_file and key_file belong together; set both or neither")
            }
            configuration.nats.tls = options
            section.finish(tls)
        }
        document.finish(section)
    }

    private mutating func readAuthentication(_ section: inout ConfigurationSection) {
        var ways: [(key: String, NATSOptions.Authentication)] = []
        let user = section.string("user")
        let password = secret(&section, "password_env")
        if let user {
            if let password {
                ways.append(("user", .userPassword(user: user, password: password)))
            } else if !section.has("password_env") {
                section.complain(
                    "password_env", "is missing; name the environment variable that holds the password of \(user)")
            }
        } else if section.has("password_env") {
            section.complain("user", "is missing, password_env is set")
        }
        if let token = secret(&section, "token_env") { ways.append(("token_env", .token(token))) }
        let publicKey = section.string("nkey")
        if let seed = file(&section, "nkey_seed_file") {
            if let publicKey {
                ways.append(("nkey_seed_file", .nkey(publicKey: publicKey, seedFile: seed)))
            } else {
                section.complain("nkey", "is missing; give the public key (U…) that belongs to nkey_seed_file")
            }
        }
        if publicKey != nil, !section.has("nkey_seed_file") {
            section.complain("nkey_seed_file", "is missing; name the file of the seed that belongs to nkey")
        }
        if let credentials = file(&section, "credentials_file") {
            ways.append(("credentials_file", .credentials(file: credentials)))
        }
        if ways.count > 1 {
            section.complain(ways[1].key, "is a second way to authenticate beside \(ways[0].key); keep one")
        }
        if let first = ways.first { configuration.nats.authentication = first.1 }
    }

    /// The value of the environment variable that a key names.
    private func secret(_ section: inout ConfigurationSection, _ key: String) -> String? {
        guard let name = section.string(key) else { return nil }
        guard let value = environment[name], !value.isEmpty else {
            section.complain(key, "names the environment variable \(name), which is not set")
            return nil
        }
        return value
    }

    private func file(_ section: inout ConfigurationSection, _ key: String) -> String? {
        guard let path = section.string(key) else { return nil }
        guard FileManager.default.isReadableFile(atPath: path) else {
            section.complain(key, "the file \(path) does not exist or cannot be read")
            return nil
        }
        return path
    }

    /// The environment wins over the file.
    private mutating func readCompatibility(_ word: String?, _ key: String, _ section: inout ConfigurationSection) {
        guard let word else { return }
        if let known = Compatibility(rawValue: word) {
            configuration.compatibility = known
        } else {
            section.complain(key, "is \"\(word)\", must be skein or strict")
        }
    }

    private mutating func readCollector(_ document: inout ConfigurationSection) {
        readCompatibility(environment["SKEIN_COMPATIBILITY"], "SKEIN_COMPATIBILITY", &document)
        guard var section = document.section("collector") else { return }
        if environment["SKEIN_COMPATIBILITY"] == nil {
            readCompatibility(section.string("compatibility"), "compatibility", &section)
        } else {
            _ = section.raw("compatibility")
        }
        if let partitions = section.integer("partitions") {
            if partitions > 256 { section.complain("partitions", "must be at most 256, is \(partitions)") }
            configuration.streams.partitions = Int(min(partitions, 256))
        }
        if let replicas = section.integer("replicas") {
            if ![1, 3, 5].contains(replicas) { section.complain("replicas", "must be 1, 3 or 5, is \(replicas)") }
            configuration.streams.replicas = Int(replicas)
        }
        if let bytes = section.integer("events_max_bytes", minimum: 1 << 20) {
            configuration.streams.eventsMaximumBytes = bytes
        }
        if let bytes = section.integer("processed_max_bytes", minimum: 1 << 20) {
            configuration.streams.processedMaximumBytes = bytes
        }
        if let seconds = section.integer("processed_keep_seconds", minimum: 0) {
            configuration.streams.processedKeep = .seconds(seconds)
        }
        if let hours = section.integer("trajectories_max_age_hours") {
            // A hundred years; the server counts nanoseconds in 64 bits.
            if hours > 876_000 { section.complain("trajectories_max_age_hours", "must be at most 876000, is \(hours)") }
            configuration.streams.trajectoriesMaximumAge = .seconds(min(hours, 876_000) * 3600)
        }
        if let millis = section.integer("checkpoint_interval_millis", minimum: 10) {
            configuration.checkpointInterval = .milliseconds(millis)
        }
        if let bytes = section.integer("prefetch_bytes", minimum: 1 << 20) { configuration.prefetchBytes = Int(bytes) }
        if let bytes = section.integer("max_event_bytes", minimum: 1 << 20) {
            if bytes > 1 << 30 { section.complain("max_event_bytes", "must be at most \(1 << 30), is \(bytes)") }
            configuration.maximumEventBytes = Int(min(bytes, 1 << 30))
        }
        if let seconds = section.integer("chunk_timeout_seconds") {
            if seconds > 86_400 { section.complain("chunk_timeout_seconds", "must be at most 86400, is \(seconds)") }
            configuration.chunkTimeout = .seconds(min(seconds, 86_400))
        }
        if let count = section.integer("checkpoint_messages") {
            configuration.checkpointMessages = Int(clamping: count)
        }
        if let millis = section.integer("member_ttl_millis", minimum: 1000) {
            if millis > 600_000 { section.complain("member_ttl_millis", "must be at most 600000, is \(millis)") }
            configuration.memberTimeToLive = .milliseconds(min(millis, 600_000))
        }
        readRuns(&section)
        document.finish(section)
    }

    private mutating func readRuns(_ section: inout ConfigurationSection) {
        let millis: [(String, WritableKeyPath<CollectorConfiguration.Runs, Duration>)] = [
            ("linger_millis", \.linger), ("progress_interval_millis", \.progressInterval),
        ]
        for (key, path) in millis {
            guard let value = section.integer(key, minimum: 0) else { continue }
            if value > 3_600_000 { section.complain(key, "must be at most 3600000, is \(value)") }
            configuration.runs[keyPath: path] = .milliseconds(min(value, 3_600_000))
        }
        let seconds: [(String, WritableKeyPath<CollectorConfiguration.Runs, Duration>)] = [
            ("idle_seconds", \.idle), ("max_age_seconds", \.maximumAge), ("revise_seconds", \.revise),
        ]
        for (key, path) in seconds {
            guard let value = section.integer(key, minimum: key == "revise_seconds" ? 0 : 1) else { continue }
            // A year: times are counted in nanoseconds of 64 bits.
            if value > 31_536_000 { section.complain(key, "must be at most 31536000, is \(value)") }
            configuration.runs[keyPath: path] = .seconds(min(value, 31_536_000))
        }
        let counts: [(String, WritableKeyPath<CollectorConfiguration.Runs, Int>, Int64)] = [
            ("max_open_trajectories", \.maximumOpen, 1_000_000), ("max_trajectory_events", \.maximumEvents, 10_000_000),
            ("max_trajectory_bytes", \.maximumBytes, 1 << 32),
            ("max_trajectory_held_bytes", \.maximumHeldBytes, 1 << 32), ("held_bytes", \.heldBytes, 1 << 36),
        ]
        for (key, path, most) in counts {
            guard let value = section.integer(key, minimum: 1) else { continue }
            if value > most { section.complain(key, "must be at most \(most), is \(value)") }
            configuration.runs[keyPath: path] = Int(min(value, most))
        }
        for (key, value) in [("idle_seconds", configuration.runs.idle), ("revise_seconds", configuration.runs.revise)]
        where value > configuration.streams.processedKeep {
            section.report(
                .warning, "inconsistent", key,
                "is longer than processed_keep_seconds: what waits for it may be gone from PROCESSED by then; keep that as long"
            )
        }
    }

    private mutating func readHTTP(_ document: inout ConfigurationSection) {
        guard var section = document.section("http") else { return }
        if let enabled = section.bool("enabled") { configuration.admin.isEnabled = enabled }
        if let listen = section.string("listen") {
            let parts = listen.split(separator: ":", omittingEmptySubsequences: false)
            if let last = parts.last, let port = UInt16(last), parts.count >= 2 {
                configuration.admin.port = port
                configuration.admin.host = parts.dropLast().joined(separator: ":").trimmingCharacters(in: ["[", "]"])
            } else {
                section.complain("listen", "is \"\(listen)\", must be an address and a port, such as 127.0.0.1:9464")
            }
        }
        document.finish(section)
    }
}
