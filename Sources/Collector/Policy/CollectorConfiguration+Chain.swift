package import Middleware

extension CollectorConfiguration {
    /// The chain that events pass.
    ///
    /// - Throws: `ConfigurationError` when a step cannot be made of its settings.
    package func makeChain() throws(ConfigurationError) -> MiddlewareChain { MiddlewareChain() }
}
