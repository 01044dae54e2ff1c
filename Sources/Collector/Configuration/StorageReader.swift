internal import Foundation
internal import HTTPTransport
internal import Stages

/// Reads `components.config.atif.storage` and `output_directory` (`atif-trajectories.md` 6.2).
struct StorageReader {
    private let environment: [String: String]
    private var stores: [CollectorConfiguration.Store] = []

    /// - Parameters:
    ///   - atif: the section of both keys.
    ///   - environment: where secrets are looked up.
    static func read(
        _ atif: inout ConfigurationSection, environment: [String: String]
    ) -> [CollectorConfiguration.Store] {
        let directory = atif.string("output_directory").map { path in path.isEmpty ? "." : path }
        var reader = StorageReader(environment: environment)
        for section in atif.sections("storage") ?? [] {
            var section = section
            reader.readStore(&section)
            atif.finish(section)
        }
        if reader.stores.isEmpty, let directory {
            reader.stores = [
                .init(name: "files", field: atif.field("output_directory"), destination: .files(directory: directory))
            ]
        } else {
            for index in reader.stores.indices { reader.stores[index].recoveryDirectory = directory }
        }
        return reader.named()
    }

    private init(environment: [String: String]) { self.environment = environment }

    private mutating func readStore(_ section: inout ConfigurationSection) {
        let type = section.string("type")
        let destination: CollectorConfiguration.Store.Destination?
        switch type {
        case "files"?: destination = readFiles(&section)
        case "http"?: destination = readHTTP(&section)
        case "s3"?: destination = readS3(&section)
        case let other?:
            destination = nil
            section.complain("type", "is \"\(other)\", must be http, s3 or files")
        case nil:
            destination = nil
            if !section.has("type") { section.complain("type", "is missing; http, s3 or files") }
        }
        let name = readName(&section)
        guard let destination else { return }
        stores.append(.init(name: name, field: section.path, destination: destination))
    }

    /// The name, or nothing when there is none that can be used.
    private func readName(_ section: inout ConfigurationSection) -> String {
        guard let name = section.string("name") else { return "" }
        if !SkeinSubjects.isName(name) {
            section.complain("name", "is \"\(name)\", must be made of a-z, 0-9, _ and -")
        } else if stores.contains(where: { $0.name == name }) {
            section.complain("name", "\"\(name)\" names another store already; names must be unique")
        } else {
            return name
        }
        return ""
    }

    /// Names what has no name by its type, and numbers those of one type from the second on.
    private func named() -> [CollectorConfiguration.Store] {
        var taken = Set(stores.map(\.name))
        return stores.map { store in
            guard store.name.isEmpty else { return store }
            var named = store
            var number = 1
            repeat {
                named.name = store.type + (number == 1 ? "" : "-\(number)")
                number += 1
            } while !taken.insert(named.name).inserted
            return named
        }
    }

    // MARK: Destinations

    private func readFiles(_ section: inout ConfigurationSection) -> CollectorConfiguration.Store.Destination? {
        guard let directory = section.string("directory"), !directory.isEmpty else {
            section.complain("directory", "is missing; name the directory that the files are written to")
            return nil
        }
        return .files(directory: directory)
    }

    private func readHTTP(_ section: inout ConfigurationSection) -> CollectorConfiguration.Store.Destination? {
        let endpoint = section.string("endpoint") ?? ""
        var http = CollectorConfiguration.Store.HTTP(url: endpoint)
        let table = section.stringTable("headers") ?? []
        for (name, value) in table { add(&section, "headers.\(name)", name, value, &http) }
        for (name, variable) in section.stringTable("header_env") ?? [] {
            guard let value = secret(&section, "header_env.\(name)", variable) else { continue }
            // The value of the environment counts, as the reference has it.
            http.headers.removeAll { $0.name.lowercased() == name.lowercased() }
            add(&section, "header_env.\(name)", name, value, &http)
        }
        if let millis = section.integer("timeout_millis") { http.timeout = .milliseconds(millis) }
        readAuthorities(&section, &http.tls)
        guard let url = HTTPAddress.url(endpoint) else {
            section.complain(
                "endpoint", "must be an http:// or https:// URL with a host, such as https://example.org/trajectories")
            return nil
        }
        if url.user() != nil {
            section.complain(
                "endpoint", "holds credentials; send them as a header, from the environment with header_env")
            return nil
        }
        return .http(http)
    }

    private func add(
        _ section: inout ConfigurationSection, _ key: String, _ name: String, _ value: String,
        _ http: inout CollectorConfiguration.Store.HTTP
    ) {
        if http.headers.contains(where: { $0.name.lowercased() == name.lowercased() }) {
            section.complain(key, "the header is set twice; names do not depend on case")
        } else if let defect = HTTPRequest.defect(ofHeader: name, value) {
            section.complain(key, "cannot be sent: \(defect)")
        } else {
            http.headers.append((name, value))
        }
    }

    private func readS3(_ section: inout ConfigurationSection) -> CollectorConfiguration.Store.Destination? {
        let bucket = section.string("bucket") ?? ""
        if bucket.isEmpty || bucket.utf8.contains(where: { $0 <= 0x20 || $0 >= 0x7F || $0 == UInt8(ascii: "/") }) {
            section.complain(
                "bucket", bucket.isEmpty ? "is missing; name the bucket" : "is no bucket's name: \"\(bucket)\"")
        }
        let region =
            section.string("region") ?? found("AWS_REGION") ?? found("AWS_DEFAULT_REGION") ?? "us-east-1"
        let endpoint = readEndpoint(&section, region: region)
        let credentials = readCredentials(&section)
        var prefix = (section.string("key_prefix") ?? "").trimmingCharacters(in: .whitespaces)
        if !prefix.isEmpty, !prefix.hasSuffix("/") { prefix += "/" }
        let millis = section.integer("timeout_millis")
        var tls = HTTPRequest.TLS()
        readAuthorities(&section, &tls)
        guard let endpoint, let credentials, !bucket.isEmpty else { return nil }
        var s3 = CollectorConfiguration.Store.S3(
            endpoint: endpoint, bucket: bucket, region: region, credentials: credentials)
        s3.keyPrefix = prefix
        if let millis { s3.timeout = .milliseconds(millis) }
        s3.tls = tls
        return .s3(s3)
    }

    /// The service's URL without a slash at its end.
    private func readEndpoint(_ section: inout ConfigurationSection, region: String) -> String? {
        let configured = section.string("endpoint_url")
        let text = configured ?? found("AWS_ENDPOINT_URL_S3") ?? found("AWS_ENDPOINT_URL") ?? found("AWS_ENDPOINT")
        let allowsHTTP =
            section.bool("allow_http") ?? ["true", "1"].contains(found("AWS_ALLOW_HTTP")?.lowercased())
        guard let text else { return "https://s3.\(region).amazonaws.com" }
        guard let url = HTTPAddress.url(text), url.user() == nil, url.query() == nil else {
            section.complain(
                "endpoint_url",
                "must be an http:// or https:// URL with a host, without credentials and query, such as https://s3.example.org"
            )
            return nil
        }
        if text.lowercased().hasPrefix("http:"), !allowsHTTP {
            section.complain("endpoint_url", "is not encrypted; use https://, or set allow_http = true")
        }
        return text.hasSuffix("/") ? String(text.dropLast()) : text
    }

    /// Keys in the file win over the `AWS_*` variables; a key that names a variable needs it.
    private func readCredentials(_ section: inout ConfigurationSection) -> AWSSignature.Credentials? {
        let identity = section.string("access_key_id") ?? found("AWS_ACCESS_KEY_ID")
        let secretName = section.string("secret_access_key_var")
        let secret = secret(&section, "secret_access_key_var", secretName ?? "AWS_SECRET_ACCESS_KEY")
        let tokenName = section.string("session_token_var")
        let token =
            tokenName == nil ? found("AWS_SESSION_TOKEN") : self.secret(&section, "session_token_var", tokenName ?? "")
        if identity == nil {
            section.complain("access_key_id", "is missing, and AWS_ACCESS_KEY_ID is not set; give one of both")
        }
        guard let identity, let secret else { return nil }
        for (key, value) in [("access_key_id", identity), ("session_token_var", token ?? "")]
        where HTTPRequest.defect(ofHeader: "authorization", value) != nil {
            section.complain(key, "cannot be sent: the value has control characters")
            return nil
        }
        return AWSSignature.Credentials(accessKeyID: identity, secretAccessKey: secret, sessionToken: token)
    }

    // MARK: Parts

    /// The value of an environment variable that must be set.
    private func secret(_ section: inout ConfigurationSection, _ key: String, _ variable: String) -> String? {
        if let value = found(variable) { return value }
        section.complain(key, "needs \(variable.asVariable)")
        return nil
    }

    private func found(_ variable: String) -> String? {
        environment[variable].flatMap { $0.trimmingCharacters(in: .whitespaces).isEmpty ? nil : $0 }
    }

    private func readAuthorities(_ section: inout ConfigurationSection, _ tls: inout HTTPRequest.TLS) {
        guard let path = section.string("ca_file") else { return }
        if FileManager.default.isReadableFile(atPath: path) {
            tls.caFile = path
        } else {
            section.complain("ca_file", "the file \(path) does not exist or cannot be read")
        }
    }
}

extension CollectorConfiguration.Store {
    /// The word of the configuration.
    fileprivate var type: String {
        switch destination {
        case .files: "files"
        case .http: "http"
        case .s3: "s3"
        }
    }
}

extension String {
    /// Words for an environment variable of this name that is not set. Somebody may have written the secret itself in its place: only
    /// what looks like a variable's name is shown.
    var asVariable: String {
        let isName = utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"): true
            default: false
            }
        }
        return isName
            ? "the environment variable \(self), which is not set"
            : "the name of an environment variable that is set, not the value itself"
    }
}
