package import ATOF

/// Finds the normalised request and response of LLM events (`codecs-and-pricing.md` 1).
///
/// What the producer annotated counts; without it, or when it cannot be read, `data` is decoded if its surface is
/// recognised. Whatever goes wrong, the answer is nil and the event keeps its raw data.
package enum LLMNormalizer {
    /// The normalised request of an LLM start.
    ///
    /// - Parameters:
    ///   - profile: the event's category profile.
    ///   - name: the event's name, the hint at a provider.
    ///   - compatibility: whose rules decide what a body is refused for.
    package static func request(
        profile: JSONValue?, data: JSONValue?, name: String, _ compatibility: Compatibility = .skein
    ) -> NormalizedRequest? {
        let body = body(of: data)
        if let annotation = profile?["annotated_request"]?.objectValue,
            let request = try? NormalizedRequest(annotation: annotation, body: body, name: name)
        {
            return request
        }
        guard let body, let surface = body.objectValue.flatMap({ Surface.ofRequest($0, hint: name) }) else {
            return nil
        }
        return try? surface.decodeRequest(body, compatibility)
    }

    /// The request as the producer annotated it, whatever its body may have hidden.
    package static func annotatedRequest(_ profile: JSONValue?) -> NormalizedRequest? {
        guard let annotation = profile?["annotated_request"]?.objectValue else { return nil }
        return try? NormalizedRequest(annotation: annotation)
    }

    /// The provider's body in the data of an LLM start, which are `{headers, content}`; nil where they are anything else.
    package static func body(of data: JSONValue?) -> JSONValue? {
        data?["headers"]?.objectValue == nil ? nil : data?["content"]
    }

    /// The normalised response of an LLM end.
    ///
    /// - Parameters:
    ///   - pricing: prices what is decoded; an annotation stays as it is.
    ///   - compatibility: whose rules decide what a body is refused for.
    package static func response(
        profile: JSONValue?, data: JSONValue?, pricing: PricingSources = PricingSources(),
        _ compatibility: Compatibility = .skein
    ) -> NormalizedResponse? {
        annotatedResponse(profile, data: data) ?? decodedResponse(data: data, pricing, compatibility)
    }

    /// The response as the producer annotated it.
    ///
    /// - Parameter data: the body beside the annotation, which has what its own members hide of it.
    package static func annotatedResponse(_ profile: JSONValue?, data: JSONValue?) -> NormalizedResponse? {
        guard let annotation = profile?["annotated_response"]?.objectValue else { return nil }
        return try? NormalizedResponse(annotation: annotation, data: data)
    }

    private static func decodedResponse(
        data: JSONValue?, _ pricing: PricingSources, _ compatibility: Compatibility
    ) -> NormalizedResponse? {
        guard let data, let (surface, body) = body(ofAnswer: data, compatibility) else { return nil }
        var response = try? surface.decodeResponse(body, compatibility)
        response?.estimateCost(by: pricing, surface: surface)
        return response
    }

    /// The body of an answer, and whose it is. One that was published as the stream that it came in is put together; the reference shows
    /// the stream.
    private static func body(
        ofAnswer data: JSONValue, _ compatibility: Compatibility
    ) -> (surface: Surface, body: JSONValue)? {
        if let object = data.objectValue { return Surface.ofResponse(object).map { ($0, data) } }
        return compatibility == .strict ? nil : StreamedAnswer.body(of: data)
    }
}
