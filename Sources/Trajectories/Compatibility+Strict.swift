internal import ATOF

extension Compatibility {
    /// Whether the reference's defects are kept.
    var isStrict: Bool { self == .strict }
}
