package import ATOF
internal import LLMCodecs

extension OfflineCodec {
    /// Provider bodies to the common form and back: `request`, `response`, `encode`, `detect-*`. Nil for another kind.
    static func wireAnswer(
        kind: String, _ request: JSONObject, _ compatibility: Compatibility
    ) throws -> JSONValue? {
        let input = request["input"] ?? .null
        switch kind {
        case "request": return .object(try surface(of: request).decodeRequest(input, compatibility).annotation)
        case "response": return .object(try surface(of: request).decodeResponse(input, compatibility).annotation)
        case "encode":
            let surface = try surface(of: request)
            let baseline = try surface.decodeRequest(input, compatibility)
            let edited = try baseline.edited(request["edit"]?.objectValue ?? JSONObject())
            return try surface.encode(edited, baseline: baseline, body: input)
        case "detect-request":
            let body = input["body"] ?? .null
            let surface = body.objectValue.flatMap {
                Surface.ofRequest($0, hint: input["event_name"]?.stringValue ?? "")
            }
            return detection(surface, (try? surface?.decodeRequest(body, compatibility)) != nil)
        case "detect-response":
            let surface = input.objectValue.flatMap { Surface.ofResponse($0) }
            return detection(surface, (try? surface?.decodeResponse(input, compatibility)) != nil)
        case "detect-start-data":
            let request = LLMNormalizer.request(profile: nil, data: input, name: "", compatibility)
            return ["normalises": .bool(request != nil)]
        default: return nil
        }
    }

    static func surface(of request: JSONObject) throws -> Surface {
        guard let name = request["surface"]?.stringValue else { throw CollectorError("surface is missing") }
        guard let surface = Surface(rawValue: name) else {
            throw CollectorError("surface is \"\(name)\", which is none of \(Surface.names)")
        }
        return surface
    }

    /// What a body can be.
    package enum Direction: String, Sendable, CaseIterable {
        case request, response
    }

    /// The names of the surfaces that are decoded.
    package static var surfaces: [String] { Surface.allCases.map(\.rawValue) }

    /// The normalised form of one body, or of the data of an LLM start event, which has it under `content`.
    ///
    /// - Parameters:
    ///   - surface: one of `surfaces`; nil finds it out.
    ///   - name: the name of the event that had the body, which can hint at the surface of a request.
    ///   - compatibility: whose rules decide.
    /// - Throws: `NotJSON`, or `CollectorError` that says, behind the name of the file, why there is no normalised form.
    package static func normalize(
        _ direction: Direction, text: [UInt8], surface: String?, name: String,
        _ compatibility: Compatibility = .skein
    ) throws -> [UInt8] {
        guard var body = json(text) else { throw NotJSON() }
        if direction == .request, body["headers"]?.objectValue != nil, let content = body["content"] { body = content }
        let known = surface.flatMap(Surface.init(rawValue:))
        guard let surface = known ?? detected(direction, body, name: name) else {
            throw CollectorError(
                "is no \(direction.rawValue) whose surface can be recognised; name it with --surface: \(Surface.names)")
        }
        do throws(CodecError) {
            let annotation =
                switch direction {
                case .request: try surface.decodeRequest(body, compatibility).annotation
                case .response: try surface.decodeResponse(body, compatibility).annotation
                }
            return singleLine(annotation)
        } catch {
            throw CollectorError("is no \(direction.rawValue) of \(surface.rawValue): \(error.message)")
        }
    }

    private static func detected(_ direction: Direction, _ body: JSONValue, name: String) -> Surface? {
        guard let object = body.objectValue else { return nil }
        return switch direction {
        case .request: Surface.ofRequest(object, hint: name)
        case .response: Surface.ofResponse(object)
        }
    }

    private static func detection(_ surface: Surface?, _ normalises: Bool) -> JSONValue {
        ["normalises": .bool(normalises), "surface": surface.map { .string($0.rawValue) } ?? .null]
    }
}
