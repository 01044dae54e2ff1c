extension JSONWriter {
    /// Any value with two spaces a level and a line for each member and element (`atif-trajectories.md` 4.4).
    package mutating func writeIndented(_ value: JSONValue, level: Int = 0) {
        switch value {
        case .array(let elements) where !elements.isEmpty:
            // By index, here and below: an iterator would copy each element, and so count its texts.
            for index in elements.indices {
                newLine(after: index == 0 ? UInt8(ascii: "[") : UInt8(ascii: ","), indentedBy: 2 * (level + 1))
                writeIndented(elements[index], level: level + 1)
            }
            newLine(indentedBy: 2 * level)
            raw("]")
        case .object(let object) where !object.isEmpty:
            for index in object.members.indices {
                newLine(after: index == 0 ? UInt8(ascii: "{") : UInt8(ascii: ","), indentedBy: 2 * (level + 1))
                write(object.members[index].key)
                raw(": ")
                writeIndented(object.members[index].value, level: level + 1)
            }
            newLine(indentedBy: 2 * level)
            raw("}")
        case .null, .bool, .int, .unsigned, .double, .string, .array, .object: write(value)
        }
    }
}
