internal import Foundation

/// Writing to the terminal: results on standard output, everything else on standard error.
enum Terminal {
    static func error(_ text: String) { write(Array((text + "\n").utf8), to: STDERR_FILENO) }

    static func out(_ text: String) { out(Array(text.utf8)) }

    static func out(_ line: [UInt8]) { write(line + [UInt8(ascii: "\n")], to: STDOUT_FILENO) }

    /// Bytes as they are, without a line feed.
    static func raw(_ bytes: [UInt8]) { write(bytes, to: STDOUT_FILENO) }

    /// A line that replaces itself, when somebody watches.
    static func progress(_ text: String) {
        guard isatty(2) == 1 else { return }
        write(Array("\r\u{1B}[K\(text)".utf8), to: STDERR_FILENO)
    }

    static func endProgress() {
        guard isatty(2) == 1 else { return }
        write(Array("\r\u{1B}[K".utf8), to: STDERR_FILENO)
    }

    /// Ends the process when what it is run for cannot be written: with 0 when its reader has had enough, as `head` has, else with 1.
    private static func write(_ bytes: [UInt8], to descriptor: Int32) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count > 0 {
                rest = rest.dropFirst(count)
                continue
            }
            switch errno {
            case EINTR: continue
            case EAGAIN:
                var ready = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                poll(&ready, 1, 1000)
            case _ where descriptor == STDERR_FILENO: return
            case EPIPE: exit(0)
            case let number:
                error("error: standard output cannot be written: \(String(cString: strerror(number)))")
                exit(1)
            }
        }
    }
}

extension String {
    /// With escapes in the place of control characters: what a producer chose must not move a terminal's cursor, nor begin a line.
    var printable: String {
        var text = ""
        for scalar in unicodeScalars {
            switch scalar.properties.generalCategory {
            case .control, .format, .lineSeparator, .paragraphSeparator: text += scalar.escaped(asASCII: true)
            default: text.unicodeScalars.append(scalar)
            }
        }
        return text
    }
}
