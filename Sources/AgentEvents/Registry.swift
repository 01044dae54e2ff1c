/// Named entries of one kind in one place: global, or of one scope (`middleware-guardrails-pii.md` 2.1).
package struct Registry<Value: Sendable>: Sendable {
    package struct Entry: Sendable {
        package let name: String
        package let priority: Int32
        package let value: Value

        package init(name: String, priority: Int32, value: Value) {
            self.name = name
            self.priority = priority
            self.value = value
        }
    }

    /// By priority, then by the bytes of the name.
    package private(set) var entries: [Entry] = []

    package init() {}

    package var isEmpty: Bool { entries.isEmpty }

    /// - Throws: `AgentKitError` when the name is taken: nothing is ever replaced.
    package mutating func insert(_ value: Value, name: String, priority: Int32) throws(AgentKitError) {
        if entries.contains(where: { $0.name == name }) {
            throw AgentKitError(.alreadyExists, "\(name) is registered already; remove it first")
        }
        let place = entries.firstIndex { Registry.isBefore(priority, name, $0) } ?? entries.endIndex
        entries.insert(Entry(name: name, priority: priority, value: value), at: place)
    }

    /// - Returns: whether there was one of the name.
    package mutating func remove(_ name: String) -> Bool {
        guard let place = entries.firstIndex(where: { $0.name == name }) else { return false }
        entries.remove(at: place)
        return true
    }

    private static func isBefore(_ priority: Int32, _ name: String, _ other: Entry) -> Bool {
        if priority != other.priority { return priority < other.priority }
        return name.utf8.lexicographicallyPrecedes(other.name.utf8)
    }

    /// The order in which entries of several registries run: by priority; at the same one global before local, outer scopes before
    /// inner ones, then by name (2.2).
    ///
    /// - Parameter registries: the global one, then those of the scopes from the bottom of the stack to its top.
    package static func merged(_ registries: [Registry]) -> [Entry] {
        // The sort of the standard library is stable.
        registries.flatMap(\.entries).sorted { $0.priority < $1.priority }
    }

    /// The order of metadata injectors: by priority and name over everything.
    package static func mergedByName(_ registries: [Registry]) -> [Entry] {
        registries.flatMap(\.entries).sorted { isBefore($0.priority, $0.name, $1) }
    }
}
