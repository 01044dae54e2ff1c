internal import ATOF
internal import Middleware

enum SchemaProperties {
    /// A schema is refused at one of its places, or every document conforms to it or violates one of its keywords.
    static func check(_ input: [UInt8]) throws(FuzzFailure) {
        let lines = input.split(separator: UInt8(ascii: "\n"), maxSplits: 1, omittingEmptySubsequences: false)
        guard let text = try? JSONParser.parse(Array(lines[0])) else { return }
        let schema: GuardrailRule.ArgumentSchema
        do throws(SchemaError) {
            schema = try GuardrailRule.ArgumentSchema(text)
        } catch {
            try FuzzFailure.unless(JSONValue.isPointer(error.pointer), "an error at \(error.pointer)")
            try FuzzFailure.unless(!error.reason.contains("compiled"), "a schema that only valijson refuses: \(error)")
            return
        }
        let document = lines.count > 1 ? Array(lines[1]) : []
        let value = document.withUnsafeBufferPointer { JSONPolicy.value(of: $0) }
        switch schema.violation(by: value) {
        case .keyword(let keyword, let place):
            try FuzzFailure.unless(!keyword.isEmpty, "a violation of nothing")
            try FuzzFailure.unless(JSONValue.isPointer(place), "a violation at \(place)")
        case .unchecked(.failed): throw FuzzFailure("a document that could not be checked")
        case .unchecked, nil: break
        }
    }

    static let seeds: [[UInt8]] = [
        #"{"type":"object","properties":{"a":{"type":["integer","null"],"minimum":0}},"required":["a"]}"# + "\n"
            + #"{"a":1}"#,
        #"{"items":[{"multipleOf":3},{"enum":[1,"a",{"k":[null]}]}],"additionalItems":{"maxLength":2}}"#
            + "\n[3,1,\"ab\"]",
        #"{"oneOf":[{"not":{"pattern":"^a+$"}},{"const":"aa"}],"if":{"minLength":1},"then":{"type":"string"}}"#
            + "\n\"aa\"",
        #"{"propertyNames":{"maxLength":3},"dependencies":{"a":["b"],"c":{"minProperties":2}}}"# + "\n"
            + #"{"c":1,"d":{}}"#,
        ##"{"$defs":{"n":{"exclusiveMaximum":9}},"contains":{"$ref":"#/$defs/n"},"uniqueItems":true}"##
            + "\n[1,1.0,[{}]]",
        #"{"$schema":"http://json-schema.org/draft-04/schema#","minimum":1,"exclusiveMinimum":true}"# + "\n1e400",
    ].map { Array($0.utf8) }
}
