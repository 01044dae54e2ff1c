package import ATOF
package import LLMCodecs

/// How one trace endpoint wants events as spans (`otel-projections.md` 7.1).
package struct ProjectionConfiguration: Sendable, Hashable {
    /// Which attribute rules apply.
    package enum Projection: String, Sendable, CaseIterable {
        case full
        case genAI = "gen_ai"
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
    package var compatibility = Compatibility.skein
    /// Not in `gen_ai`, which has no marks.
    package var markProjection: MarkProjection
    /// Marks that stay span events when `markProjection` is `tool`: by name, or by `metadata.hook_event_name`.
    package var markExcludeNames: Set<String>
    /// Not in `gen_ai`: its names are those of the conventions.
    package var attributeMappings: [AttributeMapping]
    package var promoteMetadataPrefixes: [String]
    /// Beyond this number of open spans whole runs are given up, the oldest first; the reference has no bound and runs out of memory.
    package var maximumOpenSpans: Int
    /// A run of which nothing comes for so many nanoseconds of log time is given up; nil never, as in the reference.
    package var idle: UInt64?
    /// A run that has had open spans for so many nanoseconds of log time is given up; nil never.
    package var maximumAge: UInt64?
    /// How long an ended scope is remembered for those that name it as their parent, nanoseconds of events' time.
    package var completedLifetime = CompletedContexts.usualLifetime
    /// How long an end waits for its start, nanoseconds of log time.
    package var earlyEndLinger: UInt64 = 60_000_000_000
    /// Ends that wait for their starts.
    package var maximumEarlyEnds = 4096
    /// Packed bytes of the events whose attributes open spans hold; beyond it they are read again when the spans end.
    package var maximumHeldBytes = 16 << 20
    /// Prices of calls whose cost nobody reported.
    package var pricing = PricingSources()

    package init(
        projection: Projection, markProjection: MarkProjection = .inherit,
        markExcludeNames: Set<String> = ["llm.chunk"],
        attributeMappings: [AttributeMapping] = [], promoteMetadataPrefixes: [String] = [],
        maximumOpenSpans: Int = 131_072,
        idle: UInt64? = nil, maximumAge: UInt64? = nil
    ) {
        self.projection = projection
        self.markProjection = markProjection
        self.markExcludeNames = markExcludeNames
        self.attributeMappings = attributeMappings
        self.promoteMetadataPrefixes = promoteMetadataPrefixes
        self.maximumOpenSpans = maximumOpenSpans
        self.idle = idle
        self.maximumAge = maximumAge
    }
}
