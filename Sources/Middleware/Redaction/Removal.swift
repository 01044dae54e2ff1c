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
            var result = object
            var changed = false
            for member in object {
                let next = cursor.member(member.key)
                if next.isSelected {
                    result[member.key] = nil
                    changed = true
                } else if !next.isLost, let value = removed(member.value, next) {
                    result[member.key] = value
                    changed = true
                }
            }
            return changed ? .object(result) : nil
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
