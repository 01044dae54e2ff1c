/// Knows what is on disk: what has to be read yet, and what may be removed. It is one queue: written at its end, read from its beginning.
struct SpoolBook: Sendable {
    /// Records of one epoch, in a row.
    struct Run: Sendable {
        let epoch: UInt32
        var records: Int
        var events: Int
    }

    struct Segment: Sendable {
        let id: SpoolSegmentID
        var bytes = 0
        /// Whether more may be written to it.
        var isOpen = false
        var readOffset = 0
        var unread: [Run] = []
        /// Records whose batches are in memory and not acknowledged.
        var outstanding = 0

        var isDone: Bool { unread.isEmpty && outstanding == 0 }
    }

    private(set) var segments: [Segment] = []
    private(set) var bytes = 0
    private(set) var unreadRecords = 0
    private let source: Int
    private var nextNumber: Int64 = 1
    private var frontNumber: Int64 = 0

    /// Records that are written from now on are newer than all that is in memory only.
    mutating func beginEra() {
        if let last = segments.indices.last { segments[last].isOpen = false }
        frontNumber = nextNumber
        nextNumber += 1
    }

    var hasUnread: Bool { unreadRecords > 0 }

    init(source: Int) { self.source = source }

    mutating func adopt(_ found: [FoundSegment]) {
        segments = found.filter { $0.records > 0 }.sorted { $0.id < $1.id }.map { found in
            Segment(
                id: found.id, bytes: found.bytes,
                unread: [Run(epoch: 0, records: found.records, events: found.events)])
        }
        bytes = segments.reduce(0) { $0 + $1.bytes }
        unreadRecords = found.reduce(0) { $0 + $1.records }
    }

    /// The segment at the end, a new one when the last has so much already.
    mutating func tail(segmentBytes: Int) -> SpoolSegmentID {
        if let last = segments.last, last.isOpen, last.bytes < segmentBytes { return last.id }
        return newTail()
    }

    private mutating func newTail() -> SpoolSegmentID {
        if !segments.isEmpty { segments[segments.count - 1].isOpen = false }
        let id = SpoolSegmentID(source: source, number: nextNumber)
        nextNumber += 1
        segments.append(Segment(id: id, isOpen: true))
        return id
    }

    /// The segment before all others of this era: for what was in memory only when it began. To be written once.
    mutating func front() -> SpoolSegmentID {
        let id = SpoolSegmentID(source: source, number: frontNumber)
        segments.insert(Segment(id: id), at: segments.firstIndex { id < $0.id } ?? segments.count)
        return id
    }

    /// - Parameter isHeld: whether the batches are in memory too, so that nobody has to read them.
    mutating func wrote(_ id: SpoolSegmentID, _ runs: [Run], size: Int, isHeld: Bool) {
        guard let index = index(of: id) else { return }
        segments[index].bytes += size
        bytes += size
        if isHeld {
            segments[index].readOffset = segments[index].bytes
            segments[index].outstanding += runs.reduce(0) { $0 + $1.records }
            return
        }
        for run in runs {
            unreadRecords += run.records
            if let last = segments[index].unread.last, last.epoch == run.epoch {
                segments[index].unread[segments[index].unread.count - 1].records += run.records
                segments[index].unread[segments[index].unread.count - 1].events += run.events
            } else {
                segments[index].unread.append(run)
            }
        }
    }

    /// Nothing more is written to it: what comes next goes to another.
    mutating func close(_ id: SpoolSegmentID) {
        guard let index = index(of: id) else { return }
        segments[index].isOpen = false
    }

    /// What has to be read next.
    var nextRead: (id: SpoolSegmentID, offset: Int, end: Int)? {
        segments.first { !$0.unread.isEmpty }.map { ($0.id, $0.readOffset, $0.bytes) }
    }

    /// One record was read and is in memory.
    ///
    /// - Returns: its epoch.
    mutating func read(_ id: SpoolSegmentID, size: Int, events: Int) -> UInt32? {
        guard let index = index(of: id), var run = segments[index].unread.first else { return nil }
        segments[index].readOffset += size
        segments[index].outstanding += 1
        unreadRecords -= 1
        run.records -= 1
        run.events -= events
        if run.records == 0 {
            segments[index].unread.removeFirst()
        } else {
            segments[index].unread[0] = run
        }
        return run.epoch
    }

    /// Nothing more of it can be read.
    ///
    /// - Returns: what is given up.
    mutating func giveUp(_ id: SpoolSegmentID) -> [Run] {
        guard let index = index(of: id) else { return [] }
        let lost = segments[index].unread
        segments[index].unread = []
        segments[index].isOpen = false
        unreadRecords -= lost.reduce(0) { $0 + $1.records }
        return lost
    }

    /// A batch that was read from it, or written to it and held, has ended.
    mutating func ended(_ id: SpoolSegmentID) {
        guard let index = index(of: id) else { return }
        segments[index].outstanding -= 1
    }

    /// Takes out what nobody needs any more.
    ///
    /// - Parameter isTailToo: also the one at the end, to which more could be written.
    mutating func takeDone(isTailToo: Bool) -> [SpoolSegmentID] {
        guard segments.contains(where: { $0.isDone && (isTailToo || !$0.isOpen) }) else { return [] }
        let done = segments.filter { $0.isDone && (isTailToo || !$0.isOpen) }
        segments.removeAll { $0.isDone && (isTailToo || !$0.isOpen) }
        bytes -= done.reduce(0) { $0 + $1.bytes }
        return done.map(\.id)
    }

    /// Takes out the oldest.
    mutating func takeOldest() -> Segment? {
        guard let oldest = segments.first else { return nil }
        segments.removeFirst()
        bytes -= oldest.bytes
        unreadRecords -= oldest.unread.reduce(0) { $0 + $1.records }
        return oldest
    }

    private func index(of id: SpoolSegmentID) -> Int? {
        // Most are about the first or the last.
        if segments.last?.id == id { return segments.count - 1 }
        return segments.firstIndex { $0.id == id }
    }
}
