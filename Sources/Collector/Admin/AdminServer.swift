internal import HTTPProtocol
internal import HTTPServer

/// Answers probes and metrics over HTTP: `/healthz`, `/readyz`, `/metrics`.
struct AdminServer: Sendable {
    private let listener: HTTPListener

    /// - Parameter readiness: nil when the collector is ready, else the reason why not.
    /// - Throws: `CollectorError` when it cannot listen.
    init(
        _ configuration: CollectorConfiguration.Admin, metrics: @escaping @Sendable () async -> String,
        readiness: @escaping @Sendable () async -> String?
    ) throws {
        do throws(HTTPServerError) {
            listener = try HTTPListener(
                HTTPServerOptions(host: configuration.host, port: configuration.port),
                AdminHandler(metrics: metrics, readiness: readiness))
        } catch {
            throw CollectorError("http.listen: \(error)")
        }
    }

    /// Serves until the task is cancelled.
    func run() async { await listener.run() }
}

private struct AdminHandler: HTTPHandler {
    let metrics: @Sendable () async -> String
    let readiness: @Sendable () async -> String?

    func began(_ request: HTTPServerRequest, _ exchange: HTTPExchange) {
        guard ["GET", "HEAD"].contains(request.method) else {
            return exchange.answer(.text("only GET is answered here\n", status: 405))
        }
        switch request.path {
        case "/healthz": exchange.answer(.text("ok\n"))
        case "/readyz":
            Task {
                guard let reason = await readiness() else { return exchange.answer(.text("ready\n")) }
                exchange.answer(.text("\(reason)\n", status: 503))
            }
        case "/metrics":
            Task {
                exchange.answer(
                    .text(await metrics(), contentType: "text/plain; version=0.0.4; charset=utf-8"))
            }
        default: exchange.answer(.text("there are /healthz, /readyz and /metrics\n", status: 404))
        }
    }

    func refused(_ refusal: RequestFraming.Refusal) -> HTTPAnswer {
        .text("\(refusal.reason)\n", status: refusal.status)
    }

    func reaped(_ reason: HTTPReapReason) {}
}
