internal import ATOF
internal import Foundation
internal import TOMLKit

#if canImport(Glibc)
    internal import Glibc
#else
    internal import Musl
#endif

/// One file of the configuration, parsed.
struct ConfigurationFile {
    /// As it was named; empty for a text that is no file.
    let name: String
    let root: JSONObject
    /// Found where NeMo Relay keeps its own, instead of named by whoever runs the command.
    var isDiscovered = false
    /// False for a text from elsewhere.
    var isFile = true
    /// Whether there is nothing in it, not even a comment: what is left of a file while it is being saved.
    let isBlank: Bool

    /// - Throws: `ConfigurationError` for a file that cannot be read, or is no TOML.
    init(path: String) throws(ConfigurationError) {
        let text: String
        do {
            text = try String(contentsOfFile: path, encoding: .utf8)
        } catch {
            throw ConfigurationError(diagnostics: [
                Diagnostic(
                    .error, "configuration.unreadable", field: path,
                    (try? ConfigurationFile.isPresent(path)) == false
                        ? "does not exist; give the path of a TOML file"
                        : "cannot be read as UTF-8 text; check its permissions, its encoding and where it leads")
            ])
        }
        try self.init(text: text, name: path)
    }

    /// - Throws: `ConfigurationError` for a text that is no TOML.
    init(text: String, name: String, isFile: Bool = true) throws(ConfigurationError) {
        self.name = name
        self.isFile = isFile
        isBlank = text.allSatisfy(\.isWhitespace)
        // The parser takes the text for ended there, and whatever follows would be no policy.
        if let end = text.utf8.firstIndex(of: 0) {
            let line = text.utf8[..<end].count { $0 == UInt8(ascii: "\n") } + 1
            throw ConfigurationError(diagnostics: [
                Diagnostic(
                    .error, "configuration.malformed", field: "\(name):\(line)",
                    "holds a NUL, which TOML does not allow")
            ])
        }
        if let line = TableHeaders.lineWithoutName(in: text) {
            throw ConfigurationError(diagnostics: [
                Diagnostic(
                    .error, "configuration.malformed", field: "\(name):\(line)",
                    "is the header of a table without a name that TOML allows: letters, digits, _ and -, or a text in quotes"
                )
            ])
        }
        // JSON has decimal numbers only: what is written as 0x10 is 16.
        let options: FormatOptions = [.allowUnicodeStrings]
        do {
            let table = try TOMLTable(string: text)
            if let field = ConfigurationFile.infinite(in: table) {
                throw ConfigurationError(diagnostics: [
                    Diagnostic(
                        .error, "configuration.malformed", field: "\(name): \(field)",
                        "is nan or inf; give a number that is finite")
                ])
            }
            root = try JSONParser.parse(table.convert(to: .json, options: options)).objectValue ?? JSONObject()
        } catch let error as ConfigurationError {
            throw error
        } catch let error as TOMLParseError {
            throw ConfigurationError(diagnostics: [
                Diagnostic(
                    .error, "configuration.malformed",
                    field: "\(name):\(error.source.begin.line):\(error.source.begin.column)",
                    "is not valid TOML: \(error.description)")
            ])
        } catch {
            throw ConfigurationError(diagnostics: [
                Diagnostic(
                    .error, "configuration.malformed", field: name, "holds a value that is not a number or text")
            ])
        }
    }

    /// The key of a number that no JSON has; nil without one.
    private static func infinite(in value: any TOMLValueConvertible) -> String? {
        if let table = value.table {
            for key in table.keys {
                if let member = table[key], let rest = infinite(in: member) {
                    return rest.isEmpty || rest.hasPrefix("[") ? key + rest : "\(key).\(rest)"
                }
            }
        } else if let array = value.array {
            for (index, element) in array.enumerated() {
                if let rest = infinite(in: element) {
                    return "[\(index)]" + (rest.isEmpty || rest.hasPrefix("[") ? rest : ".\(rest)")
                }
            }
        } else if let number = value.double, !number.isFinite {
            return ""
        }
        return nil
    }

    /// Where the same file is the same, whatever it is called; nil for what is no file.
    var place: String? {
        isFile && !name.isEmpty ? URL(fileURLWithPath: name).resolvingSymlinksInPath().path : nil
    }

    /// A file that somebody has named.
    ///
    /// - Throws: `ConfigurationError` as for any file, and for one with nothing in it: a policy must not go because a file was read before it
    ///   was saved.
    static func named(_ path: String) throws(ConfigurationError) -> ConfigurationFile {
        let file = try ConfigurationFile(path: path)
        guard !file.isBlank else {
            throw ConfigurationError(diagnostics: [
                Diagnostic(
                    .error, "configuration.malformed", field: path,
                    "is empty; write a TOML document into it, or a comment for one that says nothing")
            ])
        }
        return file
    }

    /// NeMo Relay's own files, low to high: the user's, then the system's. Those that do not exist, and those with nothing in them, are
    /// left out.
    ///
    /// - Throws: `ConfigurationError` for one that cannot be read, and where nobody can say whether there is one.
    static func discovered(_ environment: [String: String]) throws(ConfigurationError) -> [ConfigurationFile] {
        var paths: [String] = []
        if let directory = environment["XDG_CONFIG_HOME"], !directory.isEmpty {
            paths.append("\(directory)/nemo-relay/plugins.toml")
        } else if let home = environment["HOME"], !home.isEmpty {
            paths.append("\(home)/.config/nemo-relay/plugins.toml")
        }
        paths.append("/etc/nemo-relay/plugins.toml")
        var files: [ConfigurationFile] = []
        for path in paths where try isPresent(path) {
            var file = try ConfigurationFile(path: path)
            if file.isBlank { continue }
            file.isDiscovered = true
            files.append(file)
        }
        return files
    }

    /// Whether there is an entry at a path, whatever it leads to: what cannot be looked at may be a policy.
    private static func isPresent(_ path: String) throws(ConfigurationError) -> Bool {
        var status = stat()
        if lstat(path, &status) == 0 { return true }
        let code = errno
        let folder = (path as NSString).deletingLastPathComponent
        if code == ENOENT, folder.isEmpty || folder == path { return false }
        // A folder that is a link to nothing, such as a volume that is not mounted, is not there either, and is not absent.
        if code == ENOENT, try !isPresent(folder) || stat(folder, &status) == 0 { return false }
        throw ConfigurationError(diagnostics: [
            Diagnostic(
                .error, "configuration.unreadable", field: path,
                "cannot be looked at (\(String(cString: strerror(code)))); mend what leads to it, or leave --inherit out"
            )
        ])
    }
}
