internal import ATOF
internal import Collector
internal import Foundation

/// An ATIF document as a readable tree: steps with what was said, tools with arguments and results, tokens and cost.
struct TrajectoryTree {
    let text: String

    /// - Parameter agent: name of the scope that opened the trajectory; the document itself names the configured agent.
    init(_ document: JSONValue, agent: String) {
        var lines: [String] = []
        TrajectoryTree.render(document, agent: agent, indent: "", into: &lines)
        text = lines.map(TrajectoryTree.printable).joined(separator: "\n")
    }

    /// An open trajectory on a line: id, tenant, agent, events, age, and for how long nothing came.
    static func line(of record: OpenTrajectoryRecord, at now: EventTime) -> String {
        printable(
            "\(record.id)  \(record.tenant)  \(record.agent)  \(record.events) events  "
                + "open for \(now.seconds - record.openedAt.seconds) s, last event "
                + "\(now.seconds - record.lastEventAt.seconds) s ago")
    }

    /// Names and texts come from producers: their control characters must not reach the terminal.
    private static func printable(_ line: String) -> String {
        var scalars = String.UnicodeScalarView()
        for scalar in line.unicodeScalars {
            scalars.append(scalar.properties.generalCategory == .control ? "\u{FFFD}" : scalar)
        }
        return String(scalars)
    }

    private static func render(_ document: JSONValue, agent: String, indent: String, into lines: inout [String]) {
        let id = document["trajectory_id"]?.stringValue ?? document["session_id"]?.stringValue ?? "?"
        let totals = document["final_metrics"]
        lines.append("\(indent)\(agent)  \(id)\(usage(totals, prefix: "total_"))\(failure(of: document))")
        let unended = (document["extra"]?["unended_scopes"]?.arrayValue ?? []).map { scope in
            "\(scope["category"]?.stringValue ?? "scope") \(scope["event_name"]?.stringValue ?? "?")"
        }
        if !unended.isEmpty { lines.append("\(indent)│  did not end: \(unended.joined(separator: ", "))") }
        let steps = document["steps"]?.arrayValue ?? []
        let children = document["subagent_trajectories"]?.arrayValue ?? []
        let names = subagentNames(steps)
        for (index, step) in steps.enumerated() {
            let isLast = index == steps.count - 1 && children.isEmpty
            render(step, indent: indent, branch: isLast ? "└─" : "├─", trunk: isLast ? "   " : "│  ", into: &lines)
        }
        for (index, child) in children.enumerated() {
            let isLast = index == children.count - 1
            let name = child["trajectory_id"].flatMap { names[$0] } ?? "?"
            lines.append("\(indent)\(isLast ? "└─" : "├─") subagent")
            render(child, agent: name, indent: indent + (isLast ? "   " : "│  "), into: &lines)
        }
    }

    private static func render(
        _ step: JSONValue, indent: String, branch: String, trunk: String, into lines: inout [String]
    ) {
        let number = step["step_id"]?.int64Value.map(String.init) ?? "?"
        let source = step["source"]?.stringValue ?? "?"
        let model = step["model_name"]?.stringValue.map { " (\($0))" } ?? ""
        let message = short(step["message"])
        lines.append(
            "\(indent)\(branch) \(number) \(source)\(model)\(message.isEmpty ? "" : ": \(message)")"
                + "\(usage(step["metrics"], prefix: ""))\(failure(of: step))"
        )
        let below = indent + trunk
        var results = step["observation"]?["results"]?.arrayValue ?? []
        for call in step["tool_calls"]?.arrayValue ?? [] {
            let name = call["function_name"]?.stringValue ?? "?"
            lines.append("\(below)├─ tool \(name)(\(short(call["arguments"])))")
            if let id = call["tool_call_id"], let place = results.firstIndex(where: { $0["source_call_id"] == id }) {
                lines.append("\(below)│    → \(result(results.remove(at: place)))")
            }
        }
        for other in results { lines.append("\(below)├─ result \(result(other))") }
    }

    /// Names of the embedded trajectories, from the references to them.
    private static func subagentNames(_ steps: [JSONValue]) -> [JSONValue: String] {
        var names: [JSONValue: String] = [:]
        for step in steps {
            for result in step["observation"]?["results"]?.arrayValue ?? [] {
                for reference in result["subagent_trajectory_ref"]?.arrayValue ?? [] {
                    if let id = reference["trajectory_id"] { names[id] = reference["extra"]?["name"]?.stringValue }
                }
            }
        }
        return names
    }

    private static func result(_ result: JSONValue) -> String {
        let references = (result["subagent_trajectory_ref"]?.arrayValue ?? []).compactMap {
            $0["trajectory_id"]?.stringValue
        }
        let status = result["extra"]?["status"]?.stringValue.map { "\($0): " } ?? ""
        let content = status + short(result["content"] ?? result["extra"]?["tool_result"])
        return ([content] + references.map { "see subagent \($0)" }).filter { !$0.isEmpty }.joined(separator: ", ")
    }

    /// Why the agent of a document or the call of a step failed.
    private static func failure(of object: JSONValue) -> String {
        guard let error = object["extra"]?["error"]?.nonNull else { return "" }
        return "  failed: \(short(error["description"] ?? error["type"]))"
    }

    private static func usage(_ metrics: JSONValue?, prefix: String) -> String {
        var parts: [String] = []
        if let prompt = metrics?["\(prefix)prompt_tokens"]?.int64Value { parts.append("\(prompt) in") }
        if let completion = metrics?["\(prefix)completion_tokens"]?.int64Value { parts.append("\(completion) out") }
        if let cached = metrics?["\(prefix)cached_tokens"]?.int64Value, cached > 0 { parts.append("\(cached) cached") }
        let costKey = prefix.isEmpty ? "cost_usd" : "\(prefix)cost_usd"
        if let cost = metrics?[costKey]?.numberValue { parts.append(String(format: "$%.6f", cost)) }
        return parts.isEmpty ? "" : "  [\(parts.joined(separator: ", "))]"
    }

    private static func short(_ value: JSONValue?) -> String {
        guard let value = value?.nonNull else { return "" }
        let text = value.stringValue ?? value.compactText
        let line = text.split(whereSeparator: \.isNewline).joined(separator: " ")
        return line.count > 100 ? line.prefix(99) + "…" : line
    }
}
