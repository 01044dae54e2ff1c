internal import Synchronization

/// Hands transfers to threads: which thread does what, what waits, and who is told.
final class HTTPWorkerPool: Sendable {
    typealias Answer = CheckedContinuation<Result<HTTPResponse, HTTPError>, Never>

    struct Job {
        let transfer: HTTPTransfer
        let answer: Answer
    }

    private struct Slot {
        let worker: HTTPWorker
        var job: Job?
        var hasEnded = false
    }

    private struct State {
        var slots: [Slot] = []
        /// Indices of slots whose threads wait; the last one was busy last and is used first.
        var idle: [Int] = []
        var waiting: [Job] = []
        var isStopped = false
        var enders: [CheckedContinuation<Void, Never>] = []
    }

    private enum Placement {
        case refused, queued
        case given(HTTPWorker)
        case started(HTTPWorker)
    }

    private let maxThreads: Int
    private let state = Mutex(State())

    init(maxThreads: Int) {
        self.maxThreads = maxThreads
    }

    func submit(_ transfer: HTTPTransfer, _ answer: Answer) {
        let job = Job(transfer: transfer, answer: answer)
        let placement = state.withLock { state -> Placement in
            if state.isStopped || transfer.isAborted { return .refused }
            if let index = state.idle.popLast() {
                state.slots[index].job = job
                return .given(state.slots[index].worker)
            }
            if state.slots.count < maxThreads {
                let worker = HTTPWorker(index: state.slots.count)
                state.slots.append(Slot(worker: worker, job: job))
                return .started(worker)
            }
            state.waiting.append(job)
            return .queued
        }
        switch placement {
        case .refused: answer.resume(returning: .failure(transfer.cancellation))
        case .queued: break
        case .given(let worker): worker.jobGiven()
        case .started(let worker): worker.start(for: self)
        }
    }

    /// Aborts a transfer. One that was not submitted yet is refused later, one that has ended stays as it is.
    func cancel(_ transfer: HTTPTransfer) {
        transfer.abort()
        let (queued, worker) = state.withLock { state -> (Job?, HTTPWorker?) in
            if let index = state.waiting.firstIndex(where: { $0.transfer === transfer }) {
                return (state.waiting.remove(at: index), nil)
            }
            return (nil, state.slots.first { $0.job?.transfer === transfer }?.worker)
        }
        queued?.answer.resume(returning: .failure(transfer.cancellation))
        worker?.interrupt()
    }

    /// Ends the threads, after aborting what they do and what waits.
    func stop() {
        let (waiting, slots) = state.withLock { state -> ([Job], [Slot]) in
            state.isStopped = true
            defer { state.waiting = [] }
            return (state.waiting, state.slots)
        }
        for job in waiting {
            job.answer.resume(returning: .failure(job.transfer.cancellation))
        }
        for slot in slots {
            slot.job?.transfer.abort()
            slot.worker.interrupt()
            slot.worker.jobGiven()
        }
    }

    /// Returns when all threads of a stopped pool have ended.
    func ended() async {
        await withCheckedContinuation { continuation in
            let isOver = state.withLock { state in
                if state.slots.allSatisfy(\.hasEnded) { return true }
                state.enders.append(continuation)
                return false
            }
            if isOver { continuation.resume() }
        }
    }

    // MARK: For the threads

    /// What a thread has to do: nil tells it to wait for `HTTPWorker.jobGiven()` and to ask again.
    func job(of index: Int) -> Job? {
        state.withLock { $0.slots[index].job }
    }

    /// Frees a thread for what waits, or for the next request. To be called before the answer is handed over, so
    /// that a caller who goes on at once finds this thread idle.
    func jobDone(by index: Int) {
        state.withLock { state in
            if state.waiting.isEmpty {
                state.slots[index].job = nil
                state.idle.append(index)
            } else {
                state.slots[index].job = state.waiting.removeFirst()
            }
        }
    }

    /// Whether the thread has to end; if so it counts as ended.
    func hasToEnd(_ index: Int) -> Bool {
        let (isStopped, enders) = state.withLock { state -> (Bool, [CheckedContinuation<Void, Never>]) in
            guard state.isStopped, state.slots[index].job == nil else { return (false, []) }
            state.slots[index].hasEnded = true
            guard state.slots.allSatisfy(\.hasEnded) else { return (true, []) }
            defer { state.enders = [] }
            return (true, state.enders)
        }
        for ender in enders { ender.resume() }
        return isStopped
    }
}
