/// Sends requests over libcurl without blocking a task: transfers run on threads of the client's own.
///
/// At most `maxThreads` requests are in transfer; more wait in order of arrival. That queue has no bound: callers
/// keep few requests in flight each (an exporter one). A thread starts when a request finds no idle one and lives
/// until `shutdown()`, or until the client is released. It keeps its connections open, and the thread that was used
/// last is used first, so a lone caller has one thread and one connection.
///
/// Redirects are not followed. The proxy variables of the environment (`https_proxy`, `no_proxy`, …) are obeyed.
package final class HTTPClient: Sendable {
    private let pool: HTTPWorkerPool

    package init(maxThreads: Int = 8) {
        precondition(maxThreads > 0)
        pool = HTTPWorkerPool(maxThreads: maxThreads)
    }

    deinit {
        pool.stop()
    }

    /// Sends a request and returns the answer, whatever its status.
    ///
    /// Cancelling the task aborts the transfer; whether the server has acted on the request is then unknown.
    ///
    /// - Throws: `HTTPError` when there is no answer; `.cancelled` also after `shutdown()`.
    package func send(_ request: HTTPRequest) async throws(HTTPError) -> HTTPResponse {
        let transfer = HTTPTransfer(request)
        let result = await withTaskCancellationHandler {
            await withCheckedContinuation { pool.submit(transfer, $0) }
        } onCancel: {
            pool.cancel(transfer)
        }
        return try result.get()
    }

    /// Aborts every request with `.cancelled` and returns when all threads have ended.
    package func shutdown() async {
        pool.stop()
        await pool.ended()
    }
}
