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
        // Something else with an address in it, such as a label before one.
        let run = UnsafeBufferPointer(rebasing: text[candidate])
        var found = (strict?.allMatches(in: run) ?? []) + addresses(in: run)
        found = found.filter { !isCode(run[$0]) }.sorted { $0.lowerBound < $1.lowerBound }
        var hidden: [Range<Int>] = []
        for range in found {
            // Of addresses that overlap nobody knows which one it is.
            if let last = hidden.last, range.lowerBound < last.upperBound {
                hidden[hidden.count - 1] = last.lowerBound..<max(last.upperBound, range.upperBound)
            } else {
                hidden.append(range)
            }
        }
        return .init(
            found: hidden.map { candidate.lowerBound + $0.lowerBound..<candidate.lowerBound + $0.upperBound },
            resume: candidate.upperBound)
    }

    /// The longest address from each group of a run on. An address has at most 45 bytes before its zone, so this takes time in proportion to
    /// the run.
    private static func addresses(in run: UnsafeBufferPointer<UInt8>) -> [Range<Int>] {
        let zone = run.firstIndex(of: UInt8(ascii: "%")) ?? run.count
        var found: [Range<Int>] = []
        var covered = 0
        for start in 0..<zone {
            // At the begin, at a colon, and behind one.
            let isStart =
                start == 0 || run[start] == UInt8(ascii: ":") || run[start - 1] == UInt8(ascii: ":")
            guard isStart, let end = addressEnd(from: start, in: run, zone), end > covered else { continue }
            found.append(start..<(end == zone ? run.count : end))
            covered = end
        }
        return found
    }

    /// Where the longest address that begins at a place ends; nil when none does.
    private static func addressEnd(from start: Int, in run: UnsafeBufferPointer<UInt8>, _ zone: Int) -> Int? {
        var (index, groups, hasGap, isBehindGap) = (start, 0, false, false)
        var end: Int?
        // What has no group before the first colon begins with two of them.
        if run[index] == UInt8(ascii: ":") {
            guard index + 1 < zone, run[index + 1] == UInt8(ascii: ":") else { return nil }
        }
        while index < zone {
            if run[index] == UInt8(ascii: ":") {
                if isBehindGap { break }
                let isGap = index + 1 < zone && run[index + 1] == UInt8(ascii: ":")
                if isGap {
                    guard !hasGap else { break }
                    (hasGap, isBehindGap) = (true, true)
                    index += 2
                    if groups < 8 { end = index }
                    continue
                }
                index += 1
                guard groups > 0 else { break }
            }
            isBehindGap = false
            let group = index
            while index < zone, index - group < 5, isHexadecimal(run[index]) { index += 1 }
            let length = index - group
            guard (1...4).contains(length) else { break }
            if index < zone, run[index] == UInt8(ascii: "."), let tail = tailEnd(from: group, in: run, zone) {
                return groups + 2 == 8 && !hasGap || hasGap && groups + 2 < 8 ? tail : end
            }
            groups += 1
            guard groups <= (hasGap ? 7 : 8) else { break }
            if hasGap || groups == 8 { end = index }
        }
        return end
    }

    /// Where four numbers with dots between end: what an address of version 6 may have in the place of its last two groups.
    private static func tailEnd(from start: Int, in run: UnsafeBufferPointer<UInt8>, _ zone: Int) -> Int? {
        var index = start
        for number in 0..<4 {
            if number > 0 {
                guard index < zone, run[index] == UInt8(ascii: ".") else { return nil }
                index += 1
            }
            let first = index
            while index < zone, index - first < 3, isDigit(run[index]) { index += 1 }
            if index == first { return nil }
        }
        return index
    }

    private static func isHexadecimal(_ byte: UInt8) -> Bool {
        isDigit(byte) || (0x61...0x66).contains(byte | 0x20)
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
