import ATOF
import Testing
import Trajectories

@Suite("Trajectory validator")
struct DocumentValidatorTests {
    private static let agent = AgentDescription(name: "golden-agent", version: "9.9.9", modelName: "default-model")

    /// A document without fault, of which the tests change one thing.
    private static let good: JSONValue = [
        "schema_version": "ATIF-v1.7", "session_id": "s", "trajectory_id": "t",
        "agent": ["name": "a", "version": "1"],
        "steps": [
            [
                "step_id": 1, "source": "user", "timestamp": "2026-01-01T00:00:00.000001+00:00",
                "message": [
                    ["type": "text", "text": "x"],
                    ["type": "image", "source": ["media_type": "image/png", "path": "https://host/x"]],
                ],
            ],
            [
                "step_id": 2, "source": "agent", "message": "", "timestamp": "2026-01-01T00:00:01Z",
                "llm_call_count": 1, "reasoning_effort": 1.5, "metrics": ["prompt_tokens": 3, "cost_usd": 0.5],
                "tool_calls": [["tool_call_id": "c", "function_name": "f", "arguments": [:]]],
                "observation": ["results": [["source_call_id": "c", "content": "y", "extra": ["any": "thing"]]]],
            ],
        ],
        "final_metrics": ["total_prompt_tokens": 3, "total_cost_usd": 0.5, "total_steps": 2],
    ]

    /// Puts a value, or nothing, at a path of the good document.
    private static func changed(_ path: String, _ value: JSONValue?) -> JSONValue {
        func change(_ target: JSONValue, _ keys: ArraySlice<Substring>) -> JSONValue {
            guard let key = keys.first else { return value ?? .null }
            let rest = keys.dropFirst()
            if case .array(var elements) = target, let index = Int(key) {
                if index == elements.count { elements.append(.null) }
                elements[index] = change(elements[index], rest)
                return .array(elements)
            }
            var object = target.objectValue ?? JSONObject()
            object[String(key)] = rest.isEmpty ? value : change(object[String(key)] ?? .null, rest)
            return .object(object)
        }
        return change(good, path.split(separator: ".")[...])
    }

    @Test("has nothing to say about a good document")
    func valid() {
        #expect(DocumentValidator.findings(in: Self.good).isEmpty)
    }

    @Test(
        "names the place and what is wrong there",
        arguments: [
            ("other", 1, ["other: is no member of the schema"]),
            ("schema_version", "ATIF-v1.8", ["schema_version: must be ATIF-v1.0 to ATIF-v1.7, is \"ATIF-v1.8\""]),
            ("agent.version", nil, ["agent.version: is missing"]),
            ("agent", 5, ["agent: must be an object, is an integer"]),
            (
                "steps", [],
                [
                    "steps: must have a step", "final_metrics.total_prompt_tokens: is 3, but no step says anything",
                    "final_metrics.total_cost_usd: is 0.5, but no step says anything",
                    "final_metrics.total_steps: is 2, there are 0, and notes does not say why",
                ]
            ),
            ("steps.0.step_id", 2, ["steps.0.step_id: must be 1, is 2"]),
            ("steps.0.step_id", "1", ["steps.0.step_id: must be an integer, is \"1\""]),
            ("steps.0.source", "tool", ["steps.0.source: must be system, user, agent, is \"tool\""]),
            ("steps.0.message", nil, ["steps.0.message: is missing"]),
            ("steps.0.message", true, ["steps.0.message: must be a string or an array, is a boolean"]),
            ("steps.0.message.0.text", nil, ["steps.0.message.0.text: is missing on a part of type text"]),
            ("steps.0.message.1.text", "x", ["steps.0.message.1.text: must not be on a part of type image"]),
            ("steps.0.message.0.cache_control", [:], ["steps.0.message.0.cache_control: is no member of the schema"]),
            (
                "steps.0.message.1.source.media_type", "image/bmp",
                [
                    "steps.0.message.1.source.media_type: must be image/jpeg, image/png, image/gif, image/webp, "
                        + "is \"image/bmp\""
                ]
            ),
            ("steps.0.model_name", "m", ["steps.0.model_name: is for steps of an agent only"]),
            ("steps.1.reasoning_effort", [:], ["steps.1.reasoning_effort: must be a string or a number, is an object"]),
            ("steps.1.timestamp", "yesterday", ["steps.1.timestamp: \"yesterday\" is no time with a zone"]),
            (
                "steps.1.timestamp", "2026-01-01T00:00:01.000000001Z",
                ["steps.1.timestamp: has more than 6 digits behind the second"]
            ),
            (
                "steps.1.timestamp", "2026-01-01T00:00:00Z",
                ["steps.1.timestamp: is earlier than that of the step before"]
            ),
            ("steps.1.llm_call_count", 0, ["steps.1.metrics: needs a model call, llm_call_count is 0"]),
            ("steps.1.llm_call_count", -1, ["steps.1.llm_call_count: must not be negative, is -1"]),
            (
                "steps.1.tool_calls.0.arguments", "{}",
                ["steps.1.tool_calls.0.arguments: must be an object, is \"{}\""]
            ),
            (
                "steps.1.tool_calls.1", ["tool_call_id": "c", "function_name": "g", "arguments": [:]],
                ["steps.1.tool_calls.1.tool_call_id: \"c\" is another call's too"]
            ),
            (
                "steps.1.observation.results.0.source_call_id", "d",
                ["steps.1.observation.results.0.source_call_id: \"d\" is no call of this step"]
            ),
            (
                "steps.1.observation.results.1", ["source_call_id": "c", "content": "z"],
                [
                    "steps.1.observation.results.1: is a second result of \"c\", and extra.reason does not say why"
                ]
            ),
            (
                "steps.1.observation.results.1", ["source_call_id": "c", "extra": ["reason": "asked twice"]], []
            ),
            (
                "steps.1.observation.results.0.subagent_trajectory_ref", [["trajectory_id": "u"]],
                ["steps.1.observation.results.0.subagent_trajectory_ref.0.trajectory_id: u is not embedded"]
            ),
            (
                "steps.1.observation.results.0.subagent_trajectory_ref", [["session_id": "u"]],
                [
                    "steps.1.observation.results.0.subagent_trajectory_ref.0: needs a trajectory_id or a trajectory_path"
                ]
            ),
            ("final_metrics.total_prompt_tokens", 4, ["final_metrics.total_prompt_tokens: is 4, but the steps have 3"]),
            ("final_metrics.total_cost_usd", nil, ["final_metrics.total_cost_usd: is missing, but the steps have 0.5"]),
            (
                "final_metrics.total_cached_tokens", 0,
                ["final_metrics.total_cached_tokens: is 0, but no step says anything"]
            ),
            (
                "steps.1.metrics.prompt_tokens", -3,
                [
                    "steps.1.metrics.prompt_tokens: must not be negative",
                    "final_metrics.total_prompt_tokens: is 3, but the steps have -3",
                ]
            ),
            (
                "steps.1.metrics", ["prompt_tokens": 3, "cost_usd": -0.5],
                [
                    "steps.1.metrics.cost_usd: must not be negative",
                    "final_metrics.total_cost_usd: is 0.5, but the steps have -0.5",
                ]
            ),
            (
                "steps.1.metrics", ["prompt_tokens": 3, "cost_usd": 0.5, "cached_tokens": 4],
                [
                    "steps.1.metrics.cached_tokens: are more than the prompt_tokens that they are part of",
                    "final_metrics.total_cached_tokens: is missing, but the steps have 4",
                ]
            ),
            (
                "steps.2",
                [
                    "step_id": 3, "source": "agent", "message": "",
                    "tool_calls": [["tool_call_id": "c", "function_name": "f", "arguments": [:]]],
                ],
                [
                    "steps.2.tool_calls.0.tool_call_id: \"c\" is a call's of step 2 too",
                    "final_metrics.total_steps: is 2, there are 3, and notes does not say why",
                ]
            ),
        ] as [(String, JSONValue?, [String])])
    func finding(path: String, value: JSONValue?, expected: [String]) {
        #expect(DocumentValidator.findings(in: Self.changed(path, value)).map(\.description) == expected)
    }

    @Test(
        "takes notes that say something of the steps for a reason of their number",
        arguments: [("", false), ("see there", false), ("Without the steps of the setup.", true)])
    func notes(text: String, isReason: Bool) {
        guard case .object(var document) = Self.changed("final_metrics.total_steps", 7) else { return }
        document["notes"] = .string(text)
        #expect(DocumentValidator.findings(in: .object(document)).isEmpty == isReason)
    }

    @Test(
        "wants images that are files to be there",
        arguments: [
            ("images/x.png", true), ("images/y.png", false), ("https://host/y.png", true),
            ("step:///extra/llm_request/messages/0", true), ("/images/c:y.png", false),
        ])
    func images(path: String, isValid: Bool) {
        let document = Self.changed("steps.0.message.1.source.path", .string(path))
        let findings = DocumentValidator.findings(in: document) { $0 == "images/x.png" }
        #expect(findings.map(\.path) == (isValid ? [] : ["steps.0.message.1.source.path"]))
    }

    @Test("takes totals with and without embedded trajectories, and wants ids of these")
    func embedded() {
        guard case .object(var child) = Self.good else { return }
        child["trajectory_id"] = "u"
        let parent = Self.changed("subagent_trajectories", [.object(child)])
        #expect(DocumentValidator.findings(in: parent).isEmpty)
        guard case .object(var both) = parent else { return }
        both["final_metrics"] = ["total_prompt_tokens": 6, "total_cost_usd": 1.0, "total_steps": 2]
        #expect(DocumentValidator.findings(in: .object(both)).isEmpty)
        both["subagent_trajectories"] = [.object(child), .object(child)]
        #expect(
            DocumentValidator.findings(in: .object(both)).map(\.path) == [
                "final_metrics.total_prompt_tokens", "final_metrics.total_cost_usd",
                "subagent_trajectories.1.trajectory_id",
            ])
        child["trajectory_id"] = "t"
        #expect(
            DocumentValidator.findings(in: Self.changed("subagent_trajectories", [.object(child)])).map(\.path) == [
                "subagent_trajectories.0.trajectory_id"
            ])
        child["trajectory_id"] = nil
        let nameless = Self.changed("subagent_trajectories", [.object(child)])
        #expect(
            DocumentValidator.findings(in: nameless).map(\.description) == [
                "subagent_trajectories.0.trajectory_id: is missing on an embedded trajectory"
            ])
    }

    @Test("has nothing to say about what Skein makes of a recorded run", arguments: RecordedCase.names)
    func recorded(name: String) throws {
        let recorded = try RecordedCase(name)
        let manual = TrajectoryBuilder(origin: .manual(sessionID: name), agent: Self.agent, compatibility: .skein)
        #expect(DocumentValidator.findings(in: manual.document(of: recorded.events)).isEmpty)
        for id in recorded.dispatched.keys {
            let opener = try #require(EventUUID(id))
            let builder = TrajectoryBuilder(
                origin: .dispatcher(opener: opener), agent: Self.agent, compatibility: .skein)
            let document = builder.document(of: recorded.events)
            #expect(DocumentValidator.findings(in: document).isEmpty)
        }
    }
}
