/// Keys that differ in a number or two. Those of small numbers are made once: most attributes of a request have one of them.
struct NumberedKeys: Sendable {
    private let first: String
    private let middle: String?
    private let rest: String
    /// Of numbers below `made`; of two numbers those of a second one below `madeInner`, one first number after the other.
    private let keys: [String]

    private static let made = 64
    private static let madeInner = 2

    /// `first` and `rest` with a number between them.
    init(_ first: String, _ rest: String) {
        self.first = first
        middle = nil
        self.rest = rest
        keys = (0..<NumberedKeys.made).map { String(numbered: first, $0, rest) }
    }

    /// Three texts with a number between each.
    init(_ first: String, _ middle: String, _ rest: String) {
        self.first = first
        self.middle = middle
        self.rest = rest
        keys = (0..<NumberedKeys.made * NumberedKeys.madeInner).map {
            String(
                numbered: String(numbered: first, $0 / NumberedKeys.madeInner, middle), $0 % NumberedKeys.madeInner,
                rest)
        }
    }

    subscript(number: Int) -> String {
        number < NumberedKeys.made ? keys[number] : String(numbered: first, number, rest)
    }

    subscript(number: Int, inner: Int) -> String {
        if number < NumberedKeys.made, inner < NumberedKeys.madeInner {
            return keys[number * NumberedKeys.madeInner + inner]
        }
        return String(numbered: String(numbered: first, number, middle ?? ""), inner, rest)
    }
}
