/// Stops trying what fails again and again, and tries once in a while whether it works again.
///
/// Pure; `now` is the time since any fixed instant, never going back.
package struct CircuitBreaker: Sendable {
    package enum State: Sendable, Hashable {
        /// Everything is tried; so many tries in a row have failed.
        case closed(failures: Int)
        /// Nothing is tried before then.
        case open(until: Duration)
        /// One try is under way that decides.
        case probing
    }

    package private(set) var state = State.closed(failures: 0)
    /// Failures in a row that open it.
    private let threshold: Int
    private let pause: Duration
    /// How often it has opened.
    package private(set) var openings = 0

    package init(threshold: Int = 5, pause: Duration = .seconds(5)) {
        precondition(threshold > 0)
        self.threshold = threshold
        self.pause = pause
    }

    /// Whether something may be tried now; what may is taken as tried, and has to be followed by `succeeded`, `failed` or `abandoned`.
    package mutating func admits(at now: Duration) -> Bool {
        switch state {
        case .closed: return true
        case .probing: return false
        case .open(let until):
            guard until <= now else { return false }
            state = .probing
            return true
        }
    }

    package var isOpen: Bool {
        switch state {
        case .closed: false
        case .open, .probing: true
        }
    }

    /// A try that began before it opened does not close it; a probe does.
    package mutating func succeeded() {
        switch state {
        case .closed, .probing: state = .closed(failures: 0)
        case .open: break
        }
    }

    package mutating func failed(at now: Duration) {
        switch state {
        case .closed(let failures) where failures + 1 < threshold: state = .closed(failures: failures + 1)
        case .closed, .probing:
            state = .open(until: now + pause)
            openings += 1
        case .open: break
        }
    }

    /// What was tried is another one now.
    package mutating func reset() { state = .closed(failures: 0) }

    /// The try ended without telling anything.
    package mutating func abandoned(at now: Duration) {
        switch state {
        case .probing: state = .open(until: now)
        case .closed, .open: break
        }
    }
}
