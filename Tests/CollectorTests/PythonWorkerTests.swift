import ATOF
import Foundation
import Middleware
import NATSTransport
import Testing

@testable import Collector

@Suite("The worker in Python", .timeLimit(.minutes(2)))
struct PythonWorkerTests {
    @Test(
        "Examples/worker.py does what it says", .enabled(if: PythonExample.isPrepared, "needs nats-py: run ./dev test"))
    func example() async throws {
        try await Rig.with { rig in
            var settings = WorkerSettings(name: "python-example", surfaces: [.mark, .toolRequest, .toolIntercept])
            // The first call of an interpreter on a busy machine.
            settings.deadline = .seconds(20)
            let pool = WorkerPool(
                rig.jetStream.connection, [settings], metrics: Metrics(), logger: LogLines().logger,
                patience: .seconds(60))
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await pool.run() }
                defer { group.cancelAll() }
                try await PythonExample.running("worker.py", in: rig) { _ in
                    let answers = await pool.ask(try Self.questions())
                    #expect(
                        answers == [
                            .success(
                                .replacement(
                                    data: ["to": "[email]", "count": 1.0, "list": ["[email] and [email]", .null]],
                                    categoryProfile: JSONObject([("subtype", "x")]), metadata: nil)),
                            .success(.value(["to": "[email]", "n": .unsigned(18_446_744_073_709_551_615)])),
                            .success(.value(["to": "[email]", "n": .unsigned(18_446_744_073_709_551_615)])),
                        ])
                }
            }
        }
    }

    private static func questions() throws -> [WorkerExchange.Question] {
        let line =
            #"{"kind":"mark","atof_version":"0.1","uuid":"018f0000-0000-7000-8000-000000000001","name":"m","#
            + #""timestamp":1,"data":{"to":"bob@x.io","count":1.0,"list":["a@b.cd and c@d.ef",null]},"category_profile":{"subtype":"x"}}"#
        let event = WorkerCall.Item.event(try EventJSONDecoder.decode(Array(line.utf8)).packed())
        let arguments = try JSONParser.parse(#"{"to":"bob@x.io","n":18446744073709551615}"#)
        func place(_ surface: WorkerSurface, _ kind: Event.Kind) -> WorkerExchange.Place {
            .init(worker: "python-example", surface: surface, event: EventUUID(high: 1, low: 1), kind: kind)
        }
        return [
            .init(place: place(.mark, .mark), tenant: "t", item: event),
            .init(place: place(.toolRequest, .scopeStart), tenant: "t", item: .value(arguments, name: "send")),
            .init(place: place(.toolIntercept, .scopeStart), tenant: "t", item: .value(arguments, name: "send")),
        ]
    }
}
