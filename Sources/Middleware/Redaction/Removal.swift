internal import ATOF

/// Takes what is selected out of a document: members go, elements become null so that indices stay, a root becomes null.
struct Removal {
    let selection: PathSelection

    /// - Returns: nil when nothing was there.
    func removed(_ document: JSONValue) -> JSONValue? {
        if selection.root.isSelected { return document.isNull ? nil : .null }
        return removed(document, selection.root)
    }

    private func removed(_ value: JSONValue, _ cursor: PathSelection.Cursor) -> JSONValue? {
        switch value {
        case .object(let object):
            // Nil is a member that goes. All of them may: each by itself would move those behind it.
            var values = object.map { Optional($0.value) }
            var changed = false
            for (index, member) in object.enumerated() {
                let next = cursor.member(member.key)
                if next.isSelected {
                    values[index] = nil
                    changed = true
                } else if !next.isLost, let value = removed(member.value, next) {
                    values[index] = value
                    changed = true
                }
            }
            return changed ? .object(JSONObject(present: Array(zip(object.keys, values)))) : nil
        case .array(let elements):
            var result = elements
            var changed = false
            for (index, element) in elements.enumerated() {
                let next = cursor.element(index)
                if next.isSelected {
                    if element.isNull { continue }
                    result[index] = .null
                    changed = true
                } else if !next.isLost, let value = removed(element, next) {
                    result[index] = value
                    changed = true
                }
            }
            return changed ? .array(result) : nil
        case .null, .bool, .int, .unsigned, .double, .string: return nil
        }
    }
}
