extension JSONWriter {
    /// A draft as its value would be written. The payloads in it are parsed now, one after the other, and written from the tape.
    ///
    /// - Parameter level: as for a value.
    package mutating func write(_ draft: JSONDraft, level: Int? = nil) {
        switch draft {
        case .value(let value): write(value, level: level)
        case .payload(let payload): write(payload, level: level)
        case .array(let elements):
            var list = begin("[", level)
            for index in elements.indices {
                next(in: &list)
                write(elements[index], level: list.level)
            }
            end(list, "]")
        case .elements(let count, let element):
            var list = begin("[", level)
            for index in 0..<count {
                next(in: &list)
                write(element(index), level: list.level)
            }
            end(list, "]")
        case .object(let object): write(object, level: level)
        }
    }

    private mutating func write(_ payload: JSONDraft.Payload, level: Int?) {
        payload.withCursor { write($0, level: level) }
    }

    private mutating func write(_ object: JSONDraft.Object, level: Int?) {
        var list = begin("{", level)
        var drafts = object.drafts[...]
        let members = object.plain.members
        for index in members.indices {
            while let draft = drafts.first, JSONKeyOrder.compare(draft.key, members[index].key) < 0 {
                write(draft, in: &list)
                drafts = drafts.dropFirst()
            }
            next(in: &list)
            write(members[index].key)
            colon(in: list)
            write(members[index].value, level: list.level)
        }
        for draft in drafts { write(draft, in: &list) }
        end(list, "}")
    }

    private mutating func write(_ member: JSONDraft.Member, in list: inout List) {
        next(in: &list)
        write(member.key)
        colon(in: list)
        write(member.value, level: list.level)
    }

    // MARK: From the tape

    /// The value at a place of a document, as it would be written if it were made.
    private mutating func write(_ cursor: JSONCursor, level: Int?) {
        switch cursor.type {
        case UInt8(ascii: "\""): write(utf8: cursor.utf8)
        case UInt8(ascii: "{"):
            var list = begin("{", level)
            cursor.withSortedMembers { members in
                for member in members {
                    next(in: &list)
                    write(utf8: member.key)
                    colon(in: list)
                    write(member.value, level: list.level)
                }
            }
            end(list, "}")
        case UInt8(ascii: "["):
            var list = begin("[", level)
            cursor.forEachElement { element in
                next(in: &list)
                write(element, level: list.level)
            }
            end(list, "]")
        case UInt8(ascii: "l"): write(cursor.integer)
        case UInt8(ascii: "u"): write(magnitude: cursor.unsigned)
        case UInt8(ascii: "d"): write(cursor.double)
        case UInt8(ascii: "t"): raw("true")
        case UInt8(ascii: "f"): raw("false")
        default: raw("null")
        }
    }
}
