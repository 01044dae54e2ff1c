/// Prices of models, as one source gives them (`codecs-and-pricing.md` 5.1).
package struct PricingCatalog: Sendable, Hashable {
    /// What an amount is paid for.
    package enum Unit: String, Sendable, Hashable, CaseIterable {
        case perToken = "per_token"
        case perRequest = "per_request"
        case perSecond = "per_second"
        case gpuHour = "gpu_hour"
    }

    /// Whether the prompt count holds what was read from a cache.
    package enum ReadAccounting: String, Sendable, Hashable, CaseIterable {
        case included = "included_in_prompt_tokens"
        case separate
    }

    /// Amounts for a million tokens, in the currency of the entry. A rate of 0 is free; no rate is unknown.
    package struct Rates: Sendable, Hashable {
        package let input: Double
        package let output: Double
        package let cacheRead: Double?
        package let cacheWrite: Double?
    }

    /// Rates for requests whose prompt count lies between two bounds, both inclusive.
    package struct Tier: Sendable, Hashable {
        package let minimum: UInt64?
        package let maximum: UInt64?
        package let rates: Rates

        func contains(_ count: UInt64) -> Bool { count >= minimum ?? 0 && count <= maximum ?? .max }
    }

    /// The price of one model, with where it is from.
    package struct Entry: Sendable, Hashable {
        package let provider: String
        package let model: String
        package let asOf: String
        package let source: String
        package let currency: String
        package let unit: Unit
        package let readAccounting: ReadAccounting
        /// What applies when there are no tiers.
        package let rates: Rates?
        /// Not empty; what applies instead of the flat rates.
        package let tiers: [Tier]?
    }

    /// A model of a provider, both in the form in which they are compared.
    struct Key: Sendable, Hashable {
        let provider: String
        let model: String
    }

    package let entries: [Entry]
    /// Positions of entries by all their names.
    private let scoped: [Key: Int]
    /// Of entries that share a name the first.
    private let unscoped: [String: Int]
    /// Bytes of the longest name.
    private let longestName: Int

    /// - Parameter names: for each entry its model and aliases, in the form in which they are compared.
    init(entries: [Entry], names: [[Key]]) {
        self.entries = entries
        var scoped: [Key: Int] = [:]
        var unscoped: [String: Int] = [:]
        for (index, keys) in names.enumerated() {
            for key in keys {
                scoped[key] = index
                if unscoped[key.model] == nil { unscoped[key.model] = index }
            }
        }
        self.scoped = scoped
        self.unscoped = unscoped
        longestName = unscoped.keys.map(\.utf8.count).max() ?? 0
    }

    /// The entry of the first of the keys that has one.
    func entry(for lookup: PricingLookup) -> Entry? {
        for key in lookup.scoped {
            if let index = scoped[key] { return entries[index] }
        }
        for model in lookup.suffixes(upTo: longestName) {
            if let index = unscoped[model] { return entries[index] }
        }
        return nil
    }
}
