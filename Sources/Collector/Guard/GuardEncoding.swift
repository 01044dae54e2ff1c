package import ATOF
internal import NATSTransport
internal import Stages

/// The two forms of questions and replies.
package enum GuardEncoding: String, Sendable, Hashable, CaseIterable {
    case json
    case protobuf

    package var contentType: String {
        switch self {
        case .json: SkeinHeaders.json
        case .protobuf: SkeinHeaders.protobuf
        }
    }

    /// By the `Content-Type`; without one it is JSON.
    ///
    /// - Throws: `GuardFailure` for another type.
    init(_ headers: NATSHeaders) throws(GuardFailure) {
        switch headers[SkeinHeaders.contentType].map(SkeinHeaders.mediaType) {
        case nil, SkeinHeaders.json?: self = .json
        case SkeinHeaders.protobuf?: self = .protobuf
        case _?:
            throw GuardFailure(
                .badRequest,
                "\(SkeinHeaders.contentType): must be \(SkeinHeaders.json) or \(SkeinHeaders.protobuf)")
        }
    }

    package func encode(_ question: GuardQuestion) -> [UInt8] {
        switch self {
        case .json: question.json
        case .protobuf: question.packed
        }
    }

    func encode(_ reply: GuardReply) -> [UInt8] {
        switch self {
        case .json: reply.json
        case .protobuf: reply.packed
        }
    }

    func question(_ bytes: [UInt8], kind: GuardQuestion.Kind) throws(GuardMessageError) -> GuardQuestion {
        switch self {
        case .json: try GuardQuestion(json: bytes, kind: kind)
        case .protobuf: try GuardQuestion(packed: bytes, kind: kind)
        }
    }

    func reply(_ bytes: [UInt8]) throws(GuardMessageError) -> GuardReply {
        switch self {
        case .json: try GuardReply(json: bytes)
        case .protobuf: try GuardReply(packed: bytes)
        }
    }
}
