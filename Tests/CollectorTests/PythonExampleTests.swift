import ATOF
import Collector
import Foundation
import NATSTransport
import Stages
import Testing

@Suite("Publishing and subscribing in Python", .timeLimit(.minutes(3)))
struct PythonExampleTests {
    private static let prepared: Comment = "needs nats-py and protobuf: run ./dev test"

    @Test(
        "a run of publish.py comes out of both ends of subscribe.py", .enabled(if: PythonExample.isPrepared, prepared))
    func wholeWay() async throws {
        try await Rig.with { rig in
            try await rig.collecting(try rig.configuration()) { _ in
                let run = try await PythonExample.running("publish.py", in: rig) { example in
                    try await eventually("publish.py has published") {
                        example.output().contains("5 events, stored in")
                    }
                    return String(example.output().split(separator: " ")[1].dropLast())
                }
                try await PythonExample.running("subscribe.py", ["processed", "--durable", "test"], in: rig) {
                    example in
                    let expected = [
                        "weather-agent agent start", "get_weather tool start", "get_weather tool end",
                        "decided mark unspecified", "weather-agent agent end",
                    ].map { "\(run) \($0)" }
                    try await eventually("subscribe.py prints the events in order") {
                        example.output().split(separator: "\n").map(String.init) == expected
                    }
                }
                try await PythonExample.running("subscribe.py", ["processed", "--agent", "weather-agent"], in: rig) {
                    example in
                    try await eventually("subscribe.py prints the agent's events") {
                        example.output().contains("weather-agent agent end")
                    }
                }
                try await PythonExample.running("subscribe.py", ["trajectories", "--tenant", "default"], in: rig) {
                    example in
                    try await eventually("subscribe.py prints the trajectory") {
                        example.output().hasPrefix("complete revision 1 of ") && example.output().contains(run)
                            && example.output().contains("get_weather")
                    }
                }
            }
        }
    }

    @Test(
        "subscribe.py puts events and documents together that are larger than a message",
        .enabled(if: PythonExample.isPrepared, prepared))
    func large() async throws {
        try await Rig.with(maxPayload: 64 << 10) { rig in
            try await rig.collecting(try rig.configuration()) { _ in
                let publisher = EventPublisher(rig.jetStream, tenant: "t", batch: 16)
                let run = Run(number: 1, tenant: "t", calls: 1)
                let data = "\"\(String(repeating: "word ", count: 40_000))\""
                for (number, line) in run.lines.enumerated() {
                    let text = number == 1 ? line.replacing("\"data\":{", with: "\"data\":{\"text\":\(data),") : line
                    #expect(try await publisher.add(line: Array(text.utf8)) == nil)
                }
                _ = try await publisher.finish()
                try await PythonExample.running("subscribe.py", ["processed"], in: rig) { example in
                    try await eventually("subscribe.py prints four events") {
                        example.output().split(separator: "\n").map { $0.split(separator: " ").last }
                            == ["start", "start", "end", "end"]
                    }
                }
                try await PythonExample.running("subscribe.py", ["trajectories"], in: rig) { example in
                    try await eventually("subscribe.py prints the document") { example.output().contains("word word") }
                }
            }
        }
    }

    @Test("with --durable the server knows how far it came", .enabled(if: PythonExample.isPrepared, prepared))
    func durable() async throws {
        try await Rig.with { rig in
            try await rig.collecting(try rig.configuration()) { _ in
                let runs = (1...2).map { Run(number: $0, tenant: "t", calls: 0) }
                let arguments = ["trajectories", "--durable", "reader"]
                try await rig.publish(try runs[0].messages(of: 2))
                try await PythonExample.running("subscribe.py", arguments + ["--count", "1"], in: rig) { example in
                    try await eventually("the first run") { example.output().contains(runs[0].id.description) }
                    try await eventually("is acknowledged") {
                        try await rig.jetStream.consumerInfo(
                            stream: SkeinSubjects.trajectoriesStream, consumer: "reader"
                        ).ackFloorSequence > 0
                    }
                }
                try await rig.publish(try runs[1].messages(of: 2))
                try await PythonExample.running("subscribe.py", arguments, in: rig) { example in
                    try await eventually("the second run") { example.output().contains(runs[1].id.description) }
                    #expect(!example.output().contains(runs[0].id.description))
                }
            }
        }
    }
}
