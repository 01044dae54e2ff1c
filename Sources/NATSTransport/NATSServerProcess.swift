internal import CChildProcess
internal import Dispatch
internal import Foundation
internal import Synchronization

/// Runs a nats-server with JetStream on 127.0.0.1 as a child process, for `skein up` and for tests.
///
/// It has a process group of its own, so that Ctrl-C does not reach it before us, and gets SIGTERM from the kernel when
/// we die in whatever way. Restarting keeps port and data.
package final class NATSServerProcess: Sendable {
    package struct Options: Sendable {
        package var executable: String
        /// Created if it does not exist; also holds the log and the written configuration.
        package var dataDirectory: String
        /// `nil` takes a free one.
        package var port: Int?
        /// Bytes of the largest message; `nil` leaves it to the server (1 MiB).
        package var maxPayload: Int?
        /// More text for its configuration file.
        package var configuration = ""
        package var startTimeout = Duration.seconds(10)

        package init(executable: String, dataDirectory: String, port: Int? = nil) {
            self.executable = executable
            self.dataDirectory = dataDirectory
            self.port = port
        }
    }

    /// Wakes who waits for the process to end.
    private final class Exit: Sendable {
        private let state = Mutex<(isOver: Bool, waiters: [@Sendable () -> Void])>((false, []))

        var isOver: Bool { state.withLock { $0.isOver } }

        /// Calls back once it is over; at once if it is.
        func notify(_ waiter: @escaping @Sendable () -> Void) {
            let isOver = state.withLock { state in
                if !state.isOver { state.waiters.append(waiter) }
                return state.isOver
            }
            if isOver { waiter() }
        }

        /// Returns when it is over, or when the waiting task is cancelled.
        func wait() async {
            let over = AsyncStream<Void> { continuation in notify { continuation.finish() } }
            for await _ in over {}
        }

        func signal() {
            let waiters = state.withLock { state in
                state.isOver = true
                return state.waiters.takeAll()
            }
            waiters.forEach { $0() }
        }
    }

    private struct Running {
        let pid: pid_t
        let exit: Exit
    }

    package let port: Int
    private let options: Options
    private let running: Mutex<Running?>

    package var url: String { "nats://127.0.0.1:\(port)" }
    /// The child's process id; `nil` while it does not run.
    package var pid: Int32? {
        running.withLock { $0.flatMap { $0.exit.isOver ? nil : $0.pid } }
    }

    private init(options: Options, port: Int, running: Running) {
        self.options = options
        self.port = port
        self.running = Mutex(running)
    }

    /// Starts the server and waits until it takes connections.
    ///
    /// - Throws: `.configuration` if it cannot be started, with the place of its log.
    package static func start(_ options: Options) async throws(NATSError) -> NATSServerProcess {
        let (running, port) = try await launch(options, port: options.port)
        return NATSServerProcess(options: options, port: port, running: running)
    }

    /// Starts it again on the same port and data, after `stop` or `kill`.
    package func restart() async throws(NATSError) {
        guard pid == nil else { return }
        let (started, _) = try await Self.launch(options, port: port)
        running.withLock { $0 = started }
    }

    /// Returns when the process that runs now has ended, for whatever reason, or when the waiting task is cancelled.
    package func ended() async {
        guard let child = running.withLock({ $0 }) else { return }
        await child.exit.wait()
    }

    /// Asks it to end, and kills it after five seconds.
    package func stop() async { await end(SIGTERM) }

    /// Ends it without warning, as a crash would.
    package func kill() async { await end(SIGKILL) }

    private func end(_ signal: Int32) async {
        guard let child = running.withLock({ $0 }), !child.exit.isOver else { return }
        Glibc.kill(child.pid, signal)
        let deadline = DispatchWorkItem { if !child.exit.isOver { Glibc.kill(child.pid, SIGKILL) } }
        DispatchQueue.global().asyncAfter(deadline: .now() + .seconds(5), execute: deadline)
        await child.exit.wait()
        deadline.cancel()
    }

    // MARK: Launching

    private static func launch(_ options: Options, port: Int?) async throws(NATSError) -> (Running, Int) {
        let result: Result<(Running, Int), NATSError> = await withCheckedContinuation { continuation in
            // The kernel ties the child's life to the thread that started it, so that thread stays until the child has
            // ended.
            let thread = Thread {
                do throws(NATSError) {
                    let pid = try spawn(options, port: port)
                    let exit = Exit()
                    let ready = awaitPort(pid, options)
                    if let ready {
                        continuation.resume(returning: .success((Running(pid: pid, exit: exit), ready)))
                    } else {
                        Glibc.kill(pid, SIGKILL)
                    }
                    var status: Int32 = 0
                    while waitpid(pid, &status, 0) < 0 && errno == EINTR {}
                    exit.signal()
                    if ready == nil { throw failure(options, "did not become ready", .unreachable) }
                } catch {
                    continuation.resume(returning: .failure(error))
                }
            }
            thread.name = "nats-server"
            thread.start()
        }
        return try result.get()
    }

    private static func spawn(_ options: Options, port: Int?) throws(NATSError) -> pid_t {
        let directory = options.dataDirectory
        let limit = options.maxPayload.map { "max_payload: \($0)\n" } ?? ""
        do {
            try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
            try Data((limit + options.configuration + "\n").utf8).write(to: URL(fileURLWithPath: configFile(options)))
        } catch {
            throw failure(options, "cannot write to \(directory)")
        }
        let output = open(logFile(options), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
        guard output >= 0 else { throw failure(options, "cannot write its log") }
        defer { close(output) }
        let arguments = [
            options.executable, "-a", "127.0.0.1", "-p", port.map(String.init) ?? "-1", "-js", "-sd", directory,
            "--ports_file_dir", directory, "-c", configFile(options),
        ]
        var pointers = arguments.map { strdup($0) } + [nil]
        defer { pointers.forEach { free($0) } }
        let pid = skein_spawn(options.executable, &pointers, output)
        guard pid > 0 else { throw failure(options, "cannot be started (errno \(errno))") }
        return pid
    }

    /// Waits for the file in which the server writes its ports once it listens. Runs on the child's own thread.
    private static func awaitPort(_ pid: pid_t, _ options: Options) -> Int? {
        struct Ports: Decodable { let nats: [String] }
        let name = URL(fileURLWithPath: options.executable).lastPathComponent
        let file = URL(fileURLWithPath: "\(options.dataDirectory)/\(name)_\(pid).ports")
        defer { try? FileManager.default.removeItem(at: file) }
        let deadline = ContinuousClock.now + options.startTimeout
        while ContinuousClock.now < deadline {
            if let data = try? Data(contentsOf: file), let ports = try? JSONDecoder().decode(Ports.self, from: data),
                let port = ports.nats.first?.split(separator: ":").last.flatMap({ Int($0) })
            {
                return port
            }
            // Looks without reaping: the caller does that.
            var info = siginfo_t()
            if waitid(P_PID, id_t(pid), &info, WEXITED | WNOHANG | WNOWAIT) == 0, info.si_signo != 0 { return nil }
            usleep(5_000)
        }
        return nil
    }

    private static func configFile(_ options: Options) -> String { "\(options.dataDirectory)/nats-server.conf" }
    private static func logFile(_ options: Options) -> String { "\(options.dataDirectory)/nats-server.log" }

    private static func failure(
        _ options: Options, _ what: String, _ code: NATSError.Code = .configuration
    ) -> NATSError {
        NATSError(code, "The server \(options.executable) \(what); see \(logFile(options)).")
    }
}
