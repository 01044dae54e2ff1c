package import ATOF

/// What one model call cost (`codecs-and-pricing.md` 1.5). Zero is an amount.
package struct Cost: Sendable, Hashable {
    /// Who computed the amounts.
    package enum Source: String, Sendable, Hashable {
        case providerReported = "provider_reported"
        case modelPricing = "model_pricing"
    }

    package var total: Double?
    package var currency: String
    package var input: Double?
    package var output: Double?
    package var cacheRead: Double?
    package var cacheWrite: Double?
    package var source: Source
    package var pricingProvider: String?
    package var pricingModel: String?
    package var pricingAsOf: String?
    package var pricingSource: String?

    package init(total: Double?, currency: String, source: Source) {
        self.total = total
        self.currency = currency
        self.source = source
    }

    package var isUSD: Bool { currency.lowercased() == "usd" }

    /// The sum of the components that are known; nil when none is.
    package var componentSum: Double? {
        let known = [input, output, cacheRead, cacheWrite].compactMap(\.self)
        return known.isEmpty ? nil : known.reduce(0, +)
    }

    /// The total; of a cost that the provider reported without one, the sum of the components.
    package var amount: Double? { total ?? (source == .providerReported ? componentSum : nil) }

    package var json: JSONValue {
        var object = JSONObject()
        object["total"] = total.map { .double($0) }
        object["currency"] = .string(currency)
        object["input"] = input.map { .double($0) }
        object["output"] = output.map { .double($0) }
        object["cache_read"] = cacheRead.map { .double($0) }
        object["cache_write"] = cacheWrite.map { .double($0) }
        object["source"] = .string(source.rawValue)
        object["pricing_provider"] = pricingProvider.map { .string($0) }
        object["pricing_model"] = pricingModel.map { .string($0) }
        object["pricing_as_of"] = pricingAsOf.map { .string($0) }
        object["pricing_source"] = pricingSource.map { .string($0) }
        return .object(object)
    }

    /// Reads the form that annotations have.
    init(_ object: JSONObject, rejecting kind: CodecError.Kind) throws(CodecError) {
        guard let source = object["source"]?.stringValue.flatMap(Source.init(rawValue:)) else {
            throw CodecError(kind, "source of cost must be provider_reported or model_pricing")
        }
        self.init(total: nil, currency: "USD", source: source)
        var reader = MemberReader(object, rejecting: kind)
        total = try reader.number("total")
        currency = try reader.string("currency") ?? "USD"
        try readComponents(&reader)
        try readProvenance(&reader)
    }

    mutating func readComponents(_ reader: inout MemberReader) throws(CodecError) {
        input = try reader.number("input")
        output = try reader.number("output")
        cacheRead = try reader.number("cache_read")
        cacheWrite = try reader.number("cache_write")
    }

    mutating func readProvenance(_ reader: inout MemberReader) throws(CodecError) {
        pricingProvider = try reader.string("pricing_provider")
        pricingModel = try reader.string("pricing_model")
        pricingAsOf = try reader.string("pricing_as_of")
        pricingSource = try reader.string("pricing_source")
    }
}

extension Cost {
    /// The cost that a provider states in its usage object: a scalar `cost_usd`, or a `cost` object
    /// (`codecs-and-pricing.md` 2.1).
    ///
    /// - Parameter bareNumber: whether a number under `cost` counts as a total in USD.
    init?(reportedIn usage: inout MemberReader, bareNumber: Bool) throws(CodecError) {
        var scalar = try usage.number("cost_usd")
        let member = usage.present("cost")
        if scalar == nil, member == nil { return nil }
        var details = MemberReader(JSONObject(), rejecting: usage.kind)
        if let object = member?.objectValue {
            details = MemberReader(object, rejecting: usage.kind)
        } else if let member {
            guard bareNumber, let number = member.numberValue else {
                throw CodecError(usage.kind, "cost must be \(bareNumber ? "a number or " : "")an object")
            }
            scalar = scalar ?? number
        }
        let currency = try details.string("currency")
        self.init(total: nil, currency: scalar == nil ? currency ?? "USD" : "USD", source: .providerReported)
        try readComponents(&details)
        try readProvenance(&details)
        let stated = try details.number("total")
        if scalar != nil, let currency, currency.lowercased() != "usd" {
            (input, output, cacheRead, cacheWrite) = (nil, nil, nil, nil)
        }
        total = scalar ?? stated ?? componentSum
        if total == nil { return nil }
    }
}
