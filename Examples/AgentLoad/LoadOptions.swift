import AgentKit
import Foundation

/// The arguments: `--name value` each, or a word alone.
struct LoadOptions {
    struct Mistake: Error, CustomStringConvertible {
        let description: String
    }

    var url = ""
    var tenant = "default"
    var rate = 2000
    var seconds = 10
    var keys = 50
    var bytes = 1000
    /// Instead of a time.
    var events: Int?
    var memoryBytes = 16 << 20
    var spool: String?
    var isAlways = false
    var blockMillis: Int?
    /// How many tasks append, instead of one thread.
    var tasks = 0
    /// Stays after the load, until it is killed, and says what it has done so far.
    var stays = false

    init(_ arguments: [String]) throws {
        var rest = arguments[...]
        while let name = rest.popFirst() {
            if name == "--always" {
                isAlways = true
                continue
            }
            if name == "--stay" {
                stays = true
                continue
            }
            guard let value = rest.popFirst() else { throw Mistake(description: "\(name) needs a value") }
            func number() throws -> Int {
                guard let number = Int(value), number >= 0 else {
                    throw Mistake(description: "\(name) is \(value); give a whole number")
                }
                return number
            }
            switch name {
            case "--url": url = value
            case "--tenant": tenant = value
            case "--rate": rate = max(1, try number())
            case "--seconds": seconds = try number()
            case "--events": events = try number()
            case "--keys": keys = max(1, try number())
            case "--bytes": bytes = try number()
            case "--memory-bytes": memoryBytes = try number()
            case "--spool": spool = value
            case "--block-millis": blockMillis = try number()
            case "--tasks": tasks = try number()
            default: throw Mistake(description: "\(name) is no option of AgentLoad")
            }
        }
        guard !url.isEmpty else { throw Mistake(description: "name the broker: --url nats://127.0.0.1:4222") }
    }

    var configuration: PublisherConfiguration {
        var configuration = PublisherConfiguration(urls: [url])
        configuration.tenant = tenant
        configuration.producer = "agent-load"
        configuration.memoryBytes = memoryBytes
        configuration.reconnectWait = .milliseconds(200)
        configuration.shutdownTimeout = .seconds(60)
        if let blockMillis { configuration.whenFull = .block(atMost: .milliseconds(blockMillis)) }
        configuration.spool = spool.map { .init(directory: $0, mode: isAlways ? .always : .whenNeeded) }
        return configuration
    }
}
