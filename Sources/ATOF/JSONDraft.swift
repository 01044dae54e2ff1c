/// JSON that is put together of values and of payloads as they came. Those are parsed when it is written, one after the other: their
/// values, all at once, would fill the memory that the text needs.
package enum JSONDraft: Sendable {
    case value(JSONValue)
    case payload(Payload)
    case array([JSONDraft])
    /// An array whose elements are made one by one, each when it is written.
    case drafts(count: Int, @Sendable (Int) -> JSONDraft)
    /// An array whose elements are not made at all.
    case elements(any JSONElements)
    case object(Object)

    /// What a payload says, or one member of it that is known to be there.
    package struct Payload: Sendable {
        private let raw: RawJSON
        private let member: String?

        package init(_ raw: RawJSON, member: String? = nil) {
            self.raw = raw
            self.member = member
        }

        package var value: JSONValue {
            let value = raw.value
            return member.map { value[$0] ?? .null } ?? value
        }

        /// Lends the value's place in the parsed payload.
        func withCursor(_ body: (JSONCursor) -> Void) {
            raw.withRoot { root in
                if let member { root[member].map(body) } else { body(root) }
            }
        }
    }

    package struct Member: Sendable {
        package let key: String
        package let value: JSONDraft
    }

    /// An object of which some members are drafts.
    package struct Object: Sendable {
        /// The members that are values.
        package private(set) var plain: JSONObject
        /// The others, in the order of their keys.
        private(set) var drafts: [Member] = []

        package init(_ plain: JSONObject) { self.plain = plain }

        /// A member as a draft; setting nil removes it.
        package subscript(key: String) -> JSONDraft? {
            get { drafts.first { JSONKeyOrder.compare($0.key, key) == 0 }?.value ?? plain[key].map { .value($0) } }
            set {
                drafts.removeAll { JSONKeyOrder.compare($0.key, key) == 0 }
                guard let newValue else {
                    plain[key] = nil
                    return
                }
                if case .value(let value) = newValue {
                    plain[key] = value
                } else {
                    plain[key] = nil
                    let place = drafts.firstIndex { JSONKeyOrder.compare($0.key, key) > 0 } ?? drafts.endIndex
                    drafts.insert(Member(key: key, value: newValue), at: place)
                }
            }
        }
    }

    /// The value, with all payloads parsed.
    package var value: JSONValue {
        switch self {
        case .value(let value): return value
        case .payload(let payload): return payload.value
        case .array(let elements): return .array(elements.map(\.value))
        case .drafts(let count, let draft): return .array((0..<count).map { draft($0).value })
        case .elements(let elements):
            return .array(
                (0..<elements.count).map { index in
                    var builder = JSONValueBuilder()
                    elements.write(index, to: &builder)
                    return builder.value
                })
        case .object(let object):
            var members = object.plain
            for draft in object.drafts { members[draft.key] = draft.value.value }
            return .object(members)
        }
    }
}
