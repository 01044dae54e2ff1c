/// What a log projector made of events: the records, and what became of the events that are none.
package struct LogOutput: Sendable {
    /// A record, which is one event.
    package struct Record: Sendable {
        package let record: ProjectedLogRecord
        package let run: ScopeKey
    }

    package private(set) var records: [Record] = []
    /// The events that came in, and those that are in no record.
    package private(set) var events = ProjectionOutput()

    package init() {}

    mutating func receive(_ run: ScopeKey, _ fate: ProjectionOutput.Fate) {
        events.receive(run)
        events.settle(1, fate, of: run)
    }

    mutating func add(_ record: ProjectedLogRecord, of run: ScopeKey) {
        events.receive(run)
        records.append(Record(record: record, run: run))
    }
}
