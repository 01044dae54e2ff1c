import ATOF
import LLMCodecs
import Testing

@testable import Middleware

/// What reviewers found behind redactions. All values are made up.
@Suite("Leaks of redactions")
struct RedactionLeakTests {
    private static func line(_ event: Event) -> String { String(decoding: EventJSONEncoder.line(event), as: UTF8.self) }

    // MARK: The envelope

    @Test("are not beside the payloads when every text is treated", arguments: [BuiltinRedaction.Action.hash, .mask])
    func envelope(_ action: BuiltinRedaction.Action) throws {
        for members in [["category": "tool"], ["category": "llm"], ["kind": "mark", "category": .null]] as [JSONValue] {
            var object = try #require(members.objectValue)
            object["x_unknown"] = ["note": "Jane Roe"]
            object["attributes"] = ["remote", "for Jane Roe"]
            object["atof_version"] = "0.1 of Jane Roe"
            object["category_profile"] = ["tool_call_id": "call_1", "subtype": "s", "more": ["Jane Roe"]]
            object["data_schema"] = ["name": "of Jane Roe", "version": "by Jane Roe"]
            let event = try RedactionLines.event(.object(object))
            let after = try RedactionLines.apply(try RedactionLines.chain([Settings.everything(action)]), to: event)
            #expect(!Self.line(after).contains("Jane Roe"), "\(members)")
            #expect(after.name == "n")
            if !event.isMark {
                #expect(after.categoryProfile?.value["tool_call_id"] == "call_1")
                #expect(after.attributes.first == "remote")
            }
        }
    }

    @Test("are not in the version or a category that ATOF does not know")
    func version() throws {
        let chain = try RedactionLines.chain([Settings.detector(.apiKey)])
        let event = try RedactionLines.event([
            "atof_version": .string(Settings.key), "category": .string("x \(Settings.key)"),
        ])
        let after = try RedactionLines.apply(chain, to: event)
        #expect(after.atofVersion == "[REDACTED]")
        #expect(after.category == .init("x [REDACTED]"))
        let address = try RedactionLines.event(["atof_version": "192.0.2.44"])
        let hidden = try RedactionLines.apply(try RedactionLines.chain([Settings.detector(.ipAddress)]), to: address)
        #expect(hidden.atofVersion == "[REDACTED]")
        let preset = try RedactionLines.apply(try RedactionLines.chain([Settings.preset()]), to: event)
        #expect(preset.atofVersion == "0.1")
        // A version stays, and a category that says what an event is.
        let plain = try RedactionLines.event(["atof_version": "0.1.2", "category": "llm"])
        #expect(
            try RedactionLines.apply(try RedactionLines.chain([Settings.everything(.mask)]), to: plain).atofVersion
                == "0.1.2")
    }

    @Test("are not in fields on the wire that no reader sees", arguments: [false, true])
    func foreignBytes(isRepeated: Bool) throws {
        var packed = EventFields(
            kind: .mark, uuid: EventUUID(high: 1, low: 2), timestamp: EventTime(epochMicroseconds: 0), name: "n"
        ).packed()
        let (tag, text): ([UInt8], String) =
            isRepeated ? ([82], "{\"a\":\"\(Settings.key)\"}") : ([0xFA, 1], Settings.key)
        packed += tag + [UInt8(text.utf8.count)] + Array(text.utf8)
        if isRepeated { packed += [82, 2] + Array("{}".utf8) }
        var writer = EventBatchWriter()
        writer.append(packed: packed)
        let event = try EventBatch(unpacking: writer.bytes).event(at: 0)
        let after = try RedactionLines.apply(try RedactionLines.chain([Settings.detector(.apiKey)]), to: event)
        #expect(String(decoding: event.packed.array, as: UTF8.self).contains(Settings.key))
        #expect(!String(decoding: after.packed.array, as: UTF8.self).contains(Settings.key))
        #expect(after.name == "n")
    }

    @Test("of an end that goes on without payloads are not in its name, whichever rule says so")
    func withoutPayloads() throws {
        let rule = GuardrailRule(
            name: "drop", condition: .content(try .init(matchers: [.detector(.apiKey)], replacement: "#")),
            actions: [.dropEvent], reason: "r")
        var settings = MiddlewareSettings()
        settings.guardrails = GuardrailRules(rules: [rule])
        var chain = try MiddlewareChain(
            settings, pricing: .init(), facts: CollectorFacts(collector: "c", version: "1"), .skein)
        let event = try RedactionLines.event(["scope_category": "end", "name": .string("t \(Settings.key)")])
        let left = chain.withoutPayloads(event, tenant: "acme")
        let packed = try #require(left)
        #expect(!String(decoding: packed, as: UTF8.self).contains(Settings.key))
    }

    // MARK: Measurements

    private static func measurement(_ members: JSONValue) -> JSONValue {
        [
            "kind": "mark", "category": .null,
            "data_schema": ["name": "nemo.relay.metric_measurements", "version": "1"],
            "data": ["measurements": [members]],
        ]
    }

    @Test(
        "are not in what a measurement cannot do without",
        arguments: [
            Settings.everything(.mask), Settings.everything(.hash), Settings.detector(.apiKey), Settings.preset(),
        ])
    func measurements(_ builtin: BuiltinRedaction) throws {
        let chain = try RedactionLines.chain([builtin])
        for key in ["name", "kind", "value_type", "unit", "value"] {
            var members = try #require(
                (["name": "n", "kind": "gauge", "value_type": "i64", "value": 1, "unit": "By"] as JSONValue).objectValue
            )
            members[key] = .string(Settings.key)
            let event = try RedactionLines.event(Self.measurement(.object(members)))
            let after = try RedactionLines.apply(chain, to: event)
            #expect(!Self.line(after).contains(Settings.key), "\(key)")
        }
        // One that is as it should be stays so.
        let valid: JSONValue = [
            "name": "gen_ai.client/tokens", "kind": "histogram", "value_type": "u64", "value": 1, "unit": "{token}",
            "boundaries": [1, 2.5],
        ]
        let after = try RedactionLines.apply(chain, to: try RedactionLines.event(Self.measurement(valid)))
        #expect(after.data?.value["measurements"]?[0] == valid)
    }

    @Test("are not where the preset keeps a number or a word")
    func typesOfPreset() throws {
        let chain = try RedactionLines.chain([Settings.preset()])
        let texts: JSONValue = ["Jane Roe", ["x": "Jane Roe"]]
        for text in texts.arrayValue ?? [] {
            for profile in [["model_name": text], ["model_name": "gpt-4o"]] as [JSONValue] {
                let event = try RedactionLines.event([
                    "kind": "mark", "category": "custom", "category_profile": profile,
                    "data_schema": ["name": "nemo.relay.metric_measurements", "version": "1"],
                    "data": [
                        "measurements": [
                            [
                                "name": text, "kind": text, "value_type": text, "value": text, "unit": text,
                                "boundaries": [text],
                            ]
                        ]
                    ],
                ])
                let after = try RedactionLines.apply(chain, to: event)
                #expect(!Self.line(after).contains("Jane Roe"))
                if profile["model_name"] == "gpt-4o" { #expect(after.categoryProfile?.value == profile) }
            }
        }
    }

    @Test("are not in the cost that a provider reports, or that somebody has estimated")
    func cost() throws {
        let chain = try RedactionLines.chain([Settings.preset()])
        for currency in ["Jane Roe's", "EUR"] {
            let body: JSONValue = [
                "id": "r", "model": "gpt-4o", "choices": [["message": ["role": "assistant", "content": "x"]]],
                "usage": [
                    "prompt_tokens": 1, "completion_tokens": 1,
                    "cost": ["total": 0.5, "currency": .string(currency)],
                ],
            ]
            let surface = Surface.openAIChat
            var annotation = try surface.decodeResponse(body).annotation
            let event = try RedactionLines.event([
                "category": "llm", "scope_category": "end", "data": body,
                "category_profile": ["annotated_response": .object(annotation)],
            ])
            let after = try RedactionLines.apply(chain, to: event)
            #expect(!Self.line(after).contains("Jane Roe"))
            #expect((after.data?.value["usage"]?["cost"] != nil) == (currency == "EUR"))
            annotation["usage"] = [
                "prompt_tokens": 1,
                "cost": [
                    "total": 0.5, "currency": "USD", "source": "model_pricing", "pricing_source": "of Jane Roe",
                    "pricing_model": "for Jane Roe", "pricing_note": "by Jane Roe",
                ],
            ]
            let estimated = try RedactionLines.event([
                "category": "llm", "scope_category": "end", "data": body,
                "category_profile": ["annotated_response": .object(annotation)],
            ])
            #expect(!Self.line(try RedactionLines.apply(chain, to: estimated)).contains("Jane Roe"))
        }
        // A detector looks at the texts of an estimate too when the body has something for it.
        let body: JSONValue = [
            "id": "r", "model": "m", "choices": [["message": ["role": "assistant", "content": "to ann@example.com"]]],
            "usage": ["prompt_tokens": 1],
        ]
        var annotation = try Surface.openAIChat.decodeResponse(body).annotation
        annotation["usage"] = [
            "prompt_tokens": 1, "cost": ["total": 1.0, "source": "model_pricing", "pricing_source": "bob@example.com"],
        ]
        let event = try RedactionLines.event([
            "category": "llm", "scope_category": "end", "data": body,
            "category_profile": ["annotated_response": .object(annotation)],
        ])
        let after = try RedactionLines.apply(try RedactionLines.chain([RedactionLines.email()]), to: event)
        #expect(!Self.line(after).contains("@example.com"))
        #expect(after.categoryProfile?.value["annotated_response"]?["usage"]?["cost"]?["total"] == 1.0)
    }

    // MARK: Words

    @Test(
        "are not under the keys that say what a document is",
        arguments: [
            Settings.key, "4111111111111111", "PATIENT-0123456789", "AKIAIOSFODNN7EXAMPLE",
            "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYa",
            "eyJhbGciOi.eyJzdWIi.sig-_1", "550e8400-e29b-41d4-a716-446655440000", "a1b2c3d4e5f6a7b8c9d0e1f2",
            "078-05-1120",
            "10.0.0.1", "https://x.io/a",
        ])
    func words(_ secret: String) throws {
        let keys = [
            "role", "type", "object", "kind", "api", "status", "finish_reason", "stop_reason", "model", "modelId",
            "model_name", "error.type", "otel.status_code", "nemo_relay.log.severity",
        ]
        let event = try RedactionLines.event([
            "kind": "mark", "category": .null, "data": .object(JSONObject(keys.map { ($0, .string(secret)) })),
        ])
        let after = try RedactionLines.apply(try RedactionLines.chain([Settings.everything(.mask)]), to: event)
        #expect(!Self.line(after).contains(secret))
    }

    @Test("do not cost a document the words that it needs")
    func kept() throws {
        let document: JSONValue = [
            "role": "assistant", "type": "web_search_20250305", "object": "chat.completion", "status": "in_progress",
            "finish_reason": "content_filter", "model": "accounts/fireworks/models/llama-v3p1-405b-instruct",
            "modelId": "anthropic.claude-3-5-sonnet-20241022-v2:0", "modelVersion": "gemini-2.5-flash-preview-05-20",
            "model_name": "ft:gpt-4o-mini-2024-07-18:acme::9a8b7c6d", "error.type": "ContextWindowExceededError",
            "otel.status_code": "ERROR",
        ]
        let event = try RedactionLines.event(["kind": "mark", "category": .null, "data": document])
        let after = try RedactionLines.apply(try RedactionLines.chain([Settings.everything(.mask)]), to: event)
        #expect(after.data?.value == document)
    }

    // MARK: What steps add

    /// Puts something into an event, behind redactions or before them, and adds a mark.
    private struct Adding: ChainStep {
        let name = "adding"
        let priority: Int32
        let data: JSONValue
        var bringsContent: Bool { true }

        func apply(_ draft: inout EventDraft, _ notes: inout ChainNotes) -> ChainDecision {
            draft.data = data
            var fields = EventFields(
                kind: .mark, uuid: EventUUID(high: 3, low: 4), timestamp: draft.event.timestamp, name: "m")
            fields.data = Array("{\"tool_name\":\"\(Settings.key)\"}".utf8)
            notes.injected.append(fields.packed())
            return .pass
        }
    }

    private static func chain(_ builtin: BuiltinRedaction, _ compatibility: Compatibility, adding step: Adding) throws
        -> MiddlewareChain
    {
        MiddlewareChain(try RedactionLines.chain([builtin], compatibility).steps + [step])
    }

    @Test("are in nothing that a step adds, wherever it stands", arguments: [Int32(50), 200])
    func added(priority: Int32) throws {
        let event = try RedactionLines.event(["data": ["a": "see bob@example.com", "b": .string(Settings.key)]])
        let data: JSONValue = [
            "a": "see [REDACTED]", "b": .string("new \(Settings.key)"), "c": [.string(Settings.key)],
        ]
        var chain = try Self.chain(
            Settings.detector(.apiKey), .skein, adding: Adding(priority: priority, data: data))
        var notes = ChainNotes()
        guard case .changed(let packed) = chain.apply(event, tenant: "acme", &notes) else {
            Issue.record("nothing was changed")
            return
        }
        #expect(!String(decoding: packed, as: UTF8.self).contains(Settings.key))
        #expect(notes.injected.count == 1)
        #expect(!String(decoding: notes.injected[0], as: UTF8.self).contains(Settings.key))
    }

    @Test("that were treated are not treated again when a step adds something else")
    func addedBeside() throws {
        let event = try RedactionLines.event(["data": ["a": "Jane", "b": "x"]])
        let chain = try RedactionLines.chain([Settings.everything(.hash)])
        let hashed = try #require(try RedactionLines.apply(chain, to: event).data?.value)
        var data = try #require(hashed.objectValue)
        data["c"] = "Jane Roe"
        let adding = try Self.chain(
            Settings.everything(.hash), .skein, adding: Adding(priority: 200, data: .object(data)))
        let after = try #require(try RedactionLines.apply(adding, to: event).data?.value)
        #expect(after["a"] == hashed["a"] && after["b"] == hashed["b"])
        #expect(after["c"]?.stringValue?.count == 64)
        // In strict what stands behind a redaction is as the reference has it: not looked at.
        let strict = try Self.chain(
            Settings.everything(.hash), .strict, adding: Adding(priority: 200, data: .object(data)))
        #expect(try RedactionLines.apply(strict, to: event).data?.value["c"] == "Jane Roe")
    }

    @Test("are not in the marks of remote checks")
    func remoteMarks() throws {
        var settings = MiddlewareSettings()
        var guardrails = NeMoGuardrails(endpoint: "http://127.0.0.1:1", configuration: .one("c"))
        guardrails.checksToolOutput = true
        settings.nemoGuardrails = guardrails
        var redaction = PIIRedaction()
        var profile = PIIRedaction.Profile()
        profile.builtin = Settings.detector(.apiKey)
        redaction.profiles = [profile]
        settings.piiRedaction = redaction
        var chain = try MiddlewareChain(
            settings, pricing: .init(), facts: CollectorFacts(collector: "c", version: "1"), .skein)
        let event = try RedactionLines.event([
            "scope_category": "end", "name": .string("tool \(Settings.key)"), "data": ["x": 1],
        ])
        var notes = ChainNotes()
        notes.workers.isPlanning = true
        _ = chain.apply(event, tenant: "acme", &notes)
        notes.workers.isPlanning = false
        notes.workers.answered([], [.success(.init(status: 200, verdict: .blocked(rail: "rail \(Settings.key)")))])
        _ = chain.apply(event, tenant: "acme", &notes)
        #expect(notes.injected.count == 2)
        for mark in notes.injected { #expect(!String(decoding: mark, as: UTF8.self).contains(Settings.key)) }
    }

    @Test("are not in a name that is told without an event")
    func names() throws {
        let chain = try RedactionLines.chain([Settings.detector(.apiKey), RedactionLines.email()])
        #expect(chain.redacted(name: "agent \(Settings.key) of bob@example.com") == "agent [REDACTED] of [REDACTED]")
        #expect(chain.redacted(name: "researcher") == "researcher")
        #expect(
            try RedactionLines.chain([RedactionLines.email()], .strict).redacted(name: "bob@example.com")
                == "bob@example.com")
    }

    // MARK: Work

    @Test("of many keys take time in proportion to them", arguments: [false, true])
    func keys(areTaken: Bool) {
        func lookups(_ count: Int) -> Int {
            var renaming = KeyRenaming()
            var pairs: [(String, JSONValue)] = (0..<count).map { ("k\(1_000_000 + $0)@example.com", .int(Int64($0))) }
            // Names that are taken already.
            if areTaken { pairs += (0..<count).map { ("[REDACTED] #\($0)", .null) } }
            let object = JSONObject(pairs)
            for (place, member) in object.members.enumerated() where member.key.hasPrefix("k") {
                renaming.add(place, to: "[REDACTED]")
            }
            let renamed = renaming.renamed(object)
            #expect(renamed.count == object.count)
            return renaming.lookups
        }
        #expect(lookups(8000) <= 2 * lookups(4000) + 16)
        #expect(lookups(4000) <= (areTaken ? 3 : 2) * 4000 + 16)
    }

    @Test("of many keys lose no value, and go when all are removed")
    func manyKeys() throws {
        let count = 20_000
        let object = JSONValue.object(JSONObject((0..<count).map { ("k\($0)@example.com", .int(Int64($0))) }))
        let redactor = try Redactor(RedactionLines.email(), compatibility: .skein)
        let renamed = try #require(redactor.redact(document: object)?.objectValue)
        #expect(renamed.count == count)
        #expect(Set(renamed.map(\.value)).count == count)
        #expect(renamed["[REDACTED]"] != nil && renamed["[REDACTED] #\(count)"] != nil)
        var removal = BuiltinRedaction()
        removal.targetPathGlobs = ["/*"]
        #expect(try Redactor(removal, compatibility: .skein).redact(document: object) == [:])
        removal.targetPathGlobs = ["/*/a"]
        let nested: JSONValue = ["x": ["a": 1, "b": 2], "y": 3]
        #expect(try Redactor(removal, compatibility: .skein).redact(document: nested) == ["x": ["b": 2], "y": 3])
    }
}

private enum Settings {
    static let key = "sk-fakeFAKE0123456789"

    static func everything(_ action: BuiltinRedaction.Action) -> BuiltinRedaction {
        var builtin = BuiltinRedaction()
        builtin.action = action
        return builtin
    }

    static func detector(_ detector: Detector) -> BuiltinRedaction {
        var builtin = BuiltinRedaction()
        builtin.action = .redact
        builtin.matcher = .detector(detector)
        return builtin
    }

    static func preset() -> BuiltinRedaction {
        var builtin = BuiltinRedaction()
        builtin.preset = .trajectoryContext
        return builtin
    }
}
