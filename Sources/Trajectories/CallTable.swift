/// What is known of the calls of one step, by a text. Most steps have few calls: those are compared one by one, only many are hashed.
struct CallTable<Value: Sendable>: Sendable {
    private var few: [(key: String, value: Value)] = []
    private var many: [String: Value] = [:]

    /// As many as are found no later than by their hash.
    private static var fewest: Int { 8 }

    var count: Int { few.count + many.count }

    subscript(key: String) -> Value? {
        for index in few.indices where few[index].key == key { return few[index].value }
        return many.isEmpty ? nil : many[key]
    }

    /// Each entry, in no order.
    func forEach(_ body: (String, Value) -> Void) {
        for index in few.indices { body(few[index].key, few[index].value) }
        for (key, value) in many { body(key, value) }
    }

    /// Enters a value, or changes the one that is there.
    mutating func enter(_ key: String, _ initial: Value, change: (inout Value) -> Void = { _ in }) {
        for index in few.indices where few[index].key == key { return change(&few[index].value) }
        if many.isEmpty {
            if few.count < CallTable.fewest { return few.append((key, initial)) }
            many = Dictionary(uniqueKeysWithValues: few.map { ($0.key, $0.value) })
            few = []
        }
        if many[key] == nil { many[key] = initial } else { change(&many[key, default: initial]) }
    }
}
