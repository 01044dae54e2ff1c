internal import Foundation
internal import Ingest
internal import Stages

/// `[ingest]`: how applications reach the collector over HTTP.
extension ConfigurationReader {
    mutating func readIngest(_ document: inout ConfigurationSection) {
        guard var section = document.section("ingest") else { return }
        // Who writes the section wants it.
        configuration.ingest.isEnabled = section.bool("enabled") ?? true
        if let listen = section.string("listen") {
            if let (host, port) = ConfigurationReader.address(listen) {
                configuration.ingest.host = host
                configuration.ingest.port = port
            } else {
                section.complain("listen", "is \"\(listen)\", must be an address and a port, such as 127.0.0.1:4319")
            }
        }
        if let tenant = section.string("tenant") {
            if SkeinSubjects.isTenant(tenant) {
                configuration.ingest.access.defaultTenant = tenant
            } else {
                section.complain("tenant", "is \"\(tenant)\", must be of a-z, 0-9, _ and -, and not _ alone")
            }
        }
        readTLS(&section)
        readTokens(&section)
        readBrowsers(&section)
        readLimits(&section)
        document.finish(section)
    }

    private mutating func readTLS(_ section: inout ConfigurationSection) {
        guard var tls = section.section("tls") else { return }
        configuration.ingest.certificateFile = file(&tls, "certificate_file")
        configuration.ingest.keyFile = file(&tls, "key_file")
        if !tls.has("certificate_file") || !tls.has("key_file") {
            tls.complain("certificate_file", "certificate_file and key_file belong together; set both or neither")
        }
        section.finish(tls)
    }

    private mutating func readTokens(_ section: inout ConfigurationSection) {
        var names: Set<String> = []
        for token in section.sections("tokens") ?? [] {
            var token = token
            let text = secret(&token, "token_env")
            var fromFile: String?
            if let path = file(&token, "token_file") {
                fromFile = (try? String(contentsOfFile: path, encoding: .utf8))?
                    .trimmingCharacters(in: .whitespacesAndNewlines)
                if fromFile == nil {
                    token.complain("token_file", "is no file that can be read as text; write the token into it")
                }
            }
            if token.has("token_env") == token.has("token_file") {
                token.complain("token_env", "one of token_env and token_file must say where the token is, and only one")
            }
            let tenants = token.strings("tenants")
            for (index, tenant) in (tenants ?? []).enumerated() where !SkeinSubjects.isTenant(tenant) {
                token.complain(
                    "tenants[\(index)]", "is \"\(tenant)\", must be of a-z, 0-9, _ and -, and not _ alone")
            }
            if tenants?.isEmpty == true {
                token.complain("tenants", "is empty; name the tenants of the token, or leave it out for all of them")
            }
            if let value = text ?? fromFile {
                if value.utf8.count < 16 || !value.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) {
                    token.complain(
                        text == nil ? "token_file" : "token_env",
                        "names a token that is none: it must be at least 16 characters of ASCII without spaces")
                } else if !names.insert(value).inserted {
                    token.complain(
                        text == nil ? "token_file" : "token_env", "names a token that another entry has; keep one")
                } else {
                    configuration.ingest.access.tokens.append(.init(value, tenants: tenants))
                }
            }
            section.finish(token)
        }
        let isAnonymous = section.bool("allow_anonymous") ?? false
        let isLocal = BrowserGuard.isLoopback(configuration.ingest.host)
        if configuration.ingest.isEnabled, configuration.ingest.access.tokens.isEmpty, !isAnonymous, !isLocal {
            section.complain(
                "tokens",
                "names none that can be used, and \(configuration.ingest.host) is reached by others; give tokens, or set allow_anonymous to true"
            )
        }
    }

    private mutating func readBrowsers(_ section: inout ConfigurationSection) {
        let origins = section.strings("allowed_origins") ?? []
        for (index, origin) in origins.enumerated() where !origin.contains("://") || origin.hasSuffix("/") {
            section.complain(
                "allowed_origins[\(index)]", "is \"\(origin)\", must be an origin, such as https://console.example")
        }
        let hosts = section.strings("allowed_hosts") ?? []
        for (index, host) in hosts.enumerated() where host.isEmpty || host.contains(where: { ":/".contains($0) }) {
            section.complain(
                "allowed_hosts[\(index)]", "is \"\(host)\", must be a name without a port, such as ingest.example")
        }
        configuration.ingest.browserGuard = BrowserGuard(allowedOrigins: origins, allowedHosts: hosts)
    }

    private mutating func readLimits(_ section: inout ConfigurationSection) {
        let counts: [(String, WritableKeyPath<CollectorConfiguration.Ingest, Int>, Int64, Int64)] = [
            ("max_body_bytes", \.maximumBodyBytes, 1024, 1 << 32),
            ("max_held_bytes", \.maximumHeldBytes, 1 << 20, 1 << 36),
            ("max_connections", \.maximumConnections, 2, 100_000),
            ("max_connections_per_address", \.maximumConnectionsPerAddress, 1, 100_000),
            ("max_events_per_second", \.eventsPerSecond, 1, 10_000_000),
            ("max_bytes_per_second", \.bytesPerSecond, 1024, 1 << 36),
            ("max_invalid_lines_per_second", \.invalidLinesPerSecond, 1, 1_000_000),
        ]
        for (key, path, least, most) in counts {
            guard let value = section.integer(key, minimum: least) else { continue }
            if value > most { section.complain(key, "must be at most \(most), is \(value)") }
            configuration.ingest[keyPath: path] = Int(min(value, most))
        }
        if let millis = section.integer("patience_millis", minimum: 100) {
            if millis > 600_000 { section.complain("patience_millis", "must be at most 600000, is \(millis)") }
            configuration.ingest.patience = .milliseconds(min(millis, 600_000))
        }
        if configuration.ingest.maximumBodyBytes < configuration.maximumEventBytes, section.has("max_body_bytes") {
            section.report(
                .warning, "inconsistent", "max_body_bytes",
                "is less than collector.max_event_bytes: larger events come in by streams only")
        }
    }
}
