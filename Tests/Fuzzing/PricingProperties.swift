internal import ATOF
internal import LLMCodecs

enum PricingProperties {
    /// A catalogue is refused or gives costs that are finite and not negative.
    static func check(_ input: [UInt8]) throws(FuzzFailure) {
        let lines = input.split(separator: UInt8(ascii: "\n"), maxSplits: 1).map(Array.init)
        guard let first = lines.first, let document = try? JSONParser.parse(first),
            let catalog = try? PricingCatalog(document)
        else { return }
        let sources = PricingSources([catalog])
        let request = lines.count > 1 ? lines[1].withUnsafeBufferPointer { JSONPolicy.value(of: $0) } : .null
        guard let usage = try? Usage(annotation: request["usage"]?.objectValue ?? JSONObject()) else { return }
        let entries = document["entries"]?.arrayValue ?? []
        for model in entries.compactMap({ $0["model_id"]?.stringValue }) + [request["model"]?.stringValue ?? ""] {
            for provider in [nil, request["provider"]?.stringValue, ""] {
                guard let cost = sources.estimate(usage: usage, model: model, provider: provider) else { continue }
                if let total = cost.total { try FuzzFailure.unless(total >= 0, "a cost of \(total)") }
                try JSONProperties.check(cost.json)
            }
        }
    }

    /// The catalogues of a fixture, each with what it is asked for.
    static func seeds(of line: [UInt8]) -> [[UInt8]] {
        guard let input = try? JSONParser.parse(line)["input"] else { return [] }
        let sources = input["sources"]?.arrayValue ?? input["pricing_sources"]?.arrayValue ?? []
        let catalogs = input["entries"] == nil ? sources : [input]
        return catalogs.map { Array("\($0.compactText)\n\(input.compactText)".utf8) }
    }
}
