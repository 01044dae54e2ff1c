internal import Dispatch
internal import Foundation

/// A thread that performs transfers one after the other over connections that it keeps open.
final class HTTPWorker: Sendable {
    private let index: Int
    private let given = DispatchSemaphore(value: 0)
    private let multi = CurlMulti()

    init(index: Int) {
        self.index = index
    }

    /// The thread holds the pool until it has ended.
    func start(for pool: HTTPWorkerPool) {
        let thread = Thread { self.run(for: pool) }
        thread.name = "skein-http-\(index)"
        thread.start()
    }

    /// Wakes the thread when it waits for a job.
    func jobGiven() {
        given.signal()
    }

    /// Makes the thread look at its transfer's abort flag at once. From any thread.
    func interrupt() {
        multi.wakeUp()
    }

    private func run(for pool: HTTPWorkerPool) {
        let easy = CurlEasy()
        while !pool.hasToEnd(index) {
            guard let job = pool.job(of: index) else {
                given.wait()
                continue
            }
            let result = easy.perform(job.transfer, over: multi)
            pool.jobDone(by: index)
            job.answer.resume(returning: result)
        }
    }
}
