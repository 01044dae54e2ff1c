/// Pike's machine: it follows all ways through a pattern at once, so a text takes time in proportion to its length and the pattern's.
///
/// RE2 is faster by far. The machine is for what RE2 cannot say: word boundaries of Unicode in texts that are not of ASCII.
struct PatternMachine: Sendable {
    private enum Instruction: Sendable {
        case scalar(ScalarSet, ascii: (UInt64, UInt64))
        /// Goes on at both; the first is preferred.
        case split(Int, Int)
        case jump(Int)
        case save(Int)
        case assertion(PatternAssertion)
        case match
    }

    private var program: [Instruction] = []
    private var slotCount = 2

    init(_ node: PatternNode, groups: Int) {
        slotCount = 2 * (groups + 1)
        add(node)
        program.append(.match)
    }

    // MARK: - Program

    private mutating func add(_ node: PatternNode) {
        switch node {
        case .empty: break
        case .scalar(let set):
            var bits: (UInt64, UInt64) = (0, 0)
            for value in UInt32(0)..<64 where set.contains(value) { bits.0 |= 1 << UInt64(value) }
            for value in UInt32(0)..<64 where set.contains(value + 64) { bits.1 |= 1 << UInt64(value) }
            program.append(.scalar(set, ascii: bits))
        case .assertion(let assertion): program.append(.assertion(assertion))
        case .group(let node, let index):
            program.append(.save(2 * index))
            add(node)
            program.append(.save(2 * index + 1))
        case .sequence(let nodes):
            for node in nodes { add(node) }
        case .alternatives(let nodes):
            var ends: [Int] = []
            for (index, node) in nodes.enumerated() {
                if index == nodes.count - 1 {
                    add(node)
                } else {
                    let split = program.count
                    program.append(.jump(0))
                    add(node)
                    ends.append(program.count)
                    program.append(.jump(0))
                    program[split] = .split(split + 1, program.count)
                }
            }
            for end in ends { program[end] = .jump(program.count) }
        case .repetition(let node, let minimum, let maximum, let greedy):
            if let maximum {
                for _ in 0..<minimum { add(node) }
                var splits: [Int] = []
                for _ in minimum..<maximum {
                    splits.append(program.count)
                    program.append(.jump(0))
                    add(node)
                }
                for split in splits { program[split] = choice(split + 1, program.count, greedy) }
            } else {
                // `x*` is `(x+)?`: an iteration that matched nothing is the last one.
                for _ in 0..<max(minimum - 1, 0) { add(node) }
                let skip = minimum == 0 ? program.count : nil
                if skip != nil { program.append(.jump(0)) }
                let start = program.count
                add(node)
                program.append(choice(start, program.count + 1, greedy))
                if let skip { program[skip] = choice(start, program.count, greedy) }
            }
        }
    }

    private func choice(_ inside: Int, _ outside: Int, _ greedy: Bool) -> Instruction {
        greedy ? .split(inside, outside) : .split(outside, inside)
    }

    // MARK: - Search

    /// The threads of one place in the text, in order of preference, each with its slots.
    private struct Threads {
        var order: [Int] = []
        var slots: [Int] = []
        /// At which place an instruction was added last.
        var mark: [Int]

        init(_ count: Int) { mark = [Int](repeating: -1, count: count) }

        mutating func clear() {
            order.removeAll(keepingCapacity: true)
            slots.removeAll(keepingCapacity: true)
        }
    }

    /// The bounds of the leftmost match at or behind `start`, and of its groups: two offsets each, -1 for none.
    ///
    /// - Parameters:
    ///   - isAnchored: whether the match has to begin at `start`.
    func search(
        _ text: UnsafeBufferPointer<UInt8>, from start: Int, isAnchored: Bool = false, wantsGroups: Bool
    ) -> [Int]? {
        let count = wantsGroups ? slotCount : 2
        var current = Threads(program.count)
        var next = Threads(program.count)
        var best: [Int]?
        var place = start
        var before = ScalarReader.scalar(before: start, in: text)
        var stack: [Step] = []
        var slots = [Int](repeating: -1, count: count)
        while true {
            let (behind, length) = ScalarReader.scalar(at: place, in: text)
            let surroundings = Surroundings(before: before, behind: behind)
            if best == nil, !isAnchored || place == start {
                for index in slots.indices { slots[index] = -1 }
                slots[0] = place
                follow(0, place, surroundings, &slots, &current, &stack)
            }
            if current.order.isEmpty {
                if best != nil || isAnchored { break }
            }
            threads: for (number, pointer) in current.order.enumerated() {
                let first = number * count
                switch program[pointer] {
                case .match:
                    best = Array(current.slots[first..<first + count])
                    best![1] = place
                    break threads
                case .scalar(let set, let ascii):
                    guard let behind, PatternMachine.contains(behind, set, ascii) else { continue }
                    for index in 0..<count { slots[index] = current.slots[first + index] }
                    let after = ScalarReader.scalar(at: place + length, in: text).0
                    follow(
                        pointer + 1, place + length, Surroundings(before: behind, behind: after), &slots, &next, &stack)
                case .split, .jump, .save, .assertion: continue
                }
            }
            if behind == nil { break }
            before = behind
            place += length
            swap(&current, &next)
            next.clear()
        }
        return best
    }

    private static func contains(_ scalar: UInt32, _ set: ScalarSet, _ ascii: (UInt64, UInt64)) -> Bool {
        if scalar < 64 { return ascii.0 & (1 << UInt64(scalar)) != 0 }
        if scalar < 128 { return ascii.1 & (1 << UInt64(scalar - 64)) != 0 }
        return set.contains(scalar)
    }

    private enum Step {
        case visit(Int)
        case restore(slot: Int, value: Int)
    }

    /// Adds the instructions that wait for a scalar, reached from `pointer` without one.
    private func follow(
        _ pointer: Int, _ place: Int, _ surroundings: Surroundings, _ slots: inout [Int], _ threads: inout Threads,
        _ stack: inout [Step]
    ) {
        stack.append(.visit(pointer))
        while let step = stack.popLast() {
            switch step {
            case .restore(let slot, let value): slots[slot] = value
            case .visit(let pointer):
                if threads.mark[pointer] == place { continue }
                threads.mark[pointer] = place
                switch program[pointer] {
                case .scalar, .match:
                    threads.order.append(pointer)
                    threads.slots.append(contentsOf: slots)
                case .jump(let target): stack.append(.visit(target))
                case .split(let first, let second):
                    stack.append(.visit(second))
                    stack.append(.visit(first))
                case .save(let slot):
                    if slot < slots.count {
                        stack.append(.restore(slot: slot, value: slots[slot]))
                        slots[slot] = place
                    }
                    stack.append(.visit(pointer + 1))
                case .assertion(let assertion):
                    if surroundings.satisfy(assertion) { stack.append(.visit(pointer + 1)) }
                }
            }
        }
    }
}

/// The scalars on both sides of a place; nil at the ends of the text.
private struct Surroundings {
    let before: UInt32?
    let behind: UInt32?

    func satisfy(_ assertion: PatternAssertion) -> Bool {
        switch assertion {
        case .textStart: return before == nil
        case .textEnd: return behind == nil
        case .lineStart: return before == nil || before == 0x0A
        case .lineEnd: return behind == nil || behind == 0x0A
        case .anyLineStart: return before == nil || before == 0x0A || before == 0x0D && behind != 0x0A
        case .anyLineEnd: return behind == nil || behind == 0x0D || behind == 0x0A && before != 0x0D
        case .word(let edge, let unicode):
            let isBefore = Surroundings.isWord(before, unicode)
            let isBehind = Surroundings.isWord(behind, unicode)
            switch edge {
            case .boundary: return isBefore != isBehind
            case .notBoundary: return isBefore == isBehind
            case .start: return !isBefore && isBehind
            case .end: return isBefore && !isBehind
            case .startHalf: return !isBefore
            case .endHalf: return !isBehind
            }
        }
    }

    private static func isWord(_ scalar: UInt32?, _ unicode: Bool) -> Bool {
        guard let scalar else { return false }
        if scalar < 0x80 { return UnicodeTables.asciiWords.contains(scalar) }
        return unicode && UnicodeTables.words.contains(scalar)
    }
}

/// Scalars of valid UTF-8.
enum ScalarReader {
    /// - Returns: nil, and no length, at the end of the text.
    static func scalar(at index: Int, in text: UnsafeBufferPointer<UInt8>) -> (UInt32?, length: Int) {
        guard index < text.count else { return (nil, 0) }
        let first = UInt32(text[index])
        if first < 0x80 { return (first, 1) }
        let length = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4
        guard first >= 0xC0, index + length <= text.count else { return (0xFFFD, 1) }
        var value = first & (0x7F >> UInt32(length))
        for offset in 1..<length { value = value << 6 | UInt32(text[index + offset] & 0x3F) }
        return (value, length)
    }

    static func scalar(before index: Int, in text: UnsafeBufferPointer<UInt8>) -> UInt32? {
        var start = index - 1
        while start > 0, text[start] & 0xC0 == 0x80 { start -= 1 }
        return start < 0 ? nil : scalar(at: start, in: text).0
    }
}
