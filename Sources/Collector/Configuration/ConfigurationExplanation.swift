internal import ATOF

/// What a configuration comes to: its layers, and which of them each component is from.
package struct ConfigurationExplanation: Sendable {
    package struct Component: Sendable, Hashable {
        package let kind: String
        package let isEnabled: Bool
        /// Its place in the document that the layers make together.
        package let field: String
        /// Those that say something about it, low to high, counted from 1.
        package let layers: [Int]
    }

    /// Low to high.
    package let files: [String]
    package let components: [Component]

    package init(_ configuration: CollectorConfiguration) {
        let document = configuration.document
        files = document.files
        components = (document.root["components"]?.arrayValue ?? []).enumerated().map { index, component in
            Component(
                kind: component["kind"]?.stringValue ?? "", isEnabled: component["enabled"]?.boolValue ?? true,
                field: "components[\(index)]", layers: document.layers(of: "components[\(index)]").map { $0 + 1 })
        }
    }
}
