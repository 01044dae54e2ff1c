/// A `natsConnection`, for the serial queue that makes every call on it.
// Safe because cnats locks its connections itself, and all calls, the destruction among them, run on that one queue.
struct ConnectionHandle: @unchecked Sendable {
    let pointer: OpaquePointer
}
