internal import ATOF
internal import LLMCodecs

enum CodecProperties {
    /// What is decoded has an annotation that reads as the same, in every surface.
    static func check(_ text: [UInt8]) throws(FuzzFailure) {
        let value = text.withUnsafeBufferPointer { JSONPolicy.value(of: $0) }
        for surface in Surface.allCases {
            if let request = try? surface.decodeRequest(value) { try check(request, surface, value) }
            if let response = try? surface.decodeResponse(value) { try check(response) }
        }
        if let object = value.objectValue {
            for hint in ["", "anthropic", "oci"] { _ = Surface.ofRequest(object, hint: hint) }
            _ = Surface.ofResponse(object)
            if let request = try? NormalizedRequest(annotation: object) { try check(request) }
            if let response = try? NormalizedResponse(annotation: object) { try check(response) }
        }
        for profile in [nil, ["annotated_request": value, "annotated_response": value]] as [JSONValue?] {
            for data in [nil, value, ["content": value, "headers": [:]]] as [JSONValue?] {
                _ = LLMNormalizer.request(profile: profile, data: data, name: "openai")
                _ = LLMNormalizer.response(profile: profile, data: data)
            }
        }
        for data in [value, ["usage": value]] {
            guard let usage = ManualUsage(data) else { continue }
            if let counts = usage.usage { try JSONProperties.check(counts.json) }
            for policy in [.anyCurrency, .usd, .statedUSD] as [ManualUsage.CostPolicy] {
                _ = usage.cost(policy)?.amount
            }
        }
    }

    /// A shorter history, and other parameters, are written into the body.
    private static func check(
        _ request: NormalizedRequest, _ surface: Surface, _ body: JSONValue
    ) throws(FuzzFailure) {
        try check(request)
        try FuzzFailure.unless(
            (try? surface.encode(request, baseline: request, body: body)) == body, "an edit of nothing changes the body"
        )
        for edited in [request.withoutToldHistory, try? request.edited(edit)] {
            guard let edited, let written = try? surface.encode(edited, baseline: request, body: body) else { continue }
            try JSONProperties.check(written)
            _ = try? surface.decodeRequest(written)
        }
    }

    private static let edit = JSONObject([
        ("model", "other"), ("params", ["temperature": 0.5, "max_tokens": 1, "stop": ["x"]]),
    ])

    private static func check(_ request: NormalizedRequest) throws(FuzzFailure) {
        _ = (request.api, request.systemPrompt)
        try JSONProperties.check(.object(request.annotation))
    }

    private static func check(_ response: NormalizedResponse) throws(FuzzFailure) {
        _ = (response.api, response.optimizationSummary)
        try JSONProperties.check(.object(response.annotation))
    }

    /// The bodies in a line: of an event its data and annotations, of a fixture its input.
    static func seeds(of line: [UInt8]) -> [[UInt8]] {
        guard let object = try? JSONParser.parse(line).objectValue else { return [] }
        let profile = object["category_profile"]
        let bodies = [
            object["input"], object["data"], object["data"]?["content"], profile?["annotated_request"],
            profile?["annotated_response"],
        ]
        return bodies.compactMap { body in
            guard let body, body.objectValue?.isEmpty == false else { return nil }
            return Array(body.compactText.utf8)
        }
    }
}
