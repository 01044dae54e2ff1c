extension JSONWriter {
    /// A draft as its value would be written. The payloads in it are parsed now, one after the other, and written from the tape.
    package mutating func write(_ draft: JSONDraft) {
        switch draft {
        case .value(let value): write(value)
        case .payload(let payload): write(payload)
        case .array(let drafts):
            beginArray()
            for index in drafts.indices {
                element()
                write(drafts[index])
            }
            endArray()
        case .drafts(let count, let draft):
            beginArray()
            for index in 0..<count {
                element()
                write(draft(index))
            }
            endArray()
        case .elements(let elements):
            beginArray()
            for index in 0..<elements.count {
                element()
                elements.write(index, to: &self)
            }
            endArray()
        case .object(let object): write(object)
        }
    }

    package mutating func write(_ payload: JSONDraft.Payload) {
        payload.withCursor { write($0) }
    }

    private mutating func write(_ object: JSONDraft.Object) {
        beginObject()
        var drafts = object.drafts[...]
        let members = object.plain.members
        for index in members.indices {
            while let draft = drafts.first, JSONKeyOrder.compare(draft.key, members[index].key) < 0 {
                key(draft.key)
                write(draft.value)
                drafts = drafts.dropFirst()
            }
            key(members[index].key)
            write(members[index].value)
        }
        for draft in drafts {
            key(draft.key)
            write(draft.value)
        }
        endObject()
    }

    // MARK: From the tape

    /// The value at a place of a document, as it would be written if it were made.
    private mutating func write(_ cursor: JSONCursor) {
        switch cursor.type {
        case UInt8(ascii: "\""): write(utf8: cursor.utf8)
        case UInt8(ascii: "{"):
            beginObject()
            cursor.withSortedMembers { members in
                for member in members {
                    key(utf8: member.key)
                    write(member.value)
                }
            }
            endObject()
        case UInt8(ascii: "["):
            beginArray()
            cursor.forEachElement { element in
                self.element()
                write(element)
            }
            endArray()
        case UInt8(ascii: "l"): write(cursor.integer)
        case UInt8(ascii: "u"): write(cursor.unsigned)
        case UInt8(ascii: "d"): write(cursor.double)
        case UInt8(ascii: "t"): raw("true")
        case UInt8(ascii: "f"): raw("false")
        default: raw("null")
        }
    }
}
