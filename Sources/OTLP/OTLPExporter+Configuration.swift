package import HTTPTransport

extension OTLPExporter {
    /// How request bodies are sent.
    package enum Compression: String, Sendable {
        case gzip
        case none
    }

    /// An endpoint and how to deliver to it.
    package struct Configuration: Sendable {
        /// The full URL of the signal, `…/v1/traces` for spans.
        package var url: String
        /// Sent with every request, after `Content-Type`, `Content-Encoding` and `User-Agent`, which are the
        /// exporter's own.
        package var headers: [(name: String, value: String)] = []
        /// Longest time for one request.
        package var timeout = Duration.seconds(10)
        package var tls = HTTPRequest.TLS()
        package var compression = Compression.gzip
        package var framing: OTLPRequestFraming
        package var delivery = ExportMachine.Configuration()
        /// Of Skein, for `User-Agent: skein/<version>`.
        package var version: String

        package init(url: String, framing: OTLPRequestFraming, version: String) {
            self.url = url
            self.framing = framing
            self.version = version
        }

        /// A request without its body.
        var request: HTTPRequest {
            var own = [(name: "Content-Type", value: "application/x-protobuf"), ("User-Agent", "skein/\(version)")]
            if compression == .gzip { own.append(("Content-Encoding", "gzip")) }
            return HTTPRequest(method: "POST", url: url, headers: own + headers, timeout: timeout, tls: tls)
        }
    }
}
