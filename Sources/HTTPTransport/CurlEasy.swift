internal import CCurl

/// One transfer at a time, on the thread that made it.
struct CurlEasy: ~Copyable {
    private let handle: UnsafeMutableRawPointer
    private let errorText: UnsafeMutablePointer<CChar>

    init() {
        guard let handle = curl_easy_init() else { preconditionFailure("libcurl could not be set up: out of memory") }
        self.handle = handle
        errorText = .allocate(capacity: Int(CURL_ERROR_SIZE))
        errorText.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE))
    }

    deinit {
        curl_easy_cleanup(handle)
        errorText.deallocate()
    }

    /// Blocks until the transfer has ended or was aborted.
    func perform(_ transfer: HTTPTransfer, over multi: CurlMulti) -> Result<HTTPResponse, HTTPError> {
        let request = transfer.request
        if let defect = request.defect { return .failure(HTTPError(.other, request, defect)) }
        let answer = HTTPAnswerBuffer()
        let headers = CurlHeaders(request.headers)
        errorText[0] = 0
        let code = request.body.withUnsafeBufferPointer { body in
            do throws(CurlRefusal) {
                try configure(request, body: body, headers: headers.list, answer: answer)
                return multi.perform(handle) { transfer.isAborted }
            } catch {
                return error.code
            }
        }
        // The connections stay open: they belong to the multi handle. What libcurl has pointers to lives until here.
        withExtendedLifetime(answer) { withExtendedLifetime(headers) {} }
        defer { curl_easy_reset(handle) }
        if transfer.isAborted { return .failure(transfer.cancellation) }
        // A write error is our own doing when the body reached its bound; the answer is complete enough.
        guard code == CURLE_OK || (code == CURLE_WRITE_ERROR && answer.bodyWasCut) else {
            return .failure(HTTPError(code, request, detail: String(cString: errorText)))
        }
        var status = 0
        skein_curl_get_long(handle, CURLINFO_RESPONSE_CODE, &status)
        return .success(
            HTTPResponse(status: status, headers: answer.headers, body: answer.body, bodyWasCut: answer.bodyWasCut))
    }

    private func configure(
        _ request: HTTPRequest, body: UnsafeBufferPointer<UInt8>, headers: UnsafeMutablePointer<curl_slist>?,
        answer: HTTPAnswerBuffer
    ) throws(CurlRefusal) {
        // Without it libcurl uses signals for its timers, which is not safe with threads.
        try set(CURLOPT_NOSIGNAL, 1)
        try check(skein_curl_set_quick_exit(handle))
        try set(CURLOPT_ERRORBUFFER, pointer: errorText)
        try set(CURLOPT_PROTOCOLS_STR, "http,https")
        try set(CURLOPT_URL, request.url)
        // What is signed is what is sent.
        try set(CURLOPT_PATH_AS_IS, 1)
        let milliseconds = min(max(1, request.timeout / .milliseconds(1)), Double(Int32.max))
        try set(CURLOPT_TIMEOUT_MS, Int(milliseconds))
        try set(CURLOPT_HTTPHEADER, pointer: headers)

        if request.method == "HEAD" {
            try set(CURLOPT_NOBODY, 1)
        } else if !body.isEmpty || ["POST", "PUT", "PATCH"].contains(request.method) {
            try set(CURLOPT_POST, 1)
            try check(skein_curl_set_size(handle, CURLOPT_POSTFIELDSIZE_LARGE, curl_off_t(body.count)))
            if body.isEmpty {
                // A null pointer would make libcurl read the body from standard input.
                try set(CURLOPT_COPYPOSTFIELDS, "")
            } else {
                // Sent without a copy: the array lives until the transfer has ended.
                try set(CURLOPT_POSTFIELDS, pointer: body.baseAddress)
            }
        }
        try set(CURLOPT_CUSTOMREQUEST, request.method)

        try set(CURLOPT_CAINFO, ifPresent: request.tls.caFile)
        try set(CURLOPT_SSLCERT, ifPresent: request.tls.clientCertificate)
        try set(CURLOPT_SSLKEY, ifPresent: request.tls.clientKey)
        if request.tls.insecureSkipVerify {
            try set(CURLOPT_SSL_VERIFYPEER, 0)
            try set(CURLOPT_SSL_VERIFYHOST, 0)
        }

        let context = Unmanaged.passUnretained(answer).toOpaque()
        try check(skein_curl_set_callback(handle, CURLOPT_HEADERFUNCTION, receiveHeaderLine))
        try set(CURLOPT_HEADERDATA, pointer: context)
        try check(skein_curl_set_callback(handle, CURLOPT_WRITEFUNCTION, receiveBody))
        try set(CURLOPT_WRITEDATA, pointer: context)
    }

    private func set(_ option: CURLoption, _ value: Int) throws(CurlRefusal) {
        try check(skein_curl_set_long(handle, option, value))
    }

    private func set(_ option: CURLoption, _ value: String) throws(CurlRefusal) {
        try check(skein_curl_set_string(handle, option, value))
    }

    private func set(_ option: CURLoption, ifPresent value: String?) throws(CurlRefusal) {
        if let value { try set(option, value) }
    }

    private func set(_ option: CURLoption, pointer: UnsafeRawPointer?) throws(CurlRefusal) {
        try check(skein_curl_set_pointer(handle, option, pointer))
    }

    private func check(_ code: CURLcode) throws(CurlRefusal) {
        if code != CURLE_OK { throw CurlRefusal(code: code) }
    }
}

/// libcurl did not accept an option.
private struct CurlRefusal: Error {
    let code: CURLcode
}

/// The headers of a request as libcurl wants them.
private struct CurlHeaders: ~Copyable {
    private(set) var list: UnsafeMutablePointer<curl_slist>?

    init(_ headers: [(name: String, value: String)]) {
        // A name without a value removes what libcurl would add by itself: a form's content type, and asking for
        // permission before a large body, which costs a round trip.
        if !headers.contains(where: { $0.name.lowercased() == "content-type" }) { append("Content-Type:") }
        append("Expect:")
        for (name, value) in headers {
            // The semicolon sends a header with an empty value.
            append(value.isEmpty ? "\(name);" : "\(name): \(value)")
        }
    }

    deinit {
        curl_slist_free_all(list)
    }

    private mutating func append(_ line: String) {
        list = curl_slist_append(list, line) ?? list
    }
}

/// Called by libcurl on the transfer's thread, inside `curl_multi_perform`, with a complete header line that it owns
/// and that lives for this call only. `context` is the `HTTPAnswerBuffer` of the transfer. Must not call libcurl.
private func receiveHeaderLine(
    _ bytes: UnsafeMutablePointer<CChar>?, _ size: Int, _ count: Int, _ context: UnsafeMutableRawPointer?
) -> Int {
    guard let context else { return 0 }
    let line = UnsafeRawBufferPointer(start: bytes, count: size * count)
    Unmanaged<HTTPAnswerBuffer>.fromOpaque(context).takeUnretainedValue().receive(headerLine: line)
    return line.count
}

/// Called by libcurl as `receiveHeaderLine` is, with a piece of the body. Returning less than what came aborts.
private func receiveBody(
    _ bytes: UnsafeMutablePointer<CChar>?, _ size: Int, _ count: Int, _ context: UnsafeMutableRawPointer?
) -> Int {
    guard let context else { return 0 }
    let piece = UnsafeRawBufferPointer(start: bytes, count: size * count)
    return Unmanaged<HTTPAnswerBuffer>.fromOpaque(context).takeUnretainedValue().receive(body: piece)
}
