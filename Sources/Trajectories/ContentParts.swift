internal import ATOF
internal import LLMCodecs

/// The parts of a message with pictures, as ATIF v1.7 has them: texts, and images that lie somewhere
/// (`atif-trajectories.md` 3.9, 9.1).
enum ContentParts {
    private static let mediaTypes: Set<String> = ["image/jpeg", "image/png", "image/gif", "image/webp"]

    /// Whether a value is an array of nothing but ATIF parts; the reference lets them have further members.
    static func isValid(_ value: JSONValue) -> Bool {
        guard let elements = value.arrayValue else { return false }
        return elements.allSatisfy { part in
            switch part["type"] {
            case "text": return part["text"]?.stringValue != nil
            case "image":
                guard let type = part["source"]?["media_type"]?.stringValue else { return false }
                return mediaTypes.contains(type) && part["source"]?["path"]?.stringValue != nil
            default: return false
            }
        }
    }

    /// Whether a value may be such an array, by its first element: false is certain.
    static func mayBeValid(_ value: JSONCursor) -> Bool {
        guard let elements = value.elements else { return false }
        return elements.first.map { ["text", "image"].contains($0["type"]?.stringValue) } ?? true
    }

    /// Valid parts with the members of the schema only. The text of an image becomes a part of its own. A text stays as it is.
    static func cleaned(_ content: JSONValue) -> JSONValue {
        guard let parts = content.arrayValue else { return content }
        return .array(
            parts.flatMap { part -> [JSONValue] in
                let text = part["text"]?.stringValue
                guard part["type"] == "image" else { return [self.text(text ?? "")] }
                let image = image(
                    part["source"]?["media_type"]?.stringValue ?? "", path: part["source"]?["path"]?.stringValue ?? "")
                guard let text, !text.isEmpty else { return [image] }
                return [image, self.text(text)]
            })
    }

    /// Parts of a provider's message; tools and thoughts are left out, they have places of their own.
    ///
    /// - Parameter pointer: where the array is below the step's `extra`. The bytes of an image stay there: an ATIF part has
    ///   only a path. Nil where that is not known: such an image is told by its type.
    /// - Returns: nil when there is none.
    static func converted(_ parts: [JSONValue], at pointer: String?) -> JSONValue? {
        let converted = parts.enumerated().compactMap { index, value in
            part(value, at: pointer.map { "\($0)/\(index)" })
        }
        return converted.isEmpty ? nil : .array(converted)
    }

    private static func part(_ part: JSONValue, at pointer: String?) -> JSONValue? {
        // OCI writes types in capitals.
        switch part["type"]?.stringValue?.lowercased() {
        case "text", "input_text", "output_text": return part["text"]?.stringValue.map(text)
        case "refusal": return part["refusal"]?.stringValue.map(text)
        case "tool_use", "tool_result", "thinking", "redacted_thinking": return nil
        case "provider_native": return part["value"].flatMap { self.part($0, at: pointer) }
        case "image_url", "input_image":
            let url = part["image_url"]?["url"]?.stringValue ?? part["image_url"]?.stringValue
            return image(url: url, mediaType: nil, at: pointer) ?? text("[image]")
        case "image":
            let source = part["source"] ?? part["image"] ?? part["imageUrl"] ?? part
            let mediaType = (source["media_type"] ?? source["mimeType"])?.stringValue
            let url = source["url"]?.stringValue ?? source["image_url"]?.stringValue ?? source["path"]?.stringValue
            if let image = image(url: url, mediaType: mediaType, at: pointer) { return image }
            return source["data"] == nil ? text("[image]") : inlineImage(mediaType, at: pointer)
        case nil: return geminiPart(part, at: pointer)
        case .some: return text("[\(name(of: part))]")
        }
    }

    /// What a reader is told of a part that no ATIF part can be: its type, and the name or id of the file if it has one.
    private static func name(of part: JSONValue) -> String {
        let type = part["type"]?.stringValue ?? ""
        let file = part["file"] ?? part["source"] ?? part
        let names = [file["filename"], part["title"], file["file_id"], file["url"], part["file_url"]]
        guard let name = names.lazy.compactMap({ $0?.stringValue }).first(where: { !$0.isEmpty }),
            !name.hasPrefix("data:")
        else { return type }
        return "\(type) \(name)"
    }

    private static func geminiPart(_ part: JSONValue, at pointer: String?) -> JSONValue? {
        if let text = part["text"]?.stringValue { return part["thought"] == true ? nil : self.text(text) }
        if let inline = part["inlineData"] ?? part["inline_data"] {
            return inlineImage((inline["mimeType"] ?? inline["mime_type"])?.stringValue, at: pointer)
        }
        if let code = part["executableCode"] ?? part["executable_code"] {
            return code["code"]?.stringValue.map(self.text)
        }
        if let result = part["codeExecutionResult"] ?? part["code_execution_result"] {
            return result["output"]?.stringValue.map(self.text)
        }
        guard let file = part["fileData"] ?? part["file_data"] else { return nil }
        let mediaType = (file["mimeType"] ?? file["mime_type"])?.stringValue
        let url = (file["fileUri"] ?? file["file_uri"])?.stringValue
        return image(url: url, mediaType: mediaType, at: pointer) ?? text("[\(mediaType ?? "file")]")
    }

    /// - Returns: nil without an address, or when nothing says of what type the image is.
    private static func image(url: String?, mediaType: String?, at pointer: String?) -> JSONValue? {
        guard let url else { return nil }
        if url.hasPrefix("data:") {
            let type = url.dropFirst("data:".count).prefix { $0 != ";" && $0 != "," }
            return inlineImage(String(type), at: pointer)
        }
        guard let type = mediaType ?? self.mediaType(of: url) else { return text("[image \(url)]") }
        return mediaTypes.contains(type) ? image(type, path: url) : text("[\(type) \(url)]")
    }

    private static func inlineImage(_ mediaType: String?, at pointer: String?) -> JSONValue {
        guard let mediaType, let pointer, mediaTypes.contains(mediaType) else {
            return text("[\(mediaType ?? "image")]")
        }
        return image(mediaType, path: "step:///extra/\(pointer)")
    }

    private static func mediaType(of url: String) -> String? {
        let path = url.prefix { $0 != "?" && $0 != "#" }.lowercased()
        let types = [
            (".png", "image/png"), (".jpg", "image/jpeg"), (".jpeg", "image/jpeg"), (".gif", "image/gif"),
            (".webp", "image/webp"),
        ]
        return types.first { path.hasSuffix($0.0) }?.1
    }

    private static func text(_ text: String) -> JSONValue { ["type": "text", "text": .string(text)] }

    private static func image(_ mediaType: String, path: String) -> JSONValue {
        ["type": "image", "source": ["media_type": .string(mediaType), "path": .string(path)]]
    }
}
