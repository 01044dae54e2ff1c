internal import HTTPProtocol
internal import HTTPServer
internal import Ingest

/// A producer's WebSocket: each text message is an event.
final class IngestSocket: WebSocketReceiver {
    private let intake: IngestIntake
    private let service: IngestService

    init(_ intake: IngestIntake, _ service: IngestService) {
        self.intake = intake
        self.service = service
    }

    var maximumMessageBytes: Int { service.maximumLineBytes }

    func opened(_ socket: WebSocketConnection) { service.socketOpened(self, socket) }

    func received(_ text: [UInt8], _ socket: WebSocketConnection) {
        var text = text
        if text.last == 0x0A { text.removeLast() }
        intake.take([ReadLine(.line(text))])
    }

    /// Closed for it, NeMo Relay would send it again at once, and nothing behind it.
    func skipped(_ bytes: Int, _ socket: WebSocketConnection) { intake.take([.tooLong(bytes: bytes)]) }

    func came(_ bytes: Int, heldBytes: Int, _ socket: WebSocketConnection) {
        intake.came(bytes, heldBytes: heldBytes)
        // Such a client retries nothing and reads nothing: what cannot be stored makes it slower, never refused.
        // Paused first, for `resume` may come from another thread before `mustWait` returns.
        socket.pause()
        if !intake.mustWait({ socket.resume() }) { socket.takeBackPause() }
    }

    func failed(_ reason: String) { service.rejected(.webSocket) }

    func closed() {
        intake.close()
        service.socketClosed(self)
    }
}
