internal import CProtobufC
internal import CSkeinProto

/// What a worker said to one item; whether its surface allows it is for whoever asked.
package enum WorkerResult: Sendable, Hashable {
    case unchanged
    /// In the place of an event's three payloads; nil is null.
    case replacement(data: JSONValue?, categoryProfile: JSONObject?, metadata: JSONValue?)
    case value(JSONValue)
    case omitted
    case metadata(JSONObject)
    case verdict(isAllowed: Bool, reason: String)
    /// The item could not be decided; a short word.
    case failed(code: String)
}

/// The answer to a `WorkerCall` in its form.
package enum WorkerReply: Sendable, Hashable {
    case results([WorkerResult])
    /// The whole call failed; a short word.
    case failed(code: String)

    /// Of a verdict's reason.
    package static let maximumReasonBytes = 1_024
    private static let maximumCodeBytes = 64
    /// A result has at most two levels of fields, of which a few each.
    private static let fieldsPerResult = 8

    /// - Parameters:
    ///   - items: of the call: a reply has a result for each, unless it failed as a whole.
    ///   - maximumResultBytes: of one result's JSON texts together.
    /// - Throws: `WorkerMessageError` that says what is wrong, without any payload.
    package init(
        _ bytes: [UInt8], encoding: WorkerEncoding, items: Int, maximumResultBytes: Int
    ) throws(WorkerMessageError) {
        switch encoding {
        case .protobuf: self = try WorkerReply.unpacked(bytes, items: items, maximumResultBytes)
        case .json: self = try WorkerReply.parsed(bytes, items: items, maximumResultBytes)
        }
        if case .results(let results) = self, results.count != items {
            throw WorkerMessageError("results", "has \(results.count) elements, the call has \(items) items")
        }
    }

    /// Codes come from outside and are shown: what is no short word is not repeated.
    private static func code(_ text: String) -> String {
        let isWord = text.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "."), UInt8(ascii: "-"):
                true
            default: false
            }
        }
        return !text.isEmpty && isWord && text.utf8.count <= maximumCodeBytes ? text : "unnamed"
    }

    private static func reason(_ text: String, _ field: String) throws(WorkerMessageError) -> String {
        guard text.utf8.count <= maximumReasonBytes else {
            throw WorkerMessageError(field, "has \(text.utf8.count) bytes, the most is \(maximumReasonBytes)")
        }
        return text
    }

    // MARK: Protobuf

    private static func unpacked(_ bytes: [UInt8], items: Int, _ limit: Int) throws(WorkerMessageError) -> WorkerReply {
        // protobuf-c takes memory for each field, so they are counted first.
        let most = (items + 1) * fieldsPerResult
        guard bytes.withUnsafeBufferPointer({ PackedFieldCount.ofBatch($0, limit: most) }) <= most,
            let message = skein__v1__worker_reply__unpack(nil, bytes.count, bytes)
        else { throw WorkerMessageError("", "is not a packed skein.v1.WorkerReply of \(items) results") }
        defer { skein__v1__worker_reply__free_unpacked(message, nil) }
        if let error = message.pointee.error { return .failed(code: code(BatchStorage.text(error.pointee.code))) }
        var results: [WorkerResult] = []
        for index in 0..<message.pointee.n_results {
            guard let result = message.pointee.results[index] else { continue }
            results.append(try self.result(result.pointee, "results[\(index)]", limit))
        }
        return .results(results)
    }

    private static func result(
        _ result: Skein__V1__WorkerResult, _ field: String, _ limit: Int
    ) throws(WorkerMessageError) -> WorkerResult {
        switch result.result_case {
        case SKEIN__V1__WORKER_RESULT__RESULT_UNCHANGED where result.unchanged != 0: return .unchanged
        case SKEIN__V1__WORKER_RESULT__RESULT_OMITTED where result.omitted != 0: return .omitted
        case SKEIN__V1__WORKER_RESULT__RESULT_VALUE:
            guard let value = try json(result.value, "\(field).value", limit) else {
                throw WorkerMessageError("\(field).value", "is empty, must be JSON text")
            }
            return .value(value)
        case SKEIN__V1__WORKER_RESULT__RESULT_METADATA:
            guard let object = try json(result.metadata, "\(field).metadata", limit)?.objectValue else {
                throw WorkerMessageError("\(field).metadata", "must be an object")
            }
            return .metadata(object)
        case SKEIN__V1__WORKER_RESULT__RESULT_EVENT:
            guard let event = result.event?.pointee else { break }
            let size = event.data.len + event.category_profile.len + event.metadata.len
            guard size <= limit else { throw tooLarge("\(field).event", size, limit) }
            return try replacement(
                data: json(event.data, "\(field).event.data", limit),
                profile: json(event.category_profile, "\(field).event.category_profile", limit),
                metadata: json(event.metadata, "\(field).event.metadata", limit), field)
        case SKEIN__V1__WORKER_RESULT__RESULT_VERDICT:
            guard let verdict = result.verdict?.pointee else { break }
            return .verdict(
                isAllowed: verdict.allowed != 0,
                reason: try reason(BatchStorage.text(verdict.reason), "\(field).verdict.reason"))
        case SKEIN__V1__WORKER_RESULT__RESULT_ERROR:
            return .failed(code: code((result.error?.pointee.code).map(BatchStorage.text) ?? ""))
        default: break
        }
        throw WorkerMessageError(field, "holds no result")
    }

    private static func json(
        _ data: ProtobufCBinaryData, _ field: String, _ limit: Int
    ) throws(WorkerMessageError) -> JSONValue? {
        if data.len == 0 { return nil }
        guard data.len <= limit else { throw tooLarge(field, data.len, limit) }
        do throws(JSONRefusal) {
            return try JSONParser.parse(UnsafeBufferPointer(start: data.data, count: data.len))
        } catch {
            throw WorkerMessageError(field, "is not JSON (\(error))")
        }
    }

    private static func tooLarge(_ field: String, _ size: Int, _ limit: Int) -> WorkerMessageError {
        WorkerMessageError(field, "has \(size) bytes, the most is \(limit)")
    }

    private static func replacement(
        data: JSONValue?, profile: JSONValue?, metadata: JSONValue?, _ field: String
    ) throws(WorkerMessageError) -> WorkerResult {
        guard let profile = profile?.nonNull else {
            return .replacement(data: data?.nonNull, categoryProfile: nil, metadata: metadata?.nonNull)
        }
        guard let object = profile.objectValue else {
            throw WorkerMessageError("\(field).event.category_profile", "must be an object or null")
        }
        return .replacement(data: data?.nonNull, categoryProfile: object, metadata: metadata?.nonNull)
    }

    // MARK: JSON

    private static func parsed(_ bytes: [UInt8], items: Int, _ limit: Int) throws(WorkerMessageError) -> WorkerReply {
        let value: JSONValue
        do throws(JSONRefusal) {
            value = try JSONParser.parse(bytes)
        } catch {
            throw WorkerMessageError("", "is not JSON (\(error))")
        }
        guard let object = value.objectValue else { throw WorkerMessageError("", "is not a JSON object") }
        if let error = object["error"]?.nonNull { return .failed(code: code(error["code"]?.stringValue ?? "")) }
        guard let elements = object["results"]?.arrayValue else {
            throw WorkerMessageError("results", "is missing, or is no array")
        }
        var results: [WorkerResult] = []
        for (index, element) in elements.enumerated() {
            results.append(try result(element, "results[\(index)]", limit))
        }
        return .results(results)
    }

    private static func result(
        _ element: JSONValue, _ field: String, _ limit: Int
    ) throws(WorkerMessageError) -> WorkerResult {
        guard let object = element.objectValue, object.count == 1, let member = object.members.first else {
            throw WorkerMessageError(field, "must be an object with exactly one member")
        }
        let field = "\(field).\(member.key)"
        func checked(_ value: JSONValue) throws(WorkerMessageError) -> JSONValue {
            let size = value.compactText.utf8.count
            guard size <= limit else { throw tooLarge(field, size, limit) }
            return value
        }
        switch member.key {
        case "unchanged" where member.value == true: return .unchanged
        case "omitted" where member.value == true: return .omitted
        case "value": return .value(try checked(member.value))
        case "metadata":
            guard let object = try checked(member.value).objectValue else {
                throw WorkerMessageError(field, "must be an object")
            }
            return .metadata(object)
        case "event":
            // All three and nothing else: who leaves one out may mean "as it was" or "nothing".
            guard let object = try checked(member.value).objectValue,
                object.keys == ["category_profile", "data", "metadata"]
            else { throw WorkerMessageError(field, "must have exactly data, category_profile and metadata") }
            return try replacement(
                data: object["data"], profile: object["category_profile"], metadata: object["metadata"],
                "\(field.dropLast(".event".count))")
        case "verdict":
            guard let isAllowed = member.value["allowed"]?.boolValue else {
                throw WorkerMessageError(field, "must have allowed, true or false")
            }
            return .verdict(
                isAllowed: isAllowed, reason: try reason(member.value["reason"]?.stringValue ?? "", "\(field).reason"))
        case "error": return .failed(code: code(member.value["code"]?.stringValue ?? ""))
        default: throw WorkerMessageError(String(field.dropLast(member.key.utf8.count + 1)), "holds no result")
        }
    }
}
