internal import Foundation

/// The clock on the wall, as the server stamps messages.
enum Wall {
    static func nanoseconds(after delay: Duration = .zero) -> UInt64 {
        let (seconds, attoseconds) = delay.components
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        let now = Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
        return UInt64(clamping: now + seconds * 1_000_000_000 + attoseconds / 1_000_000_000)
    }
}
