import ATOF
import Collector
import Middleware
import Testing

@Suite("The tenant of events of a file")
struct OfflineTenantTests {
    @Test(
        "rules that hold for some tenants hold for the one that is named",
        arguments: [OfflineProjection.Output.processed, .trajectories])
    func tenant(_ output: OfflineProjection.Output) throws {
        var rule = GuardrailRule(
            name: "no-shell", condition: .tools(.init(deny: [NameGlob("shell")])), actions: [.dropEvent], reason: "no")
        rule.selection.tenants = [NameGlob("acme")]
        var configuration = CollectorConfiguration()
        configuration.middleware.guardrails = GuardrailRules(rules: [rule])
        let root = Run.uuid(run: 1, scope: 0).description
        let tool = Run.uuid(run: 1, scope: 1).description
        func shows(_ tenant: String) throws -> Bool {
            var projection = try OfflineProjection(
                output, configuration: configuration, sessionID: nil, markProjection: nil, tenant: tenant)
            try projection.add(line: Array(AtofLine(uuid: root).text.utf8))
            for phase in ["start", "end"] {
                let line = AtofLine(phase: phase, uuid: tool, parent: root, name: "shell", category: "tool").text
                try projection.add(line: Array(line.utf8))
            }
            try projection.add(line: Array(AtofLine(phase: "end", uuid: root).text.utf8))
            return try projection.finish().contains { String(decoding: $0, as: UTF8.self).contains("shell") }
        }
        #expect(try !shows("acme"))
        #expect(try shows("other"))
        #expect(try shows(OfflineProjection.tenant))
    }
}
