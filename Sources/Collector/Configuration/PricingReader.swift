internal import ATOF
internal import Foundation
internal import LLMCodecs

/// Reads NeMo Relay's `pricing` component: catalogues of prices, inline and from files (`codecs-and-pricing.md` 5.1).
///
/// Whatever the document's policies say, members that it does not know are errors: a price that is not read as it was
/// meant is a wrong cost later.
struct PricingReader {
    private let path: String
    /// Of a component that is off the files need not be there.
    private let readsFiles: Bool
    private var sources = PricingSources()
    private var texts: [String] = []
    private var diagnostics: [Diagnostic] = []

    static func read(_ component: inout Component) {
        var reader = PricingReader(path: component.path, readsFiles: component.isEnabled)
        reader.read(component.config)
        component.takeOver(reader.diagnostics)
        if component.isEnabled {
            (component.configuration.pricing, component.configuration.pricingFiles) = (reader.sources, reader.texts)
        }
    }

    private init(path: String, readsFiles: Bool) {
        self.path = path
        self.readsFiles = readsFiles
    }

    private mutating func read(_ config: JSONObject) {
        for key in config.keys where key != "sources" { complain(key, "is not known here; known is sources") }
        guard let value = config["sources"]?.nonNull else { return }
        guard let elements = value.arrayValue else { return complain("sources", "must be an array of tables") }
        for (index, element) in elements.enumerated() { readSource(element, "sources[\(index)]") }
    }

    private mutating func complain(_ key: String, _ message: String) {
        diagnostics.append(Diagnostic(.error, "pricing.invalid_config", field: "\(path).\(key)", message))
    }

    private mutating func readSource(_ value: JSONValue, _ key: String) {
        guard let source = value.objectValue else { return complain(key, "must be a table") }
        let member: String
        switch source["type"]?.stringValue {
        case "inline"?: member = "catalog"
        case "file"?: member = "path"
        case let other:
            return complain(
                "\(key).type", "\(other.map { "is \"\($0)\", must be" } ?? "is missing; it must be") inline or file")
        }
        for unknown in source.keys where unknown != "type" && unknown != member {
            complain("\(key).\(unknown)", "is not known here; known are type, \(member)")
        }
        guard let value = source[member] else { return complain("\(key).\(member)", "is missing") }
        if member == "catalog" {
            do throws(PricingCatalogError) {
                sources.catalogs.append(try PricingCatalog(value))
            } catch {
                complain("\(key).catalog\(error.field.isEmpty ? "" : ".")\(error.field)", error.message)
            }
        } else if let file = value.stringValue {
            readFile(file, "\(key).path")
        } else {
            complain("\(key).path", "must be a string")
        }
    }

    private mutating func readFile(_ file: String, _ key: String) {
        guard readsFiles else { return }
        guard let bytes = FileManager.default.contents(atPath: file) else {
            return complain(key, "the file \(file) does not exist or cannot be read")
        }
        guard let value = try? JSONParser.parse([UInt8](bytes).withoutByteOrderMark) else {
            return complain(key, "the file \(file) is not valid JSON")
        }
        texts.append(value.compactText)
        do throws(PricingCatalogError) {
            sources.catalogs.append(try PricingCatalog(value))
        } catch {
            complain(
                key, "the file \(file) is no catalogue: \(error.field.isEmpty ? "it" : error.field) \(error.message)")
        }
    }
}
