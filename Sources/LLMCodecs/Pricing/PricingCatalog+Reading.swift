package import ATOF

/// What is wrong with a catalogue.
package struct PricingCatalogError: Error, Sendable, Hashable {
    /// Where in the catalogue, such as `entries[0].rates.input_per_million`; empty for the catalogue itself.
    package let field: String
    /// Completes a sentence that begins with the field.
    package let message: String
}

extension PricingCatalog {
    /// Reads and checks a catalogue (`codecs-and-pricing.md` 5.1). Members that it does not know are errors on every level.
    ///
    /// - Throws: `PricingCatalogError` for the first thing that is wrong.
    package init(_ value: JSONValue) throws(PricingCatalogError) {
        let catalog = try CatalogMembers(value, at: "", knowing: ["version", "entries"])
        guard let version = catalog.object["version"] else {
            throw catalog.error("version", "is missing; it must be 1")
        }
        guard version == 1 else { throw catalog.error("version", "must be 1") }
        var entries: [Entry] = []
        var names: [[Key]] = []
        var taken: [String: Int] = [:]
        for (index, element) in try catalog.array("entries").enumerated() {
            let path = "entries[\(index)]"
            let (entry, aliases) = try PricingCatalog.entry(element, at: path)
            var keys: [Key] = []
            let provider = PricingLookup.comparable(provider: entry.provider)
            for name in [entry.model] + aliases {
                let key = Key(provider: provider, model: PricingLookup.comparable(model: name))
                if key.model.isEmpty { continue }
                // The joined text counts: two ways to split one route would name the same model.
                if let other = taken.updateValue(index, forKey: "\(key.provider)/\(key.model)") {
                    throw PricingCatalogError(
                        field: path,
                        message: "names the model \(key.provider)/\(key.model), which entries[\(other)] names already")
                }
                keys.append(key)
            }
            entries.append(entry)
            names.append(keys)
        }
        self.init(entries: entries, names: names)
    }

    private static func entry(_ value: JSONValue, at path: String) throws(PricingCatalogError) -> (Entry, [String]) {
        let members = try CatalogMembers(
            value, at: path,
            knowing: [
                "provider", "model_id", "aliases", "pricing_as_of", "pricing_source", "currency", "unit", "rates",
                "rate_schedule", "prompt_cache",
            ])
        let cache = try CatalogMembers(
            members.required("prompt_cache"), at: members.path(of: "prompt_cache"), knowing: ["read_accounting"])
        let entry = Entry(
            provider: try members.text("provider"), model: try members.text("model_id"),
            asOf: try members.text("pricing_as_of"), source: try members.text("pricing_source"),
            currency: try members.text("currency", default: "USD"),
            unit: try members.choice("unit", default: Unit.perToken),
            readAccounting: try cache.choice("read_accounting", default: nil as ReadAccounting?),
            rates: try members.optional("rates").map { (value) throws(PricingCatalogError) in
                try rates(value, at: members.path(of: "rates"))
            },
            tiers: try members.optional("rate_schedule").map { (value) throws(PricingCatalogError) in
                try tiers(value, at: members.path(of: "rate_schedule"))
            })
        if entry.unit == .perToken, entry.rates == nil, entry.tiers == nil {
            throw members.error("rates", "is missing; a price per token needs rates or a rate_schedule")
        }
        return (entry, try members.strings("aliases"))
    }

    private static func tiers(_ value: JSONValue, at path: String) throws(PricingCatalogError) -> [Tier] {
        let schedule = try CatalogMembers(value, at: path, knowing: ["type", "applies_to", "tiers"])
        _ = try schedule.choice("type", default: nil as ScheduleType?)
        _ = try schedule.choice("applies_to", default: ScheduleScope.fullRequest)
        var tiers: [Tier] = []
        for (index, element) in try schedule.array("tiers").enumerated() {
            let tier = try CatalogMembers(
                element, at: schedule.path(of: "tiers[\(index)]"),
                knowing: ["min_prompt_tokens", "max_prompt_tokens", "rates"])
            let minimum = try tier.count("min_prompt_tokens")
            let maximum = try tier.count("max_prompt_tokens")
            if let minimum, let maximum, minimum > maximum {
                throw tier.error("min_prompt_tokens", "is \(minimum), more than max_prompt_tokens, which is \(maximum)")
            }
            let rates = try rates(tier.required("rates"), at: tier.path(of: "rates"))
            tiers.append(Tier(minimum: minimum, maximum: maximum, rates: rates))
        }
        if tiers.isEmpty { throw schedule.error("tiers", "is empty; give at least one tier") }
        return tiers
    }

    private static func rates(_ value: JSONValue, at path: String) throws(PricingCatalogError) -> Rates {
        let members = try CatalogMembers(
            value, at: path,
            knowing: [
                "input_per_million", "output_per_million", "cache_read_per_million", "cache_write_per_million",
            ])
        return Rates(
            input: try members.rate(members.required("input_per_million"), "input_per_million"),
            output: try members.rate(members.required("output_per_million"), "output_per_million"),
            cacheRead: try members.rate("cache_read_per_million"),
            cacheWrite: try members.rate("cache_write_per_million"))
    }

    private enum ScheduleType: String, CaseIterable { case promptTokenThreshold = "prompt_token_threshold" }

    private enum ScheduleScope: String, CaseIterable { case fullRequest = "full_request" }
}
