internal import ATOF

/// Commands that print files (`codecs-and-pricing.md` 7c).
enum ShellRead {
    /// Identifiers of tools that run a command.
    static let tools: Set<String> = [
        "sh", "bash", "zsh", "fish", "shell", "shellcommand", "exec", "execcommand", "execute", "terminal",
        "runcommand", "runshellcommand", "shellexec", "powershell", "pwsh",
    ]

    /// Which commands can come.
    private enum Shell {
        /// Of a tool that may be anything, with shells that run one more command.
        case any
        /// Of a tool that is PowerShell, whose `cat` is another one.
        case powershellTool
        case posix
        case powershell

        var hasCat: Bool { self == .any || self == .posix }
        var hasBat: Bool { self != .powershell }
        var hasGetContent: Bool { self != .posix }
        var hasWrappers: Bool { self == .any || self == .powershellTool }
    }

    /// The paths that a command prints as a whole, and nothing else.
    ///
    /// - Parameter tool: identifier of the tool.
    static func paths(_ command: String, tool: String) -> [String] {
        paths(command, tool == "powershell" || tool == "pwsh" ? .powershellTool : .any)
    }

    private static func paths(_ command: String, _ shell: Shell) -> [String] {
        if command.unicodeScalars.contains(where: { $0 == "\r" || $0 == "\n" }) { return [] }
        // Backslashes are those of Windows paths.
        var doubled = String.UnicodeScalarView()
        for scalar in command.unicodeScalars { doubled.append(contentsOf: scalar == "\\" ? ["\\", "\\"] : [scalar]) }
        guard let words = ShellWords.split(String(doubled)) else { return [] }
        return paths(words, shell)
    }

    private static func paths(_ words: [String], _ shell: Shell) -> [String] {
        if words.contains(where: isOperator) { return [] }
        guard let first = words.first else { return [] }
        let arguments = Array(words.dropFirst())
        switch executable(first) {
        case "cat" where shell.hasCat: return plain(arguments, allowing: ["-u", "--"])?.paths ?? []
        case "bat" where shell.hasBat, "batcat" where shell.hasBat:
            guard let read = plain(arguments, allowing: ["-p", "--plain", "--"]),
                read.options.filter({ $0 != "--" }).count == 1
            else { return [] }
            return read.paths
        case "get-content" where shell.hasGetContent: return GetContent.paths(arguments) ?? []
        case "sh" where shell.hasWrappers: return wrapped(arguments, flags: ["-c"])
        case "bash" where shell.hasWrappers, "zsh" where shell.hasWrappers:
            return wrapped(arguments, flags: ["-c", "-lc"])
        case "fish" where shell.hasWrappers:
            let option = "--command="
            if arguments.count == 1, arguments[0].hasPrefix(option) {
                return paths(String(arguments[0].dropFirst(option.count)), .posix)
            }
            return wrapped(arguments, flags: ["-c"])
        case "powershell" where shell.hasWrappers, "pwsh" where shell.hasWrappers:
            guard arguments.first?.asciiLowercased == "-command" else { return [] }
            if arguments.count == 2 { return paths(arguments[1], .powershell) }
            return paths(Array(arguments.dropFirst()), .powershell)
        default: return []
        }
    }

    private static func wrapped(_ arguments: [String], flags: Set<String>) -> [String] {
        guard arguments.count == 2, flags.contains(arguments[0]) else { return [] }
        return paths(arguments[1], .posix)
    }

    /// Options and paths; nil if there are options that are not allowed. Case does not matter.
    private static func plain(
        _ arguments: [String], allowing allowed: Set<String>
    ) -> (options: [String], paths: [String])? {
        let options = arguments.filter { $0.hasPrefix("-") }.map(\.asciiLowercased)
        guard options.allSatisfy(allowed.contains) else { return nil }
        return (options, arguments.filter { !$0.hasPrefix("-") })
    }

    private static func executable(_ word: String) -> String {
        let name = word.unicodeScalars.split(whereSeparator: SkillPath.separators.contains).last.map(String.init) ?? ""
        let folded = name.asciiLowercased
        return folded.hasSuffix(".exe") ? String(folded.dropLast(4)) : folded
    }

    /// Quoted or not, what could run or redirect something makes the command more than a read.
    private static func isOperator(_ word: String) -> Bool {
        let scalars = word.unicodeScalars
        if scalars.contains(where: { "|&;<>`".unicodeScalars.contains($0) }) { return true }
        return zip(scalars, scalars.dropFirst()).contains { $0 == "$" && $1 == "(" }
    }
}
