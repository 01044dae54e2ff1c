package import ATOF

extension Compatibility {
    /// What the environment says of it; empty is nothing, as a Compose file writes a variable that is not set.
    package static func word(of environment: [String: String]) -> String? {
        environment["SKEIN_COMPATIBILITY"].flatMap { $0.isEmpty ? nil : $0 }
    }
}
