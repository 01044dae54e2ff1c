/// How one trace endpoint wants events as spans (`otel-projections.md` 7.1).
package struct ProjectionConfiguration: Sendable, Hashable {
    /// Which attribute rules apply.
    package enum Projection: String, Sendable, CaseIterable {
        case full
        case openinference
    }

    /// What a mark becomes. `inherit` and `event` are the same thing; the reference accepts both words.
    package enum MarkProjection: String, Sendable, CaseIterable {
        case inherit
        case event
        case tool
    }

    /// Copies the value of the attribute `key` to `alias`.
    package struct AttributeMapping: Sendable, Hashable {
        package let key: String
        package let alias: String

        package init(key: String, alias: String) {
            self.key = key
            self.alias = alias
        }
    }

    package var projection: Projection
    package var markProjection: MarkProjection
    /// Marks that stay span events when `markProjection` is `tool`: by name, or by `metadata.hook_event_name`.
    package var markExcludeNames: Set<String>
    package var attributeMappings: [AttributeMapping]
    package var promoteMetadataPrefixes: [String]
    /// Open spans beyond this number cost the one that was opened first; the reference has no bound and runs out of
    /// memory.
    package var maximumOpenSpans: Int

    package init(
        projection: Projection, markProjection: MarkProjection = .inherit,
        markExcludeNames: Set<String> = ["llm.chunk"],
        attributeMappings: [AttributeMapping] = [], promoteMetadataPrefixes: [String] = [],
        maximumOpenSpans: Int = 65_536
    ) {
        self.projection = projection
        self.markProjection = markProjection
        self.markExcludeNames = markExcludeNames
        self.attributeMappings = attributeMappings
        self.promoteMetadataPrefixes = promoteMetadataPrefixes
        self.maximumOpenSpans = maximumOpenSpans
    }
}
