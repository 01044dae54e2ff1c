internal import CNATS

#if canImport(Glibc)
    internal import Glibc
#endif

/// Owns a `natsOptions`, which cnats copies when it connects.
struct OptionsHandle: ~Copyable {
    let pointer: OpaquePointer

    init() throws(NATSError) {
        var created: OpaquePointer?
        guard natsOptions_Create(&created) == NATS_OK, let created else {
            throw NATSError(.configuration, "The NATS library could not allocate its options.")
        }
        pointer = created
    }

    deinit { natsOptions_Destroy(pointer) }

    /// - Parameter closure: handed to every connection callback; it must stay valid until the closed callback returned.
    func apply(_ options: NATSOptions, closure: UnsafeMutableRawPointer) throws(NATSError) {
        try setServers(options)
        try setIdentity(options)
        // cnats takes tls:// for a wish; here it is a demand: credentials never go over a connection that turned out to be plain.
        if options.tls != nil || options.urls.contains(where: { $0.hasPrefix("tls://") }) {
            try setTLS(options.tls ?? NATSOptions.TLS())
        }

        let callbacks: [natsStatus] = [
            natsOptions_SetDisconnectedCB(
                pointer, { _, closure in NATSConnection.from(closure)?.noticeDisconnect() }, closure),
            natsOptions_SetReconnectedCB(
                pointer, { _, closure in NATSConnection.from(closure)?.noticeReconnect() }, closure),
            // cnats calls this last, so it ends the ownership that `connect` handed over.
            natsOptions_SetClosedCB(
                pointer, { _, closure in NATSConnection.release(closure)?.noticeClosed() }, closure),
            natsOptions_SetErrorHandler(
                pointer, { _, _, status, closure in NATSConnection.from(closure)?.noticeError(status) }, closure),
        ]
        for status in callbacks { try check(status, "callbacks") }
    }

    private func setServers(_ options: NATSOptions) throws(NATSError) {
        guard !options.urls.isEmpty else { throw NATSError(.configuration, "No NATS URL is given; set at least one.") }
        var strings: [UnsafePointer<CChar>?] = options.urls.map { UnsafePointer(strdup($0)) }
        defer { strings.forEach { free(UnsafeMutableRawPointer(mutating: $0)) } }
        try check(
            natsOptions_SetServers(pointer, &strings, Int32(strings.count)), "URLs \(options.redactedURLs)")
        // The library applies its timeout to each server in turn.
        let milliseconds = max(1, options.connectTimeout.milliseconds / Int64(options.urls.count))
        try check(natsOptions_SetTimeout(pointer, milliseconds), "connect timeout")
        try check(natsOptions_SetName(pointer, options.name), "name")
        try check(natsOptions_SetMaxReconnect(pointer, -1), "reconnect limit")
        try check(natsOptions_SetReconnectWait(pointer, max(1, options.reconnectWait.milliseconds)), "reconnect wait")
        // While there is no connection a publish fails; at most what races with the loss gets into this buffer.
        try check(natsOptions_SetReconnectBufSize(pointer, 1), "reconnect buffer")
        // Without it a background thread delays each write by up to a millisecond.
        try check(natsOptions_SetSendAsap(pointer, true), "write mode")
        try check(natsOptions_SetIOBufSize(pointer, 128 * 1024), "buffer size")
        // A server that hangs, rather than dies, is noticed after three of them.
        try check(natsOptions_SetPingInterval(pointer, 5_000), "ping interval")
    }

    private func setIdentity(_ options: NATSOptions) throws(NATSError) {
        switch options.authentication {
        case .none: break
        case .userPassword(let user, let password):
            try check(natsOptions_SetUserInfo(pointer, user, password), "user and password")
        case .token(let token):
            try check(natsOptions_SetToken(pointer, token), "token")
        case .nkey(let publicKey, let seedFile):
            try requireReadable(seedFile, "NKey seed file")
            try check(natsOptions_SetNKeyFromSeed(pointer, publicKey, seedFile), "NKey seed file \(seedFile)")
        case .credentials(let file):
            try requireReadable(file, "credentials file")
            try check(natsOptions_SetUserCredentialsFromFiles(pointer, file, nil), "credentials file \(file)")
        }
    }

    private func setTLS(_ tls: NATSOptions.TLS) throws(NATSError) {
        try check(natsOptions_SetSecure(pointer, true), "TLS")
        if let file = tls.authorityFile {
            try requireReadable(file, "TLS authority file")
            try check(natsOptions_LoadCATrustedCertificates(pointer, file), "TLS authority file \(file)")
        }
        switch (tls.certificateFile, tls.keyFile) {
        case (nil, nil): break
        case (let certificate?, let key?):
            try requireReadable(certificate, "TLS certificate file")
            try requireReadable(key, "TLS key file")
            try check(
                natsOptions_LoadCertificatesChain(pointer, certificate, key),
                "TLS certificate \(certificate) with key \(key)")
        case (_?, nil), (nil, _?):
            throw NATSError(
                .configuration, "A TLS client certificate needs both its certificate file and its key file.")
        }
        if !tls.verify { try check(natsOptions_SkipServerVerification(pointer, true), "TLS verification") }
    }

    private func requireReadable(_ file: String, _ what: String) throws(NATSError) {
        guard access(file, R_OK) == 0 else {
            throw NATSError(.configuration, "The \(what) \(file) cannot be read; check its path and permissions.")
        }
    }

    private func check(_ status: natsStatus, _ what: String) throws(NATSError) {
        guard status == NATS_OK else {
            throw NATSError(
                .configuration, "The NATS library refused the \(what): \(String(cString: natsStatus_GetText(status))).")
        }
    }
}

extension Duration {
    var milliseconds: Int64 { components.seconds * 1_000 + components.attoseconds / 1_000_000_000_000_000 }
    var nanoseconds: Int64 { components.seconds * 1_000_000_000 + components.attoseconds / 1_000_000_000 }
}
