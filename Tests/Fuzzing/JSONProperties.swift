internal import ATOF

enum JSONProperties {
    /// What can be read is written so that it reads the same, and what cannot be read is repaired once.
    static func check(_ text: [UInt8]) throws(FuzzFailure) {
        if let value = try? JSONParser.parse(text) {
            try check(value)
        }
        let (value, repaired) = text.withUnsafeBufferPointer {
            (JSONPolicy.value(of: $0), JSONPolicy.repairedText(of: $0))
        }
        try check(value)
        guard let repaired else { return }
        try FuzzFailure.unless(
            repaired.withUnsafeBufferPointer { JSONPolicy.repairedText(of: $0) } == nil,
            "what was repaired needs a repair")
    }

    /// Reads a value as its compact text.
    static func check(_ value: JSONValue) throws(FuzzFailure) {
        var writer = JSONWriter()
        writer.write(value)
        try check(value, as: writer.bytes)
    }

    static func check(_ value: JSONValue, as text: [UInt8]) throws(FuzzFailure) {
        let read: JSONValue
        do throws(JSONRefusal) {
            read = try JSONParser.parse(text)
        } catch {
            // A payload of the greatest depth is deeper where something was put around it.
            return try FuzzFailure.unless(
                error == .depth, "\(error) in what was written: \(String(decoding: text.prefix(200), as: UTF8.self))")
        }
        try FuzzFailure.unless(
            read == value, "reads as another value: \(String(decoding: text.prefix(200), as: UTF8.self))")
    }
}
