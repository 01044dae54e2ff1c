/// A pattern as a tree, in which case, flags and names of classes are resolved already.
indirect enum PatternNode: Sendable, Hashable {
    case empty
    /// One scalar of the set.
    case scalar(ScalarSet)
    case assertion(PatternAssertion)
    case group(PatternNode, index: Int)
    case sequence([PatternNode])
    /// The first that leads to a match counts.
    case alternatives([PatternNode])
    case repetition(PatternNode, minimum: Int, maximum: Int?, greedy: Bool)
}

/// What matches between two scalars.
enum PatternAssertion: Sendable, Hashable {
    case textStart, textEnd
    case lineStart, lineEnd
    /// Lines that end with CR, LF or both.
    case anyLineStart, anyLineEnd
    case word(WordEdge, unicode: Bool)

    enum WordEdge: Sendable, Hashable {
        case boundary, notBoundary
        case start, end
        /// What is before is no word; what is behind is none.
        case startHalf, endHalf
    }

    /// RE2 answers it for every text. It finds no boundary between the bytes of one character, so `(?-u:\B)` is not among these.
    var isExact: Bool {
        switch self {
        case .textStart, .textEnd, .lineStart, .lineEnd: true
        case .word(.boundary, unicode: false): true
        case .anyLineStart, .anyLineEnd, .word: false
        }
    }

    /// RE2 answers it for texts of ASCII.
    var isExactInASCII: Bool {
        switch self {
        case .word(.boundary, unicode: _), .word(.notBoundary, unicode: _): true
        default: isExact
        }
    }
}

extension PatternNode {
    func allAssertions(_ holds: (PatternAssertion) -> Bool) -> Bool {
        switch self {
        case .empty, .scalar: true
        case .assertion(let assertion): holds(assertion)
        case .group(let node, index: _), .repetition(let node, minimum: _, maximum: _, greedy: _):
            node.allAssertions(holds)
        case .sequence(let nodes), .alternatives(let nodes): nodes.allSatisfy { $0.allAssertions(holds) }
        }
    }

    /// How many states it takes about, with every counted repetition written out.
    var size: Int {
        switch self {
        case .empty, .assertion: return 1
        case .scalar(let set): return 1 + set.ranges.count
        case .group(let node, index: _): return 2 + node.size
        case .sequence(let nodes), .alternatives(let nodes):
            return nodes.reduce(1) { PatternNode.sum($0, $1.size) }
        case .repetition(let node, let minimum, let maximum, greedy: _):
            let (product, overflow) = node.size.multipliedReportingOverflow(by: max(minimum, maximum ?? 0, 1))
            return overflow ? .max : PatternNode.sum(product, 2)
        }
    }

    private static func sum(_ left: Int, _ right: Int) -> Int {
        let (sum, overflow) = left.addingReportingOverflow(right)
        return overflow ? .max : sum
    }
}
