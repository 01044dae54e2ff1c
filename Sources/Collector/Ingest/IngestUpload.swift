internal import HTTPServer
internal import Ingest
internal import Synchronization

/// The body of a POST, read line by line as it comes.
final class IngestUpload: HTTPBodyReceiver {
    private struct State {
        var splitter: LineSplitter
        /// Of a document: its text so far.
        var document: [UInt8] = []
        var isTooLong = false

        var heldBytes: Int { splitter.heldBytes + document.count }
    }

    private let kind: IngestRoute.BodyKind
    private let intake: IngestIntake
    private let service: IngestService
    private let isStream: Bool
    private let state: Mutex<State>

    init(_ kind: IngestRoute.BodyKind, _ intake: IngestIntake, _ service: IngestService, isStream: Bool) {
        self.kind = kind
        self.intake = intake
        self.service = service
        self.isStream = isStream
        state = Mutex(State(splitter: LineSplitter(maximumBytes: service.maximumLineBytes)))
    }

    func received(_ bytes: UnsafeRawBufferPointer, _ exchange: HTTPExchange) {
        let (lines, heldBytes) = state.withLock { state in
            let isFirst = state.heldBytes == 0
            switch kind {
            case .lines:
                let lines = state.splitter.receive(bytes)
                exchange.holds(state.heldBytes, of: bytes.count, isNew: isFirst || !lines.isEmpty)
                return (lines, state.heldBytes)
            case .document:
                if state.document.count + bytes.count > service.maximumLineBytes {
                    state.isTooLong = true
                    state.document = []
                }
                if !state.isTooLong { state.document += bytes }
                exchange.holds(state.heldBytes, of: bytes.count, isNew: isFirst)
                return ([], state.heldBytes)
            }
        }
        intake.take(lines.map(ReadLine.init))
        intake.came(bytes.count, heldBytes: heldBytes)
        // A client that sends again is told so at once; a stream is never opened again, and has to wait.
        if !isStream, let refusal = service.refusal(intake) { return exchange.answer(service.answer(refusal)) }
        // First: `resume` may come from another thread before `mustWait` returns, and would be undone by a later pause.
        exchange.pause()
        if !intake.mustWait({ exchange.resume() }) { exchange.takeBackPause() }
    }

    func ended(_ exchange: HTTPExchange) {
        switch kind {
        case .lines:
            if let last = state.withLock({ $0.splitter.finish() }) { intake.take([ReadLine(last)]) }
        case .document:
            let (document, isTooLong) = state.withLock { state in
                defer { state.document = [] }
                return (state.document, state.isTooLong)
            }
            if isTooLong {
                intake.take([.tooLong(bytes: service.maximumLineBytes + 1)])
            } else {
                intake.take(ReadLine.document(document, maximumLineBytes: service.maximumLineBytes))
            }
        }
        intake.came(0, heldBytes: 0)
        intake.whenDone { [self] in exchange.answer(service.answer(intake)) }
    }

    func closed(wasAnswered: Bool) {
        let held = state.withLock { $0.heldBytes }
        intake.close()
        service.uploadClosed(isStream: isStream, truncatedBytes: wasAnswered ? 0 : held, wasAnswered: wasAnswered)
    }
}
