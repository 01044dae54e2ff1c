internal import Foundation
internal import LLMCodecs
package import Middleware

extension CollectorConfiguration {
    /// The chain that events pass.
    ///
    /// - Parameter prices: whether answers of models get their costs; not where those who read them compute costs themselves.
    /// - Throws: `ConfigurationError` when a step cannot be made of its settings.
    package func makeChain(prices: Bool = true) throws(ConfigurationError) -> MiddlewareChain {
        do throws(RedactionError) {
            return try MiddlewareChain(
                middleware, pricing: prices ? pricing : PricingSources(), facts: CollectorConfiguration.facts,
                compatibility)
        } catch {
            throw ConfigurationError(diagnostics: [
                Diagnostic(.error, "pii_redaction.unsupported_value", field: error.field, error.reason)
            ])
        }
    }

    private static let facts = CollectorFacts(
        collector: ProcessInfo.processInfo.hostName, version: SkeinVersion.current)
}
