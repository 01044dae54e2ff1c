/// The schema that `data` of a mark has.
public struct EventSchema: Sendable, Hashable {
    /// Such as `acme.measurement`.
    public var name: String
    /// Such as `1`.
    public var version: String

    /// A schema by name and version.
    public init(name: String, version: String) {
        self.name = name
        self.version = version
    }
}
