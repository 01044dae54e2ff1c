internal import ATOF
package import LLMCodecs

/// The copy of a model request that is published. What happens to it the provider never sees (`middleware-guardrails-pii.md` 5.2).
package struct ObservedModelRequest: Sendable {
    /// Nil when a sanitizer has dropped it.
    package private(set) var request: ModelRequest?
    package private(set) var annotation: JSON?
    private let codec: Surface?

    init(request: ModelRequest, annotation: JSON?, codec: Surface?) {
        self.request = request
        self.annotation = annotation
        self.codec = codec
    }

    /// For calls that nothing intercepts.
    package init(_ request: ModelRequest, codec: Surface?) {
        var request = request
        request.removeCredentials()
        self.request = request
        self.codec = codec
        annotation = codec.flatMap { ObservedModelRequest.decoded(request.content, $0) }
    }

    /// Takes what the sanitizers have left; nil drops the annotation too.
    package mutating func sanitize(_ sanitized: ModelRequest?) {
        guard sanitized != request else { return }
        request = sanitized
        annotation = sanitized.flatMap { sanitized in
            codec.flatMap { ObservedModelRequest.decoded(sanitized.content, $0) }
        }
    }

    private static func decoded(_ content: JSON, _ codec: Surface) -> JSON? {
        (try? codec.decodeRequest(content.value)).map { JSON(.object($0.annotation)) }
    }

    /// Leaves out the turns that earlier calls of the agent have told (5.5). With a codec the body is shortened too; if that fails, all stays.
    package mutating func leaveOutToldHistory() {
        guard let object = annotation?.value.objectValue, let full = try? NormalizedRequest(annotation: object),
            let short = full.withoutToldHistory
        else { return }
        if let codec, let content = request?.content.value {
            guard let baseline = try? codec.decodeRequest(content),
                let body = try? codec.encode(short, baseline: baseline, body: content)
            else { return }
            request?.content = JSON(body)
        }
        annotation = JSON(.object(short.annotation))
    }
}
