import ATOF
import CProtobufC
import CSkeinProto
import Foundation
import NATSTransport
import Stages
import Synchronization

/// A worker on the test's server that does what the test says.
final class FakeWorker: Sendable {
    enum Behaviour: Sendable {
        case answers, silent, slow, garbage, tooFew, wrongKind, fails, itemFails
        /// Announces itself and does not listen.
        case deaf
    }

    struct Call: Sendable {
        let surface: String
        let tenant: String
        let items: Int
        /// In the JSON form.
        let json: JSONValue?
    }

    /// The results of a call in JSON; protobuf workers leave everything unchanged.
    struct Reply: Sendable {
        let results: [JSONValue]

        init(results count: Int) { results = Array(repeating: ["unchanged": true], count: count) }
        init(_ results: [JSONValue]) { self.results = results }
    }

    private struct State {
        var calls: [Call] = []
        var now = 0
        var most = 0
    }

    private let rig: Rig
    private let name: String
    private let instance: String
    private let digest: String
    private let surfaces: [WorkerSurface]
    private let encoding: WorkerEncoding
    private let behaviour: Behaviour
    private let state = Mutex(State())

    var calls: [Call] { state.withLock { $0.calls } }
    var mostAtOnce: Int { state.withLock { $0.most } }

    init(
        _ rig: Rig, name: String = "w", instance: String = "one", digest: String = "d1",
        surfaces: [WorkerSurface] = WorkerSurface.allCases, encoding: WorkerEncoding = .json,
        behaviour: Behaviour = .answers, _ answer: @escaping @Sendable (Call) -> Reply
    ) async throws {
        self.rig = rig
        self.name = name
        self.instance = instance
        self.digest = digest
        self.surfaces = surfaces
        self.encoding = encoding
        self.behaviour = behaviour
        let connection = rig.jetStream.connection
        if behaviour != .deaf {
            let calls = try await connection.subscribe(
                subject: "skein.v1.worker.invoke.\(name).\(digest).*", queue: name)
            Task { for await message in calls { self.received(message, answer) } }
        }
        let hellos = try await connection.subscribe(subject: SkeinSubjects.workerHello)
        Task { for await _ in hellos { try await self.announce(leaving: false) } }
        try await announce(leaving: false)
    }

    func leave() async throws { try await announce(leaving: true) }

    private func announce(leaving: Bool) async throws {
        let payload: [UInt8]
        switch encoding {
        case .json:
            let object: JSONValue = [
                "protocol": 1, "name": .string(name), "instance": .string(instance), "config_digest": .string(digest),
                "heartbeat_millis": 60000, "leaving": .bool(leaving),
                "surfaces": .array(surfaces.map { ["surface": .string($0.rawValue)] }),
            ]
            payload = Array(object.compactText.utf8)
        case .protobuf:
            var message = Skein__V1__WorkerAnnouncement()
            skein__v1__worker_announcement__init(&message)
            message.protocol = 1
            message.heartbeat_millis = 60000
            message.leaving = leaving ? 1 : 0
            payload = FakeWorker.packed(message, name, instance, digest)
        }
        try await rig.jetStream.connection.publish(
            subject: SkeinSubjects.workerAnnouncement(name: name), headers: ["Content-Type": encoding.rawValue],
            payload: payload)
    }

    /// One that serves marks.
    private static func packed(
        _ message: Skein__V1__WorkerAnnouncement, _ name: String, _ instance: String, _ digest: String
    ) -> [UInt8] {
        var message = message
        var (name, instance, digest) = (Array(name.utf8), Array(instance.utf8), Array(digest.utf8))
        var offer = Skein__V1__WorkerSurfaceOffer()
        skein__v1__worker_surface_offer__init(&offer)
        offer.surface = SKEIN__V1__WORKER_SURFACE__WORKER_SURFACE_MARK
        return name.withUnsafeMutableBufferPointer { name in
            instance.withUnsafeMutableBufferPointer { instance in
                digest.withUnsafeMutableBufferPointer { digest in
                    withUnsafeMutablePointer(to: &offer) { offer in
                        var offers: [UnsafeMutablePointer<Skein__V1__WorkerSurfaceOffer>?] = [offer]
                        return offers.withUnsafeMutableBufferPointer { offers in
                            message.name = .init(len: name.count, data: name.baseAddress)
                            message.instance = .init(len: instance.count, data: instance.baseAddress)
                            message.config_digest = .init(len: digest.count, data: digest.baseAddress)
                            message.n_surfaces = 1
                            message.surfaces = offers.baseAddress
                            var bytes = [UInt8](
                                repeating: 0, count: skein__v1__worker_announcement__get_packed_size(&message))
                            skein__v1__worker_announcement__pack(&message, &bytes)
                            return bytes
                        }
                    }
                }
            }
        }
    }

    private func received(_ message: NATSMessage, _ answer: @escaping @Sendable (Call) -> Reply) {
        let call: Call
        switch encoding {
        case .json:
            let json = try? JSONParser.parse(message.payload)
            call = Call(
                surface: json?["surface"]?.stringValue ?? "", tenant: json?["tenant"]?.stringValue ?? "",
                items: json?["items"]?.arrayValue?.count ?? -1, json: json)
        case .protobuf:
            let unpacked = skein__v1__worker_call__unpack(nil, message.payload.count, message.payload)
            defer { skein__v1__worker_call__free_unpacked(unpacked, nil) }
            let tenant = unpacked.map { $0.pointee.tenant }
            let name = tenant.map { UnsafeBufferPointer(start: $0.data, count: $0.len) }.map(Array.init) ?? []
            call = Call(
                surface: "\(unpacked?.pointee.surface.rawValue ?? 0)", tenant: String(decoding: name, as: UTF8.self),
                items: unpacked?.pointee.n_items ?? -1, json: nil)
        }
        state.withLock { state in
            state.calls.append(call)
            state.now += 1
            state.most = max(state.most, state.now)
        }
        guard let reply = message.reply else { return }
        let payload = payload(call, answer)
        Task {
            // Long enough for others to come meanwhile.
            if behaviour == .slow { try await Task.sleep(for: .milliseconds(50)) }
            state.withLock { $0.now -= 1 }
            if let payload { try await rig.jetStream.connection.publish(subject: reply, payload: payload) }
        }
    }

    private func payload(_ call: Call, _ answer: (Call) -> Reply) -> [UInt8]? {
        if encoding == .protobuf {
            // `results`, each with `unchanged`.
            return (0..<call.items).flatMap { _ in [0x0A, 2, 0x08, 1] as [UInt8] }
        }
        func text(_ value: JSONValue) -> [UInt8] { Array(value.compactText.utf8) }
        switch behaviour {
        case .silent, .deaf: return nil
        case .answers, .slow: return text(["results": .array(answer(call).results)])
        case .garbage: return Array("secret".utf8)
        case .tooFew: return text(["results": []])
        case .wrongKind: return text(["results": .array(Array(repeating: ["value": "secret"], count: call.items))])
        case .fails: return text(["error": ["code": "broken", "message": "secret"]])
        case .itemFails:
            return text(["results": .array(Array(repeating: ["error": ["code": "secret words"]], count: call.items))])
        }
    }
}
