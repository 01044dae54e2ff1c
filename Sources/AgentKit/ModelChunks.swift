/// The chunks of a streamed model response, whatever they come from: events of the provider's stream as JSON.
public struct ModelChunks: AsyncSequence, Sendable {
    /// A chunk.
    public typealias Element = JSON

    private let makeIterator: @Sendable () -> Iterator

    /// Takes any sequence of chunks, such as an `AsyncThrowingStream`.
    public init<Source: AsyncSequence & Sendable>(_ source: Source) where Source.Element == JSON {
        makeIterator = {
            let box = Box(source.makeAsyncIterator())
            return Iterator { try await box.next() }
        }
    }

    /// Chunks that are all there.
    public init(_ chunks: [JSON]) {
        self.init(
            AsyncStream { continuation in
                for chunk in chunks { continuation.yield(chunk) }
                continuation.finish()
            })
    }

    /// Begins to read; most sources can be read once.
    public func makeAsyncIterator() -> Iterator { makeIterator() }

    /// Reads one chunk after the other.
    public struct Iterator: AsyncIteratorProtocol {
        fileprivate let advance: () async throws -> JSON?

        fileprivate init(_ advance: @escaping () async throws -> JSON?) { self.advance = advance }

        /// The next chunk; nil at the end. Throws what the source throws.
        public mutating func next() async throws -> JSON? { try await advance() }
    }

    /// Holds an iterator that its one owner advances, one chunk after the other.
    private final class Box<Source: AsyncIteratorProtocol> where Source.Element == JSON {
        private var source: Source

        init(_ source: Source) { self.source = source }

        func next() async throws -> JSON? { try await source.next() }
    }
}

/// The rest of a buffered model call.
public struct ModelNext: Sendable {
    let call: @Sendable (ModelRequest) async throws -> JSON

    /// - Throws: what the provider throws; and `AgentKitError` once the intercept that got this has returned.
    public func callAsFunction(_ request: ModelRequest) async throws -> JSON { try await call(request) }
}

/// The rest of a streamed model call.
public struct ModelStreamNext: Sendable {
    let call: @Sendable (ModelRequest) async throws -> ModelChunks

    /// - Throws: what the provider throws; and `AgentKitError` once the stream has ended.
    public func callAsFunction(_ request: ModelRequest) async throws -> ModelChunks { try await call(request) }
}
