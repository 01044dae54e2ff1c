/// Why a payload or an annotation has no normalised form (`codecs-and-pricing.md`, vocabulary "reject").
package struct CodecError: Error, Sendable, Hashable {
    /// The two classes of rejection that the reference knows.
    package enum Kind: String, Sendable, Hashable {
        /// A rule for requests, or for the content of some responses.
        case invalidArgument = "invalid_argument"
        /// A request that is no object, or a response with a member of the wrong type.
        case `internal`
    }

    package let kind: Kind
    /// Names the member and what it has to be; never holds payload.
    package let message: String

    package init(_ kind: Kind, _ message: String) {
        self.kind = kind
        self.message = message
    }
}
