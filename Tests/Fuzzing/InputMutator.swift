/// Changes JSON Lines as a confused producer would: values of another type, members twice or gone, lines lost, repeated or out of order.
///
/// What comes out is JSON nearly always, so that it gets past the parser; that bytes are damaged is left to others.
package struct InputMutator {
    private var random: SeededGenerator

    package init(seed: UInt64) { random = SeededGenerator(seed: seed) }

    /// - Returns: the input after one to four changes, cut to `limit` bytes.
    package mutating func mutated(_ input: [UInt8], limit: Int) -> [UInt8] {
        var text = input
        for _ in 0..<Int.random(in: 1...4, using: &random) {
            let spans = JSONSpans(text)
            guard let value = spans.values.randomElement(using: &random) else {
                text += Vocabulary.value(&random)
                continue
            }
            change(&text, value, spans)
        }
        return text.count > limit ? Array(text.prefix(limit)) : text
    }

    private mutating func change(_ text: inout [UInt8], _ value: Range<Int>, _ spans: JSONSpans) {
        switch Int.random(in: 0..<12, using: &random) {
        case 0, 1, 2: text.replaceSubrange(value, with: Vocabulary.value(&random))
        case 3, 4:
            guard let other = spans.values.randomElement(using: &random) else { return }
            text.replaceSubrange(value, with: Array(text[other]))
        case 5:
            let depth = Int.random(in: 1...Vocabulary.deepest, using: &random)
            let isArray = Bool.random(using: &random)
            let (open, close) = isArray ? ("[", "]") : (#"{"a":"#, "}")
            text.insert(contentsOf: String(repeating: close, count: depth).utf8, at: value.upperBound)
            text.insert(contentsOf: String(repeating: open, count: depth).utf8, at: value.lowerBound)
        case 6, 7, 8: changeMember(&text, spans)
        default: changeLines(&text)
        }
    }

    private mutating func changeMember(_ text: inout [UInt8], _ spans: JSONSpans) {
        guard let member = spans.members.randomElement(using: &random) else { return }
        let comma = [UInt8(ascii: ",")]
        switch Int.random(in: 0..<4, using: &random) {
        case 0:
            let hasNext = text[member.upperBound...].first == UInt8(ascii: ",")
            text.removeSubrange(member.lowerBound..<member.upperBound + (hasNext ? 1 : 0))
        case 1:
            guard let other = spans.members.randomElement(using: &random) else { return }
            text.insert(contentsOf: comma + text[other], at: member.upperBound)
        default:
            let added = Vocabulary.key(&random) + [UInt8(ascii: ":")] + Vocabulary.value(&random)
            text.insert(contentsOf: comma + added, at: member.upperBound)
        }
    }

    private mutating func changeLines(_ text: inout [UInt8]) {
        var lines = text.split(separator: UInt8(ascii: "\n"))
        guard lines.count > 1 else { return }
        let (first, second) = (lines.indices.randomElement(using: &random), lines.indices.randomElement(using: &random))
        guard let first, let second else { return }
        switch Int.random(in: 0..<4, using: &random) {
        case 0: lines.remove(at: first)
        case 1: lines.insert(lines[first], at: second)
        case 2: lines.swapAt(first, second)
        default: lines = lines.reversed()
        }
        text = Array(lines.joined(separator: [UInt8(ascii: "\n")]))
    }
}
