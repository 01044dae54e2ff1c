/// A place on the tape of a `JSONDocument`, which has to outlive it: one value, read without being made. It asks and answers as
/// `JSONValue` does. The depth is bounded by the parser.
package struct JSONCursor {
    private let tape: UnsafePointer<UInt64>
    private let strings: UnsafePointer<UInt8>
    private let index: Int

    init(tape: UnsafePointer<UInt64>, strings: UnsafePointer<UInt8>, index: Int) {
        self.tape = tape
        self.strings = strings
        self.index = index
    }

    /// Lends a place with null.
    static func withNull<Result>(_ body: (JSONCursor) throws -> Result) rethrows -> Result {
        try withUnsafeTemporaryAllocation(of: UInt64.self, capacity: 1) { tape in
            tape[0] = UInt64(UInt8(ascii: "n")) << 56
            return try withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 1) { strings in
                guard let tape = tape.baseAddress, let strings = strings.baseAddress else {
                    preconditionFailure("an allocation of one element has an address")
                }
                return try body(JSONCursor(tape: tape, strings: strings, index: 0))
            }
        }
    }

    /// A member of an object, with the place of its value.
    struct Member {
        /// `JSONKeyOrder.head` of the key.
        let head: UInt64
        let key: UnsafeBufferPointer<UInt8>
        let value: JSONCursor
    }

    /// Simdjson's letter for what the value is: one of `{ [ " l u d t f n`.
    var type: UInt8 { UInt8(truncatingIfNeeded: tape[index] >> 56) }

    private func at(_ index: Int) -> JSONCursor { JSONCursor(tape: tape, strings: strings, index: index) }

    /// The place behind this value.
    private var end: Int {
        switch type {
        case UInt8(ascii: "{"), UInt8(ascii: "["): Int(tape[index] & 0xFFFF_FFFF)
        case UInt8(ascii: "l"), UInt8(ascii: "u"), UInt8(ascii: "d"): index &+ 2
        default: index &+ 1
        }
    }

    /// The word behind a number's type.
    private var number: UInt64 { tape[index &+ 1] }
    var integer: Int64 { Int64(bitPattern: number) }
    var unsigned: UInt64 { number }
    var double: Double { Double(bitPattern: number) }

    /// The bytes of a string, without escapes.
    var utf8: UnsafeBufferPointer<UInt8> {
        let start = strings + Int(tape[index] & 0x00FF_FFFF_FFFF_FFFF)
        let length = UnsafeRawPointer(start).loadUnaligned(as: UInt32.self)
        return UnsafeBufferPointer(start: start + 4, count: Int(length))
    }

    package var isObject: Bool { type == UInt8(ascii: "{") }
    package var isArray: Bool { type == UInt8(ascii: "[") }
    package var isNull: Bool { type == UInt8(ascii: "n") }

    package var boolValue: Bool? {
        switch type {
        case UInt8(ascii: "t"): true
        case UInt8(ascii: "f"): false
        default: nil
        }
    }

    package var stringValue: String? { type == UInt8(ascii: "\"") ? String(knownUTF8: utf8) : nil }

    /// The member of an object, of a repeated key the last one; nil when this is no object or has no such key.
    package subscript(key: String) -> JSONCursor? {
        guard isObject else { return nil }
        return key.withBorrowedUTF8 { wanted in
            let head = JSONKeyOrder.head(of: wanted)
            var found: JSONCursor?
            forEachMember { key, value in
                if JSONKeyOrder.head(of: key) == head, JSONKeyOrder.compareWithEqualHeads(key, wanted) == 0 {
                    found = value
                }
            }
            return found
        }
    }

    /// The elements of an array; nil when this is none.
    package var elements: [JSONCursor]? {
        guard isArray else { return nil }
        var elements: [JSONCursor] = []
        elements.reserveCapacity(count)
        forEachElement { elements.append($0) }
        return elements
    }

    // MARK: Walks

    /// The number of members or elements; the tape counts up to 2^24 - 1.
    private var count: Int { Int((tape[index] >> 32) & 0xFF_FFFF) }

    func forEachElement(_ body: (JSONCursor) -> Void) {
        let last = end &- 1
        var next = index &+ 1
        while next < last {
            let element = at(next)
            body(element)
            next = element.end
        }
    }

    func forEachMember(_ body: (UnsafeBufferPointer<UInt8>, JSONCursor) -> Void) {
        let last = end &- 1
        var next = index &+ 1
        while next < last {
            let value = at(next &+ 1)
            body(at(next).utf8, value)
            next = value.end
        }
    }

    /// Lends the members of an object in the order of their keys, of a repeated key the last one.
    func withSortedMembers(_ body: (UnsafeMutableBufferPointer<Member>) -> Void) {
        var count = count
        if count == 0xFF_FFFF {
            count = 0
            forEachMember { _, _ in count += 1 }
        }
        withUnsafeTemporaryAllocation(of: Member.self, capacity: count) { members in
            var filled = 0
            forEachMember { key, value in
                members.initializeElement(
                    at: filled, to: Member(head: JSONKeyOrder.head(of: key), key: key, value: value))
                filled &+= 1
            }
            body(JSONCursor.sorted(members))
        }
    }

    private static let fewMembers = 32

    /// - Returns: the members that count, at the beginning of the buffer.
    private static func sorted(_ members: UnsafeMutableBufferPointer<Member>) -> UnsafeMutableBufferPointer<Member> {
        var members = members
        if members.count > fewMembers {
            members.sort(by: precedes)
        } else {
            // By insertion: most objects have few members, in their order or nearly so.
            for index in members.indices.dropFirst() {
                var place = index
                while place > 0, precedes(members[place], members[place &- 1]) {
                    members.swapAt(place, place &- 1)
                    place &-= 1
                }
            }
        }
        var kept = 0
        for index in members.indices {
            if kept > 0, compare(members[kept &- 1], members[index]) == 0 { kept &-= 1 }
            if kept != index { members[kept] = members[index] }
            kept &+= 1
        }
        return UnsafeMutableBufferPointer(rebasing: members[..<kept])
    }

    private static func compare(_ left: Member, _ right: Member) -> Int {
        if left.head != right.head { return left.head < right.head ? -1 : 1 }
        return JSONKeyOrder.compareWithEqualHeads(left.key, right.key)
    }

    /// Members of the same key stay in the order of the text.
    private static func precedes(_ left: Member, _ right: Member) -> Bool {
        let order = compare(left, right)
        return order == 0 ? left.value.index < right.value.index : order < 0
    }

    // MARK: Values

    /// The value with everything in it.
    package var value: JSONValue {
        var next = index
        return makeValue(&next)
    }

    /// - Parameter next: the place of the value, then the place behind it.
    private func makeValue(_ next: inout Int) -> JSONValue {
        let cursor = at(next)
        next &+= 1
        switch cursor.type {
        case UInt8(ascii: "{"):
            var members: [JSONObject.Member] = []
            members.reserveCapacity(cursor.count)
            while at(next).type != UInt8(ascii: "}") {
                let key = at(next).utf8
                next &+= 1
                members.append(JSONObject.Member(key: key, value: makeValue(&next)))
            }
            next &+= 1
            return .object(JSONObject(unordered: members))
        case UInt8(ascii: "["):
            var elements: [JSONValue] = []
            elements.reserveCapacity(cursor.count)
            while at(next).type != UInt8(ascii: "]") { elements.append(makeValue(&next)) }
            next &+= 1
            return .array(elements)
        case UInt8(ascii: "\""): return .string(String(knownUTF8: cursor.utf8))
        case UInt8(ascii: "l"):
            next &+= 1
            return .int(cursor.integer)
        case UInt8(ascii: "u"):
            next &+= 1
            return .unsigned(cursor.unsigned)
        case UInt8(ascii: "d"):
            next &+= 1
            return .double(cursor.double)
        case UInt8(ascii: "t"): return .bool(true)
        case UInt8(ascii: "f"): return .bool(false)
        default: return .null
        }
    }
}
