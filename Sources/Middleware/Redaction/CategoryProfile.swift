internal import ATOF
internal import LLMCodecs

/// The shape that a category profile must have.
enum CategoryProfile {
    static func isValid(_ profile: JSONValue) -> Bool {
        guard let members = profile.objectValue else { return false }
        for key in ["model_name", "tool_call_id", "subtype"] {
            guard let value = members[key]?.nonNull else { continue }
            if value.stringValue == nil { return false }
        }
        if let request = members["annotated_request"]?.nonNull {
            guard let annotation = request.objectValue, (try? NormalizedRequest(annotation: annotation)) != nil else {
                return false
            }
        }
        if let response = members["annotated_response"]?.nonNull {
            guard let annotation = response.objectValue, (try? NormalizedResponse(annotation: annotation)) != nil else {
                return false
            }
        }
        return true
    }
}
