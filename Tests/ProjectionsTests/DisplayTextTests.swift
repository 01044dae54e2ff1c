import ATOF
import Testing

@testable import Projections

@Suite("Display text")
struct DisplayTextTests {
    @Test(
        "is what a person would read",
        arguments: [
            (#""  x ""#, "x"), (#""""#, nil), (#"" ""#, nil), ("5", nil), ("null", nil), ("true", nil), ("{}", nil),
            ("[]", nil),
            (#""{\"content\":\"x\"}""#, "x"), (#""{\"a\":1}""#, #"{"a":1}"#), (#""{broken""#, "{broken"),
            (#""\"q\"""#, "q"),
            (#""12""#, "12"), (#"{"text":"t","content":"c"}"#, "c"), (#"{"content":"","summary":{"text":"s"}}"#, "s"),
            (#"{"prompt":"p"}"#, "p"), (#"["a"," ","b"]"#, "a\nb"),
            (#"[{"text":"a"},{"text":"b","type":"thinking"},{"text":"c","stripped":true}]"#, "a"),
            (#"[{"name":"x"},{"toolName":"y"},{"function":{"name":"z"}}]"#, "Requested tools: x, y, z"),
            (
                #"{"choices":[{"message":{"content":null,"tool_calls":[{"function":{"name":"f"}}]}}]}"#,
                "Requested tools: f"
            ),
            (#"{"choices":[{},{"message":{"content":"c","tool_calls":[{"name":"f"}]}}]}"#, "c\nRequested tools: f"),
            (#"{"tool_calls":[{"name":"f"}]}"#, "Requested tools: f"),
            (
                #"{"output":[{"type":"message","content":[{"type":"output_text","text":"a\n"}]},{"type":"message","content":[{"type":"text","text":" "}]},{"type":"function_call","name":"f"}]}"#,
                "a\nRequested tools: f"
            ),
            (
                #"{"output":[{"type":"message","content":[{"type":"output_text","text":"a"},{"type":"text","text":"b"}]},"#
                    + #"{"type":"function_call","name":"f"},{"type":"function_call","name":"g"}]}"#,
                "a\n\nb\nRequested tools: f, g"
            ),
        ] as [(String, String?)])
    func text(_ json: String, _ expected: String?) throws {
        #expect(DisplayText(namesAreCalls: true).text(try JSONParser.parse(json)) == expected)
    }

    @Test(
        "names only tools that were called, where the reference names whatever is in a list",
        arguments: [
            (#"[{"name":"report.pdf"},{"name":"b.txt","size":3}]"#, nil),
            (#"{"content":[{"name":"x"},{"function":{"name":"f","parameters":{}},"type":"function"}]}"#, nil),
            (#""[{\"name\":\"x\"}]""#, #"[{"name":"x"}]"#), (#"[{"name":"x","text":"t"},{"toolName":"y"}]"#, "t"),
            (
                #"[{"type":"text","text":"t"},{"type":"tool_use","name":"f","input":{}},{"name":"g","arguments":"{}"},"#
                    + #"{"function":{"name":"h","arguments":"{}"}},{"toolName":"i","args":{}}]"#,
                "t\nRequested tools: f, g, h, i"
            ),
            (#"{"tool_calls":[{"name":"f"}]}"#, "Requested tools: f"),
            (#"{"output":[{"type":"function_call","name":"f"}]}"#, "Requested tools: f"),
        ] as [(String, String?)])
    func called(_ json: String, _ expected: String?) throws {
        #expect(DisplayText(namesAreCalls: false).text(try JSONParser.parse(json)) == expected)
    }

    @Test(
        "of a model's input is its conversation",
        arguments: [
            (
                #"{"content":{"messages":[{"role":"system","content":"s"},{"content":[{"text":"u"}]},"#
                    + #"{"role":"assistant","tool_calls":[{"name":"f"}]},{"role":"tool","content":"r"},{"role":"user"}]}}"#,
                "system: s\n\nmessage: u\n\nassistant: Requested tools: f\n\ntool: Tool result omitted"
            ), (#"{"messages":[],"prompt":"p"}"#, "p"), (#"{"content":"c"}"#, "c"), (#"{"model":"m"}"#, nil),
        ] as [(String, String?)])
    func llmInput(_ json: String, _ expected: String?) throws {
        #expect(DisplayText(namesAreCalls: true).llmInput(try JSONParser.parse(json)) == expected)
    }
}
