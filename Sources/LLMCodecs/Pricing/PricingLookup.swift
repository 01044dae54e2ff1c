internal import ATOF

/// Under which names a model is looked for, in their order (`codecs-and-pricing.md` 5.2).
struct PricingLookup: Sendable {
    /// Model and provider; these come before the others.
    let scoped: [PricingCatalog.Key]
    /// Of the model's route.
    private let segments: [String]

    /// - Returns: nil for a blank model.
    init?(model: String, provider: String?) {
        let model = PricingLookup.comparable(model: model)
        if model.isEmpty { return nil }
        let segments = PricingLookup.segments(of: model)
        var scoped: [PricingCatalog.Key] = []
        let provider = provider.map(PricingLookup.comparable(provider:)) ?? ""
        if !provider.isEmpty {
            scoped.append(PricingCatalog.Key(provider: provider, model: model))
            if let terminal = segments.last, terminal != model {
                scoped.append(PricingCatalog.Key(provider: provider, model: terminal))
            }
        } else if segments.count > 1, let terminal = segments.last {
            scoped.append(
                PricingCatalog.Key(provider: segments.dropLast().joined(separator: "/"), model: terminal))
        }
        self.scoped = scoped
        self.segments = segments
    }

    /// The model alone: every suffix of its route, the longest first. Producers choose how many there are, so those of more than
    /// `count` bytes, which no catalogue has, are left out.
    func suffixes(upTo count: Int) -> [String] {
        var start = segments.endIndex
        var size = -1
        while start > 0, size + 1 + segments[start - 1].utf8.count <= count {
            start -= 1
            size += 1 + segments[start].utf8.count
        }
        return segments.indices[start...].map { segments[$0...].joined(separator: "/") }
    }

    static func comparable(model: String) -> String { model.trimmed.asciiLowercased }

    static func comparable(provider: String) -> String {
        var text = provider.trimmed.asciiLowercased[...]
        while text.hasPrefix("/") { text.removeFirst() }
        while text.hasSuffix("/") { text.removeLast() }
        return String(text)
    }

    /// The provider that a model's own name gives, such as `azure/openai` of `azure/openai/m`.
    static func route(of model: String) -> String? {
        let segments = segments(of: model)
        return segments.count > 1 ? segments.dropLast().joined(separator: "/") : nil
    }

    private static func segments(of model: String) -> [String] {
        model.split(separator: "/").map { String($0).trimmed }.filter { !$0.isEmpty }
    }
}
