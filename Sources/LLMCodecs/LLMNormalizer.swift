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
        return request(body, surface, compatibility)
    }

    private static func request(
        _ body: JSONValue, _ surface: Surface, _ compatibility: Compatibility
    ) -> NormalizedRequest? {
        let plain = try? surface.decodeRequest(body, compatibility)
        guard compatibility != .strict, let object = body.objectValue,
            plain == nil || ForgivingBodies.isOtherForm(request: object, surface)
        else { return plain }
        let other = ForgivingBodies.request(object, surface)
        return other.flatMap { try? surface.decodeRequest(.object($0), compatibility) } ?? plain
    }

    static func response(
        _ body: JSONObject, _ surface: Surface, _ compatibility: Compatibility
    ) -> NormalizedResponse? {
        let plain = try? surface.decodeResponse(.object(body), compatibility)
        if compatibility == .strict || plain != nil && !ForgivingBodies.isOtherForm(body, surface) { return plain }
        let other = ForgivingBodies.response(body, surface)
        return other.flatMap { try? surface.decodeResponse(.object($0), compatibility) } ?? plain
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
        guard let data, let body = answer(data, compatibility).objectValue,
            let surface = Surface.ofResponse(body)
        else { return nil }
        var response = response(body, surface, compatibility)
        response?.estimateCost(by: pricing, surface: surface)
        return response
    }

    /// Why a model call failed whose end does not say how it went: what the provider sent in the place of an answer, or what broke off its
    /// stream.
    ///
    /// - Parameters:
    ///   - answer: what `answer(_:)` makes of the data.
    ///   - isStreamed: whether it was a stream: then words can stand before an error.
    /// - Returns: nil also where an answer stands beside the error, or the stream had ended.
    package static func error(profile: JSONValue?, answer: JSONValue, isStreamed: Bool) -> ProviderError? {
        guard let error = ProviderError(in: answer) else { return nil }
        let response = response(profile: profile, data: answer)
        let reason = response?.finishReason
        if answer["status"] == "failed" || reason == .unknown("error") || reason == .unknown("failed") { return error }
        let isAnswered =
            isStreamed
            ? hasEnded(answer, reason)
            : response?.message?.firstText?.isEmpty == false || response?.toolCalls?.isEmpty == false
                || OtherAnswers.areIn(answer)
        return isAnswered ? nil : error
    }

    /// Whether a stream says itself that it has ended.
    private static func hasEnded(_ answer: JSONValue, _ reason: FinishReason?) -> Bool {
        if answer["candidates"] != nil { return answer["candidates"]?[0]?["finishReason"]?.nonNull != nil }
        return reason != nil
    }

    /// The body of an answer. One that was published as the stream that it came in is put together; the reference takes the stream for the
    /// model's words.
    ///
    /// - Parameter data: of an LLM end; what is no stream is returned as it is.
    package static func answer(_ data: JSONValue, _ compatibility: Compatibility = .skein) -> JSONValue {
        if compatibility == .strict || data.objectValue != nil { return data }
        return StreamedAnswer.body(of: data) ?? data
    }
}

/// Answers in forms for which the common one has no place.
private enum OtherAnswers {
    static func areIn(_ body: JSONValue) -> Bool {
        let message = body["choices"]?[0]?["message"]
        let words = [
            message?["refusal"], message?["audio"]?["transcript"], body["content"], body["answer"],
            body["assistant_message"]?["content"],
        ]
        if words.contains(where: { $0?.stringValue?.isEmpty == false }) || message?["function_call"]?.nonNull != nil {
            return true
        }
        return body["output"]?.arrayValue?.contains { item in
            item["type"] == "custom_tool_call"
                || item["content"]?.arrayValue?.contains { $0["type"] == "refusal" } ?? false
        } ?? false
    }
}
