internal import ATOF

/// Compares documents of which one was made from the other.
enum JSONDifference {
    /// Whether a third document has everything that was changed as the edited one has it.
    ///
    /// What was removed must be missing there.
    static func arrived(in third: JSONValue?, from original: JSONValue, to edited: JSONValue) -> Bool {
        if original == edited { return true }
        switch (original, edited) {
        case (.object(let before), .object(let after)):
            let found = third?.objectValue
            return before.allSatisfy { member in
                guard let value = after[member.key] else { return found?[member.key] == nil }
                return arrived(in: found?[member.key], from: member.value, to: value)
            }
        case (.array(let before), .array(let after)) where before.count == after.count:
            let found = third?.arrayValue ?? []
            return before.indices.allSatisfy { index in
                arrived(in: found.indices.contains(index) ? found[index] : nil, from: before[index], to: after[index])
            }
        default: return third == edited
        }
    }

    /// The later document, but where the middle one differs from the first as the middle one has it.
    static func keepingChanges(from first: JSONValue, to middle: JSONValue, in later: JSONValue) -> JSONValue {
        if first == middle { return later }
        switch (first, middle, later) {
        case (.object(let before), .object(let after), .object(var result)):
            for member in after {
                guard let value = before[member.key] else {
                    result[member.key] = member.value
                    continue
                }
                guard let found = result[member.key] else { continue }
                result[member.key] = keepingChanges(from: value, to: member.value, in: found)
            }
            return .object(result)
        case (.array(let before), .array(let after), .array(var result))
        where before.count == after.count && after.count == result.count:
            for index in after.indices {
                result[index] = keepingChanges(from: before[index], to: after[index], in: result[index])
            }
            return .array(result)
        default: return middle
        }
    }

    /// The later document, but where the middle one is as the first as it is there.
    static func keepingUnchanged(from first: JSONValue, to middle: JSONValue, in later: JSONValue) -> JSONValue {
        if first == middle { return middle }
        switch (first, middle, later) {
        case (.object(let before), .object(let after), .object(var result)):
            for member in after {
                guard let value = before[member.key], let found = result[member.key] else { continue }
                result[member.key] = keepingUnchanged(from: value, to: member.value, in: found)
            }
            return .object(result)
        case (.array(let before), .array(let after), .array(var result)) where after.count == result.count:
            for index in after.indices where before.indices.contains(index) {
                result[index] = keepingUnchanged(from: before[index], to: after[index], in: result[index])
            }
            return .array(result)
        default: return later
        }
    }
}
