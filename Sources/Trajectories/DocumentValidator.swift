package import ATOF

/// Checks an ATIF document for more than its schema: that its numbers add up, its times go forward and its ids say what
/// they mean.
package enum DocumentValidator {
    /// Everything that is wrong, in the order of the document; empty for a good one.
    ///
    /// - Parameter hasFile: whether the file of an image is there, by its path; those with a scheme are not asked for.
    package static func findings(
        in document: JSONValue, hasFile: (String) -> Bool = { _ in true }
    ) -> [DocumentFinding] {
        var findings: [DocumentFinding] = []
        DocumentSchema.trajectory.check(document, at: "", &findings)
        check(document, at: "", hasFile, &findings)
        return findings
    }

    private static func check(
        _ document: JSONValue, at path: String, _ hasFile: (String) -> Bool, _ findings: inout [DocumentFinding]
    ) {
        let steps = document["steps"]?.arrayValue ?? []
        let embedded = document["subagent_trajectories"]?.arrayValue ?? []
        if document["steps"]?.arrayValue?.isEmpty == true {
            findings.append(DocumentFinding(DocumentSchema.path(path, "steps"), "must have a step"))
        }
        let embeddedIDs = Set(embedded.compactMap { $0["trajectory_id"]?.stringValue })
        var previous: EventTime?
        /// The calls of all steps, each with the number of its step.
        var asked: [String: Int] = [:]
        for (index, step) in steps.enumerated() {
            let path = DocumentSchema.path(path, "steps.\(index)")
            if let id = step["step_id"]?.int64Value, id != Int64(index) + 1 {
                findings.append(DocumentFinding("\(path).step_id", "must be \(index + 1), is \(id)"))
            }
            checkTime(of: step, after: &previous, at: path, &findings)
            checkFields(of: step, at: path, &findings)
            checkMetrics(of: step, at: path, &findings)
            checkCalls(of: step, index, at: path, &asked, embeddedIDs, &findings)
            checkParts(of: step, at: path, hasFile, &findings)
        }
        DocumentTotals(document).check(at: path, &findings)
        var seen = Set([document["trajectory_id"]?.stringValue].compactMap(\.self))
        for (index, trajectory) in embedded.enumerated() {
            let path = DocumentSchema.path(path, "subagent_trajectories.\(index)")
            if let id = trajectory["trajectory_id"]?.stringValue {
                if !seen.insert(id).inserted {
                    findings.append(DocumentFinding("\(path).trajectory_id", "\(id) is another one's too"))
                }
            } else {
                findings.append(DocumentFinding("\(path).trajectory_id", "is missing on an embedded trajectory"))
            }
            check(trajectory, at: path, hasFile, &findings)
        }
    }

    private static func checkTime(
        of step: JSONValue, after previous: inout EventTime?, at path: String, _ findings: inout [DocumentFinding]
    ) {
        guard let text = step["timestamp"]?.stringValue else { return }
        guard let time = EventTime(rfc3339: text) else {
            findings.append(DocumentFinding("\(path).timestamp", "\"\(text)\" is no time with a zone"))
            return
        }
        if text.drop(while: { $0 != "." }).dropFirst().prefix(while: \.isNumber).count > 6 {
            findings.append(DocumentFinding("\(path).timestamp", "has more than 6 digits behind the second"))
        }
        if let previous, time < previous {
            findings.append(DocumentFinding("\(path).timestamp", "is earlier than that of the step before"))
        }
        previous = time
    }

    private static let agentOnly = ["model_name", "reasoning_effort", "reasoning_content", "tool_calls", "metrics"]

    private static func checkFields(of step: JSONValue, at path: String, _ findings: inout [DocumentFinding]) {
        if step["source"] != "agent" {
            for key in agentOnly where step.member(key) != nil {
                findings.append(DocumentFinding("\(path).\(key)", "is for steps of an agent only"))
            }
        } else if step["llm_call_count"] == 0 {
            for key in ["metrics", "reasoning_content"] where step.member(key) != nil {
                findings.append(DocumentFinding("\(path).\(key)", "needs a model call, llm_call_count is 0"))
            }
        }
        if let count = step["llm_call_count"]?.int64Value, count < 0 {
            findings.append(DocumentFinding("\(path).llm_call_count", "must not be negative, is \(count)"))
        }
    }

    private static func checkMetrics(of step: JSONValue, at path: String, _ findings: inout [DocumentFinding]) {
        guard let metrics = step["metrics"]?.objectValue else { return }
        for key in ["prompt_tokens", "completion_tokens", "cached_tokens", "cost_usd"] {
            if let number = metrics[key]?.numberValue, number < 0 {
                findings.append(DocumentFinding("\(path).metrics.\(key)", "must not be negative"))
            }
        }
        if let cached = metrics["cached_tokens"]?.numberValue, let prompt = metrics["prompt_tokens"]?.numberValue,
            cached > prompt
        {
            findings.append(
                DocumentFinding(
                    "\(path).metrics.cached_tokens", "are more than the prompt_tokens that they are part of"))
        }
    }

    private static func checkCalls(
        of step: JSONValue, _ number: Int, at path: String, _ asked: inout [String: Int], _ embedded: Set<String>,
        _ findings: inout [DocumentFinding]
    ) {
        var calls: Set<String> = []
        for (index, call) in (step["tool_calls"]?.arrayValue ?? []).enumerated() {
            guard let id = call["tool_call_id"]?.stringValue else { continue }
            if !calls.insert(id).inserted {
                findings.append(
                    DocumentFinding("\(path).tool_calls.\(index).tool_call_id", "\"\(id)\" is another call's too"))
            } else if let other = asked.updateValue(number, forKey: id) {
                findings.append(
                    DocumentFinding(
                        "\(path).tool_calls.\(index).tool_call_id", "\"\(id)\" is a call's of step \(other + 1) too"))
            }
        }
        var answered: Set<String> = []
        for (index, result) in (step["observation"]?["results"]?.arrayValue ?? []).enumerated() {
            let path = "\(path).observation.results.\(index)"
            if let id = result["source_call_id"]?.stringValue {
                if !calls.contains(id) {
                    findings.append(DocumentFinding("\(path).source_call_id", "\"\(id)\" is no call of this step"))
                } else if !answered.insert(id).inserted, result["extra"]?["reason"]?.stringValue == nil {
                    findings.append(
                        DocumentFinding(path, "is a second result of \"\(id)\", and extra.reason does not say why"))
                }
            }
            for (number, reference) in (result["subagent_trajectory_ref"]?.arrayValue ?? []).enumerated() {
                let path = "\(path).subagent_trajectory_ref.\(number)"
                if reference.member("trajectory_path") != nil { continue }
                if let id = reference["trajectory_id"]?.stringValue {
                    if !embedded.contains(id) {
                        findings.append(DocumentFinding("\(path).trajectory_id", "\(id) is not embedded"))
                    }
                } else {
                    findings.append(DocumentFinding(path, "needs a trajectory_id or a trajectory_path"))
                }
            }
        }
    }

    private static func checkParts(
        of step: JSONValue, at path: String, _ hasFile: (String) -> Bool, _ findings: inout [DocumentFinding]
    ) {
        check(parts: step["message"], at: "\(path).message", hasFile, &findings)
        for (index, result) in (step["observation"]?["results"]?.arrayValue ?? []).enumerated() {
            check(parts: result["content"], at: "\(path).observation.results.\(index).content", hasFile, &findings)
        }
    }

    private static func check(
        parts: JSONValue?, at path: String, _ hasFile: (String) -> Bool, _ findings: inout [DocumentFinding]
    ) {
        for (index, part) in (parts?.arrayValue ?? []).enumerated() {
            guard let type = part["type"]?.stringValue, type == "text" || type == "image" else { continue }
            let (wanted, other) = type == "text" ? ("text", "source") : ("source", "text")
            if part.member(wanted) == nil {
                findings.append(DocumentFinding("\(path).\(index).\(wanted)", "is missing on a part of type \(type)"))
            }
            if part.member(other) != nil {
                findings.append(DocumentFinding("\(path).\(index).\(other)", "must not be on a part of type \(type)"))
            }
            if let file = part["source"]?["path"]?.stringValue, !hasScheme(file), !hasFile(file) {
                findings.append(DocumentFinding("\(path).\(index).source.path", "\"\(file)\" is no file"))
            }
        }
    }

    /// Of a path that is an address, such as `https://host/x` or `data:image/png;base64,…`.
    private static func hasScheme(_ path: String) -> Bool {
        guard let colon = path.firstIndex(of: ":"), path.first?.isLetter == true else { return false }
        return path[..<colon].allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "+-.".contains($0)) }
    }
}
