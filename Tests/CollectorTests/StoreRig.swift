import ATOF
import Collector
import Foundation
import HTTPTestServer
import NATSTransport
import Stages
import Synchronization

/// An HTTP endpoint for documents, whose answers the test changes.
final class DocumentSink: Sendable {
    let server: HTTPTestServer
    private let state: State

    private final class State: Sendable {
        let answer: Mutex<@Sendable (HTTPTestServer.Request) -> HTTPTestServer.Reply>
        let taken = Mutex<[HTTPTestServer.Request]>([])

        init(_ answer: @escaping @Sendable (HTTPTestServer.Request) -> HTTPTestServer.Reply) {
            self.answer = Mutex(answer)
        }
    }

    init(_ answer: @escaping @Sendable (HTTPTestServer.Request) -> HTTPTestServer.Reply = { _ in .init(200) }) {
        let state = State(answer)
        self.state = state
        server = HTTPTestServer { request in
            let answer = state.answer.withLock { $0 }
            let reply = answer(request)
            if reply.status == 200 { state.taken.withLock { $0.append(request) } }
            return reply
        }
    }

    func answer(_ answer: @escaping @Sendable (HTTPTestServer.Request) -> HTTPTestServer.Reply) {
        state.answer.withLock { $0 = answer }
    }

    /// The requests that were answered with 200, in order.
    var taken: [HTTPTestServer.Request] { state.taken.withLock { $0 } }

    /// The revisions of each trajectory that were taken, in order.
    var revisions: [String: [String]] {
        taken.reduce(into: [:]) { found, request in
            found[request.headers["x-nemo-relay-atif-session-id"] ?? "", default: []].append(
                request.headers["x-skein-revision"] ?? "")
        }
    }

    func store(_ name: String = "http") -> CollectorConfiguration.Store {
        var store = CollectorConfiguration.Store(
            name: name, field: "storage[0]", destination: .http(.init(url: "\(server.url)/documents")))
        store.initialBackoff = .milliseconds(20)
        return store
    }
}

extension Rig {
    /// A collector that only stores: no endpoints.
    func storing(_ stores: CollectorConfiguration.Store...) throws -> CollectorConfiguration {
        var configuration = try configuration()
        configuration.stores = stores
        return configuration
    }

    func publish(_ run: Run, _ lines: some Sequence<String>) async throws {
        try await publish([
            OutgoingMessage(
                subject: SkeinSubjects.events(tenant: run.tenant, key: run.id.description), payload: try packed(lines))
        ])
    }

    /// The last published document of a run.
    func document(of run: Run) async throws -> [UInt8]? {
        try await jetStream.lastMessage(
            stream: SkeinSubjects.trajectoriesStream,
            subject: SkeinSubjects.trajectory(tenant: run.tenant, id: run.id), fromLeader: true)?.payload
    }

    /// Forgets how far a stage is, as a lost bucket would.
    func forget(_ stage: String) async throws {
        try await jetStream.purgeStream(
            "KV_\(SkeinSubjects.stateBucket)", subject: "$KV.\(SkeinSubjects.stateBucket).task.\(stage).0")
    }

    func letters() async throws -> [StoredLetter] {
        var found: [StoredLetter] = []
        try await DeadLetterBox(jetStream).forEach(DeadLetterFilter()) {
            found.append($0)
            return true
        }
        return found
    }
}
