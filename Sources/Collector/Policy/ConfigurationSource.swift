/// Where the configuration is read from, once at the start and again when it is told to be.
package struct ConfigurationSource: Sendable {
    /// Low to high.
    package let files: [String]
    /// Whether NeMo Relay's own files are layers below.
    package let inherits: Bool
    package let environment: [String: String]

    package init(files: [String], inherits: Bool, environment: [String: String]) {
        self.files = files
        self.inherits = inherits
        self.environment = environment
    }

    /// What complaints call the layer that is no file.
    static let sharedName = "\(SharedPolicy.bucket)/\(SharedPolicy.key)"

    /// - Parameters:
    ///   - shared: a text that is the highest layer, above all files.
    ///   - needsSecrets: whether variables of the environment that the files name have to be set.
    /// - Throws: `ConfigurationError` when there is a complaint of level error; warnings are returned.
    package func read(
        below shared: String? = nil, needsSecrets: Bool = true
    ) throws(ConfigurationError) -> (CollectorConfiguration, [Diagnostic]) {
        var layers = inherits ? try ConfigurationFile.discovered(environment) : []
        for file in files { layers.append(try ConfigurationFile.named(file)) }
        if let shared {
            layers.append(try ConfigurationFile(text: shared, name: ConfigurationSource.sharedName, isFile: false))
        }
        return try ConfigurationReader.read(layers, environment: environment, needsSecrets: needsSecrets)
    }
}
