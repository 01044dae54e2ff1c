internal import ArgumentParser
internal import Collector
internal import Foundation
internal import Logging
internal import NATSTransport

/// What a command is configured by.
struct ConfigurationOptions: ParsableArguments {
    @Option(
        name: .shortAndLong,
        help: "Configuration file (TOML). Several are layers of one configuration, the last one counts most.")
    var config: [String] = []

    @Flag(help: "Also take NeMo Relay's own plugins.toml, of the user and of the system, as layers below.")
    var inherit = false

    var source: ConfigurationSource {
        ConfigurationSource(files: config, inherits: inherit, environment: ProcessInfo.processInfo.environment)
    }

    /// The default one without a file; warnings go to standard error.
    ///
    /// - Parameter needsSecrets: false for what sends nothing anywhere.
    func read(needsSecrets: Bool = true) throws -> CollectorConfiguration {
        let (configuration, warnings) = try source.read(needsSecrets: needsSecrets)
        for warning in warnings { Terminal.error("\(warning)") }
        return configuration
    }
}

/// How a command finds the bus.
struct ConnectionOptions: ParsableArguments {
    @OptionGroup var files: ConfigurationOptions

    @Option(
        help:
            "URL of the NATS server; wins over the configuration. Default: $SKEIN_NATS_URL, else nats://127.0.0.1:4222."
    )
    var nats: String?

    func configuration() throws -> CollectorConfiguration {
        var configuration = try files.read()
        if let nats {
            if let complaint = NATSAddress.complaint(about: nats) { throw UsageError("--nats \(complaint)") }
            configuration.nats.urls = [nats]
        }
        return configuration
    }

    func connect() async throws -> NATSConnection {
        let nats = try configuration().nats
        return try await NATSConnection.connect(
            NATSOptions(urls: nats.urls, name: "skein-cli", authentication: nats.authentication, tls: nats.tls))
    }

    /// Connects for the time of the body.
    func with<Result>(_ body: (NATSConnection) async throws -> Result) async throws -> Result {
        let connected = try await connect()
        do {
            let result = try await body(connected)
            await connected.close()
            return result
        } catch {
            await connected.close()
            throw error
        }
    }
}

/// In which form a command tells what it found or did.
struct ReportOptions: ParsableArguments {
    @Option(help: "text or json.")
    var format = OutputFormat.text
}

/// For what cannot be taken back.
struct ConsentOptions: ParsableArguments {
    @Flag(help: "Do it; without it nothing is changed.")
    var yes = false
}

extension JetStream {
    /// - Throws: `CommandFailure` that says what to start when the stream does not exist.
    func lastSequence(ofExisting stream: String) async throws -> UInt64 {
        do throws(NATSError) {
            return try await streamInfo(stream).lastSequence
        } catch {
            guard error.code == .notFound else { throw error }
            throw CommandFailure(
                "the stream \(stream) does not exist yet; start skein collect or skein up, they create what they need")
        }
    }
}

enum Log {
    /// Logs go to standard error, from `$SKEIN_LOG_LEVEL` on, which is `info` by default.
    static func logger(default level: Logger.Level = .info) throws -> Logger {
        var logger = Logger(label: "skein") { StreamLogHandler.standardError(label: $0) }
        if let text = ProcessInfo.processInfo.environment["SKEIN_LOG_LEVEL"] {
            guard let chosen = Logger.Level(rawValue: text) else {
                throw UsageError(
                    "SKEIN_LOG_LEVEL is \"\(text)\", must be one of \(Logger.Level.allCases.map(\.rawValue).joined(separator: ", "))"
                )
            }
            logger.logLevel = chosen
        } else {
            logger.logLevel = level
        }
        return logger
    }
}
