import Foundation
import NATSTestCluster
import NATSTransport
import Testing

@Suite("Connection")
struct ConnectionTests {
    @Test("says which URL cannot be reached, without its credentials, within the timeout")
    func unreachable() async throws {
        let options = NATSOptions(
            urls: ["nats://user:secret@127.0.0.1:1"], name: "test", connectTimeout: .milliseconds(500))
        let error = await #expect(throws: NATSError.self) { try await NATSConnection.connect(options) }
        #expect(error?.code == .unreachable)
        #expect(error?.message.contains("nats://127.0.0.1:1") == true)
        #expect(error?.message.contains("secret") == false)
    }

    @Test("gives up on a server that takes the connection and says nothing")
    func silentServer() async throws {
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(listener) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        try withUnsafeMutablePointer(to: &address) {
            try $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                try #require(bind(listener, $0, length) == 0)
                try #require(listen(listener, 1) == 0)
                try #require(getsockname(listener, $0, &length) == 0)
            }
        }
        let options = NATSOptions(
            urls: ["nats://127.0.0.1:\(UInt16(bigEndian: address.sin_port))"], name: "test",
            connectTimeout: .milliseconds(300))
        #expect(await code { _ = try await NATSConnection.connect(options) } == .unreachable)
    }

    @Test("connects with user and password, and names the URL when they are refused")
    func userPassword() async throws {
        try await NATSTestServer.with(configuration: "authorization { user: joe, password: s3cret }") { server in
            try await server.connection(.userPassword(user: "joe", password: "s3cret")) { #expect($0.isConnected) }
            for wrong in [NATSOptions.Authentication.userPassword(user: "joe", password: "wr0ng"), .none] {
                let error = await #expect(throws: NATSError.self) { try await server.connection(wrong) { _ in } }
                #expect(error?.code == .authorization)
                #expect(error?.message.contains(server.process.url) == true)
                #expect(error?.message.contains("wr0ng") == false)
            }
        }
    }

    @Test("connects with a token")
    func token() async throws {
        try await NATSTestServer.with(configuration: "authorization { token: t0ken }") { server in
            try await server.connection(.token("t0ken")) { #expect($0.isConnected) }
            #expect(await code { try await server.connection(.token("x")) { _ in } } == .authorization)
        }
    }

    @Test("connects with an NKey")
    func nkey() async throws {
        try await NATSTestServer.with(
            configuration: "authorization { users: [ { nkey: \(Keys.user.publicKey) } ] }"
        ) { server in
            let good = server.directory + "/good.nk"
            let bad = server.directory + "/bad.nk"
            try Data(Keys.user.seed.utf8).write(to: URL(fileURLWithPath: good))
            try Data(Keys.stranger.seed.utf8).write(to: URL(fileURLWithPath: bad))
            try await server.connection(.nkey(publicKey: Keys.user.publicKey, seedFile: good)) {
                #expect($0.isConnected)
            }
            let stranger = NATSOptions.Authentication.nkey(publicKey: Keys.stranger.publicKey, seedFile: bad)
            #expect(await code { try await server.connection(stranger) { _ in } } == .authorization)
            let missing = NATSOptions.Authentication.nkey(publicKey: Keys.user.publicKey, seedFile: "/nowhere.nk")
            #expect(await code { try await server.connection(missing) { _ in } } == .configuration)
        }
    }

    @Test("connects with a credentials file")
    func credentials() async throws {
        let configuration = """
            operator: \(Keys.operatorJWT)
            system_account: \(Keys.accountPublicKey)
            resolver: MEMORY
            resolver_preload: { \(Keys.accountPublicKey): \(Keys.accountJWT) }
            """
        try await NATSTestServer.with(configuration: configuration) { server in
            let file = server.directory + "/user.creds"
            try Data(Keys.credentials.utf8).write(to: URL(fileURLWithPath: file))
            try await server.connection(.credentials(file: file)) { #expect($0.isConnected) }
            #expect(await code { try await server.connection { _ in } } == .authorization)
        }
    }

    @Test("speaks TLS, verifies the server, and tells a failed handshake from refused credentials")
    func tls() async throws {
        let directory = try NATSTestServer.temporaryDirectory()
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let openssl = Process()
        openssl.executableURL = URL(fileURLWithPath: "/usr/bin/openssl")
        openssl.arguments = [
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
            "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", directory + "/key.pem",
            "-out", directory + "/cert.pem",
        ]
        openssl.standardError = FileHandle.nullDevice
        try openssl.run()
        openssl.waitUntilExit()
        let configuration = "tls { cert_file: \"\(directory)/cert.pem\", key_file: \"\(directory)/key.pem\" }"
        try await NATSTestServer.with(configuration: configuration) { server in
            try await server.connection(tls: .init(authorityFile: directory + "/cert.pem")) { #expect($0.isConnected) }
            try await server.connection(tls: .init(verify: false)) { #expect($0.isConnected) }
            #expect(await code { try await server.connection(tls: .init()) { _ in } } == .tls)
        }
        try await NATSTestServer.with { server in
            #expect(await code { try await server.connection(tls: .init()) { _ in } } == .tls)
        }
    }

    @Test("answers requests, and tells when nobody does")
    func requests() async throws {
        try await NATSTestServer.with(maxPayload: 4_096) { server in
            try await server.connection { connection in
                #expect(connection.maxPayload == 4_096)
                #expect(try await connection.serverVersion()?.hasPrefix("2.") == true)
                let subscription = try await connection.subscribe(subject: "echo", queue: "q")
                let responder = Task {
                    for await message in subscription {
                        try await connection.publish(
                            subject: message.reply ?? "none", headers: message.headers, payload: message.payload)
                    }
                }
                let reply = try await connection.request(
                    subject: "echo", headers: ["A": "1", "b": "two words"], payload: [1, 2, 3], timeout: .seconds(5))
                #expect(reply.payload == [1, 2, 3])
                #expect(reply.headers["a"] == "1")
                #expect(reply.headers["b"] == "two words")
                subscription.cancel()
                try await responder.value

                func request(_ subject: String, _ payload: [UInt8] = []) async -> NATSError.Code? {
                    await code {
                        _ = try await connection.request(
                            subject: subject, payload: payload, timeout: .milliseconds(200))
                    }
                }
                #expect(await request("nobody") == .noResponders)
                #expect(await request("no body") == .configuration)
                #expect(await request("large", Array(repeating: 0, count: 4_097)) == .payloadTooLarge)
                let silent = try await connection.subscribe(subject: "silent")
                #expect(await request("silent") == .timeout)
                #expect(silent.dropped == 0)
            }
        }
    }

    @Test("drops and counts what a subscription's reader does not take")
    func slowReader() async throws {
        try await NATSTestServer.connected { _, jetStream in
            let subscription = try await jetStream.connection.subscribe(subject: "many", capacity: 10)
            for number in 0..<100 as Range<UInt8> {
                try await jetStream.connection.publish(subject: "many", payload: [number])
            }
            let last = try await jetStream.connection.subscribe(subject: "last")
            try await jetStream.connection.publish(subject: "last", payload: [])
            var iterator = last.makeAsyncIterator()
            _ = await iterator.next()
            // Subscriptions have delivery threads of their own: wait until this one is through.
            try await bounded {
                while subscription.dropped < 90 { await Task.yield() }
            }
            subscription.cancel()
            var kept: [UInt8] = []
            for await message in subscription { kept += message.payload }
            #expect(kept == Array(0..<10))
        }
    }

    @Test("fails at once while there is no connection, reports the states, and reconnects")
    func reconnect() async throws {
        try await NATSTestServer.connected { server, jetStream in
            let connection = jetStream.connection
            var events = connection.events.makeAsyncIterator()
            let silent = try await connection.subscribe(subject: "silent")
            let waiting = Task {
                await code {
                    _ = try await connection.request(subject: "silent", payload: [], timeout: .seconds(30))
                }
            }
            var requests = silent.makeAsyncIterator()
            _ = await requests.next()
            await server.process.kill()
            #expect(await events.next() == .disconnected)
            #expect(await waiting.value == .disconnected)
            #expect(!connection.isConnected)
            #expect(await code { try await connection.publish(subject: "a", payload: []) } == .disconnected)
            try await server.process.restart()
            #expect(await events.next() == .reconnected)
            #expect(connection.isConnected)
            try await connection.publish(subject: "silent", payload: [1])
            #expect(await requests.next()?.payload == [1])
            await connection.close()
            #expect(await events.next() == .closed)
            #expect(await events.next() == nil)
            #expect(await code { try await connection.publish(subject: "a", payload: []) } == .closed)
        }
    }

    @Test("ends a request when its task is cancelled")
    func cancellation() async throws {
        try await NATSTestServer.connected { _, jetStream in
            let silent = try await jetStream.connection.subscribe(subject: "silent")
            let task = Task {
                await code {
                    _ = try await jetStream.connection.request(subject: "silent", payload: [], timeout: .seconds(60))
                }
            }
            var requests = silent.makeAsyncIterator()
            _ = await requests.next()
            task.cancel()
            #expect(await task.value == .cancelled)
        }
    }

    @Test("starts a server again on the same port with the same data")
    func serverProcess() async throws {
        try await NATSTestServer.connected { server, jetStream in
            _ = try await jetStream.createStream(StreamConfiguration(name: "S", subjects: ["s"]))
            let (port, pid) = (server.process.port, server.process.pid)
            await server.process.stop()
            #expect(server.process.pid == nil)
            try await server.process.restart()
            #expect(server.process.port == port)
            #expect(server.process.pid != nil && server.process.pid != pid)
            let found = try await server.connection { try await JetStream($0).streamInfo("S") }
            #expect(found.messages == 0)
        }
    }

    @Test("says where the log is when the server cannot be started")
    func brokenServer() async throws {
        let directory = try NATSTestServer.temporaryDirectory()
        defer { try? FileManager.default.removeItem(atPath: directory) }
        var options = NATSServerProcess.Options(
            executable: try NATSTestServer.executable(), dataDirectory: directory)
        options.configuration = "nonsense: {"
        let broken = options
        let error = await #expect(throws: NATSError.self) { try await NATSServerProcess.start(broken) }
        #expect(error?.code == .unreachable)
        #expect(error?.message.contains(directory) == true)
    }
}
