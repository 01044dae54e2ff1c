internal import Foundation
internal import HTTPTransport
internal import OTLP

/// A document with what destinations need to know of it.
struct StoredDocument: Sendable {
    let tenant: String
    let id: String
    let revision: UInt64
    /// The relative path under which it is kept; its parts are joined by slashes.
    let name: String
    /// ATIF JSON.
    let body: [UInt8]
}

/// What became of one try.
enum StoreAnswer: Sendable, Equatable {
    case stored
    /// The same document may be taken later: somebody or something has to be there again, or to be mended.
    case failed(String, retryAfter: Duration?)
    /// Never, whatever is done to the destination.
    ///
    /// - Parameter word: for the letter's reason, `refused_<word>`.
    case refused(word: String, String)
}

/// Somewhere to keep trajectories. A second document of a name replaces the first.
protocol TrajectoryDestination: Sendable {
    /// Tries once; cancelling the task may leave it unknown whether the document is there.
    func store(_ document: StoredDocument) async -> StoreAnswer
}

extension StoreAnswer {
    /// Judges the status of an answer as exports do: what is about credentials, routes or load says nothing about the document.
    init(_ response: HTTPResponse) {
        switch ExportAnswer(response, unixTime: Int(Date().timeIntervalSince1970)) {
        case .delivered, .deliveredUnreadable: self = .stored
        case .unavailable(let reason, let retryAfter): self = .failed(reason, retryAfter: retryAfter)
        case .endpointRefused(let refusal, let retryAfter):
            self = .failed(StoreAnswer.text(refusal), retryAfter: retryAfter)
        case .dataRefused(let refusal): self = .refused(word: String(refusal.status), StoreAnswer.text(refusal))
        }
    }

    private static func text(_ refusal: ExportRefusal) -> String {
        refusal.reason.isEmpty ? "status \(refusal.status)" : "status \(refusal.status): \(refusal.reason)"
    }
}

extension HTTPClient {
    /// Sends a request of a store.
    func answer(_ request: HTTPRequest, _ judge: (HTTPResponse) -> StoreAnswer) async -> StoreAnswer {
        do throws(HTTPError) {
            return judge(try await send(request))
        } catch {
            return .failed(error.description, retryAfter: nil)
        }
    }
}
