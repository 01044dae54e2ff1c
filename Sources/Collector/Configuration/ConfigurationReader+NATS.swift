internal import Foundation
internal import NATSTransport

/// `[nats]` and `[http]`: how the collector reaches the bus, and how it is reached.
extension ConfigurationReader {
    mutating func readNATS(_ document: inout ConfigurationSection) {
        let other = environment["SKEIN_NATS_URL"].flatMap { $0.isEmpty ? nil : $0 }
        if let other {
            configuration.nats.urls = [other]
            if let complaint = NATSAddress.complaint(about: other) {
                document.complain("SKEIN_NATS_URL", "the environment variable \(complaint)")
            }
        }
        guard var section = document.section("nats") else { return }
        if let urls = section.strings("urls") {
            if urls.isEmpty {
                section.complain("urls", "is empty; name at least one server, such as nats://127.0.0.1:4222")
            }
            for (index, url) in urls.enumerated() {
                if let complaint = NATSAddress.complaint(about: url) { section.complain("urls[\(index)]", complaint) }
            }
            if other == nil { configuration.nats.urls = urls }
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
    func secret(_ section: inout ConfigurationSection, _ key: String) -> String? {
        guard let name = section.string(key) else { return nil }
        guard let value = environment[name], !value.isEmpty else {
            section.complain(key, "names the environment variable \(name), which is not set")
            return nil
        }
        return value
    }

    func file(_ section: inout ConfigurationSection, _ key: String) -> String? {
        guard let path = section.string(key) else { return nil }
        guard FileManager.default.isReadableFile(atPath: path) else {
            section.complain(key, "the file \(path) does not exist or cannot be read")
            return nil
        }
        return path
    }

    mutating func readHTTP(_ document: inout ConfigurationSection) {
        guard var section = document.section("http") else { return }
        if let enabled = section.bool("enabled") { configuration.admin.isEnabled = enabled }
        if let listen = section.string("listen") {
            if let (host, port) = ConfigurationReader.address(listen) {
                configuration.admin.host = host
                configuration.admin.port = port
            } else {
                section.complain("listen", "is \"\(listen)\", must be an address and a port, such as 127.0.0.1:9464")
            }
        }
        document.finish(section)
    }

    /// The parts of `127.0.0.1:9464` or `[::1]:9464`.
    static func address(_ text: String) -> (host: String, port: UInt16)? {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard let last = parts.last, let port = UInt16(last), parts.count >= 2 else { return nil }
        return (parts.dropLast().joined(separator: ":").trimmingCharacters(in: ["[", "]"]), port)
    }
}
