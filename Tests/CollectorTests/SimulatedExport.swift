import Collector
import OTLP
import Stages

/// The delivery of an export task without a broker and a backend: items through the machine, books, checkpoints.
struct SimulatedExport {
    /// What a crash leaves.
    struct Checkpoint {
        var position: UInt64 = 0
        var projector: [UInt8]?
        var ledger: [UInt8]?
    }

    var machine: ExportMachine
    var books = ExportBooks()
    private(set) var pending: ExportAction?
    private(set) var position: UInt64
    private var snapshot: (position: UInt64, projector: [UInt8])?
    /// The backend refuses one of so many batches, always the same ones.
    private let poison: Int

    init(_ checkpoint: Checkpoint, poison: Int) throws {
        var delivery = ExportMachine.Configuration()
        delivery.maxBatchItems = 4
        delivery.scheduledDelay = .zero
        machine = ExportMachine(configuration: delivery, position: checkpoint.position)
        position = checkpoint.position
        if let bytes = checkpoint.ledger { books = try ExportBooks(snapshot: bytes) }
        self.poison = poison
    }

    var total: LedgerCounts { books.current(confirmed: machine.confirmedPosition).total() }

    /// The next message has come.
    mutating func advance() { position += 1 }

    /// Takes all items of the message, for which the backend answers when the machine is full.
    mutating func accept(_ items: [ExportItem]) {
        var rest = items[...]
        while !rest.isEmpty {
            act(machine.arrived(&rest, now: .zero))
            if !rest.isEmpty { answer() }
        }
        act(machine.advanced(through: position))
    }

    mutating func answer() {
        switch pending {
        case .send(let items):
            pending = nil
            let isBad = items.contains { $0.bytes.reduce(0) { ($0 &* 31) &+ Int($1) } % poison == 0 }
            let answer: ExportAnswer =
                isBad ? .dataRefused(.init(status: 400, reason: "")) : .delivered(rejected: 0, message: "")
            act(machine.answered(answer, now: .zero, jitter: 0))
        case .deadLetter:
            pending = nil
            act(machine.deadLettered(now: .zero))
        default: act(machine.timePassed(now: .zero))
        }
        books.lose(machine.takeLosses())
    }

    private mutating func act(_ actions: [ExportAction]) {
        for action in actions {
            switch action {
            case .send, .deadLetter: pending = action
            case .confirmed, .report, .finished: break
            }
        }
    }

    mutating func takeSnapshot(_ projector: [UInt8]) {
        guard snapshot == nil else { return }
        books.takeSnapshot()
        snapshot = (position, projector)
    }

    mutating func store(_ checkpoint: inout Checkpoint) {
        guard let (position, bytes) = snapshot, machine.confirmedPosition >= position else { return }
        checkpoint = Checkpoint(position: position, projector: bytes, ledger: books.sealed(at: position))
        snapshot = nil
    }
}
