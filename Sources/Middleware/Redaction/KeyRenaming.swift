internal import ATOF

/// New names for some members of an object. Those that become the same are told apart by a number, so that no value is lost.
///
/// Takes time in proportion to the members, but for bringing them into their order.
struct KeyRenaming {
    /// By the member's place: keys that look the same to Swift may differ in their bytes.
    private var names: [(place: Int, to: String)] = []
    /// How often it was asked whether a key is taken: what the work grows with.
    private(set) var lookups = 0

    var isEmpty: Bool { names.isEmpty }

    /// In the order of the object's members.
    mutating func add(_ place: Int, to name: String) { names.append((place, name)) }

    /// - Parameter object: has the members that it had when the names were added; values may be others.
    mutating func renamed(_ object: JSONObject) -> JSONObject {
        var pairs: [(String, JSONValue)] = []
        pairs.reserveCapacity(object.count)
        var taken: Set<String> = []
        var rest = names[...]
        for (place, member) in object.members.enumerated() {
            if rest.first?.place == place {
                rest.removeFirst()
            } else {
                pairs.append((member.key, member.value))
                taken.insert(member.key)
            }
        }
        var next: [String: Int] = [:]
        for (place, name) in names {
            var key = name
            lookups += 1
            while !taken.insert(key).inserted {
                lookups += 1
                let number = next[name, default: 2]
                next[name] = number + 1
                key = "\(name) #\(number)"
            }
            pairs.append((key, object.members[place].value))
        }
        return JSONObject(pairs)
    }
}
