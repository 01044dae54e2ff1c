internal import CCurl

/// The connections of one thread, and the means to wake it while it waits for the network.
///
/// A multi handle instead of `curl_easy_perform`, because only a multi handle can be woken from outside: a cancelled
/// transfer ends at once and not at the next tick of libcurl's progress callback.
final class CurlMulti: @unchecked Sendable {
    // Safe because the pointer never changes, every function but `wakeUp` is called by the one thread that owns the
    // transfers, libcurl documents `curl_multi_wakeup` as callable from any thread, and `deinit` runs when nobody
    // holds the object.
    private let handle: UnsafeMutableRawPointer

    /// libcurl's global state, set up once before the first handle and never torn down.
    private static let isReady = curl_global_init(Int(CURL_GLOBAL_DEFAULT)) == CURLE_OK

    init() {
        guard Self.isReady, let handle = curl_multi_init() else {
            preconditionFailure("libcurl could not be set up: out of memory")
        }
        self.handle = handle
    }

    deinit {
        curl_multi_cleanup(handle)
    }

    func wakeUp() {
        curl_multi_wakeup(handle)
    }

    /// Performs one transfer until it ends or `isAborted` says so.
    func perform(_ easy: UnsafeMutableRawPointer, isAborted: () -> Bool) -> CURLcode {
        guard curl_multi_add_handle(handle, easy) == CURLM_OK else { return CURLE_FAILED_INIT }
        defer { curl_multi_remove_handle(handle, easy) }
        var running: Int32 = 1
        while true {
            if isAborted() { return CURLE_ABORTED_BY_CALLBACK }
            guard curl_multi_perform(handle, &running) == CURLM_OK else { return CURLE_FAILED_INIT }
            if running == 0 { break }
            // libcurl shortens this wait to its own timers, and `wakeUp` ends it.
            guard curl_multi_poll(handle, nil, 0, 60_000, nil) == CURLM_OK else { return CURLE_FAILED_INIT }
        }
        let outcome = skein_curl_multi_outcome(handle)
        return outcome < 0 ? CURLE_FAILED_INIT : CURLcode(UInt32(outcome))
    }
}
