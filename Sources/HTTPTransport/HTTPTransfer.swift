internal import Synchronization

/// A request on its way, with the flag that asks the thread in charge to abort it.
final class HTTPTransfer: Sendable {
    let request: HTTPRequest
    private let aborted = Atomic(false)

    init(_ request: HTTPRequest) {
        self.request = request
    }

    var isAborted: Bool { aborted.load(ordering: .acquiring) }

    func abort() {
        aborted.store(true, ordering: .releasing)
    }

    var cancellation: HTTPError { HTTPError(.cancelled, request, "cancelled") }
}
