/// Which candidates are no telephone numbers.
enum PhoneRules {
    static func decide(_ candidate: Range<Int>, in text: UnsafeBufferPointer<UInt8>) -> DetectorMatcher.Decision {
        // Dashes of all kinds are one.
        let scalars = String(decoding: text[candidate], as: UTF8.self).unicodeScalars.map { scalar in
            scalar.isASCII || scalar != "\u{2212}" && scalar.properties.generalCategory != .dashPunctuation
                ? scalar : "-"
        }
        let digits = scalars.count {
            $0.isASCII ? ("0"..."9").contains($0) : $0.properties.generalCategory == .decimalNumber
        }
        if let dot = text[candidate].lastIndex(of: UInt8(ascii: ".")) {
            // What the reference would find begins in the last group at the earliest.
            let isNumber = (9...15).contains(digits) && isDotted(scalars) && !isPartOfDotted(candidate, in: text)
            return isNumber ? .take(candidate) : .refuse(resume: dot + 1)
        }
        if digits < 7 || isDate(scalars) || isFraction(candidate, in: text) || isPartOfDigest(candidate, in: text) {
            return .refuse(resume: candidate.upperBound)
        }
        return .take(candidate)
    }

    /// Groups between dots that are neither an address of version 4 nor a number with its thousands apart.
    private static func isDotted(_ scalars: [Unicode.Scalar]) -> Bool {
        if scalars[0] == "+" || scalars[0] == "＋" { return true }
        let groups = scalars.split(separator: ".")
        if groups.count == 4, groups.allSatisfy({ $0.count <= 3 }) { return false }
        let areThousands = groups[0].count < 3 && groups.dropFirst().allSatisfy { $0.count == 3 }
        return !areThousands
    }

    private static func isPartOfDotted(_ range: Range<Int>, in text: UnsafeBufferPointer<UInt8>) -> Bool {
        func isDigit(_ index: Int) -> Bool { text.indices.contains(index) && (0x30...0x39).contains(text[index]) }
        let before = range.lowerBound - 1
        if isDigit(before) || before > 0 && text[before] == UInt8(ascii: ".") && isDigit(before - 1) { return true }
        let behind = range.upperBound
        return isDigit(behind)
            || behind < text.count && text[behind] == UInt8(ascii: ".") && isDigit(behind + 1)
    }

    /// Dates as `2024-01-02` or `02-01-2024`, perhaps two of them, perhaps with the hour; years as `2019-2024`.
    private static func isDate(_ scalars: [Unicode.Scalar]) -> Bool {
        var dates = 0
        var hours = 0
        for word in scalars.split(whereSeparator: \.properties.isWhitespace) {
            if word.elementsEqual("-".unicodeScalars) { continue }
            let numbers = word.split(separator: "-", omittingEmptySubsequences: false).map { digits in
                Int(String(String.UnicodeScalarView(digits))) ?? -1
            }
            let widths = word.split(separator: "-", omittingEmptySubsequences: false).map(\.count)
            switch (numbers.count, widths) {
            case (3, [4, 2, 2]) where isDay(numbers[0], numbers[1], numbers[2]): dates += 1
            case (3, [2, 2, 4])
            where isDay(numbers[2], numbers[1], numbers[0]) || isDay(numbers[2], numbers[0], numbers[1]):
                dates += 1
            case (2, [4, 4]) where numbers[0] < numbers[1] && numbers.allSatisfy((1900...2099).contains): dates += 1
            case (1, _) where widths[0] <= 2 && numbers[0] <= 24: hours += 1
            default: return false
            }
        }
        return dates > 0 && hours <= dates
    }

    static func isDay(_ year: Int, _ month: Int, _ day: Int) -> Bool {
        (1800...2199).contains(year) && (1...12).contains(month) && (1...31).contains(day)
    }

    /// The decimals of a number: `0.14159265`. Not `+1.4155552671`, which is a telephone number as registries write it.
    private static func isFraction(_ range: Range<Int>, in text: UnsafeBufferPointer<UInt8>) -> Bool {
        var index = range.lowerBound - 1
        guard index > 0, text[index] == UInt8(ascii: "."), text[range].allSatisfy({ (0x30...0x39).contains($0) }) else {
            return false
        }
        let point = index
        while index > 0, point - index < 20, (0x30...0x39).contains(text[index - 1]) { index -= 1 }
        return index < point && (index == 0 || text[index - 1] != UInt8(ascii: "+"))
    }

    /// Digits among hexadecimal ones: an identifier or a digest. At most 64 bytes on both sides are looked at.
    static func isPartOfDigest(_ range: Range<Int>, in text: UnsafeBufferPointer<UInt8>) -> Bool {
        guard text[range].allSatisfy(isHexadecimal) else { return false }
        var (start, end) = (range.lowerBound, range.upperBound)
        while start > 0, range.lowerBound - start < 64, isHexadecimal(text[start - 1]) { start -= 1 }
        while end < text.count, end - range.upperBound < 64, isHexadecimal(text[end]) { end += 1 }
        // Letters beyond those of hexadecimal numbers next to it: some other word.
        if start > 0, isWordButNotHexadecimal(text[start - 1]) { return false }
        if end < text.count, isWordButNotHexadecimal(text[end]) { return false }
        let token = text[start..<end]
        guard token.contains(where: { $0 > 0x39 }) else { return false }
        // A whole UUID, or at least sixteen digits in one piece.
        let groups = token.split(separator: UInt8(ascii: "-"), omittingEmptySubsequences: false).map(\.count)
        return groups == [8, 4, 4, 4, 12] || groups.count == 1 && groups[0] >= 16
    }

    private static func isWordButNotHexadecimal(_ byte: UInt8) -> Bool {
        TextBytes.isWord(byte) && !isHexadecimal(byte)
    }

    private static func isHexadecimal(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x46, 0x61...0x66, UInt8(ascii: "-"): true
        default: false
        }
    }
}
