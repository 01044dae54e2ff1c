import ATOF
import Stages

/// Fake secrets of every kind, planted in every place that an event has.
///
/// None is real: all come from a seeded generator.
struct PlantedSecrets {
    /// What is searched for in the outputs.
    struct Planted: Sendable, CustomStringConvertible {
        let secret: String
        let kind: String
        let place: String

        var description: String { "\(kind) in \(place): \(secret)" }
    }

    private(set) var planted: [Planted] = []
    /// ATOF JSON lines: an agent, and below it everything that holds a secret.
    private(set) var lines: [String] = []
    /// Names of agents that ask before they act.
    private(set) var agents: [String] = []
    /// The place of those.
    static let asking = "agent that asks"
    private var random: SeededRandom
    private var scopes = 0

    static let run = 7
    static var root: EventUUID { Run.uuid(run: run, scope: 0) }

    /// Each kind at each place, again and again, until there are so many.
    init(count: Int, seed: UInt64) {
        random = SeededRandom(state: seed)
        lines.append(AtofLine(uuid: Self.root.description, name: "planner").text)
        while planted.count < count {
            for place in Self.places {
                for kind in Self.kinds { plant(kind, place) }
            }
        }
        for kind in Self.kinds {
            let (text, secret) = kind.make(&random)
            planted.append(Planted(secret: secret, kind: kind.name, place: Self.asking))
            agents.append("agent of \(text)")
        }
        lines.append(AtofLine(phase: "end", uuid: Self.root.description, name: "planner").text)
    }

    // MARK: Kinds

    private typealias Kind = (name: String, make: @Sendable (inout SeededRandom) -> (text: String, secret: String))

    private static func letters(_ count: Int, of alphabet: String, _ random: inout SeededRandom) -> String {
        let alphabet = Array(alphabet)
        return String((0..<count).map { _ in alphabet[Int.random(in: 0..<alphabet.count, using: &random)] })
    }

    private static let lower = "abcdefghijklmnopqrstuvwxyz"
    private static let digits = "0123456789"
    private static let upper = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    private static let word = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

    /// A text that holds a secret, and the part of it that must not be seen.
    private static let kinds: [Kind] = [
        (
            "email",
            { random in
                let local = letters(12, of: lower + digits, &random)
                return ("\(local)@mail.example.org", local)
            }
        ),
        (
            "phone",
            { random in
                let number = "+1 (\(letters(3, of: "23456789", &random))) 555-\(letters(4, of: digits, &random))"
                return (number, number)
            }
        ),
        (
            "api_key",
            { random in
                let secret = letters(24, of: word, &random)
                return ("sk-\(secret)", secret)
            }
        ),
        (
            "ip_address",
            { random in
                let address = (0..<4).map { _ in String(Int.random(in: 100...250, using: &random)) }.joined(
                    separator: ".")
                return (address, address)
            }
        ),
        (
            "ipv6",
            { random in
                let address = (0..<8).map { _ in "f" + letters(3, of: "0123456789abcdef", &random) }
                    .joined(separator: ":")
                return (address, address)
            }
        ),
        (
            "url",
            { random in
                let path = letters(20, of: lower, &random)
                return ("https://intranet.example.org/\(path)?t=1", path)
            }
        ),
        (
            "uuid",
            { random in
                let hex = "0123456789abcdef"
                let uuid =
                    "\(letters(8, of: hex, &random))-\(letters(4, of: hex, &random))-4\(letters(3, of: hex, &random))"
                    + "-a\(letters(3, of: hex, &random))-\(letters(12, of: hex, &random))"
                return (uuid, uuid)
            }
        ),
        (
            "bearer_token",
            { random in
                let token = letters(30, of: word, &random)
                return ("Bearer \(token)", token)
            }
        ),
        (
            "jwt",
            { random in
                let body = letters(30, of: word, &random)
                return ("eyJ\(letters(20, of: word, &random)).\(body).\(letters(20, of: word, &random))", body)
            }
        ),
        (
            "credit_card",
            { random in
                var number = "4" + letters(14, of: digits, &random)
                number += checkDigit(number)
                return (number, number)
            }
        ),
        (
            "aws_access_key_id",
            { random in
                let key = "AKIA" + letters(16, of: upper + digits, &random)
                return (key, key)
            }
        ),
        (
            "aws_secret_access_key",
            { random in
                let key = letters(40, of: word, &random)
                return (key, key)
            }
        ),
        (
            "gcp_api_key",
            { random in
                let key = "AIza" + letters(35, of: word, &random)
                return (key, key)
            }
        ),
        (
            "azure_storage_account_key",
            { random in
                let key = letters(86, of: word, &random)
                return (key + "==", key)
            }
        ),
        (
            // Any text at all: a pattern of the configuration knows it.
            "pattern",
            { random in
                let number = letters(10, of: digits, &random)
                return ("PATIENT-\(number)", "PATIENT-\(number)")
            }
        ),
    ]

    /// What makes the digits pass Luhn's test.
    private static func checkDigit(_ digits: String) -> String {
        let sum = digits.reversed().enumerated().reduce(0) { sum, digit in
            let value = digit.element.wholeNumberValue ?? 0
            let doubled = digit.offset % 2 == 0 ? value * 2 : value
            return sum + (doubled > 9 ? doubled - 9 : doubled)
        }
        return String((10 - sum % 10) % 10)
    }

    // MARK: Places

    private struct Place {
        let name: String
        /// The members of an event line, for a JSON string that holds the secret.
        let members: @Sendable (_ text: String) -> [Event]
    }

    /// The members of one event that differ from place to place.
    struct Event {
        var kind = "mark"
        var phase: String?
        var category: String?
        var name = "\"note\""
        var data = "null"
        var metadata = "null"
        var profile = "null"
        var schema = "null"
        var version = "0.1"
        var more = ""
    }

    /// A JSON string literal.
    private static func quoted(_ text: String) -> String { JSONValue.string(text).compactText }

    private static func chatRequest(_ messages: String, headers: String = "{}") -> String {
        "{\"headers\":\(headers),\"content\":{\"model\":\"gpt-4o\",\"messages\":[\(messages)]}}"
    }

    private static let places: [Place] = [
        Place(name: "data of a mark") { [Event(data: quoted("see \($0) there"))] },
        Place(name: "nested data") { [Event(data: "{\"a\":[{\"b\":{\"c\":[1,{\"d\":\(quoted($0))}]}}]}")] },
        Place(name: "key") { [Event(data: "{\"outer\":{\(quoted("k \($0)")):true}}")] },
        Place(name: "beside other letters") { [Event(data: "{\"t\":\(quoted("größe: \($0) – ответ"))}")] },
        Place(name: "escaped") { text in
            // Every character as \uXXXX.
            let escaped = text.utf16.map { unit in
                let hex = String(unit, radix: 16)
                return "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
            }.joined()
            return [Event(data: "{\"t\":\"\(escaped)\"}")]
        },
        Place(name: "JSON in a string") { [Event(data: "{\"arguments\":\(quoted("{\"q\":\(quoted($0))}"))}")] },
        Place(name: "JSON in JSON in a string") { text in
            let inner = "{\"q\":\(quoted("{\"r\":[\(quoted(text))]}"))}"
            return [Event(data: "{\"arguments\":\(quoted(inner))}")]
        },
        Place(name: "metadata") { [Event(metadata: "{\"note\":\(quoted($0))}")] },
        Place(name: "key of metadata") { [Event(metadata: "{\(quoted($0)):1}")] },
        Place(name: "profile") { [Event(category: "custom", profile: "{\"subtype\":\"x\",\"note\":\(quoted($0))}")] },
        Place(name: "name of a mark") { [Event(name: quoted("saw \($0)"))] },
        Place(name: "member that nobody knows") { [Event(more: ",\"custom\":{\"x\":\(quoted($0))}")] },
        Place(name: "status text") { text in
            [
                Event(kind: "scope", phase: "start", category: "function", name: "\"f\""),
                Event(
                    kind: "scope", phase: "end", category: "function", name: "\"f\"",
                    metadata: """
                        {"otel.status_code":"ERROR","otel.status_description":\(quoted("failed for \(text)")),\
                        "exception.message":\(quoted(text)),"exception.stacktrace":\(quoted("at \(text)\n  at f"))}
                        """),
            ]
        },
        Place(name: "tool arguments and result") { text in
            [
                Event(
                    kind: "scope", phase: "start", category: "tool", name: "\"search\"",
                    data: "{\"q\":\(quoted(text))}", profile: "{\"tool_call_id\":\"call_1\"}"),
                Event(
                    kind: "scope", phase: "end", category: "tool", name: "\"search\"",
                    data: "{\"result\":[\(quoted(text))]}",
                    profile: "{\"tool_call_id\":\"call_1\",\"tool_result_annotation\":{\"n\":\(quoted(text))}}"),
            ]
        },
        Place(name: "name of a tool and id of its call") { text in
            [
                Event(
                    kind: "scope", phase: "start", category: "tool", name: quoted("t \(text)"), data: "{}",
                    profile: "{\"tool_call_id\":\(quoted(text))}"),
                Event(
                    kind: "scope", phase: "end", category: "tool", name: quoted("t \(text)"), data: "{}",
                    profile: "{\"tool_call_id\":\(quoted(text))}"),
            ]
        },
        Place(name: "messages of a model call") { text in
            let request = chatRequest(
                "{\"role\":\"system\",\"content\":\(quoted(text))},"
                    + "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\(quoted(text))}]}")
            let response = """
                {"id":"r","model":"gpt-4o","choices":[\
                {"index":0,"message":{"role":"assistant","content":\(quoted(text)),"reasoning_content":\(quoted(text)),\
                "tool_calls":[{"id":"c","type":"function","function":{"name":"f",\
                "arguments":\(quoted("{\"a\":\(quoted(text))}"))}}]},"finish_reason":"stop"},\
                {"index":1,"message":{"role":"assistant","content":\(quoted(text))},"finish_reason":"stop"}]}
                """
            return [
                Event(
                    kind: "scope", phase: "start", category: "llm", name: "\"openai.chat\"", data: request,
                    profile: """
                        {"model_name":"gpt-4o","annotated_request":{"model":"gpt-4o",\
                        "messages":[{"role":"user","content":\(quoted(text))}],"api_specific":{"api":"openai_chat"}}}
                        """),
                Event(
                    kind: "scope", phase: "end", category: "llm", name: "\"openai.chat\"", data: response,
                    profile: """
                        {"model_name":"gpt-4o","annotated_response":{"model":"gpt-4o","message":\(quoted(text)),\
                        "api_specific":{"api":"openai_chat"}}}
                        """),
            ]
        },
        Place(name: "name of an agent, and what is around its payloads") { text in
            let more = ",\"x\":\(quoted(text))"
            return ["start", "end"].map { phase in
                Event(
                    kind: "scope", phase: phase, category: "agent", name: quoted("a \(text)"),
                    schema: "{\"name\":\(quoted("s \(text)")),\"version\":\(quoted(text))}", more: more)
            }
        },
        Place(name: "category and version of the format") { text in
            [Event(category: "c \(text)", version: "0.1 \(text)")]
        },
        Place(name: "what a measurement consists of") { text in
            ["name", "kind", "value_type", "unit"].map { key in
                let others = ["name": "n", "kind": "gauge", "value_type": "i64", "unit": "1"].map { member in
                    "\(quoted(member.key)):\(quoted(member.key == key ? text : member.value))"
                }
                return Event(
                    data: "{\"measurements\":[{\(others.joined(separator: ",")),\"value\":1}]}",
                    schema: "{\"name\":\"nemo.relay.metric_measurements\",\"version\":\"1\"}")
            }
        },
        Place(name: "estimate of a cost") { text in
            let response = "{\"id\":\"r\",\"model\":\"gpt-4o\",\"choices\":[]}"
            return [
                Event(
                    kind: "scope", phase: "start", category: "llm", name: "\"openai.chat\"",
                    data: chatRequest("{\"role\":\"user\",\"content\":\"hi\"}")),
                Event(
                    kind: "scope", phase: "end", category: "llm", name: "\"openai.chat\"", data: response,
                    profile: """
                        {"annotated_response":{"model":"gpt-4o","api_specific":{"api":"openai_chat"},"usage":{"cost":\
                        {"total":1.0,"currency":"USD","source":"model_pricing","pricing_source":\(quoted(text))}}}}
                        """),
            ]
        },
        Place(name: "credential header") { text in
            [
                Event(
                    kind: "scope", phase: "start", category: "llm", name: "\"anthropic.messages\"",
                    data: chatRequest(
                        "{\"role\":\"user\",\"content\":\"hi\"}",
                        headers: "{\"X-Api-Key\":\(quoted(text)),\"Authorization\":\(quoted("Bearer \(text)"))}")),
                Event(kind: "scope", phase: "end", category: "llm", name: "\"anthropic.messages\"", data: "{}"),
            ]
        },
        Place(name: "measurement") { text in
            [
                Event(
                    data: """
                        {"measurements":[{"name":"n","kind":"counter","value_type":"u64","value":1,\
                        "description":\(quoted(text)),"attributes":{"who":\(quoted(text)),\(quoted(text)):"x"}}]}
                        """, schema: "{\"name\":\"nemo.relay.metric_measurements\",\"version\":\"1\"}")
            ]
        },
    ]

    private mutating func plant(_ kind: Kind, _ place: Place) {
        let (text, secret) = kind.make(&random)
        planted.append(Planted(secret: secret, kind: kind.name, place: place.name))
        scopes += 1
        for (index, event) in place.members(text).enumerated() {
            // Marks have ids of their own, start and end of a scope one.
            if index > 0, event.kind == "mark" { scopes += 1 }
            lines.append(line(event, Run.uuid(run: Self.run, scope: scopes)))
        }
    }

    private func line(_ event: Event, _ uuid: EventUUID) -> String {
        let phase = event.phase.map { "\"scope_category\":\"\($0)\",\"attributes\":[]," } ?? ""
        return """
            {"atof_version":\(Self.quoted(event.version)),"kind":"\(event.kind)",\(phase)"uuid":"\(uuid)","parent_uuid":"\(Self.root)",\
            "name":\(event.name),"category":\(event.category.map { Self.quoted($0) } ?? "null"),\
            "timestamp":"2026-03-02T09:14:08Z","data":\(event.data),"metadata":\(event.metadata),\
            "category_profile":\(event.profile),"data_schema":\(event.schema)\(event.more)}
            """
    }
}
