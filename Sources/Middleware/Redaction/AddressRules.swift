/// Which candidates are addresses of the Internet protocol.
enum AddressRules {
    /// Four numbers up to 255 that are no part of a longer dotted number.
    static func decideIPv4(_ candidate: Range<Int>, in text: UnsafeBufferPointer<UInt8>) -> DetectorMatcher.Decision {
        var end = candidate.upperBound
        if goesOn(at: end, in: text) {
            // A version or an object identifier: behind all of it.
            while end < text.count, isDigit(text[end]) || goesOn(at: end, in: text) { end += 1 }
            return .refuse(resume: end)
        }
        let before = candidate.lowerBound > 0 ? text[candidate.lowerBound - 1] : 0x20
        let behind = end < text.count ? text[end] : 0x20
        guard !TextBytes.isWord(before), !TextBytes.isWord(behind) else {
            return .refuse(resume: candidate.lowerBound + 1)
        }
        let octets = String(decoding: text[candidate], as: UTF8.self).split(separator: ".").map { octet in
            octet.unicodeScalars.reduce(0) { $0 * 10 + Int($1.properties.numericValue ?? 99) }
        }
        return octets.allSatisfy { $0 <= 255 } ? .take(candidate) : .refuse(resume: candidate.lowerBound + 1)
    }

    private static func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }

    private static func goesOn(at index: Int, in text: UnsafeBufferPointer<UInt8>) -> Bool {
        index + 1 < text.count && text[index] == UInt8(ascii: ".") && isDigit(text[index + 1])
    }

    /// A run of hexadecimal digits and colons: an address as a whole, or else what the reference finds in it.
    static func decideIPv6(
        _ candidate: Range<Int>, in text: UnsafeBufferPointer<UInt8>, strict: Pattern?
    ) -> DetectorMatcher.Decision {
        for end in [candidate.upperBound, candidate.upperBound - 1] {
            // A colon may be the sentence's.
            if end < candidate.upperBound, text[end] != UInt8(ascii: ":") { continue }
            let range = candidate.lowerBound..<end
            guard isAddress(text[range]) else { continue }
            return isCode(text[range]) ? .refuse(resume: end) : .init(found: [range], resume: candidate.upperBound)
        }
        let run = UnsafeBufferPointer(rebasing: text[candidate])
        let found = (strict?.allMatches(in: run) ?? []).filter { !isCode(run[$0]) }
        return .init(
            found: found.map { candidate.lowerBound + $0.lowerBound..<candidate.lowerBound + $0.upperBound },
            resume: candidate.upperBound)
    }

    /// Scopes of program text, `std::vector`, have at most two names and no digit; `::` alone says nothing about anybody.
    private static func isCode(_ text: Slice<UnsafeBufferPointer<UInt8>>) -> Bool {
        text.split(separator: UInt8(ascii: ":")).count <= 2 && !text.contains(where: isDigit)
    }

    /// RFC 4291, 2.2: eight groups, of which `::` stands for one or more; the last two may be an address of version 4. A zone may follow.
    static func isAddress(_ text: Slice<UnsafeBufferPointer<UInt8>>) -> Bool {
        let zone = text.firstIndex(of: UInt8(ascii: "%")) ?? text.endIndex
        let address = text[..<zone]
        guard address.count <= 45 else { return false }
        let groups = address.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
        guard groups.count >= 3, groups.count <= 9 else { return false }
        var count = 0
        var gaps = 0
        for (index, group) in groups.enumerated() {
            if group.isEmpty {
                // `::` at an end makes two empty groups there.
                let isOuter = index == 0 || index == groups.count - 1
                let neighbour = index == 0 ? groups[1] : groups[index - 1]
                if isOuter, !neighbour.isEmpty { return false }
                if !isOuter { gaps += 1 }
            } else if group.contains(UInt8(ascii: ".")) {
                let octets = group.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
                guard index == groups.count - 1, octets.count == 4,
                    octets.allSatisfy({ $0.count <= 3 && $0.allSatisfy(isDigit) })
                else { return false }
                count += 2
            } else {
                guard group.count <= 4 else { return false }
                count += 1
            }
        }
        return gaps == 0 ? count == 8 : gaps == 1 && count < 8
    }
}
