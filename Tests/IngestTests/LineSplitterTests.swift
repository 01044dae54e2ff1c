import Ingest
import Testing

@Suite("Lines of a stream")
struct LineSplitterTests {
    private static func lines(_ text: String, size: Int, limit: Int = 5) -> [LineSplitter.Line] {
        var splitter = LineSplitter(maximumBytes: limit)
        var lines: [LineSplitter.Line] = []
        let bytes = Array(text.utf8)
        for start in stride(from: 0, to: bytes.count, by: size) {
            bytes[start..<min(start + size, bytes.count)].withUnsafeBytes { lines += splitter.receive($0) }
        }
        if let last = splitter.finish() { lines.append(last) }
        return lines
    }

    private static func line(_ text: String) -> LineSplitter.Line { .line(Array(text.utf8)) }

    private static let cases: [(text: String, lines: [LineSplitter.Line])] = [
        ("", []), ("a", [line("a")]), ("a\n", [line("a")]), ("a\nb", [line("a"), line("b")]),
        ("\n\n", [line(""), line("")]), ("12345\n", [line("12345")]), ("123456\n", [.tooLong(bytes: 6)]),
        ("123456", [.tooLong(bytes: 6)]), ("1234567890\nab\n", [.tooLong(bytes: 10), line("ab")]),
        ("ab\n1234567890\n\nc", [line("ab"), .tooLong(bytes: 10), line(""), line("c")]), ("é\r\n", [line("é\r")]),
    ]

    @Test("are the same in pieces of any size", arguments: [1, 2, 3, 100])
    func pieces(_ size: Int) {
        for example in LineSplitterTests.cases {
            #expect(LineSplitterTests.lines(example.text, size: size) == example.lines, "\(example.text)")
        }
    }

    @Test("what is thrown away is not held")
    func held() {
        var splitter = LineSplitter(maximumBytes: 10)
        let piece = [UInt8](repeating: 0x61, count: 7)
        for _ in 0..<1000 { piece.withUnsafeBytes { #expect(splitter.receive($0) == []) } }
        #expect(splitter.heldBytes == 0)
        #expect(splitter.finish() == .tooLong(bytes: 7000))
        #expect(splitter.finish() == nil)
    }
}
