package import LLMCodecs
package import Middleware
internal import Synchronization

/// The policy that holds now, for all workers of the process: they look at it between two messages.
///
/// Only one task replaces it. A worker keeps the chain that it has until the generation is another one, so a message passes one chain as a whole.
package final class CurrentPolicy: Sendable {
    package struct Version: Sendable {
        /// Counted from 1; one more with every policy that replaced another.
        package let generation: Int
        package let settings: MiddlewareSettings
        package let pricing: PricingSources
        package let chain: MiddlewareChain
        /// `CollectorConfiguration.policyFingerprint`.
        package fileprivate(set) var fingerprint: String
    }

    private let number: Atomic<Int>
    private let current: Mutex<Version>

    /// Nothing is done to any event.
    package convenience init() {
        self.init(Version(generation: 1, settings: .init(), pricing: .init(), chain: .init(), fingerprint: "none"))
    }

    /// - Throws: `ConfigurationError` when no chain can be made of the settings.
    package convenience init(_ configuration: CollectorConfiguration) throws(ConfigurationError) {
        self.init(try CurrentPolicy.version(1, configuration))
    }

    private init(_ version: Version) {
        number = Atomic(version.generation)
        current = Mutex(version)
    }

    private static func version(
        _ generation: Int, _ configuration: CollectorConfiguration
    ) throws(ConfigurationError) -> Version {
        Version(
            generation: generation, settings: configuration.middleware, pricing: configuration.pricing,
            chain: try configuration.makeChain(), fingerprint: configuration.policyFingerprint)
    }

    /// Costs nothing worth saying; asked for every message.
    package var generation: Int { number.load(ordering: .acquiring) }

    package var version: Version { current.withLock { $0 } }

    /// - Returns: the new generation; nil when the policy is the one that holds already.
    /// - Throws: `ConfigurationError` when no chain can be made of the settings.
    package func replace(by configuration: CollectorConfiguration) throws(ConfigurationError) -> Int? {
        let before = version
        if before.settings == configuration.middleware, before.pricing == configuration.pricing {
            // The same is said in other words, perhaps.
            current.withLock { $0.fingerprint = configuration.policyFingerprint }
            return nil
        }
        let next = try CurrentPolicy.version(before.generation + 1, configuration)
        current.withLock { $0 = next }
        number.store(next.generation, ordering: .releasing)
        return next.generation
    }
}
