/// Which candidates are numbers of payment cards: 13 to 19 digits between separators whose check digit is right (ISO/IEC 7812).
enum CardRules {
    /// One digit, where it is, and whether a number can begin or end with it.
    private struct Digit {
        let value: Int
        let range: Range<Int>
        var beginsGroup: Bool
        var endsGroup: Bool
    }

    static func decide(_ candidate: Range<Int>, in text: UnsafeBufferPointer<UInt8>) -> DetectorMatcher.Decision {
        if PhoneRules.isPartOfDigest(candidate, in: text) { return .refuse(resume: candidate.upperBound) }
        let digits = digits(of: candidate, in: text)
        let values = digits.map(\.value)
        var found: [Range<Int>] = []
        for start in digits.indices where digits[start].beginsGroup {
            for count in 13...19 where start + count <= digits.count && digits[start + count - 1].endsGroup {
                guard isNumber(values[start..<start + count]) else { continue }
                let range = digits[start].range.lowerBound..<digits[start + count - 1].range.upperBound
                // Of two that overlap both are hidden.
                if let last = found.last, last.upperBound > range.lowerBound {
                    found[found.count - 1] = last.lowerBound..<max(last.upperBound, range.upperBound)
                } else {
                    found.append(range)
                }
            }
        }
        return .init(found: found, resume: candidate.upperBound)
    }

    /// The same for a number that is no text.
    static func isNumber(_ number: UInt64) -> Bool {
        let digits = String(number).utf8.map { Int($0) - 0x30 }
        return (13...19).contains(digits.count) && isNumber(digits[...])
    }

    /// No network has numbers that begin with 0, and but one, with 15 digits, such as begin with 1. Times since 1970 do.
    private static func isNumber(_ digits: ArraySlice<Int>) -> Bool {
        if digits.first == 0 || digits.first == 1 && digits.count != 15 { return false }
        var sum = 0
        for index in digits.indices {
            let isDoubled = (digits.endIndex - index) % 2 == 0
            let digit = isDoubled ? digits[index] * 2 : digits[index]
            sum += digit > 9 ? digit - 9 : digit
        }
        return sum % 10 == 0
    }

    private static func digits(of candidate: Range<Int>, in text: UnsafeBufferPointer<UInt8>) -> [Digit] {
        var digits: [Digit] = []
        var index = candidate.lowerBound
        var beginsGroup = true
        while index < candidate.upperBound {
            let (scalar, length) = ScalarReader.scalar(at: index, in: text)
            let value = scalar.flatMap(Unicode.Scalar.init).flatMap { $0.properties.numericType == .decimal ? $0 : nil }
            if let digit = value?.properties.numericValue {
                digits.append(
                    Digit(
                        value: Int(digit), range: index..<index + length, beginsGroup: beginsGroup,
                        endsGroup: index + length == candidate.upperBound))
                beginsGroup = false
            } else {
                if !digits.isEmpty { digits[digits.count - 1].endsGroup = true }
                beginsGroup = true
            }
            index += length
        }
        return digits
    }
}
