internal import ATOF
internal import LLMCodecs

/// What a part of a message shows besides text.
enum OpenInferenceMedia {
    /// Where an image is, or the image itself.
    case image(url: String)
    /// As the provider has it: OpenInference has no form for sounds and files, and an image may be in the provider's store.
    case other(kind: String, JSONValue)

    /// - Returns: nil for text, for calls and results of tools, and for a provider's part of no known form.
    init?(_ part: ContentPart) {
        switch part.kind {
        case .imageURL: self.init(image: part.members["image_url"])
        case .image: self.init(image: part.members["image"])
        case .audio, .file: self = .other(kind: part.kind.rawValue, part.members[part.kind.rawValue] ?? .null)
        case .native:
            guard let value = part.native?.value else { return nil }
            self.init(native: value)
        case .text, .refusal, .toolUse, .toolResult: return nil
        }
    }

    private init(image: JSONValue?) {
        let source = image?["source"] ?? image
        if let url = (source?["url"] ?? source?["image_url"])?.stringValue {
            self = .image(url: url)
        } else if let type = source?["media_type"]?.stringValue, let data = source?["data"]?.stringValue {
            self = .image(url: OpenInferenceMedia.url(type, data))
        } else {
            self = .other(kind: "image", image ?? .null)
        }
    }

    /// Gemini's parts say what they hold by a member, OCI's by a type, each with an address of its own name.
    private init?(native value: JSONValue) {
        if let inline = value["inlineData"] ?? value["inline_data"] {
            self.init(gemini: inline) { type in inline["data"]?.stringValue.map { OpenInferenceMedia.url(type, $0) } }
        } else if let file = value["fileData"] ?? value["file_data"] {
            self.init(gemini: file) { _ in (file["fileUri"] ?? file["file_uri"])?.stringValue }
        } else {
            switch value["type"]?.stringValue {
            case "IMAGE": self.init(image: value["imageUrl"])
            case "AUDIO": self = .other(kind: "audio", value["audioUrl"] ?? value)
            case "DOCUMENT": self = .other(kind: "file", value["documentUrl"] ?? value)
            case "VIDEO": self = .other(kind: "file", value["videoUrl"] ?? value)
            case "input_audio": self = .other(kind: "audio", value["input_audio"] ?? value)
            case .some, nil: return nil
            }
        }
    }

    private init(gemini value: JSONValue, url: (_ type: String) -> String?) {
        let type = (value["mimeType"] ?? value["mime_type"])?.stringValue ?? ""
        if type.hasPrefix("image/"), let url = url(type) {
            self = .image(url: url)
        } else {
            let kind = type.split(separator: "/").first.map(String.init) ?? ""
            self = .other(kind: kind == "image" || kind == "audio" ? kind : "file", value)
        }
    }

    private static func url(_ type: String, _ base64: String) -> String { "data:\(type);base64,\(base64)" }
}
