import Synchronization

/// Lets concurrent tasks do things in a given order: each waits for its turn and says when it is over.
final class Turns: Sendable {
    private let state = Mutex<(turn: Int, waiting: [Int: CheckedContinuation<Void, Never>])>((0, [:]))

    func wait(for turn: Int) async {
        await withCheckedContinuation { continuation in
            let isNow = state.withLock { state in
                if state.turn == turn { return true }
                state.waiting[turn] = continuation
                return false
            }
            if isNow { continuation.resume() }
        }
    }

    func next() {
        let waiting = state.withLock { state in
            state.turn += 1
            return state.waiting.removeValue(forKey: state.turn)
        }
        waiting?.resume()
    }
}
