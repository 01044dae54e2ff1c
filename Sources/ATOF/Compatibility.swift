/// Whose answer counts where the reference is wrong (`docs/deviations.md`).
package enum Compatibility: String, Sendable, Hashable, CaseIterable {
    /// Skein's own: documents are valid, nothing is lost, nothing false is stated.
    case skein
    /// The reference's, with its defects, for those who compare outputs.
    case strict
}
