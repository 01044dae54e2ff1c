internal import ATOF
internal import OTLP
internal import Projections

enum LogProperties {
    private static let second: UInt64 = 1_000_000_000

    /// Every event is a record or settled, records can be read back, and a restart changes none.
    static func check(_ log: EventLog) throws(FuzzFailure) {
        let configuration = LogConfiguration(minimumSeverity: .trace, maximumAge: 300 * second)
        let whole = try records(configuration, log, restarts: false)
        try FuzzFailure.unless(
            try records(configuration, log, restarts: true) == whole, "a restart changes the records")
        _ = try records(LogConfiguration(maximumOpenScopes: 2, maximumAge: 3 * second), log, restarts: false)
    }

    private static func records(_ configuration: LogConfiguration, _ log: EventLog, restarts: Bool)
        throws(FuzzFailure) -> [[UInt8]]
    {
        var projector = LogProjector(configuration: configuration)
        var output = LogOutput()
        for (index, event) in log.events.enumerated() {
            if restarts {
                guard let restored = try? LogProjector(configuration: configuration, snapshot: projector.snapshot())
                else { throw FuzzFailure("a snapshot cannot be restored") }
                projector = restored
            }
            projector.advance(to: UInt64(index) * second)
            projector.receive(event, of: "t", isExpired: index % 17 == 16, into: &output)
        }
        let received = output.events.received.reduce(0) { $0 + $1.events }
        let settled = output.events.settled.reduce(0) { $0 + $1.events }
        try FuzzFailure.unless(
            received == log.events.count && received == settled + output.records.count,
            "\(received) events came, \(output.records.count) are records, \(settled) are settled")
        let records = output.records.map { LogRecordEncoder.encode($0.record) }
        let resource = ResourceConfiguration(serviceName: "fuzz")
        let request = OTLPJSON.exportLogsServiceRequest(
            records: records, resource: ResourceEncoder.resource(resource, version: "1"),
            scope: ResourceEncoder.scope(resource))
        let read = request?["resourceLogs"]?[0]?["scopeLogs"]?[0]?["logRecords"]?.arrayValue?.count ?? 0
        try FuzzFailure.unless(request != nil && read == records.count, "records cannot be read back")
        return records
    }
}
